package privicore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/privicore/privicore-go/internal/realtime"
	"github.com/privicore/privicore-go/internal/transport"
)

const (
	// Pauses between the polls of one wait while there is no channel.
	firstPoll = 100 * time.Millisecond
	maxPoll   = 3 * time.Second
	// While there is one, a poll now and then makes good for an outcome that
	// the proxy lost.
	firstCheck = 30 * time.Second
	maxCheck   = 2 * time.Minute
	// lostPause is about how long a wait leaves a broken channel the time to
	// come back before it polls.
	lostPause = 600 * time.Millisecond
	// notFoundHolds is how long a command may be unknown after its 202.
	notFoundHolds = 5 * time.Second
	// failureHolds is how long polls may fail in a row for other reasons.
	failureHolds = 30 * time.Second
	pollTimeout  = 10 * time.Second
	// limitedPause is for a 429 that does not say when to come back.
	limitedPause = time.Second
)

// pace is what all waits of a client share, so that together they do not ask
// more often than the server allows.
type pace struct {
	limiter *rate.Limiter
	// queue lets one in at a time. A place in it can be given up without a
	// trace; a reservation with the limiter cannot.
	queue *semaphore.Weighted

	mu    sync.Mutex
	until time.Time // nobody asks before
	cause error     // because the server said so in this
}

func newPace(perSecond float64) *pace {
	return &pace{limiter: rate.NewLimiter(rate.Limit(perSecond), 1), queue: semaphore.NewWeighted(1)}
}

// hold has nobody ask for d.
func (p *pace) hold(d time.Duration, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(d); until.After(p.until) {
		p.until, p.cause = until, cause
	}
}

// held is how long nobody may ask, and why.
func (p *pace) held() (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.until), p.cause
}

// heldError means that a poll would have to wait for longer than its context
// lasts.
type heldError struct{ cause error }

func (e *heldError) Error() string { return e.cause.Error() }
func (e *heldError) Unwrap() error { return e.cause }

// turn waits until a poll may be sent.
func (p *pace) turn(ctx context.Context) error {
	if err := p.outlast(ctx); err != nil {
		return err
	}
	if err := p.queue.Acquire(ctx, 1); err != nil {
		return err
	}
	defer p.queue.Release(1)
	if err := p.outlast(ctx); err != nil {
		return err
	}
	if err := p.limiter.Wait(ctx); err != nil {
		<-ctx.Done() // it says beforehand that ctx will end first
		return ctx.Err()
	}
	return nil
}

// outlast waits until nobody is held any more.
func (p *pace) outlast(ctx context.Context) error {
	for {
		held, cause := p.held()
		switch {
		case held <= 0:
			return nil
		case endsBefore(ctx, time.Now().Add(held)):
			return &heldError{cause}
		}
		timer := time.NewTimer(held)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// waiter is one Wait.
type waiter struct {
	cmd     *Command
	client  *Client
	covered realtime.Mark   // if the channel still stands there, the outcome will come over it
	pause   time.Duration   // the last one
	polled  chan pollAnswer // of the poll in flight
	stop    context.CancelFunc
	unknown time.Time // since when the server has not known the command
	failing time.Time // since when polls have failed otherwise
	last    error     // of the last poll
}

type pollAnswer struct {
	result *CommandResult
	err    error
	mark   realtime.Mark // before the poll was sent
}

// wait returns the first outcome, from whichever side it comes.
func (c *Command) wait(ctx context.Context, watch *realtime.Watch) (*CommandResult, error) {
	if r := c.outcome.Load(); r != nil {
		return r.orError()
	}
	w := &waiter{cmd: c, client: c.client, covered: watch.Since(c.joined)}
	defer w.close()
	channel := w.client.channel
	_, changed := channel.State()
	timer := time.NewTimer(w.first())
	defer timer.Stop()

	for {
		select {
		case <-watch.Ready():
			if r := c.heard(watch); r != nil {
				return r.orError()
			}

		case <-changed:
			var up bool
			up, changed = channel.State()
			w.pause = 0
			if !up {
				w.pause = lostPause
			}
			if w.polled == nil {
				timer.Reset(w.next())
			}

		case <-timer.C:
			if !w.poll(ctx) {
				return nil, w.failed(ErrClosed)
			}

		case answer := <-w.polled:
			w.polled = nil
			if answer.err == nil {
				if c.note(answer.result) {
					return answer.result.orError()
				}
				w.covered = watch.Since(answer.mark)
			}
			next := w.next()
			if err := w.weigh(ctx, answer.err, next); err != nil {
				return nil, w.failed(err)
			}
			timer.Reset(next)

		case <-ctx.Done():
			return c.heardOr(watch, w.failed(ctx.Err()))

		case <-w.client.life.Done():
			return c.heardOr(watch, w.failed(ErrClosed))
		}
	}
}

// heard takes in what has come over the channel, and returns the outcome if it
// was among it.
func (c *Command) heard(watch *realtime.Watch) *CommandResult {
	for _, m := range watch.Take() {
		if r := resultOf(&m); r != nil && c.note(r) {
			return r
		}
	}
	return nil
}

// heardOr returns err, unless the outcome has come at the same time.
func (c *Command) heardOr(watch *realtime.Watch, err error) (*CommandResult, error) {
	if r := c.heard(watch); r != nil {
		return r.orError()
	}
	return nil, err
}

// first is when to ask first: right after the 202 there is nothing to learn
// yet, but a command of long ago may have ended.
func (w *waiter) first() time.Duration {
	if w.isCovered() {
		return w.next()
	}
	w.pause = firstPoll
	return max(0, time.Until(w.cmd.accepted.Add(transport.Jitter(firstPoll))))
}

// next is when to ask next.
func (w *waiter) next() time.Duration {
	up, _ := w.client.channel.State()
	switch {
	case w.isCovered():
		w.pause = min(max(2*w.pause, firstCheck), maxCheck)
	case up && w.pause == 0:
		// Back after a gap: ask at once, what happened in it will not be told.
		w.pause = firstPoll
		return 0
	default:
		w.pause = min(max(w.pause*3/2, firstPoll), maxPoll)
	}
	return transport.Jitter(w.pause)
}

func (w *waiter) isCovered() bool {
	_, missed := w.client.channel.Missed(w.covered)
	return !missed
}

// poll asks in the background, because the outcome may come over the channel
// meanwhile. It reports false if the client is closed.
func (w *waiter) poll(ctx context.Context) bool {
	if !w.client.begin() {
		return false
	}
	ctx, w.stop = context.WithCancel(withoutCapture(ctx))
	stop, polled := w.stop, make(chan pollAnswer, 1)
	w.polled = polled
	go func() {
		defer w.client.background.Done()
		defer context.AfterFunc(w.client.life, stop)()
		answer := pollAnswer{err: w.client.pace.turn(ctx)}
		if answer.err == nil {
			ctx, cancel := context.WithTimeout(ctx, pollTimeout)
			defer cancel()
			answer.mark, _ = w.client.channel.Missed(realtime.Mark{})
			answer.result, answer.err = w.client.Utility.RequestStatus(ctx, w.cmd.ID)
		}
		polled <- answer
	}()
	return true
}

// weigh decides whether a wait may go on after a poll that failed with err, if
// the next one is due in next.
func (w *waiter) weigh(ctx context.Context, err error, next time.Duration) error {
	w.stop()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.last = err
	now := time.Now()
	apiErr, answered := errors.AsType[*APIError](err)
	_, held := errors.AsType[*heldError](err)
	switch {
	case held && !w.isCovered():
		return err
	case held, err == nil:
		w.unknown, w.failing = time.Time{}, time.Time{}
		return nil
	case errors.Is(err, ErrRateLimited):
		pause := apiErr.RetryAfter
		if pause == 0 {
			pause = limitedPause
		}
		w.client.pace.hold(pause, err)
		if w.isCovered() || !endsBefore(ctx, now.Add(pause)) {
			return nil
		}
		return err
	case w.isCovered():
		return nil // the outcome does not depend on polls
	case errors.Is(err, ErrNotFound):
		w.failing = time.Time{}
		return lasts(&w.unknown, now, notFoundHolds, endsBefore(ctx, now.Add(next)), err)
	case answered && apiErr.StatusCode < 500 && apiErr.StatusCode >= 400:
		return err
	case answered && apiErr.RetryAfter > 0:
		w.client.pace.hold(apiErr.RetryAfter, err)
		return lasts(&w.failing, now, failureHolds, endsBefore(ctx, now.Add(apiErr.RetryAfter)), err)
	default:
		return lasts(&w.failing, now, failureHolds, false, err)
	}
}

// lasts returns err if it has been the case for long enough, or if this was
// the last chance to say so.
func lasts(since *time.Time, now time.Time, long time.Duration, lastChance bool, err error) error {
	if since.IsZero() {
		*since = now
	}
	if lastChance || now.Sub(*since) >= long {
		return err
	}
	return nil
}

func endsBefore(ctx context.Context, t time.Time) bool {
	deadline, ok := ctx.Deadline()
	return ok && deadline.Before(t)
}

// failed is the error of a wait that ends without an outcome.
func (w *waiter) failed(err error) error {
	if w.last != nil && !errors.Is(err, w.last) {
		return fmt.Errorf("privicore: wait for command %s: %w; last poll: %w", w.cmd.ID, err, w.last)
	}
	return fmt.Errorf("privicore: wait for command %s: %w", w.cmd.ID, err)
}

func (w *waiter) close() {
	if w.stop != nil {
		w.stop()
	}
}

package wait

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

const (
	// limitedPause is the least pause after a failure of class Limited.
	limitedPause = time.Second
	// maxSharedPause bounds the pause of all tasks after the answer to one.
	maxSharedPause = 5 * time.Second
)

// A Limiter bounds how often all tasks together ask. It is safe for concurrent
// use. A nil Limiter sets no bound.
type Limiter struct {
	rate *rate.Limiter
	// queue lets one task at a time wait for the rate, in the order in which they
	// came. A task that gives up its place leaves no trace. A reservation with
	// rate would leave one.
	queue *semaphore.Weighted

	mu    sync.Mutex
	until time.Time // end of the pause
}

// NewLimiter returns a Limiter that allows perSecond questions a second.
func NewLimiter(perSecond float64) *Limiter {
	return &Limiter{rate: rate.NewLimiter(rate.Limit(perSecond), 1), queue: semaphore.NewWeighted(1)}
}

// Pause makes all tasks pause for d, and for 5 seconds at most. It returns the
// length of the pause.
func (l *Limiter) Pause(d time.Duration) time.Duration {
	if l == nil {
		return 0
	}
	d = min(d, maxSharedPause)
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := time.Now().Add(d); until.After(l.until) {
		l.until = until
	}
	return d
}

// Wait waits until a task may ask. It returns the error of ctx if ctx ends first.
func (l *Limiter) Wait(ctx context.Context) error {
	if l == nil {
		return ctx.Err()
	}
	if err := l.queue.Acquire(ctx, 1); err != nil {
		return err
	}
	defer l.queue.Release(1)
	if err := l.sleepPaused(ctx); err != nil {
		return err
	}
	if l.rate.Wait(ctx) != nil {
		// The library returns at once if ctx will end before the turn comes.
		<-ctx.Done()
		return ctx.Err()
	}
	return l.sleepPaused(ctx) // a pause may have begun meanwhile
}

// sleepPaused sleeps until no pause is in force.
func (l *Limiter) sleepPaused(ctx context.Context) error {
	for pause := l.paused(); pause > 0; pause = l.paused() {
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	return nil
}

// paused returns how long the pause in force still lasts.
func (l *Limiter) paused() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.until)
}

// sleep sleeps for d. It returns the error of ctx if ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

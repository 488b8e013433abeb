package wait

import (
	"context"
	"log/slog"
	"time"
)

// loop is the state of one call of For.
type loop[T any] struct {
	engine   *Engine
	task     *Task[T]
	classify func(error) (Class, time.Duration)

	ready   <-chan struct{} // of the feed, nil if there is none
	changed <-chan struct{}
	state   State

	due       <-chan time.Time // receives when it is time for the next question
	pause     time.Duration    // before the last question, without jitter
	notBefore time.Time        // the earliest time for the next question

	answers  chan answer[T]     // of the question in progress, or nil
	caughtUp func()             // of the question in progress; see Feed.Asking
	stop     context.CancelFunc // ends the question in progress

	spent spent
	last  error // of the last question
}

// answer is the answer to a question, or the error that it failed with.
type answer[T any] struct {
	value      T
	retryAfter time.Duration
	err        error
}

func newLoop[T any](e *Engine, t *Task[T]) *loop[T] {
	l := &loop[T]{engine: e, task: t, classify: e.Classify, notBefore: t.NotBefore}
	if t.Classify != nil {
		l.classify = t.Classify
	}
	if t.Feed != nil {
		l.ready = t.Feed.Ready()
		l.readState()
	}
	first := time.Duration(0)
	if l.state == Live || l.state == Opening {
		first = l.next()
	} else {
		l.pause = t.Backoff.First // the first question comes at once
	}
	l.plan(first)
	return l
}

// plan sets the next question to come after d, but not before notBefore.
func (l *loop[T]) plan(d time.Duration) {
	if d = max(d, time.Until(l.notBefore)); d > 0 {
		l.due = time.After(d)
		return
	}
	// A timer of zero would do the same. In a synctest bubble, though, the race
	// detector crashes if several goroutines wait for such timers.
	due := make(chan time.Time, 1)
	due <- time.Now()
	l.due = due
}

// take accepts what was pushed.
func (l *loop[T]) take() (done bool, err error) {
	for _, value := range l.task.Feed.Take() {
		if done, err := l.task.Accept(value); done {
			return true, err
		}
	}
	if before := l.state; l.readState() != before {
		l.replan()
	}
	return false, nil
}

// readState reads the state of the feed.
func (l *loop[T]) readState() State {
	l.state, l.changed = l.task.Feed.State()
	return l.state
}

// replan plans the next question after the state of the feed has changed. If a
// question is in progress, the next one is planned when its answer comes.
func (l *loop[T]) replan() {
	l.pause = 0
	if l.answers == nil {
		l.schedule(0)
	}
}

// next returns the pause before the next question, for the state of the feed.
func (l *loop[T]) next() time.Duration {
	b := l.task.Backoff
	switch {
	case l.state == Live:
		l.pause = min(max(2*l.pause, l.engine.Fallback), 4*l.engine.Fallback)
	case l.state == Behind && l.pause == 0:
		// The feed has just come back, so this asks at once for what it missed.
		l.pause = b.First
		return 0
	case l.state == Opening && l.pause == 0:
		l.pause = reopening
	default:
		l.pause = b.after(l.pause)
	}
	return Jitter(l.pause)
}

// schedule plans the next question, not before atLeast has passed.
func (l *loop[T]) schedule(atLeast time.Duration) {
	if atLeast > 0 {
		l.notBefore = time.Now().Add(atLeast)
	}
	l.plan(l.next())
}

// ask asks the question. With a feed it does so in the background, because the feed
// may deliver the end of the task meanwhile.
func (l *loop[T]) ask(ctx context.Context) {
	ctx, l.stop = l.engine.Scope.Bind(ctx)
	answers := make(chan answer[T], 1)
	l.answers = answers
	if l.task.Feed == nil {
		answers <- l.task.question(ctx)
		return
	}
	l.caughtUp = l.task.Feed.Asking()
	l.engine.Scope.Go(func() { answers <- l.task.question(ctx) })
}

// question waits for the limiter and asks once.
func (t *Task[T]) question(ctx context.Context) (a answer[T]) {
	if a.err = t.Limiter.Wait(ctx); a.err != nil {
		return a
	}
	if t.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.Timeout)
		defer cancel()
	}
	a.value, a.retryAfter, a.err = t.Ask(ctx)
	return a
}

// weigh takes in the answer to a question, and reports whether it ends the task.
func (l *loop[T]) weigh(ctx context.Context, a answer[T]) (done bool, err error) {
	l.stop()
	l.answers, l.stop = nil, nil
	if a.err != nil {
		return l.failed(ctx, a.err)
	}
	l.last = nil
	l.spent = spent{}
	if l.task.Feed != nil {
		if done, err := l.take(); done {
			return true, err // the feed delivered the end at the same time
		}
	}
	if done, err = l.task.Accept(a.value); !done {
		if l.task.Feed != nil {
			l.caughtUp()
			l.readState()
		}
		l.schedule(a.retryAfter)
	} else if err == nil && l.state == Live { // an error means that the task was given up
		l.task.Feed.Lost()
	}
	return done, err
}

// failed decides whether the task goes on after a question that failed.
func (l *loop[T]) failed(ctx context.Context, err error) (done bool, ended error) {
	if l.ended(ctx) {
		return false, nil // the loop sees this too, and returns the right error
	}
	l.last = err
	class, retryAfter := l.classify(err)
	if class == Limited {
		retryAfter = max(retryAfter, limitedPause)
	}
	if retryAfter > 0 {
		l.pauseAll(ctx, retryAfter, err)
	}
	switch {
	case l.state == Live:
		l.spent = spent{}
		// The answer will be pushed, whatever becomes of the questions.
	case l.task.Feed == nil && endsBefore(ctx, retryAfter):
		return true, err // the context would end in the pause
	case l.budget().exceeded(&l.spent, class, time.Now()):
		return true, err
	}
	l.schedule(retryAfter)
	return false, nil
}

func (l *loop[T]) ended(ctx context.Context) bool {
	return ctx.Err() != nil || l.engine.Scope.Err() != nil
}

// pauseAll makes the tasks that share the limiter pause too, up to a bound.
func (l *loop[T]) pauseAll(ctx context.Context, retryAfter time.Duration, err error) {
	shared := l.task.Limiter.Pause(retryAfter)
	l.engine.Logger.LogAttrs(ctx, slog.LevelDebug, "privicore: pause between polls",
		slog.String("operation", l.task.Name), slog.String("id", l.task.ID),
		slog.Duration("pause", retryAfter), slog.Duration("pause_of_others", shared), slog.Any("error", err))
}

func (l *loop[T]) budget() Budget {
	if l.task.Budget != (Budget{}) {
		return l.task.Budget
	}
	return l.engine.Budget
}

// end returns an Unfinished, unless the end of the task came at the same time.
func (l *loop[T]) end(why error) error {
	if l.task.Feed != nil {
		if done, err := l.take(); done {
			return err
		}
	}
	select {
	case a := <-l.answers:
		if a.err == nil {
			if done, err := l.task.Accept(a.value); done {
				return err
			}
		}
	default:
	}
	return &Unfinished{Err: why, Last: l.last}
}

func (l *loop[T]) close() {
	if l.stop != nil {
		l.stop()
	}
}

// endsBefore reports whether the deadline of ctx comes before a pause of d has
// passed. A pause of zero ends at once.
func endsBefore(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && d > 0 && time.Until(deadline) < d
}

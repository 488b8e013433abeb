package wait

import (
	"context"
	"log/slog"
	"time"
)

// maxAsking bounds how many questions one loop has in progress, because each needs
// a goroutine.
const maxAsking = 64

// loop is the state of one call of All. All of it is used by one goroutine.
type loop[T any] struct {
	engine *Engine
	task   func(i int) *Task[T]
	end    func(i int, err error)
	start  time.Time

	courses []course
	queue   queue
	first   int // the first task that has not ended

	ready   <-chan struct{} // of the feed of the first task, nil if there is none
	changed <-chan struct{} // of all feeds
	timer   *time.Timer     // for the next question, nil before it is needed

	questions map[int]question // whose answers have not come, by task
	answers   chan answer[T]
}

// question is a question whose answer has not come.
type question struct {
	stop     context.CancelFunc
	caughtUp func() // see Feed.Asking; nil without a feed
}

// answer is the answer to a question, or the error that it failed with.
type answer[T any] struct {
	task       int
	value      T
	retryAfter time.Duration
	err        error
	spared     bool // something was pushed before the question was asked
}

func newLoop[T any](e *Engine, n int, task func(int) *Task[T], end func(int, error)) *loop[T] {
	l := &loop[T]{engine: e, task: task, end: end, start: time.Now(), courses: make([]course, n)}
	l.queue = queue{courses: l.courses, tasks: make([]int32, 0, n)}
	for i := range l.courses {
		l.begin(i)
	}
	return l
}

// begin plans the first question of a task.
func (l *loop[T]) begin(i int) {
	t, c := l.task(i), &l.courses[i]
	if t.Feed != nil {
		var changed <-chan struct{}
		c.state, changed = t.Feed.State()
		if l.changed == nil {
			l.changed = changed
		}
	}
	if c.state == Off {
		c.pause = t.Backoff.First // the first question comes at once
		l.plan(i, t, 0)
		return
	}
	l.schedule(i, t, 0)
}

// run runs the loop until all tasks have ended.
func (l *loop[T]) run(ctx context.Context) {
	for l.takeFirst() {
		due := l.askDue(ctx)
		if l.courses[l.first].ended {
			continue // something was pushed when it was due
		}
		select {
		case <-l.ready: // takeFirst takes what is there
		case <-l.changed:
			l.replan()
		case <-due: // askDue asks
		case a := <-l.answers:
			l.weigh(ctx, a)
		case <-ctx.Done():
			l.giveUp(ctx, ctx.Err())
		case <-l.engine.Scope.Done():
			l.giveUp(ctx, l.engine.Scope.Err())
		}
	}
}

// takeFirst takes what was pushed for the first task that has not ended. It goes
// on to the next task if that ends the first one. It reports false if none is left.
//
// The loop waits for the pushes of this task only. What is pushed for the others
// is kept by their feeds until they are the first, or until they would ask.
func (l *loop[T]) takeFirst() bool {
	for ; l.first < len(l.courses); l.first++ {
		if l.courses[l.first].ended {
			continue
		}
		t := l.task(l.first)
		if t.Feed == nil {
			return true
		}
		l.ready = t.Feed.Ready()
		if !l.take(l.first, t) {
			return true
		}
	}
	return false
}

// take accepts what was pushed for a task, and reports whether that ends the task.
func (l *loop[T]) take(i int, t *Task[T]) (ended bool) {
	if t.Feed == nil {
		return false
	}
	select {
	case <-t.Feed.Ready(): // what it announced is taken now
	default:
	}
	values := t.Feed.Take()
	for _, value := range values {
		if done, err := t.Accept(value); done {
			l.finish(i, err)
			return true
		}
	}
	if _, asked := l.questions[i]; len(values) > 0 && l.readState(i, t) && !asked {
		l.schedule(i, t, 0)
	}
	return false
}

// finish ends a task, and its question if one is in progress.
func (l *loop[T]) finish(i int, err error) {
	l.courses[i].ended, l.courses[i].record = true, nil
	l.queue.remove(i)
	if q, asked := l.questions[i]; asked {
		q.stop()
	}
	l.end(i, err)
}

// readState reads the state of a task's feed, and reports whether it has changed.
func (l *loop[T]) readState(i int, t *Task[T]) bool {
	if t.Feed == nil {
		return false
	}
	state, _ := t.Feed.State()
	return l.courses[i].enter(state)
}

// replan plans all questions anew, after the feeds have changed. Those in progress
// are planned anew when their answers come.
func (l *loop[T]) replan() {
	l.changed = nil
	for i := l.first; i < len(l.courses); i++ {
		c := &l.courses[i]
		if c.ended {
			continue
		}
		t := l.task(i)
		state, changed := t.Feed.State()
		if l.changed == nil {
			// The first one is closed by any change that a later task may see.
			l.changed = changed
		}
		c.enter(state)
		c.pause = 0
		if _, asked := l.questions[i]; !asked {
			l.schedule(i, t, 0)
		}
	}
}

// schedule plans the next question of a task, not before retryAfter has passed.
func (l *loop[T]) schedule(i int, t *Task[T], retryAfter time.Duration) {
	if retryAfter > 0 {
		l.courses[i].remember().notBefore = time.Since(l.start) + retryAfter
	}
	l.plan(i, t, l.courses[i].next(t.Backoff, l.engine.Fallback))
}

// plan plans the next question of a task to come after d, or later if the server
// has asked for that.
func (l *loop[T]) plan(i int, t *Task[T], d time.Duration) {
	c := &l.courses[i]
	c.due = time.Since(l.start) + d
	if !t.NotBefore.IsZero() {
		c.due = max(c.due, t.NotBefore.Sub(l.start))
	}
	if c.record != nil {
		c.due = max(c.due, c.record.notBefore)
	}
	l.queue.put(i)
}

// askDue asks the questions that are due, up to the bound. It returns a channel
// that receives when the next one is due, or nil if an answer has to come before.
func (l *loop[T]) askDue(ctx context.Context) <-chan time.Time {
	for l.queue.Len() > 0 && len(l.questions) < maxAsking {
		i := l.queue.first()
		if d := l.courses[i].due - time.Since(l.start); d > 0 {
			return l.after(d)
		}
		t := l.task(i)
		if l.take(i, t) || l.courses[i].due > time.Since(l.start) {
			continue // what was pushed has ended the task, or shown that the feed is live
		}
		l.ask(ctx, i, t)
	}
	return nil
}

// after returns a channel that receives after d.
func (l *loop[T]) after(d time.Duration) <-chan time.Time {
	if l.timer == nil {
		l.timer = time.NewTimer(d)
	} else {
		l.timer.Reset(d)
	}
	return l.timer.C
}

// ask asks the question of a task in the background.
func (l *loop[T]) ask(ctx context.Context, i int, t *Task[T]) {
	if l.answers == nil {
		l.questions = make(map[int]question)
		// There is room for all, so that questions can end after the loop.
		l.answers = make(chan answer[T], min(len(l.courses), maxAsking))
	}
	l.queue.remove(i)
	ctx, stop := l.engine.Scope.Bind(ctx)
	put := func() { l.answers <- t.question(ctx, i) }
	if t.Feed == nil {
		l.questions[i] = question{stop: stop}
		go put() // giveUp waits for it
		return
	}
	caughtUp := t.Feed.Asking()
	if !l.engine.Scope.Go(put) {
		stop()
		return // the scope has ended, and the loop is about to see it
	}
	l.questions[i] = question{stop: stop, caughtUp: caughtUp}
}

// question waits for the limiter and asks once.
func (t *Task[T]) question(ctx context.Context, i int) (a answer[T]) {
	a.task = i
	if t.Local == nil || !t.Local() {
		if a.err = t.Limiter.Wait(ctx); a.err != nil {
			return a
		}
		if t.Feed != nil && len(t.Feed.Ready()) > 0 {
			a.spared = true
			return a
		}
	}
	if t.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.Timeout)
		defer cancel()
	}
	a.value, a.retryAfter, a.err = t.Ask(ctx)
	return a
}

// weigh takes in the answer to a question.
func (l *loop[T]) weigh(ctx context.Context, a answer[T]) {
	i := a.task
	t, q := l.task(i), l.questions[i]
	// What was pushed meanwhile comes first. It is not lost, a failure must not
	// hide it, and it may change the state of the feed.
	ended := l.courses[i].ended || l.take(i, t)
	q.stop()
	delete(l.questions, i)
	if ended {
		return
	}
	l.readState(i, t)
	switch {
	case a.err != nil:
		l.failed(ctx, i, t, a.err)
		return
	case a.spared:
		l.schedule(i, t, 0)
		return
	}
	l.courses[i].record = nil
	if done, err := t.Accept(a.value); done {
		if err == nil && l.courses[i].state == Live { // an error means that the task was given up
			t.Feed.Lost()
		}
		l.finish(i, err)
		return
	}
	if t.Feed != nil {
		q.caughtUp()
		l.readState(i, t)
	}
	l.schedule(i, t, a.retryAfter)
}

// failed decides whether a task goes on after a question that failed.
func (l *loop[T]) failed(ctx context.Context, i int, t *Task[T], err error) {
	if ctx.Err() != nil || l.engine.Scope.Err() != nil {
		return // the question was broken off, and the loop is about to end
	}
	c := &l.courses[i]
	r := c.remember()
	r.last = err
	class, retryAfter := l.classify(t, err)
	if retryAfter > 0 {
		l.pauseAll(ctx, t, retryAfter, err)
	}
	switch {
	case c.state == Live:
		// The answer will be pushed, whatever becomes of the questions.
	case t.Feed == nil && endsBefore(ctx, retryAfter), // the context would end in the pause
		l.budget(t).exceeded(&r.spent, class, time.Now()):
		l.finish(i, err)
		return
	}
	l.schedule(i, t, retryAfter)
}

// classify returns what a failure means, and the pause that has to follow it.
func (l *loop[T]) classify(t *Task[T], err error) (class Class, retryAfter time.Duration) {
	classify := l.engine.Classify
	if t.Classify != nil {
		classify = t.Classify
	}
	class, retryAfter = classify(err)
	if class == Limited {
		retryAfter = max(retryAfter, limitedPause)
	}
	return class, retryAfter
}

// pauseAll makes the tasks that share the limiter pause too, up to a bound.
func (l *loop[T]) pauseAll(ctx context.Context, t *Task[T], retryAfter time.Duration, err error) {
	shared := t.Limiter.Pause(retryAfter)
	l.engine.Logger.LogAttrs(ctx, slog.LevelDebug, "privicore: pause between polls",
		slog.String("operation", t.Name), slog.String("id", t.ID),
		slog.Duration("pause", retryAfter), slog.Duration("pause_of_others", shared), slog.Any("error", err))
}

func (l *loop[T]) budget(t *Task[T]) Budget {
	if t.Budget != (Budget{}) {
		return t.Budget
	}
	return l.engine.Budget
}

// giveUp ends all tasks that are left. Each ends with an Unfinished, unless its
// end came at the same time.
func (l *loop[T]) giveUp(ctx context.Context, why error) {
	for len(l.questions) > 0 {
		a, ok := l.lateAnswer()
		if !ok {
			break
		}
		l.weigh(ctx, a)
	}
	for i := l.first; i < len(l.courses); i++ {
		if l.courses[i].ended {
			continue
		}
		if t := l.task(i); !l.take(i, t) {
			l.finish(i, &Unfinished{Err: why, Last: l.courses[i].last()})
		}
	}
}

// lateAnswer returns an answer that has come. Without a feed it waits for the
// answer, because a value that is given out once would be lost. The question ends
// soon, because its context has ended.
func (l *loop[T]) lateAnswer() (a answer[T], ok bool) {
	if l.changed == nil {
		return <-l.answers, true
	}
	select {
	case a = <-l.answers:
		return a, true
	default:
		return a, false
	}
}

// close stops the timer.
func (l *loop[T]) close() {
	if l.timer != nil {
		l.timer.Stop()
	}
}

// endsBefore reports whether the deadline of ctx comes before a pause of d has
// passed. A pause of zero ends at once.
func endsBefore(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && d > 0 && time.Until(deadline) < d
}

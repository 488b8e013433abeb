// Package wait is the engine behind everything that waits: for commands, for
// announced data, for votes, and for values that are not found yet.
//
// A Task holds the function that asks the server a question and the function that
// takes in an answer. If the task has a Feed, the server also pushes answers, and
// asking is needed only while the feed may have missed one. For runs one task, and
// All runs many, in the same loop. The loop takes what is pushed, asks with
// growing pauses, and counts failures against a budget, until each task has ended.
//
// All tasks that ask the same server share a Limiter. The package knows no client
// and no kind of error: Engine.Classify returns what a failure means.
package wait

import (
	"context"
	"log/slog"
	"time"

	"github.com/privicore/privicore-go/internal/lifecycle"
)

// reopening is how long a task waits for a feed that is opening before it asks.
const reopening = 600 * time.Millisecond

// Class is what a failure means for a task.
type Class uint8

// The classes.
const (
	Passing  Class = iota // the server fails or cannot be reached
	NotFound              // the server does not know the thing, or not yet
	Refused               // the server refuses to answer
	Limited               // the server wants to be asked less often
	Final                 // asking again cannot help
)

// An Engine is what all tasks of a client have in common.
type Engine struct {
	Scope *lifecycle.Scope
	// Classify returns what a failure means, and the pause that the server asks
	// for, or 0.
	Classify func(error) (Class, time.Duration)
	// Fallback is how long a task waits for a live feed before it asks, in case
	// an answer was lost.
	Fallback time.Duration
	// Budget is how long failures may last, unless a Task has its own.
	Budget Budget
	Logger *slog.Logger
}

// A Task is one thing to wait for. Ask and Accept are required.
type Task[T any] struct {
	// Name and ID are for the log.
	Name, ID string
	// Ask asks the question once. It returns the answer, and the pause that the
	// server asks for, or 0. It runs in a goroutine of its own.
	Ask func(ctx context.Context) (value T, retryAfter time.Duration, err error)
	// Accept takes in an answer, and reports whether it ends the task. An error
	// means that the task was given up. Accept runs in the goroutine that called
	// For or All.
	Accept func(T) (done bool, err error)
	// Feed delivers answers that the server pushes. It may be nil.
	Feed Feed[T]
	// Limiter is shared with other tasks. Nil means no limit.
	Limiter *Limiter
	// Local reports whether the next question is answered without a request, so
	// that it needs no turn of the Limiter. Nil means that none is.
	Local func() bool
	// Backoff is the pauses between two questions.
	Backoff Backoff
	// Timeout bounds one question, so that the next one can try another
	// connection. Zero means no bound.
	Timeout time.Duration
	// NotBefore is the earliest time for the first question.
	NotBefore time.Time
	// Classify and Budget replace those of the Engine.
	Classify func(error) (Class, time.Duration)
	Budget   Budget
}

// State is how far a Feed can be relied on.
type State uint8

// The states.
const (
	Off     State = iota // nothing is pushed
	Opening              // it may be live in a moment
	Behind               // what happens from now on is pushed, but something may have been missed
	Live                 // nothing was missed, and nothing will be
)

// A Feed delivers answers that the server pushes. One goroutine calls its methods.
type Feed[T any] interface {
	// Ready receives when Take has something to return.
	Ready() <-chan struct{}
	// Take returns what came since the last time.
	Take() []T
	// State returns the state, and a channel that is closed when it may change.
	State() (State, <-chan struct{})
	// Asking is called before a question. The loop calls caughtUp if the answer
	// does not end the task. The feed then knows that it missed nothing from
	// before the question.
	Asking() (caughtUp func())
	// Lost is called if the answer to a question ends the task while the state
	// is Live. The feed should have delivered that answer.
	Lost()
}

// Unfinished is the error of a task that ended before it was finished, because
// its context or the engine's scope ended.
type Unfinished struct {
	Err  error // why it ended
	Last error // of the last question, if it failed
}

// Error returns why the task ended.
func (e *Unfinished) Error() string { return e.Err.Error() }

// Unwrap returns why the task ended.
func (e *Unfinished) Unwrap() error { return e.Err }

// For runs a task until an answer ends it, ctx ends, the engine's scope ends, or
// failures exceed their budget. If an answer ends the task, it returns the error of
// Accept. If failures do, it returns the last one. Otherwise it returns an
// *Unfinished.
func For[T any](ctx context.Context, e *Engine, t Task[T]) error {
	var ended error
	All(ctx, e, 1, func(int) *Task[T] { return &t }, func(_ int, err error) { ended = err })
	return ended
}

// All runs n tasks like For, and returns when all have ended. It calls end once
// for each task, with the error that For would return, as soon as it knows that
// the task has ended.
//
// All calls task whenever it needs task i, so that no task has to be kept in
// memory meanwhile. The tasks share one connection: either all have a Feed or
// none, and the channel that Feed.State returns is the same for all. All calls
// task and end from its own goroutine.
func All[T any](ctx context.Context, e *Engine, n int, task func(i int) *Task[T], end func(i int, err error)) {
	l := newLoop(e, n, task, end)
	defer l.close()
	l.run(ctx)
}

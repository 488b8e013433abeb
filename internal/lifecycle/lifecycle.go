// Package lifecycle ends goroutines and contexts together with the thing that
// they work for.
//
// A Scope begins when a client is made and ends when it is closed. What runs in
// the background is started with Go. A call that must not outlive the client
// derives its context with Bind. Work that must be finished even if its caller
// gives up, such as the renewal of a token that others wait for too, derives it
// with Detach. End cancels all of these contexts and waits for the goroutines.
//
// The package knows nothing of calls, tokens or channels.
package lifecycle

import (
	"context"
	"sync"
	"time"
)

// A Scope is safe for concurrent use. Make one with New.
type Scope struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	err    error

	mu      sync.Mutex // orders Go and End
	running sync.WaitGroup
}

// New returns a Scope that has begun. The contexts that end with it have err as
// their cause.
func New(err error) *Scope {
	s := &Scope{err: err}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// Err returns the error that was given to New if the scope has ended, and nil
// before.
func (s *Scope) Err() error {
	if s.ctx.Err() != nil {
		return s.err
	}
	return nil
}

// Done returns a channel that is closed when the scope ends.
func (s *Scope) Done() <-chan struct{} { return s.ctx.Done() }

// Context returns a context that ends with the scope.
func (s *Scope) Context() context.Context { return s.ctx }

// AfterEnd runs f in a goroutine of its own when the scope ends, unless stop is
// called before. stop reports whether it kept f from running.
func (s *Scope) AfterEnd(f func()) (stop func() bool) { return context.AfterFunc(s.ctx, f) }

// Go runs f in a goroutine for which End waits, and reports whether it did. It
// does not if the scope has ended. f has to return soon after Done is closed.
func (s *Scope) Go(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.running.Go(f)
	return true
}

// Bind returns a context that ends with ctx or with the scope, whichever ends
// first. The caller calls cancel when it needs the context no longer.
func (s *Scope) Bind(ctx context.Context) (bound context.Context, cancel context.CancelFunc) {
	bound, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.ctx, func() { end(s.err) })
	return bound, func() { stop(); end(context.Canceled) }
}

// Detach returns a context with the values of ctx that does not end with it: it
// ends with the scope, and after limit.
func (s *Scope) Detach(ctx context.Context, limit time.Duration) (detached context.Context, cancel context.CancelFunc) {
	detached, cancelLimit := context.WithTimeout(context.WithoutCancel(ctx), limit)
	detached, cancelBound := s.Bind(detached)
	return detached, func() { cancelBound(); cancelLimit() }
}

// End ends the scope, with all contexts that were derived from it, and waits
// for the goroutines. It may be called more than once.
func (s *Scope) End() {
	s.mu.Lock()
	s.cancel(s.err)
	s.mu.Unlock()
	s.running.Wait()
}

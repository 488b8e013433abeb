package wait

import (
	"context"
	"log/slog"
	"testing"

	"github.com/privicore/privicore-go/internal/lifecycle"
)

// readyFeed is a live feed that has the answer.
type readyFeed struct{ taken bool }

func (f *readyFeed) Ready() <-chan struct{} { return nil }
func (f *readyFeed) Take() []string {
	if f.taken {
		return nil
	}
	f.taken = true
	return answers
}
func (f *readyFeed) State() (State, <-chan struct{}) { return Live, nil }
func (f *readyFeed) Asking() func()                  { return func() {} }
func (f *readyFeed) Lost()                           {}

var answers = []string{finish}

// runReady runs a task whose answer has been pushed before.
func runReady(ctx context.Context, e *Engine, l *Limiter) error {
	return For(ctx, e, Task[string]{
		Ask:     nil,
		Accept:  func(value string) (bool, error) { return value == finish, nil },
		Feed:    &readyFeed{},
		Limiter: l,
		Backoff: backoff,
	})
}

func newBenchEngine(b *testing.B) *Engine {
	e := &Engine{
		Scope:    lifecycle.New(errScope),
		Classify: classify,
		Fallback: fallback,
		Budget:   budget,
		Logger:   slog.New(slog.DiscardHandler),
	}
	b.Cleanup(e.Scope.End)
	return e
}

func BenchmarkForReady(b *testing.B) {
	e, l := newBenchEngine(b), NewLimiter(10)
	b.ReportAllocs()
	for b.Loop() {
		if err := runReady(b.Context(), e, l); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAll10000(b *testing.B) {
	e, l := newBenchEngine(b), NewLimiter(10)
	ended := 0
	task := func(int) *Task[string] {
		return &Task[string]{
			Accept:  func(value string) (bool, error) { return value == finish, nil },
			Feed:    &readyFeed{},
			Limiter: l,
			Backoff: backoff,
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		All(b.Context(), e, 10_000, task, func(_ int, err error) {
			if ended++; err != nil {
				b.Error(err)
			}
		})
	}
	if ended%10_000 != 0 || ended == 0 {
		b.Error(ended)
	}
}

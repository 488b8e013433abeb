package wait

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// turns records when goroutines get their turn.
type turns struct {
	start time.Time
	took  chan turn
}

type turn struct {
	name string
	at   time.Duration
	err  error
}

func newTurns() *turns { return &turns{start: time.Now(), took: make(chan turn, 1000)} }

// wait lets name wait for its turn, behind those who wait already.
func (s *turns) wait(ctx context.Context, l *Limiter, name string) {
	go func() {
		err := l.Wait(ctx)
		s.took <- turn{name, time.Since(s.start), err}
	}()
	synctest.Wait()
}

func (s *turns) next(t *testing.T, name string, at time.Duration) {
	t.Helper()
	assert.Equal(t, turn{name: name, at: at}, <-s.took)
}

func TestLimiterRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(10)
		start := time.Now()
		for i := range 20 {
			require.NoError(t, l.Wait(t.Context()))
			assert.Equal(t, time.Duration(i)*100*time.Millisecond, time.Since(start))
		}
		time.Sleep(time.Minute)
		start = time.Now()
		require.NoError(t, l.Wait(t.Context()))
		require.NoError(t, l.Wait(t.Context()))
		assert.Equal(t, 100*time.Millisecond, time.Since(start), "idle time is not saved up")
	})
}

func TestLimiterOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := NewLimiter(1), newTurns()
		for _, name := range []string{"a", "b", "c", "d"} {
			s.wait(t.Context(), l, name)
		}
		for i, name := range []string{"a", "b", "c", "d"} {
			s.next(t, name, time.Duration(i)*time.Second)
		}
	})
}

func TestNilLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l *Limiter
		assert.Zero(t, l.Pause(time.Hour))
		start := time.Now()
		for range 100 {
			require.NoError(t, l.Wait(t.Context()))
		}
		assert.Zero(t, time.Since(start))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.Equal(t, context.Canceled, l.Wait(ctx))
	})
}

func TestLimiterPause(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		pauses []time.Duration // that are asked for one second after the other
		want   []time.Duration // that are returned
		until  time.Duration   // nobody asks before
	}{
		{"short", seconds(3), seconds(3), 3 * time.Second},
		{"capped", seconds(3600), seconds(5), 5 * time.Second},
		{"a shorter one does not end a longer one", seconds(4, 1), seconds(4, 1), 4 * time.Second},
		{"a later one lasts longer", seconds(4, 4), seconds(4, 4), 5 * time.Second},
		{"over", seconds(1, 0), seconds(1, 0), time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, s := NewLimiter(1000), newTurns()
				for i, d := range test.pauses {
					if i > 0 {
						time.Sleep(time.Second)
					}
					assert.Equal(t, test.want[i], l.Pause(d))
				}
				s.wait(t.Context(), l, "task")
				s.next(t, "task", test.until)
			})
		})
	}
}

func seconds(n ...int) (d []time.Duration) {
	for _, n := range n {
		d = append(d, time.Duration(n)*time.Second)
	}
	return d
}

// A pause binds the task that waits for the rate as well.
func TestLimiterPauseWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := NewLimiter(1), newTurns()
		s.wait(t.Context(), l, "first")
		s.next(t, "first", 0)
		s.wait(t.Context(), l, "second")
		l.Pause(3 * time.Second)
		s.next(t, "second", 3*time.Second)
	})
}

func TestLimiterPauseGrowsWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := NewLimiter(1000), newTurns()
		l.Pause(3 * time.Second)
		s.wait(t.Context(), l, "task")
		time.Sleep(2 * time.Second)
		l.Pause(4 * time.Second)
		time.Sleep(3 * time.Second)
		l.Pause(4 * time.Second)
		s.next(t, "task", 9*time.Second)
	})
}

// A task that gives up makes the others wait no longer than without it.
func TestLimiterGivenUp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		pause time.Duration
		with  func(parent context.Context) (context.Context, context.CancelFunc)
		gone  time.Duration
		err   error
		next  time.Duration // when the other gets its turn
	}{
		{"for the rate", 0, canceledAfter(500 * time.Millisecond), 500 * time.Millisecond, context.Canceled, time.Second},
		{"at its deadline", 0, endingAfter(500 * time.Millisecond), 500 * time.Millisecond, context.DeadlineExceeded, time.Second},
		{"in a pause", 4 * time.Second, canceledAfter(500 * time.Millisecond), 500 * time.Millisecond, context.Canceled, 4 * time.Second},
		{"ended already", 0, canceledAfter(0), 0, context.Canceled, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, s := NewLimiter(1), newTurns()
				require.NoError(t, l.Wait(t.Context())) // the next turn comes after a second
				l.Pause(test.pause)
				ctx, cancel := test.with(t.Context())
				defer cancel()
				s.wait(ctx, l, "gives up")
				s.wait(t.Context(), l, "other")
				assert.Equal(t, turn{"gives up", test.gone, test.err}, <-s.took)
				s.next(t, "other", test.next)
			})
		})
	}
}

func TestLimiterGivenUpInTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := NewLimiter(1), newTurns()
		require.NoError(t, l.Wait(t.Context()))
		s.wait(t.Context(), l, "first")
		ctx, cancel := context.WithCancel(t.Context())
		s.wait(ctx, l, "gives up")
		s.wait(t.Context(), l, "last")
		cancel()
		assert.Equal(t, turn{"gives up", 0, context.Canceled}, <-s.took)
		s.next(t, "first", time.Second)
		s.next(t, "last", 2*time.Second)
	})
}

// A task that gives up in a pause that began during its turn leaves the limiter
// free for the next one.
func TestLimiterGivenUpInALatePause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := NewLimiter(1), newTurns()
		require.NoError(t, l.Wait(t.Context()))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		s.wait(ctx, l, "gives up")
		l.Pause(5 * time.Second)
		s.wait(t.Context(), l, "other")
		assert.Equal(t, turn{"gives up", 2 * time.Second, context.DeadlineExceeded}, <-s.took)
		s.next(t, "other", 5*time.Second)
	})
}

// A task that comes in a pause and gives up in it takes no turn from the others.
func TestLimiterGivenUpAtTheEndOfAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := NewLimiter(1), newTurns()
		l.Pause(1500 * time.Millisecond)
		time.Sleep(1200 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		s.wait(ctx, l, "gives up")
		s.wait(t.Context(), l, "other")
		assert.Equal(t, turn{"gives up", 1300 * time.Millisecond, context.DeadlineExceeded}, <-s.took)
		s.next(t, "other", 1500*time.Millisecond)
	})
}

func canceledAfter(d time.Duration) func(context.Context) (context.Context, context.CancelFunc) {
	return func(parent context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(parent)
		if d == 0 {
			cancel()
		} else {
			time.AfterFunc(d, cancel)
		}
		return ctx, cancel
	}
}

func endingAfter(d time.Duration) func(context.Context) (context.Context, context.CancelFunc) {
	return func(parent context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(parent, d)
	}
}

package wait_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/internal/lifecycle"
	"github.com/privicore/privicore-go/internal/wait"
)

var errEnded = errors.New("ended")

// failure is an error of a class.
type failure struct {
	class      wait.Class
	retryAfter time.Duration
}

func (f failure) Error() string { return fmt.Sprintf("failure of class %d", f.class) }

func classify(err error) (wait.Class, time.Duration) {
	if f, ok := errors.AsType[failure](err); ok {
		return f.class, f.retryAfter
	}
	return wait.Passing, 0
}

func newEngine(t *testing.T) *wait.Engine {
	t.Helper()
	e := &wait.Engine{
		Scope:    lifecycle.New(errEnded),
		Classify: classify,
		Fallback: 30 * time.Second,
		Budget:   wait.Budget{NotFound: 5 * time.Second, Refused: 6 * time.Second, Outage: 3 * time.Minute},
		Logger:   slog.New(slog.DiscardHandler),
	}
	t.Cleanup(e.Scope.End)
	return e
}

// news is what the tasks of the tests accept.
type news string

const (
	running news = "running"
	done    news = "done"
)

// asked records the questions of a task, by the time since the bubble began.
type asked struct {
	mu     sync.Mutex
	start  time.Time
	times  []time.Duration
	answer func(n int) (news, time.Duration, error)
}

func (a *asked) ask(context.Context) (news, time.Duration, error) {
	a.mu.Lock()
	a.times = append(a.times, time.Since(a.start))
	n := len(a.times)
	a.mu.Unlock()
	return a.answer(n)
}

func (a *asked) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.times)
}

// newTask returns a task that ends with "done".
func newTask(answer func(n int) (news, time.Duration, error)) (*asked, wait.Task[news]) {
	a := &asked{start: time.Now(), answer: answer}
	return a, wait.Task[news]{
		Name:    "Test.Task",
		Ask:     a.ask,
		Accept:  func(n news) (bool, error) { return n == done, nil },
		Backoff: wait.Backoff{First: 100 * time.Millisecond, Max: 3 * time.Second},
	}
}

func failing(err error) func(int) (news, time.Duration, error) {
	return func(int) (news, time.Duration, error) { return "", 0, err }
}

func after(n int, first, then func() (news, time.Duration, error)) func(int) (news, time.Duration, error) {
	return func(i int) (news, time.Duration, error) {
		if i <= n {
			return first()
		}
		return then()
	}
}

func saying(n news) func() (news, time.Duration, error) {
	return func() (news, time.Duration, error) { return n, 0, nil }
}

// bubble runs test in a synctest bubble.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

func TestAsksWithGrowingPauses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, task := newTask(after(20, saying(running), saying(done)))
		require.NoError(t, wait.For(t.Context(), newEngine(t), task))
		require.Len(t, a.times, 21)
		assert.Zero(t, a.times[0], "the first question comes at once")
		limit := 150 * time.Millisecond
		for i := 1; i < len(a.times); i++ {
			pause := a.times[i] - a.times[i-1]
			assert.LessOrEqual(t, pause, limit)
			assert.GreaterOrEqual(t, pause, min(limit/2, 3*time.Second/2))
			limit = min(limit*3/2, 3*time.Second)
		}
	})
}

func TestNotBefore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, task := newTask(after(0, nil, saying(done)))
		task.NotBefore = time.Now().Add(7 * time.Second)
		require.NoError(t, wait.For(t.Context(), newEngine(t), task))
		assert.Equal(t, []time.Duration{7 * time.Second}, a.times)
	})
}

func TestRetryAfterOfAnAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, task := newTask(after(1, func() (news, time.Duration, error) { return running, time.Minute, nil }, saying(done)))
		require.NoError(t, wait.For(t.Context(), newEngine(t), task))
		assert.Equal(t, []time.Duration{0, time.Minute}, a.times)
	})
}

func TestAcceptEndsWithAnError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rejected := errors.New("rejected")
		_, task := newTask(after(0, nil, saying(done)))
		task.Accept = func(news) (bool, error) { return true, rejected }
		assert.Equal(t, rejected, wait.For(t.Context(), newEngine(t), task))
	})
}

func TestBudgets(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		class  wait.Class
		lasts  time.Duration
		fewest int
	}{
		"not found": {wait.NotFound, 5 * time.Second, 3},
		"refused":   {wait.Refused, 6 * time.Second, 3},
		"passing":   {wait.Passing, 3 * time.Minute, 10},
		"final":     {wait.Final, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, task := newTask(failing(failure{class: test.class}))
				err := wait.For(t.Context(), newEngine(t), task)
				assert.Equal(t, failure{class: test.class}, err)
				assert.GreaterOrEqual(t, time.Since(a.start), test.lasts)
				assert.LessOrEqual(t, time.Since(a.start), test.lasts+4*time.Second)
				assert.GreaterOrEqual(t, a.count(), test.fewest)
			})
			// A task that asks rarely is not ended by the clock alone.
			bubble2 := func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, task := newTask(failing(failure{class: test.class, retryAfter: 10 * time.Minute}))
					require.Error(t, wait.For(t.Context(), newEngine(t), task))
					assert.Equal(t, test.fewest, a.count())
				})
			}
			bubble2(t)
		})
	}
}

func TestBudgetOfTheTask(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, task := newTask(failing(failure{class: wait.Refused}))
		task.Budget = wait.Budget{NotFound: 20 * time.Second}
		task.Classify = func(error) (wait.Class, time.Duration) { return wait.NotFound, 0 }
		require.Error(t, wait.For(t.Context(), newEngine(t), task))
		assert.GreaterOrEqual(t, time.Since(a.start), 20*time.Second)
	})
}

func TestAnotherClassBeginsAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, task := newTask(func(n int) (news, time.Duration, error) {
			switch {
			case n > 100:
				return done, 0, nil
			case n%2 == 0:
				return "", 0, failure{class: wait.NotFound}
			}
			return "", 0, failure{class: wait.Refused}
		})
		require.NoError(t, wait.For(t.Context(), newEngine(t), task))
		assert.Equal(t, 101, a.count())
	})
}

func TestAnAnswerForgetsFailures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, task := newTask(func(n int) (news, time.Duration, error) {
			switch {
			case n > 60:
				return done, 0, nil
			case n%3 == 0:
				return running, 0, nil
			}
			return "", 0, failure{class: wait.NotFound}
		})
		require.NoError(t, wait.For(t.Context(), newEngine(t), task))
		assert.Equal(t, 61, a.count())
	})
}

func TestLimited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, task := newTask(func(n int) (news, time.Duration, error) {
			if n > 50 {
				return done, 0, nil
			}
			return "", 0, failure{class: wait.Limited}
		})
		require.NoError(t, wait.For(t.Context(), newEngine(t), task), "a limit never ends a task")
		for i := 1; i < len(a.times); i++ {
			assert.GreaterOrEqual(t, a.times[i]-a.times[i-1], time.Second)
		}
	})
}

func TestPauseThatOutlastsTheContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		limited := failure{wait.Limited, time.Hour}
		a, task := newTask(failing(limited))
		assert.Equal(t, limited, wait.For(ctx, newEngine(t), task))
		assert.Zero(t, time.Since(a.start))

		f := &feed{state: wait.Off}
		a, task = newTask(failing(limited))
		task.Feed = f
		err := wait.For(ctx, newEngine(t), task)
		unfinished, ok := errors.AsType[*wait.Unfinished](err)
		require.True(t, ok, "the answer may be pushed")
		assert.Equal(t, context.DeadlineExceeded, unfinished.Err)
		assert.Equal(t, limited, unfinished.Last)
		assert.Equal(t, 10*time.Second, time.Since(a.start))
	})
}

func TestContextEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, task := newTask(failing(failure{class: wait.NotFound}))
		err := wait.For(ctx, newEngine(t), task)
		require.ErrorIs(t, err, context.DeadlineExceeded, "and not the last answer")
		unfinished, ok := errors.AsType[*wait.Unfinished](err)
		require.True(t, ok)
		assert.Equal(t, failure{class: wait.NotFound}, unfinished.Last)
		assert.Equal(t, context.DeadlineExceeded.Error(), err.Error())
	})
}

func TestScopeEnds(t *testing.T) {
	t.Parallel()
	for _, withFeed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := newEngine(t)
			_, task := newTask(nil)
			var broken atomic.Bool
			task.Ask = func(ctx context.Context) (news, time.Duration, error) {
				<-ctx.Done() // a question that hangs
				broken.Store(true)
				return "", 0, context.Cause(ctx)
			}
			if withFeed {
				task.Feed = &feed{}
			}
			time.AfterFunc(time.Minute, e.Scope.End)
			require.ErrorIs(t, wait.For(t.Context(), e, task), errEnded)
			e.Scope.End()
			assert.True(t, broken.Load())
			require.ErrorIs(t, wait.For(t.Context(), e, task), errEnded, "and after it")
		})
	}
}

func TestTimeoutOfAQuestion(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, task := newTask(after(0, nil, saying(done)))
		task.Timeout = 10 * time.Second
		task.Ask = func(ctx context.Context) (news, time.Duration, error) {
			if a.count() == 0 {
				_, _, _ = a.ask(ctx)
				<-ctx.Done()
				return "", 0, ctx.Err()
			}
			return a.ask(ctx)
		}
		require.NoError(t, wait.For(t.Context(), newEngine(t), task))
		assert.GreaterOrEqual(t, time.Since(a.start), 10*time.Second)
		assert.Less(t, time.Since(a.start), 11*time.Second)
	})
}

// A value that can be had once must not be thrown away.
func TestAnswerThatComesAsTheContextEnds(t *testing.T) {
	t.Parallel()
	for range 50 { // select chooses at random
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			_, task := newTask(nil)
			task.Ask = func(context.Context) (news, time.Duration, error) { cancel(); return done, 0, nil }
			require.NoError(t, wait.For(ctx, newEngine(t), task))
		})
	}
}

// feed is a Feed by hand.
type feed struct {
	mu      sync.Mutex
	state   wait.State
	changed chan struct{}
	ready   chan struct{}
	queue   []news
	caught  int
	lost    int
}

func (f *feed) Ready() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ready == nil {
		f.ready = make(chan struct{}, 1)
	}
	return f.ready
}

func (f *feed) Take() []news {
	f.mu.Lock()
	defer f.mu.Unlock()
	queue := f.queue
	f.queue = nil
	return queue
}

func (f *feed) State() (wait.State, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.state, f.changed
}

func (f *feed) Asking() func() {
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.caught++
		if f.state == wait.Behind {
			f.state = wait.Live
		}
	}
}

func (f *feed) Lost() { f.mu.Lock(); f.lost++; f.mu.Unlock() }

func (f *feed) push(n news) {
	ready := f.Ready()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(f.queue, n)
	_ = ready
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

func (f *feed) become(s wait.State) {
	f.State()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = s
	close(f.changed)
	f.changed = make(chan struct{})
}

func TestPushedWhileLive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &feed{state: wait.Live}
		a, task := newTask(failing(failure{class: wait.Final}))
		task.Feed = f
		time.AfterFunc(10*time.Second, func() { f.push(running); f.push(done) })
		require.NoError(t, wait.For(t.Context(), newEngine(t), task))
		assert.Equal(t, 10*time.Second, time.Since(a.start))
		assert.Zero(t, a.count(), "nothing needs to be asked")
	})
}

func TestFallbackWhileLive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &feed{state: wait.Live}
		a, task := newTask(after(5, saying(running), saying(done)))
		task.Feed = f
		require.NoError(t, wait.For(t.Context(), newEngine(t), task))
		assert.GreaterOrEqual(t, a.times[0], 15*time.Second)
		assert.LessOrEqual(t, a.times[0], 30*time.Second)
		assert.GreaterOrEqual(t, a.times[5]-a.times[4], time.Minute)
		assert.LessOrEqual(t, a.times[5]-a.times[4], 2*time.Minute)
		assert.Equal(t, 1, f.lost, "the feed should have told")
		assert.Equal(t, 5, f.caught)
	})
}

// While the answer will be pushed, no failure of a question ends the task.
func TestFailuresWhileLive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &feed{state: wait.Live}
		n := 0
		a, task := newTask(func(int) (news, time.Duration, error) {
			n++
			return "", 0, failure{class: []wait.Class{wait.Final, wait.Refused, wait.NotFound, wait.Passing}[n%4]}
		})
		task.Feed = f
		time.AfterFunc(time.Hour, func() { f.push(done) })
		require.NoError(t, wait.For(t.Context(), newEngine(t), task))
		assert.Greater(t, a.count(), 20)
		assert.Zero(t, f.lost)
	})
}

func TestFeedThatIsOpening(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &feed{state: wait.Opening}
		a, task := newTask(after(1, saying(running), saying(done)))
		task.Feed = f
		require.NoError(t, wait.For(t.Context(), newEngine(t), task))
		assert.GreaterOrEqual(t, a.times[0], 300*time.Millisecond, "it gets a moment")
		assert.LessOrEqual(t, a.times[0], 600*time.Millisecond, "and no more")
	})
}

func TestFeedThatComesBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &feed{state: wait.Live}
		a, task := newTask(after(100, saying(running), saying(done)))
		task.Feed = f
		time.AfterFunc(5*time.Second, func() { f.become(wait.Opening) })
		time.AfterFunc(5100*time.Millisecond, func() { f.become(wait.Behind) })
		time.AfterFunc(15*time.Second, func() { f.push(done) })
		require.NoError(t, wait.For(t.Context(), newEngine(t), task))
		assert.Equal(t, []time.Duration{5100 * time.Millisecond}, a.times, "what was missed is asked for once, at once")
		assert.Equal(t, 1, f.caught)
	})
}

func TestFeedThatStaysAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &feed{state: wait.Live}
		a, task := newTask(after(9, saying(running), saying(done)))
		task.Feed = f
		time.AfterFunc(time.Second, func() { f.become(wait.Off) })
		require.NoError(t, wait.For(t.Context(), newEngine(t), task))
		assert.Less(t, a.times[9], 15*time.Second, "it is polled for")
		assert.Zero(t, f.lost)
	})
}

func TestPushedWhileAsked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &feed{state: wait.Off}
		e := newEngine(t)
		_, task := newTask(nil)
		var broken atomic.Bool
		task.Feed = f
		task.Ask = func(ctx context.Context) (news, time.Duration, error) {
			<-ctx.Done()
			broken.Store(true)
			return "", 0, ctx.Err()
		}
		time.AfterFunc(time.Second, func() { f.push(done) })
		require.NoError(t, wait.For(t.Context(), e, task))
		e.Scope.End()
		assert.True(t, broken.Load(), "the question is broken off")
	})
}

func TestPushedAsTheContextEnds(t *testing.T) {
	t.Parallel()
	for range 50 { // select chooses at random
		synctest.Test(t, func(t *testing.T) {
			f := &feed{state: wait.Live}
			ctx, cancel := context.WithCancel(t.Context())
			_, task := newTask(failing(failure{}))
			task.Feed = f
			f.push(done)
			cancel()
			require.NoError(t, wait.For(ctx, newEngine(t), task))
		})
	}
}

func TestAnswerAndPushAtOnce(t *testing.T) {
	t.Parallel()
	for range 50 { // select chooses at random
		synctest.Test(t, func(t *testing.T) {
			f := &feed{state: wait.Live}
			_, task := newTask(func(int) (news, time.Duration, error) { f.push(done); return done, 0, nil })
			task.Feed = f
			require.NoError(t, wait.For(t.Context(), newEngine(t), task))
			assert.Zero(t, f.lost, "the feed did tell")
		})
	}
}

func TestLimiterKeepsTheRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := wait.NewLimiter(10)
		start := time.Now()
		var all sync.WaitGroup
		for range 51 {
			all.Go(func() { assert.NoError(t, l.Wait(t.Context())) })
		}
		all.Wait()
		assert.Equal(t, 5*time.Second, time.Since(start).Round(time.Millisecond))
	})
}

func TestLimiterPauses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := wait.NewLimiter(1000)
		require.NoError(t, l.Wait(t.Context()))
		start := time.Now()
		assert.Equal(t, 5*time.Second, l.Pause(time.Hour), "within measure")
		assert.Equal(t, time.Second, l.Pause(time.Second))
		require.NoError(t, l.Wait(t.Context()))
		assert.Equal(t, 5*time.Second, time.Since(start))

		l.Pause(5 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, l.Wait(ctx), context.DeadlineExceeded)
		assert.Equal(t, 6*time.Second, time.Since(start))
	})
}

func TestLimiterThatIsGivenUpOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := wait.NewLimiter(1)
		require.NoError(t, l.Wait(t.Context()))
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { assert.ErrorIs(t, l.Wait(ctx), context.DeadlineExceeded) })
		}
		all.Wait()
		start := time.Now()
		require.NoError(t, l.Wait(t.Context()))
		assert.LessOrEqual(t, time.Since(start), time.Second, "the hundred have left no trace")
	})
}

func TestNoLimiter(t *testing.T) {
	t.Parallel()
	var l *wait.Limiter
	assert.Zero(t, l.Pause(time.Hour))
	require.NoError(t, l.Wait(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, l.Wait(ctx), context.Canceled)
}

func TestOneTaskPausesTheOthersWithinMeasure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e, l := newEngine(t), wait.NewLimiter(1000)
		first, slow := newTask(func(n int) (news, time.Duration, error) {
			if n == 1 {
				return "", 0, failure{wait.Limited, time.Hour}
			}
			return done, 0, nil
		})
		slow.Limiter = l
		second, other := newTask(after(0, nil, saying(done)))
		other.Limiter, other.NotBefore = l, time.Now().Add(time.Second)
		var all sync.WaitGroup
		all.Go(func() { assert.NoError(t, wait.For(t.Context(), e, slow)) })
		all.Go(func() { assert.NoError(t, wait.For(t.Context(), e, other)) })
		all.Wait()
		assert.Equal(t, time.Hour, first.times[1], "wholly for the one")
		assert.Equal(t, 5*time.Second, second.times[0], "a moment for the others")
	})
}

func TestAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 1000
		var ran [n]atomic.Int32
		var at, most atomic.Int32
		wait.All(n, func(i int) bool { return i%10 != 0 }, func(i int) {
			if i%10 != 0 {
				most.Store(max(most.Load(), at.Add(1)))
				defer at.Add(-1)
			}
			time.Sleep(time.Second)
			ran[i].Add(1)
		})
		for i := range ran {
			assert.EqualValues(t, 1, ran[i].Load())
		}
		assert.LessOrEqual(t, most.Load(), int32(32), "those that are pushed share a few goroutines")
		wait.All(0, nil, nil)
	})
}

func TestJitter(t *testing.T) {
	t.Parallel()
	seen := make(map[time.Duration]bool)
	for range 1000 {
		d := wait.Jitter(time.Second)
		assert.GreaterOrEqual(t, d, time.Second/2)
		assert.LessOrEqual(t, d, time.Second)
		seen[d] = true
	}
	assert.Greater(t, len(seen), 900)
	assert.Zero(t, wait.Jitter(0))
}

func BenchmarkForFeed(b *testing.B) {
	e := &wait.Engine{Scope: lifecycle.New(errEnded), Classify: classify, Fallback: time.Minute, Logger: slog.New(slog.DiscardHandler)}
	defer e.Scope.End()
	b.ReportAllocs()
	for b.Loop() {
		f := &feed{state: wait.Live}
		f.push(done)
		err := wait.For(context.Background(), e, wait.Task[news]{
			Accept: func(n news) (bool, error) { return n == done, nil },
			Feed:   f,
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

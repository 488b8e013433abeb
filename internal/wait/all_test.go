package wait

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// crowd runs many tasks in one call of All and keeps what they did.
type crowd struct {
	rigs []*rig
	done chan struct{}

	mu    sync.Mutex
	ended []int // in that order
}

// ends returns which tasks have ended.
func (c *crowd) ends() []int {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.ended)
}

// newCrowd returns n rigs with one engine and the same limiter. They have feeds in
// a state, unless it is nil.
func newCrowd(t *testing.T, n int, state *State, limiter *Limiter) *crowd {
	c := &crowd{rigs: make([]*rig, n), done: make(chan struct{})}
	for i := range c.rigs {
		var f *feed
		if state != nil {
			f = newFeed(*state)
		}
		c.rigs[i] = newRig(t, f)
		c.rigs[i].engine = c.rigs[0].engine
		c.rigs[i].task.Limiter = limiter
	}
	return c
}

func (c *crowd) feed(i int) *feed {
	f, _ := c.rigs[i].task.Feed.(*feed)
	return f
}

// set changes the state of all feeds. They share one channel, as a connection does.
func (c *crowd) set(state State) {
	for i := range c.rigs {
		f := c.feed(i)
		f.mu.Lock()
		f.state = state
		f.mu.Unlock()
	}
	c.feed(0).set(state)
}

// run runs all tasks, and checks that each ends once.
func (c *crowd) run(ctx context.Context, t *testing.T) {
	t.Helper()
	ends := make([]int, len(c.rigs))
	var e *Engine
	if len(c.rigs) > 0 {
		e = c.rigs[0].engine
	}
	All(ctx, e, len(c.rigs), func(i int) *Task[string] { return &c.rigs[i].task }, func(i int, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		ends[i]++
		c.rigs[i].err, c.rigs[i].ended = err, time.Since(c.rigs[i].start)
		c.ended = append(c.ended, i)
	})
	for i, n := range ends {
		assert.Equal(t, 1, n, "task %d", i)
	}
	close(c.done)
}

// begin runs all tasks in the background, until they wait for something.
func (c *crowd) begin(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); <-c.done })
	go c.run(ctx, t)
	synctest.Wait()
}

func TestAllEndsEachTaskOnce(t *testing.T) {
	t.Parallel()
	live := Live
	for _, n := range []int{0, 1, 2, maxAsking, 1000} {
		for name, state := range map[string]*State{"asked": nil, "pushed": &live} {
			t.Run(fmt.Sprint(n, name), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					c := newCrowd(t, n, state, nil)
					for i, r := range c.rigs {
						value := finish
						if i%3 == 1 {
							value = errAccept.Error()
						}
						r.replies(value)
						if state != nil {
							c.feed(i).push(pending, value)
						}
					}
					c.run(t.Context(), t)
					for i, r := range c.rigs {
						if i%3 == 1 {
							assert.Equal(t, errAccept, r.err)
						} else {
							assert.NoError(t, r.err)
						}
						assert.Zero(t, r.ended)
						if state != nil {
							assert.Empty(t, r.times(), "nothing needs to be asked")
						}
					}
				})
			})
		}
	}
}

// An outcome ends its task whatever the order, although the loop waits for the
// first task only. A task whose outcome was pushed is not asked for.
func TestAllInAnyOrder(t *testing.T) {
	t.Parallel()
	live := Live
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		c := newCrowd(t, n, &live, NewLimiter(10))
		c.begin(t)
		for i := n - 1; i > 0; i-- {
			c.feed(i).push(pending)
			time.Sleep(50 * ms)
			c.feed(i).push(finish)
		}
		time.Sleep(time.Hour)
		assert.Len(t, c.ends(), n-1, "none waits behind the first one for ever")
		c.feed(0).push(finish)
		<-c.done
		for i, r := range c.rigs {
			require.NoError(t, r.err)
			if i > 0 {
				assert.Empty(t, r.times())
			}
		}
	})
}

// A task whose answer was pushed takes no turn of the limiter from the others.
func TestAllTakesNoTurnForWhatWasPushed(t *testing.T) {
	t.Parallel()
	live := Live
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		c := newCrowd(t, n, &live, NewLimiter(0.01))
		c.begin(t)
		for i := range n - 1 {
			c.feed(i + 1).push(finish)
		}
		time.Sleep(fallback)
		assert.Len(t, c.ends(), n-1)
		other := newRig(t, nil)
		other.task.Limiter = c.rigs[0].task.Limiter
		other.replies(finish)
		require.NoError(t, other.run(t.Context()))
		assert.LessOrEqual(t, other.ended, 100*time.Second, "only the first one has been asked for")
	})
}

// All asks with a bounded number of goroutines, however many tasks are due.
func TestAllAsksABoundedNumberAtATime(t *testing.T) {
	t.Parallel()
	off := Off
	for name, state := range map[string]*State{"no feed": nil, "feed": &off} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const n = 500
				c := newCrowd(t, n, state, nil)
				now, most := 0, 0
				var mu sync.Mutex
				count := func(by int) {
					mu.Lock()
					defer mu.Unlock()
					now += by
					most = max(most, now)
				}
				for _, r := range c.rigs {
					r.reply = func(context.Context, int) (string, time.Duration, error) {
						count(1)
						defer count(-1)
						time.Sleep(time.Second)
						return finish, 0, nil
					}
				}
				start := time.Now()
				c.run(t.Context(), t)
				assert.Equal(t, maxAsking, most)
				assert.Equal(t, (n+maxAsking-1)/maxAsking, int(time.Since(start)/time.Second), "and makes use of the bound")
			})
		})
	}
}

// Tasks that share a rate are asked in turns.
func TestAllAsksInTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		c := newCrowd(t, n, nil, NewLimiter(10))
		c.begin(t)
		time.Sleep(30*time.Second + 50*ms)
		for i, r := range c.rigs {
			assert.InDelta(t, 3, len(r.times()), 1, "task %d", i)
		}
	})
}

// A task that ends while its question waits for its turn is not asked for.
func TestAllSparesQuestions(t *testing.T) {
	t.Parallel()
	off := Off
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 3, &off, NewLimiter(0.1))
		c.begin(t)
		time.Sleep(time.Second)
		require.Len(t, append(append(c.rigs[0].times(), c.rigs[1].times()...), c.rigs[2].times()...), 1)
		for i := range c.rigs {
			c.feed(i).push(pending) // a report does not keep the task from being asked for later
		}
		time.Sleep(2 * time.Minute)
		var before []int
		for i, r := range c.rigs {
			assert.NotEmpty(t, r.times(), i)
			before = append(before, len(r.times()))
		}
		c.feed(2).push(finish)
		c.feed(1).push(finish)
		time.Sleep(5 * time.Minute)
		for i, r := range c.rigs[1:] {
			assert.Len(t, r.times(), before[i+1])
		}
		assert.Greater(t, len(c.rigs[0].times()), before[0])
		c.feed(0).push(finish)
		<-c.done
	})
}

// A change of the connection replans all tasks.
func TestAllWhenTheFeedBreaks(t *testing.T) {
	t.Parallel()
	live := Live
	synctest.Test(t, func(t *testing.T) {
		const n = 200
		c := newCrowd(t, n, &live, nil)
		for _, r := range c.rigs[1:] {
			r.replies(pending, finish)
		}
		c.begin(t)
		time.Sleep(time.Second)
		c.set(Off)
		time.Sleep(time.Second)
		assert.Len(t, c.ends(), n-1)
		for _, r := range c.rigs {
			pauseAfterChange[Off].check(t, r.times()[0]-time.Second, "pause after the change")
		}
		for i := range c.rigs {
			assert.Zero(t, c.feed(i).lost)
		}
		c.set(Live)
		asked := len(c.rigs[0].times())
		time.Sleep(fallback / 2)
		assert.Len(t, c.rigs[0].times(), asked)
		time.Sleep(time.Minute)
		assert.Greater(t, len(c.rigs[0].times()), asked)
		c.set(Behind)
		moment := time.Since(c.rigs[0].start)
		assert.Zero(t, c.rigs[0].nextAfter(t, moment))
	})
}

func TestAllEndsWithTheContextOrTheScope(t *testing.T) {
	t.Parallel()
	live, off := Live, Off
	for name, state := range map[string]*State{"no feed": nil, "live": &live, "off": &off} {
		for end, want := range map[string]error{"context": context.DeadlineExceeded, "scope": errScope} {
			t.Run(name+" "+end, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					const n = 300
					c := newCrowd(t, n, state, NewLimiter(10))
					last := &failure{class: Passing}
					for _, r := range c.rigs {
						r.replies(last)
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					if end == "scope" {
						time.AfterFunc(59*time.Second, c.rigs[0].engine.Scope.End)
					}
					if state != nil {
						time.AfterFunc(58*time.Second, func() { c.feed(7).push(finish) })
					}
					c.run(ctx, t)
					for i, r := range c.rigs {
						if state != nil && i == 7 {
							assert.NoError(t, r.err)
							continue
						}
						u, ok := errors.AsType[*Unfinished](r.err)
						require.True(t, ok)
						require.Equal(t, want, u.Err)
						if len(r.times()) > 0 {
							assert.Equal(t, last, u.Last)
						}
					}
				})
			})
		}
	}
}

// Each task has a budget of its own.
func TestAllCountsFailuresByTask(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 10, nil, nil)
		c.rigs[0].engine.Budget = budget
		for i, r := range c.rigs {
			if i%2 == 0 {
				r.replies(&failure{class: NotFound})
			}
		}
		c.begin(t)
		time.Sleep(20 * time.Second)
		assert.ElementsMatch(t, []int{0, 2, 4, 6, 8}, c.ends())
		for _, i := range c.ends() {
			assert.Equal(t, &failure{class: NotFound}, c.rigs[i].err)
		}
	})
}

// What All holds for a task that has been asked for is little: no goroutine, no
// timer and no copy of the task.
func TestAllHoldsLittle(t *testing.T) { //nolint:paralleltest // it measures memory
	synctest.Test(t, func(t *testing.T) {
		const n = 20_000
		r := newRig(t, nil)
		asked := 0
		task := Task[string]{
			Ask:     func(context.Context) (string, time.Duration, error) { return pending, 0, nil },
			Accept:  func(string) (bool, error) { asked++; return false, nil },
			Backoff: Backoff{First: time.Hour, Max: time.Hour},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		before := held()
		go func() {
			All(ctx, r.engine, n, func(int) *Task[string] { return &task }, func(int, error) {})
			close(done)
		}()
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		holds := held() - before
		require.Greater(t, asked, 2*n)
		assert.Less(t, holds, int64(40*n+1<<20), "the goroutines that ask need the rest")
		cancel()
		<-done
	})
}

// held returns what the heap and the stacks hold.
func held() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

package wait

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

func TestAskOnly(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.replies(pending, pending, pending, finish)
		require.NoError(t, r.run(t.Context()))
		assert.Equal(t, []string{pending, pending, pending, finish}, r.values())
		checkPauses(t, r.times(), exactly(0), jittered(150*ms), jittered(225*ms), jittered(337500*time.Microsecond))
		assert.Equal(t, r.times()[3], r.ended)
	})
}

func TestPausesStopGrowing(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.begin(t)
		time.Sleep(time.Minute)
		times := r.times()
		require.Greater(t, len(times), 20)
		for i := 10; i < len(times); i++ {
			jittered(backoff.Max).check(t, times[i]-times[i-1], "pause before question %d", i+1)
		}
	})
}

func TestNotBefore(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.task.NotBefore = r.start.Add(time.Minute)
		r.replies(pending, finish)
		require.NoError(t, r.run(t.Context()))
		checkPauses(t, r.times(), exactly(time.Minute), jittered(150*ms))
	})
}

func TestNotBeforeAndStates(t *testing.T) {
	t.Parallel()
	for _, state := range []State{Off, Opening, Behind, Live} {
		t.Run(fmt.Sprint(state), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFeed(state)
				r := newRig(t, f)
				r.task.NotBefore = r.start.Add(time.Hour)
				r.replies(finish)
				r.begin(t)
				for _, to := range []State{Off, Behind, Opening, Live, Behind} {
					time.Sleep(time.Minute)
					f.set(to)
				}
				<-r.done
				assert.Equal(t, []time.Duration{time.Hour}, r.times())
			})
		})
	}
}

func TestPushOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(Live)
		r := newRig(t, f)
		r.begin(t)
		time.Sleep(time.Second)
		f.push(pending, pending)
		require.True(t, r.running())
		time.Sleep(time.Second)
		f.push(pending, finish, "too late")
		<-r.done
		require.NoError(t, r.err)
		assert.Equal(t, 2*time.Second, r.ended)
		assert.Equal(t, []string{pending, pending, pending, finish}, r.values())
		assert.Empty(t, r.times())
	})
}

// What was pushed before spares the question, whatever the state. In a bubble the
// timer of the first question would never be first, so this test is in none.
func TestPushedBefore(t *testing.T) {
	t.Parallel()
	for _, state := range []State{Off, Opening, Behind, Live} {
		t.Run(fmt.Sprint(state), func(t *testing.T) {
			t.Parallel()
			for range 40 { // the order in select is random
				f := newFeed(state)
				f.push(pending, finish)
				r := newRig(t, f)
				require.NoError(t, For(t.Context(), r.engine, r.task))
				assert.Equal(t, []string{pending, finish}, r.accepted)
				assert.Zero(t, f.asking)
			}
		})
	}
}

// lateFeed is a feed that gets its value just after the loop has looked for it.
type lateFeed struct {
	*feed
	looked bool
}

func (f *lateFeed) Ready() <-chan struct{} {
	if f.looked {
		f.looked = false
		f.push(finish)
	}
	return f.feed.Ready()
}

func (f *lateFeed) Take() []string {
	values := f.feed.Take()
	f.looked = len(values) == 0
	return values
}

// What is pushed when the question is due ends the task, also if the loop has just
// looked for it.
func TestPushedWhenDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.task.Feed = &lateFeed{feed: newFeed(Off)}
		require.NoError(t, r.run(t.Context()))
		assert.Zero(t, r.ended)
		assert.Empty(t, r.times())
	})
}

func TestPausesOfAState(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		state State
		want  []span
	}{
		{"off", Off, []span{exactly(0), jittered(150 * ms), jittered(225 * ms)}},
		{"opening", Opening, []span{jittered(600 * ms), jittered(900 * ms), jittered(1350 * ms)}},
		{"behind", Behind, []span{exactly(0), jittered(150 * ms), jittered(225 * ms)}},
		{"live", Live, []span{jittered(fallback), jittered(2 * fallback), jittered(4 * fallback), jittered(4 * fallback)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFeed(test.state)
				r := newRig(t, f)
				r.begin(t)
				time.Sleep(time.Hour)
				checkPauses(t, r.times(), test.want...)
			})
		})
	}
}

// pauseAfterChange is the pause before the question that follows a change to a
// state.
var pauseAfterChange = map[State]span{
	Off:     jittered(backoff.First),
	Opening: jittered(reopening),
	Behind:  exactly(0),
	Live:    jittered(fallback),
}

func TestChangeOfState(t *testing.T) {
	t.Parallel()
	for from := range pauseAfterChange {
		for to, want := range pauseAfterChange {
			t.Run(fmt.Sprintf("%d to %d", from, to), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f := newFeed(from)
					r := newRig(t, f)
					r.begin(t)
					time.Sleep(time.Hour)
					f.set(to)
					want.check(t, r.nextAfter(t, time.Hour), "pause after the change")
				})
			})
		}
	}
}

// A change of state while a question is out is answered after the question.
func TestChangeOfStateDuringAQuestion(t *testing.T) {
	t.Parallel()
	for from := range pauseAfterChange {
		for to, want := range pauseAfterChange {
			for _, fails := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d to %d %v", from, to, fails), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						f := newFeed(from)
						r := newRig(t, f)
						var answered time.Duration
						r.reply = func(context.Context, int) (string, time.Duration, error) {
							if answered == 0 {
								time.Sleep(10 * time.Second)
								answered = time.Since(r.start)
							}
							if fails {
								return "", 0, &failure{class: NotFound}
							}
							return pending, 0, nil
						}
						r.begin(t)
						first := r.nextAfter(t, 0)
						time.Sleep(5 * time.Second)
						f.set(to)
						time.Sleep(time.Minute)
						synctest.Wait()
						require.Equal(t, first+10*time.Second, answered)
						times := r.times()
						require.Greater(t, len(times), 1)
						want.check(t, times[1]-answered, "pause after the answer")
					})
				})
			}
		}
	}
}

// A feed may change twice before the task sees it, and the task may see it first
// because something was pushed.
func TestChangedTwice(t *testing.T) {
	t.Parallel()
	for _, push := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			for range 20 {
				f := newFeed(Off)
				r := newRig(t, f)
				r.begin(t)
				time.Sleep(time.Minute)
				f.push(busy)
				synctest.Wait()
				time.Sleep(500 * ms)
				f.set(Opening)
				f.set(Live)
				if push {
					f.push(pending)
				}
				time.Sleep(500 * ms)
				now := time.Minute + time.Second
				pauseAfterChange[Live].check(t, r.nextAfter(t, now+1), "pause when live")
				now = time.Since(r.start)
				f.set(Off)
				f.set(Behind)
				assert.Zero(t, r.nextAfter(t, now))
			}
		})
	}
}

func TestCaughtUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(Behind)
		f.catchUp, f.caughtAs = true, Live
		r := newRig(t, f)
		r.replies(&failure{class: Passing}, pending, finish)
		require.NoError(t, r.run(t.Context()))
		checkPauses(t, r.times(), exactly(0), jittered(150*ms), jittered(fallback))
		caughtUp, lost := f.counts()
		assert.Equal(t, 1, caughtUp, "neither a failure nor the end catches up")
		assert.Equal(t, 3, f.asking)
		assert.Equal(t, 1, lost)
	})
}

// A feed that breaks and comes back just when a question is answered is asked for
// at once.
func TestChangedWhileCatchingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(Live)
		f.catchUp, f.caughtAs = true, Behind
		r := newRig(t, f)
		r.replies(pending, finish)
		require.NoError(t, r.run(t.Context()))
		checkPauses(t, r.times(), jittered(fallback), exactly(0))
	})
}

func TestLost(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		state State
		value string
		push  string // while the question is out
		to    State  // while the question is out
		err   error
		want  int
	}{
		{name: "live", state: Live, value: finish, to: Live, want: 1},
		{name: "behind", state: Behind, value: finish, to: Behind},
		{name: "opening", state: Opening, value: finish, to: Opening},
		{name: "off", state: Off, value: finish, to: Off},
		{name: "given up by Accept", state: Live, value: errAccept.Error(), to: Live, err: errAccept},
		{name: "pushed meanwhile", state: Live, value: finish, push: finish, to: Live},
		{name: "another answer pushed meanwhile", state: Live, value: finish, push: pending, to: Live, want: 1},
		{name: "broken meanwhile", state: Live, value: finish, to: Off},
		{name: "back meanwhile", state: Live, value: finish, to: Behind},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for range 20 { // the order in select is random
					f := newFeed(test.state)
					r := newRig(t, f)
					r.reply = func(context.Context, int) (string, time.Duration, error) {
						f.push(busy)
						time.Sleep(500 * ms)
						if test.push != "" {
							f.push(test.push)
						}
						if test.to != test.state {
							f.set(test.to)
						}
						return test.value, 0, nil
					}
					assert.Equal(t, test.err, r.run(t.Context()))
					_, lost := f.counts()
					assert.Equal(t, test.want, lost)
					assert.Len(t, r.times(), 1)
				}
			})
		})
	}
}

// A push that arrives while a question is out ends the task and the question.
func TestPushDuringAQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(Behind)
		r := newRig(t, f)
		var broken error
		r.reply = func(ctx context.Context, _ int) (string, time.Duration, error) {
			<-ctx.Done()
			broken = ctx.Err()
			return "", 0, ctx.Err()
		}
		r.begin(t)
		time.Sleep(time.Second)
		f.push(finish)
		<-r.done
		require.NoError(t, r.err)
		assert.Equal(t, time.Second, r.ended)
		synctest.Wait()
		assert.Equal(t, context.Canceled, broken)
	})
}

// A push that arrives together with the failure that would end the task wins.
func TestPushTogetherWithAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			f := newFeed(Off)
			r := newRig(t, f)
			r.reply = func(context.Context, int) (string, time.Duration, error) {
				f.push(busy)
				time.Sleep(500 * ms)
				f.push(finish)
				return "", 0, &failure{class: Final}
			}
			require.NoError(t, r.run(t.Context()))
		}
	})
}

func TestAcceptFails(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.replies(pending, errAccept.Error())
		assert.Equal(t, errAccept, r.run(t.Context()))
		r = newRig(t, newFeed(Live))
		r.begin(t)
		r.task.Feed.(*feed).push(errAccept.Error())
		<-r.done
		assert.Equal(t, errAccept, r.err)
	})
}

func TestRetryAfterOnAnAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.task.Limiter = NewLimiter(10)
		r.replies(20*time.Second, time.Nanosecond, finish)
		require.NoError(t, r.run(t.Context()))
		checkPauses(t, r.times(), exactly(0), exactly(20*time.Second), jittered(225*ms))
		assert.LessOrEqual(t, r.task.Limiter.paused(), time.Duration(0), "it is not about others")
	})
}

// A change of state does not shorten a pause that the server asked for; a push
// ends the task all the same.
func TestRetryAfterAndAFeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(Off)
		r := newRig(t, f)
		r.replies(time.Minute, pending)
		r.begin(t)
		time.Sleep(time.Second)
		f.set(Behind)
		time.Sleep(time.Second)
		f.set(Off)
		checkPauses(t, []time.Duration{r.nextAfter(t, 1)}, exactly(time.Minute-1))
		f.push(finish)
		<-r.done
		assert.NoError(t, r.err)
	})
}

func TestRetryAfterOnAFailure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		f      failure
		own    span // pause of the task
		others time.Duration
	}{
		{"limited", failure{Limited, 3 * time.Second}, about(3 * time.Second), 3 * time.Second},
		{"limited for long", failure{Limited, time.Minute}, about(time.Minute), 5 * time.Second},
		{"limited, no time", failure{Limited, 0}, about(time.Second), time.Second},
		{"limited, hardly", failure{Limited, ms}, about(time.Second), time.Second},
		{"outage", failure{Passing, time.Minute}, about(time.Minute), 5 * time.Second},
		{"outage, no time", failure{Passing, 0}, jittered(150 * ms), 0},
		{"unknown", failure{NotFound, 2 * time.Second}, about(2 * time.Second), 2 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				limiter := NewLimiter(1000)
				r, other := newRig(t, nil), newRig(t, nil)
				r.task.Limiter, other.task.Limiter = limiter, limiter
				r.replies(&test.f, finish)
				r.begin(t)
				other.task.NotBefore = time.Now().Add(ms)
				other.replies(finish)
				other.begin(t)
				<-r.done
				<-other.done
				require.NoError(t, r.err)
				checkPauses(t, r.times(), exactly(0), test.own)
				assert.Equal(t, max(test.others, ms), other.ended)
			})
		})
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	limited, outage := &failure{Limited, time.Minute}, &failure{Passing, time.Minute}
	for _, test := range []struct {
		name     string
		failure  error
		deadline time.Duration
		feed     *State
		err      error
		ended    time.Duration
	}{
		{name: "no deadline", failure: limited, ended: time.Minute},
		{name: "later deadline", failure: limited, deadline: 61 * time.Second, ended: time.Minute},
		{name: "earlier deadline", failure: limited, deadline: 59 * time.Second, err: limited},
		{name: "earlier deadline, feed", failure: limited, deadline: 59 * time.Second, feed: new(State), err: context.DeadlineExceeded, ended: 59 * time.Second},
		{name: "outage, earlier deadline", failure: outage, deadline: 59 * time.Second, err: outage},
		{name: "outage, no pause", failure: &failure{class: Passing}, deadline: 70 * ms, ended: 70 * ms, err: context.DeadlineExceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				if test.feed != nil {
					r.task.Feed = newFeed(*test.feed)
				}
				r.replies(test.failure, finish)
				ctx := t.Context()
				if test.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.deadline)
					defer cancel()
				}
				require.ErrorIs(t, r.run(ctx), test.err)
				assert.Equal(t, test.ended, r.ended)
			})
		})
	}
}

func TestTimeout(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.task.Timeout = 10 * time.Second
		r.task.Limiter = NewLimiter(1.0 / 60) // the wait for the turn does not count
		var failed error
		r.reply = func(ctx context.Context, n int) (string, time.Duration, error) {
			if n == 1 {
				<-ctx.Done()
				failed = ctx.Err()
				return "", 0, ctx.Err()
			}
			deadline, ok := ctx.Deadline()
			assert.True(t, ok)
			assert.Equal(t, 10*time.Second, time.Until(deadline))
			return finish, 0, nil
		}
		require.NoError(t, r.run(t.Context()))
		assert.Equal(t, context.DeadlineExceeded, failed)
		checkPauses(t, r.times(), exactly(0), about(time.Minute))
	})
}

func TestNoTimeout(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.reply = func(ctx context.Context, _ int) (string, time.Duration, error) {
			_, ok := ctx.Deadline()
			assert.False(t, ok)
			time.Sleep(time.Hour)
			return finish, 0, nil
		}
		require.NoError(t, r.run(t.Context()))
		assert.Equal(t, time.Hour, r.ended)
	})
}

// A question that needs no request needs no turn, and takes none from others.
func TestLocalQuestionsNeedNoTurn(t *testing.T) {
	t.Parallel()
	for _, local := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			limiter := NewLimiter(1.0 / 60)
			limiter.Pause(5 * time.Second)
			r, other := newRig(t, newFeed(Off)), newRig(t, nil)
			r.task.Limiter, other.task.Limiter = limiter, limiter
			r.task.Local = func() bool { return local }
			r.replies(pending, finish)
			r.begin(t)
			other.task.NotBefore = time.Now().Add(10 * time.Second)
			other.replies(finish)
			other.begin(t)
			<-r.done
			<-other.done
			if local {
				assert.Less(t, r.ended, time.Second)
				assert.Equal(t, 10*time.Second, other.ended)
			} else {
				about(65*time.Second).check(t, r.ended, "end")
				assert.Greater(t, other.ended, time.Minute)
			}
		})
	}
}

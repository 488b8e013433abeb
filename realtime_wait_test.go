package privicore_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

func TestOutcomeComesAtOnceAndWithoutAPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeChannel(t)
		cmd := f.remove()
		ended := waitAside(t.Context(), cmd)
		time.Sleep(5 * time.Second)
		finished := time.Now()
		f.finish(cmd, true)
		require.NoError(t, <-ended)
		assert.Zero(t, time.Since(finished))
		assert.Empty(t, f.pollTimes())
	})
}

func TestAnOutcomeThatTheChannelLostIsPolledFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeChannel(t)
		cmd := f.remove()
		f.finish(cmd, false)
		start := time.Now()
		require.NoError(t, <-waitAside(t.Context(), cmd))
		assert.LessOrEqual(t, time.Since(start), 30*time.Second)
		assert.Len(t, f.pollTimes(), 1)
	})
}

func TestALongWaitOnTheChannelHardlyPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeChannel(t)
		cmd := f.remove()
		ended := waitAside(t.Context(), cmd)
		time.Sleep(time.Hour)
		f.finish(cmd, true)
		require.NoError(t, <-ended)
		assert.Less(t, len(f.pollTimes()), 130)
	})
}

// Early outcomes are kept, but not for ever: then they are asked for.
func TestEarlyOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeChannel(t, privicore.WithOutcomeBuffer(2, time.Minute))
		cmds := []*privicore.Command{f.remove(), f.remove(), f.remove()}
		for _, cmd := range cmds {
			f.finish(cmd, true)
		}
		synctest.Wait()
		require.NoError(t, <-waitAside(t.Context(), cmds[1]))
		assert.Empty(t, f.pollTimes())
		require.NoError(t, <-waitAside(t.Context(), cmds[0]))
		assert.Len(t, f.pollTimes(), 1, "the oldest of three was not kept")

		time.Sleep(2 * time.Minute)
		start := time.Now()
		require.NoError(t, <-waitAside(t.Context(), cmds[2]))
		assert.Len(t, f.pollTimes(), 2, "nor the one that nobody wanted in time")
		assert.Zero(t, time.Since(start))
	})
}

// What others do on the same profile must not make this client poll.
func TestOutcomesOfOthersCostNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeChannel(t, privicore.WithOutcomeBuffer(2, time.Second))
		mine := f.remove()
		ended := waitAside(t.Context(), mine)
		synctest.Wait()
		for range 50 {
			f.finish(&privicore.Command{ID: "somebody-elses"}, true)
			f.finish(f.remove(), true)
			time.Sleep(100 * time.Millisecond)
		}
		assert.Empty(t, f.pollTimes())
		f.finish(mine, true)
		require.NoError(t, <-ended)
	})
}

func TestWaitAllIsWatchingFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeChannel(t, privicore.WithOutcomeBuffer(1, time.Second))
		cmds := make([]*privicore.Command, 100) // more than are waited for at a time
		for i := range cmds {
			cmds[i] = f.remove()
		}
		ended := make(chan error, 1)
		go func() {
			_, err := privicore.WaitAll(t.Context(), cmds...)
			ended <- err
		}()
		synctest.Wait()
		f.finish(cmds[99], true)
		for range 5 {
			f.finish(f.remove(), true)
		}
		for _, cmd := range cmds[:99] {
			f.finish(cmd, true)
			time.Sleep(10 * time.Millisecond)
		}
		require.NoError(t, <-ended)
		assert.Empty(t, f.pollTimes())
	})
}

func TestEachWaitAsksAfterAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeChannel(t, privicore.WithPollRate(1000))
		cmds := make([]*privicore.Command, 20)
		ended := make([]<-chan error, len(cmds))
		for i := range cmds {
			cmds[i] = f.remove()
			ended[i] = waitAside(t.Context(), cmds[i])
		}
		synctest.Wait()
		for _, cmd := range cmds[:10] {
			f.finish(cmd, false) // in the gap
		}
		f.drop()
		time.Sleep(2 * time.Second)
		for _, e := range ended[:10] {
			require.NoError(t, <-e)
		}
		asked := len(f.pollTimes())
		assert.GreaterOrEqual(t, asked, len(cmds))
		time.Sleep(5 * time.Second)
		assert.Len(t, f.pollTimes(), asked, "once is enough")
		for i, cmd := range cmds[10:] {
			f.finish(cmd, true)
			require.NoError(t, <-ended[10+i])
		}
		assert.Len(t, f.pollTimes(), asked)
	})
}

func TestTheRateHoldsWhenTheChannelIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeChannel(t)
		const n = 500
		ended := make([]<-chan error, n)
		ctx, cancel := context.WithCancel(t.Context())
		for i := range ended {
			ended[i] = waitAside(ctx, f.remove())
		}
		synctest.Wait()
		f.unreachable.Store(true)
		f.drop()
		time.Sleep(5 * time.Second)
		f.unreachable.Store(false)
		time.Sleep(20 * time.Second)
		times := f.pollTimes()
		for i := range times {
			if i >= 20 {
				assert.GreaterOrEqual(t, times[i].Sub(times[i-20]), 900*time.Millisecond)
			}
		}
		cancel()
		for _, e := range ended {
			assert.ErrorIs(t, <-e, context.Canceled)
		}
	})
}

func TestWaitsPollWhileTheChannelIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeChannel(t)
		cmd := f.remove()
		ended := waitAside(t.Context(), cmd)
		synctest.Wait()
		f.unreachable.Store(true)
		f.drop()
		time.Sleep(time.Minute)
		polls := len(f.pollTimes())
		assert.Greater(t, polls, 15)
		assert.Equal(t, 1, f.warnings())
		f.finish(cmd, false)
		finished := time.Now()
		require.NoError(t, <-ended)
		assert.LessOrEqual(t, time.Since(finished), 3*time.Second)
	})
}

func TestNoChannelToBeHad(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*fakeChannel)
		held  time.Duration // how long the first command is held back
	}{
		"dead host":            {func(f *fakeChannel) { f.unreachable.Store(true) }, 0},
		"join is not answered": {func(f *fakeChannel) { f.silent.Store(true) }, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeChannel(t)
				test.spoil(f)
				start := time.Now()
				first, second := f.remove(), f.remove()
				assert.Equal(t, test.held, time.Since(start))
				f.finish(first, false)
				f.finish(second, false)
				start = time.Now()
				require.NoError(t, <-waitAside(t.Context(), first))
				require.NoError(t, <-waitAside(t.Context(), second))
				assert.Less(t, time.Since(start), time.Second)
				time.Sleep(time.Hour)
				assert.Equal(t, 1, f.warnings())
				assert.NotContains(t, f.log.String(), "T-1")
				require.Error(t, f.client.Connect(t.Context()))
			})
		})
	}
}

func TestDeadPeerIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeChannel(t)
		cmd := f.remove()
		ended := waitAside(t.Context(), cmd)
		synctest.Wait()
		f.freeze()
		time.Sleep(time.Minute)
		assert.Len(t, f.joinTokens(), 2)
		f.finish(cmd, true)
		require.NoError(t, <-ended)
	})
}

func TestATokenThatExpiredMeanwhileIsRenewedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeChannel(t)
		require.NoError(t, f.client.Connect(t.Context()))
		time.Sleep(2 * time.Hour)
		f.drop()
		time.Sleep(time.Second)
		assert.Equal(t, []string{"T-1", "T-2"}, f.joinTokens())
	})
}

func TestATokenThatIsNotToBeHadForNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeChannel(t)
		require.NoError(t, f.client.Connect(t.Context()))
		time.Sleep(2 * time.Hour)
		f.unwell.Store(true)
		f.drop()
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"T-1"}, f.joinTokens())
		f.unwell.Store(false)
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"T-1", "T-2"}, f.joinTokens())
		assert.Equal(t, 1, f.warnings())
	})
}

func TestAContextThatEndsFreesItsWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeChannel(t)
		for name, prepare := range map[string]func(){
			"on the channel": func() {},
			"while polling":  func() { f.unreachable.Store(true); f.drop(); time.Sleep(time.Second) },
		} {
			cmd := f.remove()
			ctx, cancel := context.WithCancel(t.Context())
			ended := waitAside(ctx, cmd)
			synctest.Wait()
			prepare()
			start := time.Now()
			cancel()
			require.ErrorIs(t, <-ended, context.Canceled, name)
			assert.Zero(t, time.Since(start), name)
			f.finish(cmd, false)
			require.NoError(t, <-waitAside(t.Context(), cmd), "the command may be waited for again")
			f.unreachable.Store(false)
			time.Sleep(time.Minute)
		}
	})
}

func TestCloseEndsEveryWait(t *testing.T) {
	for name, prepare := range map[string]func(f *fakeChannel){
		"joined":       func(*fakeChannel) {},
		"frozen":       func(f *fakeChannel) { f.freeze() },
		"reconnecting": func(f *fakeChannel) { f.unreachable.Store(true); f.drop(); time.Sleep(10 * time.Second) },
		"joining":      func(f *fakeChannel) { f.silent.Store(true); f.drop(); time.Sleep(3 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeChannel(t)
				ended := make([]<-chan error, 20)
				for i := range ended {
					ended[i] = waitAside(t.Context(), f.remove())
				}
				synctest.Wait()
				prepare(f)
				start := time.Now()
				require.NoError(t, f.client.Close())
				assert.Less(t, time.Since(start), time.Second)
				for _, e := range ended {
					assert.ErrorIs(t, <-e, privicore.ErrClosed)
				}
				assert.ErrorIs(t, f.client.Connect(t.Context()), privicore.ErrClosed)
			})
		})
	}
}

package privicore_test

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/proxytest"
)

func TestOutcomeComesAtOnceAndWithoutAPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		cmd := b.remove()
		ended := waitAside(t.Context(), cmd)
		time.Sleep(5 * time.Second)
		finished := time.Now()
		b.finish(cmd, true)
		require.NoError(t, <-ended)
		assert.Zero(t, time.Since(finished))
		assert.Empty(t, b.pollTimes())
	})
}

func TestOutcomeBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		b.accepted = func(id string) {
			b.Push(proxytest.Ack(id, 1))
			b.Push(proxytest.Ack(id, 2))
		}
		cmds := []*privicore.Command{b.remove(), b.remove()}
		time.Sleep(time.Minute)
		for _, cmd := range cmds {
			start := time.Now()
			require.NoError(t, <-waitAside(t.Context(), cmd))
			assert.Zero(t, time.Since(start))
		}
		assert.Empty(t, b.pollTimes())
	})
}

// The number decides, whatever the words in the body are.
func TestSuccessWithWords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		for body, messages := range map[string][]string{
			`{"deviceName":"kitchen","message":"device.registered"}`: {"kitchen", "device.registered"},
			`{"deviceName":"Error","message":"device.registered"}`:   {"device.registered"},
			`["device.registered","expired"]`:                        {"device.registered"},
			`"failed"`:                                               {"failed"},
			`{"error":"none"}`:                                       {"none"},
		} {
			cmd := b.remove()
			b.Push(`{"data":{"type":"X-DPT-CAB-ID","id":"` + cmd.ID + `","command_status":2,"body":` + body + `}}`)
			result, err := cmd.Wait(t.Context())
			require.NoError(t, err, body)
			assert.Equal(t, privicore.CommandSucceeded, result.Status)
			assert.Equal(t, messages, result.Messages)
			assert.JSONEq(t, body, string(result.Body))
		}
	})
}

// Without a number, what speaks of an error is no success.
func TestErrorObjectThatIsPushed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		for _, body := range []string{`{"error":"internal error"}`, `{"success":false}`, `{}`, `false`, `0`, `null`} {
			cmd := b.remove()
			ended := waitAside(t.Context(), cmd)
			b.Push(`{"data":{"type":"X-DPT-CAB-ID","id":"` + cmd.ID + `","body":` + body + `}}`)
			synctest.Wait()
			select {
			case err := <-ended:
				assert.Fail(t, "this is no outcome", "%s: %v", body, err)
			default:
			}
			b.finish(cmd, true)
			require.NoError(t, <-ended, body)
		}
	})
}

func TestWatchOverTheChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		cmd := b.remove()
		b.Push(proxytest.Ack(cmd.ID, 1))
		for r, err := range cmd.Watch(t.Context()) {
			require.NoError(t, err)
			assert.Equal(t, privicore.CommandPending, r.Status)
			assert.Equal(t, cmd.ID, r.ID)
			break
		}
		time.Sleep(time.Hour)
		assert.Empty(t, b.pollTimes(), "a loop that is left stops asking")

		ended := make(chan []privicore.CommandStatus)
		go func() {
			var seen []privicore.CommandStatus
			for r, err := range cmd.Watch(t.Context()) {
				if assert.NoError(t, err) {
					seen = append(seen, r.Status)
				}
			}
			ended <- seen
		}()
		synctest.Wait()
		for range 3 {
			b.Push(proxytest.Ack(cmd.ID, 1))
			synctest.Wait()
		}
		b.Push(proxytest.Ack(cmd.ID, 2))
		const running, done = privicore.CommandPending, privicore.CommandSucceeded
		assert.Equal(t, []privicore.CommandStatus{running, running, running, done}, <-ended)
		assert.Empty(t, b.pollTimes())
	})
}

func TestWaitAllOverTheChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		good, bad, hangs := b.remove(), b.remove(), b.remove()
		b.Push(proxytest.Ack(hangs.ID, 1))
		time.AfterFunc(time.Second, func() {
			b.finish(good, true)
			b.Push(proxytest.Ack(bad.ID, 3))
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		results, err := privicore.WaitAll(ctx, good, bad, hangs)
		require.Len(t, results, 3)
		require.NotNil(t, results[0])
		assert.Equal(t, good.ID, results[0].ID)
		assert.Nil(t, results[1])
		assert.Nil(t, results[2], "a report is no result")
		require.ErrorIs(t, err, privicore.ErrRejected)
		require.ErrorIs(t, err, privicore.MessageKey("device.removed"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		unfinished := waitError(t, err)
		assert.Equal(t, hangs.ID, unfinished.ID)
		assert.Equal(t, "Device.Remove", unfinished.Operation)
		assert.Empty(t, b.pollTimes())
	})
}

func TestAnOutcomeThatTheChannelLostIsPolledFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		cmd := b.remove()
		b.finish(cmd, false)
		start := time.Now()
		require.NoError(t, <-waitAside(t.Context(), cmd))
		assert.LessOrEqual(t, time.Since(start), 30*time.Second)
		assert.Len(t, b.pollTimes(), 1)
	})
}

func TestALongWaitOnTheChannelHardlyPolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		cmd := b.remove()
		ended := waitAside(t.Context(), cmd)
		time.Sleep(time.Hour)
		b.finish(cmd, true)
		require.NoError(t, <-ended)
		polls := len(b.pollTimes())
		assert.Greater(t, polls, 25, "an outcome can be lost on its way")
		assert.Less(t, polls, 65)
	})
}

// Early outcomes are kept, but not for ever: then they are asked for.
func TestEarlyOutcomes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t, privicore.WithOutcomeBuffer(2, time.Minute))
		cmds := []*privicore.Command{b.remove(), b.remove(), b.remove()}
		for _, cmd := range cmds {
			b.finish(cmd, true)
		}
		synctest.Wait()
		require.NoError(t, <-waitAside(t.Context(), cmds[1]))
		assert.Empty(t, b.pollTimes())
		require.NoError(t, <-waitAside(t.Context(), cmds[0]))
		assert.Len(t, b.pollTimes(), 1, "the oldest of three was not kept")

		time.Sleep(2 * time.Minute)
		start := time.Now()
		require.NoError(t, <-waitAside(t.Context(), cmds[2]))
		assert.Len(t, b.pollTimes(), 2, "nor the one that nobody wanted in time")
		assert.Zero(t, time.Since(start))
	})
}

// What others do on the same profile must not make this client poll.
func TestOutcomesOfOthersCostNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t, privicore.WithOutcomeBuffer(2, time.Second))
		mine := b.remove()
		ended := waitAside(t.Context(), mine)
		synctest.Wait()
		for range 50 {
			b.finish(&privicore.Command{ID: "somebody-elses"}, true)
			b.finish(b.remove(), true)
			time.Sleep(100 * time.Millisecond)
		}
		assert.Empty(t, b.pollTimes())
		b.finish(mine, true)
		require.NoError(t, <-ended)
	})
}

func TestWaitAllSubscribesFromTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t, privicore.WithOutcomeBuffer(1, time.Second))
		cmds := make([]*privicore.Command, 100) // more than are waited for at a time
		for i := range cmds {
			cmds[i] = b.remove()
		}
		ended := make(chan error, 1)
		go func() {
			_, err := privicore.WaitAll(t.Context(), cmds...)
			ended <- err
		}()
		synctest.Wait()
		b.finish(cmds[99], true)
		for range 5 {
			b.finish(b.remove(), true)
		}
		for _, cmd := range cmds[:99] {
			b.finish(cmd, true)
			time.Sleep(10 * time.Millisecond)
		}
		require.NoError(t, <-ended)
		assert.Empty(t, b.pollTimes())
	})
}

func TestEachWaitAsksAfterAGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t, privicore.WithPollRate(1000))
		cmds := make([]*privicore.Command, 20)
		ended := make([]<-chan error, len(cmds))
		for i := range cmds {
			cmds[i] = b.remove()
			ended[i] = waitAside(t.Context(), cmds[i])
		}
		synctest.Wait()
		for _, cmd := range cmds[:10] {
			b.finish(cmd, false) // in the gap
		}
		b.Drop()
		time.Sleep(2 * time.Second)
		for _, e := range ended[:10] {
			require.NoError(t, <-e)
		}
		asked := len(b.pollTimes())
		assert.GreaterOrEqual(t, asked, len(cmds))
		time.Sleep(5 * time.Second)
		assert.Len(t, b.pollTimes(), asked, "once is enough")
		for i, cmd := range cmds[10:] {
			b.finish(cmd, true)
			require.NoError(t, <-ended[10+i])
		}
		assert.Len(t, b.pollTimes(), asked)
	})
}

func TestTheRateHoldsWhenTheChannelIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		const n = 500
		ended := make([]<-chan error, n)
		ctx, cancel := context.WithCancel(t.Context())
		for i := range ended {
			ended[i] = waitAside(ctx, b.remove())
		}
		synctest.Wait()
		b.Refuse(true)
		b.Drop()
		time.Sleep(5 * time.Second)
		b.Refuse(false)
		time.Sleep(20 * time.Second)
		times := b.pollTimes()
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
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		cmd := b.remove()
		ended := waitAside(t.Context(), cmd)
		synctest.Wait()
		b.Refuse(true)
		b.Drop()
		time.Sleep(time.Minute)
		polls := len(b.pollTimes())
		assert.Greater(t, polls, 15)
		assert.Equal(t, 1, b.warnings())
		b.finish(cmd, false)
		finished := time.Now()
		require.NoError(t, <-ended)
		assert.LessOrEqual(t, time.Since(finished), 3*time.Second)
	})
}

func TestNoChannelToBeHad(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil func(*channelBackend)
		held  time.Duration // how long the first command is held back
	}{
		"dead host":            {func(b *channelBackend) { b.Refuse(true) }, 0},
		"join is not answered": {func(b *channelBackend) { b.Silent(true) }, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newChannelBackend(t)
				test.spoil(b)
				start := time.Now()
				first, second := b.remove(), b.remove()
				assert.Equal(t, test.held, time.Since(start))
				b.finish(first, false)
				b.finish(second, false)
				endsSoon(t, waitAside(t.Context(), first))
				endsSoon(t, waitAside(t.Context(), second))
				time.Sleep(time.Hour)
				assert.Equal(t, 1, b.warnings())
				assert.NotContains(t, b.log.String(), "T-1")
				require.Error(t, b.client.Connect(t.Context()))
			})
		})
	}
}

func TestDeadPeerIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		cmd := b.remove()
		ended := waitAside(t.Context(), cmd)
		synctest.Wait()
		b.Freeze()
		time.Sleep(time.Minute)
		assert.Len(t, b.Tokens(), 2)
		b.finish(cmd, true)
		require.NoError(t, <-ended)
	})
}

func TestATokenThatExpiredMeanwhileIsRenewedFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		require.NoError(t, b.client.Connect(t.Context()))
		time.Sleep(2 * time.Hour)
		b.Drop()
		time.Sleep(time.Second)
		assert.Equal(t, []string{"T-1", "T-2"}, b.Tokens())
	})
}

func TestATokenThatIsNotToBeHadForNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		require.NoError(t, b.client.Connect(t.Context()))
		time.Sleep(2 * time.Hour)
		b.unwell.Store(true)
		b.Drop()
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"T-1"}, b.Tokens())
		b.unwell.Store(false)
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"T-1", "T-2"}, b.Tokens())
		assert.Equal(t, 1, b.warnings())
	})
}

func TestAContextThatEndsFreesItsWaiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		for name, prepare := range map[string]func(){
			"on the channel": func() {},
			"while polling":  func() { b.Refuse(true); b.Drop(); time.Sleep(time.Second) },
		} {
			cmd := b.remove()
			ctx, cancel := context.WithCancel(t.Context())
			ended := waitAside(ctx, cmd)
			synctest.Wait()
			prepare()
			start := time.Now()
			cancel()
			require.ErrorIs(t, <-ended, context.Canceled, name)
			assert.Zero(t, time.Since(start), name)
			b.finish(cmd, false)
			require.NoError(t, <-waitAside(t.Context(), cmd), "the command may be waited for again")
			b.Refuse(false)
			time.Sleep(time.Minute)
		}
	})
}

func TestCloseEndsEveryWait(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(b *channelBackend){
		"joined":       func(*channelBackend) {},
		"frozen":       func(b *channelBackend) { b.Freeze() },
		"reconnecting": func(b *channelBackend) { b.Refuse(true); b.Drop(); time.Sleep(10 * time.Second) },
		"joining":      func(b *channelBackend) { b.Silent(true); b.Drop(); time.Sleep(3 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newChannelBackend(t)
				ended := make([]<-chan error, 20)
				for i := range ended {
					ended[i] = waitAside(t.Context(), b.remove())
				}
				synctest.Wait()
				prepare(b)
				start := time.Now()
				require.NoError(t, b.client.Close())
				assert.Less(t, time.Since(start), time.Second)
				for _, e := range ended {
					assert.ErrorIs(t, <-e, privicore.ErrClosed)
				}
				assert.ErrorIs(t, b.client.Connect(t.Context()), privicore.ErrClosed)
			})
		})
	}
}

// It does not run in parallel, because it counts goroutines.
func TestWaitAllNeedsFewGoroutines(t *testing.T) { //nolint:paralleltest // it counts goroutines
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		cmds := make([]*privicore.Command, 500)
		for i := range cmds {
			cmds[i] = b.remove()
		}
		synctest.Wait()
		before := runtime.NumGoroutine()
		most := 0
		time.AfterFunc(5*time.Second, func() {
			most = runtime.NumGoroutine()
			for _, cmd := range cmds {
				b.finish(cmd, true)
			}
		})
		_, err := privicore.WaitAll(t.Context(), cmds...)
		require.NoError(t, err)
		assert.Less(t, most-before, 100)
	})
}

// The client holds little for a command in WaitAll, also if the command lasts so
// long that it is polled for: less than 40 MiB for 100,000 of them. It does not run
// in parallel, because it measures memory.
func TestWaitAllNeedsLittleMemory(t *testing.T) { //nolint:paralleltest // it measures memory
	synctest.Test(t, func(t *testing.T) {
		const n, each = 5_000, 40 << 20 / 100_000
		b := newChannelBackend(t, privicore.WithPollRate(1e6), privicore.WithFallbackPoll(time.Second),
			privicore.WithLogger(slog.New(slog.DiscardHandler)))
		require.NoError(t, b.client.Connect(t.Context()))
		cmds := make([]*privicore.Command, n)
		for i := range cmds {
			cmds[i] = b.resumed()
		}
		polled := 0
		b.poll = func(string) *http.Response {
			polled++
			b.polls = nil // the test would hold them
			return nil
		}
		synctest.Wait()
		before := held()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := privicore.WaitAll(ctx, cmds...)
			ended <- err
		}()
		time.Sleep(4 * time.Second)
		synctest.Wait()
		holds := held() - before
		b.mu.Lock()
		assert.GreaterOrEqual(t, polled, 2*n)
		b.mu.Unlock()
		t.Log(holds/n, "bytes for a command")
		assert.Less(t, holds, int64(n*each+1<<20), "the goroutines that poll need the rest")
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		synctest.Wait()
		assert.Less(t, held()-before, int64(n*each/4+1<<20), "nothing is left of the subscriptions")
		runtime.KeepAlive(cmds)
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

// A command that never ends hides nothing. The others are not polled for, because
// their outcomes are pushed.
func TestWaitAllDoesNotPollForWhatWasPushed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		cmds := make([]*privicore.Command, 100)
		for i := range cmds {
			cmds[i] = b.remove()
		}
		var polled []string
		b.poll = func(id string) *http.Response {
			polled = append(polled, id)
			return nil
		}
		time.AfterFunc(10*time.Second, func() {
			for _, cmd := range cmds[1:] {
				b.finish(cmd, true)
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		results, err := privicore.WaitAll(ctx, cmds...)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		for i, result := range results {
			assert.Equal(t, i > 0, result != nil, i)
		}
		assert.Equal(t, []string{cmds[0].ID}, slices.Compact(polled))
	})
}

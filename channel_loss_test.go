package privicore_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/proxytest"
	"github.com/privicore/privicore-go/privicoretest"
)

const backLine = `msg="privicore: WebSocket channel is back"`

func TestFallbackPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const after = 4 * time.Second
		b := newChannelBackend(t, privicore.WithFallbackPoll(after))
		cmd := b.remove()
		start := time.Now()
		ended := waitAside(t.Context(), cmd)
		time.Sleep(time.Minute)
		b.finish(cmd, true)
		require.NoError(t, <-ended)
		polls := b.pollTimes()
		require.Greater(t, len(polls), 3)
		for i, longest := range []time.Duration{after, 2 * after, 4 * after, 4 * after} {
			if i == len(polls) {
				break
			}
			pause := polls[i].Sub(start)
			assert.GreaterOrEqual(t, pause, longest/2, i)
			assert.LessOrEqual(t, pause, longest, i)
			start = polls[i]
		}
	})
}

// A failed poll does not end a wait whose outcome will be pushed.
func TestFailedPollsBesideTheChannel(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403, 404, 422, 502} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newChannelBackend(t, privicore.WithFallbackPoll(time.Second))
				b.poll = func(string) *http.Response {
					resp, _ := reply(status, "")
					return resp
				}
				cmd := b.remove()
				ended := waitAside(t.Context(), cmd)
				time.Sleep(10 * time.Minute)
				assert.Greater(t, len(b.pollTimes()), 50)
				b.finish(cmd, true)
				require.NoError(t, <-ended)
			})
		})
	}
}

// The observed proxy can keep a connection, answer pings and send nothing.
func TestProxyThatSendsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		lose := func() time.Duration {
			cmd := b.remove()
			ended := waitAside(t.Context(), cmd)
			synctest.Wait()
			b.finish(cmd, false)
			start := time.Now()
			require.NoError(t, <-ended)
			return time.Since(start)
		}
		assert.Greater(t, lose(), 10*time.Second)
		time.Sleep(time.Minute)
		assert.Len(t, b.Joins(), 1, "one may be an accident")
		assert.Greater(t, lose(), 10*time.Second)
		time.Sleep(10 * time.Second)
		assert.Len(t, b.Joins(), 2, "two are not")
		for range 3 {
			assert.Less(t, lose(), time.Second, "the channel is not relied on")
		}
		time.Sleep(time.Minute)
		assert.Equal(t, 1, b.warnings())
		assert.Empty(t, b.logged(backLine), "nor is it back")

		b.Push(proxytest.Ack("another", 2))
		synctest.Wait()
		assert.Len(t, b.logged(backLine), 1)
		asked := len(b.pollTimes())
		cmd := b.remove()
		ended := waitAside(t.Context(), cmd)
		time.Sleep(10 * time.Second)
		b.finish(cmd, true)
		require.NoError(t, <-ended)
		assert.Len(t, b.pollTimes(), asked, "until it pushes again")
	})
}

// A server can answer a poll just before it pushes the same outcome. The channel has
// lost nothing then. If the push comes much later, the channel cannot be relied on.
func TestPushThatComesJustAfterThePoll(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		after time.Duration
		joins int
	}{
		{0, 1},
		{900 * time.Millisecond, 1},
		{time.Hour, 2},
	} {
		t.Run(fmt.Sprint(test.after), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newChannelBackend(t, privicore.WithPollRate(100))
				pushes := 0
				b.poll = func(id string) *http.Response {
					pushes++
					time.AfterFunc(test.after, func() { b.Push(proxytest.Ack(id, 2)) })
					resp, _ := reply(200, `["device.removed"]`)
					return resp
				}
				ended := make([]<-chan error, 50)
				for i := range ended {
					cmd := b.remove()
					ended[i] = waitAside(t.Context(), cmd)
					b.Push(proxytest.Ack(cmd.ID, 1)) // a report of progress is no outcome
				}
				start := time.Now()
				for _, e := range ended {
					require.NoError(t, <-e)
				}
				assert.Less(t, time.Since(start), 30*time.Second, "an outcome is not held back meanwhile")
				time.Sleep(time.Minute)
				assert.Equal(t, len(ended), pushes)
				assert.Len(t, b.Joins(), test.joins)
			})
		})
	}
}

// An announcement that is overdue is not asked for. It takes no turn of the polls.
func TestOverdueAnnouncementTakesNoTurn(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		token, err := c.DataToken.Store(t.Context(), smallPayload(t))
		require.NoError(t, err)
		seldom, err := c.Clone(privicore.WithPollRate(1.0 / 60))
		require.NoError(t, err)
		defer func() { assert.NoError(t, seldom.Close()) }()
		s.Next("DataToken.Request", privicoretest.Fault{Latency: 50 * time.Millisecond})
		pending, err := seldom.DataToken.Request(t.Context(), token)
		require.NoError(t, err)
		s.DropConnections()
		start := time.Now()
		_, err = pending.Result(t.Context())
		require.ErrorIs(t, err, privicore.ErrAnswerLost)
		assert.Less(t, time.Since(start), 30*time.Second)
		assert.Equal(t, 1, s.Calls("Utility.RequestStatus"))
	})
}

// Commands that never end must not hide the outcomes of the others, also if
// these are not pushed: the channel is lost for good while all wait for it, or it
// loses them.
func TestWaitAllWhenOutcomesAreLost(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*channelBackend){
		"with the channel": func(b *channelBackend) { b.Refuse(true); b.Drop() },
		"on the way":       func(*channelBackend) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newChannelBackend(t, privicore.WithPollRate(100), privicore.WithFallbackPoll(10*time.Second))
				const hanging, n = 50, 150
				cmds := make([]*privicore.Command, n)
				for i := range cmds {
					cmds[i] = b.remove()
				}
				time.AfterFunc(5*time.Second, func() {
					spoil(b)
					for _, cmd := range cmds[hanging:] {
						b.finish(cmd, false)
					}
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				results, err := privicore.WaitAll(ctx, cmds...)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				for i, result := range results {
					require.Equal(t, i >= hanging, result != nil, i)
				}
			})
		})
	}
}

func TestChannelThatIsBackIsLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		require.NoError(t, b.client.Connect(t.Context()))
		time.Sleep(time.Minute)
		assert.Zero(t, b.warnings())
		assert.Empty(t, b.logged(backLine))
		b.Refuse(true)
		b.Drop()
		time.Sleep(time.Minute)
		assert.Equal(t, 1, b.warnings(), "once for the whole outage")
		assert.Empty(t, b.logged(backLine))
		b.Refuse(false)
		time.Sleep(time.Minute)
		assert.Len(t, b.Joins(), 2)
		assert.Len(t, b.logged(backLine, "level=INFO", "away="), 1)
	})
}

func TestOutcomesAreLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		outcome := func(id, operation, status string) []string {
			return b.logged("level=DEBUG", `msg="privicore: outcome"`, "id="+id, "operation="+operation, "status="+status)
		}
		pushed, lost, rejected, resumed := b.remove(), b.remove(), b.remove(), b.resumed()
		b.finish(pushed, true)
		b.finish(lost, false)
		b.finish(resumed, false)
		b.Push(proxytest.Ack(rejected.ID, 3))
		assert.Empty(t, b.logged(`msg="privicore: outcome"`))
		_, err := privicore.WaitAll(t.Context(), pushed, lost, rejected)
		require.ErrorIs(t, err, privicore.ErrRejected)
		_, err = resumed.Wait(t.Context())
		require.NoError(t, err)
		assert.Len(t, outcome(pushed.ID, "Device.Remove", "succeeded"), 1)
		assert.Len(t, outcome(lost.ID, "Device.Remove", "succeeded"), 1)
		assert.Len(t, outcome(rejected.ID, "Device.Remove", "rejected"), 1)
		assert.Len(t, outcome(resumed.ID, `""`, "succeeded"), 1)
	})
}

package privicore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

const (
	removeOperation = "Device.Remove"
	statusOperation = "Utility.RequestStatus"
)

// remove returns a new command, for which f says how its acks come.
func remove(t *testing.T, c *privicore.Client, s *privicoretest.Server, f privicoretest.Fault) *privicore.Command {
	t.Helper()
	s.Next(removeOperation, f)
	cmd, err := c.Device.Remove(t.Context(), device1)
	require.NoError(t, err)
	return cmd
}

// rejection waits for a command, which is rejected: there is no such device.
func rejection(t *testing.T, cmd *privicore.Command) {
	t.Helper()
	_, err := cmd.Wait(t.Context())
	var rejected *privicore.CommandError
	require.ErrorAs(t, err, &rejected)
	assert.Equal(t, cmd.ID, rejected.ID)
	assert.NotEmpty(t, rejected.Messages)
}

func TestOneJoinForAllGoroutines(t *testing.T) {
	t.Parallel()
	c, s := sandboxed(t)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			cmd, err := c.Device.Remove(t.Context(), device1)
			if assert.NoError(t, err) {
				_, err = cmd.Wait(t.Context())
				assert.ErrorAs(t, err, new(*privicore.CommandError))
			}
		})
	}
	all.Wait()
	assert.Equal(t, 1, s.Joins())
	assert.Equal(t, 1, s.Connections())
	assert.Zero(t, s.Calls(statusOperation))
}

func TestConnect(t *testing.T) {
	t.Parallel()
	c, s := sandboxed(t)
	require.NoError(t, c.Connect(t.Context()))
	require.NoError(t, c.Connect(t.Context()))
	assert.Equal(t, 1, s.Joins())
	require.NoError(t, c.Close())
	assert.ErrorIs(t, c.Connect(t.Context()), privicore.ErrClosed)
	require.Eventually(t, func() bool { return s.Connections() == 0 }, 30*time.Second, time.Millisecond)
}

func TestConnectTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	c, s := sandboxed(t)
	open := func(opts ...privicore.Option) error {
		other, err := privicore.NewClient(append([]privicore.Option{privicore.WithBaseURL(s.URL)}, opts...)...)
		require.NoError(t, err)
		defer other.Close()
		return other.Connect(t.Context())
	}
	ws := privicore.WithWebSocketURL(s.WebSocketURL)
	assert.ErrorContains(t, open(privicore.WithToken("T-x")), "WebSocket URL")
	assert.ErrorIs(t, open(ws), privicore.ErrUnauthorized)
	err := open(ws, privicore.WithToken("T-dead-token"))
	assert.ErrorIs(t, err, privicore.ErrUnauthorized)
	assert.ErrorContains(t, err, "401")
	assert.NotContains(t, err.Error(), "T-dead")
	assert.ErrorIs(t, open(ws, privicore.WithCredentials("alice", "wrong")), privicore.ErrUnauthorized)

	s.RefuseConnections(1, 502)
	assert.ErrorContains(t, c.Connect(t.Context()), "502")
	s.RefuseJoins(2, 403)
	assert.ErrorContains(t, c.Connect(t.Context()), "403")
	require.NoError(t, c.Connect(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.NoError(t, c.Connect(ctx), "it is joined")
}

// What can happen to the message that tells the outcome.
func TestAcks(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault privicoretest.Fault
		polls bool
	}{
		"plain":                  {fault: privicoretest.Fault{}},
		"before the HTTP answer": {fault: privicoretest.Fault{Latency: -1}},
		"long before the answer": {fault: privicoretest.Fault{Latency: -1, Ack: privicoretest.Ack{Pending: -1}}},
		"twice":                  {fault: privicoretest.Fault{Ack: privicoretest.Ack{Twice: true}}},
		"twice, before":          {fault: privicoretest.Fault{Latency: -1, Ack: privicoretest.Ack{Twice: true}}},
		"delayed":                {fault: privicoretest.Fault{Ack: privicoretest.Ack{Delay: 50 * time.Millisecond}}},
		"much progress":          {fault: privicoretest.Fault{Ack: privicoretest.Ack{Pending: 50}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dialects(t, func(t *testing.T, dialect privicoretest.Option) {
				c, s := sandboxed(t, dialect)
				rejection(t, remove(t, c, s, test.fault))
				rejection(t, remove(t, c, s, privicoretest.Fault{}))
				assert.Zero(t, s.Calls(statusOperation))
				assert.Equal(t, 1, s.Joins())
			})
		})
	}
}

func TestAcksForNobody(t *testing.T) {
	t.Parallel()
	c, s := sandboxed(t)
	require.NoError(t, c.Connect(t.Context()))
	for i := range 100 {
		s.Push("alice", ackFor(fmt.Sprint(i), 2, "done"))
	}
	rejection(t, remove(t, c, s, privicoretest.Fault{}))
	assert.Zero(t, s.Calls(statusOperation))
}

func ackFor(id string, status int, body any) any {
	return map[string]any{"data": map[string]any{"type": "X-DPT-CAB-ID", "id": id, "command_status": status, "body": body}}
}

func TestAcksOutOfOrder(t *testing.T) {
	t.Parallel()
	c, s := sandboxed(t)
	s.HoldAcks()
	cmds := make([]*privicore.Command, 10)
	for i := range cmds {
		cmds[i] = remove(t, c, s, privicoretest.Fault{})
	}
	require.Eventually(t, func() bool { return s.HeldAcks() == len(cmds) }, 30*time.Second, time.Millisecond)
	s.ReleaseAcks(privicoretest.Reversed)
	for _, cmd := range cmds {
		rejection(t, cmd)
	}
	assert.Zero(t, s.Calls(statusOperation))
}

// The connection breaks when the outcome has been told, and while it would be.
func TestConnectionThatDrops(t *testing.T) {
	t.Parallel()
	for name, latency := range map[string]time.Duration{"after the outcome": -1, "around it": time.Millisecond, "before it": 100 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := sandboxed(t)
			cmds := make([]*privicore.Command, 5)
			for i := range cmds {
				cmds[i] = remove(t, c, s, privicoretest.Fault{Latency: latency})
			}
			s.DropConnections()
			for _, cmd := range cmds {
				rejection(t, cmd)
			}
		})
	}
}

func TestOutcomeInTheGap(t *testing.T) {
	t.Parallel()
	c, s := sandboxed(t)
	cmd := remove(t, c, s, privicoretest.Fault{Ack: privicoretest.Ack{Lose: true}})
	ended := waitAside(t.Context(), cmd)
	s.DropConnections()
	assert.ErrorAs(t, <-ended, new(*privicore.CommandError))
	assert.NotZero(t, s.Calls(statusOperation))
}

func TestProgressOverTheChannel(t *testing.T) {
	t.Parallel()
	c, s := sandboxed(t)
	s.HoldAcks()
	cmd := remove(t, c, s, privicoretest.Fault{})
	reports := make(chan *privicore.CommandResult, 100)
	ended := make(chan error, 1)
	go func() {
		var last error
		for r, err := range cmd.Watch(t.Context()) {
			if last = err; err == nil && r.Status == privicore.CommandPending {
				reports <- r
			}
		}
		ended <- last
	}()
	assert.Equal(t, []string{"started"}, (<-reports).Messages)
	s.Push("alice", ackFor(cmd.ID, 1, map[string]int{"percent": 50}))
	r := <-reports
	assert.Equal(t, privicore.CommandPending, r.Status)
	assert.JSONEq(t, `{"percent":50}`, string(r.Body))
	s.Push("alice", ackFor(cmd.ID, 2, nil))
	require.NoError(t, <-ended)
	assert.Zero(t, s.Calls(statusOperation))
}

func TestSeveralWaitersOnOneID(t *testing.T) {
	t.Parallel()
	c, s := sandboxed(t)
	s.HoldAcks()
	cmd := remove(t, c, s, privicoretest.Fault{Latency: time.Hour})
	other := c.Command(cmd.ID)
	waits := make([]<-chan error, 10)
	for i := range waits {
		waits[i] = waitAside(t.Context(), cmd)
		if i%2 == 1 {
			waits[i] = waitAside(t.Context(), other)
		}
	}
	require.Eventually(t, func() bool { return s.Calls(statusOperation) > 0 }, 30*time.Second, time.Millisecond,
		"a command of long ago is asked for")
	ctx, cancel := context.WithCancel(t.Context())
	leaving := waitAside(ctx, cmd)
	cancel()
	assert.ErrorIs(t, <-leaving, context.Canceled)
	s.Push("alice", ackFor(cmd.ID, 2, "ok"))
	for _, ended := range waits {
		assert.NoError(t, <-ended)
	}
}

func TestBodyOfAnyType(t *testing.T) {
	t.Parallel()
	c, s := sandboxed(t)
	s.HoldAcks()
	for body, messages := range map[string][]string{
		`null`: nil, `7`: nil, `true`: nil, `""`: nil, `[]`: nil, `{}`: nil,
		`"device.removed"`:                       {"device.removed"},
		`["a",["b",{"c":"d"}],1]`:                {"a", "b", "d"},
		`{"z":"last","a":["first"]}`:             {"first", "last"},
		`"` + strings.Repeat("x", 700<<10) + `"`: {strings.Repeat("x", 700<<10)},
	} {
		cmd := remove(t, c, s, privicoretest.Fault{})
		s.Push("alice", ackFor(cmd.ID, 2, json.RawMessage(body)))
		result, err := cmd.Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, messages, result.Messages)
		assert.JSONEq(t, body, string(result.Body))
	}
	for status, rejected := range map[any]bool{2: false, 3: true, nil: true} {
		cmd := remove(t, c, s, privicoretest.Fault{})
		s.Push("alice", map[string]any{"data": map[string]any{
			"type": "X-DPT-CAB-ID", "id": cmd.ID, "command_status": status, "body": "rejected",
		}})
		_, err := cmd.Wait(t.Context())
		assert.Equal(t, rejected, errors.Is(err, privicore.ErrRejected), "words count only without a status: %v: %v", status, err)
	}
}

func TestDeadTokenAtAReconnect(t *testing.T) {
	t.Parallel()
	c, s := sandboxed(t)
	require.NoError(t, c.Connect(t.Context()))
	killer, err := c.Clone(privicore.WithWebSocketURL("")) // begins with the same token
	require.NoError(t, err)
	defer killer.Close()
	require.NoError(t, killer.Profile.RevokeToken(t.Context()))
	s.DropConnections()
	require.Eventually(t, func() bool { return s.Joins() == 3 }, 30*time.Second, time.Millisecond, "refused, renewed, joined")
	rejection(t, remove(t, c, s, privicoretest.Fault{}))
	assert.Equal(t, 3, s.Joins())
}

func TestDeadTokenThatCannotBeRenewed(t *testing.T) {
	t.Parallel()
	c, s := sandboxed(t)
	token, err := c.Profile.Authenticate(t.Context(), "alice", "correct horse")
	require.NoError(t, err)
	static, err := c.Clone(privicore.WithToken(token.Token.Reveal()))
	require.NoError(t, err)
	defer static.Close()
	cmd := remove(t, static, s, privicoretest.Fault{Latency: 300 * time.Millisecond})
	ended := waitAside(t.Context(), cmd)
	killer, err := static.Clone(privicore.WithWebSocketURL(""))
	require.NoError(t, err)
	defer killer.Close()
	require.NoError(t, killer.Profile.RevokeToken(t.Context()))
	s.DropConnections()
	assert.ErrorAs(t, <-ended, new(*privicore.CommandError), "by polling, which needs no token")
	assert.Eventually(t, func() bool { return s.Joins() == 2 }, 10*time.Second, time.Millisecond, "joined once, refused once")
	assert.ErrorIs(t, static.Connect(t.Context()), privicore.ErrUnauthorized)
}

func TestWorksWithoutAChannel(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*privicoretest.Server){
		"proxy in the way": func(s *privicoretest.Server) { s.RefuseConnections(1000, 502) },
		"join refused":     func(s *privicoretest.Server) { s.RefuseJoins(1000, 403) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := sandboxed(t)
			spoil(s)
			for range 3 {
				rejection(t, remove(t, c, s, privicoretest.Fault{}))
			}
			assert.NotZero(t, s.Calls(statusOperation))
		})
	}
}

func TestBadMessagesLoseNothing(t *testing.T) {
	t.Parallel()
	for name, send := range map[string]func(*privicoretest.Server){
		"malformed":    func(s *privicoretest.Server) { s.PushRaw("alice", false, []byte(`{"data":{`)) },
		"binary":       func(s *privicoretest.Server) { s.PushRaw("alice", true, []byte{0, 0xff, '{'}) },
		"unknown":      func(s *privicoretest.Server) { s.Push("alice", map[string]any{"data": map[string]any{"type": "NEW"}}) },
		"odd":          func(s *privicoretest.Server) { s.Push("alice", []any{nil, 1}) },
		"oversized":    func(s *privicoretest.Server) { s.PushRaw("alice", false, make([]byte, 17<<20)) },
		"broken frame": func(s *privicoretest.Server) { s.PushUnframed("alice", []byte{0xff, 0xff, 0xff}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := sandboxed(t)
			cmd := remove(t, c, s, privicoretest.Fault{Latency: 50 * time.Millisecond})
			send(s)
			rejection(t, cmd)
			rejection(t, remove(t, c, s, privicoretest.Fault{}))
		})
	}
}

func TestCloseIsQuick(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*privicoretest.Server){
		"joined":       func(*privicoretest.Server) {},
		"frozen":       func(s *privicoretest.Server) { s.Freeze() },
		"reconnecting": func(s *privicoretest.Server) { s.RefuseConnections(1000, 502); s.DropConnections() },
		"joining":      func(s *privicoretest.Server) { s.IgnoreJoins(1000); s.DropConnections() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := sandboxed(t, privicoretest.WithLatency(time.Hour))
			waits := make([]<-chan error, 20)
			for i := range waits {
				waits[i] = waitAside(t.Context(), remove(t, c, s, privicoretest.Fault{}))
			}
			prepare(s)
			start := time.Now()
			require.NoError(t, c.Close())
			assert.Less(t, time.Since(start), time.Second)
			for _, ended := range waits {
				assert.ErrorIs(t, <-ended, privicore.ErrClosed)
			}
		})
	}
}

func TestTenThousandWaits(t *testing.T) {
	t.Parallel()
	const n = 10_000
	c, s := sandboxed(t)
	s.HoldAcks()
	cmds := make([]*privicore.Command, n)
	var callers sync.WaitGroup
	for caller := range 8 {
		callers.Go(func() {
			for i := caller; i < n; i += 8 {
				cmd, err := c.Device.Remove(t.Context(), device1)
				if !assert.NoError(t, err) {
					return
				}
				cmds[i] = cmd
			}
		})
	}
	callers.Wait()
	require.Eventually(t, func() bool { return s.HeldAcks() == n }, 10*time.Second, time.Millisecond)
	ended := make(chan error, n)
	var begun sync.WaitGroup
	for _, cmd := range cmds {
		begun.Add(1)
		go func() {
			begun.Done()
			_, err := cmd.Wait(t.Context())
			ended <- err
		}()
	}
	begun.Wait()
	s.ReleaseAcks(privicoretest.InOrder)
	for range n {
		require.ErrorAs(t, <-ended, new(*privicore.CommandError))
	}
	assert.Equal(t, 1, s.Joins())
	assert.Zero(t, s.Calls(statusOperation))
}

// A command that was waited for can be waited for again by its id.
func TestSecondWaitByID(t *testing.T) {
	t.Parallel()
	inBothDialects(t, func(t *testing.T, c *privicore.Client, _ *privicoretest.Server) {
		cmd, err := c.Device.RequestIdentifier(t.Context(), "tablet")
		require.NoError(t, err)
		done(t, cmd.Command, nil)
		began := time.Now()
		done(t, c.Command(cmd.ID), nil)
		assert.Less(t, time.Since(began), time.Second)
	})
}

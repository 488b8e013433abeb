package privicore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// following is a reader of events that waits to be asked for each.
type following struct {
	events chan privicore.Event
	end    chan error // nil error if the sequence just ended
	cancel context.CancelFunc
}

// follow returns when the events come.
func follow(t *testing.T, c *privicore.Client) *following {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &following{make(chan privicore.Event), make(chan error, 1), cancel}
	require.NoError(t, c.Connect(t.Context()))
	listening := make(chan struct{})
	go func() {
		defer close(f.events)
		close(listening)
		for e, err := range c.Events(ctx) {
			if err != nil {
				f.end <- err
				return
			}
			select {
			case f.events <- e:
			case <-ctx.Done():
			}
		}
		f.end <- nil
	}()
	t.Cleanup(func() {
		cancel()
		for range f.events {
		}
	})
	<-listening
	return f
}

func (f *following) next(t *testing.T) privicore.Event {
	t.Helper()
	select {
	case e := <-f.events:
		require.NotNil(t, e)
		return e
	case <-time.After(10 * time.Second):
		require.FailNow(t, "no event")
		return nil
	}
}

// begin follows and makes sure of it by an event of its own.
func begin(t *testing.T, c *privicore.Client, s *privicoretest.Server) *following {
	t.Helper()
	f := follow(t, c)
	for {
		s.Push("alice", map[string]any{"data": map[string]any{"type": "BEGIN"}})
		select {
		case <-f.events:
			s.Push("alice", map[string]any{"data": map[string]any{"type": "BEGUN"}})
			for e := f.next(t); e.(*privicore.UnknownEvent).Type != "BEGUN"; e = f.next(t) {
			}
			return f
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestEvents(t *testing.T) {
	c, s := channelled(t)
	f := begin(t, c, s)
	cmd := remove(t, c, s, privicoretest.Fault{})
	started, ok := f.next(t).(*privicore.CommandEvent)
	require.True(t, ok)
	assert.Equal(t, privicore.CommandPending, started.Status)
	ended, ok := f.next(t).(*privicore.CommandEvent)
	require.True(t, ok)
	assert.Equal(t, cmd.ID, ended.ID)
	assert.Equal(t, privicore.CommandRejected, ended.Status)
	assert.Contains(t, string(ended.RawJSON()), cmd.ID)

	push := func(data map[string]any) privicore.Event {
		s.Push("alice", map[string]any{"data": data})
		return f.next(t)
	}
	ready, ok := push(map[string]any{"type": "X-DPT-CAB-REQUEST-ID", "id": "r", "data_context": "notes", "body": "aGk="}).(*privicore.DataReadyEvent)
	require.True(t, ok)
	assert.Equal(t, "r", ready.RequestID)
	assert.Equal(t, "notes", ready.Context)
	stream, ok := push(map[string]any{"type": "STREAM-READY", "requestId": "r", "streamUrl": "https://files.test/?auth=hidden"}).(*privicore.StreamReadyEvent)
	require.True(t, ok)
	assert.Equal(t, "r", stream.RequestID)
	assert.Equal(t, "https://files.test/?auth=hidden", stream.URL.Reveal())
	assert.NotContains(t, fmt.Sprintf("%v %+v", stream.URL, stream.URL), "hidden")
	unknown, ok := push(map[string]any{"type": "TELEMETRY", "load": 1}).(*privicore.UnknownEvent)
	require.True(t, ok)
	assert.Equal(t, "TELEMETRY", unknown.Type)
	assert.JSONEq(t, `{"data":{"type":"TELEMETRY","load":1}}`, string(unknown.RawJSON()))
	s.PushRaw("alice", true, []byte{0, 1})
	unknown, ok = f.next(t).(*privicore.UnknownEvent)
	require.True(t, ok)
	assert.Equal(t, []byte{0, 1}, []byte(unknown.RawJSON()))

	s.DropConnections()
	require.Eventually(t, func() bool { return s.Joins() == 2 }, 5*time.Second, time.Millisecond)
	require.NoError(t, c.Connect(t.Context()))
	again, ok := push(map[string]any{"type": "AGAIN"}).(*privicore.UnknownEvent)
	require.True(t, ok)
	assert.Equal(t, "AGAIN", again.Type, "across a reconnect")
	require.NoError(t, c.Close())
	assert.ErrorIs(t, <-f.end, privicore.ErrClosed)
}

func TestEventsOfASlowReader(t *testing.T) {
	c, s := channelled(t)
	f := begin(t, c, s)
	const n = 2000
	for i := range n {
		s.Push("alice", map[string]any{"data": map[string]any{"type": "N", "n": i}})
	}
	rejection(t, remove(t, c, s, privicoretest.Fault{}))
	assert.Zero(t, s.Calls(statusOperation), "a wait is not held up")
	s.Push("alice", map[string]any{"data": map[string]any{"type": "LAST"}})

	seen, missed := 0, 0
	for seen+missed < n+3 { // with the two about the command
		switch e := f.next(t).(type) {
		case *privicore.MissedEvent:
			assert.Nil(t, e.RawJSON())
			missed += int(e.Count)
		case *privicore.UnknownEvent:
			if e.Type == "N" && missed == 0 {
				assert.JSONEq(t, fmt.Sprintf(`{"data":{"type":"N","n":%d}}`, seen), string(e.RawJSON()), "a gap comes after a MissedEvent only")
			}
			seen++
		default:
			seen++
		}
	}
	assert.Equal(t, n+3, seen+missed)
	assert.Greater(t, missed, 1000)
	s.Push("alice", map[string]any{"data": map[string]any{"type": "AFTER"}})
	after, ok := f.next(t).(*privicore.UnknownEvent)
	require.True(t, ok)
	assert.Equal(t, "AFTER", after.Type)
}

func TestEventsEnd(t *testing.T) {
	c, s := channelled(t)
	f := begin(t, c, s)
	f.cancel()
	assert.NoError(t, <-f.end, "that the context ended is no error")

	f = begin(t, c, s)
	s.RefuseJoins(2, 403)
	s.DropConnections()
	assert.ErrorContains(t, <-f.end, "403", "a channel that cannot be joined again")

	none, err := privicore.NewClient(privicore.WithBaseURL(s.URL), privicore.WithToken("T-x"))
	require.NoError(t, err)
	defer none.Close()
	for e, err := range none.Events(t.Context()) {
		assert.Nil(t, e)
		assert.ErrorContains(t, err, "WebSocket URL")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, c.Close())
	for range c.Events(ctx) {
		assert.Fail(t, "the context has ended")
	}
	for _, err := range c.Events(t.Context()) {
		assert.ErrorIs(t, err, privicore.ErrClosed)
	}
}

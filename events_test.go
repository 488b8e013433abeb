package privicore_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/proxytest"
)

// following is a reader of events that waits to be asked for each.
type following struct {
	events chan privicore.Event // closed at the end
	err    error                // of the last element; to be read after the end
	cancel context.CancelFunc
}

// follow reads events. In a bubble they come from when it returns.
func follow(t *testing.T, c *privicore.Client) *following {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &following{events: make(chan privicore.Event), cancel: cancel}
	go func() {
		defer close(f.events)
		for e, err := range c.Events(ctx) {
			if err != nil {
				f.err = err
				continue // it has to be the last one
			}
			select {
			case f.events <- e:
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() { f.cancel(); f.end() })
	synctest.Wait()
	return f
}

// end reads on to the end, and returns the error.
func (f *following) end() error {
	for range f.events {
	}
	return f.err
}

// next returns the next event, which has to be of type E.
func next[E privicore.Event](t *testing.T, f *following) E {
	t.Helper()
	event, ok := <-f.events
	require.True(t, ok, "the events have ended")
	e, ok := event.(E)
	require.True(t, ok, "%T", event)
	return e
}

func TestEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		f := follow(t, b.client)
		b.Push(proxytest.Ack("c1", 1))
		started := next[*privicore.CommandEvent](t, f)
		assert.Equal(t, privicore.CommandPending, started.Status)
		b.Push(proxytest.Ack("c1", 3))
		ended := next[*privicore.CommandEvent](t, f)
		assert.Equal(t, "c1", ended.ID)
		assert.Equal(t, privicore.CommandRejected, ended.Status)
		assert.JSONEq(t, proxytest.Ack("c1", 3), string(ended.RawJSON()))

		b.Push(`{"data":{"type":"X-DPT-CAB-REQUEST-ID","id":"r","data_context":"notes","body":"aGk="}}`)
		ready := next[*privicore.DataReadyEvent](t, f)
		assert.Equal(t, "r", ready.RequestID)
		assert.Equal(t, "notes", ready.Context)
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", ready, *ready, ready), "aGk=", "it may be a payload")
		b.Push(`{"data":{"type":"STREAM-READY","requestId":"r","streamUrl":"https://files.test/?auth=hidden"}}`)
		stream := next[*privicore.StreamReadyEvent](t, f)
		assert.Equal(t, "r", stream.RequestID)
		assert.Equal(t, "https://files.test/?auth=hidden", stream.URL.Reveal())
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", stream, *stream, stream.URL), "hidden")
		b.Push(`{"data":{"type":"TELEMETRY","load":1}}`)
		unknown := next[*privicore.UnknownEvent](t, f)
		assert.Equal(t, "TELEMETRY", unknown.Type)
		assert.JSONEq(t, `{"data":{"type":"TELEMETRY","load":1}}`, string(unknown.RawJSON()))
		require.NoError(t, b.Conn().Write(t.Context(), websocket.MessageBinary, []byte{0, 1}))
		unknown = next[*privicore.UnknownEvent](t, f)
		assert.Empty(t, unknown.Type)
		assert.Equal(t, []byte{0, 1}, []byte(unknown.RawJSON()))

		require.NoError(t, b.client.Close())
		assert.ErrorIs(t, f.end(), privicore.ErrClosed)
	})
}

func TestEventsAcrossAReconnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		f := follow(t, b.client)
		b.Drop()
		assert.Nil(t, next[*privicore.DisconnectedEvent](t, f).RawJSON())
		start := time.Now()
		assert.Nil(t, next[*privicore.ReconnectedEvent](t, f).RawJSON())
		assert.Less(t, time.Since(start), time.Second)
		assert.Len(t, b.Joins(), 2)
		b.Push(`{"data":{"type":"AGAIN"}}`)
		assert.Equal(t, "AGAIN", next[*privicore.UnknownEvent](t, f).Type)
	})
}

func TestEventsOfASlowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		f := follow(t, b.client)
		const n = 2000
		for i := range n {
			b.Push(fmt.Sprintf(`{"data":{"type":"N","n":%d}}`, i))
		}
		cmd := b.remove()
		ended := waitAside(t.Context(), cmd)
		b.finish(cmd, true)
		start := time.Now()
		require.NoError(t, <-ended)
		assert.Zero(t, time.Since(start), "a wait is not held up")
		assert.Empty(t, b.pollTimes())

		seen, missed := 0, 0
		for seen+missed < n+1 { // with the outcome
			switch e := (<-f.events).(type) {
			case *privicore.DroppedEvent:
				assert.Nil(t, e.RawJSON())
				assert.Zero(t, missed, "one event counts all that was missed")
				missed = int(e.Count)
			case *privicore.UnknownEvent:
				assert.Zero(t, missed)
				assert.JSONEq(t, fmt.Sprintf(`{"data":{"type":"N","n":%d}}`, seen), string(e.RawJSON()))
				seen++
			}
		}
		assert.Equal(t, n+1, seen+missed)
		assert.Greater(t, missed, 1000)
		b.Push(`{"data":{"type":"AFTER"}}`)
		assert.Equal(t, "AFTER", next[*privicore.UnknownEvent](t, f).Type)
	})
}

func TestEventsEndWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		f := follow(t, b.client)
		f.cancel()
		require.NoError(t, f.end(), "that the context ended is no error")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range b.client.Events(ctx) {
			assert.Fail(t, "the context had ended")
		}

		f = follow(t, b.client)
		b.Push(`{"data":{"type":"MORE"}}`)
		assert.Equal(t, "MORE", next[*privicore.UnknownEvent](t, f).Type, "others go on")
	})
}

func TestEventsEndWithTheChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		b.Answer = func(n int, _ string) string {
			if n > 1 {
				return `{"correlationId":"%s","status":403,"data":{"message":"no"}}`
			}
			return proxytest.GoodAnswer
		}
		f := follow(t, b.client)
		b.Drop()
		next[*privicore.DisconnectedEvent](t, f)
		require.ErrorContains(t, f.end(), "403", "a channel that cannot be joined again")
		for e, err := range b.client.Events(t.Context()) {
			assert.Nil(t, e)
			assert.ErrorContains(t, err, "403")
		}
	})
}

func TestEventsWithoutAChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t, privicore.WithWebSocketURL(""))
		ends := func(want error, text string) {
			n := 0
			for e, err := range b.client.Events(t.Context()) {
				n++
				assert.Nil(t, e)
				assert.ErrorIs(t, err, want)
				assert.ErrorContains(t, err, text)
			}
			assert.Equal(t, 1, n)
		}
		ends(privicore.ErrValidation, "WebSocket URL")

		b = newChannelBackend(t)
		require.NoError(t, b.client.Close())
		ends(privicore.ErrClosed, "closed")
	})
}

// A loop that is left early leaves the channel as it is.
func TestEventsThatAreLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		require.NoError(t, b.client.Connect(t.Context()))
		time.AfterFunc(time.Second, func() {
			b.Push(`{"data":{"type":"A"}}`)
			b.Push(`{"data":{"type":"B"}}`)
		})
		for e, err := range b.client.Events(t.Context()) {
			require.NoError(t, err)
			assert.NotNil(t, e)
			break
		}
		synctest.Wait()
		cmd := b.remove()
		b.finish(cmd, true)
		require.NoError(t, <-waitAside(t.Context(), cmd))
		assert.Len(t, b.Joins(), 1)
		assert.Empty(t, b.pollTimes())
	})
}

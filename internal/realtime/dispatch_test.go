package realtime

import (
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/internal/proxytest"
	"github.com/privicore/privicore-go/internal/wire"
)

// FuzzDispatch feeds what a server may send to the whole way of a message.
func FuzzDispatch(f *testing.F) {
	for _, seed := range []string{
		`{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":2,"body":{"x":[null]}}}`,
		`{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":"1"}}`,
		`{"data":{"type":"X-DPT-CAB-REQUEST-ID","id":"a","output_type":0,"body":"aGVsbG8="}}`,
		`{"data":{"type":"STREAM-READY","requestId":"a","streamUrl":"x"}}`,
		`{"correlationId":"c","status":200,"data":{"channelId":"x"}}`,
		`{"correlationId":"d","status":200,"data":{"channelId":"x"}}`,
		`{"status":200,"data":{"uptime":5}}`,
		`{"data":{"type":"X-DPT-CAB-ID","id":"next","command_status":2}}`,
		`{"status":"1e99","data":7}`, `null`, `[]`, ``, "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := New(Config{Logger: slog.New(slog.DiscardHandler), Keep: 10, KeepFor: 1 << 40})
		defer c.Close()
		l := c.Listen()
		defer c.Unlisten(l)
		w := c.SubscribeCommand("a")
		var e wire.Envelope
		before := string(data)
		answer := c.dispatch(data, &e, "c")
		require.Equal(t, before, string(data))

		notices, _ := l.Take()
		if answer || e.Type == "" && e.CorrelationID != "" {
			require.Empty(t, notices)
		} else {
			require.Len(t, notices, 1)
			require.Equal(t, before, string(notices[0].Message.Raw))
		}
		for _, m := range w.Take() {
			require.Equal(t, "a", m.ID)
			require.Equal(t, wire.TypeCommand, m.Type)
			require.True(t, m.Body == nil || json.Valid(m.Body))
		}
		w.Stop()
		require.Equal(t, len(c.inbox.commands)+len(c.inbox.requests), c.inbox.early.Len())

		// Nothing that came before spoils what follows.
		next := "next"
		for c.inbox.commands[next] != nil {
			next += "x" // data is about this one
		}
		w = c.SubscribeCommand(next)
		defer w.Stop()
		c.dispatch([]byte(proxytest.Ack(next, wire.StatusSucceeded)), &e, "c")
		require.Len(t, w.Take(), 1)
	})
}

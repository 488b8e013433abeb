package realtime

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/internal/proxytest"
	"github.com/privicore/privicore-go/internal/wire"
)

const (
	// anyID stands in what a scripted proxy sends for the correlation id of the
	// join. It has the same length, so that the lengths in frames stay right.
	anyID        = "CORRELATION-ID-OF-THE-JOIN"
	scriptToken  = "T-scripted-token"
	acceptedJoin = `{"correlationId":"` + anyID + `","status":200,"data":{"channelId":"ch-1","message":"Joined."}}`
)

// script is a proxy that accepts the handshake, takes the join, sends these bytes
// and closes the connection.
type script []byte

func (s script) RoundTrip(r *http.Request) (*http.Response, error) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	header := http.Header{}
	header.Set("Upgrade", "websocket")
	header.Set("Connection", "Upgrade")
	header.Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	return &http.Response{StatusCode: http.StatusSwitchingProtocols, Header: header, Body: &scripted{rest: s}, Request: r}, nil
}

// scripted is the connection to a script.
type scripted struct {
	sent bytes.Buffer
	rest []byte
	read bool
}

// Write keeps what comes before the first Read, which is the join.
func (s *scripted) Write(p []byte) (int, error) {
	if !s.read {
		s.sent.Write(p)
	}
	return len(p), nil
}

func (s *scripted) Read(p []byte) (int, error) {
	if !s.read {
		s.read = true
		s.rest = bytes.ReplaceAll(s.rest, []byte(anyID), []byte(s.correlationID()))
	}
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *scripted) Close() error { return nil }

// correlationID returns the id in the frame that the client has sent.
func (s *scripted) correlationID() string {
	frame := s.sent.Bytes()
	start := 2
	if frame[1]&0x7f == 126 {
		start += 2
	}
	mask, payload := frame[start:start+4], frame[start+4:]
	text := make([]byte, len(payload))
	for i := range payload {
		text[i] = payload[i] ^ mask[i%4]
	}
	var join request
	if err := json.Unmarshal(text, &join); err != nil {
		return err.Error()
	}
	return join.CorrelationID
}

// frame returns a frame of WebSocket with a text in it.
func frame(text string) []byte {
	head := []byte{0x81}
	switch n := len(text); {
	case n < 126:
		head = append(head, byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 127), uint64(n))
	}
	return append(head, text...)
}

// session runs one session with the script, and returns what it has logged.
func (s script) session(c *Channel) (joined bool, log string, err error) {
	var b lockedBuffer
	c.config.HTTPClient = &http.Client{Transport: s}
	c.config.Logger = slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	lasted, err := c.session()
	c.logLoss(err, lasted > 0)
	return lasted > 0, b.String(), err
}

func newScripted() *Channel {
	return New(Config{
		URL: "ws://proxy.test", Keep: 10, KeepFor: 1 << 40,
		Token: func(context.Context, string) (string, error) { return scriptToken, nil },
	})
}

// shownIn returns an error in all ways to print it, with all errors in it.
func shownIn(err error) string {
	if err == nil {
		return ""
	}
	text := fmt.Sprintf("%v %+v %#v %q ", err, err, err, err)
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		text += shownIn(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			text += shownIn(inner)
		}
	}
	return text
}

// FuzzFrames is a proxy that sends any bytes in place of frames.
func FuzzFrames(f *testing.F) {
	join := frame(acceptedJoin)
	ack := frame(proxytest.Ack("a", wire.StatusSucceeded))
	for _, seed := range [][]byte{
		nil, join, append(bytes.Clone(join), ack...), append(bytes.Clone(ack), join...),
		append(bytes.Clone(join), 0x88, 0x02, 0x03, 0xe8),                                  // a close
		append(append(bytes.Clone(join), 0x88, 20, 0x03, 0xf0), "T-scripted-token.."...),   // with a reason
		append(bytes.Clone(join), 0x89, 0x01, 'x', 0x8a, 0x00),                             // a ping and a pong
		append(bytes.Clone(join), 0x01, 0x01, '{', 0x80, 0x01, '}'),                        // a message in two frames
		append(bytes.Clone(join), 0x82, 0x02, '{', '}'),                                    // a binary message
		append(bytes.Clone(join), 0x81, 0xfe, 0, 1, 1, 2, 3, 4, 5),                         // masked
		append(bytes.Clone(join), 0x81, 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), // of an immense length
		append(bytes.Clone(join), 0xf1, 0x01, 'x'),                                         // with reserved bits
		frame(`{"correlationId":"` + anyID + `","status":401,"data":{"message":"T-scripted-token is dead"}}`),
		frame(`{"status":200,"data":{"channelId":"x"}}`),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := newScripted()
		defer c.Close()
		sub := c.SubscribeCommand("a")
		defer sub.Stop()
		_, log, err := script(data).session(c)
		require.Error(t, err, "every script ends")
		require.NotContains(t, shownIn(err), scriptToken)
		require.NotContains(t, log, scriptToken)
		for _, m := range sub.Take() {
			require.Equal(t, "a", m.ID)
			require.True(t, m.Body == nil || json.Valid(m.Body))
		}
	})
}

// FuzzJoin is a proxy that sends any messages before and after it accepts the join,
// and then an outcome.
func FuzzJoin(f *testing.F) {
	for _, seed := range []string{
		``, `{"data":{"type":"keepalive"}}`, `{"status":200,"data":{"channelId":"x"}}`,
		`{"status":401,"data":{"message":"T-scripted-token is dead"}}`,
		`{"status":403,"data":{"message":"\u0054-scripted-token is dead"}}`,
		`{"correlationId":"` + anyID + `","status":500,"data":{"message":"T-scripted%2dtoken"}}`,
		`{"correlationId":"other","status":500}`,
		`{"data":{"type":"X-DPT-CAB-ID","id":"next","command_status":1}}` + "\n" + `[]`, "\xff", `{"status":1e999}`,
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		c := newScripted()
		defer c.Close()
		var data []byte
		for message := range strings.SplitSeq(before, "\n") {
			data = append(data, frame(message)...)
		}
		data = append(data, frame(acceptedJoin)...)
		for message := range strings.SplitSeq(after, "\n") {
			data = append(data, frame(message)...)
		}
		const id = "an id that nothing else has"
		data = append(data, frame(proxytest.Ack(id, wire.StatusSucceeded))...)
		sub := c.SubscribeCommand(id)
		defer sub.Stop()

		joined, log, err := script(data).session(c)
		require.Error(t, err)
		require.NotContains(t, shownIn(err), scriptToken)
		require.NotContains(t, log, scriptToken)
		if _, refused := errors.AsType[*RefusedError](err); !refused {
			require.True(t, joined)
			require.NotEmpty(t, sub.Take(), "nothing hides the outcome")
		}
	})
}

//go:build !js

package realtime

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/coder/websocket"
)

// dial connects to the proxy.
func dial(ctx context.Context, config *Config) (*conn, error) {
	client := *config.HTTPClient
	capture := &streamCapture{next: client.Transport}
	if capture.next == nil {
		capture.next = http.DefaultTransport
	}
	client.Transport = capture
	var ws *websocket.Conn
	var resp *http.Response
	var err error
	handshake(capture, func() {
		ws, resp, err = websocket.Dial(ctx, config.URL, &websocket.DialOptions{
			HTTPClient:      &client,
			HTTPHeader:      config.Header,
			CompressionMode: websocket.CompressionDisabled,
		})
	})
	if err != nil {
		return nil, dialError(resp, err)
	}
	ws.SetReadLimit(maxMessage)
	return &conn{Conn: ws, stream: capture.stream, received: &capture.stream.received}, nil
}

// streamCapture is a RoundTripper that keeps the connection which the answer to
// the handshake hands out.
type streamCapture struct {
	next   http.RoundTripper
	stream *countedStream
}

func (s *streamCapture) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.next.RoundTrip(req)
	if err != nil {
		return resp, err
	}
	// The body is a connection only if the server switched protocols. The
	// library refuses any other answer.
	if stream, ok := resp.Body.(io.ReadWriteCloser); ok {
		s.stream = &countedStream{ReadWriteCloser: stream}
		resp.Body = s.stream
	}
	return resp, nil
}

// countedStream counts the bytes that are read from a connection.
type countedStream struct {
	io.ReadWriteCloser
	received atomic.Int64
}

func (s *countedStream) Read(p []byte) (int, error) {
	n, err := s.ReadWriteCloser.Read(p)
	s.received.Add(int64(n))
	return n, err
}

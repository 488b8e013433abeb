package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// network is a listener without sockets, so that a bubble can wait for it.
type network struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newNetwork() *network {
	return &network{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error   { n.once.Do(func() { close(n.closed) }); return nil }
func (n *network) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (n *network) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case n.conns <- server:
		return client, nil
	case <-n.closed:
	case <-ctx.Done():
	}
	return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
}

// inBubble serves h over a network without sockets, and returns a Transport
// that talks to it at http://api.test.
func inBubble(t *testing.T, cfg Config, h http.HandlerFunc) *Transport {
	n := newNetwork()
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(n) }()
	pool := NewPool()
	pool.Proxy = nil
	pool.DialContext = n.DialContext
	if cfg.Client == nil {
		cfg.Client = &http.Client{Transport: pool}
	}
	t.Cleanup(func() { pool.CloseIdleConnections(); _ = s.Close() })
	return New(cfg)
}

// Frames of HTTP/2, as far as a server needs them that answers with a status.
const (
	frameData, frameHeaders, frameReset, frameSettings, framePing, frameGoAway = 0, 1, 3, 4, 6, 7

	flagEnd        = 0x1 // of a stream; an acknowledgement
	flagEndHeaders = 0x4
)

func writeFrame(w io.Writer, kind, flags byte, stream uint32, payload []byte) {
	head := make([]byte, 9, 9+len(payload))
	binary.BigEndian.PutUint32(head, uint32(len(payload))<<8)
	head[3], head[4] = kind, flags
	binary.BigEndian.PutUint32(head[5:], stream)
	_, _ = w.Write(append(head, payload...))
}

// serveFrames calls answer with the number of each request on any connection.
// If answer does nothing, the status is 200.
func serveFrames(t *testing.T, answer func(conn net.Conn, number int, stream uint32) (done bool)) (*http.Client, string) {
	var mu sync.Mutex
	number := 0
	serveConn := func(conn net.Conn) {
		defer conn.Close()
		_, _ = io.ReadFull(conn, make([]byte, 24)) // the preface
		writeFrame(conn, frameSettings, 0, 0, nil)
		head := make([]byte, 9)
		for {
			if _, err := io.ReadFull(conn, head); err != nil {
				return
			}
			payload := make([]byte, binary.BigEndian.Uint32(head)>>8)
			_, _ = io.ReadFull(conn, payload)
			stream := binary.BigEndian.Uint32(head[5:])
			switch {
			case head[3] == frameSettings && head[4]&flagEnd == 0:
				writeFrame(conn, frameSettings, flagEnd, 0, nil)
			case head[3] == frameHeaders:
				mu.Lock()
				number++
				n := number
				mu.Unlock()
				if !answer(conn, n, stream) {
					writeFrame(conn, frameHeaders, flagEndHeaders|flagEnd, stream, []byte{0x88}) // :status: 200
				}
			}
		}
	}
	s := httptest.NewUnstartedServer(nil)
	s.TLS = h2Config()
	s.Config.TLSNextProto = h2Handler(serveConn)
	s.StartTLS()
	client := s.Client()
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	t.Cleanup(func() { client.CloseIdleConnections(); s.Close() })
	return client, s.URL
}

package proxytest

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Conn is the proxy's end of a connection.
type Conn struct {
	*websocket.Conn
	// CorrelationID is that of the join. It may be read in the Joined hook.
	CorrelationID string

	tb   testing.TB
	link *link
}

// Push sends a message, and waits until the client has read it from the
// connection. It fails the test if it cannot.
func (c *Conn) Push(message string) {
	c.tb.Helper()
	if err := c.Write(context.Background(), websocket.MessageText, []byte(message)); err != nil {
		c.tb.Errorf("proxytest: push: %v", err)
	}
}

// Drop closes the connection as networks do, without a close handshake.
func (c *Conn) Drop() { _ = c.link.Close() }

// Freeze has the connection swallow everything in both directions, as if the
// other end had vanished.
func (c *Conn) Freeze() { c.link.frozen.Store(true) }

// Slow lets no more than a number of bytes per second through to the client from
// now on. Writing does not wait for it, as if there were a large buffer on the
// way.
func (c *Conn) Slow(bytesPerSecond int) { c.link.slow(bytesPerSecond) }

// WriteRaw writes bytes to the connection as they are, without a WebSocket frame
// around them.
func (c *Conn) WriteRaw(b []byte) { _, _ = c.link.Write(b) }

type linkKey struct{}

// link is a connection that can freeze and be slow.
type link struct {
	net.Conn
	frozen atomic.Bool
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	rate  int // bytes per second, 0 for no bound
	queue []byte
	more  chan struct{} // receives when queue is not empty
}

func newLink(conn net.Conn) *link {
	return &link{Conn: conn, closed: make(chan struct{}), more: make(chan struct{}, 1)}
}

func (l *link) Read(b []byte) (int, error) {
	for {
		n, err := l.Conn.Read(b)
		if err != nil || !l.frozen.Load() {
			return n, err
		}
	}
}

func (l *link) Write(b []byte) (int, error) {
	if l.frozen.Load() {
		return len(b), nil
	}
	l.mu.Lock()
	if l.rate == 0 {
		l.mu.Unlock()
		return l.Conn.Write(b)
	}
	defer l.mu.Unlock()
	l.queue = append(l.queue, b...)
	select {
	case l.more <- struct{}{}:
	default: // the drain knows already
	}
	return len(b), nil
}

func (l *link) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Conn.Close()
}

func (l *link) slow(rate int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate == 0 {
		go l.drain()
	}
	l.rate = rate
}

// drain writes what is queued until the connection is closed.
func (l *link) drain() {
	for {
		select {
		case <-l.more:
		case <-l.closed:
			return
		}
		for part := l.next(); len(part) > 0; part = l.next() {
			timer := time.NewTimer(time.Second)
			select {
			case <-timer.C:
			case <-l.closed:
				timer.Stop()
				return
			}
			if l.frozen.Load() {
				continue
			}
			if _, err := l.Conn.Write(part); err != nil {
				return
			}
		}
	}
}

// next takes what may be written in one second from the queue.
func (l *link) next() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(l.rate, len(l.queue))
	part := l.queue[:n:n]
	l.queue = l.queue[n:]
	return part
}

// listener accepts what DialContext makes.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newListener() *listener {
	return &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }

func refused(network, address string) error {
	return &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused: " + address)}
}

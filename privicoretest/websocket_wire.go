package privicoretest

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// wires is a listener for WebSocket connections that can be frozen and that end
// when they are idle.
type wires struct {
	net.Listener
	idle time.Duration // 0 means never
}

func (l wires) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: conn, idle: l.idle}
	if l.idle > 0 {
		w.timer = time.AfterFunc(l.idle, func() { conn.Close() })
	}
	return w, nil
}

const (
	gatherLimit = 64 << 10
	closeGrace  = 100 * time.Millisecond
)

// wire is the TCP connection under a WebSocket.
type wire struct {
	net.Conn
	frozen atomic.Bool
	idle   time.Duration
	timer  *time.Timer // nil without an idle timeout

	mu        sync.Mutex
	gathering bool
	gathered  []byte
}

// Read drops what comes in while the wire is frozen. It returns when the
// connection ends.
func (w *wire) Read(p []byte) (int, error) {
	for {
		n, err := w.Conn.Read(p)
		if err != nil {
			return n, err
		}
		w.touch()
		if !w.frozen.Load() {
			return n, nil
		}
	}
}

func (w *wire) Write(p []byte) (int, error) {
	if w.frozen.Load() {
		return len(p), nil
	}
	w.touch()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.gathering {
		return w.Conn.Write(p)
	}
	w.gathered = append(w.gathered, p...)
	if len(w.gathered) < gatherLimit {
		return len(p), nil
	}
	return len(p), w.flush()
}

// gather keeps writes back until release, to send them as one. The WebSocket
// library makes a system call for every message, which is most of the cost of a
// burst.
func (w *wire) gather() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gathering = true
}

// release sends what was gathered and ends the gathering.
func (w *wire) release() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gathering = false
	return w.flush()
}

func (w *wire) flush() error {
	if len(w.gathered) == 0 || w.frozen.Load() {
		return nil
	}
	_, err := w.Conn.Write(w.gathered)
	w.gathered = w.gathered[:0]
	return err
}

func (w *wire) Close() error {
	if w.timer != nil {
		w.timer.Stop()
	}
	// A close frame may be among what was gathered. If the lock is taken, a
	// write waits for a peer that does not read, and there is no use in waiting
	// for it.
	if w.mu.TryLock() {
		w.Conn.SetWriteDeadline(time.Now().Add(closeGrace))
		w.flush()
		w.mu.Unlock()
	}
	return w.Conn.Close()
}

// touch restarts the idle timeout.
func (w *wire) touch() {
	if w.timer != nil {
		w.timer.Reset(w.idle)
	}
}

type wireKey struct{}

func withWire(ctx context.Context, conn net.Conn) context.Context {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	return context.WithValue(ctx, wireKey{}, conn)
}

// wireOf returns the wire of a request to the proxy.
func wireOf(ctx context.Context) *wire {
	w, _ := ctx.Value(wireKey{}).(*wire)
	return w
}

package realtime

import (
	"bytes"
	"sync"
	"sync/atomic"
)

// eventBuffer is how far a reader of events may fall behind.
const eventBuffer = 256

// events hands all messages to those who listen, without waiting for them.
type events struct {
	listening atomic.Int32 // spares the reader the lock and a copy
	mu        sync.Mutex
	listeners map[*Listener]struct{}
	closed    bool
}

// Listener receives all messages from when it was made.
type Listener struct {
	C      chan Message // closed with the channel
	missed atomic.Int64
}

// Missed returns how many messages were dropped since the last time, because
// C was full.
func (l *Listener) Missed() int64 { return l.missed.Swap(0) }

// Listen returns a Listener. Unlisten must be called for it.
func (c *Channel) Listen() *Listener {
	e := &c.events
	l := &Listener{C: make(chan Message, eventBuffer)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		close(l.C)
		return l
	}
	if e.listeners == nil {
		e.listeners = make(map[*Listener]struct{})
	}
	e.listeners[l] = struct{}{}
	e.listening.Add(1)
	return l
}

// Unlisten ends a Listener.
func (c *Channel) Unlisten(l *Listener) {
	e := &c.events
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.listeners[l]; ok {
		delete(e.listeners, l)
		e.listening.Add(-1)
	}
}

// send hands on m, which was read from raw. raw is the reader's buffer.
func (e *events) send(m Message, raw []byte) {
	if e.listening.Load() == 0 {
		return
	}
	m.Raw = bytes.Clone(raw)
	e.mu.Lock()
	defer e.mu.Unlock()
	for l := range e.listeners {
		select {
		case l.C <- m:
		default:
			l.missed.Add(1)
		}
	}
}

func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for l := range e.listeners {
		close(l.C)
		delete(e.listeners, l)
	}
	e.listening.Store(0)
}

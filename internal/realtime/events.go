package realtime

import (
	"bytes"
	"sync"
	"sync/atomic"
)

// How far a reader of events may fall behind.
const (
	maxQueued      = 256
	maxQueuedBytes = 32 << 20
)

// events hands all messages to those who listen, without waiting for them.
type events struct {
	listening atomic.Int32 // spares the reader the lock and a copy
	mu        sync.Mutex
	listeners map[*Listener]struct{}
	closed    error
}

// Listener receives all messages from when it was made.
type Listener struct {
	events *events
	ready  chan struct{}
	queue  []Message
	bytes  int // in queue
	missed int // after what is in queue
	end    error
}

// Listen returns a Listener. Unlisten must be called for it.
func (c *Channel) Listen() *Listener {
	e := &c.events
	l := &Listener{events: e, ready: make(chan struct{}, 1)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed != nil {
		l.finish(e.closed)
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

// Ready receives when Take has something to return.
func (l *Listener) Ready() <-chan struct{} { return l.ready }

// Take returns the messages that came since the last time, how many after them
// were dropped because nobody took these, and, if no more will come, why.
func (l *Listener) Take() (queue []Message, missed int, end error) {
	l.events.mu.Lock()
	defer l.events.mu.Unlock()
	queue, missed = l.queue, l.missed
	l.queue, l.bytes, l.missed = nil, 0, 0
	return queue, missed, l.end
}

// wake is called with the lock held, as are add and finish.
func (l *Listener) wake() {
	select {
	case l.ready <- struct{}{}:
	default: // not read yet
	}
}

func (l *Listener) add(m Message) {
	// What is full stays so until the queue is taken: a gap is at its end.
	if len(l.queue) >= maxQueued || l.bytes >= maxQueuedBytes {
		l.missed++
		return
	}
	l.queue = append(l.queue, m)
	l.bytes += len(m.Raw)
	l.wake()
}

func (l *Listener) finish(err error) {
	l.end = err
	l.wake()
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
		l.add(m)
	}
}

// end ends all listeners, and those to come if it is for good.
func (e *events) end(err error, forGood bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if forGood {
		e.closed = err
	}
	for l := range e.listeners {
		l.finish(err)
	}
	clear(e.listeners)
	e.listening.Store(0)
}

package realtime

import (
	"bytes"
	"sync"
	"sync/atomic"

	"github.com/privicore/privicore-go/internal/wire"
)

// maxQueued and maxQueuedBytes bound how far a listener may fall behind.
const (
	maxQueued      = 256
	maxQueuedBytes = 32 << 20
)

// NoticeKind is what a Notice is about.
type NoticeKind uint8

const (
	// NoticeMessage says that Notice.Message came.
	NoticeMessage NoticeKind = iota
	// NoticeDropped says that Notice.Dropped messages were dropped, because the
	// listener did not take the ones before them.
	NoticeDropped
	// NoticeLost says that the channel was lost.
	NoticeLost
	// NoticeBack says that the channel is joined again. What happened since
	// NoticeLost is not told.
	NoticeBack
)

// Notice is a message, or a change of the channel, for a Listener.
type Notice struct {
	Kind    NoticeKind
	Message wire.Message // with Raw
	Dropped int
}

// events hands every message to all listeners. It does not wait for them.
type events struct {
	listening atomic.Int32 // number of listeners; spares the reader the lock and a copy
	mu        sync.Mutex
	listeners map[*Listener]struct{}
	closed    error
}

// Listener queues all messages that come after it was made. Its methods are safe for
// concurrent use.
type Listener struct {
	events   *events
	ready    chan struct{}
	queue    []Notice
	messages int  // in queue
	bytes    int  // that they hold
	full     bool // messages are dropped until the queue is taken
	dropped  int  // index of the NoticeDropped that counts them
	lost     bool // a NoticeLost was queued and no NoticeBack after it
	err      error
}

// Listen returns a Listener. Unlisten must be called for it.
func (c *Channel) Listen() *Listener {
	e := &c.events
	l := &Listener{events: e, ready: make(chan struct{}, 1)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed != nil {
		l.end(e.closed)
		return l
	}
	if e.listeners == nil {
		e.listeners = make(map[*Listener]struct{})
	}
	e.listeners[l] = struct{}{}
	e.listening.Add(1)
	return l
}

// Unlisten ends a Listener. It may be called more than once.
func (c *Channel) Unlisten(l *Listener) {
	e := &c.events
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.listeners[l]; ok {
		delete(e.listeners, l)
		e.listening.Add(-1)
	}
}

// Ready returns a channel that receives when Take has something to return.
func (l *Listener) Ready() <-chan struct{} { return l.ready }

// Take returns the notices since the last call, in order. The error is not nil
// if no more will come: ErrClosed, or the reason why the channel gave up.
func (l *Listener) Take() ([]Notice, error) {
	l.events.mu.Lock()
	defer l.events.mu.Unlock()
	queue := l.queue
	l.queue, l.messages, l.bytes, l.full = nil, 0, 0, false
	return queue, l.err
}

// add puts a notice into the queue. It is called with the lock held, as are
// addMessage, addLost, addBack and end.
func (l *Listener) add(n Notice) {
	l.queue = append(l.queue, n)
	wake(l.ready)
}

func (l *Listener) addMessage(m wire.Message, size int) {
	// A full queue stays full until it is taken, so that one notice can count all
	// that is dropped.
	if l.full {
		l.queue[l.dropped].Dropped++
		return
	}
	if l.messages >= maxQueued || l.bytes >= maxQueuedBytes {
		l.full, l.dropped = true, len(l.queue)
		l.add(Notice{Kind: NoticeDropped, Dropped: 1})
		return
	}
	l.messages++
	l.bytes += size
	l.add(Notice{Kind: NoticeMessage, Message: m})
}

func (l *Listener) addLost() {
	l.lost = true
	// Two outages without a message in between become one. This bounds the queue
	// while the channel comes and goes.
	if n := len(l.queue); n >= 2 && l.queue[n-1].Kind == NoticeBack && l.queue[n-2].Kind == NoticeLost {
		l.queue = l.queue[:n-1]
		return
	}
	l.add(Notice{Kind: NoticeLost})
}

func (l *Listener) addBack() {
	if l.lost {
		l.lost = false
		l.add(Notice{Kind: NoticeBack})
	}
}

func (l *Listener) end(err error) {
	l.err = err
	wake(l.ready)
}

// send tells the listeners of a message. raw is the reader's buffer, which is
// used again.
func (e *events) send(m wire.Message, raw []byte) {
	if e.listening.Load() == 0 {
		return
	}
	m.Raw = bytes.Clone(raw)
	size := m.Size()
	e.mu.Lock()
	defer e.mu.Unlock()
	for l := range e.listeners {
		l.addMessage(m, size)
	}
}

// lost tells the listeners that the channel was lost.
func (e *events) lost() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for l := range e.listeners {
		l.addLost()
	}
}

// back tells the listeners which know of a loss that the channel is back.
func (e *events) back() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for l := range e.listeners {
		l.addBack()
	}
}

// end ends the listeners. If it is for good, it also ends later ones.
func (e *events) end(err error, forGood bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if forGood {
		e.closed = err
	}
	for l := range e.listeners {
		l.end(err)
	}
	clear(e.listeners)
	e.listening.Store(0)
}

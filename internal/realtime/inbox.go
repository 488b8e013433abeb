package realtime

import (
	"container/list"
	"sync"
	"time"
)

const (
	// maxEarly bounds what is kept for one id that nobody watches.
	maxEarly = 8
	// maxKeptBytes bounds what is kept altogether: messages carry payloads.
	maxKeptBytes = 64 << 20
)

// inbox hands messages to those who watch their id, and keeps for a while what
// comes before anyone does.
type inbox struct {
	keep    int
	keepFor time.Duration

	mu      sync.Mutex
	entries map[key]*entry
	early   list.List // of *entry without watches, oldest first
	bytes   int       // in early
	lost    uint64    // ids whose early messages were thrown away
}

// key tells commands and requests apart, which may share an id.
type key struct {
	command bool
	id      string
}

type entry struct {
	key     key
	watches []*Watch
	early   []Message // while nobody watches
	place   *list.Element
	since   time.Time
	bytes   int
}

// Watch receives the messages for one id.
type Watch struct {
	inbox *inbox
	entry *entry
	ready chan struct{}
	queue []Message
}

func (b *inbox) init(keep int, keepFor time.Duration) {
	b.keep, b.keepFor = keep, keepFor
	b.entries = make(map[key]*entry)
}

// watch begins to watch an id. What came early is in the queue already.
func (b *inbox) watch(k key) *Watch {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropOld()
	e := b.entries[k]
	if e == nil {
		e = &entry{key: k}
		b.entries[k] = e
	}
	w := &Watch{inbox: b, entry: e, ready: make(chan struct{}, 1)}
	if e.place != nil {
		w.queue = e.early
		w.ready <- struct{}{}
		b.unkeep(e)
	}
	e.watches = append(e.watches, w)
	return w
}

// Ready receives when Take has something to return.
func (w *Watch) Ready() <-chan struct{} { return w.ready }

// Take returns the messages that came since the last time.
func (w *Watch) Take() []Message {
	w.inbox.mu.Lock()
	defer w.inbox.mu.Unlock()
	queue := w.queue
	w.queue = nil
	return queue
}

// Stop ends the watch. Messages that it has not taken are kept as early ones.
func (w *Watch) Stop() {
	b, e := w.inbox, w.entry
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, other := range e.watches {
		if other == w {
			e.watches = append(e.watches[:i], e.watches[i+1:]...)
			break
		}
	}
	if len(e.watches) > 0 || e.place != nil {
		return
	}
	if len(w.queue) > 0 {
		for _, m := range w.queue {
			b.keepEarly(e, m)
		}
		return
	}
	delete(b.entries, e.key)
}

// deliver hands m to those who watch its id, or keeps it.
func (b *inbox) deliver(m Message) {
	k := key{m.Type == TypeCommand, m.ID}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[k]
	if e == nil {
		e = &entry{key: k}
		b.entries[k] = e
	}
	if len(e.watches) == 0 {
		b.keepEarly(e, m)
		b.dropOld()
		return
	}
	for _, w := range e.watches {
		w.queue = add(w.queue, m)
		select {
		case w.ready <- struct{}{}:
		default: // not read yet
		}
	}
}

// add appends m, unless it only repeats that a command is running.
func add(queue []Message, m Message) []Message {
	if n := len(queue); n > 0 && m.Type == TypeCommand && m.CommandStatus == Pending {
		if queue[n-1].CommandStatus == Pending {
			queue[n-1] = m
		}
		return queue
	}
	return append(queue, m)
}

func (b *inbox) keepEarly(e *entry, m Message) {
	if e.place == nil {
		e.place = b.early.PushBack(e)
		e.since = time.Now()
	}
	if len(e.early) < maxEarly {
		e.early = add(e.early, m)
		e.bytes += len(m.Body)
		b.bytes += len(m.Body)
	}
}

func (b *inbox) unkeep(e *entry) {
	b.early.Remove(e.place)
	b.bytes -= e.bytes
	e.place, e.early, e.bytes = nil, nil, 0
}

// dropOld throws away early messages beyond the bounds of number, size and age.
func (b *inbox) dropOld() {
	for front := b.early.Front(); front != nil; front = b.early.Front() {
		e, _ := front.Value.(*entry)
		if b.early.Len() <= b.keep && b.bytes <= maxKeptBytes && time.Since(e.since) < b.keepFor {
			return
		}
		b.unkeep(e)
		delete(b.entries, e.key)
		b.lost++
	}
}

// lostSoFar counts the ids whose messages were thrown away.
func (b *inbox) lostSoFar() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

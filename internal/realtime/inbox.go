package realtime

import (
	"container/list"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/privicore/privicore-go/internal/wire"
)

const (
	// maxEarly bounds how many messages are kept for one id.
	maxEarly = 8
	// maxHeld bounds how many messages are held for the subscriptions to one id.
	maxHeld = 64
	// maxKeptBytes bounds the memory of all that is kept, because messages can
	// carry payloads.
	maxKeptBytes = 64 << 20
	// messageOverhead is about what a kept message takes beside its fields.
	messageOverhead = 256
)

// inbox hands messages to the subscriptions to their ids, and keeps for a while
// what comes before there is one.
type inbox struct {
	keep    int
	keepFor time.Duration

	mu sync.Mutex
	// A command and a request may have the same id.
	commands map[string]*entry
	requests map[string]*entry
	early    list.List // of *entry with early messages, oldest first
	bytes    int       // that the early messages hold
	kept     uint64    // number of the newest entry that was kept
	dropped  uint64    // number of the newest entry with an outcome that was thrown away
}

// entry is what there is for one id: either subscriptions and the messages they
// hold, or early messages.
type entry struct {
	index         map[string]*entry // the map that holds the entry
	id            string
	subscriptions []*Subscription
	messages      []wire.Message // for all subscriptions, also later ones; Take hands out parts of it
	early         *early
}

// early is what came while there was no subscription.
type early struct {
	messages []wire.Message
	bytes    int
	number   uint64 // ascends from entry to entry
	since    time.Time
	place    *list.Element
}

// matters reports whether the messages hold more than progress of a command.
func (e *early) matters() bool {
	return len(e.messages) != 1 || !e.messages[0].IsPending()
}

// Subscription receives the messages for one id. Its methods are safe for
// concurrent use.
type Subscription struct {
	inbox   *inbox
	entry   *entry
	place   int // in entry.subscriptions
	ready   chan struct{}
	taken   int    // number of entry.messages that were taken
	dropped uint64 // inbox.dropped when the subscription began
}

func (b *inbox) init(keep int, keepFor time.Duration) {
	b.keep, b.keepFor = keep, keepFor
	b.commands = make(map[string]*entry)
	b.requests = make(map[string]*entry)
}

// find returns the entry for an id, and makes one if there is none.
func find(index map[string]*entry, id string) *entry {
	e := index[id]
	if e == nil {
		// The caller's id may be part of something large.
		e = &entry{index: index, id: strings.Clone(id)}
		index[e.id] = e
	}
	return e
}

func (e *entry) remove() { delete(e.index, e.id) }

// subscribe returns a subscription to an id. What came before can be taken at
// once.
func (b *inbox) subscribe(index map[string]*entry, id string, ready chan struct{}) *Subscription {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropOld()
	e := find(index, id)
	s := &Subscription{inbox: b, entry: e, place: len(e.subscriptions), ready: ready, dropped: b.dropped}
	if e.early != nil {
		e.messages = e.early.messages
		b.removeEarly(e)
	}
	if len(e.messages) > 0 {
		wake(ready)
	}
	e.subscriptions = append(e.subscriptions, s)
	return s
}

// Ready returns a channel that receives when Take may have something to return.
func (s *Subscription) Ready() <-chan struct{} { return s.ready }

// Take returns the messages that came since the last call. They must not be
// changed.
func (s *Subscription) Take() []wire.Message {
	s.inbox.mu.Lock()
	defer s.inbox.mu.Unlock()
	messages := s.entry.messages[s.taken:]
	s.taken = len(s.entry.messages)
	return slices.Clip(messages)
}

// Stop ends the subscription. If it was the last one to its id, the messages
// that it did not take are kept. Stop may be called more than once.
func (s *Subscription) Stop() {
	b, e := s.inbox, s.entry
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(e.subscriptions) - 1
	if s.place > last || e.subscriptions[s.place] != s {
		return // stopped already
	}
	e.subscriptions[s.place] = e.subscriptions[last]
	e.subscriptions[s.place].place = s.place
	e.subscriptions[last] = nil
	e.subscriptions = e.subscriptions[:last]
	if last > 0 {
		return
	}
	left := e.messages[s.taken:]
	e.messages = nil
	if len(left) == 0 {
		e.remove()
		return
	}
	for i := range left {
		b.keepEarly(e, &left[i])
	}
	b.dropOld()
}

// deliver hands m to the subscriptions to its id, or keeps it if there is none.
func (b *inbox) deliver(m *wire.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	index := b.requests
	if m.Type == wire.TypeCommand {
		index = b.commands
	}
	e := find(index, m.ID)
	if len(e.subscriptions) == 0 {
		b.keepEarly(e, m)
		b.dropOld()
		return
	}
	if !e.hold(m) {
		return
	}
	for _, s := range e.subscriptions {
		wake(s.ready)
	}
}

// hold adds m to what the subscriptions can take, and reports whether it says
// anything new to them.
func (e *entry) hold(m *wire.Message) bool {
	n := len(e.messages)
	if n > 0 && m.IsPending() {
		untaken := slices.ContainsFunc(e.subscriptions, func(s *Subscription) bool { return s.taken < n })
		if untaken || !e.messages[n-1].IsPending() {
			return false
		}
	}
	if n >= maxHeld {
		e.forget(n - maxHeld/2)
	}
	e.messages = append(e.messages, *m)
	return true
}

// forget removes the n oldest messages. It copies the others, because what Take
// returned must not change.
func (e *entry) forget(n int) {
	e.messages = slices.Clone(e.messages[n:])
	for _, s := range e.subscriptions {
		s.taken = max(s.taken-n, 0)
	}
}

// keepEarly keeps m for a subscription that may come.
func (b *inbox) keepEarly(e *entry, m *wire.Message) {
	if e.early == nil {
		b.kept++
		e.early = &early{number: b.kept, since: time.Now()}
		e.early.place = b.early.PushBack(e)
	}
	kept := e.early
	switch n := len(kept.messages); {
	case n > 0 && m.IsPending() && kept.messages[n-1].IsPending():
		kept.messages[n-1] = *m // only the latest progress is of use
	case n > 0 && m.IsPending():
		return // the end of the command is known
	case n == maxEarly:
		// The oldest message is of least use. Delete also frees its memory.
		kept.messages = append(slices.Delete(kept.messages, 0, 1), *m)
	default:
		kept.messages = append(kept.messages, *m)
	}
	size := 0
	for i := range kept.messages {
		size += kept.messages[i].Size() + messageOverhead
	}
	b.bytes += size - kept.bytes
	kept.bytes = size
}

// removeEarly removes the early messages of e.
func (b *inbox) removeEarly(e *entry) {
	b.early.Remove(e.early.place)
	b.bytes -= e.early.bytes
	e.early = nil
}

// dropOld throws away the oldest early messages beyond the bounds of number,
// bytes and age.
func (b *inbox) dropOld() {
	for front := b.early.Front(); front != nil; front = b.early.Front() {
		e, _ := front.Value.(*entry)
		if b.early.Len() <= b.keep && b.bytes <= maxKeptBytes && time.Since(e.early.since) < b.keepFor {
			return
		}
		if e.early.matters() {
			b.dropped = e.early.number
		}
		b.removeEarly(e)
		e.remove()
	}
}

// numbers returns the number of the newest entry that was kept and of the newest
// one that was thrown away.
func (b *inbox) numbers() (kept, dropped uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept, b.dropped
}

package realtime

import (
	"container/list"
	"slices"
	"sync"
	"time"
)

const (
	// maxEarly bounds what is kept for one id that nobody watches.
	maxEarly = 8
	// maxProgress bounds how often one watch hears that a command is running
	// before the past is forgotten.
	maxProgress = 64
	// maxKeptBytes bounds what is kept altogether: messages carry payloads.
	maxKeptBytes = 64 << 20
)

// inbox hands messages to those who watch their id, and keeps for a while what
// comes before anyone does.
type inbox struct {
	keep    int
	keepFor time.Duration

	mu sync.Mutex
	// Commands and requests may share an id.
	commands map[string]*entry
	requests map[string]*entry
	early    list.List // of *entry that are kept, oldest first
	bytes    int       // in early
	kept     uint64    // number of the newest entry that was kept
	dropped  uint64    // number of the newest one that was thrown away and matters
}

// entry is what there is for an id: watches and what they were told, or early
// messages, never both.
type entry struct {
	among   map[string]*entry
	id      string
	watches []*Watch
	said    []Message // for all watches, also those that begin later; never changed, only added to
	early   *early
}

// early is what came while nobody watched.
type early struct {
	messages []Message
	bytes    int
	number   uint64 // ascending from entry to entry
	since    time.Time
	place    *list.Element
}

// matters tells that there is more in it than that a command is running.
func (e *early) matters() bool {
	return len(e.messages) != 1 || !e.messages[0].isProgress()
}

// Watch receives the messages for one id.
type Watch struct {
	inbox   *inbox
	entry   *entry
	index   int // in entry.watches
	ready   chan struct{}
	taken   int    // of entry.said
	dropped uint64 // see inbox, when the watch began
}

func (b *inbox) init(keep int, keepFor time.Duration) {
	b.keep, b.keepFor = keep, keepFor
	b.commands = make(map[string]*entry)
	b.requests = make(map[string]*entry)
}

// find returns the entry for an id, a new one if there is none.
func find(among map[string]*entry, id string) *entry {
	e := among[id]
	if e == nil {
		e = &entry{among: among, id: id}
		among[id] = e
	}
	return e
}

func (e *entry) forget() { delete(e.among, e.id) }

// watch begins to watch an id. What came before can be taken at once.
func (b *inbox) watch(among map[string]*entry, id string) *Watch {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropOld()
	e := find(among, id)
	w := &Watch{inbox: b, entry: e, index: len(e.watches), ready: make(chan struct{}, 1), dropped: b.dropped}
	if e.early != nil {
		e.said = e.early.messages
		b.unkeep(e)
	}
	if len(e.said) > 0 {
		w.ready <- struct{}{}
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
	said := w.entry.said[w.taken:]
	w.taken = len(w.entry.said)
	return said
}

// Stop ends the watch. Messages that nobody has taken are kept as early ones.
func (w *Watch) Stop() {
	b, e := w.inbox, w.entry
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(e.watches) - 1
	if w.index > last || e.watches[w.index] != w {
		return // stopped already
	}
	e.watches[w.index] = e.watches[last]
	e.watches[w.index].index = w.index
	e.watches[last] = nil
	e.watches = e.watches[:last]
	if last > 0 {
		return
	}
	left := e.said[w.taken:]
	e.said = nil
	if len(left) == 0 {
		e.forget()
		return
	}
	for i := range left {
		b.keepEarly(e, &left[i])
	}
	b.dropOld()
}

// deliver hands m to those who watch its id, or keeps it.
func (b *inbox) deliver(m *Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	among := b.requests
	if m.Type == TypeCommand {
		among = b.commands
	}
	e := find(among, m.ID)
	if len(e.watches) == 0 {
		b.keepEarly(e, m)
		b.dropOld()
		return
	}
	if !e.say(m) {
		return
	}
	for _, w := range e.watches {
		select {
		case w.ready <- struct{}{}:
		default: // not read yet
		}
	}
}

// say adds m to what the watches are told, unless it tells them nothing.
func (e *entry) say(m *Message) bool {
	if n := len(e.said); n > 0 && m.isProgress() {
		untaken := slices.ContainsFunc(e.watches, func(w *Watch) bool { return w.taken < n })
		if untaken || !e.said[n-1].isProgress() {
			return false
		}
		if n >= maxProgress {
			e.said = nil
			for _, w := range e.watches {
				w.taken = 0
			}
		}
	}
	e.said = append(e.said, *m)
	return true
}

// add appends m, unless it only repeats that a command is running.
func add(queue []Message, m *Message) []Message {
	if n := len(queue); n > 0 && m.isProgress() {
		if queue[n-1].isProgress() {
			queue[n-1] = *m
		}
		return queue
	}
	return append(queue, *m)
}

func (b *inbox) keepEarly(e *entry, m *Message) {
	if e.early == nil {
		b.kept++
		e.early = &early{number: b.kept, since: time.Now()}
		e.early.place = b.early.PushBack(e)
	}
	kept := e.early
	kept.messages = add(kept.messages, m)
	if len(kept.messages) > maxEarly {
		kept.messages = kept.messages[1:] // the newest says most
	}
	size := 0
	for i := range kept.messages {
		size += kept.messages[i].size()
	}
	b.bytes += size - kept.bytes
	kept.bytes = size
}

func (b *inbox) unkeep(e *entry) {
	b.early.Remove(e.early.place)
	b.bytes -= e.early.bytes
	e.early = nil
}

// dropOld throws away early messages beyond the bounds of number, size and age.
func (b *inbox) dropOld() {
	for front := b.early.Front(); front != nil; front = b.early.Front() {
		e, _ := front.Value.(*entry)
		if b.early.Len() <= b.keep && b.bytes <= maxKeptBytes && time.Since(e.early.since) < b.keepFor {
			return
		}
		if e.early.matters() {
			b.dropped = e.early.number
		}
		b.unkeep(e)
		e.forget()
	}
}

// numbers of the newest entry that was kept, and of the newest thrown away.
func (b *inbox) numbers() (kept, dropped uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept, b.dropped
}

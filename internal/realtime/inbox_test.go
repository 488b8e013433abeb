package realtime

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newInbox(keep int, keepFor time.Duration) *inbox {
	var b inbox
	b.init(keep, keepFor)
	return &b
}

func outcome(id string) *Message {
	return &Message{Type: TypeCommand, ID: id, CommandStatus: Succeeded}
}

func progress(id, body string) *Message {
	return &Message{Type: TypeCommand, ID: id, CommandStatus: Pending, Body: json.RawMessage(body)}
}

func (b *inbox) watchCommand(id string) *Watch { return b.watch(b.commands, id) }

// mark is where a command stands that is sent now.
func (b *inbox) mark() Mark {
	kept, _ := b.numbers()
	return Mark{1, kept}
}

func assertEmpty(t *testing.T, b *inbox) {
	t.Helper()
	assert.Empty(t, b.commands)
	assert.Empty(t, b.requests)
	assert.Zero(t, b.early.Len())
	assert.Zero(t, b.bytes)
}

func TestBoundedByNumber(t *testing.T) {
	b := newInbox(3, time.Hour)
	sent := make([]Mark, 5)
	for i := range sent {
		sent[i] = b.mark()
		b.deliver(outcome(fmt.Sprint(i)))
	}
	for i := range sent {
		w := b.watchCommand(fmt.Sprint(i))
		if i < 2 {
			assert.Empty(t, w.Take())
			assert.Equal(t, Mark{}, w.Since(sent[i]), "it has to be asked for")
		} else {
			assert.Len(t, w.Take(), 1)
			assert.NotEqual(t, Mark{}, w.Since(sent[i]), "the loss of others does not matter")
		}
		w.Stop()
	}
	assertEmpty(t, b)
}

func TestBoundedByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInbox(100, time.Minute)
		old := b.mark()
		b.deliver(outcome("old"))
		time.Sleep(59 * time.Second)
		young := b.mark()
		b.deliver(outcome("young"))
		time.Sleep(time.Second)
		w := b.watchCommand("young")
		assert.Len(t, w.Take(), 1)
		assert.NotEqual(t, Mark{}, w.Since(young))
		w.Stop()
		w = b.watchCommand("old")
		assert.Empty(t, w.Take())
		assert.Equal(t, Mark{}, w.Since(old))
		w.Stop()
		assertEmpty(t, b)
	})
}

func TestBoundedByBytes(t *testing.T) {
	b := newInbox(1000, time.Hour)
	body := json.RawMessage(strings.Repeat("x", 1<<20))
	for i := range 200 {
		b.deliver(&Message{Type: TypeAnswer, ID: fmt.Sprint(i), Body: body})
		require.LessOrEqual(t, b.bytes, maxKeptBytes)
	}
	assert.Greater(t, b.early.Len(), 50)
	for range 20 {
		b.deliver(&Message{Type: TypeAnswer, ID: "same", Body: body})
	}
	w := b.watch(b.requests, "same")
	defer w.Stop()
	assert.Len(t, w.Take(), maxEarly)
}

// What is thrown away while a command is watched is none of its business.
func TestOthersLossWhileWatching(t *testing.T) {
	b := newInbox(1, time.Hour)
	sent := b.mark()
	w := b.watchCommand("w")
	for i := range 10 {
		b.deliver(outcome(fmt.Sprint(i)))
	}
	since := w.Since(sent)
	require.NotEqual(t, Mark{}, since)
	_, dropped := b.numbers()
	assert.LessOrEqual(t, dropped, since.seen)
	assert.Greater(t, dropped, sent.seen, "a command that is not watched may be concerned")
}

func TestSeveralWatches(t *testing.T) {
	b := newInbox(10, time.Hour)
	watches := make([]*Watch, 1000)
	for i := range watches {
		watches[i] = b.watchCommand("w")
	}
	watches[1].Stop()
	watches[1].Stop()
	b.deliver(outcome("w"))
	b.deliver(outcome("w"))
	for i, w := range watches {
		if i != 1 {
			assert.Len(t, w.Take(), 2)
			w.Stop()
		}
	}
	assertEmpty(t, b)
}

func TestCommandsAndRequestsMayShareAnID(t *testing.T) {
	b := newInbox(10, time.Hour)
	command, request := b.watchCommand("x"), b.watch(b.requests, "x")
	b.deliver(outcome("x"))
	assert.Len(t, command.Take(), 1)
	assert.Empty(t, request.Take())
	b.deliver(&Message{Type: TypeStream, ID: "x"})
	assert.Empty(t, command.Take())
	assert.Len(t, request.Take(), 1)
}

func TestProgressDoesNotPileUp(t *testing.T) {
	b := newInbox(10, time.Hour)
	for i := range 100 {
		b.deliver(progress("w", fmt.Sprint(i)))
	}
	b.deliver(outcome("w"))
	b.deliver(progress("w", "late"))
	w := b.watchCommand("w")
	got := w.Take()
	require.Len(t, got, 2)
	assert.Equal(t, "99", string(got[0].Body))
	assert.Equal(t, Succeeded, got[1].CommandStatus)
	b.deliver(progress("w", "after the end"))
	assert.Empty(t, w.Take())
	w.Stop()
	assertEmpty(t, b)

	w = b.watchCommand("w")
	for range 100 {
		b.deliver(progress("w", "1"))
	}
	assert.Len(t, w.Take(), 1, "it has not been read")
	for range 1000 {
		b.deliver(progress("w", "1"))
		assert.Len(t, w.Take(), 1)
	}
	assert.LessOrEqual(t, len(w.entry.said), maxProgress)
	w.Stop()
	assertEmpty(t, b)
}

// Two wait for one command, and the first has taken the outcome before the
// second begins.
func TestALaterWatchIsToldTheSame(t *testing.T) {
	b := newInbox(10, time.Hour)
	b.deliver(outcome("w"))
	first := b.watchCommand("w")
	require.Len(t, first.Take(), 1)
	second := b.watchCommand("w")
	require.Len(t, second.Ready(), 1)
	assert.Len(t, second.Take(), 1)
	first.Stop()
	second.Stop()
	assertEmpty(t, b)
}

func TestTheLossOfProgressIsNone(t *testing.T) {
	b := newInbox(2, time.Hour)
	sent := b.mark()
	for i := range 10 {
		b.deliver(progress(fmt.Sprint(i), "1"))
	}
	w := b.watchCommand("0")
	defer w.Stop()
	assert.Empty(t, w.Take())
	assert.NotEqual(t, Mark{}, w.Since(sent))
}

func TestWhatNobodyTookIsKept(t *testing.T) {
	b := newInbox(10, time.Hour)
	sent := b.mark()
	w := b.watchCommand("w")
	b.deliver(outcome("w"))
	w.Stop()
	w = b.watchCommand("w")
	<-w.Ready()
	assert.Len(t, w.Take(), 1)
	assert.NotEqual(t, Mark{}, w.Since(sent))
	w.Stop()
	assertEmpty(t, b)
}

func TestInboxUnderFire(t *testing.T) {
	b := newInbox(50, time.Hour)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 500 {
				id := fmt.Sprint(i)
				switch g % 4 {
				case 0:
					b.deliver(outcome(id))
				case 1:
					b.deliver(progress(id, "1"))
				default:
					w := b.watchCommand(id)
					w.Take()
					w.Stop()
				}
			}
		})
	}
	all.Wait()
	assert.LessOrEqual(t, b.early.Len(), 50)
	assert.Len(t, b.commands, b.early.Len())
	for range 51 {
		b.deliver(outcome(fmt.Sprint(b.kept)))
	}
	for id := range b.commands {
		w := b.watchCommand(id)
		w.Take()
		w.Stop()
	}
	assertEmpty(t, b)
}

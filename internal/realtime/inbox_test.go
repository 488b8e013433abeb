package realtime

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/internal/wire"
)

func newInbox(keep int, keepFor time.Duration) *inbox {
	var b inbox
	b.init(keep, keepFor)
	return &b
}

func outcome(id string) *wire.Message {
	return &wire.Message{Type: wire.TypeCommand, ID: id, CommandStatus: wire.StatusSucceeded}
}

func progress(id, body string) *wire.Message {
	return &wire.Message{Type: wire.TypeCommand, ID: id, CommandStatus: wire.StatusPending, Body: json.RawMessage(body)}
}

func (b *inbox) subscribeCommand(id string) *Subscription {
	return b.subscribe(b.commands, id, make(chan struct{}, 1))
}

func (b *inbox) subscribeRequest(id string) *Subscription {
	return b.subscribe(b.requests, id, make(chan struct{}, 1))
}

// cursor returns the cursor of a command that is sent now.
func (b *inbox) cursor() Cursor {
	kept, _ := b.numbers()
	return Cursor{1, kept}
}

func assertEmpty(t *testing.T, b *inbox) {
	t.Helper()
	assert.Empty(t, b.commands)
	assert.Empty(t, b.requests)
	assert.Zero(t, b.early.Len())
	assert.Zero(t, b.bytes)
}

func TestBoundedByNumber(t *testing.T) {
	t.Parallel()
	b := newInbox(3, time.Hour)
	sent := make([]Cursor, 5)
	for i := range sent {
		sent[i] = b.cursor()
		b.deliver(outcome(fmt.Sprint(i)))
	}
	for i := range sent {
		w := b.subscribeCommand(fmt.Sprint(i))
		if i < 2 {
			assert.Empty(t, w.Take())
			assert.Equal(t, Cursor{}, w.Since(sent[i]), "it has to be asked for")
		} else {
			assert.Len(t, w.Take(), 1)
			assert.NotEqual(t, Cursor{}, w.Since(sent[i]), "the loss of others does not matter")
		}
		w.Stop()
	}
	assertEmpty(t, b)
}

func TestBoundedByAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newInbox(100, time.Minute)
		old := b.cursor()
		b.deliver(outcome("old"))
		time.Sleep(59 * time.Second)
		young := b.cursor()
		b.deliver(outcome("young"))
		time.Sleep(time.Second)
		w := b.subscribeCommand("young")
		assert.Len(t, w.Take(), 1)
		assert.NotEqual(t, Cursor{}, w.Since(young))
		w.Stop()
		w = b.subscribeCommand("old")
		assert.Empty(t, w.Take())
		assert.Equal(t, Cursor{}, w.Since(old))
		w.Stop()
		assertEmpty(t, b)
	})
}

func TestBoundedByBytes(t *testing.T) {
	t.Parallel()
	b := newInbox(1000, time.Hour)
	body := json.RawMessage(strings.Repeat("x", 1<<20))
	for i := range 200 {
		b.deliver(&wire.Message{Type: wire.TypeAnswer, ID: fmt.Sprint(i), Body: body})
		require.LessOrEqual(t, b.bytes, maxKeptBytes)
	}
	assert.Greater(t, b.early.Len(), 50)
	for range 20 {
		b.deliver(&wire.Message{Type: wire.TypeAnswer, ID: "same", Body: body})
	}
	w := b.subscribeRequest("same")
	defer w.Stop()
	assert.Len(t, w.Take(), maxEarly)
}

// What is thrown away while there is a subscription does not concern it.
func TestLossOfOthersDuringASubscription(t *testing.T) {
	t.Parallel()
	b := newInbox(1, time.Hour)
	sent := b.cursor()
	w := b.subscribeCommand("w")
	for i := range 10 {
		b.deliver(outcome(fmt.Sprint(i)))
	}
	since := w.Since(sent)
	require.NotEqual(t, Cursor{}, since)
	_, dropped := b.numbers()
	assert.LessOrEqual(t, dropped, since.seen)
	assert.Greater(t, dropped, sent.seen, "a command without a subscription may be concerned")
}

func TestSeveralSubscriptions(t *testing.T) {
	t.Parallel()
	b := newInbox(10, time.Hour)
	subscriptions := make([]*Subscription, 1000)
	for i := range subscriptions {
		subscriptions[i] = b.subscribeCommand("w")
	}
	subscriptions[1].Stop()
	subscriptions[1].Stop()
	b.deliver(outcome("w"))
	b.deliver(outcome("w"))
	for i, w := range subscriptions {
		if i != 1 {
			assert.Len(t, w.Take(), 2)
			w.Stop()
		}
	}
	assertEmpty(t, b)
}

func TestCommandsAndRequestsMayShareAnID(t *testing.T) {
	t.Parallel()
	b := newInbox(10, time.Hour)
	command, request := b.subscribeCommand("x"), b.subscribeRequest("x")
	b.deliver(outcome("x"))
	assert.Len(t, command.Take(), 1)
	assert.Empty(t, request.Take())
	b.deliver(&wire.Message{Type: wire.TypeStream, ID: "x"})
	assert.Empty(t, command.Take())
	assert.Len(t, request.Take(), 1)
}

func TestProgressDoesNotPileUp(t *testing.T) {
	t.Parallel()
	b := newInbox(10, time.Hour)
	for i := range 100 {
		b.deliver(progress("w", fmt.Sprint(i)))
	}
	b.deliver(outcome("w"))
	b.deliver(progress("w", "late"))
	w := b.subscribeCommand("w")
	got := w.Take()
	require.Len(t, got, 2)
	assert.Equal(t, "99", string(got[0].Body))
	assert.Equal(t, wire.StatusSucceeded, got[1].CommandStatus)
	b.deliver(progress("w", "after the end"))
	assert.Empty(t, w.Take())
	w.Stop()
	assertEmpty(t, b)

	w = b.subscribeCommand("w")
	for range 100 {
		b.deliver(progress("w", "1"))
	}
	assert.Len(t, w.Take(), 1, "it has not been read")
	for range 1000 {
		b.deliver(progress("w", "1"))
		assert.Len(t, w.Take(), 1)
	}
	assert.LessOrEqual(t, len(w.entry.messages), maxHeld)
	w.Stop()
	assertEmpty(t, b)
}

// Two wait for one command, and the first has taken the outcome before the
// second begins.
func TestALaterSubscriptionIsToldTheSame(t *testing.T) {
	t.Parallel()
	b := newInbox(10, time.Hour)
	b.deliver(outcome("w"))
	first := b.subscribeCommand("w")
	require.Len(t, first.Take(), 1)
	second := b.subscribeCommand("w")
	require.Len(t, second.Ready(), 1)
	assert.Len(t, second.Take(), 1)
	first.Stop()
	second.Stop()
	assertEmpty(t, b)
}

func TestTheLossOfProgressIsNone(t *testing.T) {
	t.Parallel()
	b := newInbox(2, time.Hour)
	sent := b.cursor()
	for i := range 10 {
		b.deliver(progress(fmt.Sprint(i), "1"))
	}
	w := b.subscribeCommand("0")
	defer w.Stop()
	assert.Empty(t, w.Take())
	assert.NotEqual(t, Cursor{}, w.Since(sent))
}

func TestWhatNobodyTookIsKept(t *testing.T) {
	t.Parallel()
	b := newInbox(10, time.Hour)
	sent := b.cursor()
	w := b.subscribeCommand("w")
	b.deliver(outcome("w"))
	w.Stop()
	w = b.subscribeCommand("w")
	<-w.Ready()
	assert.Len(t, w.Take(), 1)
	assert.NotEqual(t, Cursor{}, w.Since(sent))
	w.Stop()
	assertEmpty(t, b)
}

func TestInboxUnderFire(t *testing.T) {
	t.Parallel()
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
					w := b.subscribeCommand(id)
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
		w := b.subscribeCommand(id)
		w.Take()
		w.Stop()
	}
	assertEmpty(t, b)
}

func TestSubscriptionsThatShareReady(t *testing.T) {
	t.Parallel()
	c := New(Config{Logger: slog.New(slog.DiscardHandler), Keep: 10, KeepFor: time.Hour})
	defer c.Close()
	c.inbox.deliver(outcome("c"))
	c.inbox.deliver(&wire.Message{Type: wire.TypeAnswer, ID: "r"})
	command, data := c.SubscribeData("c", "r")
	<-command.Ready()
	assert.Empty(t, data.Ready())
	assert.Len(t, command.Take(), 1)
	assert.Len(t, data.Take(), 1)

	c.inbox.deliver(&wire.Message{Type: wire.TypeStream, ID: "r"})
	<-command.Ready()
	assert.Empty(t, command.Take())
	assert.Len(t, data.Take(), 1)
	command.Stop()
	c.inbox.deliver(&wire.Message{Type: wire.TypeStream, ID: "r"})
	<-data.Ready()
	assert.Len(t, data.Take(), 1)
	data.Stop()
	assertEmpty(t, &c.inbox)
}

// What a subscription does not take is bounded. What it took does not change.
func TestHeldMessagesAreBounded(t *testing.T) {
	t.Parallel()
	b := newInbox(10, time.Hour)
	s, idle := b.subscribeCommand("w"), b.subscribeCommand("w")
	b.deliver(outcome("w"))
	first := s.Take()
	require.Len(t, first, 1)
	for i := range 10 * maxHeld {
		m := outcome("w")
		m.DataContext = fmt.Sprint(i)
		b.deliver(m)
		assert.Len(t, s.Take(), 1)
	}
	assert.Empty(t, first[0].DataContext)
	left := idle.Take()
	assert.LessOrEqual(t, len(left), maxHeld)
	assert.Equal(t, fmt.Sprint(10*maxHeld-1), left[len(left)-1].DataContext)
	for _, m := range left {
		assert.Equal(t, "w", m.ID)
	}
	s.Stop()
	idle.Stop()
	assertEmpty(t, b)
}

func TestKeptMessagesDoNotHoldWhatSurroundsThem(t *testing.T) {
	const kept = 300
	c := New(Config{Logger: slog.New(slog.DiscardHandler), Keep: kept, KeepFor: time.Hour})
	defer c.Close()
	filler := strings.Repeat("x", 100<<10)
	before := heap()
	var e wire.Envelope
	var subscriptions []*Subscription
	for i := range kept {
		id := fmt.Sprintf("019735db-0000-7000-8000-%012d", i)
		if i%2 == 0 {
			subscriptions = append(subscriptions, c.SubscribeCommand(id))
		}
		c.dispatch([]byte(`{"trace":"`+filler+`","data":{"type":"X-DPT-CAB-ID","id":"`+id+`","command_status":2,"body":"x"}}`), &e, "")
	}
	e = wire.Envelope{}
	assert.Less(t, heap()-before, int64(5<<20))
	assert.Equal(t, kept/2, c.inbox.early.Len())
	assert.Greater(t, c.inbox.bytes, kept/2*messageOverhead)
	for _, s := range subscriptions {
		assert.Len(t, s.Take(), 1)
		s.Stop()
	}
	runtime.KeepAlive(filler)
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// A message that pushes another one out lets go of its memory.
func TestEarlyMessagesLetGoOfOlderOnes(t *testing.T) {
	b := newInbox(10, time.Hour)
	before := heap()
	for range 3 * maxEarly {
		b.deliver(&wire.Message{Type: wire.TypeAnswer, ID: "r", Body: make([]byte, 1<<20)})
	}
	assert.Less(t, heap()-before, int64(maxEarly+1)<<20)
	runtime.KeepAlive(b)
}

// A caller may append to what it took.
func TestTakenMessagesAreTheCallers(t *testing.T) {
	t.Parallel()
	b := newInbox(10, time.Hour)
	s := b.subscribeCommand("w")
	defer s.Stop()
	for range 3 {
		b.deliver(outcome("w"))
	}
	first := s.Take()
	b.deliver(outcome("w"))
	_ = append(first, wire.Message{ID: "of the caller"})
	assert.Equal(t, []wire.Message{*outcome("w")}, s.Take())
}

func BenchmarkDeliver(b *testing.B) {
	c := New(Config{Logger: slog.New(slog.DiscardHandler), Keep: 10, KeepFor: time.Hour})
	defer c.Close()
	s := c.SubscribeCommand("019735db-0000-7000-8000-000000000000")
	defer s.Stop()
	data := []byte(`{"data":{"type":"X-DPT-CAB-ID","id":"019735db-0000-7000-8000-000000000000","command_status":2,"body":"device.removed"}}`)
	var e wire.Envelope
	b.ReportAllocs()
	for b.Loop() {
		c.dispatch(data, &e, "")
		s.Take()
	}
}

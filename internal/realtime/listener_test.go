package realtime

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/internal/wire"
)

func newListening(t *testing.T) (*Channel, *Listener) {
	c := New(Config{})
	l := c.Listen()
	t.Cleanup(func() { c.Unlisten(l); c.Close() })
	return c, l
}

func (c *Channel) sendNumbers(from, to int) {
	for i := from; i < to; i++ {
		c.events.send(wire.Message{Type: fmt.Sprint(i)}, []byte("raw"))
	}
}

func TestSlowListener(t *testing.T) {
	t.Parallel()
	c, l := newListening(t)
	c.sendNumbers(0, maxQueued+44)
	<-l.Ready()
	queue, end := l.Take()
	require.Len(t, queue, maxQueued+1)
	assert.Equal(t, fmt.Sprint(maxQueued-1), queue[maxQueued-1].Message.Type, "the newest are dropped, in one piece")
	assert.Equal(t, Notice{Kind: NoticeDropped, Dropped: 44}, queue[maxQueued])
	require.NoError(t, end)

	c.sendNumbers(1000, 1001)
	<-l.Ready()
	queue, _ = l.Take()
	require.Len(t, queue, 1)
	assert.Equal(t, NoticeMessage, queue[0].Kind)
	assert.Equal(t, "1000", queue[0].Message.Type)
	assert.Equal(t, "raw", string(queue[0].Message.Raw))
}

func TestListenerBoundedByBytes(t *testing.T) {
	t.Parallel()
	c, l := newListening(t)
	for range 10 {
		c.events.send(wire.Message{}, make([]byte, maxQueuedBytes/4))
	}
	queue, _ := l.Take()
	require.Len(t, queue, 5)
	assert.Equal(t, Notice{Kind: NoticeDropped, Dropped: 6}, queue[4])
}

func TestListenersEnd(t *testing.T) {
	t.Parallel()
	c, l := newListening(t)
	c.sendNumbers(0, 2)
	lost := errors.New("lost")
	c.events.end(lost, false)
	c.sendNumbers(2, 3)
	<-l.Ready()
	queue, end := l.Take()
	assert.Len(t, queue, 2)
	assert.Equal(t, lost, end)

	l = c.Listen()
	c.sendNumbers(3, 4)
	queue, end = l.Take()
	assert.Len(t, queue, 1)
	require.NoError(t, end)
	c.Close()
	_, end = l.Take()
	assert.Equal(t, ErrClosed, end)
	c.Unlisten(l)
	assert.Zero(t, c.events.listening.Load())

	l = c.Listen()
	<-l.Ready()
	_, end = l.Take()
	assert.Equal(t, ErrClosed, end)
}

func TestUnlisten(t *testing.T) {
	t.Parallel()
	c, l := newListening(t)
	c.Unlisten(l)
	c.Unlisten(l)
	c.sendNumbers(0, 1)
	queue, _ := l.Take()
	assert.Empty(t, queue)
	assert.Zero(t, c.events.listening.Load())
}

func TestOutagesOfASlowListener(t *testing.T) {
	t.Parallel()
	c, l := newListening(t)
	c.events.back()
	c.sendNumbers(0, maxQueued+1)
	for range 1000 {
		c.events.lost()
		c.events.back()
		c.sendNumbers(0, 1)
	}
	c.events.lost()
	queue, _ := l.Take()
	require.Len(t, queue, maxQueued+2)
	assert.Equal(t, []Notice{{Kind: NoticeDropped, Dropped: 1001}, {Kind: NoticeLost}}, queue[maxQueued:])
	c.events.back()
	queue, _ = l.Take()
	assert.Equal(t, []Notice{{Kind: NoticeBack}}, queue)
}

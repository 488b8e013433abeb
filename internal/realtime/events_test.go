package realtime

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newListening(t *testing.T) (*Channel, *Listener) {
	c := New(Config{})
	l := c.Listen()
	t.Cleanup(func() { c.Unlisten(l); c.Close() })
	return c, l
}

func (c *Channel) sendNumbers(from, to int) {
	for i := from; i < to; i++ {
		c.events.send(Message{Type: fmt.Sprint(i)}, []byte("raw"))
	}
}

func TestSlowListener(t *testing.T) {
	c, l := newListening(t)
	c.sendNumbers(0, maxQueued+44)
	<-l.Ready()
	queue, missed, end := l.Take()
	require.Len(t, queue, maxQueued)
	assert.Equal(t, fmt.Sprint(maxQueued-1), queue[maxQueued-1].Type, "the newest are dropped, in one piece")
	assert.Equal(t, 44, missed)
	require.NoError(t, end)

	c.sendNumbers(1000, 1001)
	<-l.Ready()
	queue, missed, _ = l.Take()
	require.Len(t, queue, 1)
	assert.Equal(t, "1000", queue[0].Type)
	assert.Equal(t, "raw", string(queue[0].Raw))
	assert.Zero(t, missed, "told once")
}

func TestListenerBoundedByBytes(t *testing.T) {
	c, l := newListening(t)
	for range 10 {
		c.events.send(Message{}, make([]byte, maxQueuedBytes/4))
	}
	queue, missed, _ := l.Take()
	assert.Len(t, queue, 4)
	assert.Equal(t, 6, missed)
}

func TestListenersEnd(t *testing.T) {
	c, l := newListening(t)
	c.sendNumbers(0, 2)
	lost := errors.New("lost")
	c.events.end(lost, false)
	c.sendNumbers(2, 3)
	<-l.Ready()
	queue, _, end := l.Take()
	assert.Len(t, queue, 2)
	assert.Equal(t, lost, end)

	l = c.Listen()
	c.sendNumbers(3, 4)
	queue, _, end = l.Take()
	assert.Len(t, queue, 1)
	require.NoError(t, end)
	c.Close()
	_, _, end = l.Take()
	assert.Equal(t, ErrClosed, end)
	c.Unlisten(l)
	assert.Zero(t, c.events.listening.Load())

	l = c.Listen()
	<-l.Ready()
	_, _, end = l.Take()
	assert.Equal(t, ErrClosed, end)
}

func TestUnlisten(t *testing.T) {
	c, l := newListening(t)
	c.Unlisten(l)
	c.Unlisten(l)
	c.sendNumbers(0, 1)
	queue, _, _ := l.Take()
	assert.Empty(t, queue)
	assert.Zero(t, c.events.listening.Load())
}

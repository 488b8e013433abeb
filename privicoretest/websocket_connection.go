package privicoretest

import (
	"context"
	"sync"

	"github.com/coder/websocket"
)

// frame is a message on its way. Its bytes are shared by all connections and
// never change.
type frame struct {
	kind websocket.MessageType
	data []byte
}

// unframed is the kind of bytes that are sent as they are.
const unframed websocket.MessageType = 0

// maxQueued is how many messages may wait for a connection that is slower than
// its channel before it is closed.
const maxQueued = 1 << 20

// connection is one client of the proxy. It is in at most one channel.
type connection struct {
	conn    *websocket.Conn
	wire    *wire
	channel *channel // guarded by the state's lock

	mu    sync.Mutex
	queue []frame
	wake  chan struct{} // holds a token while the queue may have something
}

// send queues a message without waiting. It closes a connection for which too
// many messages wait, rather than leave one out.
func (c *connection) send(f frame) {
	c.mu.Lock()
	c.queue = append(c.queue, f)
	overflow := len(c.queue) > maxQueued
	if overflow {
		c.queue = nil
	}
	c.mu.Unlock()
	if overflow {
		c.wire.Conn.Close()
		return
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// serve hands every message to receive, until the connection or ctx ends.
func (c *connection) serve(ctx context.Context, receive func(*connection, frame)) {
	ctx, cancel := context.WithCancel(ctx)
	var writer sync.WaitGroup
	writer.Go(func() { c.write(ctx) })
	for {
		kind, data, err := c.conn.Read(ctx)
		if err != nil {
			break
		}
		receive(c, frame{kind, data})
	}
	cancel()
	c.conn.CloseNow()
	writer.Wait()
}

// write sends what is queued. It takes the whole queue at once, so that a burst
// takes the lock only a few times.
func (c *connection) write(ctx context.Context) {
	var batch []frame
	for {
		select {
		case <-c.wake:
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		c.queue, batch = batch[:0], c.queue
		c.mu.Unlock()
		if c.writeBatch(batch) != nil {
			c.wire.Close()
			return
		}
		clear(batch)
	}
}

func (c *connection) writeBatch(batch []frame) error {
	c.wire.gather()
	for _, f := range batch {
		if err := c.writeFrame(f); err != nil {
			return err
		}
	}
	return c.wire.release()
}

// writeFrame writes one message. It needs no context because the end of the
// connection ends it.
func (c *connection) writeFrame(f frame) error {
	if f.kind == unframed {
		_, err := c.wire.Write(f.data)
		return err
	}
	return c.conn.Write(context.Background(), f.kind, f.data)
}

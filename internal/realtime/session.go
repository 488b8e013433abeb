package realtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// run connects again and again. It ends with the channel, or when the join was
// refused for good: then a later Join starts it anew.
func (c *Channel) run() {
	for failures := 0; ; failures++ {
		lasted, err := c.session()
		if c.life.Err() != nil {
			c.settle(ErrClosed)
			return
		}
		// A server that takes joins and drops them must not be hammered, nor
		// fill the log.
		if lasted > steady {
			failures = 0
			c.setWarned(false)
		}
		c.log(err, lasted > 0)
		if errors.Is(err, errRefused) {
			c.giveUp(err)
			return
		}
		if lasted == 0 {
			c.settle(err)
		}
		pause := min(firstPause<<min(failures, 10), maxPause)
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-c.poke:
		case <-c.life.Done():
		}
		timer.Stop()
	}
}

// settle ends the attempt in progress.
func (c *Channel) settle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settleLocked(err)
}

func (c *Channel) settleLocked(err error) {
	c.attempt.err = err
	close(c.attempt.done)
	c.attempt = newAttempt()
	c.release()
}

// giveUp ends the attempt in progress and the running. Those who listen would
// do so in vain.
func (c *Channel) giveUp(err error) {
	c.events.end(err, false)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running, c.retryAt = false, time.Now().Add(refusedPause)
	c.settleLocked(err)
}

// setUp says that the channel is joined, which ends the attempt, or no longer.
func (c *Channel) setUp(up bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if up {
		c.joins++
		c.up.Store(c.joins)
		c.settleLocked(nil)
	} else {
		c.up.Store(0)
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Channel) setWarned(warned bool) (before bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, c.warned = c.warned, warned
	return before
}

// log says once for each time the channel is lost, or cannot be had.
func (c *Channel) log(err error, joined bool) {
	level := slog.LevelWarn
	if c.setWarned(true) {
		level = slog.LevelDebug
	}
	c.config.Logger.Log(c.life, level, "privicore: no WebSocket channel, outcomes are polled for", "was_joined", joined, "error", err)
}

// session connects, joins, and reads until the connection breaks. It returns
// how long the join lasted, 0 if there was none.
func (c *Channel) session() (lasted time.Duration, err error) {
	l, err := c.join()
	if err != nil {
		return 0, err
	}
	joined := time.Now()
	c.setUp(true)

	// The reader is not bound to a context, which would cost it on every
	// message; closing the connection ends it.
	ended := make(chan struct{})
	var keeper sync.WaitGroup
	keeper.Go(func() { c.keepAlive(l, ended) })
	err = c.read(l.Conn, func(*envelope) bool { return false })
	c.setUp(false)
	close(ended)
	_ = l.CloseNow() // also ends a ping that waits for its answer
	keeper.Wait()
	return max(time.Since(joined), 1), err
}

// keepAlive pings the peer until the session has ended, and closes the
// connection if the peer is dead or the channel is closed.
func (c *Channel) keepAlive(l *line, ended <-chan struct{}) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return
		case <-c.life.Done():
			c.leave(l)
			return
		case <-ticker.C:
			ctx, cancel := context.WithTimeout(c.life, pingTimeout)
			err := l.Ping(ctx)
			cancel()
			if err != nil && c.life.Err() == nil {
				_ = l.CloseNow()
				return
			}
		}
	}
}

// read dispatches messages until the connection breaks or stop, which sees the
// answers to our own requests, returns true.
func (c *Channel) read(conn *websocket.Conn, stop func(*envelope) bool) error {
	var buf bytes.Buffer
	var e envelope
	for {
		_, r, err := conn.Reader(context.Background())
		if err != nil {
			return broken(err)
		}
		buf.Reset()
		if _, err := buf.ReadFrom(r); err != nil {
			return broken(err)
		}
		if c.dispatch(buf.Bytes(), &e) && stop(&e) {
			return nil
		}
		if buf.Cap() > 1<<20 {
			buf = bytes.Buffer{} // one large payload should not hold memory for good
		}
	}
}

// dispatch hands on a message, unless it is an answer to a request of our own:
// then it returns true. e is scratch space and holds the answer.
func (c *Channel) dispatch(data []byte, e *envelope) (answer bool) {
	if !parse(data, e) {
		c.events.send(Message{}, data)
		return false
	}
	if e.isAnswer() {
		return true
	}
	switch e.Type {
	case TypeCommand, TypeAnswer, TypeStream:
		if e.ID != "" {
			c.inbox.deliver(&e.Message)
		}
	}
	c.events.send(e.Message, data)
	return false
}

// broken leaves out the reason that a proxy gives for closing the connection: it
// may quote the token.
func broken(err error) error {
	if code := websocket.CloseStatus(err); code != -1 {
		return fmt.Errorf("the proxy closed the connection with status %d", code)
	}
	return err
}

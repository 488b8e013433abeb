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

	"github.com/privicore/privicore-go/internal/wire"
)

// run holds one session after the other. It ends when the channel is closed or
// a join is refused. After a refusal, a later call of start begins again.
func (c *Channel) run() {
	for {
		c.beginAttempt()
		lasted, err := c.session()
		if c.scope.Err() != nil {
			c.endAttempt(ErrClosed)
			return
		}
		c.logLoss(err, lasted > 0)
		if errors.Is(err, errRefused) {
			c.giveUp(err)
			return
		}
		if lasted == 0 {
			c.endAttempt(err)
		}
		pause := min(firstPause<<min(c.failures, 10), maxPause)
		c.failures++
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-c.retryNow:
		case <-c.scope.Done():
		}
		timer.Stop()
	}
}

// session connects, joins, and reads until the connection ends. It returns how
// long the channel was joined, or 0 if it was not, and the reason for the end.
func (c *Channel) session() (lasted time.Duration, err error) {
	conn, err := c.connect()
	if err != nil {
		return 0, err
	}
	joined := time.Now()
	c.setJoined(conn)

	ended := make(chan struct{})
	var keeper sync.WaitGroup
	keeper.Go(func() { c.keepAlive(conn, joined, ended) })
	var refused error
	err = c.read(conn, func(answer *wire.Envelope) bool {
		// The join was taken for accepted because of an answer without a
		// correlation id. The answer that has it decides.
		if answer.CorrelationID != "" {
			refused = conn.refusal(answer)
		}
		return refused != nil
	})
	if refused != nil {
		err = refused
	}
	lasted = max(time.Since(joined), 1)
	c.setLost(lasted > stableAfter)
	close(ended)
	_ = conn.CloseNow() // also ends a ping that waits for its answer
	keeper.Wait()
	return lasted, conn.reason(err)
}

// beginAttempt sets the state for the attempt that begins.
func (c *Channel) beginAttempt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.failed {
		c.setState(Connecting)
	}
}

// endAttempt ends the attempt in progress, which has failed.
func (c *Channel) endAttempt(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(err)
}

// giveUp ends the attempt in progress. It also ends the listeners, because no
// attempt follows by itself. A later call of start begins again.
func (c *Channel) giveUp(err error) {
	c.events.end(err, false)
	c.failures = 0
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running, c.retryAt = false, time.Now().Add(refusedPause)
	c.fail(err)
}

// fail ends the attempt in progress with an error. It is called with the lock
// held.
func (c *Channel) fail(err error) {
	c.failed = true
	c.setState(Down)
	c.settle(err)
}

// settle gives the attempt in progress its result. It is called with the lock
// held.
func (c *Channel) settle(err error) {
	c.attempt.err = err
	close(c.attempt.done)
	c.attempt = newAttempt()
	if !c.tried {
		c.tried = true
		close(c.firstDone)
	}
}

// setJoined ends the attempt in progress with success.
func (c *Channel) setJoined(conn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events.back()
	c.conn, c.failed = conn, false
	c.joins++
	c.join.Store(c.joins)
	c.setState(Joined)
	c.settle(nil)
}

// setLost sets the state after the connection has ended. If the join was stable, the
// backoff begins anew.
func (c *Channel) setLost(stable bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if stable {
		c.failures = 0
	}
	c.conn = nil
	c.join.Store(0)
	if c.scope.Err() != nil {
		c.setState(Down)
		return // the listeners are told that the channel is closed
	}
	if c.failures > 0 {
		c.setState(Down)
	} else {
		c.setState(Connecting)
	}
	c.events.lost()
}

// keepAlive checks that the peer is alive until the session has ended. It cuts
// the connection if the peer is dead, and leaves the channel if it is closed.
func (c *Channel) keepAlive(conn *conn, joined time.Time, ended <-chan struct{}) {
	stable := time.NewTimer(stableAfter)
	defer stable.Stop()
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return
		case <-c.scope.Done():
			c.leave(conn)
			return
		case <-stable.C:
			c.logBack(joined)
		case <-ticker.C:
			if conn.checkAlive(c.scope.Context()) != nil && c.scope.Err() == nil {
				conn.cut(errDead)
				return
			}
		}
	}
}

// read dispatches messages until the connection ends, or until stop returns
// true. It calls stop with what may be an answer to the join.
func (c *Channel) read(conn *conn, stop func(*wire.Envelope) bool) error {
	var buf bytes.Buffer
	var e wire.Envelope
	for {
		// A context that can end would cost a goroutine or a lock for every
		// message. Closing the connection ends the reading as well.
		_, r, err := conn.Reader(context.Background())
		if err != nil {
			return readError(err)
		}
		buf.Reset()
		if _, err := buf.ReadFrom(r); err != nil {
			return readError(err)
		}
		if c.dispatch(buf.Bytes(), &e, conn.correlationID) && stop(&e) {
			return nil
		}
		if buf.Cap() > 1<<20 {
			buf = bytes.Buffer{} // one large message must not take memory for good
		}
	}
}

// dispatch parses a message into e and hands it on. It reports whether the
// message is an answer to the request with the given correlation id, which is
// for the caller to handle.
func (c *Channel) dispatch(data []byte, e *wire.Envelope, correlationID string) (answer bool) {
	switch {
	case !wire.ParseMessage(data, e):
		// The listeners get it as it is.
	case e.IsKnown():
		if e.ID != "" {
			c.deliver(&e.Message)
		}
	case e.IsAnswerTo(correlationID):
		return true
	case e.Type == "" && e.CorrelationID != "":
		return false // an answer to a request that nobody waits for
	}
	c.events.send(e.Message, data)
	return false
}

// deliver hands on a message about a command or a request.
func (c *Channel) deliver(m *wire.Message) {
	if ctx := c.scope.Context(); c.config.Logger.Enabled(ctx, slog.LevelDebug) {
		id := "request"
		if m.Type == wire.TypeCommand {
			id = "command"
		}
		c.debug("privicore: outcome over the WebSocket channel", slog.String(id, m.ID), slog.Int("status", m.CommandStatus))
	}
	c.inbox.deliver(m)
	// The load is cheaper than a swap, and it is nearly always 0.
	if c.unpushed.Load() > 0 && c.unpushed.Swap(0) >= maxUnpushed {
		c.logBack(time.Now())
	}
}

// logLoss warns once for each outage. What follows in the same outage is for
// debugging only.
func (c *Channel) logLoss(err error, joined bool) {
	c.mu.Lock()
	level := slog.LevelDebug
	if c.lostAt.IsZero() {
		c.lostAt = time.Now()
		level = slog.LevelWarn
	}
	c.mu.Unlock()
	c.config.Logger.LogAttrs(c.scope.Context(), level, "privicore: no WebSocket channel, outcomes are polled for",
		slog.Bool("was_joined", joined), slog.Any("error", err))
}

// logBack logs that the outage is over that logLoss warned about. It does not if the
// channel is joined but not relied on.
func (c *Channel) logBack(since time.Time) {
	c.mu.Lock()
	lostAt := c.lostAt
	if lostAt.IsZero() || c.conn == nil || c.unpushed.Load() >= maxUnpushed {
		c.mu.Unlock()
		return
	}
	c.lostAt = time.Time{}
	c.mu.Unlock()
	c.config.Logger.LogAttrs(c.scope.Context(), slog.LevelInfo, "privicore: WebSocket channel is back",
		slog.Duration("away", since.Sub(lostAt)))
}

func (c *Channel) debug(message string, attrs ...slog.Attr) {
	c.config.Logger.LogAttrs(c.scope.Context(), slog.LevelDebug, message, attrs...)
}

// readError returns an error without the reason that a proxy gives for closing
// the connection, because the reason may quote the token.
func readError(err error) error {
	if code := websocket.CloseStatus(err); code != -1 {
		return fmt.Errorf("the proxy closed the connection with status %d", code)
	}
	return err
}

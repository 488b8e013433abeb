// Package realtime is the engine behind waiting: one WebSocket connection to
// the proxy, joined to the channel of a profile, whose messages are handed to
// whoever watches their id. It reconnects by itself; what may have been missed
// meanwhile is for the caller to ask for, and Mark tells when.
package realtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

const (
	// firstWait bounds how long a command is held back for the first join.
	firstWait = 5 * time.Second
	// joinTimeout bounds connecting and joining.
	joinTimeout = 10 * time.Second
	// A peer that does not answer a ping within pingTimeout is dead.
	pingEvery   = 20 * time.Second
	pingTimeout = 10 * time.Second
	// Pauses between attempts to connect.
	firstPause = 250 * time.Millisecond
	maxPause   = 30 * time.Second
	// steady is how long a join must last to count as a success.
	steady = 10 * time.Second
	// refusedPause is how long a refused join is not tried again.
	refusedPause = 30 * time.Second
	// closeTimeout bounds the polite end of a connection.
	closeTimeout = 500 * time.Millisecond
	// maxMessage is far above what the proxy is known to send.
	maxMessage = 16 << 20
)

// ErrClosed means that Close was called.
var ErrClosed = errors.New("channel is closed")

// Config of a Channel. All fields but URL are required.
type Config struct {
	URL        string // of the proxy; if empty, there is no channel
	HTTPClient *http.Client
	// Token returns the token to join with, other than refused if that is not
	// empty. If there is no other it returns an error or the refused one.
	Token   func(ctx context.Context, refused string) (string, error)
	Logger  *slog.Logger
	Keep    int           // how many early outcomes are kept
	KeepFor time.Duration // and how long
}

// Channel is safe for concurrent use. It connects on the first Join, or on
// Connect.
type Channel struct {
	config Config
	inbox  inbox
	events events

	up atomic.Uint64 // number of the join in force, 0 while there is none

	life context.Context
	end  context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex
	running bool
	joins   uint64
	changed chan struct{} // closed when up changes
	attempt *attempt      // the one in progress, or the next
	first   *attempt
	poke    chan struct{}
	retryAt time.Time // after a refused join
	warned  bool      // the loss has been logged
}

// attempt is one try to connect and join.
type attempt struct {
	done chan struct{}
	err  error
}

func newAttempt() *attempt { return &attempt{done: make(chan struct{})} }

// Mark is a point in the life of a channel. Two equal Marks mean that nothing
// can have been missed between them.
type Mark struct{ join, lost uint64 }

// New returns a Channel that has not connected yet.
func New(config Config) *Channel {
	c := &Channel{config: config, changed: make(chan struct{}), poke: make(chan struct{}, 1)}
	c.life, c.end = context.WithCancel(context.Background())
	c.inbox.init(config.Keep, config.KeepFor)
	c.attempt = newAttempt()
	c.first = c.attempt
	return c
}

// Enabled tells whether there is a proxy to connect to.
func (c *Channel) Enabled() bool { return c.config.URL != "" }

// Join sees to it that the channel is joined, if it can be had. It waits for
// the first attempt only, and for a limited time. The Mark it returns is zero
// if the channel is down.
func (c *Channel) Join(ctx context.Context) Mark {
	if !c.Enabled() || c.life.Err() != nil {
		return Mark{}
	}
	if c.up.Load() == 0 {
		c.start(false)
		timer := time.NewTimer(firstWait)
		defer timer.Stop()
		select {
		case <-c.first.done:
		case <-ctx.Done():
		case <-c.life.Done():
		case <-timer.C:
		}
	}
	return c.mark()
}

func (c *Channel) mark() Mark {
	join := c.up.Load()
	if join == 0 {
		return Mark{}
	}
	return Mark{join, c.inbox.lostSoFar()}
}

// Connect tries at once to connect and join, if the channel is down, and
// returns what comes of it.
func (c *Channel) Connect(ctx context.Context) error {
	for c.up.Load() == 0 {
		a := c.start(true)
		select {
		case <-a.done:
			if a.err != nil {
				return a.err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-c.life.Done():
			return ErrClosed
		}
	}
	return nil
}

// Retry forgets that a join was refused.
func (c *Channel) Retry() {
	c.mu.Lock()
	c.retryAt = time.Time{}
	c.mu.Unlock()
}

// start has the channel connect, if it is not about to, and returns the
// attempt. A pause between attempts is cut short if now is true.
func (c *Channel) start(now bool) *attempt {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.life.Err() != nil:
	case !c.running && (now || !time.Now().Before(c.retryAt)):
		c.running = true
		c.done.Go(c.run)
	case now:
		select {
		case c.poke <- struct{}{}:
		default:
		}
	}
	return c.attempt
}

// State tells whether the channel is joined now, and what ends that state.
func (c *Channel) State() (up bool, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up.Load() != 0, c.changed
}

// WatchCommand watches a command. Whether its outcome may have been missed
// since a Mark is for Missed to say.
func (c *Channel) WatchCommand(id string) *Watch { return c.inbox.watch(key{true, id}) }

// WatchRequest watches for the answer to a request for data.
func (c *Channel) WatchRequest(id string) *Watch { return c.inbox.watch(key{false, id}) }

// Missed tells whether a message may have been missed since m, and returns the
// Mark of now.
func (c *Channel) Missed(m Mark) (now Mark, missed bool) {
	now = c.mark()
	return now, now == Mark{} || now != m
}

// Close leaves the channel and ends the connection and all goroutines.
func (c *Channel) Close() {
	c.mu.Lock()
	c.end()
	c.mu.Unlock()
	c.done.Wait()
	c.events.close()
}

// run connects again and again. It ends with the channel, or when the join was
// refused for good: then a later Join starts it anew.
func (c *Channel) run() {
	for failures := 0; ; failures++ {
		started := time.Now()
		joined, err := c.session()
		if c.life.Err() != nil {
			c.settle(ErrClosed, false)
			return
		}
		c.log(err, joined)
		refused := errors.Is(err, errRefused)
		if !joined {
			c.settle(err, refused)
		}
		if refused {
			return
		}
		// A server that takes joins and drops them must not be hammered.
		if joined && time.Since(started) > steady {
			failures = 0
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

// settle ends the attempt in progress, and after a refusal the running.
func (c *Channel) settle(err error, refused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if refused {
		c.running, c.retryAt = false, time.Now().Add(refusedPause)
	}
	c.attempt.err = err
	close(c.attempt.done)
	c.attempt = newAttempt()
}

// setUp makes the join numbered join the one in force, 0 for none.
func (c *Channel) setUp(up bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	join := uint64(0)
	if up {
		c.joins++
		join = c.joins
		c.warned = false
	}
	c.up.Store(join)
	close(c.changed)
	c.changed = make(chan struct{})
}

// log says once for each time the channel is lost, or cannot be had.
func (c *Channel) log(err error, joined bool) {
	c.mu.Lock()
	level := slog.LevelWarn
	if c.warned {
		level = slog.LevelDebug
	}
	c.warned = true
	c.mu.Unlock()
	c.config.Logger.Log(c.life, level, "privicore: no WebSocket channel, outcomes are polled for", "was_joined", joined, "error", err)
}

// session connects, joins, and reads until the connection breaks.
func (c *Channel) session() (joined bool, err error) {
	conn, err := c.join()
	if err != nil {
		return false, err
	}
	c.setUp(true)
	c.settle(nil, false)
	defer c.setUp(false)

	// The reader is not bound to a context, which would cost it on every
	// message; closing the connection ends it.
	ended := make(chan struct{})
	var keeper sync.WaitGroup
	keeper.Go(func() { c.keepAlive(conn, ended) })
	err = c.read(conn, func(e *envelope) bool { return false })
	close(ended)
	keeper.Wait()
	_ = conn.CloseNow()
	return true, err
}

// keepAlive pings the peer until the session has ended, and closes the
// connection if the peer is dead or the channel is closed.
func (c *Channel) keepAlive(conn *websocket.Conn, ended <-chan struct{}) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return
		case <-c.life.Done():
			c.leave(conn)
			return
		case <-ticker.C:
			ctx, cancel := context.WithTimeout(c.life, pingTimeout)
			err := conn.Ping(ctx)
			cancel()
			if err != nil && c.life.Err() == nil {
				_ = conn.CloseNow()
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
			return err
		}
		buf.Reset()
		if _, err := buf.ReadFrom(r); err != nil {
			return err
		}
		if !parse(buf.Bytes(), &e) {
			c.events.send(Message{}, buf.Bytes())
			continue
		}
		if e.Data.Type == "" && e.Status != 0 {
			if stop(&e) {
				return nil
			}
			continue
		}
		m := e.message()
		switch m.Type {
		case TypeCommand, TypeAnswer, TypeStream:
			if m.ID != "" {
				c.inbox.deliver(m)
			}
		}
		c.events.send(m, buf.Bytes())
		if buf.Cap() > 1<<20 {
			buf = bytes.Buffer{} // one large payload should not hold memory for good
		}
	}
}

// Error of a join that the proxy refused.
var errRefused = errors.New("join refused")

func refusal(e *envelope) error {
	return fmt.Errorf("%w: status %d", errRefused, e.Status)
}

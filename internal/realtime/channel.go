// Package realtime is the engine behind waiting: one WebSocket connection to
// the proxy, joined to the channel of a profile, whose messages are handed to
// whoever watches their id. It reconnects by itself; what may have been missed
// meanwhile is for the caller to ask for, and Mark tells when.
package realtime

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// firstWait bounds how long commands are held back for the first join.
	firstWait = 2 * time.Second
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

var (
	// ErrClosed means that Close was called.
	ErrClosed = errors.New("channel is closed")
	// ErrTokenLater is wrapped by an error of Config.Token after which it is
	// worth trying again. After any other the channel gives up.
	ErrTokenLater = errors.New("no token for now")
)

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

	// released is closed when commands are no longer held back for the first
	// join: it has come, or failed, or takes too long.
	released chan struct{}
	release  func()

	mu       sync.Mutex
	running  bool
	patience *time.Timer // releases; nil before the first start
	joins    uint64
	changed  chan struct{} // closed when up changes
	attempt  *attempt      // the one in progress, or the next
	poke     chan struct{}
	retryAt  time.Time // after a refused join
	warned   bool      // the loss has been logged
}

// attempt is one try to connect and join.
type attempt struct {
	done chan struct{}
	err  error
}

func newAttempt() *attempt { return &attempt{done: make(chan struct{})} }

// New returns a Channel that has not connected yet.
func New(config Config) *Channel {
	c := &Channel{
		config:   config,
		released: make(chan struct{}),
		changed:  make(chan struct{}),
		attempt:  newAttempt(),
		poke:     make(chan struct{}, 1),
	}
	c.release = sync.OnceFunc(func() { close(c.released) })
	c.life, c.end = context.WithCancel(context.Background())
	c.inbox.init(config.Keep, config.KeepFor)
	return c
}

// Enabled tells whether there is a proxy to connect to.
func (c *Channel) Enabled() bool { return c.config.URL != "" }

// Join sees to it that the channel is joined, if it can be had. It waits for
// the first attempt only, and for a limited time: never more than half of what
// ctx allows, because there is a command to be sent. The Mark it returns is zero
// if the channel is down.
func (c *Channel) Join(ctx context.Context) Mark {
	if !c.Enabled() || c.life.Err() != nil {
		return Mark{}
	}
	if c.up.Load() == 0 {
		c.start(false)
		if deadline, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
			defer cancel()
		}
		select {
		case <-c.released:
		case <-ctx.Done():
		case <-c.life.Done():
		}
	}
	return c.mark()
}

// Connect tries at once to connect and join, if the channel is down, and
// returns what comes of it.
func (c *Channel) Connect(ctx context.Context) error {
	for c.up.Load() == 0 {
		a := c.start(true)
		if a == nil {
			continue // it has come up
		}
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
	if c.life.Err() != nil {
		return ErrClosed
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
// attempt; nil if it is joined. A pause between attempts is cut short if now is
// true.
func (c *Channel) start(now bool) *attempt {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.up.Load() != 0:
		return nil
	case c.life.Err() != nil:
	case !c.running && (now || !time.Now().Before(c.retryAt)):
		c.running = true
		if c.patience == nil {
			c.patience = time.AfterFunc(firstWait, c.release)
		}
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
func (c *Channel) WatchCommand(id string) *Watch { return c.inbox.watch(c.inbox.commands, id) }

// WatchRequest watches a request for data.
func (c *Channel) WatchRequest(id string) *Watch { return c.inbox.watch(c.inbox.requests, id) }

// Close leaves the channel and ends the connection and all goroutines.
func (c *Channel) Close() {
	c.mu.Lock()
	c.end()
	if c.patience != nil {
		c.patience.Stop()
	}
	c.mu.Unlock()
	c.done.Wait()
	c.events.end(ErrClosed, true)
}

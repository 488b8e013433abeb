// Package realtime is the engine behind waiting. A Channel holds one WebSocket
// connection to the proxy and has joined the channel of a profile over it. It
// hands each message to the subscriptions to its id, keeps for a while what
// comes before anybody subscribes, and shows every message to the listeners.
//
// The proxy sends a message once. What it sends while the connection is down is
// lost, and so is what was kept for too long. A Cursor is a position in what a
// channel has received, and Gap reports whether a message after a cursor may
// have been lost. The caller then has to ask the server.
//
// A Channel connects when Start, Join or Connect is called, and reconnects by
// itself after a failure, with a growing backoff. It stops when the proxy refuses
// the token, and begins again with a later call. The package knows nothing of
// services, clients and polling.
package realtime

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/privicore/privicore-go/internal/lifecycle"
)

const (
	// firstWait bounds how long Join waits for the first attempt.
	firstWait = 2 * time.Second
	// joinTimeout bounds one attempt to connect and join.
	joinTimeout = 10 * time.Second
	// pingEvery is how often the peer is asked for a sign of life, and
	// pingTimeout how long it has to give one.
	pingEvery   = 20 * time.Second
	pingTimeout = 10 * time.Second
	// firstPause and maxPause are the shortest and the longest backoff between
	// attempts.
	firstPause = 250 * time.Millisecond
	maxPause   = 30 * time.Second
	// stableAfter is how long a join must last to count as a success.
	stableAfter = 10 * time.Second
	// refusedPause is how long Start and Join do not try a refused join again.
	refusedPause = 30 * time.Second
	// closeTimeout bounds how long leaving a channel may take.
	closeTimeout = 500 * time.Millisecond
	// maxMessage bounds a message. It is far above what the proxy is known to
	// send.
	maxMessage = 16 << 20
	// maxUnpushed is how many calls of Lost make the channel unreliable.
	maxUnpushed = 2
)

var (
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("channel is closed")
	// ErrTokenLater is matched by an error of Config.Token that may pass. The
	// channel tries again after such an error, and gives up after any other.
	ErrTokenLater = errors.New("no token for now")

	errNoURL = errors.New("no WebSocket URL")
)

// State is how a Channel stands.
type State uint8

const (
	// Down means that the channel is not joined and is not about to be: it was
	// never started, is not enabled, is closed or was refused, or the latest
	// attempt failed.
	Down State = iota
	// Connecting means that an attempt is in progress, and that none has failed
	// since Start or since the last join.
	Connecting
	// Joined means that the proxy pushes messages to the channel.
	Joined
)

// Config is the configuration of a Channel. All fields but URL and Header are
// required.
type Config struct {
	URL        string // of the proxy; if empty, the channel is not enabled
	HTTPClient *http.Client
	Header     http.Header // sent with the handshake
	// Token returns the token to join with. If refused is not empty, the proxy
	// has refused that token: Token returns another one, or an error or the
	// same one if there is no other.
	Token   func(ctx context.Context, refused string) (string, error)
	Logger  *slog.Logger
	Keep    int           // how many ids messages are kept for that nobody subscribed to
	KeepFor time.Duration // and how long
}

// Channel is a WebSocket connection to the proxy that is joined to the channel
// of a profile. It is safe for concurrent use. Make one with New.
type Channel struct {
	config Config
	scope  *lifecycle.Scope
	inbox  inbox
	events events

	join     atomic.Uint64 // number of the join in force, 0 while there is none
	unpushed atomic.Int64  // calls of Lost since the last message

	firstDone chan struct{} // closed when the first attempt has ended
	retryNow  chan struct{} // ends a pause between attempts

	failures int // sessions in a row that failed or did not last; used by run only

	mu      sync.Mutex
	running bool // there is a goroutine in run
	started time.Time
	state   State
	changed chan struct{} // closed when state changes
	attempt *attempt      // the one in progress, or the next
	tried   bool          // firstDone is closed
	failed  bool          // an attempt has failed since the start or the last join
	joins   uint64
	conn    *conn     // nil unless joined
	retryAt time.Time // after a refused join
	lostAt  time.Time // start of the outage that was warned about, or zero
}

// attempt is one try to connect and join.
type attempt struct {
	done chan struct{}
	err  error // set before done is closed
}

func newAttempt() *attempt { return &attempt{done: make(chan struct{})} }

// New returns a Channel that has not connected yet. Close must be called for it.
func New(config Config) *Channel {
	c := &Channel{
		config:    config,
		scope:     lifecycle.New(ErrClosed),
		firstDone: make(chan struct{}),
		retryNow:  make(chan struct{}, 1),
		changed:   make(chan struct{}),
		attempt:   newAttempt(),
	}
	c.inbox.init(config.Keep, config.KeepFor)
	return c
}

// Enabled reports whether there is a proxy to connect to.
func (c *Channel) Enabled() bool { return c.config.URL != "" }

// Start begins to connect, if the channel is down and was not refused a short
// time ago. It does not wait.
func (c *Channel) Start() { c.start(false) }

// Join starts the channel for a command that is about to be sent. It returns the
// cursor for the wait, which is zero unless the channel is joined. Join waits only
// for the first attempt, for at most two seconds and at most half of the time that
// ctx allows, because the command needs the rest.
func (c *Channel) Join(ctx context.Context) Cursor {
	if c.join.Load() == 0 && c.Enabled() {
		c.Start()
		c.awaitFirst(ctx)
	}
	return c.Cursor()
}

func (c *Channel) awaitFirst(ctx context.Context) {
	select {
	case <-c.firstDone:
		return
	default:
	}
	c.mu.Lock()
	until := c.started.Add(firstWait)
	c.mu.Unlock()
	if deadline, ok := ctx.Deadline(); ok {
		half := time.Now().Add(time.Until(deadline) / 2)
		if half.Before(until) {
			until = half
		}
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	select {
	case <-c.firstDone:
	case <-ctx.Done():
	case <-c.scope.Done():
	}
}

// Connect connects and joins, if the channel is not joined, and waits for it. It
// does not wait for the end of a backoff. It returns the error of the attempt,
// that of ctx, or ErrClosed.
func (c *Channel) Connect(ctx context.Context) error {
	if !c.Enabled() {
		return errNoURL
	}
	a := c.start(true)
	if a == nil {
		return c.scope.Err() // it is joined
	}
	select {
	case <-a.done:
		// A join that succeeded is enough, even if the proxy has dropped it since.
		// Another attempt at once would leave out the backoff.
		return a.err
	case <-ctx.Done():
		return ctx.Err()
	case <-c.scope.Done():
		return ErrClosed
	}
}

// Retry forgets that a join was refused, so that the next Start or Join tries
// again.
func (c *Channel) Retry() {
	c.mu.Lock()
	c.retryAt = time.Time{}
	c.mu.Unlock()
}

// start begins to connect and returns the attempt in progress or the next one.
// It returns nil if the channel is joined. If now is true, it ends a pause
// between attempts and tries a refused join again.
func (c *Channel) start(now bool) *attempt {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.join.Load() != 0:
		return nil
	case c.running:
		if now {
			wake(c.retryNow)
		}
	case c.Enabled() && (now || !time.Now().Before(c.retryAt)):
		c.running = c.scope.Go(c.run)
		if !c.running {
			break
		}
		if c.started.IsZero() {
			c.started = time.Now()
		}
		c.failed = false
		c.setState(Connecting)
	}
	return c.attempt
}

// State returns the state of the channel, and a channel that is closed when the
// state changes.
func (c *Channel) State() (State, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.changed
}

// setState is called with the lock held.
func (c *Channel) setState(state State) {
	if c.state == state {
		return
	}
	c.state = state
	close(c.changed)
	c.changed = make(chan struct{})
}

// SubscribeCommand returns a subscription to the messages about a command. The caller
// stops it.
func (c *Channel) SubscribeCommand(id string) *Subscription {
	return c.inbox.subscribe(c.inbox.commands, id, make(chan struct{}, 1))
}

// SubscribeData returns subscriptions to the messages about a command that
// requests data and about its request. They share one Ready channel: a receive
// from it says that either of them may have messages. Stop must be called for
// both.
func (c *Channel) SubscribeData(commandID, requestID string) (command, data *Subscription) {
	ready := make(chan struct{}, 1)
	command = c.inbox.subscribe(c.inbox.commands, commandID, ready)
	data = c.inbox.subscribe(c.inbox.requests, requestID, ready)
	return command, data
}

// Lost is called when a poll brought an outcome that should have been pushed. After
// two calls without a message in between the channel reconnects. Gap then reports
// true until a message comes.
func (c *Channel) Lost() {
	if c.join.Load() == 0 || c.unpushed.Add(1) != maxUnpushed {
		return
	}
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	if conn != nil {
		conn.cut(errUnpushed)
	}
}

// Close leaves the channel, closes the connection and ends all goroutines and
// listeners. It may be called more than once.
func (c *Channel) Close() {
	c.scope.End()
	c.events.end(ErrClosed, true)
}

// wake puts a signal into a channel with room for one.
func wake(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default: // there is one already
	}
}

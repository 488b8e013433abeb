package privicore

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/privicore/privicore-go/internal/lifecycle"
	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/realtime"
	"github.com/privicore/privicore-go/internal/transport"
	"github.com/privicore/privicore-go/internal/wait"
	"github.com/privicore/privicore-go/internal/wire"
)

const (
	// notFoundBudget is how long polls may find that the command is unknown.
	notFoundBudget = 5 * time.Second
	// refusedBudget is how long the server may refuse to answer polls.
	refusedBudget = 5 * time.Second
	// pollTimeout bounds one poll.
	pollTimeout = 10 * time.Second
)

// pollBackoff is the pauses between the polls of one wait without a channel.
var pollBackoff = wait.Backoff{First: 100 * time.Millisecond, Max: 3 * time.Second}

// A Command is a write that the server has accepted and finishes later. Wait
// returns how it ended. A Command is safe for concurrent use.
type Command struct {
	// ID identifies the command on the server. It outlives the process: a
	// program that keeps it can go on with Client.Command.
	ID string

	client    *Client
	sent      sentCall  // zero if the command was resumed by its id
	notBefore time.Time // when to poll first
	outcome   atomic.Pointer[CommandResult]
}

// CommandStatus is how far a command is.
type CommandStatus string

// The states of a command.
const (
	CommandPending   CommandStatus = "pending"
	CommandSucceeded CommandStatus = "succeeded"
	CommandRejected  CommandStatus = "rejected"
)

// commandStatuses are the states as they are read from the wire.
var commandStatuses = [...]CommandStatus{
	wire.Pending:   CommandPending,
	wire.Succeeded: CommandSucceeded,
	wire.Rejected:  CommandRejected,
}

// CommandResult is what the server reports about a command.
type CommandResult struct {
	ID     string
	Status CommandStatus
	// Messages is what the server says about the command, usually keys such as
	// "profile.profile_registered". Secrets that were sent are taken out.
	Messages []string
	// Body is the JSON that the messages were taken from. It may be of any
	// type, or nil.
	Body json.RawMessage `json:",omitempty"`
}

// String returns the status and the messages.
func (r CommandResult) String() string {
	return strings.TrimSpace(string(r.Status) + " " + strings.Join(r.Messages, ", "))
}

// Has reports whether key is among the messages.
func (r CommandResult) Has(key MessageKey) bool { return isKey(key, r.Messages) }

// Operation returns what the command is for, such as "Device.Approve". It is
// empty for a command that was made by Client.Command.
func (c *Command) Operation() string {
	if c.sent.op == nil {
		return ""
	}
	return c.sent.op.Name
}

// String returns the word "command" and the id.
func (c *Command) String() string { return "command " + c.ID }

// Command returns the command with the given id, which this process or another
// has kept. It sends nothing.
func (c *Client) Command(id string) *Command { return &Command{ID: id, client: c} }

// Status asks the server once how far the command is. It returns what the server
// reports, also if the command was rejected, and does not wait for the end of the
// command. The error matches ErrNotFound if the server does not know the command,
// or does not know it yet.
// Once the server has reported the end, c keeps the result, and nothing is sent any
// more.
//
// It is the operation [Request command id status].
//
// [Request command id status]: https://docs.privicore.com/request-command-id-status-14411412e0
func (c *Command) Status(ctx context.Context) (*CommandResult, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if r := c.outcome.Load(); r != nil {
		return r, nil
	}
	r, _, err := c.client.requestStatus(ctx, c.ID, params{})
	if err != nil {
		return nil, err
	}
	if r = c.redacted(r); r.Status != CommandPending {
		c.outcome.Store(r)
	}
	return r, nil
}

// Wait waits until the command has ended, and returns its result. With a
// WebSocket URL it opens the channel, and the server pushes the outcome. Without
// one, or while the channel is down, Wait polls: first after a tenth of a second,
// later every 3 seconds. While the channel is joined, Wait polls only after
// WithFallbackPoll, in case an outcome was lost. If polls bring two outcomes that
// the channel should have brought, the channel reconnects, and Wait polls as if it
// were down until the channel delivers again.
//
// If the command was rejected, the error is a *CommandError with the reasons. If
// c does not come from a client or its id cannot be one, nothing is sent. Any
// other error is a *WaitError, and the command may still be running. These end a
// wait at once:
//
//   - ctx ends. The error matches ctx.Err(). WaitError.LastPoll has the failure of
//     the last poll.
//   - The client is closed. The error matches ErrClosed.
//
// These end a wait only while the server cannot be relied on to push the outcome,
// for example while the channel is down:
//
//   - The server does not know the command, for 5 seconds and 3 polls in a row.
//     The error matches ErrNotFound.
//   - The server refuses to answer, for 5 seconds and 3 polls in a row.
//   - The server answers that the id cannot be one. The error matches
//     ErrValidation.
//   - The server cannot be reached or fails, for as long as WithMaxOutage allows
//     (3 minutes by default) and 10 polls in a row. Polls in a row that fail in
//     different ways count together.
//   - The client has no WebSocket URL, and the server asks for a pause that ends
//     after the deadline of ctx. After a 429 the error matches ErrRateLimited.
//
// No other answer ends a wait. A 429 never counts as a failure.
func (c *Command) Wait(ctx context.Context) (*CommandResult, error) {
	var last *CommandResult
	for result, err := range c.Watch(ctx) {
		if err != nil {
			return nil, err
		}
		last = result
	}
	return last, nil
}

// Watch waits like Wait, and also yields what the server reports while the
// command is running. That is usually one report over the WebSocket channel, or
// one for each poll. The last element is the result or the error of Wait.
func (c *Command) Watch(ctx context.Context) iter.Seq2[*CommandResult, error] {
	return func(yield func(*CommandResult, error) bool) {
		if err := c.check(); err != nil {
			yield(nil, err)
			return
		}
		sub := c.client.channel.SubscribeCommand(c.ID)
		defer sub.Stop()
		c.watch(ctx, sub, yield)
	}
}

// check returns an error if the command cannot be waited for.
func (c *Command) check() error {
	if c == nil || c.client == nil {
		return errNoClient
	}
	return checkIdentifier(operation.UtilityRequestStatus, "commandId", c.ID)
}

// errStopped ends a wait whose caller has left the loop.
var errStopped = errors.New("stopped")

var errNoClient = errors.New("privicore: the command does not come from a client; use Client.Command")

// watch does what Watch does, with a subscription that the caller stops.
func (c *Command) watch(ctx context.Context, sub *realtime.Subscription, yield func(*CommandResult, error) bool) {
	if c.outcome.Load() != nil {
		yield(c.result(ctx, nil))
		return
	}
	c.openChannel()
	feed := &commandFeed{cmd: c, sub: sub, cursor: sub.Since(c.sent.cursor)}
	ctx, feed.seen = c.client.config.observeWait(ctx, c.Operation(), c.ID)
	err := wait.For(ctx, c.client.waiting, *c.task(feed, func(r *CommandResult) bool { return yield(r, nil) }))
	if errors.Is(err, errStopped) {
		feed.seen.endCommand(nil, nil)
		return
	}
	r, err := c.result(ctx, err)
	feed.seen.endCommand(c.outcome.Load(), err)
	yield(r, err)
}

// task returns the task that waits for the outcome and stores it. It calls report
// with each result before, and ends with errStopped if report returns false.
func (c *Command) task(feed *commandFeed, report func(*CommandResult) bool) *wait.Task[*CommandResult] {
	t := &wait.Task[*CommandResult]{
		Name: c.Operation(),
		ID:   c.ID,
		Ask: func(ctx context.Context) (*CommandResult, time.Duration, error) {
			return feed.seen.poll(ctx, c.client, c.ID)
		},
		Accept: func(r *CommandResult) (bool, error) {
			feed.seen.takes(r)
			r = c.redacted(r)
			if r.Status != CommandPending {
				c.outcome.Store(r)
				return true, nil
			}
			if !report(r) {
				return true, errStopped
			}
			return false, nil
		},
		Limiter:   c.client.limiter,
		Backoff:   pollBackoff,
		Timeout:   pollTimeout,
		NotBefore: c.notBefore,
	}
	if c.client.channel.Enabled() {
		t.Feed = feed
	}
	return t
}

// logOutcome logs the outcome of a command.
func (c *Command) logOutcome(ctx context.Context, r *CommandResult) {
	if logger := c.client.config.logger; logger.Enabled(ctx, slog.LevelDebug) {
		logger.DebugContext(ctx, "privicore: outcome", "operation", c.Operation(), "id", c.ID, "status", string(r.Status))
	}
}

// ended returns what Wait returns for an outcome.
func (c *Command) ended(r *CommandResult) (*CommandResult, error) {
	if r.Status == CommandRejected {
		return nil, &CommandError{ID: r.ID, Operation: c.Operation(), Messages: r.Messages}
	}
	return r, nil
}

// waitError returns the WaitError for an error of wait.For.
func (c *Command) waitError(err error) error { return newWaitError(c.ID, c.Operation(), err) }

func newWaitError(id, operation string, err error) error {
	e := &WaitError{ID: id, Operation: operation, Err: err}
	if u, ok := errors.AsType[*wait.Unfinished](err); ok {
		e.Err, e.LastPoll = u.Err, u.Last
	}
	return e
}

// openChannel begins to open the channel, if the client has one and can join.
func (c *Command) openChannel() {
	if op := c.sent.op; op != nil && op.Auth != operation.Token {
		return // before the profile is registered there is no token to join with
	}
	if c.client.tokens.any() {
		c.client.channel.Start()
	}
}

// lateAfter is how long after the answer to a poll a push may come that was on its
// way already.
const lateAfter = time.Second

// commandFeed is the outcome of a command as it is pushed.
type commandFeed struct {
	cmd    *Command
	sub    *realtime.Subscription
	cursor realtime.Cursor // everything up to here was received or asked for
	seen   *waitObservation
}

func (f *commandFeed) channel() *realtime.Channel { return f.cmd.client.channel }

func (f *commandFeed) Ready() <-chan struct{} { return f.sub.Ready() }

func (f *commandFeed) Take() []*CommandResult {
	var results []*CommandResult
	for _, m := range f.sub.Take() {
		if r := newResult(m.ID, wire.ReadAck(&m), m.Body); r != nil {
			results = append(results, r)
		}
	}
	return results
}

func (f *commandFeed) State() (wait.State, <-chan struct{}) {
	state, changed := f.channel().State()
	switch {
	case state == realtime.Down:
		return wait.Off, changed
	case state == realtime.Connecting:
		return wait.Opening, changed
	case f.channel().Gap(f.cursor):
		return wait.Behind, changed
	}
	return wait.Live, changed
}

func (f *commandFeed) Asking() (caughtUp func()) {
	now := f.channel().Cursor()
	return func() { f.cursor = f.sub.Since(now) }
}

// Lost reports to the channel that it has lost the outcome, unless the outcome is
// pushed soon. The server may have answered the poll just before it pushed.
func (f *commandFeed) Lost() {
	channel, cursor := f.channel(), f.cursor
	late := channel.SubscribeCommand(f.cmd.ID)
	counts := func() {
		defer late.Stop()
		if !pushedWithin(f.cmd.client.scope, late, lateAfter) && !channel.Gap(cursor) {
			channel.Lost()
		}
	}
	if !f.cmd.client.scope.Go(counts) {
		late.Stop()
	}
}

// pushedWithin reports whether the outcome of a command is pushed within d.
func pushedWithin(scope *lifecycle.Scope, sub *realtime.Subscription, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-sub.Ready():
			for _, m := range sub.Take() {
				if !m.IsPending() {
					return true
				}
			}
		case <-timer.C:
			return false
		case <-scope.Done():
			return true // nothing can be said any more
		}
	}
}

// newResult returns the result for an outcome, or nil if the outcome has no
// status.
func newResult(id string, o wire.Outcome, body []byte) *CommandResult {
	if o.Status == wire.Unknown {
		return nil
	}
	return &CommandResult{ID: id, Status: commandStatuses[o.Status], Messages: o.Messages, Body: body}
}

// WaitAll waits for all commands, like Command.Wait. It returns the results in
// the order of cmds; the result of a command that failed is nil. The error joins
// the errors of all commands that failed, each with the id of its command.
//
// WaitAll needs far less memory than one goroutine for each command: less than 40
// MiB for 100,000 commands, beside the commands and their results. It has at most
// 64 polls in progress for each client that the commands come from.
func WaitAll(ctx context.Context, cmds ...*Command) ([]*CommandResult, error) {
	unfinished := make(map[*Command]error) // commands that ended without an outcome
	var mu sync.Mutex                      // guards unfinished
	var running sync.WaitGroup
	for client, feeds := range subscribeAll(cmds) {
		running.Go(func() {
			client.waitAll(ctx, feeds, func(cmd *Command, err error) {
				mu.Lock()
				defer mu.Unlock()
				unfinished[cmd] = err
			})
		})
	}
	running.Wait()
	results := make([]*CommandResult, len(cmds))
	var errs []error
	for i, cmd := range cmds {
		err := cmd.check()
		if err == nil {
			results[i], err = cmd.result(ctx, unfinished[cmd])
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return results, errors.Join(errs...)
}

// subscribeAll subscribes to all commands that can be waited for and whose outcome
// is not known, by their clients. It does so before the first wait, so that early
// outcomes do not stay in the bounded buffer.
func subscribeAll(cmds []*Command) map[*Client][]commandFeed {
	feeds := make(map[*Client][]commandFeed)
	for i, cmd := range cmds {
		if cmd.check() != nil || cmd.outcome.Load() != nil {
			continue
		}
		of, ok := feeds[cmd.client]
		if !ok {
			of = make([]commandFeed, 0, len(cmds)-i) // usually there is one client
		}
		sub := cmd.client.channel.SubscribeCommand(cmd.ID)
		feeds[cmd.client] = append(of, commandFeed{cmd: cmd, sub: sub, cursor: sub.Since(cmd.sent.cursor)})
	}
	return feeds
}

// waitAll waits for the commands of the feeds and stops their subscriptions. It
// calls failed for each command that ends without an outcome.
func (c *Client) waitAll(ctx context.Context, feeds []commandFeed, failed func(*Command, error)) {
	for i := range feeds {
		cmd := feeds[i].cmd
		cmd.openChannel()
		_, feeds[i].seen = c.config.observeWait(ctx, cmd.Operation(), cmd.ID)
	}
	goOn := func(*CommandResult) bool { return true }
	task := func(i int) *wait.Task[*CommandResult] { return feeds[i].cmd.task(&feeds[i], goOn) }
	wait.All(ctx, c.waiting, len(feeds), task, func(i int, err error) {
		cmd := feeds[i].cmd
		feeds[i].sub.Stop()
		if err != nil {
			failed(cmd, err)
		}
		if seen := feeds[i].seen; seen != nil {
			_, err := cmd.result(seen.ctx, err)
			seen.endCommand(cmd.outcome.Load(), err)
		}
	})
}

// result returns what Wait returns for a command whose wait has ended. The error is
// the one that wait.All ended with.
func (c *Command) result(ctx context.Context, err error) (*CommandResult, error) {
	if r := c.outcome.Load(); r != nil {
		c.logOutcome(ctx, r)
		return c.ended(r)
	}
	return nil, c.waitError(err)
}

// requestStatus asks once how far a command is. It also returns the pause that
// the server asks for before the next poll.
func (c *Client) requestStatus(ctx context.Context, commandID string, p params) (*CommandResult, time.Duration, error) {
	op := operation.UtilityRequestStatus
	p.path = commandID
	byPost := c.statusByPost.Load()
	if byPost {
		op, p = requestStatusByPost(p)
	}
	var result *CommandResult
	var pause time.Duration
	read := func(r *request, resp *Response) (err error) {
		pause, _ = transport.RetryAfter(resp.Header)
		result, err = readStatus(commandID, r, resp)
		return err
	}
	err := c.send(ctx, op, p, read)
	if e, ok := errors.AsType[*APIError](err); ok && e.StatusCode == http.StatusMethodNotAllowed && !byPost {
		// Older servers were asked by POST, with an empty object.
		c.statusByPost.Store(true)
		op, p = requestStatusByPost(p)
		err = c.send(ctx, op, p, read)
	}
	return result, pause, err
}

func readStatus(commandID string, r *request, resp *Response) (*CommandResult, error) {
	outcome, err := wire.ReadStatus(resp.StatusCode == http.StatusAccepted, resp.Body)
	if err != nil {
		return nil, unreadable(r, resp, err.Error())
	}
	body := json.RawMessage(resp.Body)
	if !wire.IsJSON(body) {
		body = nil
	}
	return newResult(commandID, outcome, body), nil
}

func requestStatusByPost(p params) (*operation.Operation, params) {
	op := *operation.UtilityRequestStatus
	op.Method, op.Encoding = http.MethodPost, operation.JSON
	p.json = struct{}{}
	return &op, p
}

// Pending is a command that yields a T once it has succeeded. Result returns it.
//
// A program that keeps the ID can go on in another process. There it waits with
// Client.Command(id).Wait, and fetches the value with another method. The comment
// of the method that returned the Pending names that method.
type Pending[T any] struct {
	*Command

	fetch func(ctx context.Context) (T, error)
	once  bool          // the server gives the value out only once
	never error         // why the value cannot be fetched, or nil
	turn  chan struct{} // a lock with one place, so that waiting for it can end with a context
	value T
	done  bool // value and err are what Result returns from now on
	err   error
}

// NewPending returns a Pending whose value is fetched by calling fetch with the id of
// cmd, once cmd has succeeded. As long as the error of fetch matches ErrNotFound,
// fetch is called again, for up to 10 seconds, because a value may be found only a
// moment after its command has succeeded. NewPending sends nothing.
//
// It is for operations that are reached with Client.Do, and for tests: a fake can
// return a Pending that it makes of a command of package privicoretest. Result
// returns an error if cmd or fetch is nil.
func NewPending[T any](cmd *Command, fetch func(ctx context.Context, commandID string) (T, error)) *Pending[T] {
	if fetch == nil {
		return &Pending[T]{Command: cmd}
	}
	return &Pending[T]{Command: cmd, turn: make(chan struct{}, 1), fetch: func(ctx context.Context) (T, error) {
		return untilFound(ctx, cmd.client, cmd.ID, cmd.Operation(), func(ctx context.Context) (T, error) {
			return fetch(ctx, cmd.ID)
		})
	}}
}

// newPendingOnce returns a Pending whose value the server gives out only once.
func newPendingOnce[T any](cmd *Command, fetch func(ctx context.Context, commandID string) (T, error)) *Pending[T] {
	return &Pending[T]{Command: cmd, once: true, turn: make(chan struct{}, 1), fetch: func(ctx context.Context) (T, error) {
		return fetch(ctx, cmd.ID)
	}}
}

// Result waits until the command has succeeded, like Command.Wait, fetches the
// value and returns it. Later calls return the same value. Result is safe for
// concurrent use.
//
// The error is that of Command.Wait, or of the call that fetches the value.
// After an error Result may be called again. There is one exception: if the
// server gives the value out only once and its answer cannot be read, later calls
// return the same error. APIError.Response then has the answer.
func (p *Pending[T]) Result(ctx context.Context) (T, error) {
	var none T
	if p == nil || p.Command == nil || p.fetch == nil {
		return none, errNoClient
	}
	if p.never != nil {
		return none, p.never
	}
	if _, err := p.Wait(ctx); err != nil {
		return none, err
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return none, p.waitError(ctx.Err())
	}
	if p.done {
		return p.value, p.err
	}
	value, err := p.fetch(ctx)
	if err == nil || p.once && errors.Is(err, ErrUnexpectedAnswer) {
		p.value, p.err, p.done = value, err, true
	}
	return value, err
}

// foundWithin is how long after its command a value may still not be found.
const foundWithin = 10 * time.Second

var findBackoff = wait.Backoff{First: 100 * time.Millisecond, Max: time.Second}

// untilFound calls fetch again as long as its error matches ErrNotFound.
func untilFound[T any](ctx context.Context, c *Client, id, operation string, fetch func(context.Context) (T, error)) (T, error) {
	var found T
	err := wait.For(ctx, c.waiting, wait.Task[T]{
		Name: operation,
		ID:   id,
		Ask: func(ctx context.Context) (T, time.Duration, error) {
			value, err := fetch(ctx)
			return value, 0, err
		},
		Accept:  func(value T) (bool, error) { found = value; return true, nil },
		Backoff: findBackoff,
		Classify: func(err error) (wait.Class, time.Duration) {
			if errors.Is(err, ErrNotFound) {
				return wait.NotFound, 0
			}
			return wait.Final, 0
		},
		Budget: wait.Budget{NotFound: foundWithin},
	})
	if _, ok := errors.AsType[*wait.Unfinished](err); ok {
		return found, newWaitError(id, operation, err)
	}
	return found, err
}

package privicore

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/transport"
	"github.com/privicore/privicore-go/internal/wire"
)

// Hooks observe what a client does, for traces and metrics. A function of Hooks is
// called when something begins, in the goroutine that does it. What it observes
// goes on with the context that the function returns: the context reaches the
// RoundTripper, the log and the TokenSource. The second result, which may be nil,
// is called once when it has ended.
//
// Hooks get no parameters, tokens or bodies. The text of an error holds no secrets.
// A hook that blocks holds up the call or the wait that it observes, and no other.
// A hook that panics does so in the goroutine of the caller. The client fetches
// tokens in a goroutine of its own; a panic there ends the program.
type Hooks struct {
	// Call is called for each operation that is sent, such as "Device.Approve". The
	// operations are those of the coverage table; a poll is "Utility.RequestStatus",
	// and a token is fetched by "Profile.Authenticate". Nothing is called for an
	// operation that a *ValidationError refuses.
	Call func(ctx context.Context, operation string) (context.Context, func(CallReport))

	// Wait is called for each wait: for the outcome of a command, for requested
	// data, and for the result of a poll. The operation is what the command was
	// for, or "" if the command was made by Client.Command. The id is that of the
	// command or the poll. Nothing is called for a command whose outcome is known.
	Wait func(ctx context.Context, operation, id string) (context.Context, func(WaitReport))
}

// CallReport is what became of an operation.
type CallReport struct {
	// Attempts is how often the operation was sent. It is 0 if it was not sent,
	// for example because there is no token. Redirects do not count.
	Attempts int
	// Retries says why the operation was sent again, once for each time.
	Retries    []Retry
	StatusCode int           // of the last answer, or 0 if there is none
	Sent       int64         // bytes of the body, in the last attempt
	Received   int64         // bytes of the body of the last answer
	Duration   time.Duration // with all attempts and pauses
	CommandID  string        // of the command that was accepted, or ""
	Err        error         // that the method returns for this operation, or nil
}

// Retry is why an operation was sent again.
type Retry struct {
	StatusCode int           // of the answer before, or 0 if there is none
	Err        error         // why there was no answer, or nil
	Pause      time.Duration // before the next attempt
}

// WaitReport is how a wait ended.
type WaitReport struct {
	// Status is the outcome, or "" if the wait ended without one.
	Status CommandStatus
	// Pushed reports whether the end came over the WebSocket channel.
	Pushed   bool
	Polls    int // how often the server was asked
	Duration time.Duration
	Err      error // that the wait returns, or nil
}

// observation is what the hooks are told of one operation. A nil observation tells
// nobody.
type observation struct {
	began  time.Time
	ends   []func(CallReport)
	report CallReport
	stream bool // the operation ends when the data has been read
}

// observe tells the hooks that an operation begins. It returns the context that the
// operation goes on with.
func (c *config) observe(ctx context.Context, r *request) (context.Context, *observation) {
	if len(c.hooks) == 0 {
		return ctx, nil
	}
	seen := &observation{began: time.Now(), stream: r.op.Name == operation.DataTokenDownload.Name}
	for _, hooks := range c.hooks {
		if hooks.Call == nil {
			continue
		}
		var end func(CallReport)
		if ctx, end = hooks.Call(ctx, r.op.Name); end != nil {
			seen.ends = append(seen.ends, end)
		}
	}
	r.seen, r.Report = seen, seen.sent
	return ctx, seen
}

// sent takes in what became of a request. An operation whose token was refused has
// two.
func (o *observation) sent(got transport.Report) {
	if o.report.Attempts > 0 {
		o.report.Retries = append(o.report.Retries, Retry{StatusCode: o.report.StatusCode})
	}
	for _, retry := range got.Retries {
		o.report.Retries = append(o.report.Retries, Retry(retry))
	}
	o.report.Attempts += got.Attempts
	o.report.StatusCode, o.report.Sent, o.report.Received = got.StatusCode, got.Sent, got.Received
	if o.stream && got.StatusCode >= 200 && got.StatusCode <= 299 {
		o.end(got.Err)
	}
}

// answered takes the id of a command from an answer.
func (o *observation) answered(op *operation.Operation, resp *Response) {
	if o != nil && op.Answer != operation.Value && resp.StatusCode == http.StatusAccepted {
		o.report.CommandID = wire.CommandID(resp.Header.Get(commandHeader), resp.Body)
	}
}

// end tells the hooks that the operation has ended.
func (o *observation) end(err error) {
	if o == nil {
		return
	}
	o.report.Duration, o.report.Err = time.Since(o.began), err
	for _, end := range o.ends {
		end(o.report)
	}
}

// waitObservation is what the hooks are told of one wait. A nil waitObservation
// tells nobody.
type waitObservation struct {
	began  time.Time
	ends   []func(WaitReport)
	ctx    context.Context // with what the hooks put into it
	polls  atomic.Int64
	polled atomic.Pointer[CommandResult] // answer to the last poll
	pushed bool                          // the last result that was taken in was pushed
}

// observeWait tells the hooks that a wait begins. It returns the context that the
// wait goes on with.
func (c *config) observeWait(ctx context.Context, operation, id string) (context.Context, *waitObservation) {
	if len(c.hooks) == 0 {
		return ctx, nil
	}
	seen := &waitObservation{began: time.Now()}
	for _, hooks := range c.hooks {
		if hooks.Wait == nil {
			continue
		}
		var end func(WaitReport)
		if ctx, end = hooks.Wait(ctx, operation, id); end != nil {
			seen.ends = append(seen.ends, end)
		}
	}
	seen.ctx = ctx
	return ctx, seen
}

// asks counts a poll.
func (o *waitObservation) asks() {
	if o != nil {
		o.polls.Add(1)
	}
}

// poll asks for the status of a command, for a wait that has its own limiter.
func (o *waitObservation) poll(ctx context.Context, c *Client, commandID string) (*CommandResult, time.Duration, error) {
	if o == nil {
		return c.requestStatus(withoutCapture(ctx), commandID, params{noRetry: true})
	}
	o.asks()
	ctx = withValues(ctx, o.ctx)
	result, after, err := c.requestStatus(ctx, commandID, params{noRetry: true})
	o.polled.Store(result)
	return result, after, err
}

// takes notes where a result came from that the wait takes in.
func (o *waitObservation) takes(r *CommandResult) {
	if o != nil {
		o.pushed = r != o.polled.Load()
	}
}

// endCommand tells the hooks that the wait for a command has ended, with its outcome
// if there is one.
func (o *waitObservation) endCommand(outcome *CommandResult, err error) {
	switch {
	case o == nil:
	case outcome == nil:
		o.end("", false, err)
	default:
		o.end(outcome.Status, o.pushed, err)
	}
}

// end tells the hooks that the wait has ended.
func (o *waitObservation) end(status CommandStatus, pushed bool, err error) {
	if o == nil {
		return
	}
	report := WaitReport{Status: status, Pushed: pushed, Polls: int(o.polls.Load()), Duration: time.Since(o.began), Err: err}
	for _, end := range o.ends {
		end(report)
	}
}

// contextWithValues ends with its Context and has the values of another one. WaitAll
// asks for many commands in one context, and each has its own values.
type contextWithValues struct {
	context.Context
	values context.Context
}

// withValues returns a context that ends with ctx and has the values of another one.
// Nothing captures its answers.
func withValues(ctx, values context.Context) context.Context {
	return contextWithValues{ctx, withoutCapture(values)}
}

// Value returns what the other context has.
func (ctx contextWithValues) Value(key any) any { return ctx.values.Value(key) }

package transport

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// call is the state of one call or one stream. It travels in the context of
// its requests.
type call struct {
	*Request
	t        *Transport
	ctx      context.Context // of the caller
	path     string
	started  time.Time // zero if nobody reads the log
	attempts int
	answer   *Response
	retry    retry
	hop      hop
}

type callKey struct{}

// callOf returns the call that ctx belongs to, or nil.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// newCall returns the state of a call, and the context for its requests.
func (t *Transport) newCall(ctx context.Context, r *Request) (*call, context.Context) {
	c := &call{Request: r, t: t, ctx: ctx}
	if t.logger.Enabled(ctx, slog.LevelDebug) {
		c.started = time.Now()
	}
	c.hop.direct = t.trips.direct()
	c.hop.trace.GetConn = c.hop.getConn
	c.hop.trace.GotConn = c.hop.gotConn
	ctx = context.WithValue(ctx, callKey{}, c)
	return c, httptrace.WithClientTrace(ctx, &c.hop.trace)
}

// Do sends r and returns the answer, whatever its status. It waits for the
// answer, and sends r again where that is safe. Errors are of type *Error.
func (t *Transport) Do(ctx context.Context, r *Request) (*Response, error) {
	c, ctx := t.newCall(ctx, r)
	err := c.send(ctx)
	if err != nil {
		ambiguous := c.attempts > 0 && !r.Idempotent && !c.retry.pausing && !c.hop.unsent(err)
		err = c.fail(err, ambiguous)
		c.log(0, 0, err)
		return nil, err
	}
	c.answer.Attempts = c.attempts
	c.log(c.answer.StatusCode, int64(len(c.answer.Body)), nil)
	return c.answer, nil
}

// send sends the call and stores the answer in c.
func (c *call) send(ctx context.Context) error {
	if err := c.ended(); err != nil {
		return err
	}
	var body any // a nil interface, so that net/http knows there is nothing to send
	if len(c.Body) > 0 {
		body = c.Body
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, c.Method, c.URL, body)
	if err != nil {
		return withoutMalformedURL(err)
	}
	c.prepare(req.Request)
	if c.singleUse() {
		if err := req.SetBody(newEmptyBody); err != nil {
			return err
		}
		req.GetBody = c.hop.bodyAnew
	}
	// The answer is read inside the loop, so that a read whose answer breaks off
	// is sent again too.
	req.SetResponseHandler(c.read)
	c.attempts = 1
	_, err = c.t.retrying.Do(req) // read closes the body
	return err
}

// ended returns the error of the scope or the context if one of them has ended.
func (c *call) ended() error {
	if err := c.scopeErr(); err != nil {
		return err
	}
	return c.ctx.Err()
}

func (c *call) scopeErr() error {
	if c.Scope == nil {
		return nil
	}
	return c.Scope.Err()
}

// singleUse reports whether the request is a GET that must not be sent twice.
// net/http may do that by itself.
func (c *call) singleUse() bool { return c.Method == http.MethodGet && !c.Idempotent }

// prepare gives req its header for one attempt.
func (c *call) prepare(req *http.Request) {
	c.path = req.URL.Path
	if c.Header == nil {
		return
	}
	req.Header = c.Header
	if c.t.client.Jar != nil {
		req.Header = c.Header.Clone() // http.Client adds cookies to it
	}
}

// read reads an answer after which the call is not sent again.
func (c *call) read(resp *http.Response) (err error) {
	c.answer, err = read(resp, c.Suffices)
	return err
}

// fail returns the Error for a call that ended with err.
func (c *call) fail(err error, ambiguous bool) *Error {
	ended := c.scopeErr()
	if ended != nil && (errors.Is(err, ended) || errors.Is(context.Cause(c.ctx), ended)) {
		err = ended
	} else {
		err = explain(c.ctx, err)
	}
	return &Error{Err: c.redact(err), Ambiguous: ambiguous, Attempts: c.attempts}
}

func newEmptyBody() (io.Reader, error) { return emptyBody{}, nil }

// withoutMalformedURL keeps what cannot be parsed out of the error.
func withoutMalformedURL(err error) error {
	if _, ok := errors.AsType[*url.Error](err); ok {
		return errMalformedURL
	}
	return err
}

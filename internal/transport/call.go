package transport

import (
	"bytes"
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
	found    requestContext  // ctx, in which callOf finds the call
	traced   context.Context // found, with the trace
	path     string
	started  time.Time // zero if nobody reads the log
	attempts int
	retrying retryablehttp.Request
	body     bytes.Reader // of the first attempt
	answer   Response
	answered bool // answer was read
	retry    retry
	retries  []Retry // so far, for Report
	hop      hop
	watchdog watchdog
}

// requestContext is the context of a call's requests, in which callOf finds the
// call.
type requestContext struct {
	context.Context
	call *call
}

type callKey struct{}

// Value returns the call for callKey, and otherwise what the caller's context has.
func (ctx *requestContext) Value(key any) any {
	if key == (callKey{}) {
		return ctx.call
	}
	return ctx.Context.Value(key)
}

// callOf returns the call that ctx belongs to, or nil.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// newCall returns the state of a call, and the context for its requests. The caller
// stops the watchdog when the call has ended.
func (t *Transport) newCall(ctx context.Context, r *Request) (*call, context.Context) {
	c := &call{Request: r, t: t, ctx: ctx}
	if t.logger.Enabled(ctx, slog.LevelDebug) {
		c.started = time.Now()
	}
	c.hop.direct = t.trips.direct()
	c.hop.trace.GetConn = c.hop.getConn
	c.hop.trace.GotConn = c.gotConn
	c.found = requestContext{ctx, c}
	c.traced = httptrace.WithClientTrace(&c.found, &c.hop.trace)
	c.watchdog.limit = max(t.trips.stall, 0)
	return c, c.guarded()
}

// guarded returns a context for requests that ends if they stall.
func (c *call) guarded() context.Context {
	if c.watchdog.limit == 0 {
		return c.traced
	}
	return c.watchdog.guard(c.traced)
}

// gotConn is called when a request gets its connection.
func (c *call) gotConn(info httptrace.GotConnInfo) {
	c.hop.gotConn(info)
	if c.watchdog.limit > 0 {
		c.watchdog.touch() // the handshake moved bytes
	}
}

// Do sends r and returns the answer, whatever its status. It waits for the
// answer, and sends r again where that is safe. Errors are of type *Error.
func (t *Transport) Do(ctx context.Context, r *Request) (*Response, error) {
	c, ctx := t.newCall(ctx, r)
	defer c.watchdog.stop(&t.trips.alarms)
	err := c.send(ctx)
	if err != nil {
		ambiguous := c.attempts > 0 && !r.Idempotent && !c.retry.pausing && !c.hop.unsent(err)
		err = c.fail(err, ambiguous)
		c.done(0, 0, err)
		return nil, err
	}
	c.answer.Attempts = c.attempts
	c.done(c.answer.StatusCode, int64(len(c.answer.Body)), nil)
	return &c.answer, nil
}

// send sends the call and stores the answer in c.
func (c *call) send(ctx context.Context) error {
	if err := c.ended(); err != nil {
		return err
	}
	req, err := c.newRequest(ctx)
	if err != nil {
		return err
	}
	c.prepare(req)
	c.body.Reset(c.Body)
	c.setBody(req, &c.body)
	// go-retryablehttp is not given the body, because it would make a reader for
	// it and a function that makes readers. prepareRetry sets the body anew.
	c.retrying.Request = req
	// The answer is read inside the loop, so that a read whose answer breaks off
	// is sent again too.
	c.retrying.SetResponseHandler(c.read)
	c.attempts = 1
	_, err = c.t.retrying.Do(&c.retrying) // read closes the body
	return err
}

// newRequest returns a request with neither header nor body.
func (c *call) newRequest(ctx context.Context) (*http.Request, error) {
	if c.Parsed == nil {
		req, err := http.NewRequestWithContext(ctx, c.Method, c.URL, nil)
		return req, withoutMalformedURL(err)
	}
	req := http.Request{
		Method: c.Method, URL: c.Parsed, Host: c.Parsed.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	return req.WithContext(ctx), nil
}

// setBody gives req the body of the call. first reads the body and is not in use.
func (c *call) setBody(req *http.Request, first *bytes.Reader) {
	switch {
	case len(c.Body) > 0:
		req.ContentLength = int64(len(c.Body))
		req.Body = io.NopCloser(first)
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(c.Body)), nil }
	case c.singleUse():
		req.Body, req.GetBody = emptyBody{}, c.hop.bodyAnew
	}
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

// prepare gives req its header.
func (c *call) prepare(req *http.Request) {
	c.path = req.URL.Path
	switch {
	case c.Header == nil:
		req.Header = make(http.Header)
	case c.t.client.Jar != nil:
		req.Header = c.Header.Clone() // http.Client adds cookies to it
	default:
		req.Header = c.Header
	}
}

// read reads an answer after which the call is not sent again.
func (c *call) read(resp *http.Response) (err error) {
	c.answer, err = read(resp, c.Suffices)
	c.answered = err == nil
	return err
}

// fail returns the Error for a call that ended with err.
func (c *call) fail(err error, ambiguous bool) *Error {
	c.checkTimeout(err)
	ended := c.scopeErr()
	if ended != nil && (errors.Is(err, ended) || errors.Is(context.Cause(c.ctx), ended)) {
		err = ended
	} else {
		err = explain(c.ctx, err)
	}
	return &Error{Err: c.redact(err), Ambiguous: ambiguous, Attempts: c.attempts}
}

// checkTimeout tells the roundTripper of a timeout over HTTP/2.
func (c *call) checkTimeout(err error) {
	if err != nil && c.hop.http2.Load() && isTimeout(err) {
		c.t.trips.timedOut()
	}
}

// withoutMalformedURL keeps what cannot be parsed out of the error.
func withoutMalformedURL(err error) error {
	if _, ok := errors.AsType[*url.Error](err); ok {
		return errMalformedURL
	}
	return err
}

// Package transport sends one HTTP call to the API and reads its answer. It
// repeats what is safe to repeat, follows no redirect that would carry a
// secret elsewhere, and bounds what it reads. What an answer means is the
// caller's business.
package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// MaxAnswer bounds the body of an answer, in bytes.
const MaxAnswer = 16 << 20

// maxHint bounds the memory that is taken on the word of a Content-Length.
const maxHint = 1 << 20

// ErrTooLarge means that an answer is longer than MaxAnswer.
var ErrTooLarge = fmt.Errorf("answer is larger than %d MiB", MaxAnswer>>20)

// Transport is safe for concurrent use.
type Transport struct {
	client     *http.Client
	owned      *http.Transport // nil when the pool is the user's
	maxRetries int
	logger     *slog.Logger
}

// New returns a Transport over client, which is copied and never changed. A nil
// client means a connection pool of the Transport's own.
func New(client *http.Client, maxRetries int, logger *slog.Logger) *Transport {
	t := &Transport{maxRetries: maxRetries, logger: logger}
	if client == nil {
		t.owned = newPool()
		client = &http.Client{Transport: t.owned}
	}
	t.client = confine(client)
	return t
}

// newPool is net/http's default pool, changed where a client that talks to one
// host from many goroutines would suffer from it.
func newPool() *http.Transport {
	pool := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if def, ok := http.DefaultTransport.(*http.Transport); ok {
		pool = def.Clone()
	}
	pool.MaxIdleConnsPerHost = 64
	pool.ResponseHeaderTimeout = time.Minute
	return pool
}

// HTTPClient is the confined client itself, for connections that are no API
// calls: file servers and the WebSocket handshake.
func (t *Transport) HTTPClient() *http.Client { return t.client }

// CloseIdle closes idle connections, unless they are in the user's pool.
func (t *Transport) CloseIdle() {
	if t.owned != nil {
		t.owned.CloseIdleConnections()
	}
}

// Request is one call.
type Request struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte
	Repeat bool // sending it twice does no harm
	Once   bool // never repeat: the caller has a pace of its own
}

// Response is an answer, read to its end.
type Response struct {
	StatusCode int
	Header     http.Header
	Body       []byte
}

// Error is a call without a usable answer.
type Error struct {
	Err error
	// Ambiguous tells that the server may have carried out a call that must
	// not be repeated blindly.
	Ambiguous bool
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Do sends r and reads the answer, whatever its status. Errors are of type
// *Error.
func (t *Transport) Do(ctx context.Context, r *Request) (*Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, &Error{Err: err}
	}
	var body any // a nil interface, so that net/http knows there is nothing to send
	if len(r.Body) > 0 {
		body = r.Body
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, r.Method, r.URL, body)
	if err != nil {
		return nil, &Error{Err: withoutURL(err)}
	}
	req.Header = r.Header
	if !r.Repeat && r.Method == http.MethodGet {
		// net/http sends a GET again by itself when a used connection breaks,
		// unless there is a body that it cannot get anew.
		if err := req.SetBody(func() (io.Reader, error) { return strings.NewReader(""), nil }); err != nil {
			return nil, &Error{Err: err}
		}
		req.GetBody = nil
	}

	// The policy has to know the call, so it, and the thin client around it,
	// are made for each.
	policy := policy{repeat: r.Repeat, left: t.maxRetries}
	if r.Once {
		policy.left = 0
	}
	client := retryablehttp.Client{
		HTTPClient:   t.client,
		RetryMax:     policy.left,
		CheckRetry:   policy.check,
		Backoff:      policy.backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	started := time.Now()
	resp, err := client.Do(req)
	var answer *Response
	if err == nil {
		answer, err = read(resp, r.Method)
	}
	// net/http reports the cause of a context in place of its error.
	if ended := ctx.Err(); err != nil && ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, withoutURL(err))
	}
	t.log(ctx, r, req.URL.Path, answer, err, policy.sent, started)
	if err != nil {
		return nil, &Error{Err: withoutURL(err), Ambiguous: !r.Repeat && !policy.pausing && !neverSent(err)}
	}
	return answer, nil
}

func read(resp *http.Response, method string) (*Response, error) {
	defer resp.Body.Close()
	answer := &Response{StatusCode: resp.StatusCode, Header: resp.Header}
	if method == http.MethodHead || resp.StatusCode == http.StatusSwitchingProtocols {
		// The length is not that of a body, or the body is the connection.
		return answer, nil
	}
	if resp.ContentLength > MaxAnswer {
		return nil, ErrTooLarge
	}
	// The length is a hint only: a RoundTripper that unpacks the body may have
	// left it as it was.
	var body bytes.Buffer
	if resp.ContentLength > 0 {
		body.Grow(int(min(resp.ContentLength, maxHint)) + bytes.MinRead)
	}
	if _, err := body.ReadFrom(io.LimitReader(resp.Body, MaxAnswer+1)); err != nil {
		return nil, err
	}
	if body.Len() > MaxAnswer {
		return nil, ErrTooLarge
	}
	answer.Body = body.Bytes()
	return answer, nil
}

// log keeps to the path: queries and bodies hold secrets.
func (t *Transport) log(ctx context.Context, r *Request, path string, answer *Response, err error, sent int, started time.Time) {
	if !t.logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", r.Method), slog.String("path", path),
		slog.Int("attempts", sent), slog.Duration("took", time.Since(started)),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", withoutURL(err).Error()))
	} else {
		attrs = append(attrs, slog.Int("status", answer.StatusCode))
	}
	t.logger.LogAttrs(ctx, slog.LevelDebug, "privicore: call", attrs...)
}

// withoutURL takes the URL out of an error of net/http: it may hold a token.
func withoutURL(err error) error {
	outer, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err
	}
	inner := outer.Err
	for e, ok := errors.AsType[*url.Error](inner); ok; e, ok = errors.AsType[*url.Error](inner) {
		inner = e.Err // a RoundTripper that is a client itself
	}
	if errors.Is(inner, context.DeadlineExceeded) || !outer.Timeout() {
		return inner
	}
	return fmt.Errorf("timeout: %w", inner)
}

// neverSent tells that no byte of the call can have reached the server.
func neverSent(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "dial" || op.Op == "proxyconnect") {
		return true
	}
	return untrusted(err)
}

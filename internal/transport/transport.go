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
	// net/http copies a body in pieces of 32 KiB, and a smaller buffer makes
	// several writes of each.
	pool.WriteBufferSize = 64 << 10
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
	// Suffices names a header that makes the body of a success dispensable.
	Suffices string
	// Redact takes secrets out of the text of an error: net/http quotes what
	// it cannot read. Nil means that there are none.
	Redact func(string) string
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

	text string // of Err, redacted
}

func (e *Error) Error() string { return e.text }
func (e *Error) Unwrap() error { return e.Err }

// failed makes an Error of what net/http returned.
func (r *Request) failed(err error, ambiguous bool) *Error {
	e := &Error{Err: withoutURL(err), Ambiguous: ambiguous}
	e.text = e.Err.Error()
	if r.Redact != nil {
		if clean := r.Redact(e.text); clean != e.text {
			e.text, e.Err = clean, errors.New(clean) // the chain would show it
		}
	}
	return e
}

// Do sends r and reads the answer, whatever its status. Errors are of type
// *Error.
func (t *Transport) Do(ctx context.Context, r *Request) (*Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, r.failed(err, false)
	}
	var body any // a nil interface, so that net/http knows there is nothing to send
	if len(r.Body) > 0 {
		body = r.Body
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, r.Method, r.URL, body)
	if err != nil {
		return nil, r.failed(err, false)
	}
	req.Header = r.Header
	if !r.Repeat && r.Method == http.MethodGet {
		// net/http sends a GET again by itself when a used connection breaks,
		// unless there is a body that it cannot get anew.
		if err := req.SetBody(func() (io.Reader, error) { return strings.NewReader(""), nil }); err != nil {
			return nil, r.failed(err, false)
		}
		req.GetBody = nil
	}

	// The policy has to know the call, so it, and the thin client around it,
	// are made for each.
	policy := policy{repeat: r.Repeat}
	client := retryablehttp.Client{
		HTTPClient:   t.client,
		CheckRetry:   policy.check,
		Backoff:      policy.backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	if !r.Once {
		client.RetryMax = t.maxRetries
	}
	// The answer is read inside the loop, so that a read whose answer breaks
	// off is repeated too. A failure that is not repeated any more has not been
	// read there.
	var answer *Response
	req.SetResponseHandler(func(resp *http.Response) (err error) {
		answer, err = read(resp, r.Suffices)
		return err
	})
	started := time.Now()
	resp, err := client.Do(req)
	if err == nil && answer == nil {
		answer, err = read(resp, r.Suffices)
	}
	// net/http reports the cause of a context in place of its error.
	if ended := ctx.Err(); err != nil && ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, withoutURL(err))
	}
	if err != nil {
		err = r.failed(err, !r.Repeat && !policy.pausing && !neverSent(err))
	}
	t.log(ctx, r, req.URL.Path, answer, err, policy.failed+1, started)
	return answer, err
}

// read returns the answer, and no answer with an error. What is missing of a
// body does not matter where status or header say enough.
func read(resp *http.Response, suffices string) (*Response, error) {
	defer resp.Body.Close()
	answer := &Response{StatusCode: resp.StatusCode, Header: resp.Header}
	if resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols {
		// There is none, whatever the length says, or it is the connection.
		return answer, nil
	}
	enough := resp.StatusCode >= 400 || suffices != "" && resp.Header.Get(suffices) != ""
	if resp.ContentLength > MaxAnswer && !enough {
		return nil, ErrTooLarge
	}
	// Else the length is a hint only: a RoundTripper that unpacks the body may have
	// left it as it was.
	var body bytes.Buffer
	if resp.ContentLength > 0 {
		body.Grow(int(min(resp.ContentLength, maxHint)) + bytes.MinRead)
	}
	_, err := body.ReadFrom(io.LimitReader(resp.Body, MaxAnswer+1))
	if err == nil && body.Len() > MaxAnswer {
		err = ErrTooLarge
	}
	if err != nil && !enough {
		return nil, err
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
		attrs = append(attrs, slog.String("error", err.Error()))
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

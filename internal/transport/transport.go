// Package transport sends one HTTP call, or one stream, and reads its answer.
//
// Do sends a call whose answer fits in memory. It sends the call again where
// that is safe and may help. Upload and Download carry bodies of any size and
// send once. All three stay at the origin they were given, bound what they read
// and the time without a byte, and report failures as an *Error, whose text and
// chain hold no secret.
//
// The package knows nothing of operations, tokens or files. What an answer
// means is the caller's business.
package transport

import (
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/privicore/privicore-go/internal/lifecycle"
)

// Config holds what New needs. Its zero value is a Transport that never sends
// a call again.
type Config struct {
	// Client sends the requests. It is copied and never changed. Nil means a
	// connection pool that belongs to the Transport, unless the program has put
	// something other than an *http.Transport in http.DefaultTransport: then
	// that is used.
	Client *http.Client
	// MaxRetries bounds how often a call is sent again.
	MaxRetries int
	// MaxPause bounds the pauses of one call together. Zero means no bound.
	MaxPause time.Duration
	// StallTimeout bounds the time without a byte in either direction. Zero
	// turns it off.
	StallTimeout time.Duration
	// Logger gets one line for each call, stream and pause, at Debug. Nil means
	// that nothing is logged.
	Logger *slog.Logger
}

// A Transport sends calls and streams. It is safe for concurrent use. Make one
// with New.
type Transport struct {
	client     *http.Client
	retrying   *retryablehttp.Client // around client
	owned      *http.Transport       // nil if the pool belongs to somebody else
	trips      *roundTripper         // of client
	maxRetries int
	maxPause   time.Duration
	logger     *slog.Logger
}

// New returns a Transport.
func New(cfg Config) *Transport { return build(cfg, nil) }

// With returns a Transport for another configuration. It sends over the pool of
// t, unless cfg has a Client.
func (t *Transport) With(cfg Config) *Transport { return build(cfg, t.owned) }

// build returns a Transport over cfg.Client, or over pool, or over a new pool.
func build(cfg Config, pool *http.Transport) *Transport {
	t := &Transport{maxRetries: cfg.MaxRetries, maxPause: cfg.MaxPause, logger: cfg.Logger}
	if t.logger == nil {
		t.logger = slog.New(slog.DiscardHandler)
	}
	client := cfg.Client
	if client == nil {
		client = new(http.Client)
		if _, ok := http.DefaultTransport.(*http.Transport); ok && pool == nil {
			pool = NewPool()
		}
		if pool != nil {
			t.owned, client.Transport = pool, pool
		}
	}
	t.trips = newRoundTripper(client.Transport, cfg.StallTimeout)
	t.client = confine(client, t.trips)
	t.retrying = &retryablehttp.Client{
		HTTPClient:   t.client,
		RetryMax:     max(cfg.MaxRetries, 0),
		CheckRetry:   checkRetry,
		Backoff:      noBackoff,
		PrepareRetry: prepareRetry,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return t
}

// HTTPClient returns the client that sends the requests, for the handshake of
// a WebSocket. It follows no redirect to another origin.
func (t *Transport) HTTPClient() *http.Client { return t.client }

// CloseIdle closes idle connections if the pool belongs to the Transport.
func (t *Transport) CloseIdle() {
	if t.owned != nil {
		t.owned.CloseIdleConnections()
	}
}

// Request is one call or one stream.
type Request struct {
	Method string
	URL    string
	// Parsed takes the place of URL, for a caller that does not parse it for each
	// call. It is read, never changed.
	Parsed *url.URL
	Header http.Header // read, never changed
	Body   []byte      // of a call
	// Operation names the request in logs.
	Operation string
	// Idempotent means that sending it twice does no harm.
	Idempotent bool
	// NoRetry means that it is never sent again, because the caller does that.
	NoRetry bool
	// Suffices names a header. If a success has it, its body may break off.
	Suffices string
	// Redact takes secrets out of a text. It is applied to errors and to the
	// path in logs. Nil means that there are none.
	Redact func(string) string
	// Scope ends pauses and streams. The error is then its Err. It may be nil.
	Scope *lifecycle.Scope
	// Report is called once, when the call or the stream has ended. The stream of a
	// Download ends when its Body does, or when that is closed. It may be nil.
	Report func(Report)
}

// Report is what became of a call or a stream.
type Report struct {
	Attempts       int     // how often it was sent
	Retries        []Retry // why it was sent again
	StatusCode     int     // of the last answer, or 0
	Sent, Received int64   // bytes of the bodies of the last attempt
	Err            error   // an *Error, or nil if there is an answer
}

// Retry is why a call was sent again, and after which pause.
type Retry struct {
	StatusCode int   // of the answer before, or 0
	Err        error // why there was none, without secrets, or nil
	Pause      time.Duration
}

// Response is an answer that was read to its end.
type Response struct {
	StatusCode int
	Header     http.Header
	Body       []byte
	Attempts   int // how often the request was sent
}

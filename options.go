package privicore

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/transport"
)

// DefaultBaseURL is the address of the vendor's sandbox. A client without
// WithBaseURL talks to it.
const DefaultBaseURL = "https://sandbox.privicore.com:9009"

// An Option configures a Client. NewClient and Clone apply options in their
// order.
type Option func(*config) error

type config struct {
	baseURL      string
	wsURL        string
	uploadURL    string
	insecure     bool
	auth         auth
	tokenCache   TokenCache
	httpClient   *http.Client
	userAgent    string
	logger       *slog.Logger
	maxRetries   int
	maxPause     time.Duration
	stallTimeout time.Duration
	pollRate     float64 // polls a second
	fallbackPoll time.Duration
	maxOutage    time.Duration
	keepAcks     int
	keepFor      time.Duration
	hooks        []Hooks
}

// auth is where tokens come from.
type auth struct {
	token    *AuthorizationToken
	source   TokenSource
	username string
	password Secret
}

// The defaults.
const (
	defaultMaxRetries   = 3
	defaultMaxPause     = time.Minute
	defaultStallTimeout = time.Minute
	defaultPollRate     = 10
	defaultFallbackPoll = 30 * time.Second
	defaultMaxOutage    = 3 * time.Minute
	defaultKeepAcks     = 10_000
	defaultKeepFor      = 5 * time.Minute
)

func defaultConfig() config {
	return config{
		baseURL:      DefaultBaseURL,
		userAgent:    userAgent,
		logger:       slog.New(slog.DiscardHandler),
		maxRetries:   defaultMaxRetries,
		maxPause:     defaultMaxPause,
		stallTimeout: defaultStallTimeout,
		pollRate:     defaultPollRate,
		fallbackPoll: defaultFallbackPoll,
		maxOutage:    defaultMaxOutage,
		keepAcks:     defaultKeepAcks,
		keepFor:      defaultKeepFor,
	}
}

// transport returns the part of the configuration that is about sending. Clients
// with the same one share a transport.
func (c *config) transport() transport.Config {
	return transport.Config{
		Client:       c.httpClient,
		MaxRetries:   c.maxRetries,
		MaxPause:     c.maxPause,
		StallTimeout: c.stallTimeout,
		Logger:       c.logger,
	}
}

func (c *config) apply(opts []Option) error {
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(c); err != nil {
			return err
		}
	}
	return nil
}

func badOption(option, reason string) error {
	return &ValidationError{Operation: "NewClient", Field: option, Reason: reason}
}

// WithBaseURL sets the address of the server, for example
// "https://stage.privicore.com:9009". If the address has a path, the paths of all
// calls begin with it. NewClient refuses an address without scheme or host, and one
// with a user, a query or a fragment. It refuses plain http to another machine
// unless WithInsecureHTTP is given.
func WithBaseURL(url string) Option {
	return func(c *config) error { c.baseURL = strings.TrimRight(url, "/"); return nil }
}

// WithWebSocketURL sets the address of the WebSocket proxy, a ws or wss URL. The
// proxy is a separate server, so its address does not follow from the base URL.
// Without this option the client learns outcomes only by polling, and cannot
// retrieve data.
func WithWebSocketURL(url string) Option {
	return func(c *config) error { c.wsURL = url; return nil }
}

// WithUploadURL sets the address of the server to which payloads are streamed. It
// is needed only if Privicore answers with an upload token instead of an address.
func WithUploadURL(url string) Option {
	return func(c *config) error { c.uploadURL = url; return nil }
}

// WithToken sets the authorization token. When it has expired, calls fail with
// ErrUnauthorized, unless there are credentials or a TokenSource as well.
func WithToken(token string) Option {
	return func(c *config) error {
		if problem := tokenProblem(token); problem != "" {
			return badOption("token", problem)
		}
		c.auth.token = &AuthorizationToken{Token: NewSecret(token)}
		return nil
	}
}

// WithCredentials makes the client authenticate by itself: before the first call
// that needs a token, ahead of the token's expiry, and when the server refuses the
// token. It replaces an earlier WithTokenSource.
func WithCredentials(username, password string) Option {
	return func(c *config) error {
		switch {
		case username == "":
			return badOption("username", "is empty")
		case password == "":
			return badOption("password", "is empty")
		}
		c.auth.username, c.auth.password, c.auth.source = username, NewSecret(password), nil
		return nil
	}
}

// WithTokenSource makes the client take its tokens from source. It replaces
// earlier WithCredentials.
func WithTokenSource(source TokenSource) Option {
	return func(c *config) error {
		if source == nil {
			return badOption("token source", "is nil")
		}
		c.auth.source, c.auth.username, c.auth.password = source, "", Secret{}
		return nil
	}
}

// WithTokenCache makes the client share the tokens of its credentials with other
// clients and other processes that use the same cache, so that they authenticate once
// for all. Tokens are shared only between clients with the same base URL, username and
// password. FileTokenCache is a cache in a file.
//
// A token from the cache is used until it is about to expire or is refused. If the
// cache fails, or another process holds it for more than 15 seconds, the client logs
// that with level Warn and authenticates for itself.
// Close leaves the token good, for the next process. Profile.RevokeToken revokes it and
// takes it out of the cache.
//
// The option has no effect on WithToken and WithTokenSource.
// OAuthService.CachedTokenSource is a TokenSource with a cache.
func WithTokenCache(cache TokenCache) Option {
	return func(c *config) error {
		if cache == nil {
			return badOption("token cache", "is nil")
		}
		c.tokenCache = cache
		return nil
	}
}

// WithHTTPClient makes the client send through hc: its transport, timeout,
// cookies and redirect policy. hc is copied and never changed. Redirects to
// another server are not followed, whatever hc says. NewTransport returns the
// transport that is used otherwise, for programs that change only a part of it.
//
// hc.Timeout bounds uploads and downloads as a whole, and ends them while data
// still flows. Leave it zero if payloads are large: WithStallTimeout ends what
// hangs.
func WithHTTPClient(hc *http.Client) Option {
	return func(c *config) error {
		if hc == nil {
			return badOption("HTTP client", "is nil")
		}
		c.httpClient = hc
		return nil
	}
}

// WithApplication names the program in the User-Agent header, in front of the
// name of this package. The version may be empty.
func WithApplication(name, version string) Option {
	return func(c *config) error {
		product := name
		if version != "" {
			product += "/" + version
		}
		notVisible := func(r rune) bool { return r <= ' ' || r >= 0x7f }
		if name == "" || strings.ContainsFunc(product, notVisible) {
			return badOption("application", "has an empty name, a space, or characters that a header cannot carry")
		}
		c.userAgent = product + " " + userAgent
		return nil
	}
}

// WithLogger sets where the client logs. Calls, pauses, outcomes and the handshake
// have level Debug. The loss of the WebSocket channel has level Warn, and its
// return level Info. Without this option nothing is logged.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) error {
		if logger == nil {
			return badOption("logger", "is nil")
		}
		c.logger = logger
		return nil
	}
}

// WithHooks makes the client call hooks around what it does. If the option is given
// more than once, all hooks are called, the first ones first.
func WithHooks(hooks Hooks) Option {
	return func(c *config) error {
		c.hooks = append(slices.Clip(c.hooks), hooks)
		return nil
	}
}

// WithInsecureHTTP allows http and ws URLs to other machines. Anyone on the way
// can then read tokens and passwords.
func WithInsecureHTTP() Option {
	return func(c *config) error { c.insecure = true; return nil }
}

// WithStallTimeout sets the longest time without a byte in either direction, for
// calls, uploads, downloads and the fetching of tokens. The default is a minute; 0
// turns it off. A slow transfer is not ended as long as bytes come or go. Time in
// which the program itself does not read or write does not count.
//
// http.Client.Timeout is different: it bounds a whole exchange, and ends a download
// while data still flows.
func WithStallTimeout(d time.Duration) Option {
	return func(c *config) error {
		if d < 0 {
			return badOption("stall timeout", "is negative")
		}
		c.stallTimeout = d
		return nil
	}
}

// WithMaxRetries sets how often a call is sent again where that is safe. The
// default is 3, with pauses of about 0.2, 0.4 and 0.8 seconds; 0 turns it off. Even
// then net/http sends a read again if the server had just closed the connection.
func WithMaxRetries(n int) Option {
	return func(c *config) error {
		if n < 0 {
			return badOption("max retries", "is negative")
		}
		c.maxRetries = n
		return nil
	}
}

// WithMaxPause sets how long one call may pause in all before it is sent again. The
// default is a minute. A single pause lasts at most 30 seconds. If the server asks
// for a longer pause than allowed, the call returns the server's answer at once,
// such as ErrRateLimited. 0 means that only the single pause is bounded.
func WithMaxPause(d time.Duration) Option {
	return func(c *config) error {
		if d < 0 {
			return badOption("max pause", "is negative")
		}
		c.maxPause = d
		return nil
	}
}

// WithPollRate sets how many polls a second all waits of the client together may
// send. The default is 10.
func WithPollRate(perSecond float64) Option {
	return func(c *config) error {
		if !(perSecond > 0) {
			return badOption("poll rate", "is not positive")
		}
		c.pollRate = perSecond
		return nil
	}
}

// WithFallbackPoll sets about how long a wait waits for the WebSocket channel to
// bring the outcome before it polls, in case the outcome was lost. The default is
// 30 seconds. Later pauses of the same wait grow to four times that.
func WithFallbackPoll(after time.Duration) Option {
	return func(c *config) error {
		if after <= 0 {
			return badOption("fallback poll", "is not positive")
		}
		c.fallbackPoll = after
		return nil
	}
}

// WithMaxOutage sets how long a wait goes on while the server fails or cannot be
// reached. The default is 3 minutes. A wait ends only after that time and after 10
// failed polls in a row. It does not end while the WebSocket channel is joined.
func WithMaxOutage(d time.Duration) Option {
	return func(c *config) error {
		if d <= 0 {
			return badOption("max outage", "is not positive")
		}
		c.maxOutage = d
		return nil
	}
}

// WithOutcomeBuffer sets how many outcomes are buffered, and for how long, if they
// come over the WebSocket channel before anyone waits for them. The default is
// 10,000 outcomes for 5 minutes. Together they take at most 64 MiB. The oldest are
// dropped first. A wait for an outcome that was dropped asks the server.
func WithOutcomeBuffer(n int, age time.Duration) Option {
	return func(c *config) error {
		if n < 1 || age <= 0 {
			return badOption("outcome buffer", "is not positive")
		}
		c.keepAcks, c.keepFor = n, age
		return nil
	}
}

// NewTransport returns a new transport with the settings that a Client uses by
// default: those of http.DefaultTransport, but with more idle connections, larger
// write buffers, and pings that find dead HTTP/2 connections. A program can change
// it, for example for a private CA, a proxy or client certificates, and give it to
// WithHTTPClient:
//
//	t := privicore.NewTransport()
//	t.TLSClientConfig = &tls.Config{RootCAs: pool}
//	client, err := privicore.NewClient(privicore.WithHTTPClient(&http.Client{Transport: t}))
//
// Client.Close does not close the idle connections of this transport.
func NewTransport() *http.Transport { return transport.NewPool() }

// FromEnv reads environment variables that have the effect of options:
// PRIVICORE_API_URL of WithBaseURL, PRIVICORE_WS_URL of WithWebSocketURL,
// PRIVICORE_USERNAME and PRIVICORE_PASSWORD of WithCredentials, and
// PRIVICORE_TOKEN of WithToken. A variable that is not set has no effect. Options
// after FromEnv override it.
func FromEnv() Option {
	return func(c *config) error {
		var opts []Option
		if v := os.Getenv("PRIVICORE_API_URL"); v != "" {
			opts = append(opts, WithBaseURL(v))
		}
		if v := os.Getenv("PRIVICORE_WS_URL"); v != "" {
			opts = append(opts, WithWebSocketURL(v))
		}
		username, password := os.Getenv("PRIVICORE_USERNAME"), os.Getenv("PRIVICORE_PASSWORD")
		switch {
		case username != "" && password == "":
			return badOption("PRIVICORE_PASSWORD", "is not set, PRIVICORE_USERNAME is")
		case username == "" && password != "":
			return badOption("PRIVICORE_USERNAME", "is not set, PRIVICORE_PASSWORD is")
		case username != "":
			opts = append(opts, WithCredentials(username, password))
		}
		if v := os.Getenv("PRIVICORE_TOKEN"); v != "" {
			opts = append(opts, WithToken(v))
		}
		return c.apply(opts)
	}
}

// checkURLs checks the URLs once all options are known.
func (c *config) checkURLs() error {
	if err := c.checkURL("base URL", c.baseURL, "https", "http"); err != nil {
		return err
	}
	if c.uploadURL != "" {
		if err := c.checkURL("upload URL", c.uploadURL, "https", "http"); err != nil {
			return err
		}
	}
	if c.wsURL == "" {
		return nil
	}
	return c.checkURL("WebSocket URL", c.wsURL, "wss", "ws")
}

// fileURLProblem returns what is wrong with the address of a file server, or "".
// Payloads need the same protection as calls.
func (c *config) fileURLProblem(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return "is not an http or https URL"
	case u.Scheme == "http" && !c.insecure && !isLoopback(u.Hostname()):
		return "is plain http to another host; WithInsecureHTTP allows it"
	}
	return ""
}

// checkURL does not quote the URL, because it may hold a password.
func (c *config) checkURL(option, raw, secure, plain string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return badOption(option, "is malformed")
	case u.Scheme != secure && u.Scheme != plain:
		return badOption(option, fmt.Sprintf("does not begin with %s:// or %s://", secure, plain))
	case u.Hostname() == "":
		return badOption(option, "has no host")
	case u.User != nil:
		return badOption(option, "has a user name or a password in it")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return badOption(option, "has a query or a fragment")
	case u.Scheme == plain && !c.insecure && !isLoopback(u.Hostname()):
		return badOption(option, fmt.Sprintf("is plain %s to another host; use %s or WithInsecureHTTP", plain, secure))
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

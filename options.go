package privicore

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// DefaultBaseURL is the vendor's sandbox.
const DefaultBaseURL = "https://sandbox.privicore.com:9009"

// An Option configures a Client.
type Option func(*config) error

type config struct {
	baseURL    string
	wsURL      string
	uploadURL  string
	insecure   bool
	auth       auth
	httpClient *http.Client
	logger     *slog.Logger
	maxRetries int
	pollRate   float64 // polls per second
	keepAcks   int
	keepFor    time.Duration
}

// auth is where tokens come from.
type auth struct {
	token    *AuthorizationToken
	source   TokenSource
	username string
	password Secret
}

func defaultConfig() config {
	return config{
		baseURL:    DefaultBaseURL,
		logger:     slog.New(slog.DiscardHandler),
		maxRetries: 3,
		pollRate:   10,
		keepAcks:   10_000,
		keepFor:    5 * time.Minute,
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

// WithBaseURL sets the server, for example "https://stage.privicore.com:9009".
// A path is kept as a prefix of all paths. Refused are URLs without scheme or
// host, with a user, a query or a fragment, and plain http to any host but
// this machine, unless WithInsecureHTTP allows it.
func WithBaseURL(url string) Option {
	return func(c *config) error { c.baseURL = strings.TrimRight(url, "/"); return nil }
}

// WithWebSocketURL sets the WebSocket proxy, a ws or wss URL. It is a server of
// its own, whose address does not follow from the base URL. Without one,
// outcomes are learned by polling alone.
func WithWebSocketURL(url string) Option {
	return func(c *config) error { c.wsURL = url; return nil }
}

// WithUploadURL sets the server to which payloads are streamed. It is needed
// only where Privicore answers with an upload token instead of an upload URL.
func WithUploadURL(url string) Option {
	return func(c *config) error { c.uploadURL = url; return nil }
}

// WithToken sets the authorization token. Once it is dead, calls fail with
// ErrUnauthorized, unless there are credentials or a TokenSource as well.
func WithToken(token string) Option {
	return func(c *config) error {
		if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return badOption("token", "is empty or has characters that a header cannot carry")
		}
		c.auth.token = &AuthorizationToken{Token: NewSecret(token)}
		return nil
	}
}

// WithCredentials makes the client authenticate by itself: on first use, ahead
// of the token's expiry, and when the server refuses the token.
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

// WithTokenSource makes the client take its tokens from source.
func WithTokenSource(source TokenSource) Option {
	return func(c *config) error {
		if source == nil {
			return badOption("token source", "is nil")
		}
		c.auth.source, c.auth.username, c.auth.password = source, "", Secret{}
		return nil
	}
}

// WithHTTPClient makes the client send through hc: its transport, timeout,
// cookies and redirect policy. hc is copied, not changed; redirects to another
// server are not followed, whatever hc says.
func WithHTTPClient(hc *http.Client) Option {
	return func(c *config) error {
		if hc == nil {
			return badOption("HTTP client", "is nil")
		}
		c.httpClient = hc
		return nil
	}
}

// WithLogger sets where the client logs: calls at level Debug, the loss of the
// WebSocket channel at level Warn. Without it nothing is logged.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) error {
		if logger == nil {
			return badOption("logger", "is nil")
		}
		c.logger = logger
		return nil
	}
}

// WithInsecureHTTP allows http and ws URLs to other hosts than this machine.
// Tokens and passwords are then readable on the way.
func WithInsecureHTTP() Option {
	return func(c *config) error { c.insecure = true; return nil }
}

// WithMaxRetries sets how often a call is sent again when that is safe; the
// default is 3, with pauses of about 0.2, 0.4 and 0.8 seconds, and 0 turns it
// off. Beside that, net/http sends a read again that met a connection which the
// server had just closed.
func WithMaxRetries(n int) Option {
	return func(c *config) error {
		if n < 0 {
			return badOption("max retries", "is negative")
		}
		c.maxRetries = n
		return nil
	}
}

// WithPollRate sets how many times a second all waits of the client together
// may ask for the status of a command; the default is 10.
func WithPollRate(perSecond float64) Option {
	return func(c *config) error {
		if !(perSecond > 0) {
			return badOption("poll rate", "is not positive")
		}
		c.pollRate = perSecond
		return nil
	}
}

// WithOutcomeBuffer bounds the outcomes that are kept because they came over
// the WebSocket channel before anyone waited for them: by number (default
// 10,000, the oldest go first) and by age (default 5 minutes). The outcome of
// a command that is waited for later than that is asked for instead.
func WithOutcomeBuffer(n int, age time.Duration) Option {
	return func(c *config) error {
		if n < 1 || age <= 0 {
			return badOption("outcome buffer", "is not positive")
		}
		c.keepAcks, c.keepFor = n, age
		return nil
	}
}

// FromEnv takes from the environment what is set there: PRIVICORE_API_URL,
// PRIVICORE_WS_URL, PRIVICORE_USERNAME together with PRIVICORE_PASSWORD, and
// PRIVICORE_TOKEN. Options that follow it have precedence.
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

// checkURLs looks at both URLs once all options are known.
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

// checkFileURL looks at the URL of a file server, which an answer gave: what
// is sent there is as worth protecting as what is sent to the base URL. It
// returns what is wrong with it, or "".
func (c *config) checkFileURL(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return "is not an http or https URL"
	case u.Scheme == "http" && !c.insecure && !isLoopback(u.Hostname()):
		return "is plain http to another host; WithInsecureHTTP allows it"
	}
	return ""
}

// checkURL never quotes the URL: it may hold a password.
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

package privicore

import (
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/privicore/privicore-go/internal/lifecycle"
	"github.com/privicore/privicore-go/internal/realtime"
	"github.com/privicore/privicore-go/internal/transport"
	"github.com/privicore/privicore-go/internal/wait"
)

const (
	// Version is the version of this package, as sent in the User-Agent header.
	Version = "0.1.0"

	userAgent = "privicore-go/" + Version
)

// A Client talks to one Privicore server for one profile. It has a service for
// each section of the vendor's documentation. A Client is safe for concurrent
// use. Make one with NewClient, and close it when it is no longer needed.
type Client struct {
	Utility               *UtilityService
	Profile               *ProfileService
	PublicKey             *PublicKeyService
	Device                *DeviceService
	Storage               *StorageService
	VerifiedAuthenticator *VerifiedAuthenticatorService
	OAuth                 *OAuthService
	DataToken             *DataTokenService
	Policy                *PolicyService
	Voting                *VotingService

	config    *config  // a pointer, because fmt would print the secrets of a user's TokenSource
	base      *url.URL // the base URL, parsed
	scope     *lifecycle.Scope
	transport *transport.Transport
	tokens    *tokens
	channel   *realtime.Channel
	waiting   *wait.Engine
	limiter   *wait.Limiter

	// statusByPost reports whether the server wants to be polled by POST.
	statusByPost atomic.Bool
}

// service gives a service its client.
type service struct{ client *Client }

// NewClient returns a client for the server at DefaultBaseURL, unless an option
// names another server. It sends nothing. The error is a *ValidationError that
// names the option that cannot be right.
func NewClient(opts ...Option) (*Client, error) {
	cfg := defaultConfig()
	if err := cfg.apply(opts); err != nil {
		return nil, err
	}
	return newClient(cfg, transport.New(cfg.transport()), wait.NewLimiter(cfg.pollRate))
}

// Clone returns a new client with the options of c, changed by opts. It sends
// nothing. Both clients use the same connections and share one limit on polls, so
// that one process can serve many profiles. WithHTTPClient gives the new client
// connections of its own; another server or poll rate gives it its own limit.
//
// The new client authenticates like c and begins with the token that c holds,
// unless opts name a token, credentials, a TokenSource or another server. Each of
// the two clients has to be closed.
func (c *Client) Clone(opts ...Option) (*Client, error) {
	cfg := *c.config
	cfg.auth = auth{}
	if err := cfg.apply(opts); err != nil {
		return nil, err
	}
	t := c.transport
	if cfg.transport() != c.config.transport() {
		t = t.With(cfg.transport())
	}
	limiter := c.limiter
	if cfg.baseURL != c.config.baseURL || cfg.pollRate != c.config.pollRate {
		limiter = wait.NewLimiter(cfg.pollRate)
	}
	// Credentials must not go to a server that they were not given for.
	if (cfg.auth == auth{} && cfg.baseURL == c.config.baseURL) {
		cfg.auth = c.config.auth
		cfg.auth.token = c.tokens.held()
	}
	return newClient(cfg, t, limiter)
}

func newClient(cfg config, t *transport.Transport, limiter *wait.Limiter) (*Client, error) {
	if err := cfg.checkURLs(); err != nil {
		return nil, err
	}
	base, err := url.Parse(cfg.baseURL)
	if err != nil {
		return nil, err
	}
	base.Host = strings.TrimSuffix(base.Host, ":") // as http.NewRequest does
	c := &Client{config: &cfg, base: base, scope: lifecycle.New(ErrClosed), transport: t, limiter: limiter}
	s := service{c}
	c.Utility = (*UtilityService)(&s)
	c.Profile = (*ProfileService)(&s)
	c.PublicKey = (*PublicKeyService)(&s)
	c.Device = (*DeviceService)(&s)
	c.Storage = (*StorageService)(&s)
	c.VerifiedAuthenticator = (*VerifiedAuthenticatorService)(&s)
	c.OAuth = (*OAuthService)(&s)
	c.DataToken = (*DataTokenService)(&s)
	c.Policy = (*PolicyService)(&s)
	c.Voting = (*VotingService)(&s)

	c.tokens = newTokens(cfg.auth, c.scope, c.authenticate)
	c.cacheTokens()
	c.channel = newChannel(c)
	c.waiting = &wait.Engine{
		Scope:    c.scope,
		Classify: classify,
		Fallback: cfg.fallbackPoll,
		Budget:   wait.Budget{NotFound: notFoundBudget, Refused: refusedBudget, Outage: cfg.maxOutage},
		Logger:   cfg.logger,
	}
	return c, nil
}

// Close closes the WebSocket channel, ends all waits with ErrClosed, and waits for
// the client's goroutines. It does not break off a call whose answer is on its
// way. A call that pauses before it is sent again ends with ErrClosed, and so does
// every later call. Close may be called more than once. It always returns nil.
func (c *Client) Close() error {
	c.scope.End()
	c.channel.Close()
	c.transport.CloseIdle()
	return nil
}

package privicoretest

import (
	"log/slog"
	"time"
)

// Option changes how a server starts.
type Option func(*config)

type config struct {
	addr          string
	webSocketAddr string
	inMemory      bool
	idleTimeout   time.Duration
	latency       time.Duration
	tokenLifetime time.Duration
	statusRate    float64
	statusBurst   int
	dialect       Dialect
	shape         IDShape
	profiles      []credentials

	storageDevices int
	bareStream     bool
	speed          float64
	policyLag      time.Duration
	voter          func(Poll) bool

	seed       uint64 // of random faults
	rates      FaultRates
	requestLog int
	tls        bool
	logger     *slog.Logger // nil means none
	misused    func(error)  // nil means the default
}

type credentials struct{ username, password string }

func defaults() config {
	return config{
		addr:          "127.0.0.1:0",
		webSocketAddr: "127.0.0.1:0",
		latency:       20 * time.Millisecond,
		tokenLifetime: time.Hour,
		statusRate:    20,
		statusBurst:   20,

		storageDevices: 3,
		speed:          1,
		policyLag:      200 * time.Millisecond,
		voter:          VoteYes,

		requestLog: defaultRequestLog,
	}
}

// WithProfile adds a profile whose public key is registered, so that it can work
// from the start. Give the option once per profile.
func WithProfile(username, password string) Option {
	return func(c *config) { c.profiles = append(c.profiles, credentials{username, password}) }
}

// WithAddr sets the host and port that REST listens on. The default,
// 127.0.0.1:0, takes a free port.
func WithAddr(addr string) Option {
	return func(c *config) { c.addr = addr }
}

// WithWebSocketAddr sets the host and port that the WebSocket proxy listens on.
// The default, 127.0.0.1:0, takes a free port.
func WithWebSocketAddr(addr string) Option {
	return func(c *config) { c.webSocketAddr = addr }
}

// WithMemoryNetwork makes the server listen inside the process instead of on
// the network of the host: only [Server.Client] reaches it, and WithAddr and
// WithWebSocketAddr have no effect. Such a server works in a bubble of
// testing/synctest, where an hour passes at once:
//
//	synctest.Test(t, func(t *testing.T) {
//		server := privicoretest.NewServer(t, privicoretest.WithMemoryNetwork())
//		// give server.URL and server.Client() to the client under test
//	})
func WithMemoryNetwork() Option {
	return func(c *config) { c.inMemory = true }
}

// WithIdleTimeout closes a WebSocket connection after that long without a byte
// in either direction. Pings count as bytes. The default, 0, means never.
func WithIdleTimeout(d time.Duration) Option {
	return func(c *config) { c.idleTimeout = d }
}

// WithLatency sets the time from the acceptance of a command to its outcome. With
// a negative one commands finish before their 202 is sent. The default is 20 ms.
func WithLatency(d time.Duration) Option {
	return func(c *config) { c.latency = d }
}

// WithTokenLifetime sets how long a token from authenticate lives. The default
// is an hour.
func WithTokenLifetime(d time.Duration) Option {
	return func(c *config) { c.tokenLifetime = d }
}

// WithStatusLimit sets the rate limit of /request-status. All callers share it,
// because the route takes no token. The default is 20 per second with a burst of
// 20. A rate of 0 removes the limit.
func WithStatusLimit(perSecond float64, burst int) Option {
	return func(c *config) { c.statusRate, c.statusBurst = perSecond, burst }
}

package privicoretest

import "time"

// Option changes how a server starts.
type Option func(*config)

type config struct {
	addr          string
	webSocketAddr string
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
		voter:          func(Poll) bool { return true },
	}
}

// WithProfile puts a profile in place that is active from the start: its
// public key is registered. Give the option once per profile.
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

// WithIdleTimeout drops a WebSocket connection over which nothing, pings
// included, has gone either way for that long. The default, 0, never does.
func WithIdleTimeout(d time.Duration) Option {
	return func(c *config) { c.idleTimeout = d }
}

// WithLatency sets the time from accepting a command to its outcome. The
// default is 20 ms.
func WithLatency(d time.Duration) Option {
	return func(c *config) { c.latency = d }
}

// WithTokenLifetime sets how long a token from authenticate lives. The default
// is an hour.
func WithTokenLifetime(d time.Duration) Option {
	return func(c *config) { c.tokenLifetime = d }
}

// WithStatusLimit sets the rate limit of /request-status, for all callers
// together since the route knows no one. The default is 20 per second with a
// burst of 20; a rate of 0 removes the limit.
func WithStatusLimit(perSecond float64, burst int) Option {
	return func(c *config) { c.statusRate, c.statusBurst = perSecond, burst }
}

// Dialect is a kind of server, where the vendor's documentation and recordings
// of a live one differ.
type Dialect uint8

const (
	Documented Dialect = iota // as the vendor's pages say
	Observed                  // as recorded from a live server
)

// WithDialect chooses the kind of server. The default is Documented.
func WithDialect(d Dialect) Option {
	return func(c *config) { c.dialect = d }
}

// IDShape is a place for the command id in a 202 answer. The zero value leaves
// it to the dialect.
type IDShape uint8

const (
	_        IDShape = iota
	HeaderID         // X-DPT-CAB-ID and no body
	StringID         // "id"
	ArrayID          // ["id"]
	ObjectID         // {"commandId":"id"}
)

// WithIDShape puts the id of every 202 answer in one place, whatever the
// dialect and the operation say.
func WithIDShape(shape IDShape) Option {
	return func(c *config) { c.shape = shape }
}

package transport

import (
	"net/http"
	"time"
)

// roundTripper stands between the http.Client and its RoundTripper. It sees
// every request that is sent, also one that follows a redirect. It has no
// CloseIdleConnections, because go-retryablehttp calls that after every failure
// and the pool may belong to the user.
type roundTripper struct {
	base   http.RoundTripper // nil means http.DefaultTransport, as in http.Client
	stall  time.Duration
	alarms alarms
}

func newRoundTripper(base http.RoundTripper, stall time.Duration) *roundTripper {
	// The client may be the HTTPClient of another Transport.
	if inner, ok := base.(*roundTripper); ok {
		base = inner.base
	}
	rt := &roundTripper{base: base, stall: stall}
	rt.alarms.reuse = rt.direct()
	return rt
}

func (rt *roundTripper) target() http.RoundTripper {
	if rt.base != nil {
		return rt.base
	}
	return http.DefaultTransport
}

// direct reports whether requests go to net/http without a RoundTripper of the
// user in between.
func (rt *roundTripper) direct() bool {
	_, ok := rt.target().(*http.Transport)
	return ok
}

// RoundTrip sends req. The watchdog of its call ends it if it stalls.
func (rt *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	c := callOf(req.Context())
	// After an upgrade the body is the connection, and silence is normal.
	if c == nil || req.Header.Get("Upgrade") != "" {
		return rt.target().RoundTrip(req)
	}
	c.hop.begin()
	watched := c.watchdog.limit > 0
	if watched {
		req = c.watchdog.begin(req, &c.t.trips.alarms)
	}
	resp, err := rt.target().RoundTrip(req)
	if watched {
		resp, err = c.watchdog.arrived(resp, err)
	}
	if err == nil {
		c.hop.answered.Store(true)
	}
	return resp, err
}

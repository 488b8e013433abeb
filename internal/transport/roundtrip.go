package transport

import (
	"net/http"
	"sync/atomic"
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
	doubt  atomic.Bool // an HTTP/2 connection may be dead
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
	if rt.closeDoubtful() {
		// A dead connection that was not idle is still open. Close makes net/http
		// send no other request over it after this one.
		last := *req
		last.Close = true
		req = &last
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

// timedOut notes that a request over HTTP/2 got no answer in time. net/http goes on
// using its connection, which may be dead.
func (rt *roundTripper) timedOut() {
	if rt.pingless() != nil {
		rt.doubt.Store(true)
	}
}

// closeDoubtful closes the idle connections if one of them may be dead, and reports
// whether it did. A connection that others use stays open, and so does that of a
// request that timed out a moment ago.
func (rt *roundTripper) closeDoubtful() bool {
	if !rt.doubt.Load() || !rt.doubt.Swap(false) {
		return false
	}
	pool := rt.pingless()
	if pool == nil {
		return false
	}
	pool.CloseIdleConnections()
	return true
}

// pingless returns the pool that sends the requests if it is one that does not find
// dead HTTP/2 connections by pings, or nil.
func (rt *roundTripper) pingless() *http.Transport {
	pool, ok := rt.target().(*http.Transport)
	if !ok || pool.HTTP2 != nil && pool.HTTP2.SendPingTimeout > 0 {
		return nil
	}
	return pool
}

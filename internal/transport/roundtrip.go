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
	base  http.RoundTripper // nil means http.DefaultTransport, as in http.Client
	stall time.Duration
}

func newRoundTripper(base http.RoundTripper, stall time.Duration) *roundTripper {
	// The client may be the HTTPClient of another Transport.
	if inner, ok := base.(*roundTripper); ok {
		base = inner.base
	}
	return &roundTripper{base: base, stall: stall}
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

// RoundTrip sends req. It ends the request if no byte moves for the stall timeout.
func (rt *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	// After an upgrade the body is the connection, and silence is normal.
	if req.Header.Get("Upgrade") != "" {
		return rt.target().RoundTrip(req)
	}
	var w *watchdog
	if rt.stall > 0 {
		w, req = watch(req, rt.stall)
	}
	c := callOf(req.Context())
	if c != nil {
		c.hop.begin(w)
	}
	resp, err := rt.target().RoundTrip(req)
	if w != nil {
		resp, err = w.arrived(resp, err)
	}
	if c != nil && err == nil {
		c.hop.answered.Store(true)
	}
	return resp, err
}

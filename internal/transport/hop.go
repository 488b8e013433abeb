package transport

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"
)

// The phases of a hop.
const (
	unknown int32 = iota // the RoundTripper has reported nothing
	waiting              // for a connection: no byte was written
	sending              // on a connection
)

// hop is the state of one HTTP request and its answer. An attempt has one hop, and
// another one for each redirect. A RoundTripper may report from any goroutine.
type hop struct {
	direct   bool // net/http itself sends
	phase    atomic.Int32
	http2    atomic.Bool
	answered atomic.Bool
	trace    httptrace.ClientTrace
}

func (h *hop) begin() {
	h.phase.Store(unknown)
	h.http2.Store(false)
	h.answered.Store(false)
}

func (h *hop) getConn(string) {
	if h.direct {
		// net/http asks for a second connection only if nothing was processed
		// on the first one, or if the request is idempotent.
		h.phase.Store(waiting)
		return
	}
	// A RoundTripper of the user may send again for reasons of its own. What it
	// has sent before counts.
	h.phase.CompareAndSwap(unknown, waiting)
}

func (h *hop) gotConn(info httptrace.GotConnInfo) {
	h.http2.Store(isHTTP2(info.Conn))
	h.phase.Store(sending)
}

func isHTTP2(conn net.Conn) bool {
	c, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	return ok && c.ConnectionState().NegotiatedProtocol == "h2"
}

// unsent reports whether err means that not one byte of the request was
// written.
func (h *hop) unsent(err error) bool {
	switch h.phase.Load() {
	case waiting:
		return true
	case sending:
		return false
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "dial" || op.Op == "proxyconnect") {
		return true
	}
	return untrusted(err)
}

// untrusted reports whether the server's certificate was refused. Another
// attempt would only meet it again.
func untrusted(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

package transport

import (
	"net"
	"net/http"
	"runtime"
	"time"
)

const (
	dialTimeout      = 30 * time.Second
	handshakeTimeout = 10 * time.Second
	pingTimeout      = 20 * time.Second
)

// NewPool returns net/http's default pool, changed where a client that talks
// to one host from many goroutines would suffer from it.
func NewPool() *http.Transport {
	var pool *http.Transport
	if def, ok := http.DefaultTransport.(*http.Transport); ok {
		pool = def.Clone()
	} else {
		pool = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 100, IdleConnTimeout: 90 * time.Second}
	}
	pool.MaxIdleConnsPerHost = 64
	pool.ExpectContinueTimeout = time.Second
	// The stall timeout does the same and covers the body too.
	pool.ResponseHeaderTimeout = 0
	// net/http copies a body in pieces of 32 KiB, and a smaller buffer makes
	// several writes of each.
	pool.WriteBufferSize = 64 << 10
	// In a browser net/http uses fetch, unless it is given a way to dial.
	if pool.DialContext == nil && runtime.GOOS != "js" {
		pool.DialContext = (&net.Dialer{Timeout: dialTimeout, KeepAlive: dialTimeout}).DialContext
	}
	if pool.DialContext != nil {
		pool.DialContext = patiently(pool.DialContext)
	}
	if pool.TLSHandshakeTimeout <= 0 {
		pool.TLSHandshakeTimeout = handshakeTimeout
	}
	// Pings find an HTTP/2 connection that is dead. A slow one answers them, and
	// is not cut.
	if pool.HTTP2 == nil {
		pool.HTTP2 = new(http.HTTP2Config)
	}
	pool.HTTP2.SendPingTimeout = pingTimeout
	pool.HTTP2.PingTimeout = pingTimeout
	return pool
}

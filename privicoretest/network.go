package privicoretest

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// network is where a server listens and where its clients dial.
type network interface {
	listen(addr string) (net.Listener, error)
	dial(ctx context.Context, network, addr string) (net.Conn, error)
}

func newNetwork(cfg config) network {
	if cfg.inMemory {
		return &memory{listeners: make(map[string]*memoryListener)}
	}
	return tcp{}
}

// Client returns an HTTP client that reaches every address of the server, the
// WebSocket proxy included. It is the only way to a server of
// [WithMemoryNetwork]. Each call returns the same client; Close closes its idle
// connections.
func (s *Server) Client() *http.Client { return s.client }

func newClient(n network, certificate *tls.Certificate) *http.Client {
	transport := &http.Transport{DialContext: n.dial, IdleConnTimeout: time.Minute}
	if certificate != nil {
		transport.TLSClientConfig, transport.ForceAttemptHTTP2 = trust(certificate), true
	}
	return &http.Client{Transport: transport}
}

// tcp is the network of the host.
type tcp struct{}

func (tcp) listen(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }

func (tcp) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, addr)
}

// memory is a network inside the process. Its connections are pipes.
type memory struct {
	mu        sync.Mutex
	listeners map[string]*memoryListener // by host and port
}

// listen gives every listener a port of its own, whatever the address says.
func (m *memory) listen(string) (net.Listener, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := &memoryListener{
		addr:   &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: len(m.listeners) + 1},
		conns:  make(chan net.Conn),
		closed: make(chan struct{}),
	}
	m.listeners[l.addr.String()] = l
	return l, nil
}

func (m *memory) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	m.mu.Lock()
	l := m.listeners[addr]
	m.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	if l == nil {
		return nil, refused
	}
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type memoryListener struct {
	addr   net.Addr
	conns  chan net.Conn
	close  sync.Once
	closed chan struct{}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.close.Do(func() { close(l.closed) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return l.addr }

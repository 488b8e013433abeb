package privicoretest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// Server is a running Privicore. Its methods are safe for any number of
// goroutines.
type Server struct {
	URL          string // of REST, without a slash at the end
	WebSocketURL string // of the WebSocket proxy
	UploadURL    string // of the server for uploads
	DownloadURL  string // of the server for downloads

	state       *state
	client      *http.Client
	certificate *tls.Certificate                 // nil without TLS
	servers     []*http.Server                   // of all four addresses
	complain    func(format string, args ...any) // reports a wrong use of the server
	helper      func()                           // testing.TB.Helper, or nothing

	stop    context.CancelFunc // ends stopped, and with it every delay
	stopped context.Context    // of all requests
	close   sync.Once
	running sync.WaitGroup // the accept loops and the handlers
	gate    sync.Mutex     // keeps running from growing once Close has begun
}

// NewServer starts a server that ends with the test. The test fails if the
// server cannot start, or if one of its methods is given a name that the server
// does not know.
func NewServer(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	s, err := Start(opts...)
	if err != nil {
		tb.Fatalf("privicoretest: %v", err)
	}
	s.helper = tb.Helper
	if s.state.config.misused == nil {
		s.complain = func(format string, args ...any) {
			tb.Helper()
			tb.Fatalf("privicoretest: "+format, args...)
		}
	}
	tb.Cleanup(s.Close)
	return s
}

// Start starts a server outside a test. It serves when Start returns; the
// caller ends it with Close. Errors are an address that cannot be listened on
// and options that contradict each other.
func Start(opts ...Option) (*Server, error) {
	cfg := defaults()
	for _, opt := range opts {
		opt(&cfg)
	}
	state, err := newState(cfg)
	if err != nil {
		return nil, err
	}
	certificate, err := newCertificate(cfg)
	if err != nil {
		return nil, err
	}
	network := newNetwork(cfg)
	listeners, err := listenAll(network, cfg)
	if err != nil {
		return nil, err
	}
	s := &Server{state: state, client: newClient(network, certificate), certificate: certificate, helper: func() {}}
	s.complain = func(format string, args ...any) {
		if cfg.misused != nil {
			cfg.misused(fmt.Errorf("privicoretest: "+format, args...))
			return
		}
		slog.Error("privicoretest: " + fmt.Sprintf(format, args...))
	}
	s.stopped, s.stop = context.WithCancel(context.Background())
	scheme := ""
	if cfg.tls {
		scheme = "s"
	}
	s.URL = "http" + scheme + "://" + reachable(listeners.rest)
	s.WebSocketURL = "ws" + scheme + "://" + reachable(listeners.webSocket)
	s.UploadURL = "http" + scheme + "://" + reachable(listeners.upload)
	s.DownloadURL = "http" + scheme + "://" + reachable(listeners.download)
	state.vault.uploadURL, state.vault.downloadURL = s.UploadURL, s.DownloadURL

	s.serveAll(listeners)
	return s, nil
}

// listeners are the four addresses of a server.
type listeners struct{ rest, webSocket, upload, download net.Listener }

// listenAll opens all listeners or none. The file servers take free ports of
// the host that REST is on.
func listenAll(n network, cfg config) (l listeners, err error) {
	host, _, _ := net.SplitHostPort(cfg.addr)
	files := net.JoinHostPort(host, "0")
	var open []net.Listener
	for _, wanted := range []struct {
		listener *net.Listener
		addr     string
	}{{&l.rest, cfg.addr}, {&l.webSocket, cfg.webSocketAddr}, {&l.upload, files}, {&l.download, files}} {
		listener, err := n.listen(wanted.addr)
		if err != nil {
			for _, earlier := range open {
				earlier.Close()
			}
			return listeners{}, err
		}
		*wanted.listener = listener
		open = append(open, listener)
	}
	return l, nil
}

// serveAll serves the four addresses.
func (s *Server) serveAll(l listeners) {
	s.serveOn(l.rest, s.routes(), true)
	s.serveOn(l.upload, s.fileServer(operation.DataTokenUpload, s.upload), true)
	s.serveOn(l.download, s.fileServer(operation.DataTokenDownload, s.download), true)
	s.serveOn(wires{l.webSocket, s.state.config.idleTimeout}, http.HandlerFunc(s.connect), false)
}

// serveOn serves a listener until Close. With TLS it offers HTTP/2 if http2 is
// set.
func (s *Server) serveOn(listener net.Listener, handler http.Handler, http2 bool) {
	server := &http.Server{
		Handler:           s.whileOpen(handler),
		BaseContext:       func(net.Listener) context.Context { return s.stopped },
		ConnContext:       withWire,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // a client that hangs up is the business of the test
	}
	if s.certificate != nil {
		listener = secure(listener, server, s.certificate, http2)
	}
	s.servers = append(s.servers, server)
	s.running.Go(func() { server.Serve(listener) })
}

// Close ends the server: it closes every connection, drops delayed answers and
// leaves running commands unfinished. It returns when all of that is over and
// may be called again.
func (s *Server) Close() {
	s.close.Do(func() {
		s.gate.Lock()
		s.stop()
		s.gate.Unlock()
		for _, server := range s.servers {
			server.Close()
		}
		s.client.CloseIdleConnections()
		s.running.Wait()
		s.state.close()
		s.state.removeFiles()
	})
}

// Next queues a fault for a call of the operation with that name, such as
// "Device.Remove". Each call of the operation takes one fault, in the order of
// the queue. A name that is not in [Operations] fails the test; outside a test
// it is logged as an error.
func (s *Server) Next(operation string, f Fault) {
	s.helper()
	op := s.prepare(operation, &f)
	if op == nil {
		return
	}
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.faults[op] = append(s.state.faults[op], f)
}

// Always makes every call of an operation meet a fault until lift is called.
// Faults that Next has queued come first. Of several faults for one operation the
// latest one counts. lift may be called more than once. Always treats the name as
// Next does.
func (s *Server) Always(operation string, f Fault) (lift func()) {
	s.helper()
	op := s.prepare(operation, &f)
	if op == nil {
		return func() {}
	}
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.always[op] = append(s.state.always[op], &f)
	return func() {
		s.state.mu.Lock()
		defer s.state.mu.Unlock()
		s.state.always[op] = slices.DeleteFunc(s.state.always[op], func(other *Fault) bool { return other == &f })
	}
}

// prepare returns the operation for a fault and encodes the foreign part of the
// fault. It returns nil if it has reported what is wrong.
func (s *Server) prepare(name string, f *Fault) *operation.Operation {
	s.helper()
	op := find(name)
	if op == nil {
		s.complain("no operation %q: privicoretest.Operations() lists the names", name)
		return nil
	}
	if f.Ack.Body != nil {
		body, err := json.Marshal(f.Ack.Body)
		if err != nil {
			s.complain("the body of an ack: %v", err)
			return nil
		}
		f.Ack.Body = json.RawMessage(body)
	}
	return op
}

// Calls returns how often an operation has been called, refused and failed
// calls included. It treats the name as Next does.
func (s *Server) Calls(operation string) int {
	s.helper()
	op := find(operation)
	if op == nil {
		s.complain("no operation %q: privicoretest.Operations() lists the names", operation)
		return 0
	}
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.calls[op]
}

// Operations returns the names of the operations that a server serves, in the
// order of the vendor's documentation.
func Operations() []string {
	var names []string
	for _, op := range operation.All {
		if _, ok := endpoints[op]; ok {
			names = append(names, op.Name)
		}
	}
	return names
}

// find returns the served operation with that name, or nil.
func find(name string) *operation.Operation {
	for op := range endpoints {
		if op.Name == name {
			return op
		}
	}
	return nil
}

// whileOpen refuses requests that come after Close has begun and lets Close
// wait for the others.
func (s *Server) whileOpen(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.gate.Lock()
		if s.stopped.Err() != nil {
			s.gate.Unlock()
			drop(w, r)
			return
		}
		s.running.Add(1)
		s.gate.Unlock()
		defer s.running.Done()
		next.ServeHTTP(w, r)
	})
}

// pause waits for d. It returns early, with an error, if the caller hangs up or
// the server closes.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reachable returns the address to dial for a listener, also for one on every
// interface.
func reachable(listener net.Listener) string {
	addr := listener.Addr()
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", fmt.Sprint(tcp.Port))
	}
	return addr.String()
}

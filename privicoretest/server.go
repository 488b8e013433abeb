package privicoretest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
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

	state     *state
	http      *http.Server
	websocket *http.Server
	files     [2]*http.Server                  // upload and download
	complain  func(format string, args ...any) // about a wrong use of the server
	helper    func()                           // marks the caller as not the place of that

	stop    context.CancelFunc // ends stopped, and with it every delay
	stopped context.Context    // of all requests
	close   sync.Once
	running sync.WaitGroup // the accept loop and the handlers
	gate    sync.Mutex     // guards running against an Add after Close
}

// NewServer starts a server that ends with the test. A server that cannot
// start, or is asked about an operation that there is not, fails the test.
func NewServer(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	s, err := Start(opts...)
	if err != nil {
		tb.Fatalf("privicoretest: %v", err)
	}
	s.helper = tb.Helper
	s.complain = func(format string, args ...any) {
		tb.Helper()
		tb.Fatalf("privicoretest: "+format, args...)
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
	listener, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return nil, err
	}
	webSockets, err := net.Listen("tcp", cfg.webSocketAddr)
	if err != nil {
		listener.Close()
		return nil, err
	}

	s := &Server{URL: "http://" + reachable(listener.Addr()), state: state, helper: func() {}}
	s.complain = func(format string, args ...any) {
		slog.Error("privicoretest: " + fmt.Sprintf(format, args...))
	}
	s.stopped, s.stop = context.WithCancel(context.Background())
	host, _, _ := net.SplitHostPort(cfg.addr)
	if err := s.listenFiles(host); err != nil {
		s.stop()
		listener.Close()
		webSockets.Close()
		return nil, err
	}
	s.http = &http.Server{
		Handler:           s.whileOpen(s.routes()),
		BaseContext:       func(net.Listener) context.Context { return s.stopped },
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // clients that hang up are the tests' business
	}
	s.running.Go(func() { s.http.Serve(listener) })
	s.listenWebSocket(webSockets)
	return s, nil
}

// Close ends the server: connections are closed, delayed answers dropped and
// commands that still run never finish. It waits until all of that is over and
// may be called again.
func (s *Server) Close() {
	s.close.Do(func() {
		s.gate.Lock()
		s.stop()
		s.gate.Unlock()
		s.http.Close()
		s.websocket.Close()
		for _, files := range s.files {
			files.Close()
		}
		s.running.Wait()
		s.state.close()
		s.state.removeFiles()
	})
}

// Next queues a fault for a call of an operation, named as in "Device.Remove".
// Each fault is used once, in the order they came, by the next calls of that
// operation. An operation that the server does not have fails the test, or is
// logged as an error if there is none.
func (s *Server) Next(operation string, f Fault) {
	s.helper()
	op := find(operation)
	if op == nil {
		s.complain("no operation %q: privicoretest.Operations() lists the names", operation)
		return
	}
	if f.Ack.Body != nil {
		body, err := json.Marshal(f.Ack.Body)
		if err != nil {
			s.complain("the body of an ack: %v", err)
			return
		}
		f.Ack.Body = json.RawMessage(body)
	}
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.faults[op] = append(s.state.faults[op], f)
}

// Calls tells how often an operation has been called, refused and failed calls
// included. The name is treated as in Next.
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

// Operations names the operations that a server serves, in the order of the
// vendor's documentation.
func Operations() []string {
	var names []string
	for _, op := range operation.All {
		if _, ok := endpoints[op]; ok {
			names = append(names, op.Name)
		}
	}
	return names
}

// find returns the operation of that name that is served, or nil.
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
			drop(w)
			return
		}
		s.running.Add(1)
		s.gate.Unlock()
		defer s.running.Done()
		next.ServeHTTP(w, r)
	})
}

// pause waits, unless the caller hangs up or the server closes first.
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

// reachable is the address to dial for a listener on every interface.
func reachable(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", fmt.Sprint(tcp.Port))
	}
	return addr.String()
}

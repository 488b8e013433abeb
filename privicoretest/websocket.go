package privicoretest

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// listenWebSocket serves the proxy, on a port of its own.
func (s *Server) listenWebSocket(listener net.Listener) {
	s.WebSocketURL = "ws://" + reachable(listener.Addr())
	s.websocket = &http.Server{
		Handler:           s.whileOpen(http.HandlerFunc(s.connect)),
		ConnContext:       withWire,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	s.running.Go(func() { s.websocket.Serve(wires{listener, s.state.config.idleTimeout}) })
}

// connect serves one connection until it ends.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	if status := s.state.refusedHandshake(); status != 0 {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		io.WriteString(w, "<html><body>"+http.StatusText(status)+"</body></html>\n")
		return
	}
	// Any page may connect: without a token it hears nothing.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	conn.SetReadLimit(maxBody)
	c := &connection{conn: conn, wire: wireOf(r.Context()), wake: make(chan struct{}, 1)}
	s.state.connected(c)
	defer s.state.disconnected(c)
	c.serve(s.stopped, s.state.dialogue)
}

// Push sends a message, as JSON, to every connection that has joined the
// channel of that profile. It does not wait until they have it. A profile that
// the server does not have, or a message that cannot be JSON, is treated like
// an unknown operation in Next.
func (s *Server) Push(username string, message any) {
	data, err := json.Marshal(message)
	if err != nil {
		s.complain("push: %v", err)
		return
	}
	s.pushFrame(username, frame{websocket.MessageText, data})
}

// PushRaw is Push for a text or binary message of any bytes.
func (s *Server) PushRaw(username string, binary bool, data []byte) {
	kind := websocket.MessageText
	if binary {
		kind = websocket.MessageBinary
	}
	s.pushFrame(username, frame{kind, bytes.Clone(data)})
}

// PushUnframed writes bytes where a WebSocket frame should begin, between two
// messages: a broken frame, or one that never ends.
func (s *Server) PushUnframed(username string, data []byte) {
	s.pushFrame(username, frame{unframed, bytes.Clone(data)})
}

func (s *Server) pushFrame(username string, f frame) {
	if !s.state.pushTo(username, f) {
		s.complain("no profile %q", username)
	}
}

// Joins tells how often a connection has asked to join a channel, refused and
// unanswered ones included.
func (s *Server) Joins() int {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.proxy.joins
}

// Connections tells how many WebSocket connections are open now.
func (s *Server) Connections() int {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return len(s.state.proxy.open)
}

// DropConnections closes all WebSocket connections under the client: without
// a close frame, and without what was not yet sent. New ones are welcome.
func (s *Server) DropConnections() {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	for c := range s.state.proxy.open {
		s.state.proxy.drop(c)
		c.wire.Conn.Close() // the wire would first send what it has
	}
}

// Freeze makes all WebSocket connections that are open now like those to a
// dead host: nothing is answered or sent any more, pings included, and what
// comes in is lost. They stay open until the client or the server closes them.
func (s *Server) Freeze() {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	for c := range s.state.proxy.open {
		c.wire.frozen.Store(true)
	}
}

// RefuseConnections answers the next n WebSocket handshakes with an HTTP status
// and a page, like a proxy in the way. It replaces what an earlier call left.
func (s *Server) RefuseConnections(n, status int) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.proxy.noHandshake = next{n, status}
}

// RefuseJoins answers the next n joins with that status, whatever their token.
// It replaces what an earlier call left.
func (s *Server) RefuseJoins(n, status int) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.proxy.noJoin = next{n, status}
}

// IgnoreJoins never answers the next n joins, nor carries them out. It replaces
// what an earlier call left.
func (s *Server) IgnoreJoins(n int) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.proxy.noAnswer = next{left: n}
}

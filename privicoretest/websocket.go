package privicoretest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"github.com/coder/websocket"
)

// connect serves a WebSocket connection until it ends.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	if status := s.state.refusedHandshake(); status != 0 {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		io.WriteString(w, "<html><body>"+http.StatusText(status)+"</body></html>\n")
		return
	}
	// Pages of any origin may connect. Without a token they get no messages.
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

// Push sends a message, as JSON, to every connection that has joined the channel
// of that profile. It does not wait for its arrival. A profile that the server
// does not have, or a message that cannot be encoded, fails the test; outside a
// test it is logged as an error.
func (s *Server) Push(username string, message any) {
	data, err := json.Marshal(message)
	if err != nil {
		s.complain("push: %v", err)
		return
	}
	s.pushFrame(username, frame{websocket.MessageText, data})
}

// PushRaw sends a text or binary message of any bytes, otherwise like Push.
func (s *Server) PushRaw(username string, binary bool, data []byte) {
	kind := websocket.MessageText
	if binary {
		kind = websocket.MessageBinary
	}
	s.pushFrame(username, frame{kind, bytes.Clone(data)})
}

// PushUnframed writes bytes where a WebSocket frame should begin. They can be a
// broken frame, or the beginning of one that never ends.
func (s *Server) PushUnframed(username string, data []byte) {
	s.pushFrame(username, frame{unframed, bytes.Clone(data)})
}

func (s *Server) pushFrame(username string, f frame) {
	if !s.state.pushTo(username, f) {
		s.complain("no profile %q", username)
	}
}

// Joins returns how often connections have asked to join a channel, including
// requests that were refused or not answered.
func (s *Server) Joins() int {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.proxy.joins
}

// Connections returns how many WebSocket connections are open now.
func (s *Server) Connections() int {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return len(s.state.proxy.open)
}

// DropConnections closes all WebSocket connections, without a close frame and
// without the messages that were not yet sent. New connections are accepted.
func (s *Server) DropConnections() {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	for c := range s.state.proxy.open {
		s.state.proxy.drop(c)
		c.wire.Conn.Close() // wire.Close would send what it has first
	}
}

// Freeze makes all WebSocket connections that are open now behave like those to
// a dead host. Nothing is sent over them any more, not even an answer to a ping,
// and what comes in is lost. They stay open until the client or the server
// closes them.
func (s *Server) Freeze() {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	for c := range s.state.proxy.open {
		c.wire.frozen.Store(true)
	}
}

// RefuseConnections answers the next n WebSocket handshakes with an HTTP status
// and a page in HTML, as a proxy does. It replaces an earlier call.
func (s *Server) RefuseConnections(n, status int) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.proxy.noHandshake = next{n, status}
}

// RefuseJoins answers the next n joins with that status, whatever their token.
// It replaces an earlier call.
func (s *Server) RefuseJoins(n, status int) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.proxy.noJoin = next{n, status}
}

// IgnoreJoins neither answers nor carries out the next n joins. It replaces an
// earlier call.
func (s *Server) IgnoreJoins(n int) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.proxy.noAnswer = next{left: n}
}

package privicoretest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/coder/websocket"
)

// proxy is the WebSocket side of the state, under the same lock: what a
// connection is told has the order in which things happened.
type proxy struct {
	channels map[*profile]*channel
	open     map[*connection]struct{}
	joins    int

	noHandshake times // refuse the handshake with an HTTP status
	noJoin      times // refuse a join with a status
	noAnswer    times // leave a join unanswered

	holding bool
	held    []ack
}

func newProxy() proxy {
	return proxy{channels: make(map[*profile]*channel), open: make(map[*connection]struct{})}
}

// channel is where the messages for a profile go.
type channel struct {
	id     string
	joined []*connection
}

// channel of a profile; it stays the same as long as the server runs.
func (p *proxy) channel(of *profile) *channel {
	ch := p.channels[of]
	if ch == nil {
		ch = &channel{id: newID()}
		p.channels[of] = ch
	}
	return ch
}

// times is a misbehaviour that wears off.
type times struct{ left, status int }

func (t *times) take() bool {
	if t.left <= 0 {
		return false
	}
	t.left--
	return true
}

// listenWebSocket serves the proxy on a port of its own.
func (s *Server) listenWebSocket(listener net.Listener) {
	s.WebSocketURL = "ws://" + reachable(listener.Addr())
	s.websocket = &http.Server{
		Handler:           s.whileOpen(http.HandlerFunc(s.connect)),
		BaseContext:       func(net.Listener) context.Context { return s.stopped },
		ConnContext:       rememberWire,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	s.running.Go(func() { s.websocket.Serve(wires{listener, s.state.config.idleTimeout}) })
}

// connect serves one connection until it ends.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	if status := s.state.refusesHandshake(); status != 0 {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		io.WriteString(w, "<html><body>"+http.StatusText(status)+"</body></html>")
		return
	}
	// Any page may connect: it takes a token to hear something.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	conn.SetReadLimit(maxBody)
	c := &connection{conn: conn, wire: wireOf(r), wake: make(chan struct{}, 1)}
	s.state.opened(c)
	defer s.state.closed_(c)
	c.serve(s.stopped, s.state.dialogue)
}

func (s *state) refusesHandshake() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proxy.noHandshake.take() {
		return s.proxy.noHandshake.status
	}
	return 0
}

func (s *state) connected(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proxy.open[c] = struct{}{}
}

func (s *state) disconnected(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.proxy.open, c)
	s.proxy.part(c)
}

// part takes a connection out of its channel.
func (p *proxy) part(c *connection) {
	if ch := c.joined; ch != nil {
		ch.joined = slices.DeleteFunc(ch.joined, func(other *connection) bool { return other == c })
		c.joined = nil
	}
}

// push sends a message of that type to every connection in the profile's
// channel. It takes data over. The caller holds the lock.
func (s *state) push(p *profile, messageType string, data map[string]any) error {
	ch := s.proxy.channels[p]
	if ch == nil || len(ch.joined) == 0 {
		return nil
	}
	data["type"] = messageType
	encoded, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		return err
	}
	ch.send(message{websocket.MessageText, encoded})
	return nil
}

// send queues a message for every connection in the channel. Nobody changes
// its bytes after that.
func (ch *channel) send(m message) {
	for _, c := range ch.joined {
		c.send(m)
	}
}

// Package proxytest is a WebSocket proxy in memory, for tests of what talks to
// it. It opens no socket, so that it works in the bubbles of testing/synctest.
//
// A Proxy answers each join as the documentation shows, unless its hooks say
// otherwise. The test pushes messages, and breaks the connection in the ways in
// which networks do: it is dropped, freezes, becomes slow, or is refused.
//
//	proxy := proxytest.New(t)
//	client := &http.Client{Transport: &http.Transport{DialContext: proxy.DialContext}}
//	// Connect to ws://proxy.test with client.
//	proxy.Push(proxytest.Ack(id, 2))
package proxytest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// GoodAnswer is the answer to a join as the documentation shows it, with %s for
// the correlation id.
const GoodAnswer = `{"correlationId":"%s","status":200,"data":{"channelId":"ch-1","message":"Successfully joined profile channel."}}`

// Proxy is a WebSocket proxy. The hooks may be set until the first connection.
// Everything else is safe for concurrent use. Make one with New.
type Proxy struct {
	// Handshake returns the status to refuse the nth handshake with, counted
	// from 1, or 0 to accept it. If it is nil, all are accepted.
	Handshake func(n int) int
	// Answer returns the answer to the nth join, with %s for the correlation id,
	// or "" for none. If it is nil, the answer is GoodAnswer.
	Answer func(n int, token string) string
	// Joined is called after the answer to the nth join was sent, if it is not
	// nil. The connection reads nothing until it returns.
	Joined func(n int, conn *Conn)

	tb       testing.TB
	listener *listener
	refuse   atomic.Bool
	silent   atomic.Bool

	mu         sync.Mutex
	handshakes []http.Header
	joins      []Join
	leaves     []Leave
	closes     []websocket.StatusCode
	conn       *Conn // the newest
	links      []*link
	ended      bool           // no handler begins any more
	handlers   sync.WaitGroup // the server does not wait for those with a WebSocket
}

// Join is a request to join that came.
type Join struct {
	Time  time.Time
	Token string
}

// Leave is a request to leave that came.
type Leave struct {
	Token     string
	ChannelID string
}

// New returns a Proxy that ends with the test. In a bubble, what connects to it
// has to be closed by a cleanup that is registered later.
func New(tb testing.TB) *Proxy {
	p := &Proxy{tb: tb, listener: newListener()}
	server := &http.Server{
		Handler:           http.HandlerFunc(p.serveHTTP),
		ReadHeaderTimeout: time.Minute,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, linkKey{}, conn)
		},
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(p.listener) })
	tb.Cleanup(func() {
		_ = server.Close()
		p.mu.Lock()
		p.ended = true
		for _, l := range p.links {
			_ = l.Close() // the server does not close what became a WebSocket
		}
		p.mu.Unlock()
		serving.Wait()
		p.handlers.Wait()
	})
	return p
}

// DialContext connects to the proxy, whatever the address. It fits
// http.Transport, where it can stand for DialTLSContext too.
func (p *Proxy) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if p.refuse.Load() {
		return nil, refused(network, address)
	}
	near, far := net.Pipe()
	l := newLink(far)
	p.mu.Lock()
	p.links = append(p.links, l)
	p.mu.Unlock()
	select {
	case p.listener.conns <- l:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.listener.closed:
		return nil, refused(network, address)
	}
}

// Refuse says whether new connections are refused.
func (p *Proxy) Refuse(refuse bool) { p.refuse.Store(refuse) }

// Silent says whether joins are left without an answer.
func (p *Proxy) Silent(silent bool) { p.silent.Store(silent) }

// Conn returns the newest connection, or nil if there was none.
func (p *Proxy) Conn() *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn
}

// Push sends a message over the newest connection, and waits until the client
// has read it from the connection. It fails the test if it cannot.
func (p *Proxy) Push(message string) {
	p.tb.Helper()
	conn := p.Conn()
	if conn == nil {
		p.tb.Error("proxytest: there is no connection to push over")
		return
	}
	conn.Push(message)
}

// Drop closes the newest connection as networks do, without a close handshake.
// It does nothing if there was none.
func (p *Proxy) Drop() {
	if conn := p.Conn(); conn != nil {
		conn.Drop()
	}
}

// Freeze has the newest connection swallow everything in both directions. It
// does nothing if there was none.
func (p *Proxy) Freeze() {
	if conn := p.Conn(); conn != nil {
		conn.Freeze()
	}
}

// Handshakes returns the headers of the handshakes that came, also of those that
// were refused.
func (p *Proxy) Handshakes() []http.Header {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.handshakes)
}

// Joins returns the joins that came.
func (p *Proxy) Joins() []Join {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.joins)
}

// JoinTimes returns when joins came.
func (p *Proxy) JoinTimes() []time.Time {
	var times []time.Time
	for _, join := range p.Joins() {
		times = append(times, join.Time)
	}
	return times
}

// Tokens returns the tokens that joins came with.
func (p *Proxy) Tokens() []string {
	var tokens []string
	for _, join := range p.Joins() {
		tokens = append(tokens, join.Token)
	}
	return tokens
}

// Leaves returns the requests to leave that came.
func (p *Proxy) Leaves() []Leave {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.leaves)
}

// Closes returns the close codes of the connections that have ended, -1 for one
// that ended without.
func (p *Proxy) Closes() []websocket.StatusCode {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.closes)
}

func (p *Proxy) serveHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return
	}
	p.handlers.Add(1)
	defer p.handlers.Done()
	p.handshakes = append(p.handshakes, r.Header)
	n := len(p.handshakes)
	p.mu.Unlock()
	if p.Handshake != nil {
		if status := p.Handshake(n); status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	l, _ := r.Context().Value(linkKey{}).(*link)
	p.serve(&Conn{Conn: ws, tb: p.tb, link: l})
}

// request is a request to join or to leave.
type request struct {
	Action        string
	CorrelationID string
	Data          struct{ AuthorizationToken, ChannelID string }
}

func (p *Proxy) serve(conn *Conn) {
	p.mu.Lock()
	p.conn = conn
	p.mu.Unlock()
	defer func() { _ = conn.CloseNow() }()
	for {
		_, data, err := conn.Read(context.Background())
		if err != nil {
			p.mu.Lock()
			p.closes = append(p.closes, websocket.CloseStatus(err))
			p.mu.Unlock()
			return
		}
		var r request
		if json.Unmarshal(data, &r) != nil {
			continue
		}
		switch r.Action {
		case "joinChannel":
			p.join(conn, &r)
		case "leaveChannel":
			p.mu.Lock()
			p.leaves = append(p.leaves, Leave{r.Data.AuthorizationToken, r.Data.ChannelID})
			p.mu.Unlock()
		}
	}
}

func (p *Proxy) join(conn *Conn, r *request) {
	p.mu.Lock()
	p.joins = append(p.joins, Join{time.Now(), r.Data.AuthorizationToken})
	n := len(p.joins)
	p.mu.Unlock()
	conn.CorrelationID = r.CorrelationID
	answer := GoodAnswer
	if p.Answer != nil {
		answer = p.Answer(n, r.Data.AuthorizationToken)
	}
	if answer != "" && !p.silent.Load() {
		answer = strings.ReplaceAll(answer, "%s", r.CorrelationID)
		_ = conn.Write(context.Background(), websocket.MessageText, []byte(answer))
	}
	if p.Joined != nil {
		p.Joined(n, conn)
	}
}

// Ack returns the message that ends a command, with a command_status: 1 for
// running, 2 for succeeded, 3 for failed.
func Ack(commandID string, status int) string {
	return fmt.Sprintf(`{"data":{"type":"X-DPT-CAB-ID","id":"%s","command_status":%d,"body":"device.removed"}}`, commandID, status)
}

package realtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// proxy is a WebSocket proxy in memory, so that it can be in a synctest bubble.
type proxy struct {
	t        *testing.T
	server   *http.Server
	listener *pipeListener
	log      lockedBuffer

	// handshake returns a status to refuse with, or 0; nil means 0.
	handshake func(n int) int
	// answer returns the answer to the nth join, "" for none, with %s for the
	// correlation id; nil means a good one.
	answer func(n int, token string) string
	// joined, if not nil, is called after the answer was sent.
	joined func(n int, conn *peer)

	mu         sync.Mutex
	handshakes int
	joins      []time.Time
	tokens     []string
	leaves     []requestData
	closes     []websocket.StatusCode
	current    *peer
}

// peer is the proxy's end of a connection.
type peer struct {
	*websocket.Conn
	raw *rawConn
}

func (p *peer) push(t *testing.T, text string) {
	t.Helper()
	require.NoError(t, p.Write(t.Context(), websocket.MessageText, []byte(text)))
}

// rawConn can play dead.
type rawConn struct {
	net.Conn
	frozen atomic.Bool
}

func (c *rawConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.frozen.Load() {
			return n, err
		}
	}
}

func (c *rawConn) Write(b []byte) (int, error) {
	if c.frozen.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- &rawConn{Conn: far}:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.closed:
		return nil, errors.New("connection refused")
	}
}

type rawKey struct{}

// newProxy starts a proxy and a channel to it; both end with the test.
func newProxy(t *testing.T, change ...func(*proxy, *Config)) (*proxy, *Channel) {
	p := &proxy{t: t, listener: &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}}
	config := Config{
		URL:        "ws://proxy.test/secret-path",
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: p.listener.dial}},
		Token: func(_ context.Context, refused string) (string, error) {
			if refused != "" {
				return refused, nil
			}
			return "T-first", nil
		},
		Logger:  slog.New(slog.NewTextHandler(&p.log, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Keep:    100,
		KeepFor: time.Minute,
	}
	for _, change := range change {
		change(p, &config)
	}
	p.server = &http.Server{
		Handler: p,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, rawKey{}, conn)
		},
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = p.server.Serve(p.listener) })
	c := New(config)
	t.Cleanup(func() {
		c.Close()
		_ = p.server.Close()
		p.mu.Lock()
		if p.current != nil {
			_ = p.current.raw.Close()
		}
		p.mu.Unlock()
		serving.Wait()
	})
	return p, c
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.handshakes++
	n := p.handshakes
	p.mu.Unlock()
	if p.handshake != nil {
		if status := p.handshake(n); status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	raw, _ := r.Context().Value(rawKey{}).(*rawConn)
	p.serve(&peer{conn, raw})
}

func (p *proxy) serve(conn *peer) {
	p.mu.Lock()
	p.current = conn
	p.mu.Unlock()
	defer conn.CloseNow()
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
			p.leaves = append(p.leaves, r.Data)
			p.mu.Unlock()
		}
	}
}

const goodAnswer = `{"correlationId":"%s","status":200,"data":{"channelId":"ch-1","message":"Successfully joined profile channel."}}`

func (p *proxy) join(conn *peer, r *request) {
	p.mu.Lock()
	p.joins = append(p.joins, time.Now())
	p.tokens = append(p.tokens, r.Data.AuthorizationToken)
	n := len(p.joins)
	p.mu.Unlock()
	answer := goodAnswer
	if p.answer != nil {
		answer = p.answer(n, r.Data.AuthorizationToken)
	}
	if answer != "" {
		if strings.Contains(answer, "%s") {
			answer = fmt.Sprintf(answer, r.CorrelationID)
		}
		_ = conn.Write(context.Background(), websocket.MessageText, []byte(answer))
	}
	if p.joined != nil {
		p.joined(n, conn)
	}
}

func (p *proxy) peer() *peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current
}

func (p *proxy) joinTimes() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]time.Time(nil), p.joins...)
}

func (p *proxy) warnings() int { return strings.Count(p.log.String(), "level=WARN") }

// lockedBuffer is written to by one goroutine and read by another.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// drop ends a connection like a network does.
func (p *peer) drop() { _ = p.raw.Close() }

func ack(id string, status int) string {
	return fmt.Sprintf(`{"data":{"type":"X-DPT-CAB-ID","id":"%s","command_status":%d,"body":"device.removed"}}`, id, status)
}

// silence is a host that swallows connections.
type silence struct{}

func (silence) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

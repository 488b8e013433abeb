package privicore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// fakeChannel is a server with a WebSocket proxy in memory, for synctest
// bubbles. Commands end when the test says so; tokens live for an hour.
type fakeChannel struct {
	t      *testing.T
	client *privicore.Client
	log    lockedBuffer
	conns  chan net.Conn
	closed chan struct{}

	unreachable atomic.Bool // connections to the proxy are refused
	silent      atomic.Bool // joins are not answered
	unwell      atomic.Bool // nobody can authenticate

	mu     sync.Mutex
	status map[string]string // of commands, as /request-status tells it
	polls  []time.Time
	tokens int
	joins  []string // the tokens that came
	conn   *fakeConn
}

type fakeConn struct {
	*websocket.Conn
	raw *fakeRaw
}

// fakeRaw can play dead.
type fakeRaw struct {
	net.Conn
	frozen atomic.Bool
}

func (c *fakeRaw) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.frozen.Load() {
			return n, err
		}
	}
}

func (c *fakeRaw) Write(b []byte) (int, error) {
	if c.frozen.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

type fakeRawKey struct{}

// Accept, Close and Addr make it a net.Listener.
func (f *fakeChannel) Accept() (net.Conn, error) {
	select {
	case conn := <-f.conns:
		return conn, nil
	case <-f.closed:
		return nil, net.ErrClosed
	}
}

func (f *fakeChannel) Close() error   { return nil }
func (f *fakeChannel) Addr() net.Addr { return &net.TCPAddr{} }

func newFakeChannel(t *testing.T, opts ...privicore.Option) *fakeChannel {
	t.Helper()
	f := &fakeChannel{t: t, status: make(map[string]string), conns: make(chan net.Conn), closed: make(chan struct{})}
	proxy := &http.Server{
		Handler: http.HandlerFunc(f.serve),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, fakeRawKey{}, conn)
		},
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = proxy.Serve(f) })
	dialer := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		if f.unreachable.Load() {
			return nil, &net.OpError{Op: "dial", Err: fmt.Errorf("connection refused")}
		}
		near, far := net.Pipe()
		select {
		case f.conns <- &fakeRaw{Conn: far}:
			return near, nil
		case <-f.closed:
			return nil, net.ErrClosed
		}
	}}
	api := fakeAPI(f.call)
	f.client = fakeClient(t, fakeAPI(func(r *http.Request, form url.Values) (*http.Response, error) {
		if r.Header.Get("Upgrade") != "" {
			return dialer.RoundTrip(r)
		}
		return api(r, form)
	}), append([]privicore.Option{
		privicore.WithWebSocketURL("wss://proxy.test"), privicore.WithCredentials("alice", "correct horse"),
		privicore.WithLogger(slog.New(slog.NewTextHandler(&f.log, &slog.HandlerOptions{Level: slog.LevelWarn}))),
	}, opts...)...)
	dialer.DialTLSContext = dialer.DialContext
	t.Cleanup(func() {
		assert.NoError(t, f.client.Close())
		close(f.closed)
		_ = proxy.Close()
		f.drop()
		serving.Wait()
	})
	return f
}

func (f *fakeChannel) serve(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	raw, _ := r.Context().Value(fakeRawKey{}).(*fakeRaw)
	conn := &fakeConn{ws, raw}
	defer ws.CloseNow()
	for {
		_, data, err := ws.Read(context.Background())
		if err != nil {
			return
		}
		var request struct {
			Action        string
			CorrelationID string
			Data          struct{ AuthorizationToken string }
		}
		if json.Unmarshal(data, &request) != nil || request.Action != "joinChannel" {
			continue
		}
		f.mu.Lock()
		f.joins = append(f.joins, request.Data.AuthorizationToken)
		f.conn = conn
		f.mu.Unlock()
		if !f.silent.Load() {
			answer := `{"correlationId":"` + request.CorrelationID + `","status":200,"data":{"channelId":"ch"}}`
			_ = ws.Write(context.Background(), websocket.MessageText, []byte(answer))
		}
	}
}

func (f *fakeChannel) call(r *http.Request, _ url.Values) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case r.URL.Path == "/profile/authenticate" && f.unwell.Load():
		return reply(503, "")
	case r.URL.Path == "/profile/authenticate":
		f.tokens++
		return reply(200, fmt.Sprintf(`{"authorizationToken":"T-%d","expiresAt":"%s"}`,
			f.tokens, time.Now().Add(time.Hour).Format(time.RFC3339)))
	case strings.HasPrefix(r.URL.Path, "/request-status/"):
		f.polls = append(f.polls, time.Now())
		status, ok := f.status[strings.TrimPrefix(r.URL.Path, "/request-status/")]
		switch {
		case !ok:
			return reply(404, "")
		case status == "":
			return reply(202, `["started"]`)
		}
		return reply(200, `["`+status+`"]`)
	}
	id := fmt.Sprintf("01973590-11aa-7c3e-8f00-%012d", len(f.status))
	f.status[id] = ""
	return reply(202, "", "X-DPT-CAB-ID", id)
}

// remove gives a command.
func (f *fakeChannel) remove() *privicore.Command {
	f.t.Helper()
	cmd, err := f.client.Device.Remove(f.t.Context(), device1)
	require.NoError(f.t, err)
	return cmd
}

// finish ends a command; told says whether the channel hears of it.
func (f *fakeChannel) finish(cmd *privicore.Command, told bool) {
	f.mu.Lock()
	f.status[cmd.ID] = "device.device_removed"
	conn := f.conn
	f.mu.Unlock()
	if told {
		ack := `{"data":{"type":"X-DPT-CAB-ID","id":"` + cmd.ID + `","command_status":2,"body":"device.device_removed"}}`
		require.NoError(f.t, conn.Write(f.t.Context(), websocket.MessageText, []byte(ack)))
	}
}

func (f *fakeChannel) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn != nil {
		_ = f.conn.raw.Close()
	}
}

func (f *fakeChannel) freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conn.raw.frozen.Store(true)
}

func (f *fakeChannel) pollTimes() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Time(nil), f.polls...)
}

func (f *fakeChannel) joinTokens() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.joins...)
}

func (f *fakeChannel) warnings() int { return strings.Count(f.log.String(), "level=WARN") }

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

// waitAside waits in a goroutine.
func waitAside(ctx context.Context, cmd *privicore.Command) <-chan error {
	ended := make(chan error, 1)
	go func() {
		result, err := cmd.Wait(ctx)
		if err == nil && (result.ID != cmd.ID || result.Status != privicore.CommandSucceeded) {
			err = fmt.Errorf("unexpected result %+v", result)
		}
		ended <- err
	}()
	return ended
}

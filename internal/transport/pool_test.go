package transport

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func requireOurs(t *testing.T, pool *http.Transport) {
	t.Helper()
	assert.Equal(t, 64, pool.MaxIdleConnsPerHost)
	assert.Zero(t, pool.ResponseHeaderTimeout)
	assert.Equal(t, 64<<10, pool.WriteBufferSize)
	assert.Equal(t, time.Second, pool.ExpectContinueTimeout)
	assert.Positive(t, pool.TLSHandshakeTimeout)
	assert.NotNil(t, pool.DialContext)
	assert.NotNil(t, pool.Proxy)
	assert.Equal(t, 20*time.Second, pool.HTTP2.SendPingTimeout)
	assert.Equal(t, 20*time.Second, pool.HTTP2.PingTimeout)
}

func TestPool(t *testing.T) {
	t.Parallel()
	requireOurs(t, NewPool())
	assert.Nil(t, http.DefaultTransport.(*http.Transport).HTTP2, "the default is left as it is")
}

// Not parallel: it replaces http.DefaultTransport.
func TestDefaultTransportOfTheProgram(t *testing.T) {
	was := http.DefaultTransport
	defer func() { http.DefaultTransport = was }()

	sent := 0
	http.DefaultTransport = roundTrip(func(*http.Request) (*http.Response, error) { sent++; return reply(200, ""), nil })
	requireOurs(t, NewPool())
	tr := New(Config{})
	_, err := tr.Do(t.Context(), get("https://api.test"))
	require.NoError(t, err)
	tr.CloseIdle()
	assert.Equal(t, 1, sent)

	http.DefaultTransport = &http.Transport{Proxy: http.ProxyFromEnvironment, HTTP2: &http.HTTP2Config{MaxReadFrameSize: 1 << 20}, MaxConnsPerHost: 3}
	pool := NewPool()
	requireOurs(t, pool)
	assert.Equal(t, 3, pool.MaxConnsPerHost)
	assert.Equal(t, 1<<20, pool.HTTP2.MaxReadFrameSize)
}

// A connection that has died without a sign is found by pings, and the call is
// sent again over a new one, long before the stall timeout.
func TestDeadHTTP2Connection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), Protocols: new(http.Protocols)}
		s.Protocols.SetUnencryptedHTTP2(true)
		go func() { _ = s.Serve(n) }()
		defer s.Close()

		var first atomic.Pointer[mute]
		pool := NewPool()
		pool.Proxy = nil
		pool.Protocols = s.Protocols
		pool.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := n.DialContext(ctx, "", "")
			if m := (&mute{Conn: c}); err == nil && first.CompareAndSwap(nil, m) {
				c = m
			}
			return c, err
		}
		defer pool.CloseIdleConnections()
		tr := New(Config{Client: &http.Client{Transport: pool}, MaxRetries: 1, StallTimeout: stallTimeout})
		_, err := tr.Do(t.Context(), get("http://api.test"))
		require.NoError(t, err)
		first.Load().on.Store(true)
		start := time.Now()
		answer, err := tr.Do(t.Context(), get("http://api.test"))
		require.NoError(t, err)
		assert.Equal(t, 2, answer.Attempts)
		assert.Less(t, time.Since(start), 41*time.Second)
	})
}

// A pool of the user may send no pings. A connection on which a request timed out is
// then left as soon as nobody uses it.
func TestDeadHTTP2ConnectionOfUsersPool(t *testing.T) {
	t.Parallel()
	for name, bounded := range map[string]func(ctx context.Context) (context.Context, context.CancelFunc){
		"stall": func(ctx context.Context) (context.Context, context.CancelFunc) { return ctx, func() {} },
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 100*time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var dead atomic.Value
			client, url := serveFrames(t, func(conn net.Conn, n int, _ uint32) (silent bool) {
				dead.CompareAndSwap(nil, conn)
				return n > 1 && conn == dead.Load()
			})
			tr := New(Config{Client: client, StallTimeout: 200 * time.Millisecond})
			call := func() error {
				ctx, cancel := bounded(t.Context())
				defer cancel()
				_, err := tr.Do(ctx, get(url))
				return err
			}
			_, err := tr.Do(t.Context(), get(url))
			require.NoError(t, err)
			require.Error(t, call())
			for range 20 {
				// net/http may need a moment to forget a request that timed out.
				if err = call(); err == nil {
					break
				}
			}
			assert.NoError(t, err, "the dead connection is used for ever")
		})
	}
}

// Other pools are not touched.
func TestPingless(t *testing.T) {
	t.Parallel()
	pinging := &http.Transport{HTTP2: &http.HTTP2Config{SendPingTimeout: time.Second}}
	for _, rt := range []http.RoundTripper{NewPool(), pinging, roundTrip(nil)} {
		assert.Nil(t, newRoundTripper(rt, 0).pingless())
	}
	for _, pool := range []*http.Transport{{}, {HTTP2: &http.HTTP2Config{MaxReadFrameSize: 1 << 20}}} {
		assert.Same(t, pool, newRoundTripper(pool, 0).pingless())
	}
}

// mute is a connection that takes what is written and sends it nowhere.
type mute struct {
	net.Conn
	on atomic.Bool
}

func (m *mute) Write(p []byte) (int, error) {
	if m.on.Load() {
		return len(p), nil
	}
	return m.Conn.Write(p)
}

func TestWithSharesThePool(t *testing.T) {
	t.Parallel()
	first := New(Config{})
	assert.Same(t, first.owned, first.With(Config{MaxRetries: 1}).owned)
	assert.Nil(t, first.With(Config{Client: &http.Client{Transport: new(http.Transport)}}).owned)
}

package proxytest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a test that notes errors instead of failing.
type recorder struct {
	testing.TB
	errors int
}

func (r *recorder) Helper()               {}
func (r *recorder) Error(...any)          { r.errors++ }
func (r *recorder) Errorf(string, ...any) { r.errors++ }

func dial(t *testing.T, p *Proxy, url string) (*websocket.Conn, error) {
	t.Helper()
	transport := &http.Transport{DialContext: p.DialContext, DialTLSContext: p.DialContext}
	conn, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err == nil {
		t.Cleanup(func() { _ = conn.CloseNow() })
	}
	return conn, err
}

func join(t *testing.T, conn *websocket.Conn) {
	t.Helper()
	request := `{"action":"joinChannel","correlationId":"c-1","data":{"authorizationToken":"T-1"}}`
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte("no JSON")))
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(request)))
}

func read(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	_, data, err := conn.Read(t.Context())
	require.NoError(t, err)
	return string(data)
}

func TestJoinAndLeave(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"ws://proxy.test", "wss://proxy.test"} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := New(t)
				assert.Nil(t, p.Conn())
				conn, err := dial(t, p, url)
				require.NoError(t, err)
				join(t, conn)
				assert.Equal(t, strings.Replace(GoodAnswer, "%s", "c-1", 1), read(t, conn))
				assert.Equal(t, []Join{{time.Now(), "T-1"}}, p.Joins())
				assert.Equal(t, []time.Time{time.Now()}, p.JoinTimes())
				assert.Equal(t, []string{"T-1"}, p.Tokens())
				assert.Equal(t, "c-1", p.Conn().CorrelationID)
				go p.Push(Ack("a", 2)) // waits for the reader
				assert.Contains(t, read(t, conn), `"id":"a","command_status":2`)

				leave := `{"action":"leaveChannel","data":{"authorizationToken":"T-1","channelId":"ch-1"}}`
				require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(leave)))
				require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
				synctest.Wait()
				assert.Equal(t, []Leave{{"T-1", "ch-1"}}, p.Leaves())
				assert.Equal(t, []websocket.StatusCode{websocket.StatusNormalClosure}, p.Closes())
			})
		})
	}
}

func TestHooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(t)
		p.Handshake = func(n int) int { return []int{0, http.StatusTeapot, 0}[n] }
		p.Answer = func(n int, token string) string { return token }
		p.Joined = func(n int, conn *Conn) { conn.Push(conn.CorrelationID) }
		_, err := dial(t, p, "ws://proxy.test")
		require.ErrorContains(t, err, "418")
		conn, err := dial(t, p, "ws://proxy.test")
		require.NoError(t, err)
		assert.Len(t, p.Handshakes(), 2)
		join(t, conn)
		assert.Equal(t, "T-1", read(t, conn))
		assert.Equal(t, "c-1", read(t, conn))
		p.Silent(true)
		join(t, conn)
		assert.Equal(t, "c-1", read(t, conn))
	})
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(t)
		p.Refuse(true)
		_, err := p.DialContext(t.Context(), "tcp", "proxy.test:80")
		require.ErrorContains(t, err, "connection refused")
		p.Refuse(false)
		_, err = dial(t, p, "ws://proxy.test")
		require.NoError(t, err)
	})
}

func TestAfterTheEnd(t *testing.T) {
	var p *Proxy
	t.Run("ends", func(t *testing.T) { p = New(t) })
	_, err := p.DialContext(t.Context(), "tcp", "proxy.test:80")
	_, ok := errors.AsType[*net.OpError](err)
	assert.True(t, ok, err)
}

func TestBreaks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failing := &recorder{TB: t}
		p := New(failing)
		p.Push("to nobody")
		assert.Equal(t, 1, failing.errors)
		p.Drop()
		p.Freeze()
		conn, err := dial(t, p, "ws://proxy.test")
		require.NoError(t, err)
		synctest.Wait()
		p.Drop()
		_, _, err = conn.Read(t.Context())
		require.Error(t, err)
		synctest.Wait()
		p.Push("to a dead connection")
		assert.Equal(t, 2, failing.errors)
		assert.Equal(t, []websocket.StatusCode{-1}, p.Closes())
	})
}

func TestFreezeAndSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(t)
		conn, err := dial(t, p, "ws://proxy.test")
		require.NoError(t, err)
		conn.SetReadLimit(-1)
		synctest.Wait()
		start := time.Now()
		p.Conn().Slow(100)
		p.Conn().Slow(1000)
		p.Push(strings.Repeat("x", 10_000))
		assert.Zero(t, time.Since(start), "writing does not wait")
		assert.Len(t, read(t, conn), 10_000)
		assert.Equal(t, 11*time.Second, time.Since(start))

		p.Push(strings.Repeat("x", 10_000))
		p.Freeze()
		p.Push("swallowed")
		join(t, conn)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, _, err = conn.Read(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Empty(t, p.Joins())
	})
}

package privicoretest_test

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/privicoretest"
)

func TestPush(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ws := joined(t, s, login(t, s, "alice"))
	large := strings.Repeat("x", 700<<10)
	s.Push("alice", map[string]string{"type": large})
	assert.Equal(t, `{"type":"`+large+`"}`, ws.read())

	s.PushRaw("alice", false, []byte(`{"data":`))
	s.PushRaw("alice", true, []byte{0, 1})
	assert.Equal(t, `{"data":`, ws.read())
	kind, data, err := ws.conn.Read(ws.ctx)
	require.NoError(t, err)
	assert.Equal(t, websocket.MessageBinary, kind)
	assert.Equal(t, []byte{0, 1}, data)

	s.Push("alice", "last")
	s.PushUnframed("alice", []byte{0xff, 0})
	assert.Equal(t, `"last"`, ws.read())
	assert.Error(t, ws.ended())
	require.Eventually(t, func() bool { return s.Connections() == 0 }, 5*time.Second, time.Millisecond)
}

func TestWrongPushFailsTheTest(t *testing.T) {
	t.Parallel()
	failed := &recorder{TB: t}
	s := privicoretest.NewServer(failed, privicoretest.WithProfile("alice", password))
	s.Push("nobody", 1)
	s.Push("alice", func() {})
	s.Next("Device.Remove", privicoretest.Fault{Ack: privicoretest.Ack{Body: func() {}}})
	assert.Equal(t, []string{
		`privicoretest: no profile "nobody"`,
		`privicoretest: push: json: unsupported type: func()`,
		`privicoretest: the body of an ack: json: unsupported type: func()`,
	}, failed.messages)
}

func TestRefuseAndIgnoreJoins(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := login(t, s, "alice")
	ws := dial(t, s)
	join := func(id string) {
		ws.send(`{"action":"joinChannel","correlationId":"` + id + `","data":{"authorizationToken":"` + c.token + `"}}`)
	}
	s.RefuseJoins(2, 503)
	s.IgnoreJoins(1)
	for i := range 4 {
		join(fmt.Sprint(i))
	}
	assert.Contains(t, ws.read(), `{"correlationId":"1","status":503,"data":{"message":`)
	assert.Contains(t, ws.read(), `{"correlationId":"2","status":503,"data":{"message":`)
	assert.Contains(t, ws.read(), `{"correlationId":"3","status":200`)
	assert.Equal(t, 4, s.Joins())
}

func TestRefuseConnections(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s.RefuseConnections(1, 502)
	_, response, err := websocket.Dial(ctx, s.WebSocketURL, nil)
	require.Error(t, err)
	assert.Equal(t, 502, response.StatusCode)
	assert.Equal(t, "text/html", response.Header.Get("Content-Type"))
	joined(t, s, login(t, s, "alice"))
}

func TestDropConnections(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := login(t, s, "alice")
	ws := joined(t, s, c)
	s.DropConnections()
	assert.Zero(t, s.Connections())
	assert.ErrorIs(t, ws.ended(), io.EOF)
	assert.Equal(t, websocket.StatusCode(-1), websocket.CloseStatus(ws.ended()), "no close frame")
	ws = joined(t, s, c)
	s.Push("alice", 1)
	assert.Equal(t, "1", ws.read())
}

func TestTheTokensEndDoesNotEndTheConnection(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := login(t, s, "alice")
	ws := joined(t, s, c)
	require.Equal(t, 200, c.post("/profile/revoke-authorization-token").status)
	c = login(t, s, "alice")
	requested := command(c)
	assert.Equal(t, requested.id(t), ws.ack().ID)
}

func TestPolitelyClosed(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ws := joined(t, s, login(t, s, "alice"))
	for range 20_000 {
		s.Push("alice", "in the middle of much")
	}
	require.NoError(t, ws.conn.Close(websocket.StatusNormalClosure, ""))
	require.Eventually(t, func() bool { return s.Connections() == 0 }, 5*time.Second, time.Millisecond)
	s.Push("alice", "for nobody")
}

func TestFreeze(t *testing.T) { bubble(t, testFreeze) }

func testFreeze(t *testing.T) {
	s := serveInMemory(t)
	c := login(t, s, "alice")
	ws := joined(t, s, c)
	var reader sync.WaitGroup
	reader.Go(func() { ws.ended() })
	require.NoError(t, ws.conn.Ping(ws.ctx))
	s.Freeze()
	s.Push("alice", "lost")
	ws.send(`{"action":"joinChannel","correlationId":"lost"}`)
	ctx, cancel := context.WithTimeout(ws.ctx, 5*time.Second)
	defer cancel()
	require.ErrorIs(t, ws.conn.Ping(ctx), context.DeadlineExceeded)
	assert.Equal(t, 1, s.Connections())
	assert.Equal(t, 1, s.Joins())
	ws.conn.CloseNow()
	reader.Wait()
	require.Eventually(t, func() bool { return s.Connections() == 0 }, 5*time.Second, time.Millisecond)
	joined(t, s, c)
}

func TestIdleTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, privicoretest.WithIdleTimeout(3*time.Second))
		ws := joined(t, s, login(t, s, "alice"))
		over := make(chan error, 1)
		go func() { over <- ws.ended() }()
		for range 3 {
			time.Sleep(2 * time.Second)
			require.NoError(t, ws.conn.Ping(ws.ctx), "pings keep it open")
		}
		began := time.Now()
		assert.ErrorIs(t, <-over, io.EOF)
		assert.Equal(t, 3*time.Second, time.Since(began))
		synctest.Wait()
		assert.Zero(t, s.Connections())
	})
}

// A hundred thousand messages arrive, all and in order, however late they are
// read; somebody else who does not read at all is in nobody's way.
func TestSlowConnection(t *testing.T) {
	t.Parallel()
	const n = 20_000
	s := serve(t)
	c := login(t, s, "alice")
	joined(t, s, c)
	ws := joined(t, s, c)
	for i := range n {
		s.Push("alice", i)
	}
	for i := range n {
		if got := ws.read(); got != strconv.Itoa(i) {
			require.Equal(t, strconv.Itoa(i), got)
		}
	}
	assert.Equal(t, 2, s.Connections())
}

func TestConnectionThatNeverReads(t *testing.T) {
	t.Parallel()
	s := serve(t)
	joined(t, s, login(t, s, "alice"))
	for range 32 { // more than the kernel buffers
		s.PushRaw("alice", false, make([]byte, 1<<20))
	}
	const plenty = 4 << 20
	n := 0
	for ; s.Connections() > 0 && n < plenty; n++ {
		s.PushRaw("alice", false, nil)
	}
	assert.Less(t, n, plenty, "it was closed")
	assert.Greater(t, n, 100_000, "but not at once")
}

func TestCloseEndsConnections(t *testing.T) {
	t.Parallel()
	s, err := privicoretest.Start(privicoretest.WithProfile("alice", password))
	require.NoError(t, err)
	c := login(t, s, "alice")
	ws, frozen := joined(t, s, c), joined(t, s, c)
	s.Freeze()
	idle := dial(t, s)
	var pushing sync.WaitGroup
	pushing.Go(func() {
		for range 10_000 {
			s.Push("alice", 1)
		}
	})
	s.Close()
	pushing.Wait()
	assert.Zero(t, s.Connections())
	for _, socket := range []socket{ws, frozen, idle} {
		assert.Error(t, socket.ended())
	}
	_, _, err = websocket.Dial(ws.ctx, s.WebSocketURL, nil)
	assert.Error(t, err)
}

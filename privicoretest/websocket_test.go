package privicoretest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/privicoretest"
)

// socket is a foreign client of the proxy.
type socket struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
}

func dial(t *testing.T, s *privicoretest.Server) socket {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, s.WebSocketURL, &websocket.DialOptions{HTTPClient: s.Client()})
	require.NoError(t, err)
	t.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(1 << 20)
	return socket{t, ctx, conn}
}

// joined is a connection in the channel of the client's profile.
func joined(t *testing.T, s *privicoretest.Server, c client) socket {
	t.Helper()
	ws := dial(t, s)
	ws.send(`{"action":"joinChannel","correlationId":"1","data":{"authorizationToken":"` + c.token + `"}}`)
	require.Contains(t, ws.read(), `"status":200`)
	return ws
}

func (ws socket) send(text string) {
	ws.t.Helper()
	require.NoError(ws.t, ws.conn.Write(ws.ctx, websocket.MessageText, []byte(text)))
}

func (ws socket) read() string {
	ws.t.Helper()
	_, data, err := ws.conn.Read(ws.ctx)
	require.NoError(ws.t, err)
	return string(data)
}

// ended reads until the connection is over.
func (ws socket) ended() error {
	for {
		if _, _, err := ws.conn.Read(ws.ctx); err != nil {
			return err
		}
	}
}

type ack struct {
	Type   string          `json:"type"`
	ID     string          `json:"id"`
	Status int             `json:"command_status"`
	Body   json.RawMessage `json:"body"`
}

func (ws socket) ack() ack {
	ws.t.Helper()
	var m struct{ Data ack }
	require.NoError(ws.t, json.Unmarshal([]byte(ws.read()), &m))
	require.Equal(ws.t, "X-DPT-CAB-ID", m.Data.Type)
	return m.Data
}

func command(c client) answer {
	return c.post("/device/request-unique-identifier", "deviceName", "x")
}

func TestJoinAndLeave(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithProfile("bob", password))
	require.Regexp(t, `^ws://127\.0\.0\.1:\d+$`, s.WebSocketURL)
	c := login(t, s, "alice")
	ws := dial(t, s)
	join := `{"action":"joinChannel","correlationId":"c-1","data":{"authorizationToken":"` + c.token + `"}}`
	ws.send(join)
	first := ws.read()
	assert.Regexp(t, `^\{"correlationId":"c-1","status":200,"data":\{"channelId":"[0-9a-f-]{36}","message":"Successfully joined profile channel."\}\}$`, first)
	ws.send(join)
	assert.Equal(t, first, ws.read(), "again")

	other := dial(t, s)
	other.send(join)
	assert.Equal(t, first, other.read(), "the channel id belongs to the profile")
	ws.send(`{"action":"joinChannel","correlationId":"c-2","data":{"authorizationToken":"` + login(t, s, "bob").token + `"}}`)
	assert.Contains(t, ws.read(), `"status":409`)

	var channel struct{ Data struct{ ChannelID string } }
	require.NoError(t, json.Unmarshal([]byte(first), &channel))
	ws.send(`{"action":"leaveChannel","correlationId":"c-3","data":{"authorizationToken":"` + c.token + `"}}`)
	assert.JSONEq(t, `{"correlationId":"c-3","status":200,"data":{"channelId":"`+channel.Data.ChannelID+`","message":"Successfully left profile channel."}}`, ws.read())
	ws.send(`{"action":"leaveChannel","correlationId":"c-4","data":{"channelId":"` + channel.Data.ChannelID + `"}}`)
	assert.Contains(t, ws.read(), `"status":404`)
	other.send(`{"action":"leaveChannel","correlationId":"c-5","data":{"channelId":"` + channel.Data.ChannelID + `"}}`)
	assert.Contains(t, other.read(), `"status":200`)

	s.Push("alice", "for nobody")
	ws.send(join)
	assert.Equal(t, first, ws.read(), "back, and nothing came in between")
	s.Push("alice", "for one")
	assert.Equal(t, `"for one"`, ws.read())
	assert.Equal(t, 5, s.Joins())
	assert.Equal(t, 2, s.Connections())
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := login(t, s, "alice")
	require.Equal(t, 200, c.post("/profile/revoke-authorization-token").status)
	ws := dial(t, s)
	for request, want := range map[string]string{
		`{"action":"joinChannel","correlationId":"c","data":{"authorizationToken":"T-0"}}`:             `{"correlationId":"c","status":401,"data":{"message":"Unauthorized."}}`,
		`{"action":"joinChannel","correlationId":"c","data":{"authorizationToken":"` + c.token + `"}}`: `{"correlationId":"c","status":401,"data":{"message":"Unauthorized."}}`,
		`{"action":"joinChannel","correlationId":"c"}`:                                                 `{"correlationId":"c","status":422,"data":{"message":"data.authorizationToken: This field is missing."}}`,
		`{"action":"joinChannel","data":{"authorizationToken":"T-0"}}`:                                 `{"status":401,"data":{"message":"Unauthorized."}}`,
		`{"action":"leaveChannel","correlationId":"c","data":{"authorizationToken":"T-0"}}`:            `{"correlationId":"c","status":401,"data":{"message":"Unauthorized."}}`,
		`{"action":"leaveChannel","correlationId":"c","data":{"channelId":"x"}}`:                       `{"correlationId":"c","status":404,"data":{"message":"The connection is not in this channel."}}`,
		`{"action":"dance","correlationId":"c"}`:                                                       `{"correlationId":"c","status":422,"data":{"message":"The action is unknown."}}`,
		`{"action":`:                                                                                   `{"status":400,"data":{"message":"The message is not a JSON object of the expected form."}}`,
	} {
		ws.send(request)
		assert.Equal(t, want, ws.read(), request)
	}
	// What cannot be read is answered without a correlation id.
	ws.send(`{"action":"joinChannel","correlationId":"c","data":"T-0"}`)
	assert.Equal(t, `{"status":400,"data":{"message":"The message is not a JSON object of the expected form."}}`, ws.read())
	require.NoError(t, ws.conn.Write(ws.ctx, websocket.MessageBinary, []byte("{}")))
	assert.Contains(t, ws.read(), `"status":400`)

	alive := login(t, s, "alice")
	ws.send(`{"action":"joinChannel","correlationId":"c","data":{"authorizationToken":"` + alive.token + `"}}`)
	assert.Contains(t, ws.read(), `"status":200`, "the connection is still good")
}

// The documentation wants a correlation id, an observed client sends none and is
// served: both are, in both dialects.
func TestJoinsNeedNoCorrelation(t *testing.T) {
	t.Parallel()
	for _, dialect := range []privicoretest.Dialect{privicoretest.Documented, privicoretest.Observed} {
		s := serve(t, privicoretest.WithDialect(dialect))
		c := login(t, s, "alice")
		ws := dial(t, s)
		ws.send(`{"action":"joinChannel","data":{"authorizationToken":"` + c.token + `"}}`)
		assert.Regexp(t, `^\{"status":200,"data":\{"channelId":"[0-9a-f-]{36}","message":"Successfully joined profile channel."\}\}$`, ws.read())
		ws.send(`{"action":"joinChannel","correlationId":"c","data":{"authorizationToken":"` + c.token + `"}}`)
		assert.Contains(t, ws.read(), `{"correlationId":"c","status":200`)
	}
}

func TestCorrelationOfAnyKind(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := login(t, s, "alice")
	ws := dial(t, s)
	for _, id := range []string{`7`, `1.50`, `12345678901234567890`, `"c"`, `true`, `null`, `["a",1]`, `{"a":{"b":1}}`} {
		for _, action := range []string{"joinChannel", "leaveChannel"} {
			for _, request := range []string{
				`{"action":"` + action + `","correlationId":` + id + `,"data":{"authorizationToken":"` + c.token + `"}}`,
				`{"action":"` + action + `","data":{"correlationId":` + id + `,"authorizationToken":"` + c.token + `"}}`,
				`{"action":"` + action + `","correlationId":` + id + `,"data":{"correlationId":"other","authorizationToken":"` + c.token + `"}}`,
			} {
				ws.send(request)
				assert.True(t, strings.HasPrefix(ws.read(), `{"correlationId":`+id+`,"status":`), request)
			}
		}
	}
}

func TestAnythingElseOnTheProxyPort(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := anonymous(t, s)
	c.base = strings.Replace(s.WebSocketURL, "ws:", "http:", 1)
	assert.Equal(t, 426, c.get("/").status)
	ws := dial(t, s)
	conn, _, err := websocket.Dial(ws.ctx, s.WebSocketURL+"/any/path?at=all", &websocket.DialOptions{
		HTTPHeader: http.Header{"Origin": {"https://elsewhere.test"}},
	})
	require.NoError(t, err)
	assert.Empty(t, conn.Subprotocol())
	require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
}

func TestJoinWithoutKey(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := anonymous(t, s)
	c.outcome(c.post("/profile/register-profile", "username", "carol", "password", password))
	c = login(t, s, "carol")
	ws := joined(t, s, c)
	keys := c.get("/generate-keys")
	registered := c.post("/public-key/register-public-key", "publicKey", keys.field(t, "public"))
	assert.Equal(t, registered.id(t), ws.ack().ID)
	assert.Equal(t, 2, ws.ack().Status)
}

func TestAcks(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithProfile("bob", password))
	c := login(t, s, "alice")
	sockets := []socket{joined(t, s, c), joined(t, s, c)}
	stranger := joined(t, s, login(t, s, "bob"))
	s.Next("Device.Remove", privicoretest.Fault{Reject: []string{"device.in_use", "device.sorry"}})

	done := command(c)
	c.outcome(done)
	failed := c.post("/device/remove", "deviceIdentifier", "x")
	c.outcome(failed)
	notFound := c.post("/device/remove", "deviceIdentifier", "x")
	for _, ws := range sockets {
		for _, want := range []ack{
			{"X-DPT-CAB-ID", done.id(t), 1, json.RawMessage(`"started"`)},
			{"X-DPT-CAB-ID", done.id(t), 2, json.RawMessage(`"device.device_registered"`)},
			{"X-DPT-CAB-ID", failed.id(t), 1, json.RawMessage(`"started"`)},
			{"X-DPT-CAB-ID", failed.id(t), 3, json.RawMessage(`["device.in_use","device.sorry"]`)},
			{"X-DPT-CAB-ID", notFound.id(t), 1, json.RawMessage(`"started"`)},
			{"X-DPT-CAB-ID", notFound.id(t), 3, json.RawMessage(`"device.not_found"`)},
		} {
			assert.Equal(t, want, ws.ack())
		}
	}
	s.Push("bob", 1)
	assert.Equal(t, "1", stranger.read(), "nothing of alice's")
}

func TestAckFaults(t *testing.T) { bubble(t, testAckFaults) }

func testAckFaults(t *testing.T) {
	s := serveInMemory(t)
	c := login(t, s, "alice")
	ws := joined(t, s, c)
	run := func(f privicoretest.Fault) string {
		s.Next("Device.RequestIdentifier", f)
		requested := command(c)
		c.outcome(requested)
		return requested.id(t)
	}
	none := privicoretest.Ack{Pending: -1}

	none.Lose = true
	run(privicoretest.Fault{Ack: none})
	repeated := run(privicoretest.Fault{Ack: privicoretest.Ack{Pending: 3}})
	for _, status := range []int{1, 1, 1, 2} {
		a := ws.ack()
		assert.Equal(t, repeated, a.ID)
		assert.Equal(t, status, a.Status)
	}

	twice := run(privicoretest.Fault{Ack: privicoretest.Ack{Pending: -1, Twice: true}})
	assert.Equal(t, twice, ws.ack().ID)
	assert.Equal(t, twice, ws.ack().ID)

	delayed := run(privicoretest.Fault{Ack: privicoretest.Ack{Pending: -1, Delay: 300 * time.Millisecond}})
	prompt := run(privicoretest.Fault{Ack: privicoretest.Ack{Pending: -1}})
	assert.Equal(t, prompt, ws.ack().ID)
	assert.Equal(t, delayed, ws.ack().ID)

	for _, body := range []any{json.RawMessage("null"), map[string]any{"why": []int{1}}, "", 7} {
		run(privicoretest.Fault{Ack: privicoretest.Ack{Pending: -1, Body: body}})
		want, err := json.Marshal(body)
		require.NoError(t, err)
		assert.JSONEq(t, string(want), string(ws.ack().Body))
	}
}

func TestAckBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := login(t, s, "alice")
	ws := joined(t, s, c)
	s.Next("Device.RequestIdentifier", privicoretest.Fault{Latency: -1, Drop: true, AfterEffect: true})
	_, err := c.try("POST", "/device/request-unique-identifier", "application/x-www-form-urlencoded", "deviceName=x")
	require.ErrorIs(t, err, io.EOF)
	assert.Equal(t, 1, ws.ack().Status)
	assert.Equal(t, 2, ws.ack().Status)
}

func TestHeldAcks(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := login(t, s, "alice")
	ws := joined(t, s, c)
	for order, want := range map[privicoretest.AckOrder][]int{
		privicoretest.InOrder:  {0, 1, 2},
		privicoretest.Reversed: {2, 1, 0},
	} {
		s.HoldAcks()
		var ids []string
		for range 3 {
			requested := command(c)
			c.outcome(requested)
			ids = append(ids, requested.id(t))
			assert.Equal(t, 1, ws.ack().Status)
		}
		assert.Equal(t, 3, s.HeldAcks())
		s.ReleaseAcks(order)
		assert.Zero(t, s.HeldAcks())
		for _, i := range want {
			assert.Equal(t, ids[i], ws.ack().ID)
		}
	}
	c.outcome(command(c))
	assert.Equal(t, 1, ws.ack().Status)
	assert.Equal(t, 2, ws.ack().Status, "no longer held")
}

package privicoretest_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/privicoretest"
)

// delivery is a message that has to do with requested data.
type delivery struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	RequestID   string `json:"requestId"`
	DataContext string `json:"data_context"`
	OutputType  *int   `json:"output_type"`
	Body        any    `json:"body"`
	StreamURL   string `json:"streamUrl"`
}

// delivery reads the next message that is not about a command.
func (ws socket) delivery() delivery {
	ws.t.Helper()
	for {
		var m struct{ Data delivery }
		require.NoError(ws.t, json.Unmarshal([]byte(ws.read()), &m))
		if m.Data.Type != "X-DPT-CAB-ID" {
			return m.Data
		}
	}
}

// downloadURL requests data as documented.
func (c client) downloadURL(ws socket, token string) string {
	c.t.Helper()
	require.Equal(c.t, 202, c.post("/data-token/request-data", "token", token).status)
	for {
		if d := ws.delivery(); d.OutputType != nil && *d.OutputType == 1 {
			return d.Body.(string)
		}
	}
}

func TestRequestDataDocumented(t *testing.T) {
	t.Parallel()
	s := serve(t, withStorage(), privicoretest.WithProfile("bob", password))
	c := login(t, s, "alice")
	token := c.stored("a", "txt", []byte("abc"))
	ws, bob := joined(t, s, c), joined(t, s, login(t, s, "bob"))

	a := c.post("/data-token/request-data", "token", token)
	assert.Equal(t, 202, a.status)
	command, request := a.header.Get("X-DPT-CAB-ID"), a.header.Get("X-DPT-CAB-REQUEST-ID")
	assert.Regexp(t, uuid, command)
	assert.Regexp(t, uuid, request)
	assert.NotEqual(t, command, request)
	assert.Equal(t, `["`+command+`"]`, a.body)

	started, done := ws.ack(), ws.ack()
	assert.Equal(t, []any{command, 1, command, 2}, []any{started.ID, started.Status, done.ID, done.Status})
	assert.JSONEq(t, `{"data":{"type":"X-DPT-CAB-REQUEST-ID","id":"`+request+`","data_context":"test","output_type":0,"body":"The data is being prepared."}}`, ws.read())
	ready := ws.delivery()
	target, _ := ready.Body.(string)
	assert.Regexp(t, `^127\.0\.0\.1:\d+/\?auth=\w{20,}$`, target)
	assert.True(t, strings.HasPrefix(fileURL(target), s.DownloadURL+"/"))
	assert.Equal(t, []any{"X-DPT-CAB-REQUEST-ID", request, "test", 1}, []any{ready.Type, ready.ID, ready.DataContext, *ready.OutputType})
	got := c.download(target)
	assert.Equal(t, "abc", got.body)
	assert.Equal(t, "3", got.header.Get("Content-Length"))
	assert.Equal(t, 401, c.download(target).status, "used")

	s.Push("bob", "the first")
	assert.Equal(t, `"the first"`, bob.read())
}

func TestRequestDataObserved(t *testing.T) {
	t.Parallel()
	s := serve(t, withStorage(), privicoretest.WithDialect(privicoretest.Observed))
	c := login(t, s, "alice")
	ws := joined(t, s, c)
	commit := func(token string) string {
		var permanent string
		require.NoError(t, json.Unmarshal([]byte(c.commit(token, "a", "bin", 1).body), &permanent))
		return permanent
	}
	largest := make([]byte, 51200)
	token, _ := c.reserved()
	c.exchange(token, largest)
	small := commit(token)
	token, stream := c.reserved()
	c.upload(stream, string(largest))
	streamed := commit(token)
	token, stream = c.reserved()
	c.upload(stream, string(largest)+"x")
	large := commit(token)

	for _, token := range []string{small, streamed} {
		a := c.post("/data-token/request-data", "token", token)
		d := ws.delivery()
		assert.Equal(t, a.header.Get("X-DPT-CAB-REQUEST-ID"), d.ID)
		assert.Equal(t, 0, *d.OutputType)
		data, err := base64.StdEncoding.DecodeString(d.Body.(string))
		require.NoError(t, err)
		assert.Equal(t, largest, data)
	}

	a := c.post("/data-token/request-data", "token", large)
	assert.Equal(t, `{"commandId":"`+a.header.Get("X-DPT-CAB-ID")+`"}`, a.body)
	d, ready := ws.delivery(), ws.delivery()
	assert.Equal(t, 1, *d.OutputType)
	assert.Equal(t, a.header.Get("X-DPT-CAB-REQUEST-ID"), d.ID)
	assert.Equal(t, delivery{Type: "STREAM-READY", RequestID: d.ID, StreamURL: s.DownloadURL + "/"}, ready)
	assert.Equal(t, string(largest)+"x", c.download(ready.StreamURL+"?auth="+d.Body.(string)).body)
}

func TestRequestDataIDs(t *testing.T) {
	t.Parallel()
	s := serve(t, withStorage())
	c := login(t, s, "alice")
	token := c.stored("a", "txt", []byte("abc"))
	s.Next("DataToken.Request", privicoretest.Fault{NoID: true})
	a := c.post("/data-token/request-data", "token", token)
	assert.Empty(t, a.header.Get("X-DPT-CAB-ID")+a.header.Get("X-DPT-CAB-REQUEST-ID")+a.body)
	s.Next("DataToken.Request", privicoretest.Fault{IDShape: privicoretest.StringID})
	a = c.post("/data-token/request-data", "token", token)
	assert.Empty(t, a.header.Get("X-DPT-CAB-ID"))
	assert.NotEmpty(t, a.header.Get("X-DPT-CAB-REQUEST-ID"))
	assert.Equal(t, `["data_token.data_requested"]`, c.outcome(a))
}

func TestDownloadsExpire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, withStorage(), privicoretest.WithSpeed(60)) // a minute in a second
		c := login(t, s, "alice")
		ws := joined(t, s, c)
		token := c.stored("a", "txt", []byte("abc"))
		good, late := c.downloadURL(ws, token), c.downloadURL(ws, token)
		time.Sleep(900 * time.Millisecond)
		assert.Equal(t, 200, c.download(good).status)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		assert.Equal(t, 401, c.download(late).status)
	})
}

func TestDownloadsDieWithTheirData(t *testing.T) {
	t.Parallel()
	s := serve(t, withStorage())
	c := login(t, s, "alice")
	ws := joined(t, s, c)
	token := c.stored("a", "txt", []byte("abc"))
	deleted := c.downloadURL(ws, token)
	c.outcome(c.post("/data-token/delete-data", "token", token))
	assert.Equal(t, 401, c.download(deleted).status)
}

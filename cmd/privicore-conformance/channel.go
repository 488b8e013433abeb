package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/tidwall/gjson"

	"github.com/privicore/privicore-go/internal/operation"
)

// maxMessage is the size of the largest message, in bytes. A payload of 50 KB in
// base64 fits.
const maxMessage = 1 << 20

// channel is a WebSocket connection of its own beside that of the client. It keeps
// the messages as they came, because the client reads them tolerantly.
type channel struct {
	id   string // from the answer to the join
	conn *websocket.Conn
	done chan struct{} // closed when the reader has ended

	mu       sync.Mutex
	messages []gjson.Result
	arrived  chan struct{} // closed and replaced with each message
}

// dial opens a channel that has not joined yet.
func dial(ctx context.Context, client *http.Client, url string, secrets *secrets) (*channel, error) {
	conn, resp, err := websocket.Dial(ctx, url, dialOptions(client)) //nolint:bodyclose // Dial says that it never has to be closed
	if err != nil {
		if resp != nil {
			return nil, fmt.Errorf("the handshake is answered with %d", resp.StatusCode)
		}
		return nil, fmt.Errorf("the proxy cannot be reached: %s", cause(cmp.Or(ctx.Err(), err)))
	}
	conn.SetReadLimit(maxMessage)
	c := &channel{conn: conn, done: make(chan struct{}), arrived: make(chan struct{})}
	go c.read(context.WithoutCancel(ctx), secrets)
	return c, nil
}

// read keeps what comes until the connection ends.
func (c *channel) read(ctx context.Context, secrets *secrets) {
	defer close(c.done)
	for {
		_, data, err := c.conn.Read(ctx)
		if err != nil {
			return
		}
		if !gjson.ValidBytes(data) {
			continue
		}
		message := gjson.ParseBytes(data)
		secrets.received(message)
		c.mu.Lock()
		c.messages = append(c.messages, message)
		close(c.arrived)
		c.arrived = make(chan struct{})
		c.mu.Unlock()
	}
}

// close ends the connection.
func (c *channel) close() {
	_ = c.conn.CloseNow()
	<-c.done
}

// alive reports whether the connection is open.
func (c *channel) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// await returns the first message that matches, as soon as it has come.
func (c *channel) await(ctx context.Context, patience time.Duration, matches func(gjson.Result) bool) (gjson.Result, bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		c.mu.Lock()
		i := slices.IndexFunc(c.messages, matches)
		arrived := c.arrived
		var message gjson.Result
		if i >= 0 {
			message = c.messages[i]
		}
		c.mu.Unlock()
		if i >= 0 {
			return message, true
		}
		select {
		case <-arrived:
		case <-c.done:
			return gjson.Result{}, false
		case <-ctx.Done():
			return gjson.Result{}, false
		}
	}
}

// about returns the messages that came about an id.
func (c *channel) about(id string) []gjson.Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []gjson.Result
	for _, message := range c.messages {
		if message.Get("data.id").Str == id || message.Get("data.requestId").Str == id {
			found = append(found, message)
		}
	}
	return found
}

// request sends a request and returns its answer.
func (c *channel) request(ctx context.Context, action string, data map[string]string, patience time.Duration) (gjson.Result, error) {
	correlation := rand.Text()
	message, err := json.Marshal(map[string]any{"action": action, "correlationId": correlation, "data": data})
	if err != nil {
		return gjson.Result{}, err
	}
	if err := c.conn.Write(ctx, websocket.MessageText, message); err != nil {
		return gjson.Result{}, err
	}
	answer, ok := c.await(ctx, patience, func(m gjson.Result) bool { return m.Get("correlationId").Str == correlation })
	if !ok {
		return answer, fmt.Errorf("%s has no answer with its correlationId", action)
	}
	return answer, nil
}

// channelAnswer is the form of the answer to a join or a leave.
var channelAnswer = object(
	has("correlationId", text),
	has("status", number),
	has("data", object(has("channelId", text), has("message", text))),
)

// ask sends a request over a channel and compares the answer. It returns the id of
// the channel, and whether the request was carried out.
func (f *finding) ask(ctx context.Context, c *channel, action string, data map[string]string) (channelID string, ok bool) {
	answer, err := c.request(ctx, action, data, f.s.settings.timeout/2)
	if err != nil {
		f.differs("%s has no answer with its correlationId", action)
		return "", false
	}
	if status := answer.Get("status"); status.Int() != http.StatusOK {
		f.differs("%s is refused with status %d: `%s`", action, status.Int(), f.s.secrets.shape(answer))
		return "", false
	}
	p := &probe{secrets: f.s.secrets}
	channelAnswer(p, "the answer to "+action, answer)
	for _, problem := range p.problems {
		f.differs("%s", problem)
	}
	return answer.Get("data.channelId").Str, true
}

// listen opens the channel of an account, if there is a proxy. If it cannot, the
// finding of the channel says why, and it does not try again.
func (s *session) listen(ctx context.Context, a *account) {
	if s.settings.wsURL == "" || a.channel != nil && a.channel.alive() {
		return
	}
	a.channel = nil
	if s.deaf {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.settings.timeout/4)
	defer cancel()
	c, err := dial(ctx, s.http, s.settings.wsURL, s.secrets)
	if err != nil {
		s.deaf, s.socket.unreachable = true, err.Error()
		return
	}
	id, ok := s.socket.ask(ctx, c, "joinChannel", map[string]string{"authorizationToken": a.token})
	if !ok {
		s.deaf = true
		c.close()
		return
	}
	c.id, a.channel = id, c
}

// leave leaves the channel as documented, or else as recorded, and closes it.
func (s *session) leave(ctx context.Context, a *account) {
	if a == nil || a.channel == nil {
		return
	}
	defer a.channel.close()
	s.socket.others(a.channel)
	if !a.channel.alive() {
		s.socket.note("the proxy closed a connection before the end of the run")
		return
	}
	answer, err := a.channel.request(ctx, "leaveChannel", map[string]string{"authorizationToken": a.token}, s.settings.timeout/2)
	if err == nil && answer.Get("status").Int() == http.StatusOK {
		s.socket.note("a channel is left by the token")
	} else {
		s.socket.note("a channel is not left by the token")
		if _, ok := s.socket.ask(ctx, a.channel, "leaveChannel", map[string]string{"channelId": a.channel.id}); !ok {
			return
		}
		s.socket.note("a channel is left by its id")
	}
	s.rejoin(ctx, a)
}

// rejoin joins again on the same connection, as recorded clients do: without a
// correlationId. The documentation asks for one.
func (s *session) rejoin(ctx context.Context, a *account) {
	joined := func(m gjson.Result) bool {
		return !m.Get("correlationId").Exists() && m.Get("data.channelId").Exists()
	}
	message, err := json.Marshal(map[string]any{
		"action": "joinChannel", "data": map[string]string{"authorizationToken": a.token},
	})
	if err == nil {
		err = a.channel.conn.Write(ctx, websocket.MessageText, message)
	}
	if err != nil {
		s.socket.note("the connection does not stay open when its channel is left")
		return
	}
	if _, ok := a.channel.await(ctx, s.settings.ackGrace, joined); ok {
		s.socket.note("a connection can join again, and needs no correlationId for it")
		return
	}
	s.socket.note("a connection that joins again without a correlationId has no answer")
}

// others notes the messages of types that are not known.
func (f *finding) others(c *channel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, message := range c.messages {
		switch message.Get("data.type").Str {
		case commandMessage, answerMessage, streamReady:
		default:
			if !message.Get("correlationId").Exists() {
				f.note("other messages come too: `%s`", f.s.secrets.shape(message))
			}
		}
	}
}

// The values of command_status.
const (
	statusPending = iota + 1
	statusSucceeded
	statusFailed
)

// ackForm is the form of a message about a command.
var ackForm = object(
	has("type", text), has("id", text), has("command_status", number), has("body", anything),
)

// The forms of the messages that announce data.
var (
	announcementForm = object(
		has("type", text), has("id", text), has("data_context", anyText), has("output_type", number), has("body", text),
	)
	streamForm = object(has("type", text), has("streamUrl", text), may("id", text), may("requestId", text))
)

// The types of messages.
const (
	commandMessage = "X-DPT-CAB-ID"
	answerMessage  = "X-DPT-CAB-REQUEST-ID"
	streamReady    = "STREAM-READY"
)

// acknowledged looks for the message that ends a command.
func (f *finding) acknowledged(ctx context.Context, a *account, id string, succeeded bool) {
	if a.channel == nil {
		return
	}
	end, ok := a.channel.await(ctx, f.s.settings.ackGrace, func(m gjson.Result) bool {
		return holds(m.Get("data"), id) && m.Get("data.command_status").Int() != statusPending
	})
	if !ok {
		f.differs("no acknowledgement of the outcome comes over the WebSocket")
		return
	}
	p := &probe{secrets: f.s.secrets}
	ackForm(p, "the acknowledgement", end.Get("data"))
	for _, problem := range p.problems {
		f.differs("%s", problem)
	}
	data := end.Get("data")
	f.expect(data.Get("type").Str == commandMessage, "the acknowledgement has another type than X-DPT-CAB-ID")
	f.expect(data.Get("id").Str == id, "the id in the acknowledgement is not that of the command")
	want := int64(statusSucceeded)
	if !succeeded {
		want = statusFailed
	}
	if got := data.Get("command_status"); got.Type == gjson.Number && got.Int() != want {
		f.differs("the command_status of the acknowledgement is %d, not %d", got.Int(), want)
	}
	started := slices.ContainsFunc(a.channel.about(id), func(m gjson.Result) bool {
		return m.Get("data.command_status").Int() == statusPending
	})
	if !started || time.Since(f.began) < brief { // both kinds of servers say it of a command that lasts
		f.s.dialect.started(f.op, started)
	}
}

// finalAnnouncement reports whether a message is the last that announces data.
func finalAnnouncement(m gjson.Result) bool {
	body := m.Get("data.body").Str
	_, err := base64.StdEncoding.DecodeString(body)
	inline := m.Get("data.output_type").Int() == 0 && len(body) >= smallPayload && err == nil
	return inline || strings.Contains(body, "auth=") || m.Get("data.type").Str == streamReady
}

// announced compares the messages that announce requested data.
func (f *finding) announced(ctx context.Context, a *account, requestID string, op *operation.Operation) {
	a.channel.await(ctx, f.s.settings.ackGrace, func(m gjson.Result) bool {
		return holds(m.Get("data"), requestID) && finalAnnouncement(m)
	})
	messages := a.channel.about(requestID)
	for _, message := range messages {
		data := message.Get("data")
		p := &probe{secrets: f.s.secrets}
		switch data.Get("type").Str {
		case answerMessage:
			announcementForm(p, "the announcement", data)
		case streamReady:
			streamForm(p, "the STREAM-READY message", data)
		default:
			f.differs("a message about the data is neither X-DPT-CAB-REQUEST-ID nor STREAM-READY")
		}
		for _, problem := range p.problems {
			f.differs("%s", problem)
		}
	}
	f.expect(len(messages) > 0, "no message announces the data over the WebSocket")
	f.s.dialect.announced(op, messages)
}

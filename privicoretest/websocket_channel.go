package privicoretest

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/coder/websocket"
)

// proxy is the part of the state for WebSocket. The lock of the state guards it
// too, so that messages are sent in the order of what they report.
type proxy struct {
	open     map[*connection]struct{}
	channels map[*profile]*channel
	joins    int

	noHandshake next // refused with an HTTP status
	noJoin      next // refused with a status
	noAnswer    next

	holding bool
	held    []heldAck

	overtaken map[*profile][]*command // whose outcomes come after the next one
}

func newProxy() proxy {
	return proxy{
		open:      make(map[*connection]struct{}),
		channels:  make(map[*profile]*channel),
		overtaken: make(map[*profile][]*command),
	}
}

// next is a fault of the next few connections or joins.
type next struct{ left, status int }

func (n *next) take() bool {
	if n.left <= 0 {
		return false
	}
	n.left--
	return true
}

// channel has the connections that get the messages for a profile.
type channel struct {
	id     string
	joined []*connection
}

// channel returns the channel of a profile. It is the same as long as the server
// runs.
func (p *proxy) channel(of *profile) *channel {
	ch := p.channels[of]
	if ch == nil {
		ch = &channel{id: newID()}
		p.channels[of] = ch
	}
	return ch
}

// listened reports whether a connection is in the channel of a profile.
func (p *proxy) listened(to *profile) bool {
	ch := p.channels[to]
	return ch != nil && len(ch.joined) > 0
}

// send queues a frame for every connection in the profile's channel.
func (p *proxy) send(to *profile, f frame) {
	if ch := p.channels[to]; ch != nil {
		for _, c := range ch.joined {
			c.send(f)
		}
	}
}

func (p *proxy) leave(c *connection) {
	if ch := c.channel; ch != nil {
		ch.joined = slices.DeleteFunc(ch.joined, func(other *connection) bool { return other == c })
		c.channel = nil
	}
}

func (p *proxy) drop(c *connection) {
	p.leave(c)
	delete(p.open, c)
}

// dropAll closes the connections in the channel of a profile, without what was
// not yet sent.
func (p *proxy) dropAll(of *profile) {
	if ch := p.channels[of]; ch != nil {
		for _, c := range slices.Clone(ch.joined) {
			p.drop(c)
			c.wire.Conn.Close() // wire.Close would send what it has first
		}
	}
}

// freezeAll freezes the connections in the channel of a profile.
func (p *proxy) freezeAll(of *profile) {
	if ch := p.channels[of]; ch != nil {
		for _, c := range ch.joined {
			c.wire.frozen.Store(true)
		}
	}
}

func (s *state) refusedHandshake() (status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proxy.noHandshake.take() {
		return s.proxy.noHandshake.status
	}
	return s.random.handshakeStatus()
}

func (s *state) connected(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proxy.open[c] = struct{}{}
}

func (s *state) disconnected(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proxy.drop(c)
}

// pushTo sends a frame to the profile with that name. It reports whether there
// is one.
func (s *state) pushTo(username string, f frame) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.profiles[username]
	if p != nil {
		s.proxy.send(p, f)
	}
	return p != nil
}

// push sends a message of that type to every connection in the profile's
// channel. The caller holds the lock and does not use data afterwards.
func (s *state) push(p *profile, messageType string, data map[string]any) {
	if !s.proxy.listened(p) {
		return
	}
	data["type"] = messageType
	if encoded, err := json.Marshal(map[string]any{"data": data}); err == nil {
		s.proxy.send(p, frame{websocket.MessageText, encoded})
	}
}

// channelRequest is what a client sends over a connection.
type channelRequest struct {
	Action        string          `json:"action"`
	CorrelationID json.RawMessage `json:"correlationId"`
	Data          struct {
		AuthorizationToken string          `json:"authorizationToken"`
		ChannelID          string          `json:"channelId"`
		CorrelationID      json.RawMessage `json:"correlationId"` // if there is none above
	} `json:"data"`
}

type channelAnswer struct {
	CorrelationID json.RawMessage   `json:"correlationId,omitempty"`
	Status        int               `json:"status"`
	Data          channelAnswerData `json:"data"`
}

type channelAnswerData struct {
	ChannelID string `json:"channelId,omitempty"`
	Message   string `json:"message"`
}

// dialogue answers a request. The answer is queued like other messages, so that
// no message of the channel comes before the answer to the join or after the
// answer to the leave.
func (s *state) dialogue(c *connection, f frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var request channelRequest
	if f.kind != websocket.MessageText || json.Unmarshal(f.data, &request) != nil {
		c.answer(channelRefusal(http.StatusBadRequest, "The message is not a JSON object of the expected form."))
		return
	}
	answer, ok := s.act(c, &request)
	if !ok {
		return
	}
	answer.CorrelationID = request.CorrelationID
	if answer.CorrelationID == nil {
		answer.CorrelationID = request.Data.CorrelationID
	}
	c.answer(answer)
}

// answer sends the answer to a request.
func (c *connection) answer(a channelAnswer) {
	if encoded, err := json.Marshal(a); err == nil {
		c.send(frame{websocket.MessageText, encoded})
	}
}

// act carries out a request. It reports whether the request is answered.
func (s *state) act(c *connection, request *channelRequest) (answer channelAnswer, ok bool) {
	switch request.Action {
	case "joinChannel":
		return s.join(c, request)
	case "leaveChannel":
		return s.leave(c, request), true
	}
	return channelRefusal(http.StatusUnprocessableEntity, "The action is unknown."), true
}

// join meets the faults of a join, or carries it out.
func (s *state) join(c *connection, request *channelRequest) (answer channelAnswer, ok bool) {
	s.proxy.joins++
	fault, status := s.random.join(s.proxy.joins)
	switch {
	case s.proxy.noAnswer.take():
		return channelAnswer{}, false
	case s.proxy.noJoin.take():
		return channelRefusal(s.proxy.noJoin.status, "The channel cannot be joined."), true
	case fault == joinIgnored:
		return channelAnswer{}, false
	case fault == joinRefused:
		return channelRefusal(status, "The channel cannot be joined."), true
	}
	return s.enter(c, request), true
}

// enter adds a connection to the channel of a profile.
func (s *state) enter(c *connection, request *channelRequest) channelAnswer {
	ch, refusal := s.channelOf(request.Data.AuthorizationToken)
	switch {
	case ch == nil:
		return refusal
	case c.channel == nil:
		c.channel = ch
		ch.joined = append(ch.joined, c)
	case c.channel != ch:
		return channelRefusal(http.StatusConflict, "The connection is in another channel.")
	}
	return channelAnswer{Status: http.StatusOK, Data: channelAnswerData{ch.id, "Successfully joined profile channel."}}
}

// leave accepts the token of the profile, as documented, or the id of the
// channel, as recorded.
func (s *state) leave(c *connection, request *channelRequest) channelAnswer {
	ch, id := c.channel, request.Data.ChannelID
	if id == "" {
		named, refusal := s.channelOf(request.Data.AuthorizationToken)
		if named == nil {
			return refusal
		}
		id = named.id
	}
	if ch == nil || ch.id != id {
		return channelRefusal(http.StatusNotFound, "The connection is not in this channel.")
	}
	s.proxy.leave(c)
	return channelAnswer{Status: http.StatusOK, Data: channelAnswerData{ch.id, "Successfully left profile channel."}}
}

// channelOf returns the channel of a token's profile, which needs no key yet. If
// there is none, it returns the refusal.
func (s *state) channelOf(secret string) (*channel, channelAnswer) {
	if secret == "" {
		return nil, channelRefusal(http.StatusUnprocessableEntity, "data.authorizationToken: "+missing)
	}
	t := s.tokens[secret]
	if t == nil || !time.Now().Before(t.expires) {
		return nil, channelRefusal(http.StatusUnauthorized, "Unauthorized.")
	}
	return s.proxy.channel(t.profile), channelAnswer{}
}

func channelRefusal(status int, why string) channelAnswer {
	return channelAnswer{Status: status, Data: channelAnswerData{Message: why}}
}

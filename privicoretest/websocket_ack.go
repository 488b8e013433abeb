package privicoretest

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/coder/websocket"
)

// Ack changes the messages about one command on the WebSocket channel. The
// fields combine; the zero value changes nothing. To send an outcome before the
// HTTP answer, use a negative [Fault.Latency].
type Ack struct {
	// Lose keeps the outcome from being sent.
	Lose bool

	// Twice sends the outcome two times.
	Twice bool

	// Delay is the time from the end of the command to the message with its
	// outcome.
	Delay time.Duration

	// Pending is the number of messages which say that the command has
	// started. 0 leaves it to the dialect: one message, or none if the dialect
	// is Observed and the command is soon over. A negative number means none.
	Pending int

	// Body replaces the body of the outcome by any JSON. Use
	// json.RawMessage("null") for null.
	Body any
}

// Values of command_status.
const (
	commandPending = 1 + iota
	commandSucceeded
	commandFailed
)

// ackMessage is a struct, while other messages are maps, because there are many
// of them and a struct is encoded faster.
type ackMessage struct {
	Data ackData `json:"data"`
}

type ackData struct {
	Type   string `json:"type"`
	ID     string `json:"id"`
	Status int    `json:"command_status"`
	Body   any    `json:"body"`
}

// heldAck is a message with an outcome that waits for ReleaseAcks.
type heldAck struct {
	to    *profile
	frame frame
}

func ackFrame(id string, status int, body any) frame {
	// This cannot fail: Next has encoded the only foreign part, Ack.Body.
	data, _ := json.Marshal(ackMessage{ackData{idHeader, id, status, body}})
	return frame{websocket.MessageText, data}
}

// soon is the longest latency of a command of which an observed server does not
// say that it has started.
const soon = time.Second

// announcesAtOnce reports whether the message that a command has started is
// sent on its acceptance. An observed server sends none for a command that is
// soon over: the first message about such a command is its end.
func (s *state) announcesAtOnce(cmd *command, latency time.Duration) bool {
	return s.config.dialect == Documented || cmd.ack.Pending > 0 || latency > soon
}

// announce sends that a command has started.
func (s *state) announce(cmd *command) {
	cmd.started = true
	if cmd.ack.Pending < 0 || !s.proxy.listened(cmd.owner) {
		return
	}
	f := ackFrame(cmd.id, commandPending, "started")
	for range max(cmd.ack.Pending, 1) {
		s.proxy.send(cmd.owner, f)
	}
}

// acknowledge sends how a command ended, unless its fault says otherwise.
func (s *state) acknowledge(cmd *command) {
	if cmd.owner == nil || cmd.ack.Lose {
		return
	}
	switch cmd.fault {
	case socketDropped:
		s.proxy.dropAll(cmd.owner)
		return
	case socketFrozen:
		s.proxy.freezeAll(cmd.owner)
		return
	case ackOutOfOrder:
		s.sendAfterNext(cmd)
		return
	}
	if cmd.ack.Delay > 0 {
		s.later(cmd.ack.Delay, func() { s.sendOutcome(cmd) })
		return
	}
	s.sendOutcome(cmd)
}

// sendOutcome sends the outcome of a command, and after it those that it was to
// overtake.
func (s *state) sendOutcome(cmd *command) {
	s.sendMessage(cmd)
	s.sendOvertaken(cmd.owner)
}

// sendAfterNext sends an outcome after the next one of the profile. If none comes
// for some time, it sends the outcome then.
func (s *state) sendAfterNext(cmd *command) {
	s.proxy.overtaken[cmd.owner] = append(s.proxy.overtaken[cmd.owner], cmd)
	s.later(patience, func() { s.sendOvertaken(cmd.owner) })
}

// patience is how long an outcome waits for the next one.
const patience = 100 * time.Millisecond

// sendOvertaken sends the outcomes that waited for the next one of the profile.
func (s *state) sendOvertaken(of *profile) {
	overtaken := s.proxy.overtaken[of]
	delete(s.proxy.overtaken, of)
	for _, cmd := range overtaken {
		s.sendMessage(cmd)
	}
}

func (s *state) sendMessage(cmd *command) {
	if !s.proxy.holding && !s.proxy.listened(cmd.owner) {
		return
	}
	status := commandSucceeded
	if cmd.outcome.rejected {
		status = commandFailed
	}
	body := cmd.ack.Body
	if body == nil {
		body = brief(cmd.outcome.messages)
	}
	f := ackFrame(cmd.id, status, body)
	copies := 1
	if cmd.ack.Twice {
		copies = 2
	}
	for range copies {
		if s.proxy.holding {
			s.proxy.held = append(s.proxy.held, heldAck{cmd.owner, f})
		} else {
			s.proxy.send(cmd.owner, f)
		}
	}
}

// brief returns the body of an outcome: null, the only message, or a list.
func brief(messages []string) any {
	switch len(messages) {
	case 0:
		return nil
	case 1:
		return messages[0]
	}
	return messages
}

// AckOrder is an order in which ReleaseAcks sends.
type AckOrder uint8

// The orders.
const (
	InOrder  AckOrder = iota // as the commands ended
	Reversed                 // the last first
)

// HoldAcks keeps back the messages with the outcomes of commands until
// ReleaseAcks. Other messages are sent as usual.
func (s *Server) HoldAcks() {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.proxy.holding = true
}

// HeldAcks returns how many messages are kept back now.
func (s *Server) HeldAcks() int {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return len(s.state.proxy.held)
}

// ReleaseAcks ends HoldAcks. It sends the messages that were kept back to the
// connections that are in the channel now.
func (s *Server) ReleaseAcks(order AckOrder) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	p := &s.state.proxy
	if order == Reversed {
		slices.Reverse(p.held)
	}
	for _, held := range p.held {
		p.send(held.to, held.frame)
	}
	p.holding, p.held = false, nil
}

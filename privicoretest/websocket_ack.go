package privicoretest

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/coder/websocket"
)

// Ack is what happens to the messages about one command on the WebSocket
// channel. The fields combine; the zero value changes nothing. An ack that
// comes before the HTTP answer is a matter of [Fault.Latency].
type Ack struct {
	// Lose keeps the outcome from being sent.
	Lose bool

	// Twice sends the outcome two times.
	Twice bool

	// Delay passes between the end of the command and the sending of its
	// outcome.
	Delay time.Duration

	// Pending is how often it is sent that the command has started. 0 means
	// once, a negative number never.
	Pending int

	// Body replaces the body of the outcome by any JSON; null is
	// json.RawMessage("null").
	Body any
}

// Values of command_status.
const (
	commandPending = 1 + iota
	commandSucceeded
	commandFailed
)

// ackMessage is a struct, unlike other messages, because there are so many.
type ackMessage struct {
	Data ackData `json:"data"`
}

type ackData struct {
	Type   string `json:"type"`
	ID     string `json:"id"`
	Status int    `json:"command_status"`
	Body   any    `json:"body"`
}

// heldAck is an outcome that waits for ReleaseAcks.
type heldAck struct {
	to    *profile
	frame frame
}

func ackFrame(id string, status int, body any) frame {
	// The only foreign part, Ack.Body, was encoded by Next.
	data, _ := json.Marshal(ackMessage{ackData{idHeader, id, status, body}})
	return frame{websocket.MessageText, data}
}

// announce says that a command was accepted.
func (s *state) announce(cmd *command) {
	if cmd.ack.Pending < 0 || !s.proxy.listened(cmd.owner) {
		return
	}
	f := ackFrame(cmd.id, commandPending, "started")
	for range max(cmd.ack.Pending, 1) {
		s.proxy.send(cmd.owner, f)
	}
}

// acknowledge says how a command ended.
func (s *state) acknowledge(cmd *command) {
	if cmd.owner == nil || cmd.ack.Lose {
		return
	}
	if cmd.ack.Delay > 0 {
		s.later(cmd.ack.Delay, func() { s.sendOutcome(cmd) })
		return
	}
	s.sendOutcome(cmd)
}

func (s *state) sendOutcome(cmd *command) {
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

// brief is a list without its brackets where it needs none.
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

const (
	InOrder  AckOrder = iota // as the commands ended
	Reversed                 // the last one first
)

// HoldAcks keeps the outcomes of commands from the WebSocket channel until
// ReleaseAcks. That a command has started is sent as usual.
func (s *Server) HoldAcks() {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.proxy.holding = true
}

// HeldAcks tells how many outcomes are held back now.
func (s *Server) HeldAcks() int {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return len(s.state.proxy.held)
}

// ReleaseAcks sends what was held back to the connections that are joined now
// and ends HoldAcks.
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

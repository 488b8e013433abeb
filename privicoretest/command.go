package privicoretest

import (
	"net/http"
	"strings"

	"github.com/privicore/privicore-go/internal/operation"
)

// command is a write that was accepted.
type command struct {
	id        string
	operation *operation.Operation
	owner     *profile // nil for a registration
	finished  bool
	outcome   outcome
	made      any // what it brought into being, for operations that ask later
	ack       Ack // what happens to the messages about it
}

// command finds a command by its id, or nil.
func (s *state) command(id string) *command { return s.commands[strings.ToLower(id)] }

// outcome is how a command ended.
type outcome struct {
	rejected bool
	messages []string
}

func succeeded(message string) outcome { return outcome{messages: []string{message}} }

func rejected(reasons ...string) outcome { return outcome{rejected: true, messages: reasons} }

// accept answers 202 and lets the effect happen later, under the lock. The
// effect decides the outcome by the state it then finds.
func (s *state) accept(c *call, effect func(cmd *command) outcome) answer {
	cmd := &command{id: newID(), operation: c.op, owner: c.profile, ack: c.fault.Ack}
	s.commands[cmd.id] = cmd
	s.announce(cmd)
	end := func(o outcome) {
		cmd.outcome, cmd.finished = o, true
		s.acknowledge(cmd)
	}
	finish := func() {
		if c.fault.Reject != nil {
			end(rejected(c.fault.Reject...))
			return
		}
		s.gate(c, func(denied []string) {
			if denied != nil {
				end(rejected(denied...))
				return
			}
			end(effect(cmd))
		})
	}
	switch latency := c.fault.Latency; {
	case latency < 0:
		finish()
	case latency > 0:
		s.later(latency, finish)
	default:
		s.later(s.config.latency, finish)
	}
	return answer{status: http.StatusAccepted, command: &accepted{cmd.id, s.shape(c)}}
}

// shape decides where a command id goes: the call's fault, the server's
// option, what the operation documents, the dialect.
func (s *state) shape(c *call) IDShape {
	switch {
	case c.fault.NoID:
		return nowhere
	case c.fault.IDShape != 0:
		return c.fault.IDShape
	case s.config.shape != 0:
		return s.config.shape
	case c.op.Answer == operation.BareID:
		return HeaderID
	case s.config.dialect == Observed:
		return bothPlaces
	}
	return ArrayID
}

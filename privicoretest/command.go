package privicoretest

import (
	"net/http"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// command is a write that was accepted.
type command struct {
	id        string
	operation *operation.Operation
	owner     *profile // nil for a registration
	started   bool     // its owner was told that it runs
	finished  bool
	outcome   outcome
	made      any  // what the command created, for operations that retrieve it
	ack       Ack  // faults of the messages about it
	fault     kind // random fault of its outcome, or noFault
}

// command returns the command with that id, or nil.
func (s *state) command(id string) *command { return s.commands[strings.ToLower(id)] }

// outcome is how a command ended.
type outcome struct {
	rejected bool
	messages []string
}

func succeeded(message string) outcome { return outcome{messages: []string{message}} }

func rejected(reasons ...string) outcome { return outcome{rejected: true, messages: reasons} }

// accept answers 202 and runs the effect later, under the lock. The effect
// decides the outcome by the state at that time.
func (s *state) accept(c *call, effect func(cmd *command) outcome) answer {
	cmd := &command{id: newID(), operation: c.op, owner: c.profile, ack: c.fault.Ack, fault: c.fault.command}
	s.commands[cmd.id] = cmd
	latency := s.latency(c)
	if s.announcesAtOnce(cmd, latency) {
		s.announce(cmd)
	}
	run := func() { s.carryOutCommand(c, cmd, effect) }
	if latency < 0 {
		run()
	} else {
		s.later(latency, run)
	}
	return answer{status: http.StatusAccepted, command: &accepted{cmd.id, s.shape(c)}}
}

// carryOutCommand ends a command: as its fault says, or by its effect once the
// votes that it needs are in.
func (s *state) carryOutCommand(c *call, cmd *command, effect func(cmd *command) outcome) {
	if c.fault.Reject != nil {
		s.finish(c, cmd, rejected(c.fault.Reject...))
		return
	}
	polls := s.pollsFor(c)
	if len(polls) > 0 && !cmd.started {
		s.announce(cmd)
	}
	s.holdAll(polls, func(denied []string) {
		if denied != nil {
			s.finish(c, cmd, rejected(denied...))
			return
		}
		s.finish(c, cmd, effect(cmd))
	})
}

// finish records the outcome of a command and reports it to the owner.
func (s *state) finish(c *call, cmd *command, o outcome) {
	cmd.outcome, cmd.finished = o, true
	s.logOutcome(c, cmd)
	if o.rejected && c.undo != nil {
		c.undo()
	}
	s.acknowledge(cmd)
}

// latency returns the time from the acceptance of a command to its outcome. A
// negative one means that the command ends before its 202 is sent.
func (s *state) latency(c *call) time.Duration {
	if c.fault.Latency != 0 {
		return c.fault.Latency
	}
	return s.config.latency
}

// shape returns the place of a command id. The first of these decides: the
// fault of the call, the option of the server, the operation, the dialect.
func (s *state) shape(c *call) IDShape {
	switch {
	case c.fault.NoID:
		return nowhere
	case c.fault.IDShape != 0:
		return c.fault.IDShape
	case s.config.shape != 0:
		return s.config.shape
	case s.config.dialect == Observed:
		return bothPlaces
	case c.op.Answer == operation.BareID:
		return HeaderID
	}
	return ArrayID
}

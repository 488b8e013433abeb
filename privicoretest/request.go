package privicoretest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// Request is a request that came to the server.
type Request struct {
	// Operation is the name of the operation, such as "Device.Remove".
	Operation string

	// Username is that of the profile whose token was sent. It is empty for an
	// operation without a token, for a token that is not alive, and on the file
	// servers.
	Username string

	// Parameters are those of the form, the query, the JSON object and the path,
	// by their names on the wire. "***" stands for a secret and for the data of
	// a payload. An upload that was begun has the temporary token in "token".
	// Parameters is nil if there are none or they cannot be read.
	Parameters map[string]any

	// Received is when the request came.
	Received time.Time

	// Executed reports whether the server carried the call out. It did not if
	// it refused the call, or if a fault came before.
	Executed bool

	// Status is that of the HTTP answer, or 0 if the connection was closed
	// without one.
	Status int

	// CommandID is the id of the command that the call began, or "".
	CommandID string

	// Outcome is how the command ended, with what the server says about it.
	// Outcome is empty if there is no command.
	Outcome  Outcome
	Messages []string
}

// Outcome is how far a command is.
type Outcome string

// The outcomes.
const (
	Pending   Outcome = "pending"
	Succeeded Outcome = "succeeded"
	Rejected  Outcome = "rejected"
)

// defaultRequestLog is how many requests are kept by default.
const defaultRequestLog = 10_000

// WithRequestLog sets how many requests the server keeps for [Server.Requests].
// It keeps the latest n, or all if n is negative. The default is 10,000.
func WithRequestLog(n int) Option {
	return func(c *config) { c.requestLog = n }
}

// Requests returns the requests that came for operations, the oldest first.
// Refused and failed ones are among them. Each has the outcome that its command
// has now. The answer to a request is in the log before it is sent, so a caller
// that has an answer finds its request complete. See [WithRequestLog] for how
// many are kept.
func (s *Server) Requests() []Request {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	requests := make([]Request, 0, s.state.requests.len())
	for e := range s.state.requests.all {
		requests = append(requests, e.snapshot())
	}
	return requests
}

// entry is a request in the log. The lock of the state guards it.
type entry struct {
	op       *operation.Operation
	received time.Time
	profile  *profile
	params   map[string]any
	executed bool
	status   int
	command  *command
}

func (e *entry) snapshot() Request {
	r := Request{
		Operation:  e.op.Name,
		Parameters: maps.Clone(e.params),
		Received:   e.received,
		Executed:   e.executed,
		Status:     e.status,
	}
	if e.profile != nil {
		r.Username = e.profile.username
	}
	if e.command == nil {
		return r
	}
	r.CommandID, r.Outcome = e.command.id, Pending
	if e.command.finished {
		r.Outcome = Succeeded
		if e.command.outcome.rejected {
			r.Outcome = Rejected
		}
		r.Messages = slices.Clone(e.command.outcome.messages)
	}
	return r
}

// requestLog has the latest requests. It is a ring once it is full.
type requestLog struct {
	limit   int // negative means none
	entries []*entry
	oldest  int
}

func (l *requestLog) len() int { return len(l.entries) }

// add appends an entry. It drops the oldest one if the log is full.
func (l *requestLog) add(e *entry) {
	switch {
	case l.limit < 0 || len(l.entries) < l.limit:
		l.entries = append(l.entries, e)
	case l.limit > 0:
		l.entries[l.oldest] = e
		l.oldest = (l.oldest + 1) % l.limit
	}
}

// all yields the entries, the oldest first.
func (l *requestLog) all(yield func(*entry) bool) {
	for i := range l.entries {
		if !yield(l.entries[(l.oldest+i)%len(l.entries)]) {
			return
		}
	}
}

// hidden stands for a value that the log does not show.
const hidden = "***"

// secretParameters are the parameters whose values are secret, or a payload.
var secretParameters = []string{
	"password", "currentPassword", "newPassword", "authorization_code", "refresh_token", "data", "auth",
}

// logged returns the parameters of a call as the log shows them.
func (c *call) logged() map[string]any {
	params := make(map[string]any, len(c.params)+1)
	for name, value := range c.params {
		if slices.Contains(secretParameters, name) {
			value = hidden
		}
		params[name] = value
	}
	if name := c.op.PathParameter(); name != "" {
		params[name] = strings.Clone(c.path()) // the path would keep the whole request
	}
	if len(params) == 0 {
		return nil
	}
	return params
}

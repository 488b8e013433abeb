package privicoretest

import "log/slog"

// WithLogger makes the server log each request when it is answered, and the outcome
// of each command, at level Info. Secrets and payloads are left out, as in
// [Server.Requests]. The handler of the logger must not call the server.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) { c.logger = logger }
}

// WithErrorHandler sets what is called with the error if a method of the server is
// used wrongly, for example with the name of an operation that does not exist. It is
// called by the goroutine that calls the method. The default fails the test of
// [NewServer], and logs an error for a server of [Start].
func WithErrorHandler(handle func(error)) Option {
	return func(c *config) { c.misused = handle }
}

// logCall logs a call and its answer. The caller holds the lock.
func (s *state) logCall(c *call, status int) {
	if s.config.logger == nil {
		return
	}
	attrs := []any{"operation", c.op.Name}
	if p := s.caller(c); p != nil {
		attrs = append(attrs, "username", p.username)
	}
	attrs = append(attrs, "parameters", c.logged(), "status", status, "executed", c.entry.executed)
	if c.entry.command != nil {
		attrs = append(attrs, "command", c.entry.command.id)
	}
	s.config.logger.Info("request", attrs...)
}

// logOutcome logs how a command ended. The caller holds the lock.
func (s *state) logOutcome(c *call, cmd *command) {
	if s.config.logger == nil || c.seeded {
		return
	}
	outcome := Succeeded
	if cmd.outcome.rejected {
		outcome = Rejected
	}
	s.config.logger.Info("outcome", "command", cmd.id, "operation", c.op.Name, "outcome", outcome, "messages", cmd.outcome.messages)
}

package privicoretest

import "time"

// WithVoter sets who votes where no test code does: once per attempt of a
// poll, one latency after it began, for every authenticator that has not voted
// by then. A profile without an authenticator has nobody to ask, and the voter
// decides for it. The voter may be called by several goroutines at once, may
// call the server's methods other than Close, and must return for Close to. The
// default says yes.
func WithVoter(voter func(Poll) bool) Option {
	return func(c *config) { c.voter = voter }
}

// WithoutVoter leaves polls to [Server.Vote] and to their time limits.
func WithoutVoter() Option { return WithVoter(nil) }

// WithPolicyLag sets how long after its command a new policy stays hidden from
// a lookup by name. The default is 200 ms.
func WithPolicyLag(d time.Duration) Option {
	return func(c *config) { c.policyLag = d }
}

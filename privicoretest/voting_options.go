package privicoretest

import "time"

// VoteYes is a voter for [WithVoter] and [Server.SetVoter] that always says yes.
func VoteYes(Poll) bool { return true }

// VoteNo is a voter for [WithVoter] and [Server.SetVoter] that always says no.
func VoteNo(Poll) bool { return false }

// WithVoter sets the function that votes for authenticators. It is called once
// per attempt of a poll, one latency after the attempt began. Its answer is the
// vote of every authenticator that has not voted by then. If the poll has no
// authenticator to ask, the answer decides the poll. The voter may be called by
// several goroutines at once and may call the methods of the server, except
// Close, which waits for it. The default is [VoteYes]. [Server.SetVoter] replaces the
// voter later.
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

// SetVoter replaces the voter of [WithVoter], also for polls that are open and whose
// voter has not been asked yet. With nil, polls are left to [Server.Vote] and to
// their time limits.
func (s *Server) SetVoter(voter func(Poll) bool) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.voter = voter
	for _, p := range s.state.polls {
		if p.status == PollOpen {
			s.state.askLater(p)
		}
	}
}

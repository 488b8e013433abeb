package privicoretest

import (
	"slices"
	"strconv"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// poll is a vote of a profile's authenticators. Who creates it sets the fields up
// to over.
type poll struct {
	id              string
	owner           *profile
	operation       *operation.Operation // that waits for it, or nil
	title, question string
	voting          *votingConfiguration  // nil: the settings of the profile
	skip            []string              // devices that are not asked
	over            func(denied []string) // called at the end; nil means passed

	rules   rules
	status  PollStatus
	attempt int
	ballots []string        // devices that are asked in this attempt
	votes   map[string]bool // by device
	expires time.Time
	asked   int // the attempt that the voter was asked about last
}

// rules say how a poll is decided. A poll keeps those of its first attempt.
type rules struct {
	strategy  string
	percent   int // for minimumPercentage
	quorum    int
	timeLimit time.Duration
	attempts  int
}

// rulesOf returns the rules of a new poll: the settings of the profile, and the
// voting configuration where it differs.
func (s *state) rulesOf(p *poll) rules {
	settings := p.owner.voting
	r := rules{
		strategy:  settings.Strategy,
		quorum:    settings.QuorumSize,
		timeLimit: time.Duration(settings.TimeLimit) * time.Second,
		attempts:  settings.NumberOfAttempts,
	}
	r.percent, _ = strconv.Atoi(settings.StrategyParams)
	if v := p.voting; v != nil {
		r.strategy = v.Strategy
		r.timeLimit = time.Duration(v.TimeLimit) * time.Second
		if v.PercentageRequired != nil {
			r.percent = *v.PercentageRequired
		}
	}
	r.timeLimit = s.lasting(r.timeLimit)
	return r
}

// passed reports whether a poll passes with these votes.
func (r *rules) passed(yes, votes int) bool {
	if votes < r.quorum {
		return false
	}
	switch r.strategy {
	case "unanimous":
		return yes == votes
	case "affirmative":
		return yes > 0
	case minimumPercentage:
		return yes*100 >= r.percent*votes
	}
	return yes*2 > votes
}

// certain reports whether the outstanding votes cannot change the outcome, and
// what the outcome then is.
func (r *rules) certain(yes, votes, outstanding int) (passed, certain bool) {
	worst, best := true, false
	for more := range outstanding + 1 {
		worst = worst && r.passed(yes, votes+more)
		best = best || r.passed(yes+more, votes+more)
	}
	return worst, worst == best
}

// open begins a poll with its first attempt.
func (s *state) open(p *poll) {
	p.rules = s.rulesOf(p)
	p.status = PollOpen
	s.polls[p.id] = p
	p.owner.polls = append(p.owner.polls, p)
	s.hold(p)
}

// hold begins the next attempt of a poll, with fresh ballots.
func (s *state) hold(p *poll) {
	p.attempt++
	p.ballots = nil
	for _, d := range p.owner.devices {
		asked := p.voting == nil || len(p.voting.DeviceIdentifiers) == 0 || slices.Contains(p.voting.DeviceIdentifiers, d.id)
		if d.authenticator && asked && !slices.Contains(p.skip, d.id) {
			p.ballots = append(p.ballots, d.id)
		}
	}
	p.votes = make(map[string]bool)
	p.expires = time.Now().Add(p.rules.timeLimit)

	attempt := p.attempt
	s.later(p.rules.timeLimit, func() {
		if p.status == PollOpen && p.attempt == attempt {
			s.settle(p, true)
		}
	})
	s.askLater(p)
}

// askLater asks the voter after a latency, if there is one by then and the
// attempt still runs.
func (s *state) askLater(p *poll) {
	attempt := p.attempt
	s.later(s.config.latency, func() {
		if s.voter != nil && p.status == PollOpen && p.attempt == attempt && p.asked != attempt {
			p.asked = attempt
			s.ask(p)
		}
	})
}

// ask lets the voter cast the ballots that are left. It calls the voter without
// the lock, because the voter may call the server.
func (s *state) ask(p *poll) {
	snapshot, voter := p.snapshot(), s.voter
	s.firing.Go(func() {
		yes := voter(snapshot)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed || p.status != PollOpen || p.attempt != snapshot.Attempt {
			return
		}
		if len(p.ballots) == 0 {
			// There is nobody to ask, so the voter decides.
			s.end(p, yes, "voting.rejected")
			return
		}
		for _, id := range p.ballots {
			if _, voted := p.votes[id]; !voted {
				p.votes[id] = yes
			}
		}
		s.settle(p, false)
	})
}

// settle ends an attempt if its time is up or its outcome is certain.
func (s *state) settle(p *poll, timeIsUp bool) {
	yes := 0
	for _, vote := range p.votes {
		if vote {
			yes++
		}
	}
	outstanding := len(p.ballots) - len(p.votes)
	if timeIsUp {
		outstanding = 0
	}
	if passed, certain := p.rules.certain(yes, len(p.votes), outstanding); certain {
		reason := "voting.rejected"
		if len(p.votes)+outstanding < p.rules.quorum {
			reason = "voting.quorum_not_met"
		}
		s.end(p, passed, reason)
	}
}

// end closes an attempt. The poll ends too if the attempt passed or was the last
// one. The reason is why it did not pass.
func (s *state) end(p *poll, passed bool, reason string) {
	switch {
	case passed:
		p.status = PollPassed
		p.over(nil)
	case p.attempt < p.rules.attempts:
		s.hold(p)
	default:
		p.status = PollFailed
		p.over([]string{"voting.denied", reason})
	}
}

package privicoretest

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Poll is a vote as it stands.
type Poll struct {
	ID        string
	Username  string // of the profile whose authenticators vote
	Title     string
	Question  string
	Operation string // that waits for the outcome, as in "Device.Remove", or "" if the poll was created by hand
	Strategy  string // unanimous, consensus, affirmative or minimum_percentage
	Quorum    int    // least number of votes, of either kind
	Attempt   int    // from 1
	Attempts  int    // that there are at most
	Devices   []string
	Yes, No   int // votes of this attempt
	Status    PollStatus
	ExpiresAt time.Time // end of this attempt
}

// PollStatus is how far a poll has come.
type PollStatus string

const (
	PollOpen   PollStatus = "open"
	PollPassed PollStatus = "passed"
	PollFailed PollStatus = "failed" // in its last attempt
)

// Polls lists the polls of a profile, the oldest first, those that are over
// included. A profile that does not exist fails the test, or is logged as an
// error if there is none.
func (s *Server) Polls(username string) []Poll {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	p := s.state.profiles[username]
	if p == nil {
		s.complain("no profile %q", username)
		return nil
	}
	polls := make([]Poll, 0, len(p.polls))
	for _, poll := range p.polls {
		polls = append(polls, poll.snapshot())
	}
	return polls
}

// Vote casts the vote of an authenticator in the current attempt of a poll. It
// does not wait: what the poll decides happens while it runs, or later. Errors
// are a poll that does not exist or is over, a device that has no ballot and
// one that has voted.
func (s *Server) Vote(pollID, deviceIdentifier string, yes bool) error {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	p := s.state.polls[pollID]
	switch {
	case p == nil:
		return fmt.Errorf("privicoretest: no poll %q", pollID)
	case p.status != PollOpen:
		return errors.New("privicoretest: the poll is over")
	case !slices.Contains(p.ballots, deviceIdentifier):
		return fmt.Errorf("privicoretest: device %q has no ballot in this poll", deviceIdentifier)
	}
	if _, voted := p.votes[deviceIdentifier]; voted {
		return fmt.Errorf("privicoretest: device %q has voted", deviceIdentifier)
	}
	p.votes[deviceIdentifier] = yes
	// A quorum out of reach is no decision: the poll has until its time limit.
	if len(p.ballots) >= p.rules.quorum {
		s.state.settle(p, false)
	}
	return nil
}

var votingFields = []field{
	{"votingConfigurationId", text},
	{"question", text},
	{"title", text},
	{"skipAuthenticatorDevices", optional(textList)},
	{"nonce", optional(text)},
}

// createVoting answers with the poll, or with a command whose id the poll gets.
func createVoting(s *state, c *call) answer {
	v := c.profile.votingConfiguration(c.text("votingConfigurationId"))
	if v == nil {
		return refuse(http.StatusNotFound, "verified_authenticator.voting_configuration_not_found", "The voting configuration was not found.")
	}
	p := &poll{
		id:       newID(),
		owner:    c.profile,
		title:    c.text("title"),
		question: c.text("question"),
		voting:   v,
		skip:     c.ids("skipAuthenticatorDevices"),
		over:     func([]string) {},
	}
	if s.config.dialect == Observed {
		return s.accept(c, func(cmd *command) outcome {
			p.id = cmd.id
			s.open(p)
			return succeeded("voting.voting_created")
		})
	}
	s.open(p)
	return value(map[string]string{"pollId": p.id})
}

func checkPollStatus(s *state, c *call) answer {
	p := s.polls[strings.ToLower(c.path())]
	if p == nil || p.owner != c.profile {
		return refuse(http.StatusNotFound, "voting.not_found", "The poll was not found.")
	}
	snapshot := p.snapshot()
	return value(map[string]any{
		"pollId":    p.id,
		"status":    snapshot.Status,
		"title":     p.title,
		"question":  p.question,
		"strategy":  snapshot.Strategy,
		"quorum":    snapshot.Quorum,
		"attempt":   snapshot.Attempt,
		"attempts":  snapshot.Attempts,
		"votes":     map[string]int{"yes": snapshot.Yes, "no": snapshot.No, "outstanding": len(p.ballots) - len(p.votes)},
		"expiresAt": s.timestamp(snapshot.ExpiresAt),
	})
}

// snapshot is a copy that nobody else holds.
func (p *poll) snapshot() Poll {
	snapshot := Poll{
		ID:        p.id,
		Username:  p.owner.username,
		Title:     p.title,
		Question:  p.question,
		Strategy:  p.rules.strategy,
		Quorum:    p.rules.quorum,
		Attempt:   p.attempt,
		Attempts:  p.rules.attempts,
		Devices:   slices.Clone(p.ballots),
		Status:    p.status,
		ExpiresAt: p.expires,
	}
	if p.operation != nil {
		snapshot.Operation = p.operation.Name
	}
	for yes := range maps.Values(p.votes) {
		if yes {
			snapshot.Yes++
		} else {
			snapshot.No++
		}
	}
	return snapshot
}

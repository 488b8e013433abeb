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

// Poll is the state of a poll at one moment.
type Poll struct {
	ID        string
	Username  string // of the profile whose authenticators vote
	Title     string
	Question  string
	Operation string   // that waits for the outcome, such as "Device.Remove"; "" for a poll of Voting.Create
	Strategy  string   // unanimous, consensus, affirmative or minimum_percentage
	Quorum    int      // least number of votes, yes and no together
	Attempt   int      // from 1
	Attempts  int      // the most there can be
	Devices   []string // that are asked in this attempt
	Yes, No   int      // votes of this attempt
	Status    PollStatus
	ExpiresAt time.Time // end of this attempt
}

// PollStatus says whether a poll has ended, and how.
type PollStatus string

// The states of a poll.
const (
	PollOpen   PollStatus = "open"   // may still be voted in
	PollPassed PollStatus = "passed" // the vote was won
	PollFailed PollStatus = "failed" // the vote was lost in the last attempt
)

// Polls returns the polls of a profile, the oldest first, including those that
// have ended. A profile that does not exist fails the test; outside a test it is
// logged as an error.
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
// does not wait for the command that the poll decides. It returns an error if the
// poll does not exist or has ended, and if the device has no ballot or has voted
// already.
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
	// A poll whose quorum is out of reach runs until its time limit.
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

// createVoting opens a poll. As documented it answers with the poll's id. As
// observed it answers with a command, whose id the poll gets.
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

// snapshot returns a copy of the poll for users.
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

package privicore

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/transport"
)

// VotingService is the section "Voting" of the API: polls that are held for
// their own sake, not because a policy gates something.
type VotingService service

// Poll is a question to the authenticators.
type Poll struct {
	VotingConfigurationID string // how the votes are held
	Title                 string
	Question              string
	// SkipAuthenticatorDevices are not asked.
	SkipAuthenticatorDevices []string
	Nonce                    string // optional
}

// CreatedPoll is a poll that runs.
type CreatedPoll struct {
	answer
	ID string
}

// UnmarshalJSON looks for the identifier where it may be: its field is not
// documented. A bare string and an array of one are taken too.
func (p *CreatedPoll) UnmarshalJSON(data []byte) error {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) == nil {
		for _, name := range []string{"pollId", "poolId", "votingId", "pollIdentifier", "identifier", "id", "commandId"} {
			if json.Unmarshal(fields[name], &p.ID) == nil && p.ID != "" {
				return nil
			}
		}
		return nil
	}
	var ids []string
	if json.Unmarshal(data, &ids) == nil && len(ids) == 1 {
		p.ID = ids[0]
		return nil
	}
	return json.Unmarshal(data, &p.ID)
}

func (p *CreatedPoll) missing() string {
	if p.ID == "" {
		return "the poll identifier"
	}
	return ""
}

// Create puts a question to the authenticators: "Create voting". Servers that
// take it as a command answer with a command id, which is then the poll's; that
// they do is inferred.
func (s *VotingService) Create(ctx context.Context, poll Poll) (*CreatedPoll, error) {
	op := operation.VotingCreate
	if err := checkIdentifier(op, "votingConfigurationId", poll.VotingConfigurationID); err != nil {
		return nil, err
	}
	if err := checkText(op, "title", poll.Title); err != nil {
		return nil, err
	}
	if err := checkText(op, "question", poll.Question); err != nil {
		return nil, err
	}
	body := struct {
		VotingConfigurationID string   `json:"votingConfigurationId"`
		Question              string   `json:"question"`
		Title                 string   `json:"title"`
		Skip                  []string `json:"skipAuthenticatorDevices"`
		Nonce                 string   `json:"nonce,omitempty"`
	}{poll.VotingConfigurationID, poll.Question, poll.Title, slices.Concat([]string{}, poll.SkipAuthenticatorDevices), poll.Nonce}
	p := params{json: body}
	resp, err := s.client.send(ctx, op, &p, "")
	if err != nil {
		return nil, err
	}
	created := new(CreatedPoll)
	if err := decode(resp.Body, created); err != nil || created.ID == "" {
		// A command without a body has its id in the header.
		if created.ID = commandID(resp); created.ID == "" {
			return nil, unreadable(op, &p, resp, "the poll identifier is missing")
		}
	}
	return created, nil
}

// PollStatus is a snapshot of a poll. The fields of the answer are not
// documented: Status is where servers can be expected to say how it stands, and
// RawJSON has all of it.
type PollStatus struct {
	answer
	Status string `json:"status"`
}

// Words for a poll that runs. Any other status is an end.
var runningPoll = []string{"", "open", "active", "running", "pending", "started", "created", "in_progress", "voting", "waiting"}

// Ended reports whether the poll has been decided, as far as Status tells.
func (p *PollStatus) Ended() bool {
	return !slices.Contains(runningPoll, strings.ToLower(p.Status))
}

// CheckStatus returns a snapshot of a poll: "Check pool status".
func (s *VotingService) CheckStatus(ctx context.Context, pollID string) (*PollStatus, error) {
	op := operation.VotingCheckStatus
	if err := checkIdentifier(op, "poolId", pollID); err != nil {
		return nil, err
	}
	return value[PollStatus](ctx, s.client, op, params{path: pollID})
}

const (
	firstPollCheck = 250 * time.Millisecond
	maxPollCheck   = 5 * time.Second
)

// Watch waits for the end of a poll and returns its last snapshot. It asks again
// and again; changed, if it is not nil, is called with every snapshot that
// differs from the one before.
func (s *VotingService) Watch(ctx context.Context, pollID string, changed func(*PollStatus)) (*PollStatus, error) {
	last := ""
	for pause := firstPollCheck; ; pause = min(pause*3/2, maxPollCheck) {
		var status *PollStatus
		err := untilFound(ctx, func() (err error) {
			status, err = s.CheckStatus(ctx, pollID)
			return err
		})
		if err != nil {
			return nil, err
		}
		if raw := string(status.RawJSON()); changed != nil && raw != last {
			last = raw
			changed(status)
		}
		if status.Ended() {
			return status, nil
		}
		timer := time.NewTimer(transport.Jitter(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

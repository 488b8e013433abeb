package privicore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// VotingService is the section "Voting" of the API: polls that are held for
// their own sake, not because a policy gates something.
type VotingService service

// Poll is a question to the authenticators.
type Poll struct {
	// VotingConfiguration says how the votes are held. The documentation
	// speaks of its id; servers were observed to take its name for one.
	VotingConfiguration string
	Title               string
	Question            string
	// SkipAuthenticatorDevices are not asked.
	SkipAuthenticatorDevices []string
	Nonce                    string // optional
}

// PendingPoll is a poll that runs. Its ID outlives the process:
// VotingService.Watch goes on from it.
type PendingPoll struct {
	answer
	ID string

	client  *Client
	command *Command // that makes the poll; nil if it was there at once
}

// Create puts a question to the authenticators: "Create voting". Servers that
// take it as a command answer with a command id, which is then the poll's; that
// they do is inferred.
func (s *VotingService) Create(ctx context.Context, poll Poll) (*PendingPoll, error) {
	op := operation.VotingCreate
	if err := checkIdentifier(op, "votingConfigurationId", poll.VotingConfiguration); err != nil {
		return nil, err
	}
	if err := checkText(op, "title", poll.Title); err != nil {
		return nil, err
	}
	if err := checkText(op, "question", poll.Question); err != nil {
		return nil, err
	}
	for i, id := range poll.SkipAuthenticatorDevices {
		if err := checkIdentifier(op, fmt.Sprintf("skipAuthenticatorDevices[%d]", i), id); err != nil {
			return nil, err
		}
	}
	body := struct {
		VotingConfigurationID string   `json:"votingConfigurationId"`
		Question              string   `json:"question"`
		Title                 string   `json:"title"`
		Skip                  []string `json:"skipAuthenticatorDevices"`
		Nonce                 string   `json:"nonce,omitempty"`
	}{poll.VotingConfiguration, poll.Question, poll.Title, append([]string{}, poll.SkipAuthenticatorDevices...), poll.Nonce}
	p := params{json: body}
	resp, err := s.client.send(ctx, op, &p, "")
	if err != nil {
		return nil, err
	}
	pending := &PendingPoll{ID: pollID(resp), client: s.client}
	if pending.ID == "" {
		return nil, withoutID(op, &p, resp)
	}
	if json.Valid(resp.Body) {
		pending.keep(resp.Body)
	}
	if resp.StatusCode == http.StatusAccepted {
		pending.command, _ = resp.Command()
	}
	return pending, nil
}

// pollID looks for the identifier where it may be: its field is not documented.
// What is taken as a command has it where commands have theirs.
func pollID(resp *Response) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(resp.Body, &fields) == nil {
		for _, name := range []string{"pollId", "poolId", "votingId", "pollIdentifier", "identifier", "id"} {
			if id := word(fields[name]); id != "" {
				return id
			}
		}
	}
	return commandID(resp)
}

// word reads JSON that is a string or a number, or an array of one.
func word(raw json.RawMessage) string {
	var several []json.RawMessage
	if json.Unmarshal(raw, &several) == nil && len(several) == 1 {
		raw = several[0]
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var number json.Number
	_ = json.Unmarshal(raw, &number)
	return number.String()
}

// Result waits until the poll has been decided and returns its last snapshot,
// like VotingService.Watch. A poll that the server does not hold after all is a
// *CommandError with the reason.
func (p *PendingPoll) Result(ctx context.Context) (*PollStatus, error) {
	if p.client == nil {
		return nil, errNoClient
	}
	if p.command != nil {
		if _, err := p.command.Wait(ctx); err != nil {
			return nil, err
		}
	}
	var last *PollStatus
	for status, err := range p.client.Voting.Watch(ctx, p.ID) {
		if err != nil {
			return nil, err
		}
		last = status
	}
	return last, nil
}

// PollStatus is a snapshot of a poll. How it looks is not documented: Status is
// where servers can be expected to say how the poll stands, and RawJSON has all
// of it.
type PollStatus struct {
	answer
	Status string
}

// UnmarshalJSON takes any JSON. The status is in "status", or it is
// the whole, as for a command.
func (p *PollStatus) UnmarshalJSON(data []byte) error {
	var fields struct {
		Status json.RawMessage `json:"status"`
	}
	if json.Unmarshal(data, &fields) == nil {
		p.Status = word(fields.Status)
	} else {
		p.Status = word(data)
	}
	return nil
}

// Words for a poll that runs. Any other status is an end.
var runningPoll = []string{
	"", "open", "opened", "active", "running", "pending", "started", "created", "new", "queued",
	"processing", "in_progress", "ongoing", "voting", "waiting", "undecided", "unresolved",
}

// Ended reports whether the poll has been decided, as far as Status tells: the
// words for it are not documented. Without a Status, the poll runs.
func (p *PollStatus) Ended() bool {
	status := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(p.Status)))
	return !slices.Contains(runningPoll, status)
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

// Watch follows a poll to its end. The sequence begins with a snapshot of the
// poll as it is, goes on with each one that differs from the one before, and is
// over after one that has ended. Servers that tell the end in another way than
// PollStatus.Ended knows are left by a break.
//
// Watch asks again and again, at most every 5 seconds once the poll has lasted:
// polls are not announced over the WebSocket channel. Failures that may pass are
// borne for half a minute, a poll that is not found for 5 seconds. The error
// that ends the sequence is the last element; that ctx ended is one.
func (s *VotingService) Watch(ctx context.Context, pollID string) iter.Seq2[*PollStatus, error] {
	return func(yield func(*PollStatus, error) bool) {
		var last *PollStatus
		var failing failures
		for pause := firstPollCheck; ; pause = min(pause*3/2, maxPollCheck) {
			status, err := s.CheckStatus(ctx, pollID)
			next, err := failing.bear(ctx, err, pause)
			if err != nil {
				yield(nil, err)
				return
			}
			if status != nil && (last == nil || string(status.RawJSON()) != string(last.RawJSON())) {
				if !yield(status, nil) {
					return
				}
				last = status
			}
			if status != nil && status.Ended() {
				return
			}
			if err := s.client.rest(ctx, next); err != nil {
				yield(nil, fmt.Errorf("privicore: watch poll %s: %w", pollID, err))
				return
			}
		}
	}
}

// failures are those of a watch, in a row.
type failures struct{ unknown, others time.Time }

// bear returns the pause before the next try, or the error if there is to be
// none.
func (f *failures) bear(ctx context.Context, err error, pause time.Duration) (time.Duration, error) {
	now := time.Now()
	apiErr, _ := errors.AsType[*APIError](err)
	switch {
	case err == nil:
		*f = failures{}
		return pause, nil
	case ctx.Err() != nil:
		return 0, err
	case errors.Is(err, ErrNotFound):
		return pause, lasts(&f.unknown, now, notFoundHolds, endsBefore(ctx, now.Add(pause)), err)
	case errors.Is(err, ErrRateLimited):
		pause = max(pause, apiErr.RetryAfter)
		if endsBefore(ctx, now.Add(pause)) {
			return 0, err
		}
		return pause, nil
	case errors.Is(err, ErrValidation), errors.Is(err, ErrUnauthorized), errors.Is(err, ErrClosed),
		apiErr != nil && apiErr.StatusCode >= 400 && apiErr.StatusCode < 500:
		return 0, err
	}
	return pause, lasts(&f.others, now, failureHolds, endsBefore(ctx, now.Add(pause)), err)
}

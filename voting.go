package privicore

import (
	"bytes"
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
	"github.com/privicore/privicore-go/internal/wait"
	"github.com/privicore/privicore-go/internal/wire"
)

// VotingService is the section "Voting" of the API: polls that the program creates
// itself, not a policy.
type VotingService service

// CreatePollRequest is a question to the authenticators.
type CreatePollRequest struct {
	// VotingConfiguration is the id or the name of a voting configuration. The
	// documentation asks for the id; servers were observed to take the name.
	VotingConfiguration string
	Title               string
	Question            string
	// SkipAuthenticatorDevices are the authenticators that are not asked.
	SkipAuthenticatorDevices []string
	Nonce                    string // optional
}

// A Poll is a question that has been put to the authenticators. A program that
// keeps the ID can go on with VotingService.Watch.
type Poll struct {
	answer
	ID string

	client  *Client
	command *Command // that creates the poll; nil if the server created it at once
}

// Format leaves out the raw JSON.
func (p Poll) Format(s fmt.State, verb rune) { format(s, verb, p) }

// Create puts a question to the authenticators, and returns the poll. It does not
// wait for votes; Poll.Result does. A server may create the poll by a command. That
// the id of the command is then the id of the poll is inferred.
//
// It is the operation [Create voting].
//
// [Create voting]: https://docs.privicore.com/create-voting-14411489e0
func (s *VotingService) Create(ctx context.Context, poll CreatePollRequest) (*Poll, error) {
	op := operation.VotingCreate
	if err := poll.check(op); err != nil {
		return nil, err
	}
	body := struct {
		VotingConfigurationID string   `json:"votingConfigurationId"`
		Question              string   `json:"question"`
		Title                 string   `json:"title"`
		Skip                  []string `json:"skipAuthenticatorDevices"`
		Nonce                 string   `json:"nonce,omitempty"`
	}{poll.VotingConfiguration, poll.Question, poll.Title, append([]string{}, poll.SkipAuthenticatorDevices...), poll.Nonce}
	created := &Poll{client: s.client}
	err := s.client.send(ctx, op, params{json: body}, created.read)
	if err != nil {
		return nil, err
	}
	return created, nil
}

// read takes the id of a poll from the answer that it was created with.
func (p *Poll) read(r *request, resp *Response) error {
	p.ID = wire.PollID(resp.Body)
	if cmd, err := resp.Command(); err == nil {
		if p.ID == "" {
			p.ID = cmd.ID
		}
		if resp.StatusCode == http.StatusAccepted {
			p.command = cmd
		}
	}
	if p.ID == "" {
		return withoutID(r, resp)
	}
	if wire.IsJSON(resp.Body) {
		p.keep(wire.Whole(resp.Body), 0)
	}
	return nil
}

func (p *CreatePollRequest) check(op *operation.Operation) error {
	if err := checkIdentifier(op, "votingConfigurationId", p.VotingConfiguration); err != nil {
		return err
	}
	if err := checkText(op, "title", p.Title); err != nil {
		return err
	}
	if err := checkText(op, "question", p.Question); err != nil {
		return err
	}
	return checkIdentifiers(op, "skipAuthenticatorDevices", p.SkipAuthenticatorDevices)
}

// withoutID returns the error for a success without the id that the call is for.
func withoutID(r *request, resp *Response) error {
	if resp.StatusCode != http.StatusAccepted {
		return unreadable(r, resp, "the identifier is missing")
	}
	return unusable(r, resp, ErrNoCommandID)
}

// Result waits until the poll has been decided, and returns its last snapshot. Its
// errors are those of VotingService.Watch. If the server rejects the command that
// creates the poll, the error is a *CommandError with the reason.
func (p *Poll) Result(ctx context.Context) (*PollStatus, error) {
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

// PollStatus is a snapshot of a poll. Its fields are not documented: that there is a
// status is inferred. RawJSON has all that the server sent.
type PollStatus struct {
	answer
	Status string
}

// Format leaves out the raw JSON.
func (p PollStatus) Format(s fmt.State, verb rune) { format(s, verb, p) }

// UnmarshalJSON reads any JSON. It takes the status from the field "status", or from
// a text that is the status alone.
func (p *PollStatus) UnmarshalJSON(data []byte) error {
	var fields struct {
		Status json.RawMessage `json:"status"`
	}
	if json.Unmarshal(data, &fields) == nil {
		p.Status = wire.Word(fields.Status)
	} else {
		p.Status = wire.Word(data)
	}
	return nil
}

// Words for a poll that runs. Any other status is an end.
var runningPoll = []string{
	"", "open", "opened", "active", "running", "pending", "started", "created", "new", "queued",
	"processing", "in_progress", "ongoing", "voting", "waiting", "undecided", "unresolved",
}

// Ended reports whether the poll has been decided. The words that servers use are
// not documented: an empty Status and common words such as "open" or "pending" mean
// that the poll is running, any other that it has ended.
func (p *PollStatus) Ended() bool {
	status := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(p.Status)))
	return !slices.Contains(runningPoll, status)
}

// CheckStatus returns a snapshot of a poll. It does not wait for votes. The error
// matches ErrNotFound if the poll does not exist.
//
// It is the operation "Check pool status".
func (s *VotingService) CheckStatus(ctx context.Context, pollID string) (*PollStatus, error) {
	op := operation.VotingCheckStatus
	if err := checkIdentifier(op, "poolId", pollID); err != nil {
		return nil, err
	}
	return value[PollStatus](ctx, s.client, op, params{path: pollID})
}

// pollCheckBackoff is the pauses between two snapshots of a poll.
var pollCheckBackoff = wait.Backoff{First: 250 * time.Millisecond, Max: 5 * time.Second}

// Watch follows a poll to its end. It yields a first snapshot, and then each one that
// differs from the one before. It stops after a snapshot for which PollStatus.Ended
// reports true. The caller leaves the loop if the server uses another word for the
// end.
//
// Polls are not announced over the WebSocket channel, so Watch asks repeatedly, within
// WithPollRate. The pauses grow from a quarter of a second to 5 seconds. If Watch
// fails, it yields a *WaitError as the last element. It fails if ctx ends or the
// client is closed, if the poll is not found or the server refuses to answer for 5
// seconds, and if the server cannot be reached for as long as WithMaxOutage allows.
func (s *VotingService) Watch(ctx context.Context, pollID string) iter.Seq2[*PollStatus, error] {
	return func(yield func(*PollStatus, error) bool) {
		if err := checkIdentifier(operation.VotingCheckStatus, "poolId", pollID); err != nil {
			yield(nil, err)
			return
		}
		var last *PollStatus
		ctx, seen := s.client.config.observeWait(ctx, operation.VotingCheckStatus.Name, pollID)
		err := wait.For(ctx, s.client.waiting, wait.Task[*PollStatus]{
			Name: operation.VotingCheckStatus.Name,
			ID:   pollID,
			Ask: func(ctx context.Context) (*PollStatus, time.Duration, error) {
				// The wait repeats it by itself, at the rate of the limiter.
				seen.asks()
				p := params{path: pollID, noRetry: true}
				status, err := value[PollStatus](ctx, s.client, operation.VotingCheckStatus, p)
				return status, 0, err
			},
			Accept: func(status *PollStatus) (bool, error) {
				if last != nil && bytes.Equal(status.RawJSON(), last.RawJSON()) {
					return false, nil
				}
				last = status
				if !yield(status, nil) {
					return true, errStopped
				}
				return status.Ended(), nil
			},
			Limiter: s.client.limiter,
			Backoff: pollCheckBackoff,
			Timeout: pollTimeout,
		})
		switch {
		case err == nil:
			seen.end(CommandSucceeded, false, nil)
		case errors.Is(err, errStopped):
			seen.end("", false, nil)
		default:
			err = newWaitError(pollID, operation.VotingCheckStatus.Name, err)
			seen.end("", false, err)
			yield(nil, err)
		}
	}
}

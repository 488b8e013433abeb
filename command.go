package privicore

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/realtime"
)

// A Command is a write that the server has accepted and finishes later. Wait
// tells how it ended. A Command is safe for concurrent use.
type Command struct {
	// ID identifies the command on the server. It outlives the process:
	// Client.Command resumes from it.
	ID string

	// Progress, if it is set before Wait is called, is called by Wait, in its
	// goroutine, each time the server reports that the command is still
	// running: usually once over the WebSocket channel, and once for each poll.
	Progress func(*CommandResult) `json:"-"`

	client *Client
	// joined is where the channel stood before the command was sent. The zero
	// Mark means that an outcome may have been missed.
	joined   realtime.Mark
	accepted time.Time // zero if the command was resumed by its id
	outcome  atomic.Pointer[CommandResult]
}

// CommandStatus is how far a command is.
type CommandStatus string

// The states of a command.
const (
	CommandPending   CommandStatus = "pending"
	CommandSucceeded CommandStatus = "succeeded"
	CommandRejected  CommandStatus = "rejected"
)

// CommandResult is what is known of a command.
type CommandResult struct {
	ID     string
	Status CommandStatus
	// Messages is what the server says about it, usually machine keys such as
	// "profile.profile_registered".
	Messages []string
	// Body is the JSON that the messages were taken from; it may be of any
	// type, or nil.
	Body json.RawMessage `json:",omitempty"`
}

// String returns status and messages.
func (r CommandResult) String() string {
	return strings.TrimSpace(string(r.Status) + " " + strings.Join(r.Messages, ", "))
}

// orError is the outcome as Wait returns it.
func (r *CommandResult) orError() (*CommandResult, error) {
	if r.Status == CommandRejected {
		return nil, &CommandError{ID: r.ID, Messages: r.Messages}
	}
	return r, nil
}

// note takes in what was learned of the command, and tells whether that is its
// outcome.
func (c *Command) note(r *CommandResult) bool {
	if r.Status != CommandPending {
		c.outcome.Store(r)
		return true
	}
	if c.Progress != nil {
		c.Progress(r)
	}
	return false
}

// String returns the id.
func (c *Command) String() string { return "command " + c.ID }

// Command returns the command with an id that was kept from before, by this
// process or another. It sends nothing.
func (c *Client) Command(id string) *Command { return &Command{ID: id, client: c} }

// Status asks the server once how far the command is, and does not wait. That
// a command was rejected is in the result, not in the error. The error matches
// ErrNotFound if there is no such command, or not yet.
func (c *Command) Status(ctx context.Context) (*CommandResult, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if r := c.outcome.Load(); r != nil {
		return r, nil
	}
	return c.client.Utility.RequestStatus(ctx, c.ID)
}

// Wait waits until the command has ended, and returns its result. If the server
// rejected the command, the error is a *CommandError with the reasons. If ctx
// ends first, the error matches ctx.Err(); the command goes on, and Wait may be
// called again. If the client is closed, it matches ErrClosed; if the server does
// not know the command for 5 seconds, ErrNotFound.
//
// The outcome comes over the WebSocket channel if the client has one. Without it,
// or while it is down, Wait polls "Request command id status", at first after a
// tenth of a second and later every 3 seconds. It also polls while the channel is
// up, at first after about 20 seconds, because an outcome can be lost on its way.
func (c *Command) Wait(ctx context.Context) (*CommandResult, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	watch := c.client.channel.WatchCommand(c.ID)
	defer watch.Stop()
	return c.wait(ctx, watch)
}

// check tells what keeps the command from being waited for.
func (c *Command) check() error {
	if c == nil || c.client == nil {
		return errNoClient
	}
	return checkIdentifier(operation.UtilityRequestStatus, "commandId", c.ID)
}

var errNoClient = errors.New("privicore: the command does not come from a client; use Client.Command")

// waiters is how many goroutines WaitAll has for commands whose outcomes are
// pushed. It is more than one because the channel may break.
const waiters = 32

// isCovered tells that the outcome will come over the channel if that holds.
func (c *Command) isCovered(watch *realtime.Watch) bool {
	_, missed := c.client.channel.Missed(watch.Since(c.joined))
	return !missed
}

// WaitAll waits for all commands. The results are in the order of cmds, nil
// where there is none; the errors of those that failed are joined. With a
// WebSocket channel it needs far less memory than a goroutine for each.
func WaitAll(ctx context.Context, cmds ...*Command) ([]*CommandResult, error) {
	// All are watched from the start: what ends early must not have to be kept.
	watches := make([]*realtime.Watch, len(cmds))
	for i, cmd := range cmds {
		if cmd.check() == nil {
			watches[i] = cmd.client.channel.WatchCommand(cmd.ID)
			defer watches[i].Stop()
		}
	}
	results := make([]*CommandResult, len(cmds))
	errs := make([]error, len(cmds))
	wait := func(i int) {
		if errs[i] = cmds[i].check(); errs[i] == nil {
			results[i], errs[i] = cmds[i].wait(ctx, watches[i])
		}
	}
	var wg sync.WaitGroup
	var pushed []int // the outcome will come over the channel, so it matters little who waits when
	for i, watch := range watches {
		if watch != nil && cmds[i].isCovered(watch) {
			pushed = append(pushed, i)
		} else {
			wg.Go(func() { wait(i) })
		}
	}
	var next atomic.Int64
	for range min(waiters, len(pushed)) {
		wg.Go(func() {
			for n := int(next.Add(1)); n <= len(pushed); n = int(next.Add(1)) {
				wait(pushed[n-1])
			}
		})
	}
	wg.Wait()
	return results, errors.Join(errs...)
}

// Words that say how far a command is, instead of what it did.
var (
	pendingWords  = []string{"started", "pending", "running", "processing", "in_progress", "queued", "accepted", "waiting"}
	successWords  = []string{"succeeded", "success", "finished", "completed", "done", "ok"}
	rejectedWords = []string{"rejected", "refused", "declined", "denied", "failed", "failure", "error", "aborted", "cancelled", "canceled", "expired"}
)

// spelling makes one of the ways to write a word of two.
var spelling = strings.NewReplacer(" ", "_", "-", "_")

// statusOf reads the status from words, or returns "" if none tells it. A
// rejection counts wherever it stands.
func statusOf(messages []string) CommandStatus {
	var status CommandStatus
	for _, message := range messages {
		word := spelling.Replace(strings.ToLower(strings.TrimSpace(message)))
		switch {
		case slices.Contains(rejectedWords, word):
			return CommandRejected
		case slices.Contains(successWords, word):
			status = CommandSucceeded
		case status == "" && slices.Contains(pendingWords, word):
			status = CommandPending
		}
	}
	return status
}

// reasons leaves out the words that only say the status, if there is more: the
// channel says the status elsewhere, and the messages should not depend on the
// way they came.
func reasons(messages []string) []string {
	if len(messages) < 2 {
		return messages
	}
	more := slices.DeleteFunc(slices.Clone(messages), func(message string) bool {
		return statusOf([]string{message}) != ""
	})
	if len(more) == 0 {
		return messages
	}
	return more
}

// messagesIn collects the texts of a body, which may be a string, an array, an
// object or null.
func messagesIn(body json.RawMessage) []string {
	if isJSONString(body) { // the commonest, and the cheapest
		var text string
		if json.Unmarshal(body, &text) != nil || text == "" {
			return nil
		}
		return []string{text}
	}
	var v any
	if len(body) == 0 || json.Unmarshal(body, &v) != nil {
		return nil
	}
	var texts []string
	collectTexts(v, &texts)
	return texts
}

func collectTexts(v any, texts *[]string) {
	switch v := v.(type) {
	case string:
		if v != "" {
			*texts = append(*texts, v)
		}
	case []any:
		for _, element := range v {
			collectTexts(element, texts)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			collectTexts(v[key], texts)
		}
	}
}

// resultOf reads a message of the channel. It returns nil for one that says
// nothing about the command's status.
func resultOf(m *realtime.Message) *CommandResult {
	messages := messagesIn(m.Body)
	status := statusOf(messages)
	if m.StatusWord != "" {
		status = statusOf([]string{m.StatusWord})
	}
	switch {
	case m.CommandStatus == realtime.Pending:
		status = CommandPending
	case m.CommandStatus == realtime.Failed:
		status = CommandRejected
	case m.CommandStatus == realtime.Succeeded && status != CommandRejected:
		status = CommandSucceeded
	case status == "":
		return nil
	}
	return &CommandResult{ID: m.ID, Status: status, Messages: reasons(messages), Body: m.Body}
}

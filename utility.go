package privicore

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/privicore/privicore-go/internal/operation"
)

// UtilityService is the section "Utility" of the API. Its operations need no
// token.
type UtilityService service

// Health is how the server says it is.
type Health struct {
	answer
	Status string `json:"status"` // "ok" if all is well
}

// Health asks whether the server is up: "Check server health".
func (s *UtilityService) Health(ctx context.Context) (*Health, error) {
	return value[Health](ctx, s.client, operation.UtilityHealth, params{})
}

// RequestStatus asks once how far a command is: "Request command id status". It
// does not wait, and it is not held back by the pace that waits share; the
// server limits the rate of this operation. That the command was rejected is in
// the result, not in the error. An id that is no UUID gets ErrValidation, an
// unknown one ErrNotFound, also in the first moments after a 202.
func (s *UtilityService) RequestStatus(ctx context.Context, commandID string) (*CommandResult, error) {
	op := operation.UtilityRequestStatus
	if err := checkIdentifier(op, "commandId", commandID); err != nil {
		return nil, err
	}
	p := params{path: commandID}
	byPost := s.client.statusByPost.Load()
	if byPost {
		op, p = statusByPost(commandID)
	}
	resp, err := s.client.send(ctx, op, &p, "")
	if e, ok := err.(*APIError); ok && e.StatusCode == http.StatusMethodNotAllowed && !byPost {
		// Older servers were asked by POST, with an empty object.
		s.client.statusByPost.Store(true)
		op, p = statusByPost(commandID)
		resp, err = s.client.send(ctx, op, &p, "")
	}
	if err != nil {
		return nil, err
	}
	result := &CommandResult{ID: commandID}
	bare := strings.TrimSpace(string(resp.Body))
	switch {
	case json.Valid(resp.Body):
		result.Messages, result.Body = messagesIn(resp.Body), resp.Body
	case bare == "": // nothing more is said, which is allowed
	case statusOf([]string{bare}) != "" || machineKey.MatchString(bare):
		result.Messages = []string{bare} // without the quotes
	case resp.StatusCode != http.StatusAccepted:
		return nil, unreadable(op, &p, resp, describeBody(resp, nil))
	}
	result.Status = statusOf(result.Messages)
	result.Messages = reasons(result.Messages)
	if result.Status == "" {
		result.Status = CommandSucceeded
		if resp.StatusCode == http.StatusAccepted {
			result.Status = CommandPending
		}
	}
	return result, nil
}

// machineKey is a message such as profile.profile_registered.
var machineKey = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$`)

func statusByPost(commandID string) (*operation.Operation, params) {
	op := *operation.UtilityRequestStatus
	op.Method, op.Encoding = http.MethodPost, operation.JSON
	return &op, params{path: commandID, json: struct{}{}}
}

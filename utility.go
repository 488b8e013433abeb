package privicore

import (
	"context"
	"fmt"

	"github.com/privicore/privicore-go/internal/operation"
)

// UtilityService is the section "Utility" of the API. Its operations need no
// token.
type UtilityService service

// Health is the server's report on itself.
type Health struct {
	answer
	Status string `json:"status"` // "ok" if all is well
}

// Format leaves out the raw JSON.
func (h Health) Format(s fmt.State, verb rune) { format(s, verb, h) }

// Health asks whether the server is up, and returns what it reports. The error is
// an *APIError if the server answers with a failure.
//
// It is the operation "Check server health", which was observed and is not
// documented.
func (s *UtilityService) Health(ctx context.Context) (*Health, error) {
	return value[Health](ctx, s.client, operation.UtilityHealth, params{})
}

// RequestStatus asks once how far a command is. It returns what the server
// reports, also if the command was rejected, and does not wait for the end of the
// command. The error matches ErrNotFound if the server does not know the id, which
// may be so in the first moments of a command. It matches ErrValidation if the id
// cannot be one.
//
// The server limits the rate of this operation. WithPollRate keeps waits below that
// limit, but does not slow RequestStatus down.
//
// It is the operation [Request command id status].
//
// [Request command id status]: https://docs.privicore.com/request-command-id-status-14411412e0
func (s *UtilityService) RequestStatus(ctx context.Context, commandID string) (*CommandResult, error) {
	if err := checkIdentifier(operation.UtilityRequestStatus, "commandId", commandID); err != nil {
		return nil, err
	}
	result, _, err := s.client.requestStatus(ctx, commandID, params{})
	return result, err
}

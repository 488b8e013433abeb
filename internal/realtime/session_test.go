package realtime

import (
	"errors"
	"fmt"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
)

// A proxy may quote the token in the reason for which it closes a connection.
func TestReasonOfACloseIsLeftOut(t *testing.T) {
	t.Parallel()
	closed := fmt.Errorf("read: %w", websocket.CloseError{Code: websocket.StatusPolicyViolation, Reason: "bad token T-first"})
	err := readError(closed)
	assert.ErrorContains(t, err, "1008")
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "T-first")
	assert.NotErrorAs(t, err, new(websocket.CloseError))

	other := errors.New("connection reset")
	assert.Equal(t, other, readError(other))
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for status, refused := range map[int]bool{0: true, 401: true, 403: true, 422: true, 429: false, 500: false, 503: false} {
		assert.Equal(t, refused, errors.Is(&RefusedError{Status: status}, errRefused), status)
	}
}

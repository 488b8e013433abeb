package privicore_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

var utilityCalls = []wireCall{
	{
		operation: "Utility.Health",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Utility.Health(ctx)
		},
		method: "GET", path: "/health",
		answer: "utility/health.ok",
	},
	{
		operation: "Utility.RequestStatus",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Utility.RequestStatus(ctx, commandID)
		},
		method: "GET", path: "/request-status/0197358e-6c2b-7f40-9d1a-3e5b7c9d0f11",
		answer: "utility/request_status.finished", parameter: "commandId",
	},
}

func TestHealth(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "utility/health.ok")
	health, err := c.Utility.Health(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "ok", health.Status)
	assert.JSONEq(t, `{"status":"ok"}`, string(health.RawJSON()))
}

func TestHealthKeepsUnknownFields(t *testing.T) {
	t.Parallel()
	_, s := replay(t)
	s.answers = [][]byte{[]byte("HTTP/1.1 200 OK\n\n" + `{"status":"degraded","queue":{"depth":4}}`)}
	health, err := s.client().Utility.Health(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "degraded", health.Status)
	assert.JSONEq(t, `{"status":"degraded","queue":{"depth":4}}`, string(health.RawJSON()))
}

func TestRequestStatus(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		status   privicore.CommandStatus
		messages []string
		body     string
	}{
		"finished":        {privicore.CommandSucceeded, []string{"profile.profile_registered"}, `["profile.profile_registered"]`},
		"succeeded":       {privicore.CommandSucceeded, []string{"succeeded"}, `"succeeded"`},
		"succeeded_array": {privicore.CommandSucceeded, []string{"succeeded"}, `["succeeded"]`},
		"rejected":        {privicore.CommandRejected, []string{"rejected"}, `"rejected"`},
		"rejected_array":  {privicore.CommandRejected, []string{"profile.username_taken"}, `["rejected","profile.username_taken"]`},
		"pending":         {privicore.CommandPending, []string{"started"}, `["started"]`},
		"pending_empty":   {privicore.CommandPending, nil, ``},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := replay(t, "utility/request_status."+name)
			result, err := c.Utility.RequestStatus(t.Context(), commandID)
			require.NoError(t, err)
			assert.Equal(t, commandID, result.ID)
			assert.Equal(t, want.status, result.Status)
			assert.Equal(t, want.messages, result.Messages)
			if want.body == "" {
				assert.Empty(t, result.Body)
			} else {
				assert.JSONEq(t, want.body, string(result.Body))
			}
			assert.Empty(t, s.sent[0].header.Values("X-DPT-AUTHORIZATION"), "it answers without a token")
		})
	}
}

func TestRequestStatusFailures(t *testing.T) {
	t.Parallel()
	for name, sentinel := range map[string]error{
		"utility/request_status.not_found":    privicore.ErrNotFound,
		"utility/request_status.invalid":      privicore.ErrValidation,
		"utility/request_status.rate_limited": privicore.ErrRateLimited,
		"unreadable/html":                     privicore.ErrUnexpectedAnswer,
		"unreadable/truncated":                privicore.ErrUnexpectedAnswer,
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := replay(t, name)
			_, err := c.Utility.RequestStatus(t.Context(), commandID)
			assert.ErrorIs(t, err, sentinel)
		})
	}
}

// A server that does not take GET is asked by POST, from then on at once.
func TestRequestStatusByPost(t *testing.T) {
	t.Parallel()
	_, s := replay(t)
	s.answers = [][]byte{
		[]byte("HTTP/1.1 405 Method Not Allowed\nAllow: POST\nContent-Length: 0\n\n"),
		recorded(t, "utility/request_status.finished"),
		recorded(t, "utility/request_status.finished"),
	}
	c := s.client()
	for range 2 {
		result, err := c.Utility.RequestStatus(t.Context(), commandID)
		require.NoError(t, err)
		assert.Equal(t, privicore.CommandSucceeded, result.Status)
	}
	path := "/request-status/" + commandID
	assert.Equal(t, []string{"GET " + path, "POST " + path, "POST " + path}, s.requests())
	assert.Equal(t, "{}", s.sent[1].body)
	assert.Equal(t, jsonType, s.sent[1].header.Get("Content-Type"))
	assert.Empty(t, s.sent[1].header.Values("X-DPT-AUTHORIZATION"))
}

func TestRequestStatusRefusals(t *testing.T) {
	t.Parallel()
	assertIdentifierChecked(t, "Utility.RequestStatus", "commandId",
		func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Utility.RequestStatus(ctx, id)
		})
}

// An identifier stays one segment of the path, whatever is in it.
func TestRequestStatusEscapesTheID(t *testing.T) {
	t.Parallel()
	for id, path := range map[string]string{
		"a/b":          "/request-status/a%2Fb",
		"a?x=1#y":      "/request-status/a%3Fx=1%23y",
		"100% café":    "/request-status/100%25%20caf%C3%A9",
		"%2e%2e":       "/request-status/%252e%252e",
		"a+b&c=d;e":    "/request-status/a+b&c=d%3Be",
		"//evil.test/": "/request-status/%2F%2Fevil.test%2F",
	} {
		c, s := replay(t, "utility/request_status.finished")
		_, err := c.Utility.RequestStatus(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, []string{http.MethodGet + " " + path}, s.requests())
	}
}

package privicore_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

func TestSentinels(t *testing.T) {
	all := map[int]error{
		401: privicore.ErrUnauthorized, 403: privicore.ErrForbidden, 404: privicore.ErrNotFound,
		409: privicore.ErrConflict, 422: privicore.ErrValidation, 429: privicore.ErrRateLimited,
	}
	for status := range all {
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
			return reply(status, "", "Retry-After", "3600")
		})
		_, err := c.Device.Remove(t.Context(), "d")
		wrapped := fmt.Errorf("wrapped: %w", err)
		for code, sentinel := range all {
			assert.Equal(t, code == status, errors.Is(wrapped, sentinel), "%d %v", status, sentinel)
		}
		var apiErr *privicore.APIError
		require.ErrorAs(t, wrapped, &apiErr)
		assert.Equal(t, status, apiErr.StatusCode)
		assert.Equal(t, "POST", apiErr.Method)
		assert.Equal(t, "/device/remove", apiErr.Path)
		assert.Equal(t, "Remove device", apiErr.Operation)
		assert.Equal(t, []string{"deviceIdentifier"}, apiErr.Parameters)
		assert.Equal(t, time.Hour, apiErr.RetryAfter)
		assert.ErrorContains(t, err, fmt.Sprint(status))
	}
}

func TestErrorBodies(t *testing.T) {
	for _, test := range []struct {
		body     string
		messages []string
		fields   []privicore.FieldError
	}{
		{`"profile.not_an_owner"`, []string{"profile.not_an_owner"}, nil},
		{`["one","two"]`, []string{"one", "two"}, nil},
		{`{"message":"no"}`, []string{"no"}, nil},
		{`{"error":"no","code":5,"status":"error"}`, []string{"no"}, nil},
		{`{"errors":{"name":["is taken","is short"]}}`, nil, []privicore.FieldError{{"name", "is taken"}, {"name", "is short"}}},
		{`{"errors":[{"field":"name","message":"is taken"}]}`, nil, []privicore.FieldError{{"name", "is taken"}}},
		{`{"violations":[{"propertyPath":"name","title":"is taken"}]}`, nil, []privicore.FieldError{{"name", "is taken"}}},
		{`{"errors":{"name":"is taken"}}`, nil, []privicore.FieldError{{"name", "is taken"}}},
		{`{"field":"name","message":"is taken"}`, nil, []privicore.FieldError{{"name", "is taken"}}},
		{``, nil, nil},
		{`null`, nil, nil},
		{`5`, nil, nil},
		{`{}`, nil, nil},
		{`<html>`, []string{"the body is an HTML or XML page, not JSON; a proxy may have answered"}, nil},
		{`plain text`, []string{"the body is not JSON"}, nil},
		{strings.Repeat(`{"a":`, 50) + `"deep"` + strings.Repeat(`}`, 50), nil, nil},
		{strings.Repeat(`[`, 9_000) + strings.Repeat(`]`, 9_000), nil, nil},
	} {
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) { return reply(409, test.body) })
		_, err := c.Device.Remove(t.Context(), "d")
		var apiErr *privicore.APIError
		require.ErrorAs(t, err, &apiErr)
		assert.Equal(t, test.messages, apiErr.Messages, test.body)
		assert.Equal(t, test.fields, apiErr.Fields, test.body)
		assert.Equal(t, test.body, string(apiErr.Response.Body))
		for _, message := range test.messages {
			assert.Equal(t, 1, strings.Count(err.Error(), message))
		}
	}
}

func TestFieldsOfAValidationError(t *testing.T) {
	for _, body := range []string{
		`"deviceIdentifier is not a UUID"`, `["The device identifier is invalid"]`, `{"message":"device_identifier: wrong"}`,
		`{"errors":{"deviceIdentifier":"wrong"}}`, `"invalid"`, `{}`, ``, `<html>`,
	} {
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) { return reply(422, body) })
		_, err := c.Device.Remove(t.Context(), "d")
		require.ErrorIs(t, err, privicore.ErrValidation)
		var apiErr *privicore.APIError
		require.ErrorAs(t, err, &apiErr)
		require.Len(t, apiErr.Fields, 1, body)
		assert.Equal(t, "deviceIdentifier", apiErr.Fields[0].Field)
		assert.ErrorContains(t, err, "deviceIdentifier")
	}
}

func TestAmbiguousErrorSaysSo(t *testing.T) {
	c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) { return nil, errors.New("reset") })
	_, err := c.Device.Remove(t.Context(), "d")
	require.ErrorIs(t, err, privicore.ErrAmbiguous)
	assert.EqualError(t, err, "privicore: Remove device: POST /device/remove: reset (the server may have carried out the call)")
}

func TestCommandErrorText(t *testing.T) {
	assert.EqualError(t, &privicore.CommandError{ID: "c1", Messages: []string{"a", "b"}}, "privicore: command c1 was rejected: a; b")
	assert.EqualError(t, &privicore.CommandError{ID: "c1"}, "privicore: command c1 was rejected: no reason given")
}

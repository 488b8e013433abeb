package privicore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

func TestSentinels(t *testing.T) {
	t.Parallel()
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
		assert.Equal(t, "Device.Remove", apiErr.Operation)
		assert.Equal(t, []string{"deviceIdentifier"}, apiErr.Parameters)
		assert.Equal(t, time.Hour, apiErr.RetryAfter)
		assert.ErrorContains(t, err, fmt.Sprint(status))
	}
}

func TestErrorBodies(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
	c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) { return nil, errors.New("reset") })
	_, err := c.Device.Remove(t.Context(), "d")
	require.ErrorIs(t, err, privicore.ErrAmbiguous)
	assert.EqualError(t, err, "privicore: Device.Remove: POST /device/remove: reset (the server may have carried out the call)")
}

func TestCommandErrorText(t *testing.T) {
	t.Parallel()
	assert.EqualError(t, &privicore.CommandError{ID: "c1", Messages: []string{"a", "b"}}, "privicore: command c1 was rejected: a; b")
	assert.EqualError(t, &privicore.CommandError{ID: "c1"}, "privicore: command c1 was rejected: no reason given")
}

func TestMessageKeys(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "oauth.already_retrieved", privicore.KeyAlreadyRetrieved.Error())
	rejected := &privicore.CommandError{ID: "c1", Messages: []string{"profile.not_an_owner"}}
	assert.ErrorIs(t, rejected, privicore.KeyNotAnOwner)
	assert.ErrorIs(t, rejected, privicore.MessageKey("profile.not_an_owner"))
	assert.NotErrorIs(t, rejected, privicore.KeyAlreadyRetrieved)
	assert.ErrorIs(t, rejected, privicore.ErrRejected)
	refused := &privicore.APIError{StatusCode: 422, Messages: []string{"oauth.already_retrieved"}}
	assert.ErrorIs(t, refused, privicore.KeyAlreadyRetrieved)
	assert.NotErrorIs(t, refused, privicore.ErrRejected)
	assert.True(t, privicore.CommandResult{Messages: []string{"profile.profile_registered"}}.Has(privicore.KeyProfileRegistered))
	assert.False(t, privicore.CommandResult{}.Has(privicore.KeyProfileRegistered))
}

// A key is found in what calls and waits return, also where it is wrapped.
func TestMessageKeysOfCalls(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`"profile.not_an_owner"`, `["profile.not_an_owner","more"]`, `{"message":"profile.not_an_owner"}`} {
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) { return reply(403, body) })
		_, err := c.Device.Remove(t.Context(), "d")
		err = fmt.Errorf("wrapped: %w", err)
		assert.ErrorIs(t, err, privicore.KeyNotAnOwner, body)
		assert.ErrorIs(t, err, privicore.ErrForbidden)
		assert.NotErrorIs(t, err, privicore.KeyAlreadyRetrieved)
		assert.NotErrorIs(t, err, privicore.MessageKey("profile"))
	}
	synctest.Test(t, func(t *testing.T) {
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			if r.Method == http.MethodPost {
				return reply(202, "", "X-DPT-CAB-ID", "c1")
			}
			return reply(200, `["rejected","profile.not_an_owner","vendor.says_more"]`)
		})
		cmd, err := c.Device.Remove(t.Context(), "d")
		require.NoError(t, err)
		_, err = cmd.Wait(t.Context())
		for _, err := range []error{err, errors.Join(errors.New("another"), err)} {
			assert.ErrorIs(t, err, privicore.KeyNotAnOwner)
			assert.ErrorIs(t, err, privicore.MessageKey("vendor.says_more"))
			assert.ErrorIs(t, err, privicore.ErrRejected)
			assert.NotErrorIs(t, err, privicore.KeyAlreadyRetrieved)
			assert.NotErrorIs(t, err, privicore.ErrForbidden)
		}
	})
}

// A command that was accepted without an id may be running. A write whose answer
// cannot be read may have been carried out.
func TestNoCommandIDIsAmbiguous(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "{}", "null", "<html>"} {
		var resp privicore.Response
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) { return reply(202, body) })
		_, err := c.Device.Remove(privicore.CaptureResponse(t.Context(), &resp), "d")
		require.ErrorIs(t, err, privicore.ErrNoCommandID, body)
		require.ErrorIs(t, err, privicore.ErrAmbiguous, body)
		assert.NotErrorIs(t, err, privicore.ErrUnexpectedAnswer)

		answer, err := c.Do(t.Context(), "POST", "/device/remove", nil)
		require.NoError(t, err)
		for _, resp := range []*privicore.Response{&resp, answer} {
			_, err = resp.Command()
			require.ErrorIs(t, err, privicore.ErrNoCommandID)
			require.ErrorIs(t, err, privicore.ErrAmbiguous, "%q", body)
		}
	}
	c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) { return reply(200, "<html>") })
	_, err := c.Profile.GenerateQRToken(t.Context())
	require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
	assert.ErrorIs(t, err, privicore.ErrAmbiguous)
	_, err = c.Profile.ID(t.Context())
	require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
	assert.NotErrorIs(t, err, privicore.ErrAmbiguous, "a read")
}

// A failure that may have come after the command began is ambiguous. A refusal is
// not.
func TestAmbiguousStatus(t *testing.T) {
	t.Parallel()
	for status, ambiguous := range map[int]bool{
		400: false, 401: false, 403: false, 404: false, 405: false, 408: true, 409: false, 413: false, 422: false,
		500: true, 501: false, 502: true, 503: true, 504: true, 520: true, 529: true, 301: false, 307: false,
	} {
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
			return reply(status, "", "Location", "https://elsewhere.test/")
		}, privicore.WithToken(fakeToken), privicore.WithMaxRetries(0))
		_, err := c.Device.Remove(t.Context(), "d")
		require.Error(t, err)
		assert.Equal(t, ambiguous, errors.Is(err, privicore.ErrAmbiguous), status)
		_, err = c.Device.List(t.Context())
		require.Error(t, err)
		assert.NotErrorIs(t, err, privicore.ErrAmbiguous, status)
	}
}

// A timeout of the program and one of the client are found as net reports them.
func TestTimeoutsOfErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, privicore.WithToken(fakeToken), privicore.WithMaxRetries(0))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, ended := c.Device.List(ctx)
		require.ErrorIs(t, ended, context.DeadlineExceeded)
		_, stalled := c.Device.List(t.Context())
		require.Error(t, stalled)
		assert.NotErrorIs(t, stalled, context.DeadlineExceeded)
		for _, err := range []error{ended, stalled} {
			var timeout net.Error
			require.ErrorAs(t, err, &timeout)
			assert.True(t, timeout.Timeout())
		}
		broken := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
		_, err := broken.Device.Remove(t.Context(), "d")
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		assert.False(t, timeout.Timeout())
	})
}

func TestErrorTexts(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"privicore: Device.Approve: deviceIdentifier is empty":                   &privicore.ValidationError{Operation: "Device.Approve", Field: "deviceIdentifier", Reason: "is empty"},
		"privicore: Device.Approve: command c1 was rejected: a":                  &privicore.CommandError{ID: "c1", Operation: "Device.Approve", Messages: []string{"a"}},
		"privicore: wait for c1: client is closed":                               &privicore.WaitError{ID: "c1", Err: privicore.ErrClosed},
		"privicore: Device.Approve: wait for c1: not found":                      &privicore.WaitError{ID: "c1", Operation: "Device.Approve", Err: privicore.ErrNotFound},
		"privicore: wait for c1: context canceled (last poll: not found)":        &privicore.WaitError{ID: "c1", Err: context.Canceled, LastPoll: privicore.ErrNotFound},
		"privicore: no token: vault is sealed":                                   &privicore.TokenError{Err: errors.New("vault is sealed")},
		"privicore: no token: Profile.Authenticate: POST /x: 401 Unauthorized":   &privicore.TokenError{Err: &privicore.APIError{Operation: "Profile.Authenticate", Method: "POST", Path: "/x", StatusCode: 401}},
		"privicore: Do: POST /x: 422 Unprocessable Entity: a: wrong":             &privicore.APIError{Operation: "Do", Method: "POST", Path: "/x", StatusCode: 422, Fields: []privicore.FieldError{{Field: "a", Message: "wrong"}}},
		"privicore: Do: POST /x: 422 Unprocessable Entity (sent: a, b)":          &privicore.APIError{Operation: "Do", Method: "POST", Path: "/x", StatusCode: 422, Parameters: []string{"a", "b"}},
		"privicore: Do: GET /x: 429 Too Many Requests: slow (retry after 1m0s)":  &privicore.APIError{Operation: "Do", Method: "GET", Path: "/x", StatusCode: 429, Messages: []string{"slow"}, RetryAfter: time.Minute},
		"privicore: store, step 3 (send): Do: GET /x: 500 Internal Server Error": &privicore.StepError{Step: privicore.StepSend, Err: &privicore.APIError{Operation: "Do", Method: "GET", Path: "/x", StatusCode: 500}},
	} {
		assert.EqualError(t, err, want)
	}
}

// LastPoll is there to be read. It is not why the wait ended.
func TestLastPollIsNotMatched(t *testing.T) {
	t.Parallel()
	err := error(&privicore.WaitError{ID: "c1", Err: context.DeadlineExceeded, LastPoll: &privicore.APIError{StatusCode: 404, Messages: []string{"profile.not_an_owner"}}})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.NotErrorIs(t, err, privicore.ErrNotFound)
	assert.NotErrorIs(t, err, privicore.KeyNotAnOwner)
	_, ok := errors.AsType[*privicore.APIError](err)
	assert.False(t, ok)
}

package privicore_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// wireCall is a call of a typed method and what it has to look like on the
// wire. The literals come from the API's description and must never be derived
// from the table that the client reads.
type wireCall struct {
	operation     string // Service.Method
	do            func(ctx context.Context, c *privicore.Client) (any, error)
	method        string
	path          string // escaped, with the query; the whole URL on another server
	token         bool   // X-DPT-AUTHORIZATION is sent
	authorization string // the Authorization header
	contentType   string
	body          string
	answer        string // the recorded answer it gets
	parameter     string // one of its parameters, "" if it has none
}

// calls are all of them, by section of the API's description.
var calls = slices.Concat(utilityCalls, profileCalls, publicKeyCalls, deviceCalls, authenticatorCalls, storageCalls, dataTokenCalls, oauthCalls, policyCalls, votingCalls)

// isCommand reports whether the answer to a call is a 202.
func (w *wireCall) isCommand(t *testing.T) bool {
	resp, _ := parsed(t, w.answer)
	return resp.StatusCode == http.StatusAccepted && w.operation != "Utility.RequestStatus"
}

// onFileServer reports whether bytes are sent and answered, not JSON.
func (w *wireCall) onFileServer() bool { return !strings.HasPrefix(w.path, "/") }

// commandOf returns the command in what a typed method returned.
func commandOf(t *testing.T, result any) *privicore.Command {
	t.Helper()
	if cmd, ok := result.(*privicore.Command); ok {
		return cmd
	}
	// A typed handle embeds it.
	field := reflect.Indirect(reflect.ValueOf(result)).FieldByName("Command")
	require.True(t, field.IsValid(), "no command in a %T", result)
	return field.Interface().(*privicore.Command)
}

func TestWire(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		t.Run(call.operation, func(t *testing.T) {
			c, server := replay(t, call.answer)
			result, err := call.do(t.Context(), c)
			require.NoError(t, err)

			require.Len(t, server.sent, 1)
			request := server.sent[0]
			assert.Equal(t, call.method, request.method)
			assert.Equal(t, call.path, request.path)
			assert.Equal(t, call.contentType, request.header.Get("Content-Type"))
			if call.contentType == jsonType {
				assert.JSONEq(t, call.body, request.body)
			} else {
				assert.Equal(t, call.body, request.body)
			}
			var tokens []string
			if call.token {
				tokens = []string{testToken}
			}
			assert.Equal(t, tokens, request.header.Values("X-DPT-AUTHORIZATION"))
			assert.Equal(t, call.authorization, request.header.Get("Authorization"))
			if !call.onFileServer() {
				assert.Equal(t, jsonType, request.header.Get("Accept"))
			}
			if call.isCommand(t) {
				assert.Equal(t, commandID, commandOf(t, result).ID)
			}
		})
	}
}

// A server below a path keeps it in front of every path of the API.
func TestWirePathPrefix(t *testing.T) {
	t.Parallel()
	_, s := replay(t, "device/configuration.ok")
	c := s.client(privicore.WithToken(testToken), privicore.WithBaseURL(baseURL+"/api/v1/"))
	_, err := c.Device.Configuration(t.Context(), "a/b")
	require.NoError(t, err)
	assert.Equal(t, []string{"GET /api/v1/device/retrieve-device-configuration/a%2Fb"}, s.requests())
}

// Whatever the place of the command id, every operation finds it.
func TestWireCommandIDs(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		if !call.isCommand(t) || call.operation == "DataToken.Request" { // its answers carry another id too: TestRequestCommandIDs
			continue
		}
		observed := strings.Replace(call.answer, ".accepted", ".observed", 1)
		for _, name := range append(recordings(t, "commands"), observed) {
			t.Run(call.operation+"/"+name, func(t *testing.T) {
				c, _ := replay(t, name)
				result, err := call.do(t.Context(), c)
				require.NoError(t, err)
				assert.Equal(t, commandID, commandOf(t, result).ID)
			})
		}
	}
}

// A 202 that says nothing about the id is an error, whatever else it says.
func TestWireNoCommandID(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		if !call.isCommand(t) {
			continue
		}
		for _, name := range recordings(t, "no_command_id") {
			t.Run(call.operation+"/"+name, func(t *testing.T) {
				c, _ := replay(t, name)
				_, err := call.do(t.Context(), c)
				require.ErrorIs(t, err, privicore.ErrNoCommandID)
				apiErr, ok := errors.AsType[*privicore.APIError](err)
				require.True(t, ok, "%T", err)
				assert.Equal(t, http.StatusAccepted, apiErr.StatusCode)
				_, body := parsed(t, name)
				assert.Equal(t, string(body), string(apiErr.Response.Body))
			})
		}
	}
}

var sentinels = map[int]error{
	401: privicore.ErrUnauthorized,
	403: privicore.ErrForbidden,
	404: privicore.ErrNotFound,
	409: privicore.ErrConflict,
	422: privicore.ErrValidation,
	429: privicore.ErrRateLimited,
}

// Every operation turns every refusal into an error that says what happened,
// can be told apart, and has the answer in it.
func TestWireErrors(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		for _, name := range recordings(t, "errors") {
			if call.operation == "OAuth.ObtainAccessToken" && strings.HasPrefix(name, "errors/401") {
				continue // it has two ways to authorize itself: TestObtainAccessToken
			}
			t.Run(call.operation+"/"+name, func(t *testing.T) {
				_, s := replay(t)
				answer := string(recorded(t, name))
				if call.parameter != "" {
					answer = strings.ReplaceAll(answer, "deviceIdentifier", call.parameter)
				}
				s.answers = [][]byte{[]byte(answer)}
				c := s.client(privicore.WithToken(testToken))
				_, err := call.do(t.Context(), c)
				require.Error(t, err)
				require.Len(t, s.sent, 1, "a refusal must not be repeated")

				status, convErr := strconv.Atoi(strings.TrimPrefix(name, "errors/")[:3])
				require.NoError(t, convErr)
				for other, sentinel := range sentinels {
					assert.Equal(t, other == status, errors.Is(err, sentinel), "%v is %v", err, sentinel)
				}
				apiErr, ok := errors.AsType[*privicore.APIError](err)
				require.True(t, ok, "%T", err)
				assert.Equal(t, status, apiErr.StatusCode)
				assert.Equal(t, call.method, apiErr.Method)
				_, body, _ := strings.Cut(answer, "\n\n")
				assert.Equal(t, body, string(apiErr.Response.Body))
				assert.NotContains(t, err.Error(), testToken)
				assert.NotContains(t, err.Error(), "<", "a page is not quoted")
				if status == http.StatusUnprocessableEntity && call.parameter != "" {
					assert.Contains(t, err.Error(), call.parameter, "the text names the parameter")
				}
				if name == "errors/429.retry_after" {
					assert.Equal(t, "7s", apiErr.RetryAfter.String())
				}
				// A failure inside the server leaves open what a write did,
				// unless the server says when to come back.
				open := call.isCommand(t) && status >= 500 && name != "errors/503.retry_after"
				if call.isCommand(t) {
					assert.Equal(t, open, errors.Is(err, privicore.ErrAmbiguous))
				}
			})
		}
	}
}

// An answer that cannot be read may still hold what was asked for: a token, a
// key. The error does not quote it.
func TestWireSecretsOfAnswersAreNotQuoted(t *testing.T) {
	t.Parallel()
	for operation, answer := range map[string]struct {
		old, spoilt string // part of the recorded answer
		secret      string
	}{
		"Profile.Authenticate":    {`"T-1f6c2b7e-recorded-token"`, `["T-1f6c2b7e-recorded-token"]`, "T-1f6c2b7e-recorded-token"},
		"Profile.GenerateQRToken": {`"QR-8c41-recorded-token"`, `{"value":"QR-8c41-recorded-token"}`, "QR-8c41-recorded-token"},
		"Profile.Reauthorize":     {`"T-77aa-reauthorized-token"`, `["T-77aa-reauthorized-token"]`, "T-77aa-reauthorized-token"},
		"PublicKey.Generate":      {privateKey, privateKey[2:], privateKey[2:]},
	} {
		t.Run(operation, func(t *testing.T) {
			call := calls[slices.IndexFunc(calls, func(c wireCall) bool { return c.operation == operation })]
			_, s := replay(t)
			recording := string(recorded(t, call.answer))
			require.Contains(t, recording, answer.old)
			s.answers = [][]byte{[]byte(strings.Replace(recording, answer.old, answer.spoilt, 1))}
			_, err := call.do(t.Context(), s.client(privicore.WithToken(testToken)))
			require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
			assertHidden(t, err, answer.secret)
		})
	}
}

// A success that cannot be read is an error with the answer in it, never a
// panic and never an empty value.
func TestWireUnreadable(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		// What a 202 may look like is above; RevokeToken's answer is not
		// described, and those after it read any JSON.
		if call.isCommand(t) || call.onFileServer() || slices.Contains([]string{"Profile.RevokeToken", "Utility.RequestStatus", "OAuth.Scope", "Voting.CheckStatus"}, call.operation) {
			continue
		}
		for _, name := range recordings(t, "unreadable") {
			t.Run(call.operation+"/"+name, func(t *testing.T) {
				c, _ := replay(t, name)
				var raw privicore.Response
				_, err := call.do(privicore.CaptureResponse(t.Context(), &raw), c)
				require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
				apiErr, ok := errors.AsType[*privicore.APIError](err)
				require.True(t, ok, "%T", err)
				_, body := parsed(t, name)
				assert.Equal(t, string(body), string(apiErr.Response.Body))
				assert.Equal(t, string(body), string(raw.Body))
				assert.Equal(t, http.StatusOK, raw.StatusCode)
				assert.NotContains(t, err.Error(), "Sign in", "a page is not quoted")
			})
		}
	}
}

// The type that an answer says to have does not matter if it is JSON.
func TestWireContentTypeOfAnswers(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		for _, contentType := range []string{"", "text/html; charset=utf-8", "text/plain"} {
			t.Run(call.operation+"/"+contentType, func(t *testing.T) {
				_, s := replay(t)
				answer := strings.Replace(string(recorded(t, call.answer)), "Content-Type: application/json\n", "Content-Type: "+contentType+"\n", 1)
				s.answers = [][]byte{[]byte(answer)}
				_, err := call.do(t.Context(), s.client(privicore.WithToken(testToken)))
				assert.NoError(t, err)
			})
		}
	}
}

// null is JSON, and yet no answer to an operation that answers with an object.
// Where a list is expected it is an empty one.
func TestWireNull(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		resp, body := parsed(t, call.answer)
		if resp.StatusCode != http.StatusOK || call.onFileServer() || call.operation == "Utility.RequestStatus" || len(body) == 0 {
			continue
		}
		t.Run(call.operation, func(t *testing.T) {
			_, s := replay(t)
			s.answers = [][]byte{[]byte("HTTP/1.1 200 OK\nContent-Type: application/json\n\nnull")}
			result, err := call.do(t.Context(), s.client(privicore.WithToken(testToken)))
			if body[0] == '[' || bytes.Contains(body, []byte(`"items"`)) {
				assert.NoError(t, err)
				assert.Empty(t, result)
				return
			}
			assert.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
		})
	}
}

// allSecret are the operations whose answers have nothing but secrets in them,
// besides times and public keys.
var allSecret = []string{
	"Profile.Authenticate", "Profile.GenerateQRToken", "Device.Configuration", "Device.DownloadConfiguration", "PublicKey.Generate",
}

// FuzzAnswer is what a server answers to any of the operations. No answer makes a
// method panic, no error quotes the value that it could not read or the token that
// was sent, and the answer is there as it came.
func FuzzAnswer(f *testing.F) {
	const marker = "hunter" // of what a server sends
	for i, call := range calls {
		_, body := parsed(f, call.answer)
		resp, _ := parsed(f, call.answer)
		f.Add(uint(i), resp.StatusCode, resp.Header.Get("X-DPT-CAB-ID"), body)
		f.Add(uint(i), 200, "", []byte(`{"hunter":"hunter","token":["hunter"],"items":[{"hunter":{"hunter":1}}],"authorizationToken":{"hunter":2}}`))
	}
	for i, body := range []string{
		`{"authorizationToken":"T-hunter","expiresAt":"hunter"}`, `{"authorizationToken":5e400}`, `{"authorizationToken":"T hunter\n"}`,
		`{"device-identifier":["hunter"],"rabbit-port":5672}`, `{"rabbit-pass":true,"client-id":null}`, `{"private":"hunter","public":"hunter"}`,
		`"hunter"`, `["hunter"]`, `<html>hunter`, ``, `null`, `{"error":"hunter"}`, `{"message":"T-0d9f3a52-sent-token"}`, "\"T-0d9f3a52\\u002dsent-token\"",
	} {
		for _, status := range []int{200, 202, 302, 401, 405, 422, 500} {
			f.Add(uint(i), status, "", []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, index uint, status int, id string, body []byte) {
		call := calls[index%uint(len(calls))]
		status = 200 + int(uint(status)%400)
		if strings.ContainsFunc(id, unicode.IsControl) {
			id = ""
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c, err := privicore.NewClient(privicore.WithToken(testToken), privicore.WithMaxRetries(0),
			privicore.WithHTTPClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				if strings.HasPrefix(r.URL.Path, "/request-status/") && call.operation != "Utility.RequestStatus" {
					cancel() // a wait, which could go on for ever
				}
				return reply(status, string(body), "X-DPT-CAB-ID", id, "X-DPT-CAB-REQUEST-ID", "r1")
			})}))
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		var raw privicore.Response
		result, err := call.do(privicore.CaptureResponse(ctx, &raw), c)
		if ctx.Err() != nil {
			return
		}
		if !call.onFileServer() {
			require.Equal(t, string(body), string(raw.Body))
		}
		if err != nil {
			shown := strings.Join(chain(err), "\n")
			if call.token {
				require.NotContains(t, shown, testToken)
			}
			if status < 300 {
				require.NotContains(t, shown, marker)
			}
			return
		}
		require.Less(t, status, 300)
		if keeps, ok := result.(interface{ RawJSON() json.RawMessage }); ok && json.Valid(body) {
			require.Equal(t, string(body), string(keeps.RawJSON()))
		}
		if slices.Contains(allSecret, call.operation) {
			shown := fmt.Sprintf("%v %+v %#v %q %x", result, result, result, result, result)
			require.NotContains(t, shown, marker)
			require.NotContains(t, shown, hex.EncodeToString([]byte(marker)))
			data, err := json.Marshal(result)
			require.NoError(t, err)
			require.NotContains(t, string(data), marker)
		}
	})
}

package privicore_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// Values that occur in the recorded answers and in what the tests send.
const (
	baseURL    = "https://privicore.test:9009"
	testToken  = "T-0d9f3a52-sent-token"
	commandID  = "0197358e-6c2b-7f40-9d1a-3e5b7c9d0f11"
	device1    = "01973590-11aa-7c3e-8f00-a1b2c3d4e5f6"
	device2    = "01973590-22bb-7c3e-8f00-0f1e2d3c4b5a"
	profile1   = "01973591-33cc-7d4f-9a11-b1c2d3e4f5a6"
	formType   = "application/x-www-form-urlencoded"
	jsonType   = "application/json"
	signedKey  = "314205002817c9ecb5b51eacbd0a0132f2901ad22e35129845faf3279de864e2fdfc1968f0320f5847070c6141773147eba9582aee0c6e5e9bf58185debe9f36d9097d9607860a210f85a5218d10d32bab562de01fed3c566a5e55cfb10318ffcdcb3308"
	privateKey = "dfeabe7d2d8719df5fa51e1ec1b0c3324432a93d7656f3a24d0bfe380fa240ad"
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

// sent is a request as it left the client.
type sent struct {
	method, path, body string
	header             http.Header
}

// server answers with recorded answers, in their order, and keeps what it was
// asked.
type server struct {
	t       *testing.T
	mu      sync.Mutex
	answers [][]byte
	sent    []sent
}

// replay returns a client with a token that gets these recorded answers.
func replay(t *testing.T, recordings ...string) (*privicore.Client, *server) {
	t.Helper()
	answers := make([][]byte, len(recordings))
	for i, name := range recordings {
		answers[i] = recorded(t, name)
	}
	s := &server{t: t, answers: answers}
	return s.client(privicore.WithToken(testToken)), s
}

func (s *server) client(opts ...privicore.Option) *privicore.Client {
	s.t.Helper()
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(s.respond)
	opts = append([]privicore.Option{
		privicore.WithBaseURL(baseURL),
		privicore.WithHTTPClient(&http.Client{Transport: mock}),
		privicore.WithMaxRetries(0),
	}, opts...)
	c, err := privicore.NewClient(opts...)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { assert.NoError(s.t, c.Close()) })
	return c
}

func (s *server) respond(r *http.Request) (*http.Response, error) {
	request := sent{method: r.Method, path: strings.TrimPrefix(r.URL.String(), baseURL), header: r.Header.Clone()}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		request.body = string(body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, request)
	if len(s.answers) == 0 {
		return nil, fmt.Errorf("no answer is left for %s %s", request.method, request.path)
	}
	answer := s.answers[0]
	s.answers = s.answers[1:]
	return http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), r)
}

// requests are what came, as "METHOD path".
func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := make([]string, len(s.sent))
	for i, r := range s.sent {
		lines[i] = r.method + " " + r.path
	}
	return lines
}

// recorded reads testdata/name.http.
func recorded(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)+".http"))
	require.NoError(t, err)
	return data
}

// recordings names the recorded answers of a directory of testdata.
func recordings(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.http"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = dir + "/" + strings.TrimSuffix(filepath.Base(file), ".http")
	}
	return names
}

// parsed is a recorded answer with its body read.
func parsed(t *testing.T, name string) (*http.Response, []byte) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(recorded(t, name))), nil)
	require.NoError(t, err, name)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err, name)
	return resp, body
}

// isCommand tells that the answer to a call is a 202.
func (w *wireCall) isCommand(t *testing.T) bool {
	resp, _ := parsed(t, w.answer)
	return resp.StatusCode == http.StatusAccepted && w.operation != "Utility.RequestStatus"
}

// onFileServer tells that what is sent and answered is no JSON, but bytes.
func (w *wireCall) onFileServer() bool { return !strings.HasPrefix(w.path, "/") }

// commandOf is the command in what a typed method returned.
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

// refused is a call that must fail before anything is sent.
type refused struct {
	why       string
	do        func(ctx context.Context, c *privicore.Client) (any, error)
	operation string // as the API's description calls it
	field     string
	reason    string // part of it
}

func assertRefused(t *testing.T, cases []refused) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.operation+"/"+tc.why, func(t *testing.T) {
			c, s := replay(t)
			_, err := tc.do(t.Context(), c)
			require.ErrorIs(t, err, privicore.ErrValidation)
			assert.Empty(t, s.requests(), "nothing may be sent")
			refusal, ok := errors.AsType[*privicore.ValidationError](err)
			require.True(t, ok, "%T", err)
			assert.Equal(t, tc.operation, refusal.Operation)
			assert.Equal(t, tc.field, refusal.Field)
			assert.Contains(t, refusal.Reason, tc.reason)
			assert.Contains(t, err.Error(), tc.field+" "+refusal.Reason)
		})
	}
}

// malformed are identifiers that are refused, with part of the reason.
var malformed = map[string]string{
	"":                        "is empty",
	" \t":                     "is empty",
	" " + device1:             "white space",
	device1 + "\n":            "white space",
	"a\x00b":                  "does not print",
	"a\r\nX-Injected: 1":      "does not print",
	"a\u202eb":                "does not print",
	"\xff\xfe":                "does not print",
	".":                       "dot segment",
	"..":                      "dot segment",
	"../../profile/id":        "dot segment",
	"a/../b":                  "dot segment",
	`a\..\b`:                  "dot segment",
	strings.Repeat("x", 1025): "longer than",
}

// assertIdentifierChecked runs an operation with identifiers that cannot be
// ones.
func assertIdentifierChecked(t *testing.T, operation, field string, do func(ctx context.Context, c *privicore.Client, id string) (any, error)) {
	t.Helper()
	var cases []refused
	for id, reason := range malformed {
		cases = append(cases, refused{
			why: fmt.Sprintf("%.20q", id), operation: operation, field: field, reason: reason,
			do: func(ctx context.Context, c *privicore.Client) (any, error) { return do(ctx, c, id) },
		})
	}
	assertRefused(t, cases)
}

// assertHidden fails if a value shows a secret to fmt, JSON or slog, by itself
// or as a part of a value of the user's.
func assertHidden(t *testing.T, v any, secrets ...string) {
	t.Helper()
	for _, v := range []any{v, struct{ Exported any }{v}, struct{ unexported any }{v}, []any{v}, map[string]any{"k": v}} {
		assertNotShown(t, v, secrets...)
	}
}

func assertNotShown(t *testing.T, v any, secrets ...string) {
	t.Helper()
	shown := make(map[string]string)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown[verb] = fmt.Sprintf(verb, v)
	}
	data, err := json.Marshal(v)
	require.NoError(t, err)
	shown["json"] = string(data)
	var text, object bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", v)
	slog.New(slog.NewJSONHandler(&object, nil)).Info("m", "v", v)
	shown["slog text"], shown["slog json"] = text.String(), object.String()
	for _, secret := range secrets {
		require.NotEmpty(t, secret)
		for form, value := range map[string]string{
			"as it is":       secret,
			"in hexadecimal": hex.EncodeToString([]byte(secret)),
			"in decimal":     strings.Trim(fmt.Sprint([]byte(secret)), "[]"),
		} {
			for how, text := range shown {
				assert.False(t, strings.Contains(text, value), "%s of a %T shows a secret %s", how, v, form)
			}
		}
	}
}

func TestWire(t *testing.T) {
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
	_, s := replay(t, "device/configuration.ok")
	c := s.client(privicore.WithToken(testToken), privicore.WithBaseURL(baseURL+"/api/v1/"))
	_, err := c.Device.Configuration(t.Context(), "a/b")
	require.NoError(t, err)
	assert.Equal(t, []string{"GET /api/v1/device/retrieve-device-configuration/a%2Fb"}, s.requests())
}

// Whatever the place of the command id, every operation finds it.
func TestWireCommandIDs(t *testing.T) {
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

// What a server quotes of the secrets it was sent does not reach an error.
func TestWireSecretsAreNotQuoted(t *testing.T) {
	for _, call := range calls {
		secrets := []string{}
		if call.token {
			secrets = append(secrets, testToken)
		}
		form, err := url.ParseQuery(call.body)
		require.NoError(t, err)
		for _, name := range []string{"password", "currentPassword", "newPassword"} {
			if form.Has(name) {
				secrets = append(secrets, form.Get(name))
			}
		}
		for _, secret := range secrets {
			quoted := strconv.Quote("The value \"" + secret + "\" was refused.")
			for _, body := range []string{
				quoted,
				`[` + quoted + `]`,
				`{"message":` + quoted + `}`,
				`{"errors":{"password":[` + quoted + `]}}`,
				`{"errors":[{"field":"password","message":"bad","value":` + strconv.Quote(secret) + `}]}`,
			} {
				for _, status := range []string{"401 Unauthorized", "422 Unprocessable Content", "500 Internal Server Error"} {
					_, s := replay(t)
					s.answers = [][]byte{[]byte("HTTP/1.1 " + status + "\nContent-Type: application/json\n\n" + body)}
					_, err := call.do(t.Context(), s.client(privicore.WithToken(testToken)))
					require.Error(t, err)
					assert.NotContains(t, err.Error(), secret, call.operation)
					assertHidden(t, err, secret)
					apiErr, ok := errors.AsType[*privicore.APIError](err)
					require.True(t, ok)
					assert.Equal(t, body, string(apiErr.Response.Body), "the answer itself is kept")
				}
			}
		}
	}
}

// An answer that cannot be read may still hold what was asked for: a token, a
// key. The error does not quote it.
func TestWireSecretsOfAnswersAreNotQuoted(t *testing.T) {
	for operation, answer := range map[string]struct {
		old, spoilt string // part of the recorded answer
		secret      string
	}{
		"Profile.Authenticate":         {`"2026-02-21T15:33:44+00:00"`, `"in an hour"`, "T-1f6c2b7e-recorded-token"},
		"Profile.GenerateQRToken":      {`"2026-02-21T15:33:44Z"`, `1771688024`, "QR-8c41-recorded-token"},
		"Profile.Reauthorize":          {`"2026-02-21T16:33:44+00:00"`, `"2026-02-21"`, "T-77aa-reauthorized-token"},
		"PublicKey.Generate":           {privateKey, privateKey[2:], privateKey[2:]},
		"Device.Configuration":         {`"cs-recorded-secret"`, `["cs-recorded-secret"]`, "cs-recorded-secret"},
		"Device.DownloadConfiguration": {`"rp-recorded-secret"`, `{"value":"rp-recorded-secret"}`, "rp-recorded-secret"},
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

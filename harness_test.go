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
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// This file has the fixtures that several tests share: a server that replays
// recorded answers (replay), one that answers as the test says, without a network
// (fakeClient) and with one (realServer), and checks of what is refused and of what
// is not shown. A sandbox is in sandbox_test.go, a WebSocket proxy in
// channel_test.go.

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

	// Of clients without recorded answers.
	fakeURL   = "https://api.test:9009"
	fakeToken = "T-5f0c7e1a93"
)

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
func recorded(t testing.TB, name string) []byte {
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
func parsed(t testing.TB, name string) (*http.Response, []byte) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(recorded(t, name))), nil)
	require.NoError(t, err, name)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err, name)
	return resp, body
}

// fakeAPI is a server without a network. The body has been read when it is
// called; form has it.
type fakeAPI func(r *http.Request, form url.Values) (*http.Response, error)

func (f fakeAPI) RoundTrip(r *http.Request) (*http.Response, error) {
	var form url.Values
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		_ = r.Body.Close()
		form, _ = url.ParseQuery(string(body))
	}
	return f(r, form)
}

// roundTripper is a server that reads the request itself.
type roundTripper func(r *http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func reply(status int, body string, header ...string) (*http.Response, error) {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		StatusCode: status, Header: h, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// fakeClient is a client of a fakeAPI, with a token unless opts say otherwise.
func fakeClient(t testing.TB, api fakeAPI, opts ...privicore.Option) *privicore.Client {
	t.Helper()
	base := []privicore.Option{
		privicore.WithBaseURL(fakeURL), privicore.WithHTTPClient(&http.Client{Transport: api}),
	}
	if opts == nil {
		opts = []privicore.Option{privicore.WithToken(fakeToken)}
	}
	c, err := privicore.NewClient(append(base, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

// realServer is a server over a real network, and a client for it.
func realServer(t *testing.T, h http.HandlerFunc, opts ...privicore.Option) (*privicore.Client, *httptest.Server) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	if opts == nil {
		opts = []privicore.Option{privicore.WithToken(fakeToken)}
	}
	c, err := privicore.NewClient(append([]privicore.Option{privicore.WithBaseURL(s.URL)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c, s
}

// refused is a call that must fail before anything is sent.
type refused struct {
	why       string
	do        func(ctx context.Context, c *privicore.Client) (any, error)
	operation string // such as "Device.Approve"
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
	"a\x00b":                  "control character",
	"a\r\nX-Injected: 1":      "control character",
	"a\u202eb":                "direction of the text",
	"a\u2066b":                "direction of the text",
	"\xff\xfe":                "not UTF-8",
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
				assert.NotContains(t, text, value, "%s of a %T shows a secret %s", how, v, form)
			}
		}
	}
}

// notUnderRace skips a test of a limit or of memory under the race detector.
func notUnderRace(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("payloads of 64 MiB take the race detector long, and it has nothing to find here")
	}
}

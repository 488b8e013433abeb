package privicore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

func TestSecret(t *testing.T) {
	t.Parallel()
	s := privicore.NewSecret("hunter2")
	assert.Equal(t, "hunter2", s.Reveal())
	assert.False(t, s.IsZero())
	assert.True(t, privicore.NewSecret("").IsZero())
	assert.Empty(t, privicore.Secret{}.Reveal())
	assert.Equal(t, "[redacted]", s.String())
	assert.Equal(t, "[redacted] [redacted] [redacted] [redacted]", fmt.Sprintf("%v %#v %d %x", s, s, s, s))
	assert.Equal(t, slog.StringValue("[redacted]"), slog.AnyValue(s).Resolve())

	type private struct {
		s privicore.Secret
		p *privicore.Secret
		m map[string]privicore.Secret
	}
	type public struct {
		S privicore.Secret  `json:"s"`
		P *privicore.Secret `json:"p"`
		I any               `json:"i"`
	}
	for _, v := range []any{
		s, &s, private{s, &s, map[string]privicore.Secret{"k": s}}, public{s, &s, s}, &public{s, &s, &s}, []privicore.Secret{s}, [1]any{s},
	} {
		text := shown(t, v)
		for _, verb := range []string{"%s", "%q", "%x", "%X", "%d"} {
			text += fmt.Sprintf(verb, v)
		}
		assert.NotContains(t, text, "hunter2")
		assert.NotContains(t, strings.ToLower(text), fmt.Sprintf("%x", "hunter2"))
	}
	data, err := json.Marshal(public{s, &s, s})
	require.NoError(t, err)
	assert.JSONEq(t, `{"s":"[redacted]","p":"[redacted]","i":"[redacted]"}`, string(data))
}

func TestSecretFromJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`"hunter2"`: "hunter2", `""`: "", `null`: "", `5672`: "5672", `-1.5e3`: "-1.5e3", `"a\"b\u00e9"`: `a"bé`,
	} {
		var s privicore.Secret
		require.NoError(t, json.Unmarshal([]byte(text), &s))
		assert.Equal(t, want, s.Reveal())
	}
	for _, text := range []string{`true`, `["hunter2"]`, `{"a":"hunter2"}`} {
		var s privicore.Secret
		err := json.Unmarshal([]byte(text), &s)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "hunter2")
	}
}

// shown is v in all the ways in which it may be printed.
func shown(t *testing.T, v any) string {
	t.Helper()
	text := everyForm(v)
	if err, ok := v.(error); ok {
		text += strings.Join(chain(err), "\n")
	}
	return text
}

// secrets are all that the calls below send, in plain and in any encoding.
var secrets = []string{
	"T-hunter-token", "pass&word hunter", "pass%26word", "pass+word", "dXNlcjpw", "stream-hunter", "nonce-hunter",
	fmt.Sprintf("%x", "T-hunter-token"), fmt.Sprintf("%X", "T-hunter-token"),
}

func assertNoSecrets(t *testing.T, text string) {
	t.Helper()
	for _, secret := range secrets {
		assert.NotContains(t, text, secret)
	}
}

// secretCalls are calls that carry secrets of every kind.
func secretCalls(ctx context.Context, c *privicore.Client) []error {
	var errs []error
	add := func(_ any, err error) { errs = append(errs, err) }
	add(c.Device.List(ctx))
	add(c.Device.Remove(ctx, "d"))
	add(c.Profile.Authenticate(ctx, "user", "pass&word hunter"))
	add(c.Profile.Register(ctx, "user", "pass&word hunter"))
	add(c.Profile.ChangePassword(ctx, "pass&word hunter", "pass&word hunter and more"))
	add(c.Do(ctx, "POST", "/x", url.Values{"password": {"other", "pass&word hunter"}}))
	add(c.Do(ctx, "POST", "/x?auth=stream-hunter", map[string]string{"password": "pass&word hunter"}))
	add(c.Do(ctx, "GET", "/x?auth=stream-hunter", nil))
	return errs
}

func debugLog(w io.Writer) privicore.Option {
	return privicore.WithLogger(slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})))
}

func TestFailuresWithoutAnAnswerShowNoSecrets(t *testing.T) {
	t.Parallel()
	quoting := func(w http.ResponseWriter, r *http.Request, format string) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(conn, format, r.Header.Get("X-DPT-AUTHORIZATION")+"|"+r.PostFormValue("password")+"|?auth=stream-hunter")
	}
	for name, handler := range map[string]http.HandlerFunc{
		"aborted":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"status line": func(w http.ResponseWriter, r *http.Request) { quoting(w, r, "%s\r\n\r\n") },
		"status code": func(w http.ResponseWriter, r *http.Request) { quoting(w, r, "HTTP/1.1 %s OK\r\n\r\n") },
		"header":      func(w http.ResponseWriter, r *http.Request) { quoting(w, r, "HTTP/1.1 200 OK\r\n%s\r\n\r\n") },
		"length": func(w http.ResponseWriter, r *http.Request) {
			quoting(w, r, "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n")
		},
		"location": func(w http.ResponseWriter, r *http.Request) {
			quoting(w, r, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://[::1|%s\r\n\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			c, _ := realServer(t, handler, privicore.WithToken("T-hunter-token"), privicore.WithMaxRetries(0), debugLog(&log))
			for _, err := range secretCalls(t.Context(), c) {
				require.Error(t, err)
				assertNoSecrets(t, err.Error())
				assertNoSecrets(t, fmt.Sprintf("%v %+v %#v", err, err, err))
			}
			assertNoSecrets(t, log.String())
			assert.Contains(t, log.String(), `"path":"/device/remove"`, "it did log")
		})
	}
	var log bytes.Buffer
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	c, err := privicore.NewClient(privicore.WithBaseURL("http://"+l.Addr().String()), privicore.WithToken("T-hunter-token"), privicore.WithMaxRetries(0), debugLog(&log))
	require.NoError(t, err)
	defer c.Close()
	for _, err := range secretCalls(t.Context(), c) {
		require.Error(t, err)
		assertNoSecrets(t, shown(t, err))
	}
	assertNoSecrets(t, log.String())
}

// vault is a user's TokenSource that is a plain value.
type sealedVault struct{ Token_ string }

func (v sealedVault) Token(context.Context) (*privicore.AuthorizationToken, error) {
	return &privicore.AuthorizationToken{Token: privicore.NewSecret(v.Token_), ExpiresAt: time.Now().Add(time.Hour)}, nil
}

func TestTypesShowNoSecrets(t *testing.T) {
	t.Parallel()
	for _, auth := range [][]privicore.Option{
		{privicore.WithToken("T-hunter-token")},
		{privicore.WithCredentials("user", "pass&word hunter")},
		{privicore.WithTokenSource(sealedVault{"T-hunter-token"})},
		{privicore.WithToken("T-hunter-token"), privicore.WithCredentials("user", "pass&word hunter")},
	} {
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			switch r.URL.Path {
			case "/profile/authenticate":
				return reply(200, `{"authorizationToken":"T-hunter-token","expiresAt":"2040-01-01T00:00:00Z"}`)
			case "/profile/generate-token-qr":
				return reply(200, `{"qrToken":"T-hunter-token","expiresAt":"2040-01-01T00:00:00Z"}`)
			case "/device/remove":
				return reply(202, `"c1"`)
			}
			return reply(200, `{"device-identifier":"d","client-id":"T-hunter-token","client-secret":"T-hunter-token","rabbit-user":"T-hunter-token",
				"rabbit-pass":"T-hunter-token","rabbit-host":"T-hunter-token","rabbit-port":5672}`)
		}, auth...)
		token, err := c.Profile.Authenticate(t.Context(), "user", "pass&word hunter")
		require.NoError(t, err)
		qr, err := c.Profile.GenerateQRToken(t.Context())
		require.NoError(t, err)
		configuration, err := c.Device.Configuration(t.Context(), "d")
		require.NoError(t, err)
		cmd, err := c.Device.Remove(t.Context(), "d")
		require.NoError(t, err)
		resp, err := c.Do(t.Context(), "GET", "/x", nil)
		require.NoError(t, err)
		for _, v := range []any{
			c, *c.Device, c.Profile, token, *token, qr, *qr, configuration, *configuration, cmd, resp, *resp, auth,
			struct{ inner *privicore.Client }{c}, struct{ Inner any }{token}, struct{ inner any }{*token}, struct{ inner any }{*configuration},
		} {
			assertNoSecrets(t, shown(t, v))
		}
	}
}

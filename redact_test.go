package privicore_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// Secrets with everything in them that some encoding escapes. Each has the core,
// by which what is left of it is found in any encoding.
const (
	secretCore     = "hunter2core"
	escapedToken   = `T-"` + secretCore + `"\<a>&b%+/=;'`
	escapedSecret  = "😀pä\"ss " + secretCore + "\\ <a>&b%+/=\t;'é"
	escapedFileURL = "https://files.test/?auth=T-" + secretCore + "%2Ba%26b%3D"
)

// escapedCalls are calls that send them in each place where a secret can be.
var escapedCalls = map[string]struct {
	secret string
	do     func(ctx context.Context, c *privicore.Client) error
}{
	"the token of a read": {escapedToken, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.Device.List(ctx)
		return err
	}},
	"the token of a command": {escapedToken, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.Device.Remove(ctx, device1)
		return err
	}},
	"a password": {escapedSecret, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.Profile.Authenticate(ctx, "user", escapedSecret)
		return err
	}},
	"a new password": {escapedSecret, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.Profile.ChangePassword(ctx, "the old one", escapedSecret)
		return err
	}},
	"a password in JSON": {escapedSecret, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.Do(ctx, http.MethodPost, "/x", map[string]string{"password": escapedSecret})
		return err
	}},
	"a client secret": {escapedSecret, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.OAuth.ObtainAccessToken(ctx, privicore.ObtainAccessTokenRequest{
			ClientID: clientID, ClientSecret: privicore.NewSecret(escapedSecret), Code: privicore.NewSecret("C-sent"),
		})
		return err
	}},
	"a pair of id and secret": {
		base64.StdEncoding.EncodeToString([]byte(clientID + ":" + secretCore)), func(ctx context.Context, c *privicore.Client) error {
			_, err := c.OAuth.ObtainAccessToken(ctx, privicore.ObtainAccessTokenRequest{
				ClientID: clientID, ClientSecret: privicore.NewSecret(secretCore), Code: privicore.NewSecret("C-sent"),
			})
			return err
		},
	},
	"an authorization code": {escapedSecret, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.OAuth.ObtainAccessToken(ctx, privicore.ObtainAccessTokenRequest{
			ClientID: clientID, ClientSecret: clientSecret, Code: privicore.NewSecret(escapedSecret),
		})
		return err
	}},
	"an access token": {escapedToken, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.OAuth.Scope(ctx, privicore.NewSecret(escapedToken))
		return err
	}},
	"a refresh token": {escapedSecret, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.OAuth.RefreshAccessToken(ctx, privicore.NewSecret("T-access"), privicore.NewSecret(escapedSecret))
		return err
	}},
	"the address of an upload": {escapedFileURL, func(ctx context.Context, c *privicore.Client) error {
		return c.DataToken.Upload(ctx, privicore.NewSecret(escapedFileURL), strings.NewReader("data"))
	}},
	"the address of a download": {escapedFileURL, func(ctx context.Context, c *privicore.Client) error {
		data, err := c.DataToken.Download(ctx, privicore.NewSecret(escapedFileURL))
		if err != nil {
			return err
		}
		return data.Close()
	}},
}

// escapings are the ways in which a text may quote a secret.
var escapings = map[string]func(string) string{
	"plain":          func(s string) string { return s },
	"%q":             strconv.Quote,
	"%+q":            strconv.QuoteToASCII,
	"JSON":           inJSON,
	"JSON with HTML": func(s string) string { return encoded(s, false) },
	"JSON of PHP":    func(s string) string { return strings.ReplaceAll(inASCII(encoded(s, false)), "/", `\/`) },
	"a query":        url.QueryEscape,
	"a path":         url.PathEscape,
	"JavaScript":     func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }, // encodeURIComponent
	"an inner URL":   func(s string) string { return "https://proxy.test/?to=" + url.QueryEscape("https://api.test/?q="+s) },
}

func inJSON(s string) string { return encoded(s, true) }

func encoded(s string, escapeHTML bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	_ = e.Encode(s)
	return strings.TrimSpace(b.String())
}

func inASCII(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			for _, unit := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		}
	}
	return b.String()
}

// chain returns err and all errors in it, in every way to print them.
func chain(err error) []string {
	if err == nil {
		return nil
	}
	texts := []string{err.Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s", "%x"} {
		texts = append(texts, fmt.Sprintf(verb, err))
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		texts = append(texts, chain(e.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			texts = append(texts, chain(inner)...)
		}
	}
	if e, ok := errors.AsType[*privicore.APIError](err); ok {
		texts = append(texts, fmt.Sprintf("%q %q %q", e.Messages, e.Fields, e.Parameters))
		data, _ := json.Marshal(e)
		texts = append(texts, string(data))
	}
	return texts
}

// leaked returns the first of the texts in which something of a secret is left,
// or "".
func leaked(secret string, texts ...string) string {
	for _, text := range texts {
		for _, form := range []string{secretCore, fmt.Sprintf("%x", secretCore), secret} {
			if strings.Contains(text, form) {
				return text
			}
		}
	}
	return ""
}

// quotingErrors are the errors of a RoundTripper that quotes.
var quotingErrors = map[string]func(r *http.Request, quoted string) error{
	"an error": func(_ *http.Request, quoted string) error { return errors.New("refused: " + quoted) },
	"a wrapped error": func(_ *http.Request, quoted string) error {
		return fmt.Errorf("outer: %w", errors.New(quoted))
	},
	"an inner error only": func(_ *http.Request, quoted string) error { return &discreet{errors.New(quoted)} },
	"joined errors": func(_ *http.Request, quoted string) error {
		return errors.Join(http.ErrHandlerTimeout, fmt.Errorf("second: %s", quoted))
	},
	"a url.Error": func(r *http.Request, quoted string) error {
		return &url.Error{Op: r.Method, URL: "https://proxy.test/" + quoted, Err: errors.New(quoted)}
	},
}

// discreet does not show the error that it wraps.
type discreet struct{ inner error }

func (e *discreet) Error() string { return "something failed" }
func (e *discreet) Unwrap() error { return e.inner }

// A RoundTripper of the program's may quote whatever it was given to send. That
// is in no error of the chain and not in the log.
func TestErrorsOfARoundTripperAreRedacted(t *testing.T) {
	t.Parallel()
	for place, call := range escapedCalls {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // reads pause before they are sent again
				for how, escape := range escapings {
					for kind, failure := range quotingErrors {
						var log bytes.Buffer
						c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
							return nil, failure(r, escape(call.secret))
						}, privicore.WithToken(escapedToken), privicore.WithMaxRetries(1), debugLog(&log))
						err := call.do(t.Context(), c)
						require.Error(t, err)
						assert.Empty(t, leaked(call.secret, append(chain(err), log.String())...), "%s in %s", how, kind)
						assert.Contains(t, log.String(), "privicore: call", "it did log")
					}
				}
			})
		})
	}
}

// A server may quote what it was sent, in every encoding that it knows.
func TestMessagesOfAServerAreRedacted(t *testing.T) {
	t.Parallel()
	for place, call := range escapedCalls {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			var status int
			var body string
			c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
				return reply(status, body, "Retry-After", "0")
			},
				privicore.WithToken(escapedToken), privicore.WithMaxRetries(1), debugLog(&log))
			for how, escape := range escapings {
				said := inJSON("the value " + escape(call.secret) + " was refused")
				for _, body = range []string{
					said,
					`[` + said + `]`,
					`{"message":` + said + `}`,
					`{"errors":{"password":[` + said + `]}}`,
					`{"errors":{` + said + `:["is odd"]}}`,
					`{"error":{"detail":[{"title":` + said + `}]}}`,
					"<html>" + escape(call.secret) + "</html>",
					"the value " + escape(call.secret) + " was refused",
				} {
					for _, status = range []int{200, 302, 401, 422, 500} {
						log.Reset()
						err := call.do(t.Context(), c)
						if status >= 300 {
							require.Error(t, err)
						}
						assert.Empty(t, leaked(call.secret, append(chain(err), log.String())...), "%s in %d %s", how, status, body)
						require.Contains(t, log.String(), "privicore: call", "it did log")
					}
				}
			}
		})
	}
}

// What a program logs of an error with the two handlers of log/slog is redacted
// like the rest.
func TestRedactedErrorsInALog(t *testing.T) {
	t.Parallel()
	c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
		return nil, fmt.Errorf("refused: %q", escapedToken)
	}, privicore.WithToken(escapedToken), privicore.WithMaxRetries(0))
	_, err := c.Device.Remove(t.Context(), device1)
	require.Error(t, err)
	require.ErrorContains(t, err, "[redacted]", "the error says that something was there")
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Error("failed", "err", err)
	}
	assert.Empty(t, leaked(escapedToken, log.String()))
	assert.Contains(t, log.String(), "[redacted]")
}

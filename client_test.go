package privicore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

func TestCommandIsSentAgainOnlyIfItCannotHaveRun(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	tests := []struct {
		name      string
		fail      func() (*http.Response, error)
		sent      int
		ambiguous bool
	}{
		{"500", func() (*http.Response, error) { return reply(500, "") }, 1, true},
		{"502", func() (*http.Response, error) { return reply(502, "") }, 1, true},
		{"503", func() (*http.Response, error) { return reply(503, "") }, 1, true},
		{"504", func() (*http.Response, error) { return reply(504, "") }, 1, true},
		{"broken", func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, 1, true},
		{"timeout", func() (*http.Response, error) { return nil, context.DeadlineExceeded }, 1, true},
		{"422", func() (*http.Response, error) { return reply(422, "") }, 1, false},
		{"501", func() (*http.Response, error) { return reply(501, "") }, 1, false},
		{"refused", func() (*http.Response, error) { return nil, refused }, 4, false},
		{"429", func() (*http.Response, error) { return reply(429, "") }, 4, false},
		{"503, come back", func() (*http.Response, error) { return reply(503, "", "Retry-After", "2") }, 4, false},
		{"503, come back now", func() (*http.Response, error) { return reply(503, "", "Retry-After", "0") }, 4, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sent := 0
				c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
					sent++
					return test.fail()
				})
				_, err := c.Device.Remove(t.Context(), "d")
				require.Error(t, err)
				assert.Equal(t, test.sent, sent)
				assert.Equal(t, test.ambiguous, errors.Is(err, privicore.ErrAmbiguous))

				sent = 0
				_, err = c.Do(t.Context(), "POST", "/device/remove", nil)
				require.Error(t, err)
				assert.Equal(t, test.sent, sent)
				assert.Equal(t, test.ambiguous, errors.Is(err, privicore.ErrAmbiguous))

				// It is not ambiguous what a read did.
				_, err = c.Device.List(t.Context())
				assert.NotErrorIs(t, err, privicore.ErrAmbiguous)
			})
		})
	}
}

func TestCommandOverConnectionThatBreaks(t *testing.T) {
	t.Parallel()
	var sent atomic.Int32
	c, _ := realServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, "[]")
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		sent.Add(1)
		panic(http.ErrAbortHandler)
	})
	for _, used := range []bool{false, true} {
		if used {
			_, err := c.Device.List(t.Context())
			require.NoError(t, err)
		}
		sent.Store(0)
		_, err := c.Device.Remove(t.Context(), "d")
		require.ErrorIs(t, err, privicore.ErrAmbiguous)
		assert.EqualValues(t, 1, sent.Load())
	}
}

func TestRateLimitBeyondPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start, sent := time.Now(), 0
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
			sent++
			return reply(429, `"slow down"`, "Retry-After", "3600")
		})
		_, err := c.Device.Remove(t.Context(), "d")
		require.ErrorIs(t, err, privicore.ErrRateLimited)
		var apiErr *privicore.APIError
		require.ErrorAs(t, err, &apiErr)
		assert.Equal(t, time.Hour, apiErr.RetryAfter)
		assert.Contains(t, err.Error(), "retry after 1h0m0s")
		assert.Zero(t, time.Since(start))
		assert.Equal(t, 1, sent)
	})
}

func TestMaxRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 5} {
			sent := 0
			c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
				sent++
				return reply(500, "")
			}, privicore.WithMaxRetries(n))
			_, err := c.Utility.Health(t.Context())
			require.Error(t, err)
			assert.Equal(t, 1+n, sent)
		}
	})
}

func TestEndOfContextMatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		})
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("enough"))
		defer cancel()
		_, err := c.Device.List(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "enough")

		ctx, interrupt := context.WithCancelCause(t.Context())
		interrupt(errors.New("interrupted"))
		_, err = c.Device.List(ctx)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestSecretsStayAtTheOrigin(t *testing.T) {
	t.Parallel()
	var visits atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer other.Close()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(other.URL, "http://"))
	require.NoError(t, err)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{other.URL, "http://localhost:" + port, "https://127.0.0.1:" + port} {
			c, _ := realServer(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", to+r.URL.Path)
				w.WriteHeader(status)
			})
			calls := map[string]func() error{
				"read":     func() error { _, err := c.Device.List(t.Context()); return err },
				"command":  func() error { _, err := c.Device.Remove(t.Context(), "d"); return err },
				"password": func() error { _, err := c.Profile.Authenticate(t.Context(), "u", "hunter2"); return err },
				"raw": func() error {
					_, err := c.Do(t.Context(), "PUT", "/x", url.Values{"password": {"hunter2"}})
					return err
				},
			}
			for name, call := range calls {
				err := call()
				var apiErr *privicore.APIError
				require.ErrorAs(t, err, &apiErr, name)
				assert.Equal(t, status, apiErr.StatusCode)
				assert.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
				assert.ErrorContains(t, err, "redirect")
				// Web servers answer a form that they have processed with 302 or 303.
				mayHaveRun := name != "read" && (status == http.StatusFound || status == http.StatusSeeOther)
				assert.Equal(t, mayHaveRun, errors.Is(err, privicore.ErrAmbiguous), "%s %d", name, status)
			}
		}
	}
	assert.Zero(t, visits.Load())
}

func TestRedirectWithinTheServer(t *testing.T) {
	t.Parallel()
	c, _ := realServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/device/remove" {
			http.Redirect(w, r, "/v2/device/remove", http.StatusTemporaryRedirect)
			return
		}
		assert.Equal(t, "/v2/device/remove", r.URL.Path)
		assert.Equal(t, fakeToken, r.Header.Get("X-DPT-AUTHORIZATION"))
		assert.Equal(t, "d", r.PostFormValue("deviceIdentifier"))
		w.Header().Set("X-DPT-CAB-ID", "c1")
		w.WriteHeader(202)
	})
	cmd, err := c.Device.Remove(t.Context(), "d")
	require.NoError(t, err)
	assert.Equal(t, "c1", cmd.ID)
}

func TestUsersHTTPClient(t *testing.T) {
	t.Parallel()
	checked := 0
	user := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { checked++; return nil },
		Timeout:       time.Minute,
		Transport: fakeAPI(func(r *http.Request, _ url.Values) (*http.Response, error) {
			if r.URL.Path == "/health" {
				return reply(307, "", "Location", "/v2/health")
			}
			return reply(200, `{"status":"ok"}`)
		}),
	}
	before := fmt.Sprintf("%p %p %v", user.CheckRedirect, user.Transport, user.Timeout)
	c, err := privicore.NewClient(privicore.WithBaseURL(fakeURL), privicore.WithHTTPClient(user))
	require.NoError(t, err)
	_, err = c.Utility.Health(t.Context())
	require.NoError(t, err)
	require.NoError(t, c.Close())
	assert.Equal(t, 1, checked)
	assert.Equal(t, before, fmt.Sprintf("%p %p %v", user.CheckRedirect, user.Transport, user.Timeout))
}

func TestPathParameters(t *testing.T) {
	t.Parallel()
	for id, escaped := range map[string]string{
		"a":        "a",
		"a/b":      "a%2Fb",
		"a b":      "a%20b",
		"100%":     "100%25",
		"%2e%2e":   "%252e%252e",
		"?x=1#y":   "%3Fx=1%23y",
		"ключ":     "%D0%BA%D0%BB%D1%8E%D1%87",
		"...":      "...",
		"a;b":      "a%3Bb",
		"a\\b":     "a%5Cb",
		"{commit}": "%7Bcommit%7D",
	} {
		var path string
		c, _ := realServer(t, func(w http.ResponseWriter, r *http.Request) {
			path = r.RequestURI
			_, _ = io.WriteString(w, "{}")
		})
		_, err := c.Device.Configuration(t.Context(), id)
		require.NoError(t, err, id)
		assert.Equal(t, "/device/retrieve-device-configuration/"+escaped, path)
	}
	c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
		t.Error("sent")
		return reply(200, "{}")
	})
	for _, id := range []string{"", " ", ".", "..", "../x", "x/..", "a/../b", `..\x`, "./x", "a\x00", "a\nb", "a\r\nX: y", "\xff", " a", "a\t", strings.Repeat("x", 2000)} {
		_, err := c.Device.Configuration(t.Context(), id)
		var invalid *privicore.ValidationError
		require.ErrorAs(t, err, &invalid, "%q", id)
		assert.Equal(t, "deviceIdentifier", invalid.Field)
		require.ErrorIs(t, err, privicore.ErrValidation)
	}
}

func TestDo(t *testing.T) {
	t.Parallel()
	var got, body string
	c, _ := realServer(t, func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		got = fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Header.Get("Content-Type"), " ", r.Header.Get("X-DPT-AUTHORIZATION"))
		body = string(data)
		w.Header().Set("X-Kept", "yes")
		w.WriteHeader(202)
		_, _ = io.WriteString(w, `["c1"]`)
	})
	for _, test := range []struct {
		method, path string
		body         any
		want, sent   string
	}{
		{"GET", "/a/b?x=1&y=%2F", nil, "GET /a/b?x=1&y=%2F  " + fakeToken, ""},
		{"GET", "/a??", nil, "GET /a??  " + fakeToken, ""},
		{"GET", "/a?", nil, "GET /a  " + fakeToken, ""},
		{"get", "/", nil, "GET /  " + fakeToken, ""},
		{"POST", "/a", nil, "POST /a  " + fakeToken, ""},
		{"POST", "/a", url.Values{"n[]": {"1", "2"}}, "POST /a application/x-www-form-urlencoded " + fakeToken, "n%5B%5D=1&n%5B%5D=2"},
		{"POST", "/a", url.Values{}, "POST /a application/x-www-form-urlencoded " + fakeToken, ""},
		{"PUT", "/a/", map[string]int{"n": 1}, "PUT /a/ application/json " + fakeToken, `{"n":1}`},
		{"PATCH", "/a%2Fb", json.RawMessage(`[1]`), "PATCH /a%2Fb application/json " + fakeToken, `[1]`},
		{"DELETE", "/a?x={1}", nil, "DELETE /a?x={1}  " + fakeToken, ""},
	} {
		resp, err := c.Do(t.Context(), test.method, test.path, test.body)
		require.NoError(t, err, test)
		assert.Equal(t, test.want, got)
		assert.Equal(t, test.sent, body)
		assert.Equal(t, 202, resp.StatusCode)
		assert.Equal(t, "yes", resp.Header.Get("X-Kept"))
		cmd, err := resp.Command()
		require.NoError(t, err)
		assert.Equal(t, "c1", cmd.ID)
		var ids []string
		require.NoError(t, resp.Decode(&ids))
		assert.Equal(t, []string{"c1"}, ids)
	}
}

// The base URL is parsed once; the path of each call is added to what was parsed.
func TestPathOfTheBaseURL(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"":           "",
		"/":          "",
		"/api":       "/api",
		"/api/v%201": "/api/v%201",
		"/a%2Fb/":    "/a%2Fb",
	} {
		var got []string
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			got = append(got, r.URL.RequestURI(), r.Host)
			return reply(200, `{"items":[{"token":"t"}],"status":"ok"}`, "X-Dpt-Cab-Id", "c1")
		}, privicore.WithBaseURL("https://api.test:/"+strings.TrimPrefix(base, "/")), privicore.WithToken(fakeToken))
		_, err := c.Device.Remove(t.Context(), "d")
		require.NoError(t, err)
		_, err = c.Command("a/b").Status(t.Context())
		require.NoError(t, err)
		_, err = c.Do(t.Context(), "GET", "/a%2Fb?c=%20", nil)
		require.NoError(t, err)
		assert.Equal(t, []string{
			want + "/device/remove", "api.test", want + "/request-status/a%2Fb", "api.test", want + "/a%2Fb?c=%20", "api.test",
		}, got, base)
	}
}

func TestFormIsEncodedLikeNetURL(t *testing.T) {
	t.Parallel()
	for _, form := range []url.Values{
		{"a": {"1"}}, {"b": {"1", "", "ü &=+%"}, "a": {"2"}, "c": nil}, {"n[]": {"x y"}, "": {""}}, {"a": {}},
		{"j": {"1"}, "i": {"1"}, "h": {"1"}, "g": {"1"}, "f": {"1"}, "e": {"1"}, "d": {"1"}, "c": {"1"}, "b": {"1"}, "a": {"1"}},
	} {
		body := ""
		c, _ := realServer(t, func(_ http.ResponseWriter, r *http.Request) {
			data, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			body = string(data)
		})
		_, err := c.Do(t.Context(), "POST", "/a", form)
		require.NoError(t, err)
		assert.Equal(t, form.Encode(), body)
	}
}

func TestDoChecksThePath(t *testing.T) {
	t.Parallel()
	c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
		t.Error("sent to", r.URL)
		return reply(200, "")
	})
	for _, path := range []string{
		"", "x", "?x", "//evil.test", "//evil.test/x", "http://evil.test", "https://evil.test/x", ":x", "@evil.test/x", ".evil.test",
		"/a/../b", "/..", "/../", "/a/..", "/./a", "/a/.", "/%2e%2e/a", "/a/%2E%2e", "/a%2f..%2fb", "/a//b", "/a//", "///", "/%2F", "/%5C", "/a?x y", "/a?x HTTP/1.0",
		"/a#b", "/a?b#c", "/a\nb", "/a\r\nX: y", "/%zz", "/a/{id}/b", "/a/}", `/a/..\b`, `/\evil.test`, "/a#",
	} {
		_, err := c.Do(t.Context(), "GET", path, nil)
		require.ErrorIs(t, err, privicore.ErrValidation, "%q", path)
		var invalid *privicore.ValidationError
		require.ErrorAs(t, err, &invalid)
		assert.Equal(t, "path", invalid.Field)
	}
}

func TestDoWithoutToken(t *testing.T) {
	t.Parallel()
	c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
		assert.NotContains(t, r.Header, "X-Dpt-Authorization")
		return reply(200, "{}")
	}, privicore.WithMaxRetries(0))
	_, err := c.Do(t.Context(), "GET", "/health", nil)
	require.NoError(t, err)
	_, err = c.Device.List(t.Context())
	require.ErrorIs(t, err, privicore.ErrUnauthorized, "an operation that needs a token is not sent without")
}

func TestDoRefuses(t *testing.T) {
	t.Parallel()
	c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) { return reply(200, "") })
	_, err := c.Do(t.Context(), "GET", "/x", func() {})
	require.Error(t, err, "no JSON")
	_, err = c.Do(t.Context(), "G ET", "/x", nil)
	require.Error(t, err, "no method")
	assert.NotErrorIs(t, err, privicore.ErrAmbiguous)
}

func TestDoReturnsFailuresAsErrors(t *testing.T) {
	t.Parallel()
	c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
		return reply(409, `{"message":"taken"}`)
	})
	_, err := c.Do(t.Context(), "POST", "/profile/x?q=1", nil)
	require.ErrorIs(t, err, privicore.ErrConflict)
	var apiErr *privicore.APIError
	require.ErrorAs(t, err, &apiErr)
	assert.Equal(t, "/profile/x", apiErr.Path)
	assert.Equal(t, []string{"taken"}, apiErr.Messages)
	assert.Equal(t, `{"message":"taken"}`, string(apiErr.Response.Body))
}

func TestDoHead(t *testing.T) {
	t.Parallel()
	c, _ := realServer(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "4") })
	resp, err := c.Do(t.Context(), "HEAD", "/x", nil)
	require.NoError(t, err)
	assert.Empty(t, resp.Body)
}

func TestPathOfBaseURLIsAPrefix(t *testing.T) {
	t.Parallel()
	for _, base := range []string{fakeURL + "/tenant", fakeURL + "/tenant/", fakeURL + "/tenant///"} {
		var got string
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			got = r.URL.String()
			return reply(200, `{"status":"ok"}`)
		}, privicore.WithBaseURL(base))
		_, err := c.Utility.Health(t.Context())
		require.NoError(t, err)
		assert.Equal(t, fakeURL+"/tenant/health", got)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) { return reply(200, "[]") })
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { assert.NoError(t, c.Close()) })
	}
	all.Wait()
	_, err := c.Device.List(t.Context())
	require.ErrorIs(t, err, privicore.ErrClosed)
	assert.NotErrorIs(t, err, privicore.ErrAmbiguous)
	_, err = c.Device.Remove(t.Context(), "d")
	require.ErrorIs(t, err, privicore.ErrClosed)
	_, err = c.Do(t.Context(), "GET", "/x", nil)
	require.ErrorIs(t, err, privicore.ErrClosed)
	_, err = c.Command("c1").Wait(t.Context())
	require.ErrorIs(t, err, privicore.ErrClosed)
	_, err = c.Command("c1").Status(t.Context())
	require.ErrorIs(t, err, privicore.ErrClosed)
}

func TestCloseReleasesConnections(t *testing.T) {
	t.Parallel()
	var open atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "[]") }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	s.Start()
	defer s.Close()
	c, err := privicore.NewClient(privicore.WithBaseURL(s.URL), privicore.WithToken(fakeToken))
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, err := c.Device.List(t.Context())
			assert.NoError(t, err)
		})
	}
	all.Wait()
	assert.Positive(t, open.Load())
	require.NoError(t, c.Close())
	require.Eventually(t, func() bool { return open.Load() == 0 }, 30*time.Second, time.Millisecond)
}

func TestManyGoroutines(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	c, _ := realServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/device/remove":
			w.Header().Set("X-DPT-CAB-ID", fmt.Sprint("c-", r.PostFormValue("deviceIdentifier")))
			w.WriteHeader(202)
		case strings.HasPrefix(r.URL.Path, "/request-status/"):
			n.Add(1)
			_, _ = io.WriteString(w, `["done"]`)
		}
	}, privicore.WithToken(fakeToken), privicore.WithPollRate(100_000))
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			id := fmt.Sprint(i)
			cmd, err := c.Device.Remove(t.Context(), id)
			if !assert.NoError(t, err) {
				return
			}
			result, err := cmd.Wait(t.Context())
			if assert.NoError(t, err) {
				assert.Equal(t, "c-"+id, result.ID)
			}
		})
	}
	all.Wait()
	assert.EqualValues(t, 50, n.Load())
}

func TestClone(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]int{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path == "/profile/authenticate" {
			seen["authenticate "+r.PostFormValue("username")]++
			_, _ = fmt.Fprintf(w, `{"authorizationToken":"T-%s"}`, r.PostFormValue("username"))
			return
		}
		seen[r.Header.Get("X-DPT-AUTHORIZATION")+" from "+r.RemoteAddr]++
		_, _ = io.WriteString(w, "[]")
	}))
	defer s.Close()
	alice, err := privicore.NewClient(privicore.WithBaseURL(s.URL), privicore.WithCredentials("alice", "pw-a"))
	require.NoError(t, err)
	list := func(c *privicore.Client) {
		t.Helper()
		_, err := c.Device.List(t.Context())
		require.NoError(t, err)
	}
	list(alice)
	same, err := alice.Clone()
	require.NoError(t, err)
	list(same)
	bob, err := alice.Clone(privicore.WithCredentials("bob", "pw-b"))
	require.NoError(t, err)
	list(bob)
	fixed, err := alice.Clone(privicore.WithToken("T-fixed"))
	require.NoError(t, err)
	list(fixed)
	require.NoError(t, alice.Close())
	list(bob)
	list(same)

	mu.Lock()
	tokens := map[string]int{}
	connections := map[string]bool{}
	for what, n := range seen {
		token, from, ok := strings.Cut(what, " from ")
		tokens[token] += n
		if ok {
			connections[from] = true
		}
	}
	mu.Unlock()
	assert.Equal(t, map[string]int{"authenticate alice": 1, "authenticate bob": 1, "T-alice": 3, "T-bob": 2, "T-fixed": 1}, tokens)
	assert.LessOrEqual(t, len(connections), 2, "they share connections; Close of one may end an idle one")
	for _, c := range []*privicore.Client{same, bob, fixed} {
		require.NoError(t, c.Close())
	}

	_, err = bob.Clone(privicore.WithBaseURL("http://example.com"))
	require.ErrorIs(t, err, privicore.ErrValidation)
	_, err = bob.Clone(privicore.WithMaxRetries(-1))
	require.ErrorIs(t, err, privicore.ErrValidation)
}

// Token and credentials are for the server that they were given for.
func TestCloneForAnotherServerHasNoCredentials(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	c, err := privicore.NewClient(privicore.WithToken("T-1"), privicore.WithCredentials("alice", "pw"))
	require.NoError(t, err)
	defer c.Close()
	clone, err := c.Clone(privicore.WithBaseURL(other.URL))
	require.NoError(t, err)
	defer clone.Close()
	_, err = clone.Device.List(t.Context())
	require.ErrorIs(t, err, privicore.ErrUnauthorized)
	assert.Zero(t, elsewhere.Load())
}

// A user who gave the client a static token and credentials of another profile
// to the clone must not find the static token in use.
func TestCloneDoesNotMixTokens(t *testing.T) {
	t.Parallel()
	var tokens []string
	c := fakeClient(t, func(r *http.Request, form url.Values) (*http.Response, error) {
		if r.URL.Path == "/profile/authenticate" {
			return reply(200, `{"authorizationToken":"T-bob"}`)
		}
		tokens = append(tokens, r.Header.Get("X-DPT-AUTHORIZATION"))
		return reply(401, "")
	})
	bob, err := c.Clone(privicore.WithCredentials("bob", "pw-b"), privicore.WithMaxRetries(1))
	require.NoError(t, err)
	defer bob.Close()
	_, err = bob.Device.List(t.Context())
	require.ErrorIs(t, err, privicore.ErrUnauthorized)
	assert.NotContains(t, tokens, fakeToken)

	tokens = nil
	static, err := bob.Clone(privicore.WithToken("T-only"))
	require.NoError(t, err)
	defer static.Close()
	_, err = static.Device.List(t.Context())
	require.ErrorIs(t, err, privicore.ErrUnauthorized)
	assert.Equal(t, []string{"T-only"}, tokens, "the clone has no credentials to renew it with")
}

func TestClonesShareTheLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var times []time.Duration
		var mu sync.Mutex
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			times = append(times, time.Since(start))
			if len(times) == 1 {
				return reply(429, "", "Retry-After", "20")
			}
			return reply(200, `["done"]`)
		})
		clone, err := c.Clone(privicore.WithToken("T-other"))
		require.NoError(t, err)
		defer clone.Close()
		var all sync.WaitGroup
		all.Go(func() { _, _ = c.Command("c1").Wait(t.Context()) })
		synctest.Wait()
		all.Go(func() { _, _ = clone.Command("c2").Wait(t.Context()) })
		all.Wait()
		require.Len(t, times, 3)
		// What the server said of one command binds that command wholly, and the
		// others for a while.
		assert.Equal(t, 5*time.Second, times[1])
		assert.GreaterOrEqual(t, times[2], 20*time.Second)
	})
}

// A read is sent again after every status that may be gone the next time.
func TestReadIsSentAgain(t *testing.T) {
	t.Parallel()
	for _, status := range []int{408, 421, 425, 429, 500, 502, 503, 504, 520, 522, 529} {
		synctest.Test(t, func(t *testing.T) {
			sent := 0
			c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
				if sent++; sent <= 3 {
					return reply(status, "")
				}
				return reply(200, "[]")
			})
			_, err := c.Device.List(t.Context())
			require.NoError(t, err, status)
			assert.Equal(t, 4, sent)
		})
	}
}

func TestMaxPause(t *testing.T) {
	t.Parallel()
	for limit, sent := range map[time.Duration]int{time.Minute: 4, 19 * time.Second: 2, 5 * time.Second: 1, 0: 4} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
				n++
				return reply(429, "", "Retry-After", "10")
			}, privicore.WithToken(fakeToken), privicore.WithMaxPause(limit))
			start := time.Now()
			_, err := c.Device.List(t.Context())
			require.ErrorIs(t, err, privicore.ErrRateLimited)
			assert.Equal(t, sent, n, limit)
			assert.Equal(t, time.Duration(sent-1)*10*time.Second, time.Since(start))
		})
	}
}

package transport

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newTLSServer(t *testing.T) *httptest.Server {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// redirecting is a server that redirects /from to a place and counts arrivals
// at any other path.
func redirecting(t *testing.T, status int, to string) (from string, arrived *atomic.Int32) {
	arrived = new(atomic.Int32)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/from" {
			body, _ := io.ReadAll(r.Body)
			assert.Equal(t, "T-secret", r.Header.Get("X-Dpt-Authorization"))
			if r.Method == http.MethodPost {
				assert.Equal(t, "a=b", string(body))
			}
			arrived.Add(1)
			return
		}
		w.Header().Set("Location", to)
		w.WriteHeader(status)
	})
	return s.URL + "/from", arrived
}

func TestRedirectToAnotherOriginIsNotFollowed(t *testing.T) {
	t.Parallel()
	var visits atomic.Int32
	elsewhere := func(http.ResponseWriter, *http.Request) { visits.Add(1) }
	other := serve(t, elsewhere)
	port := other.URL[strings.LastIndex(other.URL, ":"):]
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			for _, to := range []string{
				other.URL + "/to", "http://localhost" + port + "/to", "//" + strings.TrimPrefix(other.URL, "http://") + "/to",
				"https://127.0.0.1" + port + "/to", "http://user:pass@127.0.0.1" + port + "/to",
			} {
				from, _ := redirecting(t, status, to)
				r := &Request{Method: method, URL: from, Header: http.Header{"X-Dpt-Authorization": {"T-secret"}}, Idempotent: method == http.MethodGet}
				if method == http.MethodPost {
					r.Body = []byte("a=b")
				}
				answer, err := pooled(t, 3).Do(t.Context(), r)
				require.NoError(t, err)
				assert.Equal(t, status, answer.StatusCode)
				assert.Equal(t, to, answer.Header.Get("Location"))
			}
		}
	}
	assert.Zero(t, visits.Load(), "nothing may arrive at the other server, not even without the token")
}

// The scheme is part of the origin also where host and port are the same.
func TestRedirectToAnotherScheme(t *testing.T) {
	t.Parallel()
	sent := 0
	rt := roundTrip(func(r *http.Request) (*http.Response, error) {
		sent++
		return reply(307, "", "Location", "http://api.test:9009/to"), nil
	})
	answer, err := New(Config{Client: &http.Client{Transport: rt}, MaxRetries: 3}).Do(t.Context(), get("https://api.test:9009/from"))
	require.NoError(t, err)
	assert.Equal(t, 307, answer.StatusCode)
	assert.Equal(t, 1, sent)
}

func TestRedirectByWayOfTheSameOrigin(t *testing.T) {
	t.Parallel()
	hosts := []string{}
	rt := roundTrip(func(r *http.Request) (*http.Response, error) {
		hosts = append(hosts, r.URL.Host+r.URL.Path)
		if r.URL.Path == "/1" {
			return reply(307, "", "Location", "/2"), nil
		}
		return reply(307, "", "Location", "https://evil.test/3"), nil
	})
	_, err := New(Config{Client: &http.Client{Transport: rt}, MaxRetries: 3}).Do(t.Context(), command("https://api.test/1"))
	require.NoError(t, err)
	assert.Equal(t, []string{"api.test/1", "api.test/2"}, hosts)
}

func TestRedirectWithinTheOrigin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method   string
		status   int
		followed bool
	}{
		{http.MethodGet, 301, true}, {http.MethodGet, 302, true}, {http.MethodGet, 303, true},
		{http.MethodGet, 307, true}, {http.MethodGet, 308, true},
		{http.MethodPost, 307, true}, {http.MethodPost, 308, true},
		// These would turn the command into a GET.
		{http.MethodPost, 301, false}, {http.MethodPost, 302, false}, {http.MethodPost, 303, false},
	} {
		from, arrived := redirecting(t, test.status, "/to")
		r := &Request{Method: test.method, URL: from, Header: http.Header{"X-Dpt-Authorization": {"T-secret"}}, Idempotent: test.method == http.MethodGet}
		if test.method == http.MethodPost {
			r.Body = []byte("a=b")
		}
		answer, err := pooled(t, 3).Do(t.Context(), r)
		require.NoError(t, err)
		assert.Equal(t, test.followed, arrived.Load() == 1, "%s %d", test.method, test.status)
		assert.Equal(t, test.followed, answer.StatusCode == 200, "%s %d", test.method, test.status)
	}
}

func TestRedirectsWithoutEnd(t *testing.T) {
	t.Parallel()
	sent := 0
	rt := roundTrip(func(r *http.Request) (*http.Response, error) {
		sent++
		return reply(307, "", "Location", r.URL.Path+"x"), nil
	})
	answer, err := New(Config{Client: &http.Client{Transport: rt}, MaxRetries: 3}).Do(t.Context(), get("https://api.test/x"))
	require.NoError(t, err)
	assert.Equal(t, 307, answer.StatusCode)
	assert.Equal(t, 1+maxRedirects, sent)
}

func TestRedirectPolicyOfUsersClient(t *testing.T) {
	t.Parallel()
	from, arrived := redirecting(t, 307, "/to")
	r := &Request{Method: http.MethodPost, URL: from, Body: []byte("a=b"), Header: http.Header{"X-Dpt-Authorization": {"T-secret"}}}
	stop := errors.New("no redirects")
	asked := 0
	user := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { asked++; return stop }, Transport: new(http.Transport)}
	defer user.CloseIdleConnections()
	_, err := New(Config{Client: user, MaxRetries: 3}).Do(t.Context(), r)
	require.ErrorIs(t, err, stop)
	assert.Equal(t, 1, asked)
	assert.Zero(t, arrived.Load())

	user.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := New(Config{Client: user, MaxRetries: 3}).Do(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, 307, answer.StatusCode)

	user.CheckRedirect = func(*http.Request, []*http.Request) error { return nil }
	answer, err = New(Config{Client: user, MaxRetries: 3}).Do(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, 200, answer.StatusCode)
	assert.EqualValues(t, 1, arrived.Load())
}

func TestSameOrigin(t *testing.T) {
	t.Parallel()
	parse := func(text string) *url.URL {
		u, err := url.Parse(text)
		require.NoError(t, err)
		return u
	}
	for _, same := range []string{"https://api.test", "https://api.test:443/x", "https://API.Test/", "https://api.test:/x?y"} {
		assert.True(t, sameOrigin(parse(same), parse("https://api.test/")), same)
	}
	for _, other := range []string{
		"http://api.test", "http://api.test:443", "https://api.test:80", "https://api.test:9009",
		"https://api.test.", "https://api.test.evil", "https://evil@evil.test", "https://",
	} {
		assert.False(t, sameOrigin(parse(other), parse("https://api.test/")), other)
	}
	assert.True(t, sameOrigin(parse("http://[::1]:80/"), parse("http://[::1]")))
	assert.False(t, sameOrigin(parse("http://[::1]:8009/"), parse("http://[::1]")))
}

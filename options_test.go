package privicore_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

func TestURLsThatAreRefused(t *testing.T) {
	t.Parallel()
	// option is the field of the error, the URLs are for it.
	for _, test := range []struct {
		field, plain, secure string
		option               func(string) privicore.Option
	}{
		{"base URL", "http", "https", privicore.WithBaseURL},
		{"WebSocket URL", "ws", "wss", privicore.WithWebSocketURL},
	} {
		for _, text := range []string{
			"api.test", "api.test:9009", "localhost:8009", "//api.test", "/path", "hunter2", "ftp://api.test", "file:///etc/passwd",
			"javascript:alert(1)", test.secure + ":", test.secure + "://", test.secure + ":///path", test.secure + "://:9009",
			test.secure + ":api.test", test.secure + "://user@api.test", test.secure + "://user:hunter2@api.test",
			test.secure + "://:hunter2@api.test", test.secure + "://@api.test",
			test.secure + "://api.test?hunter2", test.secure + "://api.test/?", test.secure + "://api.test/?auth=hunter2",
			test.secure + "://api.test#hunter2", test.secure + "://api.test/#", test.secure + "://api.test#",
			// These url.Parse does not take, and its error quotes them.
			test.secure + "://user:hunter2@api.test:port", test.secure + "://user:hunter2@[::1", test.secure + "://user:hunter2@a b",
			test.secure + "://user:hunter2%zz@api.test", "\x7fhunter2", test.secure + "://api.test\nhunter2", " " + test.secure + "://hunter2",
			// Plain text beyond this machine.
			test.plain + "://api.test", test.plain + "://192.168.0.1:80", test.plain + "://127.0.0.1.evil.test", test.plain + "://localhost.evil.test",
			test.plain + "://[2001:db8::1]", test.plain + "://0.0.0.0", test.plain + "://notlocalhost", test.plain + "://127.1",
		} {
			c, err := privicore.NewClient(test.option(text))
			require.Error(t, err, "%q", text)
			assert.Nil(t, c)
			var invalid *privicore.ValidationError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, test.field, invalid.Field, "%q", text)
			assert.NotEmpty(t, invalid.Reason)
			require.ErrorIs(t, err, privicore.ErrValidation)
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "hunter2")
		}
		for _, text := range []string{
			test.secure + "://api.test", test.secure + "://api.test:9009/path/", test.plain + "://localhost:8009",
			test.plain + "://127.0.0.1", test.plain + "://127.9.9.9:1", test.plain + "://[::1]:8009",
		} {
			c, err := privicore.NewClient(test.option(text))
			require.NoError(t, err, "%q", text)
			require.NoError(t, c.Close())
		}
	}
	_, err := privicore.NewClient(privicore.WithBaseURL(""))
	require.ErrorIs(t, err, privicore.ErrValidation)
}

func TestOptionsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]privicore.Option{
		"no token":             privicore.WithToken(""),
		"token with line end":  privicore.WithToken("T-hunter2\r\nX: y"),
		"token with space":     privicore.WithToken("T hunter2"),
		"token with DEL":       privicore.WithToken("T-hunter2\x7f"),
		"no username":          privicore.WithCredentials("", "hunter2"),
		"no password":          privicore.WithCredentials("user", ""),
		"no source":            privicore.WithTokenSource(nil),
		"no HTTP client":       privicore.WithHTTPClient(nil),
		"no logger":            privicore.WithLogger(nil),
		"negative retries":     privicore.WithMaxRetries(-1),
		"no poll rate":         privicore.WithPollRate(0),
		"negative poll rate":   privicore.WithPollRate(-1),
		"poll rate, no number": privicore.WithPollRate(math.NaN()),
		"no outcomes":          privicore.WithOutcomeBuffer(0, 1),
		"no time":              privicore.WithOutcomeBuffer(1, 0),
	} {
		_, err := privicore.NewClient(option)
		require.ErrorIs(t, err, privicore.ErrValidation, name)
		assert.NotContains(t, err.Error(), "hunter2")
	}
}

func TestNilOption(t *testing.T) {
	t.Parallel()
	c, err := privicore.NewClient(nil, privicore.WithToken("T"), nil)
	require.NoError(t, err)
	require.NoError(t, c.Close())
}

func TestOrderOfOptions(t *testing.T) {
	t.Parallel()
	var authenticated, tokens []string
	api := fakeAPI(func(r *http.Request, form url.Values) (*http.Response, error) {
		if r.URL.Path == "/profile/authenticate" {
			authenticated = append(authenticated, form.Get("username"))
			return reply(200, `{"authorizationToken":"T-renewed"}`)
		}
		tokens = append(tokens, r.Header.Get("X-DPT-AUTHORIZATION"))
		if len(tokens) == 1 {
			return reply(401, "")
		}
		return reply(200, "[]")
	})
	options := []privicore.Option{
		privicore.WithBaseURL("http://api.test"), privicore.WithInsecureHTTP(), privicore.WithToken("T-first"),
		privicore.WithCredentials("user", "password"), privicore.WithHTTPClient(&http.Client{Transport: api}), privicore.WithWebSocketURL(""),
	}
	for range 2 {
		slices.Reverse(options)
		authenticated, tokens = nil, nil
		c, err := privicore.NewClient(options...)
		require.NoError(t, err)
		_, err = c.Device.List(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"user"}, authenticated)
		assert.Equal(t, []string{"T-first", "T-renewed"}, tokens)
		require.NoError(t, c.Close())
	}
}

func TestFromEnv(t *testing.T) {
	all := []string{"PRIVICORE_API_URL", "PRIVICORE_WS_URL", "PRIVICORE_USERNAME", "PRIVICORE_PASSWORD", "PRIVICORE_TOKEN"}
	set := func(t *testing.T, env map[string]string) {
		for _, name := range all {
			t.Setenv(name, env[name])
		}
	}
	for name, env := range map[string]map[string]string{
		"user without password": {"PRIVICORE_USERNAME": "user"},
		"password without user": {"PRIVICORE_PASSWORD": "hunter2"},
		"URL without scheme":    {"PRIVICORE_API_URL": "api.test:9009"},
		"URL with password":     {"PRIVICORE_API_URL": "https://user:hunter2@api.test"},
		"plain WebSocket":       {"PRIVICORE_WS_URL": "ws://api.test"},
		"token with line end":   {"PRIVICORE_TOKEN": "T-hunter2\n"},
	} {
		t.Run(name, func(t *testing.T) {
			set(t, env)
			_, err := privicore.NewClient(privicore.FromEnv())
			require.ErrorIs(t, err, privicore.ErrValidation)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}

	t.Run("nothing", func(t *testing.T) {
		set(t, nil)
		c, err := privicore.NewClient(privicore.FromEnv())
		require.NoError(t, err)
		require.NoError(t, c.Close())
	})
	t.Run("all", func(t *testing.T) {
		set(t, map[string]string{
			"PRIVICORE_API_URL": "https://env.test/base/", "PRIVICORE_USERNAME": "user", "PRIVICORE_PASSWORD": "hunter2", "PRIVICORE_TOKEN": "T-env",
		})
		var seen []string
		api := fakeAPI(func(r *http.Request, form url.Values) (*http.Response, error) {
			seen = append(seen, r.URL.String()+" "+r.Header.Get("X-DPT-AUTHORIZATION")+form.Encode())
			switch len(seen) {
			case 1:
				return reply(401, "")
			case 2:
				return reply(200, `{"authorizationToken":"T-2"}`)
			}
			return reply(200, "[]")
		})
		c, err := privicore.NewClient(privicore.FromEnv(), privicore.WithHTTPClient(&http.Client{Transport: api}))
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Device.List(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{
			"https://env.test/base/device/retrieve-profile-devices T-env",
			"https://env.test/base/profile/authenticate password=hunter2&username=user",
			"https://env.test/base/device/retrieve-profile-devices T-2",
		}, seen)
	})
	t.Run("options that follow win", func(t *testing.T) {
		set(t, map[string]string{"PRIVICORE_API_URL": "https://env.test", "PRIVICORE_TOKEN": "T-env"})
		var seen string
		api := fakeAPI(func(r *http.Request, _ url.Values) (*http.Response, error) {
			seen = r.URL.Host + " " + r.Header.Get("X-DPT-AUTHORIZATION")
			return reply(200, "[]")
		})
		c, err := privicore.NewClient(privicore.FromEnv(), privicore.WithBaseURL("https://other.test"), privicore.WithToken("T-other"),
			privicore.WithHTTPClient(&http.Client{Transport: api}))
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Device.List(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "other.test T-other", seen)
	})
}

func TestDefaultBaseURL(t *testing.T) {
	t.Parallel()
	var seen string
	api := fakeAPI(func(r *http.Request, _ url.Values) (*http.Response, error) {
		seen = r.URL.String()
		return reply(200, `{"status":"ok"}`)
	})
	c, err := privicore.NewClient(privicore.WithHTTPClient(&http.Client{Transport: api}))
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Utility.Health(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "https://sandbox.privicore.com:9009/health", seen)
}

func TestOptionsThatCannotBeRight(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		option privicore.Option
		field  string
	}{
		"negative stall timeout":    {privicore.WithStallTimeout(-1), "stall timeout"},
		"negative max pause":        {privicore.WithMaxPause(-time.Second), "max pause"},
		"no fallback poll":          {privicore.WithFallbackPoll(0), "fallback poll"},
		"no outage":                 {privicore.WithMaxOutage(0), "max outage"},
		"application without name":  {privicore.WithApplication("", "1.0"), "application"},
		"application with a space":  {privicore.WithApplication("my app", "1.0"), "application"},
		"version with a line break": {privicore.WithApplication("app", "1\r\nX-Injected: y"), "application"},
		"relative upload URL":       {privicore.WithUploadURL("files.test"), "upload URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := privicore.NewClient(test.option)
			require.ErrorIs(t, err, privicore.ErrValidation)
			assert.ErrorContains(t, err, "privicore: NewClient: "+test.field+" ")
		})
	}
}

func TestOptionsAtTheirBounds(t *testing.T) {
	t.Parallel()
	c, err := privicore.NewClient(
		privicore.WithStallTimeout(0), privicore.WithMaxPause(0), privicore.WithFallbackPoll(1),
		privicore.WithMaxOutage(1), privicore.WithApplication("app", ""), nil,
	)
	require.NoError(t, err)
	require.NoError(t, c.Close())
}

// A transport of the program belongs to the program. Close does not close its
// connections, because other clients may use them.
func TestCloseLeavesTransportsOfTheProgram(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[]") }))
	defer s.Close()
	var dialed atomic.Int32
	pool := privicore.NewTransport()
	defer pool.CloseIdleConnections()
	dial := pool.DialContext
	pool.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dialed.Add(1)
		return dial(ctx, network, address)
	}
	for range 3 {
		c, err := privicore.NewClient(privicore.WithBaseURL(s.URL), privicore.WithToken("T"), privicore.WithHTTPClient(&http.Client{Transport: pool}))
		require.NoError(t, err)
		_, err = c.Device.List(t.Context())
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	assert.EqualValues(t, 1, dialed.Load())
}

// FuzzEnvironment is what an operator sets. What is accepted is used as it is, and
// what is refused is not quoted.
func FuzzEnvironment(f *testing.F) {
	f.Add("https://api.test", "wss://proxy.test", "user", "hunter2", "")
	f.Add("http://localhost:8009/v1/", "", "", "", "T-hunter2")
	f.Add("http://[::1%25hunter2]:80", "ws://hunter2@localhost", "hunter2", "", "T-\n")
	f.Add("https://hunter2:hunter2@api.test", "wss://a?hunter2", "", "hunter2", "")
	f.Add("https://api.test:", "", "user", "hunter2", "")
	f.Add("https://API.test:443//?", "http://a", "a", "b", " ")
	f.Add("https://api.test/%zzhunter2", "wss://a/#hunter2", "", "", "\x7fhunter2")
	f.Fuzz(func(t *testing.T, api, ws, username, password, token string) {
		if strings.Contains(api+ws+username+password+token, "\x00") {
			return // cannot be set
		}
		for name, value := range map[string]string{"API_URL": api, "WS_URL": ws, "USERNAME": username, "PASSWORD": password, "TOKEN": token} {
			t.Setenv("PRIVICORE_"+name, value)
		}
		var sent *http.Request
		c, err := privicore.NewClient(privicore.WithHTTPClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			sent = r
			if r.URL.Path == "/profile/authenticate" || strings.HasSuffix(r.URL.Path, "/profile/authenticate") {
				return reply(200, `{"authorizationToken":"T-fetched"}`)
			}
			return reply(200, `[]`)
		})}), privicore.FromEnv())
		if err != nil {
			require.ErrorIs(t, err, privicore.ErrValidation)
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "hunter2")
			return
		}
		defer func() { require.NoError(t, c.Close()) }()
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", c, c, c), "hunter2")
		require.Equal(t, username == "", password == "", "half of the credentials")
		_, err = c.Device.List(t.Context())
		if username == "" && token == "" {
			require.ErrorIs(t, err, privicore.ErrUnauthorized)
			return
		}
		require.NoError(t, err)
		want, err := url.Parse(cmp.Or(strings.TrimRight(api, "/"), privicore.DefaultBaseURL) + "/device/retrieve-profile-devices")
		require.NoError(t, err)
		want.Host = strings.TrimSuffix(want.Host, ":") // net/http leaves out an empty port
		require.Equal(t, want, sent.URL)
		require.Equal(t, []string{cmp.Or(token, "T-fetched")}, sent.Header.Values("X-DPT-AUTHORIZATION"))
		if sent.URL.Scheme != "https" {
			host := sent.URL.Hostname()
			require.True(t, host == "localhost" || net.ParseIP(host).IsLoopback(), host)
		}
	})
}

package privicore_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// The program is named wherever the client sends something.
func TestUserAgent(t *testing.T) {
	t.Parallel()
	own := "privicore-go/" + privicore.Version
	for name, tc := range map[string]struct {
		opts []privicore.Option
		want string
	}{
		"no application": {nil, own},
		"with a version": {[]privicore.Option{privicore.WithApplication("vaultd", "1.2.3")}, "vaultd/1.2.3 " + own},
		"without one":    {[]privicore.Option{privicore.WithApplication("vaultd", "")}, "vaultd " + own},
		"the last of two": {
			[]privicore.Option{privicore.WithApplication("first", "1"), privicore.WithApplication("second", "2")}, "second/2 " + own,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			got := make(map[string]string) // by what was sent
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				got[r.Method+" "+r.URL.Path] = strings.Join(r.Header.Values("User-Agent"), "|")
				mu.Unlock()
				_, _ = io.Copy(io.Discard, r.Body)
				switch r.URL.Path {
				case "/profile/authenticate":
					_, _ = io.WriteString(w, `{"authorizationToken":"T-1"}`)
				case "/socket":
					w.WriteHeader(http.StatusTeapot)
				default:
					_, _ = io.WriteString(w, "[]")
				}
			}))
			t.Cleanup(server.Close)
			c, err := privicore.NewClient(append([]privicore.Option{
				privicore.WithBaseURL(server.URL), privicore.WithCredentials("user", "hunter2"), privicore.WithMaxRetries(0),
				privicore.WithWebSocketURL("ws" + strings.TrimPrefix(server.URL, "http") + "/socket"),
			}, tc.opts...)...)
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, c.Close()) })

			_, err = c.Device.List(t.Context())
			require.NoError(t, err)
			_, err = c.Do(t.Context(), http.MethodGet, "/raw", nil)
			require.NoError(t, err)
			require.NoError(t, c.DataToken.Upload(t.Context(), privicore.NewSecret(server.URL+"/upload?auth=t"), strings.NewReader("data")))
			data, err := c.DataToken.Download(t.Context(), privicore.NewSecret(server.URL+"/download?auth=t"))
			require.NoError(t, err)
			require.NoError(t, data.Close())
			require.Error(t, c.Connect(t.Context()), "the handshake is refused")

			mu.Lock()
			defer mu.Unlock()
			assert.Equal(t, map[string]string{
				"POST /profile/authenticate":           tc.want,
				"GET /device/retrieve-profile-devices": tc.want,
				"GET /raw":                             tc.want,
				"POST /upload":                         tc.want,
				"GET /download":                        tc.want,
				"GET /socket":                          tc.want,
			}, got)
		})
	}
}

// A clone may belong to another part of the program.
func TestUserAgentOfAClone(t *testing.T) {
	t.Parallel()
	c, s := replay(t, "device/list.ok", "device/list.ok")
	clone, err := c.Clone(privicore.WithApplication("worker", "7"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, clone.Close()) })
	for _, c := range []*privicore.Client{clone, c} {
		_, err := c.Device.List(t.Context())
		require.NoError(t, err)
	}
	own := "privicore-go/" + privicore.Version
	assert.Equal(t, "worker/7 "+own, s.sent[0].header.Get("User-Agent"))
	assert.Equal(t, own, s.sent[1].header.Get("User-Agent"))
}

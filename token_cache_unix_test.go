//go:build unix

package privicore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// inProcesses runs a test in n processes at the same time, which all must pass.
func inProcesses(t *testing.T, n int, test string, env ...string) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		cmd := child(t.Context(), t, test, env...)
		all.Go(func() {
			out, err := cmd.CombinedOutput()
			assert.NoError(t, err, "%s", out)
		})
	}
	all.Wait()
}

// Twenty processes authenticate once.
func TestTokenCacheProcesses(t *testing.T) {
	t.Parallel()
	s := privicoretest.NewServer(t, privicoretest.WithProfile("alice", "correct horse"))
	s.Next("Profile.Authenticate", privicoretest.Fault{Delay: 300 * time.Millisecond}) // so that the others come meanwhile
	path := filepath.Join(t.TempDir(), "cache")
	inProcesses(t, 20, "TestTokenCacheProcessesChild", append(childEnv(s), "CACHE="+path)...)
	assert.Equal(t, 1, s.Calls("Profile.Authenticate"))
	assert.Equal(t, 20, s.Calls("Profile.ID"))
	for _, r := range s.Requests() {
		assert.Equal(t, http.StatusOK, r.Status)
	}
}

func TestTokenCacheProcessesChild(t *testing.T) {
	isChild(t)
	used(t, childClient(t, privicore.WithTokenCache(privicore.FileTokenCache(os.Getenv("CACHE")))))
}

// rotation is an OAuth server whose refresh tokens can be used once. It does not
// forgive: after a second use nothing works any more.
type rotation struct {
	mu        sync.Mutex
	newest    int
	dead      bool // the newest access token
	refreshes int
	reused    bool
}

func (i *rotation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/oauth-application/refresh-access-token" {
		select { // so that the others come meanwhile
		case <-time.After(50 * time.Millisecond):
		case <-r.Context().Done():
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.reused:
		w.WriteHeader(http.StatusForbidden)
	case r.URL.Path != "/oauth-application/refresh-access-token":
		if i.dead || r.Header.Get("X-DPT-AUTHORIZATION") != fmt.Sprint("T-", i.newest) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"profileId":%q}`, profile1)
	case r.PostFormValue("refresh_token") != fmt.Sprint("R-", i.newest):
		i.reused = true
		w.WriteHeader(http.StatusUnprocessableEntity)
	default:
		i.refreshes++
		i.newest++
		i.dead = false
		fmt.Fprintf(w, `{"token":"T-%d","refreshToken":"R-%[1]d","expiresAt":%q}`, i.newest, time.Now().Add(time.Hour).Format(time.RFC3339))
	}
}

// Processes that begin with the same token refresh it one after the other, and only
// once for each token that is dead.
func TestCachedTokenSourceProcesses(t *testing.T) {
	t.Parallel()
	issuer := &rotation{newest: 1, dead: true}
	s := httptest.NewServer(issuer)
	t.Cleanup(s.Close)
	path := filepath.Join(t.TempDir(), "cache")
	for round := range 3 {
		inProcesses(t, 8, "TestCachedTokenSourceProcessesChild", "PRIVICORE_API_URL="+s.URL, "CACHE="+path)
		issuer.mu.Lock()
		assert.Equal(t, round+1, issuer.refreshes)
		assert.False(t, issuer.reused, "a refresh token was used twice")
		issuer.dead = true
		issuer.mu.Unlock()
	}
}

func TestCachedTokenSourceProcessesChild(t *testing.T) {
	isChild(t)
	source, err := childClient(t, privicore.WithToken("T-unused")).OAuth.CachedTokenSource(
		&privicore.AccessToken{Token: privicore.NewSecret("T-1"), RefreshToken: privicore.NewSecret("R-1"), ExpiresAt: time.Now().Add(time.Minute)},
		privicore.FileTokenCache(os.Getenv("CACHE")), "alice")
	require.NoError(t, err)
	used(t, childClient(t, privicore.WithTokenSource(source)))
}

// A process that is killed while it writes leaves a whole file, and no lock.
func TestFileTokenCacheKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cache")
	for round := range 8 {
		ctx, kill := context.WithCancel(t.Context())
		cmd := child(ctx, t, "TestFileTokenCacheKilledChild", "CACHE="+path)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		_, err = io.ReadFull(out, make([]byte, len(writtenOnce)))
		require.NoError(t, err)
		time.AfterFunc(time.Duration(round)*3*time.Millisecond, kill)
		_, _ = io.Copy(io.Discard, out)
		require.Error(t, cmd.Wait())
		kill()

		data, err := os.ReadFile(path)
		require.NoError(t, err, "it was there before")
		require.True(t, json.Valid(data), "%d bytes", len(data))
		token := cachedUnder(t, privicore.FileTokenCache(path), "k").Token.Reveal()
		begin, rest, _ := strings.Cut(token, " ")
		require.True(t, strings.HasSuffix(rest, " "+begin), "half of a token")
	}
	putUnder(t, privicore.FileTokenCache(path), "k", cachedToken("last"))
	files, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, files, 2, "the cache and its lock")
}

// writtenOnce is what the child says when it has written the file.
const writtenOnce = "written\n"

// It writes until it is killed.
func TestFileTokenCacheKilledChild(t *testing.T) {
	isChild(t)
	cache := privicore.FileTokenCache(os.Getenv("CACHE"))
	filling := strings.Repeat("x", 1<<20)
	for i := 0; ; i++ {
		token := cachedToken("")
		token.Token = privicore.NewSecret(fmt.Sprintf("%d %s %[1]d", i, filling))
		putUnder(t, cache, "k", token)
		_, _ = io.WriteString(os.Stdout, writtenOnce)
	}
}

// A file that others may use is neither read nor changed, and the client works without
// it.
func TestFileTokenCacheInsecure(t *testing.T) {
	t.Parallel()
	good := filepath.Join(t.TempDir(), "cache")
	putUnder(t, privicore.FileTokenCache(good), "k", cachedToken("1"))
	content, err := os.ReadFile(good)
	require.NoError(t, err)
	for name, spoil := range map[string]func(path string) error{
		"readable by the group":  func(path string) error { return os.Chmod(path, 0o640) },
		"readable by all":        func(path string) error { return os.Chmod(path, 0o604) },
		"writable by the group":  func(path string) error { return os.Chmod(path, 0o620) },
		"belongs to another one": func(path string) error { return os.Chown(path, 12345, -1) },
		"a directory": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		},
		"a pipe": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return syscall.Mkfifo(path, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "cache")
			require.NoError(t, os.WriteFile(path, content, 0o600))
			if err := spoil(path); err != nil {
				t.Skip(err) // only root can give files away
			}
			before, err := os.Stat(path)
			require.NoError(t, err)
			cache := privicore.FileTokenCache(path)
			err = cache.Update(t.Context(), "k", func(privicore.CachedToken) (privicore.CachedToken, error) {
				t.Error("it was used")
				return privicore.CachedToken{}, nil
			})
			require.ErrorIs(t, err, privicore.ErrInsecureCache)
			assert.ErrorContains(t, err, path)
			assert.NotContains(t, err.Error(), "T-1")

			var log lockedBuffer
			s := privicoretest.NewServer(t, privicoretest.WithProfile("alice", "correct horse"))
			used(t, alice(t, s, privicore.WithTokenCache(cache), everyLog(&log)))
			assert.Contains(t, log.String(), privicore.ErrInsecureCache.Error())
			after, err := os.Stat(path)
			require.NoError(t, err)
			assert.True(t, os.SameFile(before, after))
			assert.Equal(t, before.Mode(), after.Mode())
		})
	}
}

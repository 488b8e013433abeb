package privicore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// mapCache is a TokenCache in memory.
type mapCache struct {
	lock   chan struct{}
	tokens map[string]privicore.CachedToken
}

func newMapCache() *mapCache {
	return &mapCache{lock: make(chan struct{}, 1), tokens: make(map[string]privicore.CachedToken)}
}

func (c *mapCache) Update(ctx context.Context, key string, change func(privicore.CachedToken) (privicore.CachedToken, error)) error {
	select {
	case c.lock <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.lock }()
	token, err := change(c.tokens[key])
	if err != nil {
		return err
	}
	if c.tokens[key] = token; token.IsZero() {
		delete(c.tokens, key)
	}
	return nil
}

// cacheFunc is a TokenCache that is a function.
type cacheFunc func(ctx context.Context, key string, change func(privicore.CachedToken) (privicore.CachedToken, error)) error

func (f cacheFunc) Update(ctx context.Context, key string, change func(privicore.CachedToken) (privicore.CachedToken, error)) error {
	return f(ctx, key, change)
}

// used makes a call that needs a token.
func used(t *testing.T, c *privicore.Client) {
	t.Helper()
	_, err := c.Profile.ID(t.Context())
	require.NoError(t, err)
}

// Clients authenticate once for all, one after the other and at the same time. Close
// leaves the token good.
func TestTokenCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memoryServer(t, privicoretest.WithProfile("alice", "correct horse"))
		caches := map[string]privicore.TokenCache{"map": newMapCache(), "file": privicore.FileTokenCache(filepath.Join(t.TempDir(), "cache"))}
		for name, cache := range caches {
			before := s.Calls("Profile.Authenticate")
			for range 3 {
				c := alice(t, s, privicore.WithTokenCache(cache))
				used(t, c)
				require.NoError(t, c.Close())
			}
			var all sync.WaitGroup
			for range 20 {
				c := alice(t, s, privicore.WithTokenCache(cache))
				all.Go(func() { used(t, c) })
			}
			all.Wait()
			assert.Equal(t, 1, s.Calls("Profile.Authenticate")-before, name)
		}
	})
}

// Another user, password or server never gets the token.
func TestTokenCacheKeepsApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memoryServer(t, privicoretest.WithProfile("alice", "correct horse"), privicoretest.WithProfile("bob", "battery staple"))
		cache := newMapCache()
		c := alice(t, s, privicore.WithTokenCache(cache))
		used(t, c)
		hers, err := c.Profile.ID(t.Context())
		require.NoError(t, err)
		his, err := alice(t, s, privicore.WithTokenCache(cache), privicore.WithCredentials("bob", "battery staple")).Profile.ID(t.Context())
		require.NoError(t, err)
		assert.NotEqual(t, hers, his)
		other := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			if r.URL.Path == "/profile/authenticate" {
				return reply(200, `{"authorizationToken":"T-other"}`)
			}
			assert.Equal(t, "T-other", r.Header.Get("X-DPT-AUTHORIZATION"))
			return reply(200, `{"profileId":"`+profile1+`"}`)
		}, privicore.WithTokenCache(cache), privicore.WithCredentials("alice", "correct horse"))
		used(t, other)
		assert.Len(t, cache.tokens, 3)
		wrong := alice(t, s, privicore.WithTokenCache(cache), privicore.WithCredentials("alice", "wrong"))
		_, err = wrong.Profile.ID(t.Context())
		require.ErrorIs(t, err, privicore.ErrUnauthorized)
		assert.Len(t, cache.tokens, 3, "a refusal is not kept")
		clone, err := c.Clone(privicore.WithCredentials("bob", "wrong"))
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, clone.Close()) })
		_, err = clone.Profile.ID(t.Context())
		require.ErrorIs(t, err, privicore.ErrUnauthorized)
		for key := range cache.tokens {
			assert.Regexp(t, "^[0-9a-f]{64}$", key)
		}
	})
}

// A token in the cache that the server refuses is replaced, by one client for all.
func TestTokenCacheRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memoryServer(t, privicoretest.WithProfile("alice", "correct horse"))
		cache := newMapCache()
		a, b := alice(t, s, privicore.WithTokenCache(cache)), alice(t, s, privicore.WithTokenCache(cache))
		used(t, a)
		used(t, b)
		s.SetFaultRates(privicoretest.FaultRates{TokenExpired: 1})
		_, err := a.Profile.ID(t.Context())
		require.ErrorIs(t, err, privicore.ErrUnauthorized) // also with the new token
		s.SetFaultRates(privicoretest.FaultRates{})
		before := s.Calls("Profile.Authenticate")
		for range 3 {
			time.Sleep(10 * time.Second)
			used(t, a)
			used(t, b)
			used(t, alice(t, s, privicore.WithTokenCache(cache)))
		}
		assert.Equal(t, 1, s.Calls("Profile.Authenticate")-before)
	})
}

// A token is renewed ahead of its expiry, once for all, and an expired one is not used.
func TestTokenCacheExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memoryServer(t, privicoretest.WithProfile("alice", "correct horse"), privicoretest.WithTokenLifetime(time.Hour))
		cache := privicore.FileTokenCache(filepath.Join(t.TempDir(), "cache"))
		a, b := alice(t, s, privicore.WithTokenCache(cache)), alice(t, s, privicore.WithTokenCache(cache))
		for range 5 {
			for _, c := range []*privicore.Client{a, b, alice(t, s, privicore.WithTokenCache(cache))} {
				used(t, c)
				synctest.Wait()
			}
			time.Sleep(59*time.Minute + 30*time.Second)
		}
		assert.Equal(t, 5, s.Calls("Profile.Authenticate"))
		for _, r := range s.Requests() {
			assert.NotEqual(t, http.StatusUnauthorized, r.Status)
		}
	})
}

// RevokeToken takes the token out of the cache, but not one that came after it.
func TestTokenCacheRevoked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memoryServer(t, privicoretest.WithProfile("alice", "correct horse"))
		cache := newMapCache()
		a := alice(t, s, privicore.WithTokenCache(cache))
		used(t, a)
		require.NoError(t, a.Profile.RevokeToken(t.Context()))
		assert.Empty(t, cache.tokens)
		used(t, a)
		require.Len(t, cache.tokens, 1)
		for key, token := range cache.tokens {
			token.Token = privicore.NewSecret("T-newer")
			cache.tokens[key] = token
		}
		require.NoError(t, a.Profile.RevokeToken(t.Context()))
		assert.Len(t, cache.tokens, 1)
	})
}

// A cache that fails is logged, without the token, and does not keep the client from
// working.
func TestTokenCacheFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is broken")
	for name, cache := range map[string]cacheFunc{
		"before": func(context.Context, string, func(privicore.CachedToken) (privicore.CachedToken, error)) error {
			return broken
		},
		"after": func(_ context.Context, _ string, change func(privicore.CachedToken) (privicore.CachedToken, error)) error {
			_, err := change(privicore.CachedToken{})
			return errors.Join(err, broken)
		},
		"hangs": func(ctx context.Context, _ string, _ func(privicore.CachedToken) (privicore.CachedToken, error)) error {
			<-ctx.Done()
			return errors.Join(broken, ctx.Err())
		},
		"garbage": func(_ context.Context, _ string, change func(privicore.CachedToken) (privicore.CachedToken, error)) error {
			_, err := change(privicore.CachedToken{Token: privicore.NewSecret("T-\r\nInjected: 1")})
			return errors.Join(err, broken)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := memoryServer(t, privicoretest.WithProfile("alice", "correct horse"))
				var log lockedBuffer
				used(t, alice(t, s, privicore.WithTokenCache(cache), everyLog(&log)))
				assert.Equal(t, 1, s.Calls("Profile.Authenticate"))
				assert.Contains(t, log.String(), broken.Error())
				assert.Contains(t, log.String(), "WARN")
				assert.NotContains(t, log.String(), "T-")
			})
		})
	}
}

// The refusal of the server is the error, whatever the cache makes of it.
func TestTokenCacheUnauthorized(t *testing.T) {
	t.Parallel()
	c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
		return reply(401, `{"message":"wrong"}`)
	}, privicore.WithCredentials("alice", "wrong"), privicore.WithTokenCache(cacheFunc(
		func(_ context.Context, _ string, change func(privicore.CachedToken) (privicore.CachedToken, error)) error {
			_, err := change(privicore.CachedToken{})
			return fmt.Errorf("cache: %w", err)
		})))
	_, err := c.Profile.ID(t.Context())
	require.ErrorIs(t, err, privicore.ErrUnauthorized)
	assert.NotContains(t, err.Error(), "cache")
	_, err = privicore.NewClient(privicore.WithTokenCache(nil))
	require.ErrorIs(t, err, privicore.ErrValidation)
}

// putUnder puts a token into a cache.
func putUnder(t *testing.T, cache privicore.TokenCache, key string, token privicore.CachedToken) {
	t.Helper()
	require.NoError(t, cache.Update(t.Context(), key, func(privicore.CachedToken) (privicore.CachedToken, error) { return token, nil }))
}

// cachedUnder is the token in a cache.
func cachedUnder(t *testing.T, cache privicore.TokenCache, key string) privicore.CachedToken {
	t.Helper()
	var token privicore.CachedToken
	require.NoError(t, cache.Update(t.Context(), key, func(old privicore.CachedToken) (privicore.CachedToken, error) {
		token = old
		return old, nil
	}))
	return token
}

func cachedToken(value string) privicore.CachedToken {
	return privicore.CachedToken{
		Token: privicore.NewSecret("T-" + value), RefreshToken: privicore.NewSecret("R-" + value),
		ExpiresAt: time.Now().Add(time.Hour), ObtainedAt: time.Now(),
	}
}

// What is put into the file comes out of it, in another FileTokenCache too. The file is
// only for its owner, and is not written if nothing changes.
func TestFileTokenCache(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "some", "directory", "cache")
	putUnder(t, privicore.FileTokenCache(path), "k1", cachedToken("1"))
	putUnder(t, privicore.FileTokenCache(path), "k2", cachedToken("2"))
	got := cachedUnder(t, privicore.FileTokenCache(path), "k1")
	assert.Equal(t, "T-1", got.Token.Reveal())
	assert.Equal(t, "R-1", got.RefreshToken.Reveal())
	assert.WithinDuration(t, time.Now().Add(time.Hour), got.ExpiresAt, time.Minute)
	assert.WithinDuration(t, time.Now(), got.ObtainedAt, time.Minute)
	assert.True(t, cachedUnder(t, privicore.FileTokenCache(path), "k3").IsZero())

	if runtime.GOOS != "windows" {
		for name, mode := range map[string]fs.FileMode{path: 0o600, path + ".lock": 0o600, filepath.Dir(path): fs.ModeDir | 0o700} {
			info, err := os.Stat(name)
			require.NoError(t, err)
			assert.Equal(t, mode, info.Mode(), name)
		}
	}
	before, err := os.Stat(path)
	require.NoError(t, err)
	cachedUnder(t, privicore.FileTokenCache(path), "k1")
	after, err := os.Stat(path)
	require.NoError(t, err)
	assert.True(t, os.SameFile(before, after), "it was not written")

	failed := errors.New("refused")
	err = privicore.FileTokenCache(path).Update(t.Context(), "k1", func(privicore.CachedToken) (privicore.CachedToken, error) {
		return privicore.CachedToken{}, failed
	})
	assert.Equal(t, failed, err)
	assert.Equal(t, "T-1", cachedUnder(t, privicore.FileTokenCache(path), "k1").Token.Reveal())

	putUnder(t, privicore.FileTokenCache(path), "k1", privicore.CachedToken{})
	assert.True(t, cachedUnder(t, privicore.FileTokenCache(path), "k1").IsZero())
	assert.Equal(t, "T-2", cachedUnder(t, privicore.FileTokenCache(path), "k2").Token.Reveal())
	assertHidden(t, cachedUnder(t, privicore.FileTokenCache(path), "k2"), "T-2", "R-2")
}

// Tokens that are of no use any more do not stay in the file.
func TestFileTokenCachePrunes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "cache")
		cache := privicore.FileTokenCache(path)
		dies, refreshes, skewed := cachedToken("dies"), cachedToken("refreshes"), cachedToken("skewed")
		dies.RefreshToken, skewed.RefreshToken = privicore.Secret{}, privicore.Secret{}
		skewed.ExpiresAt = skewed.ObtainedAt.Add(-time.Hour)
		for key, token := range map[string]privicore.CachedToken{"dies": dies, "refreshes": refreshes, "skewed": skewed} {
			putUnder(t, cache, key, token)
		}
		time.Sleep(2 * time.Hour)
		putUnder(t, cache, "new", cachedToken("new"))
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.NotContains(t, string(data), "dies")
		for _, key := range []string{"refreshes", "skewed", "new"} {
			assert.False(t, cachedUnder(t, cache, key).IsZero(), key)
		}
	})
}

// A file that is no cache counts as empty, and is replaced.
func TestFileTokenCacheCorrupt(t *testing.T) {
	t.Parallel()
	for _, content := range []string{
		"", "\x00", "{", `[]`, `{"version":1}`, `{"version":2,"tokens":{"k":{"token":"T-1"}}}`, `{"version":1,"tokens":{"k":{"token":7}}}`,
		`{"version":1,"tokens":{"k":{"token":"T-1"`, strings.Repeat("x", 20<<20),
	} {
		path := filepath.Join(t.TempDir(), "cache")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		cache := privicore.FileTokenCache(path)
		assert.True(t, cachedUnder(t, cache, "k").IsZero(), "%.60q", content)
		putUnder(t, cache, "k", cachedToken("2"))
		assert.Equal(t, "T-2", cachedUnder(t, cache, "k").Token.Reveal())
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.True(t, json.Valid(data))
	}
}

// Update waits for the lock no longer than its context lasts, and does not call its
// function then.
func TestFileTokenCacheLocked(t *testing.T) {
	t.Parallel()
	cache := privicore.FileTokenCache(filepath.Join(t.TempDir(), "cache"))
	require.NoError(t, cache.Update(t.Context(), "k", func(privicore.CachedToken) (privicore.CachedToken, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := cache.Update(ctx, "other", func(privicore.CachedToken) (privicore.CachedToken, error) {
			t.Error("two at the same time")
			return privicore.CachedToken{}, nil
		})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		return cachedToken("1"), nil
	}))
	assert.Equal(t, "T-1", cachedUnder(t, cache, "k").Token.Reveal())
}

// A new process begins with what is in the cache, and otherwise with its own token.
func TestCachedTokenSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := issuer{newest: 1, life: time.Hour, dead: true}
		cache := newMapCache()
		service := fakeClient(t, i.serve, privicore.WithMaxRetries(0)).OAuth
		first := &privicore.AccessToken{Token: privicore.NewSecret("T-1"), RefreshToken: privicore.NewSecret("R-1"), ExpiresAt: time.Now().Add(time.Hour)}
		client := func(first *privicore.AccessToken, name string) *privicore.Client {
			source, err := service.CachedTokenSource(first, cache, name)
			require.NoError(t, err)
			return i.client(t, source)
		}
		a := client(first, "alice")
		used(t, a)
		assert.Equal(t, 1, i.refreshes, "the first token was dead")
		b, c := client(first, "alice"), client(nil, "alice")
		for range 5 {
			time.Sleep(10 * time.Minute)
			for _, client := range []*privicore.Client{a, b, c} {
				used(t, client)
			}
		}
		assert.Equal(t, 1, i.refreshes)

		time.Sleep(9*time.Minute + 30*time.Second) // within the last minute
		for range 3 {
			for _, client := range []*privicore.Client{a, b, c, client(first, "alice")} {
				used(t, client)
				synctest.Wait()
			}
			time.Sleep(5 * time.Second)
		}
		assert.Equal(t, 2, i.refreshes, "ahead of the expiry, once for all")

		i.mu.Lock()
		i.dead = true
		i.mu.Unlock()
		for _, client := range []*privicore.Client{a, b, c} {
			used(t, client)
		}
		assert.Equal(t, 3, i.refreshes, "after a refusal, once for all")

		_, err := client(nil, "bob").Profile.ID(t.Context())
		require.ErrorIs(t, err, privicore.ErrUnauthorized, "another name has another token")
	})
}

// An application that was authorized again replaces the token in the cache.
func TestCachedTokenSourceAuthorizedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := issuer{newest: 7, life: time.Hour}
		cache := newMapCache()
		service := fakeClient(t, i.serve, privicore.WithMaxRetries(0)).OAuth
		old := &privicore.AccessToken{Token: privicore.NewSecret("T-1"), RefreshToken: privicore.NewSecret("R-1"), ExpiresAt: time.Now().Add(10 * time.Minute)}
		source, err := service.CachedTokenSource(old, cache, "alice")
		require.NoError(t, err)
		_, err = source.Token(t.Context())
		require.NoError(t, err)
		again := &privicore.AccessToken{Token: privicore.NewSecret("T-7"), RefreshToken: privicore.NewSecret("R-7"), ExpiresAt: time.Now().Add(time.Hour)}
		source, err = service.CachedTokenSource(again, cache, "alice")
		require.NoError(t, err)
		used(t, i.client(t, source))
		assert.Zero(t, i.refreshes)
		source, err = service.CachedTokenSource(old, cache, "alice")
		require.NoError(t, err)
		used(t, i.client(t, source))
		assert.Zero(t, i.refreshes)
	})
}

// Without the lock nothing is refreshed. A token that could not be written is used.
func TestCachedTokenSourceFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := issuer{newest: 1, life: time.Hour, dead: true}
		var log lockedBuffer
		service := fakeClient(t, i.serve, privicore.WithMaxRetries(0), everyLog(&log)).OAuth
		broken := errors.New("the disk is broken")
		write := false
		source, err := service.CachedTokenSource(
			&privicore.AccessToken{Token: privicore.NewSecret("T-1"), RefreshToken: privicore.NewSecret("R-1")},
			cacheFunc(func(_ context.Context, _ string, change func(privicore.CachedToken) (privicore.CachedToken, error)) error {
				if write {
					_, err := change(privicore.CachedToken{Token: privicore.NewSecret("T-1"), RefreshToken: privicore.NewSecret("R-1")})
					return errors.Join(err, broken)
				}
				return broken
			}), "alice")
		require.NoError(t, err)
		c := i.client(t, source)
		_, err = c.Profile.ID(t.Context())
		require.ErrorIs(t, err, broken)
		assert.NotErrorIs(t, err, privicore.ErrUnauthorized)
		assert.Zero(t, i.refreshes)
		write = true
		used(t, c) // T-1 is refused
		assert.Equal(t, 1, i.refreshes)
		time.Sleep(time.Minute)
		i.mu.Lock()
		i.dead = true
		i.mu.Unlock()
		used(t, c)
		assert.Equal(t, 2, i.refreshes, "the cache has an older token than the source")
		assert.Contains(t, log.String(), broken.Error())
		for _, secret := range []string{"T-1", "T-2", "R-1", "R-2"} {
			assert.NotContains(t, log.String(), secret)
		}
	})
}

func TestCachedTokenSourceRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := issuer{newest: 1, dead: true, refuse: 422}
		c := fakeClient(t, i.serve, privicore.WithMaxRetries(0))
		_, err := c.OAuth.CachedTokenSource(nil, nil, "alice")
		require.ErrorIs(t, err, privicore.ErrValidation)
		_, err = c.OAuth.CachedTokenSource(nil, newMapCache(), "")
		require.ErrorIs(t, err, privicore.ErrValidation)
		source, err := c.OAuth.CachedTokenSource(&privicore.AccessToken{
			Token: privicore.NewSecret("T-1"), RefreshToken: privicore.NewSecret("R-1"),
		}, newMapCache(), "alice")
		require.NoError(t, err)
		user := i.client(t, source)
		_, err = user.Profile.ID(t.Context())
		require.ErrorIs(t, err, privicore.ErrUnauthorized)
		assertHidden(t, err, "T-1", "R-1")
		synctest.Wait() // fmt reads what the source writes
		assertHidden(t, source, "T-1", "R-1")
		assert.Equal(t, 1, i.refreshes)
		require.NoError(t, c.Close())
		_, err = source.Token(t.Context())
		require.ErrorIs(t, err, privicore.ErrClosed)
	})
}

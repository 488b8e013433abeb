package privicore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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

// authority gives out tokens T-1, T-2 and so on, and accepts those it likes.
type authority struct {
	life          time.Duration                  // of a token; 0: it does not say
	accepts       func(token string) bool        // nil: all but the empty one
	refuses       func() (*http.Response, error) // authentication fails with it
	delay         time.Duration
	authenticated atomic.Int32
	calls         atomic.Int32
}

func (a *authority) serve(r *http.Request, form url.Values) (*http.Response, error) {
	if a.delay > 0 {
		select {
		case <-time.After(a.delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if r.URL.Path == "/profile/authenticate" {
		n := a.authenticated.Add(1)
		if a.refuses != nil {
			return a.refuses()
		}
		if form.Get("username") != "user" || form.Get("password") != "hunter2" {
			return reply(401, "")
		}
		expires := ""
		if a.life != 0 {
			expires = fmt.Sprintf(`,"expiresAt":%q`, time.Now().Add(a.life).Format(time.RFC3339Nano))
		}
		return reply(200, fmt.Sprintf(`{"authorizationToken":"T-%d"%s}`, n, expires))
	}
	a.calls.Add(1)
	token := r.Header.Get("X-DPT-AUTHORIZATION")
	if token == "" || a.accepts != nil && !a.accepts(token) {
		return reply(401, "")
	}
	return reply(200, fmt.Sprintf(`[{"deviceIdentifier":%q}]`, token))
}

func (a *authority) client(t *testing.T, opts ...privicore.Option) *privicore.Client {
	t.Helper()
	return fakeClient(t, a.serve, append([]privicore.Option{privicore.WithCredentials("user", "hunter2")}, opts...)...)
}

// usedToken makes a call and returns the token that it was made with.
func usedToken(t *testing.T, c *privicore.Client) string {
	t.Helper()
	devices, err := c.Device.List(t.Context())
	require.NoError(t, err)
	require.Len(t, devices, 1)
	return devices[0].Identifier
}

func TestTokenIsFetchedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &authority{delay: time.Second}
		c := a.client(t)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { assert.Equal(t, "T-1", usedToken(t, c)) })
		}
		all.Wait()
		assert.EqualValues(t, 1, a.authenticated.Load())
		assert.EqualValues(t, 100, a.calls.Load())
	})
}

func TestNewClientSendsNothing(t *testing.T) {
	t.Parallel()
	a := &authority{}
	a.client(t)
	assert.Zero(t, a.authenticated.Load())
}

func TestTokenIsRenewedAheadOfItsExpiry(t *testing.T) {
	t.Parallel()
	for life, ahead := range map[time.Duration]time.Duration{
		time.Hour:        time.Minute,
		20 * time.Second: 2 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			a := &authority{life: life}
			c := a.client(t)
			assert.Equal(t, "T-1", usedToken(t, c))
			time.Sleep(life - ahead - time.Millisecond)
			assert.Equal(t, "T-1", usedToken(t, c))
			time.Sleep(2 * time.Millisecond)
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() { assert.Contains(t, []string{"T-1", "T-2"}, usedToken(t, c), "nobody waits") })
			}
			all.Wait()
			synctest.Wait()
			assert.Equal(t, "T-2", usedToken(t, c))
			assert.EqualValues(t, 2, a.authenticated.Load(), "once for all")
		})
	}
}

func TestRenewalAheadThatFailsIsNoHarmYet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &authority{life: time.Hour}
		c := a.client(t)
		assert.Equal(t, "T-1", usedToken(t, c))
		time.Sleep(time.Hour - 30*time.Second)
		a.refuses = func() (*http.Response, error) { return reply(503, "") }
		assert.Equal(t, "T-1", usedToken(t, c), "it is still good")
		time.Sleep(4 * time.Second) // the renewal has failed by now
		tried := a.authenticated.Load()
		assert.Equal(t, "T-1", usedToken(t, c))
		synctest.Wait()
		assert.Equal(t, tried, a.authenticated.Load(), "it is not tried for each call")
		a.refuses = nil
		time.Sleep(6 * time.Second)
		assert.Equal(t, "T-1", usedToken(t, c), "nobody waits for the renewal")
		synctest.Wait()
		assert.NotEqual(t, "T-1", usedToken(t, c))
	})
}

// A clock that is wrong must not make the client authenticate for each call.
func TestTokenThatComesExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &authority{life: -time.Hour}
		c := a.client(t)
		for range 10 {
			assert.Equal(t, "T-1", usedToken(t, c))
		}
		assert.EqualValues(t, 1, a.authenticated.Load())
	})
}

func TestDeadTokenIsRenewedOnceAndTheCallSentAgain(t *testing.T) {
	t.Parallel()
	var alive atomic.Value
	alive.Store("T-1")
	a := &authority{accepts: func(token string) bool { return token == alive.Load() }}
	c := a.client(t)
	assert.Equal(t, "T-1", usedToken(t, c))
	alive.Store("T-2")
	assert.Equal(t, "T-2", usedToken(t, c))
	assert.EqualValues(t, 2, a.authenticated.Load())
	assert.EqualValues(t, 3, a.calls.Load())

	// Also for a hundred at a time.
	alive.Store("T-3")
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { assert.Equal(t, "T-3", usedToken(t, c)) })
	}
	all.Wait()
	assert.EqualValues(t, 3, a.authenticated.Load())
}

func TestCommandIsSentAgainAfterRenewal(t *testing.T) {
	t.Parallel()
	var ids, tokens []string
	c := fakeClient(t, func(r *http.Request, form url.Values) (*http.Response, error) {
		if r.URL.Path == "/profile/authenticate" {
			return reply(200, `{"authorizationToken":"T-new"}`)
		}
		ids = append(ids, form.Get("deviceIdentifier"))
		tokens = append(tokens, r.Header.Get("X-DPT-AUTHORIZATION"))
		if len(ids) == 1 {
			return reply(401, "")
		}
		return reply(202, "", "X-DPT-CAB-ID", "c1")
	}, privicore.WithCredentials("user", "hunter2"), privicore.WithToken("T-old"))
	cmd, err := c.Device.Remove(t.Context(), "d")
	require.NoError(t, err)
	assert.Equal(t, "c1", cmd.ID)
	assert.Equal(t, []string{"d", "d"}, ids)
	assert.Equal(t, []string{"T-old", "T-new"}, tokens)
}

func TestServerThatAcceptsNoToken(t *testing.T) {
	t.Parallel()
	a := &authority{accepts: func(string) bool { return false }}
	c := a.client(t)
	_, err := c.Device.List(t.Context())
	require.ErrorIs(t, err, privicore.ErrUnauthorized)
	assert.EqualValues(t, 2, a.authenticated.Load(), "once for the first token, once to renew it")
	assert.EqualValues(t, 2, a.calls.Load())
}

func TestRefusedRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &authority{accepts: func(string) bool { return false }, delay: 10 * time.Millisecond}
		a.refuses = func() (*http.Response, error) { return reply(401, `{"message":"wrong password hunter2"}`) }
		c := a.client(t, privicore.WithToken("T-dead"))
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				_, err := c.Device.List(t.Context())
				assert.ErrorIs(t, err, privicore.ErrUnauthorized)
				var apiErr *privicore.APIError
				if assert.ErrorAs(t, err, &apiErr) {
					assert.Equal(t, 401, apiErr.StatusCode)
				}
				assert.NotContains(t, err.Error(), "hunter2")
				assert.NotContains(t, err.Error(), "T-dead")
			})
		}
		all.Wait()
		assert.LessOrEqual(t, a.authenticated.Load(), int32(2))
		assert.EqualValues(t, 100, a.calls.Load(), "no call is sent again")
	})
}

func TestWrongCredentialsFromTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &authority{delay: 10 * time.Millisecond}
		a.refuses = func() (*http.Response, error) { return reply(401, "") }
		c := a.client(t)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				_, err := c.Device.List(t.Context())
				assert.ErrorIs(t, err, privicore.ErrUnauthorized)
			})
		}
		all.Wait()
		assert.EqualValues(t, 1, a.authenticated.Load())
		assert.Zero(t, a.calls.Load())
	})
}

func TestStaticTokenThatIsDead(t *testing.T) {
	t.Parallel()
	a := &authority{accepts: func(string) bool { return false }}
	c := fakeClient(t, a.serve)
	_, err := c.Device.List(t.Context())
	require.ErrorIs(t, err, privicore.ErrUnauthorized)
	assert.EqualValues(t, 1, a.calls.Load())
	assert.Zero(t, a.authenticated.Load())
}

func TestOperationsWithoutTokenAreNotRenewedFor(t *testing.T) {
	t.Parallel()
	sent := 0
	c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) { sent++; return reply(401, "") },
		privicore.WithCredentials("user", "hunter2"))
	_, err := c.Profile.Authenticate(t.Context(), "other", "password")
	require.ErrorIs(t, err, privicore.ErrUnauthorized)
	assert.Equal(t, 1, sent)
}

// source is a TokenSource of a user.
type source func(ctx context.Context) (*privicore.AuthorizationToken, error)

func (s source) Token(ctx context.Context) (*privicore.AuthorizationToken, error) { return s(ctx) }

func TestTokenSource(t *testing.T) {
	t.Parallel()
	a := &authority{accepts: func(token string) bool { return token == "T-vault-2" }}
	n := 0
	c := fakeClient(t, a.serve, privicore.WithTokenSource(source(func(context.Context) (*privicore.AuthorizationToken, error) {
		n++
		return &privicore.AuthorizationToken{Token: privicore.NewSecret(fmt.Sprint("T-vault-", n))}, nil
	})))
	assert.Equal(t, "T-vault-2", usedToken(t, c))
	assert.Equal(t, "T-vault-2", usedToken(t, c))
	assert.Equal(t, 2, n)
	assert.Zero(t, a.authenticated.Load())
}

func TestTokenSourceThatFails(t *testing.T) {
	t.Parallel()
	fails := errors.New("vault is sealed")
	for name, test := range map[string]struct {
		source source
		want   string
	}{
		"error":   {func(context.Context) (*privicore.AuthorizationToken, error) { return nil, fails }, "vault is sealed"},
		"nothing": {func(context.Context) (*privicore.AuthorizationToken, error) { return nil, nil }, "no token"},
		"no token": {func(context.Context) (*privicore.AuthorizationToken, error) {
			return new(privicore.AuthorizationToken), nil
		}, "no token"},
	} {
		a := new(authority)
		c := fakeClient(t, a.serve, privicore.WithTokenSource(test.source))
		_, err := c.Device.Remove(t.Context(), "d")
		require.ErrorContains(t, err, test.want, name)
		assert.NotErrorIs(t, err, privicore.ErrAmbiguous)
		assert.Equal(t, name == "error", errors.Is(err, fails))
		assert.Zero(t, a.calls.Load())
	}
}

func TestCallerThatGivesUpDoesNotSpoilTheRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &authority{delay: 10 * time.Second}
		c := a.client(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() {
			start := time.Now()
			_, err := c.Device.List(ctx)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(start))
		})
		synctest.Wait()
		for range 10 {
			all.Go(func() { assert.Equal(t, "T-1", usedToken(t, c)) })
		}
		all.Wait()
		assert.EqualValues(t, 1, a.authenticated.Load())
	})
}

func TestRenewalDoesNotLastForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := fakeClient(t, nil, privicore.WithTokenSource(source(func(ctx context.Context) (*privicore.AuthorizationToken, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})))
		_, err := c.Device.List(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 30*time.Second, time.Since(start))
	})
}

func TestCloseDuringRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &authority{delay: 10 * time.Second}
		c := a.client(t)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				_, err := c.Device.List(t.Context())
				assert.ErrorIs(t, err, privicore.ErrClosed)
			})
		}
		synctest.Wait()
		start := time.Now()
		require.NoError(t, c.Close())
		all.Wait()
		assert.Zero(t, time.Since(start))
		assert.Zero(t, a.authenticated.Load())
	})
}

func TestCloseWaitsForTheRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := false
		c := fakeClient(t, nil, privicore.WithTokenSource(source(func(ctx context.Context) (*privicore.AuthorizationToken, error) {
			<-ctx.Done()
			time.Sleep(time.Second) // tidies up
			ended = true
			return nil, ctx.Err()
		})))
		go func() { _, _ = c.Device.List(t.Context()) }()
		synctest.Wait()
		require.NoError(t, c.Close())
		assert.True(t, ended)
	})
}

// A TokenSource that does not return holds up neither the calls nor Close for ever.
func TestTokenSourceThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		c := fakeClient(t, nil, privicore.WithTokenSource(source(func(context.Context) (*privicore.AuthorizationToken, error) {
			<-release
			return nil, nil
		})))
		start := time.Now()
		_, err := c.Device.Remove(t.Context(), device1)
		require.ErrorAs(t, err, new(*privicore.TokenError))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, privicore.ErrAmbiguous)
		assert.Equal(t, 32*time.Second, time.Since(start))

		go func() { _, _ = c.Device.List(t.Context()) }()
		synctest.Wait()
		start = time.Now()
		require.NoError(t, c.Close())
		assert.LessOrEqual(t, time.Since(start), 2*time.Second)
	})
}

// A refusal that comes late is about a token that has been replaced already.
func TestLateRefusalOfAnOldToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		late := make(chan struct{})
		a := &authority{accepts: func(token string) bool { return token != "T-1" }}
		c := fakeClient(t, func(r *http.Request, form url.Values) (*http.Response, error) {
			if r.URL.Path == "/profile/retrieve-profile-id" {
				if r.Header.Get("X-DPT-AUTHORIZATION") == "T-1" {
					<-late
					return reply(401, "")
				}
				return reply(200, `{"profileId":"p"}`)
			}
			return a.serve(r, form)
		}, privicore.WithCredentials("user", "hunter2"))
		var slow sync.WaitGroup
		slow.Go(func() {
			_, err := c.Profile.ID(t.Context())
			assert.NoError(t, err)
		})
		synctest.Wait()
		assert.Equal(t, "T-2", usedToken(t, c))
		close(late)
		slow.Wait()
		assert.EqualValues(t, 2, a.authenticated.Load())
	})
}

func TestRenewalIsNotCaptured(t *testing.T) {
	t.Parallel()
	a := &authority{accepts: func(token string) bool { return token == "T-2" }}
	c := a.client(t)
	var resp privicore.Response
	_, err := c.Device.List(privicore.CaptureResponse(t.Context(), &resp))
	require.NoError(t, err)
	assert.Equal(t, `[{"deviceIdentifier":"T-2"}]`, string(resp.Body), "the last answer to the call itself")

	broken := fakeClient(t, func(r *http.Request, form url.Values) (*http.Response, error) {
		switch {
		case r.URL.Path == "/profile/authenticate":
			return reply(200, `{"authorizationToken":"T-2"}`)
		case r.Header.Get("X-DPT-AUTHORIZATION") == "T-1":
			return reply(401, "")
		}
		return nil, errors.New("broken")
	}, privicore.WithToken("T-1"), privicore.WithCredentials("user", "hunter2"))
	_, err = broken.Device.Remove(privicore.CaptureResponse(t.Context(), &resp), "d")
	require.ErrorContains(t, err, "broken")
	assert.Equal(t, 401, resp.StatusCode)
}

// An error of a user's TokenSource matches the user's own errors, and no sentinel
// error that describes a call.
func TestSentinelsOfTokenSources(t *testing.T) {
	t.Parallel()
	sealed := errors.New("vault is sealed")
	for _, inner := range []error{privicore.ErrNotFound, privicore.ErrForbidden, privicore.ErrAmbiguous, &privicore.APIError{StatusCode: 404}} {
		c := fakeClient(t, new(authority).serve, privicore.WithTokenSource(source(func(context.Context) (*privicore.AuthorizationToken, error) {
			return nil, fmt.Errorf("%w: %w", sealed, inner)
		})))
		_, err := c.Device.Remove(t.Context(), "d")
		require.ErrorIs(t, err, sealed)
		for _, sentinel := range []error{privicore.ErrNotFound, privicore.ErrForbidden, privicore.ErrAmbiguous, privicore.ErrUnauthorized} {
			assert.NotErrorIs(t, err, sentinel)
		}
	}
}

// An error of getting a token matches the sentinel errors that are about tokens. It
// matches no key of the answer to Profile.Authenticate, and has the name of the
// package in it once.
func TestErrorsOfGettingAToken(t *testing.T) {
	t.Parallel()
	for status, sentinel := range map[int]error{401: privicore.ErrUnauthorized, 403: nil, 429: nil} {
		for _, renewal := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/renewal %t", status, renewal), func(t *testing.T) {
				t.Parallel()
				var opts []privicore.Option
				if renewal {
					opts = append(opts, privicore.WithToken("T-dead"))
				}
				a := &authority{accepts: func(string) bool { return false }, refuses: func() (*http.Response, error) {
					return reply(status, `"profile.not_an_owner"`, "Retry-After", "3600")
				}}
				_, err := a.client(t, opts...).Device.Remove(t.Context(), "d")
				token, ok := errors.AsType[*privicore.TokenError](err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, status == 429, errors.Is(token.Err, privicore.ErrRateLimited))
				assert.NotErrorIs(t, err, privicore.KeyNotAnOwner)
				for _, other := range []error{privicore.ErrUnauthorized, privicore.ErrRateLimited} {
					unauthorized := renewal && other == privicore.ErrUnauthorized // the call itself was answered with 401
					assert.Equal(t, sentinel == other || unauthorized, errors.Is(err, other), "%v", other)
				}
				assert.ErrorContains(t, err, "privicore: Device.Remove: POST /device/remove: ")
				assert.ErrorContains(t, err, ": no token: Profile.Authenticate: POST /profile/authenticate: ")
				assert.Equal(t, 1, strings.Count(err.Error(), "privicore: "), err)
			})
		}
	}
}

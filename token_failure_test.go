package privicore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// tokenFailure is a way in which authenticating fails.
type tokenFailure struct {
	status   int   // 0 for a connection that breaks
	sentinel error // that an answer like this to the call itself would match
	attempts int32 // how often it is sent
}

// tokenFailures are failures that speak of the token and not of the call.
var tokenFailures = map[string]tokenFailure{
	"502":               {502, nil, 4},
	"404":               {404, privicore.ErrNotFound, 1},
	"409":               {409, privicore.ErrConflict, 1},
	"422":               {422, privicore.ErrValidation, 1},
	"403":               {403, privicore.ErrForbidden, 1},
	"200":               {200, privicore.ErrUnexpectedAnswer, 1},
	"broken connection": {0, nil, 4},
}

func (f tokenFailure) respond() (*http.Response, error) {
	if f.status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return reply(f.status, `{"message":"no token today"}`)
}

// inBubbles runs test in a bubble for each failure.
func inBubbles(t *testing.T, test func(t *testing.T, f tokenFailure)) {
	t.Helper()
	for name, f := range tokenFailures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, f) })
		})
	}
}

// assertOfToken asserts that err says that there was no token, and nothing about
// the call that needed it.
func assertOfToken(t *testing.T, err error, f tokenFailure) {
	t.Helper()
	require.Error(t, err)
	for _, sentinel := range []error{
		privicore.ErrAmbiguous, privicore.ErrNotFound, privicore.ErrValidation, privicore.ErrForbidden,
		privicore.ErrConflict, privicore.ErrUnexpectedAnswer, privicore.ErrNoCommandID, privicore.ErrRejected,
	} {
		assert.NotErrorIs(t, err, sentinel)
	}
	var tokenErr *privicore.TokenError
	require.ErrorAs(t, err, &tokenErr)
	if f.sentinel != nil {
		assert.ErrorIs(t, tokenErr.Err, f.sentinel, "the failure itself is inside")
	}
	var apiErr *privicore.APIError
	if f.status == 0 {
		assert.NotErrorAs(t, tokenErr, &apiErr, "there was no answer")
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
		return
	}
	require.ErrorAs(t, tokenErr, &apiErr)
	assert.Equal(t, f.status, apiErr.StatusCode)
	assert.Equal(t, "Profile.Authenticate", apiErr.Operation)
	assert.ErrorContains(t, err, "no token")
}

// A token that cannot be fetched leaves the call unmade.
func TestTokenThatCannotBeFetched(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, f tokenFailure) {
		a := &authority{refuses: f.respond}
		c := a.client(t)
		_, err := c.Device.Remove(t.Context(), device1)
		assertOfToken(t, err, f)
		assert.Equal(t, f.attempts, a.authenticated.Load())

		_, err = c.DataToken.Store(t.Context(), smallPayload(t))
		failed := requireStep(t, privicore.StepReserve, err)
		assert.Zero(t, failed.Meta)
		assert.Nil(t, failed.Temporary)
		assert.True(t, failed.Repeatable())
		assertOfToken(t, err, f)
		assert.Zero(t, a.calls.Load(), "nothing may be sent")
	})
}

// smallPayload returns a payload that is small enough for a form field.
func smallPayload(t *testing.T) privicore.Payload {
	t.Helper()
	return privicore.Payload{Data: strings.NewReader("the plaintext"), Cipher: newAESGCM(t, make([]byte, 32)), Context: "tests"}
}

// A token that was refused and cannot be renewed leaves the call unmade as well:
// a 401 means that nothing was done.
func TestTokenThatCannotBeRenewed(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, f tokenFailure) {
		a := &authority{refuses: f.respond, accepts: func(string) bool { return false }}
		c := a.client(t, privicore.WithToken("T-dead"))
		_, err := c.Device.Remove(t.Context(), device1)
		assertOfToken(t, err, f)
		require.ErrorIs(t, err, privicore.ErrUnauthorized, "the server's answer to the call")
		assert.Equal(t, int32(1), a.calls.Load(), "it is not sent again")
		apiErr, ok := errors.AsType[*privicore.APIError](err)
		require.True(t, ok)
		assert.Equal(t, 401, apiErr.StatusCode)
		assert.Equal(t, "Device.Remove", apiErr.Operation)

		time.Sleep(2 * time.Second) // the refusal is not shared any more
		_, err = c.DataToken.Store(t.Context(), smallPayload(t))
		failed := requireStep(t, privicore.StepReserve, err)
		assert.Zero(t, failed.Meta)
		assertOfToken(t, err, f)
	})
}

// A token that dies in the middle of Store, and has no successor, says nothing
// about the data: it was not sent.
func TestTokenThatDiesDuringStore(t *testing.T) {
	t.Parallel()
	inBubbles(t, func(t *testing.T, f tokenFailure) {
		var exchanged atomic.Int32
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			switch {
			case r.URL.Path == "/profile/authenticate":
				return f.respond()
			case r.URL.Path == "/data-token/reserve-token-space":
				return reply(202, "", "X-DPT-CAB-ID", commandID)
			case strings.HasPrefix(r.URL.Path, "/request-status/"):
				return reply(200, `["succeeded"]`)
			case strings.HasPrefix(r.URL.Path, "/data-token/retrieve-temporary-data-token/"):
				return reply(200, `{"token":"tmp-1","stream":"https://files.test/?auth=s"}`)
			}
			exchanged.Add(1)
			return reply(401, "")
		}, privicore.WithToken("T-dying"), privicore.WithCredentials("user", "hunter2"))
		_, err := c.DataToken.Store(t.Context(), smallPayload(t))
		failed := requireStep(t, privicore.StepSend, err)
		assert.Zero(t, failed.Meta, "the data is not on the server")
		require.NotNil(t, failed.Temporary)
		assert.Equal(t, "tmp-1", failed.Temporary.Token)
		assert.True(t, failed.Repeatable())
		assertOfToken(t, err, f)
		assert.Equal(t, int32(1), exchanged.Load())
	})
}

// hangingAuthority gives out one token, and hangs from then on until it is told
// to go on.
type hangingAuthority struct {
	*authority
	goOn chan struct{}
}

func newHangingAuthority(life time.Duration) *hangingAuthority {
	return &hangingAuthority{&authority{life: life}, make(chan struct{})}
}

func (a *hangingAuthority) client(t *testing.T) *privicore.Client {
	t.Helper()
	return fakeClient(t, func(r *http.Request, form url.Values) (*http.Response, error) {
		if r.URL.Path == "/profile/authenticate" && a.authenticated.Load() > 0 {
			select {
			case <-a.goOn:
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}
		return a.serve(r, form)
	}, privicore.WithCredentials("user", "hunter2"))
}

// While a token is good nobody waits for its successor, however long that takes.
func TestGoodTokenIsUsedWhileItsRenewalHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newHangingAuthority(10 * time.Minute)
		c := a.client(t)
		require.Equal(t, "T-1", usedToken(t, c))
		time.Sleep(9 * time.Minute)
		for range 50 {
			start := time.Now()
			require.Equal(t, "T-1", usedToken(t, c))
			require.Zero(t, time.Since(start), "a call waited")
			time.Sleep(time.Second)
		}
		close(a.goOn)
		time.Sleep(6 * time.Second) // beyond the pause after a renewal that failed
		usedToken(t, c)
		synctest.Wait()
		assert.Equal(t, "T-2", usedToken(t, c))
	})
}

// An expired token is not sent. The call waits for its successor, but not for
// ever, and not longer than its context.
func TestExpiredTokenIsWaitedFor(t *testing.T) {
	t.Parallel()
	expired := func(t *testing.T) (*hangingAuthority, *privicore.Client) {
		a := newHangingAuthority(10 * time.Minute)
		c := a.client(t)
		require.Equal(t, "T-1", usedToken(t, c))
		time.Sleep(11 * time.Minute)
		return a, c
	}
	t.Run("that comes", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			a, c := expired(t)
			time.AfterFunc(20*time.Second, func() { close(a.goOn) })
			start := time.Now()
			assert.Equal(t, "T-2", usedToken(t, c))
			assert.Equal(t, 20*time.Second, time.Since(start))
		})
	})
	t.Run("that does not come", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			a, c := expired(t)
			start := time.Now()
			_, err := c.Device.Remove(t.Context(), device1)
			require.ErrorAs(t, err, new(*privicore.TokenError))
			assert.NotErrorIs(t, err, privicore.ErrAmbiguous)
			assert.Equal(t, 30*time.Second, time.Since(start))
			assert.Equal(t, int32(1), a.calls.Load(), "the call is not made")
		})
	})
	t.Run("longer than the context", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			a, c := expired(t)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			_, err := c.Device.Remove(ctx, device1)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorAs(t, err, new(*privicore.TokenError))
			assert.NotErrorIs(t, err, privicore.ErrAmbiguous)
			assert.Equal(t, int32(1), a.calls.Load(), "the call is not made")
		})
	})
}

// failsOnce fails the first time as f says, and gives out a token from then on.
func (f tokenFailure) failsOnce(sent *atomic.Int32) fakeAPI {
	return func(r *http.Request, _ url.Values) (*http.Response, error) {
		if r.URL.Path != "/profile/authenticate" {
			return reply(200, "[]")
		}
		if sent.Add(1) == 1 {
			return f.respond()
		}
		return reply(200, `{"authorizationToken":"T-1"}`)
	}
}

// The client's own authenticating is sent again like a read, and a program's is
// not: only the program knows whether a second token does harm.
func TestWhoseAuthenticatingIsSentAgain(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"502", "broken connection"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := tokenFailures[name]
				var own, programs atomic.Int32
				c := fakeClient(t, f.failsOnce(&own), privicore.WithCredentials("user", "hunter2"))
				_, err := c.Device.List(t.Context())
				require.NoError(t, err)
				assert.Equal(t, int32(2), own.Load())

				c = fakeClient(t, f.failsOnce(&programs))
				_, err = c.Profile.Authenticate(t.Context(), "user", "hunter2")
				require.ErrorIs(t, err, privicore.ErrAmbiguous)
				assert.Equal(t, int32(1), programs.Load())
			})
		})
	}
}

// What a TokenSource meets does not speak of the call either.
func TestTokenSourceThatIsAmbiguous(t *testing.T) {
	t.Parallel()
	vault := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) { return reply(502, "") })
	source := tokenFunc(func() (*privicore.AuthorizationToken, error) {
		return vault.Profile.Authenticate(context.Background(), "user", "hunter2")
	})
	c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
		assert.Fail(t, "nothing may be sent")
		return reply(500, "")
	}, privicore.WithTokenSource(source))
	_, err := c.Device.Remove(t.Context(), device1)
	assertOfToken(t, err, tokenFailure{502, privicore.ErrAmbiguous, 1})
	_, err = c.DataToken.Store(t.Context(), smallPayload(t))
	assertOfToken(t, err, tokenFailure{502, privicore.ErrAmbiguous, 1})
	assert.Zero(t, requireStep(t, privicore.StepReserve, err).Meta)
}

// tokenFunc is a TokenSource.
type tokenFunc func() (*privicore.AuthorizationToken, error)

func (f tokenFunc) Token(context.Context) (*privicore.AuthorizationToken, error) { return f() }

// What a TokenSource returns is checked before it is put into a header.
func TestTokenSourceThatReturnsNoToken(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		token *privicore.AuthorizationToken
		why   string
	}{
		"nil":       {nil, "the token source returned no token"},
		"the zero":  {&privicore.AuthorizationToken{}, "is empty"},
		"empty":     {&privicore.AuthorizationToken{Token: privicore.NewSecret("")}, "is empty"},
		"a newline": {&privicore.AuthorizationToken{Token: privicore.NewSecret("T-hunter\nX-Injected: 1")}, "the token of the token source"},
		"a trailing newline": {
			&privicore.AuthorizationToken{Token: privicore.NewSecret("T-hunter\n"), ExpiresAt: time.Now().Add(time.Hour)}, "the token of the token source",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := tokenFunc(func() (*privicore.AuthorizationToken, error) { return tc.token, nil })
			for held, opts := range map[string][]privicore.Option{
				"first":   {privicore.WithTokenSource(source)},
				"renewed": {privicore.WithToken("T-dead"), privicore.WithTokenSource(source)},
			} {
				var sent atomic.Int32
				c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
					sent.Add(1)
					return reply(401, "")
				}, opts...)
				_, err := c.Device.Remove(t.Context(), device1)
				tokenErr, ok := errors.AsType[*privicore.TokenError](err)
				require.True(t, ok, "%s: %v", held, err)
				assert.ErrorContains(t, tokenErr, tc.why)
				assert.NotErrorIs(t, tokenErr, privicore.ErrUnauthorized, "another try may help")
				assert.NotErrorIs(t, err, privicore.ErrValidation)
				assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "T-hunter")
				assert.Equal(t, held == "renewed", sent.Load() == 1)
			}
		})
	}
}

package transport

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/internal/lifecycle"
)

var errClosed = errors.New("closed")

func TestScopeThatEndsInAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		rt := roundTrip(func(*http.Request) (*http.Response, error) {
			sent++
			return reply(429, "", "Retry-After", "20"), nil
		})
		r := command("https://api.test")
		r.Scope = lifecycle.New(errClosed)
		start := time.Now()
		time.AfterFunc(3*time.Second, r.Scope.End)
		_, err := New(Config{Client: &http.Client{Transport: rt}, MaxRetries: 3}).Do(t.Context(), r)
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, errClosed, e.Err)
		assert.False(t, e.Ambiguous)
		assert.Equal(t, 1, e.Attempts)
		assert.Equal(t, 3*time.Second, time.Since(start))
		assert.Equal(t, 1, sent)
	})
}

func TestScopeThatHasEnded(t *testing.T) {
	t.Parallel()
	tr := New(Config{Client: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { panic("sent") })}})
	r := command("https://api.test")
	r.Scope = lifecycle.New(errClosed)
	r.Scope.End()
	_, err := tr.Do(t.Context(), r)
	require.ErrorIs(t, err, errClosed)
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.False(t, e.Ambiguous)
	assert.Zero(t, e.Attempts)
	_, err = tr.Download(t.Context(), r)
	require.ErrorIs(t, err, errClosed)
	_, err = tr.Upload(t.Context(), r, new(bytes.Buffer), 0)
	require.ErrorIs(t, err, errClosed)
}

// A context that ends with the scope does not hide why.
func TestScopeThatEndsTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			sent++
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		r := get("https://api.test")
		r.Scope = lifecycle.New(errClosed)
		ctx, cancel := r.Scope.Bind(t.Context())
		defer cancel()
		time.AfterFunc(time.Second, r.Scope.End)
		_, err := New(Config{Client: &http.Client{Transport: rt}, MaxRetries: 3}).Do(ctx, r)
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, errClosed, e.Err)
		assert.Equal(t, 1, sent)
	})
}

func TestPausesOfOneCallAreBoundedTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start, sent := time.Now(), 0
		rt := roundTrip(func(*http.Request) (*http.Response, error) {
			sent++
			return reply(429, "", "Retry-After", "20"), nil
		})
		tr := New(Config{Client: &http.Client{Transport: rt}, MaxRetries: 9, MaxPause: 45 * time.Second})
		answer, err := tr.Do(t.Context(), command("https://api.test"))
		require.NoError(t, err)
		assert.Equal(t, 429, answer.StatusCode)
		assert.Equal(t, 3, sent)
		assert.Equal(t, 3, answer.Attempts)
		assert.Equal(t, 40*time.Second, time.Since(start))
	})
}

// Whether a pause fits is random where it is jittered, and is decided once.
func TestPauseIsDecidedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for range 200 {
			ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
			sent := 0
			rt := roundTrip(func(*http.Request) (*http.Response, error) {
				if sent++; sent > 1 {
					return nil, errors.New("broken")
				}
				return reply(500, "answer"), nil
			})
			answer, err := New(Config{Client: &http.Client{Transport: rt}, MaxRetries: 1}).Do(ctx, get("https://api.test"))
			assert.Equal(t, sent == 1, err == nil)
			assert.Equal(t, sent == 1, answer != nil)
			cancel()
		}
	})
}

func TestPausesAreLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		sent := 0
		rt := roundTrip(func(*http.Request) (*http.Response, error) {
			switch sent++; sent {
			case 1:
				return reply(429, "", "Retry-After", "7"), nil
			case 2:
				return nil, errors.New("broken T-secret")
			}
			return reply(200, ""), nil
		})
		tr := New(Config{
			Client: &http.Client{Transport: rt}, MaxRetries: 3,
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		r := get("https://api.test/path")
		r.Operation, r.Redact = "Device.List", hide
		_, err := tr.Do(t.Context(), r)
		require.NoError(t, err)
		assert.Contains(t, log.String(), "operation=Device.List attempt=1 status=429 pause=7s")
		assert.Contains(t, log.String(), `operation=Device.List attempt=2 error="broken [redacted]" pause=`)
		assert.Contains(t, log.String(), "attempts=3 status=200")
		assert.NotContains(t, log.String(), "secret")
	})
}

// http.Client adds cookies to the header of the request that it is given.
func TestCookiesAreSentOnceWithEachAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		jar.SetCookies(&url.URL{Scheme: "https", Host: "api.test", Path: "/"}, []*http.Cookie{{Name: "a", Value: "b"}})
		var cookies []int
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			cookies = append(cookies, len(r.Cookies()))
			return reply(500, ""), nil
		})
		r := get("https://api.test/")
		_, err = New(Config{Client: &http.Client{Transport: rt, Jar: jar}, MaxRetries: 2}).Do(t.Context(), r)
		require.NoError(t, err)
		assert.Equal(t, []int{1, 1, 1}, cookies)
		assert.Empty(t, r.Header)
	})
}

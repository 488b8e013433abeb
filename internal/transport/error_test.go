package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func hide(s string) string { return strings.ReplaceAll(s, "T-secret", "[redacted]") }

// quiet does not show the error that it wraps.
type quiet struct{ err error }

func (q quiet) Error() string { return "quiet" }
func (q quiet) Unwrap() error { return q.err }

type plainText string

func (p plainText) Error() string { return string(p) }

// chain returns all texts that can be reached from err.
func chain(err error) []string {
	if err == nil {
		return nil
	}
	texts := []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		texts = append(texts, chain(e.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			texts = append(texts, chain(inner)...)
		}
	}
	return texts
}

func TestErrorsAreRedacted(t *testing.T) {
	t.Parallel()
	sentinel := errors.New("sentinel")
	secret := plainText("bad header T-secret")
	for name, test := range map[string]struct {
		err  error
		text string
	}{
		"text":        {fmt.Errorf("%w: %w", sentinel, secret), "sentinel: bad header [redacted]"},
		"inner only":  {errors.Join(sentinel, quiet{secret}), "sentinel\nquiet"},
		"quoted":      {fmt.Errorf("%q: %w", "T-secret", sentinel), `"[redacted]": sentinel`},
		"no secret":   {fmt.Errorf("plain: %w", sentinel), "plain: sentinel"},
		"in url":      {&url.Error{Op: "Get", URL: "https://a.test/?auth=T-secret", Err: sentinel}, "sentinel"},
		"in wrapped":  {quiet{fmt.Errorf("x T-secret: %w", sentinel)}, "quiet"},
		"joined urls": {fmt.Errorf("a: %w", &url.Error{Op: "Get", URL: "https://T-secret.test", Err: sentinel}), "sentinel"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rt := roundTrip(func(*http.Request) (*http.Response, error) { return nil, test.err })
			r := command("https://api.test")
			r.Redact = hide
			_, err := New(Config{Client: &http.Client{Transport: rt}}).Do(t.Context(), r)
			require.ErrorIs(t, err, sentinel)
			assert.Equal(t, test.text, err.Error())
			for _, text := range chain(err) {
				assert.NotContains(t, text, "secret")
			}
			_, leaked := errors.AsType[plainText](err)
			assert.False(t, leaked)
		})
	}
}

func TestRedactedErrorMatchesWhatItDid(t *testing.T) {
	t.Parallel()
	r := &Request{Redact: hide}
	err := r.redact(fmt.Errorf("T-secret: %w", context.DeadlineExceeded))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, context.Canceled)
	e := &Error{Err: err}
	assert.True(t, e.Timeout())
	assert.False(t, (&Error{Err: errors.New("no")}).Timeout())
}

func TestMalformedURLIsNotQuoted(t *testing.T) {
	t.Parallel()
	tr := New(Config{})
	for _, u := range []string{"http://a b/?auth=T-secret", "http://a:T-secret/", "http://a/%T-secret"} {
		_, err := tr.Do(t.Context(), command(u))
		require.EqualError(t, err, "malformed URL")
		_, err = tr.Download(t.Context(), consuming(u))
		require.EqualError(t, err, "malformed URL")
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.False(t, e.Ambiguous)
		assert.Zero(t, e.Attempts)
	}
	_, err := tr.Do(t.Context(), &Request{Method: "A B", URL: "http://a"})
	require.ErrorContains(t, err, "invalid method")
}

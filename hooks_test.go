package privicore_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
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

// recorder keeps what hooks are told.
type recorder struct {
	mu    sync.Mutex
	calls map[string][]privicore.CallReport
	waits map[string][]privicore.WaitReport
	open  int // begun and not ended
}

type hookKey struct{}

func (r *recorder) hooks() privicore.Hooks {
	r.calls, r.waits = make(map[string][]privicore.CallReport), make(map[string][]privicore.WaitReport)
	return privicore.Hooks{
		Call: func(ctx context.Context, operation string) (context.Context, func(privicore.CallReport)) {
			r.begin()
			return context.WithValue(ctx, hookKey{}, operation), func(report privicore.CallReport) {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.open--
				r.calls[operation] = append(r.calls[operation], report)
			}
		},
		Wait: func(ctx context.Context, operation, id string) (context.Context, func(privicore.WaitReport)) {
			r.begin()
			return context.WithValue(ctx, hookKey{}, "wait "+id), func(report privicore.WaitReport) {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.open--
				r.waits[operation] = append(r.waits[operation], report)
			}
		},
	}
}

func (r *recorder) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open++
}

// call returns the only report of an operation, and forgets it.
func (r *recorder) call(t *testing.T, operation string) privicore.CallReport {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Len(t, r.calls[operation], 1, "%s of %v", operation, r.calls)
	report := r.calls[operation][0]
	delete(r.calls, operation)
	assert.Zero(t, r.open, "each begin has its end")
	return report
}

// wait returns the only report of the waits for an operation, and forgets it.
func (r *recorder) wait(t *testing.T, operation string) privicore.WaitReport {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Len(t, r.waits[operation], 1, "%s of %v", operation, r.waits)
	report := r.waits[operation][0]
	delete(r.waits, operation)
	return report
}

// Each operation is reported once, under its name, and without secrets.
func TestHooksOfEveryOperation(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		t.Run(call.operation, func(t *testing.T) {
			t.Parallel()
			resp, body := parsed(t, call.answer)
			var seen recorder
			_, s := replay(t, call.answer)
			_, err := call.do(t.Context(), s.client(privicore.WithToken(testToken), privicore.WithHooks(seen.hooks())))
			require.NoError(t, err)
			report := seen.call(t, call.operation)
			report.Duration = 0
			want := privicore.CallReport{Attempts: 1, StatusCode: resp.StatusCode, Sent: int64(len(s.sent[0].body)), Received: int64(len(body))}
			if call.isCommand(t) {
				want.CommandID = commandID
			}
			if call.operation == "DataToken.Download" {
				want.Received = 0 // it was closed unread; see TestHooksOfDataAndPolls
			}
			if call.operation == "Voting.Create" || call.operation == "OAuth.RequestAuthorizationCode" {
				want.CommandID = report.CommandID // in one dialect it is a command
			}
			assert.Equal(t, want, report)
		})
	}
}

func TestHooksOfFailures(t *testing.T) {
	t.Parallel()
	const path = "POST /device/remove"
	type answer = func() (*http.Response, error)
	accepted := func() (*http.Response, error) { return reply(202, "", "X-DPT-CAB-ID", "c1") }
	status := func(code int, header ...string) answer {
		return func() (*http.Response, error) { return reply(code, "no", header...) }
	}
	broken := func() (*http.Response, error) { return nil, fmt.Errorf("broken with token %s", fakeToken) }
	for name, test := range map[string]struct {
		answers []answer
		want    privicore.CallReport
		err     error
	}{
		"repeated": {
			[]answer{status(429), status(503, "Retry-After", "2"), accepted},
			privicore.CallReport{Attempts: 3, Retries: []privicore.Retry{{StatusCode: 429}, {StatusCode: 503, Pause: 2 * time.Second}}, StatusCode: 202, CommandID: "c1"}, nil,
		},
		"renewed":    {[]answer{status(401), accepted}, privicore.CallReport{Attempts: 2, Retries: []privicore.Retry{{StatusCode: 401}}, StatusCode: 202, CommandID: "c1"}, nil},
		"refused":    {[]answer{status(422)}, privicore.CallReport{Attempts: 1, StatusCode: 422, Received: 2}, privicore.ErrValidation},
		"ambiguous":  {[]answer{status(502)}, privicore.CallReport{Attempts: 1, StatusCode: 502, Received: 2}, privicore.ErrAmbiguous},
		"broken":     {[]answer{broken}, privicore.CallReport{Attempts: 1}, privicore.ErrAmbiguous},
		"without id": {[]answer{func() (*http.Response, error) { return reply(202, "") }}, privicore.CallReport{Attempts: 1, StatusCode: 202}, privicore.ErrNoCommandID},
		"a page": {
			[]answer{func() (*http.Response, error) { return reply(200, "<html>") }},
			privicore.CallReport{Attempts: 1, StatusCode: 200, Received: 6}, privicore.ErrNoCommandID,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var seen recorder
				c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
					if r.Method+" "+r.URL.Path != path {
						return reply(200, `{"authorizationToken":"T-next","expiresAt":"2099-01-01T00:00:00Z"}`)
					}
					answer := test.answers[0]
					test.answers = test.answers[1:]
					return answer()
				}, privicore.WithToken(fakeToken), privicore.WithCredentials("alice", "correct horse"), privicore.WithHooks(seen.hooks()))
				began := time.Now()
				_, err := c.Device.Remove(t.Context(), "d")
				report := seen.call(t, "Device.Remove")
				assert.Equal(t, err, report.Err)
				if test.err == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, test.err)
				}
				assert.Equal(t, time.Since(began), report.Duration)
				assert.NotContains(t, fmt.Sprintf("%+v", report), fakeToken)
				if len(report.Retries) > 0 && test.want.Retries[0].Pause == 0 {
					report.Retries[0].Pause = 0 // with jitter
				}
				report.Duration, report.Err = 0, nil
				test.want.Sent = int64(len("deviceIdentifier=d"))
				assert.Equal(t, test.want, report)
			})
		})
	}
}

// What is refused before anything is sent is no operation. A call without a token is
// one that was not sent.
func TestHooksOfCallsThatAreNotSent(t *testing.T) {
	t.Parallel()
	var seen recorder
	c := fakeClient(t, answersWith(401, ""), privicore.WithCredentials("alice", "wrong"), privicore.WithHooks(seen.hooks()))
	_, err := c.Device.Remove(t.Context(), " ")
	require.ErrorIs(t, err, privicore.ErrValidation)
	assert.Empty(t, seen.calls)

	_, err = c.Device.Remove(t.Context(), "d")
	require.ErrorIs(t, err, privicore.ErrUnauthorized)
	report := seen.call(t, "Device.Remove")
	assert.Zero(t, report.Attempts)
	assert.Equal(t, err, report.Err)
	assert.Equal(t, 401, seen.call(t, "Profile.Authenticate").StatusCode, "what the client does by itself is reported too")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Utility.Health(ctx)
	require.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, seen.call(t, "Utility.Health").Attempts)
}

// A wait is reported however it learned the outcome.
func TestHooksOfWaits(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		var seen recorder
		pushed, err := c.Clone(privicore.WithHooks(seen.hooks()))
		require.NoError(t, err)
		defer pushed.Close()
		polling, err := c.Clone(privicore.WithHooks(seen.hooks()), privicore.WithWebSocketURL(""))
		require.NoError(t, err)
		defer polling.Close()

		for _, c := range []*privicore.Client{pushed, polling} {
			for _, rejected := range []bool{false, true} {
				cmd, err := c.Device.RequestIdentifier(t.Context(), "tablet")
				require.NoError(t, err)
				want := privicore.WaitReport{Status: privicore.CommandSucceeded, Pushed: c == pushed}
				if rejected {
					s.Next("Device.RequestIdentifier", privicoretest.Fault{Reject: []string{"device.no"}})
					cmd, err = c.Device.RequestIdentifier(t.Context(), "tablet")
					require.NoError(t, err)
					want.Status = privicore.CommandRejected
				}
				began := time.Now()
				_, want.Err = cmd.Wait(t.Context())
				want.Duration = time.Since(began)
				got := seen.wait(t, "Device.RequestIdentifier")
				assert.Equal(t, c == polling, got.Polls > 0, "%d polls", got.Polls)
				got.Polls = 0
				assert.Equal(t, want, got)
				_, again := cmd.Wait(t.Context())
				assert.Equal(t, want.Err, again)
				assert.Empty(t, seen.waits, "there was nothing to wait for")
			}
		}
	})
}

func TestHooksOfWaitsThatEndEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		c := fakeClient(t, answersWith(202, ""), privicore.WithToken(fakeToken), privicore.WithHooks(seen.hooks()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := c.Command("c1").Wait(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		report := seen.wait(t, "")
		assert.Positive(t, report.Polls)
		report.Polls = 0
		assert.Equal(t, privicore.WaitReport{Duration: time.Minute, Err: err}, report)

		for range c.Command("c1").Watch(t.Context()) {
			break
		}
		report = seen.wait(t, "")
		assert.NoError(t, report.Err)
		assert.Empty(t, report.Status)
	})
}

// The commands of WaitAll are reported one by one, each with its own context.
func TestHooksOfWaitAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			id := r.URL.Path[len("/request-status/"):]
			if r.Context().Value(hookKey{}) != "Utility.RequestStatus" {
				return reply(500, "")
			}
			if id == "c2" {
				return reply(200, `["rejected","no"]`)
			}
			return reply(200, `["done"]`)
		}, privicore.WithToken(fakeToken), privicore.WithHooks(seen.hooks()), privicore.WithHooks(privicore.Hooks{
			Call: func(ctx context.Context, _ string) (context.Context, func(privicore.CallReport)) {
				return ctx, nil
			},
			Wait: func(ctx context.Context, _, id string) (context.Context, func(privicore.WaitReport)) {
				assert.Equal(t, "wait "+id, ctx.Value(hookKey{}), "the first hook was called first")
				return ctx, nil
			},
		}))
		_, err := privicore.WaitAll(t.Context(), c.Command("c1"), c.Command("c2"))
		require.ErrorIs(t, err, privicore.ErrRejected)
		require.Len(t, seen.waits[""], 2)
		for _, report := range seen.waits[""] {
			assert.Equal(t, 1, report.Polls)
			assert.False(t, report.Pushed)
			assert.Equal(t, report.Status == privicore.CommandRejected, report.Err != nil)
		}
	})
}

// Waits for data and for the result of a poll are waits too.
func TestHooksOfDataAndPolls(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		var seen recorder
		c, err := c.Clone(privicore.WithHooks(seen.hooks()))
		require.NoError(t, err)
		defer c.Close()
		cipher := newAge(t)
		token, err := c.DataToken.Store(t.Context(), privicore.Payload{Data: strings.NewReader(strings.Repeat("a", 1<<20)), Cipher: cipher, Context: "tests"})
		require.NoError(t, err)
		sent := seen.call(t, "DataToken.Upload").Sent
		assert.Greater(t, sent, int64(1<<20))

		data, err := c.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: cipher})
		require.NoError(t, err)
		assert.Equal(t, privicore.CommandSucceeded, seen.wait(t, "DataToken.Request").Status)
		assert.Empty(t, seen.calls["DataToken.Download"], "it goes on until the data has been read")
		_, err = io.Copy(io.Discard, data)
		require.NoError(t, err)
		require.NoError(t, data.Close())
		assert.Equal(t, sent, seen.call(t, "DataToken.Download").Received)

		s.Next("DataToken.Request", privicoretest.Fault{Reject: []string{"no"}})
		_, err = c.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: cipher})
		require.ErrorIs(t, err, privicore.ErrRejected)
		rejected := seen.wait(t, "DataToken.Request")
		assert.Equal(t, privicore.CommandRejected, rejected.Status)
		assert.True(t, rejected.Pushed)
		require.ErrorIs(t, rejected.Err, privicore.ErrRejected)
	})
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		c := fakeClient(t, answersWith(200, `{"status":"passed"}`), privicore.WithToken(fakeToken), privicore.WithHooks(seen.hooks()))
		_, err := watch(t.Context(), c, poll1)
		require.NoError(t, err)
		assert.Equal(t, privicore.WaitReport{Status: privicore.CommandSucceeded, Polls: 1}, seen.wait(t, "Voting.CheckStatus"))
	})
}

// What a hook puts into the context reaches the RoundTripper, the TokenSource and
// the log.
func TestContextOfHooks(t *testing.T) {
	t.Parallel()
	var seen recorder
	reached := make(map[string]any)
	logs := contextHandler{reached}
	c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
		reached["transport"] = r.Context().Value(hookKey{})
		return reply(200, `{"profileId":"p"}`)
	}, privicore.WithHooks(seen.hooks()), privicore.WithLogger(slog.New(logs)), privicore.WithTokenSource(contextSource(func(ctx context.Context) (*privicore.AuthorizationToken, error) {
		reached["source"] = ctx.Value(hookKey{})
		return &privicore.AuthorizationToken{Token: privicore.NewSecret("T-1")}, nil
	})))
	_, err := c.Profile.ID(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"transport": "Profile.ID", "source": "Profile.ID", "log": "Profile.ID"}, reached)
}

// A hook that panics does so in the goroutine of the caller. The client works on.
func TestHookThatPanics(t *testing.T) {
	t.Parallel()
	first := true
	c := fakeClient(t, answersWith(200, `{"profileId":"p"}`), privicore.WithToken(fakeToken), privicore.WithHooks(privicore.Hooks{
		Call: func(ctx context.Context, _ string) (context.Context, func(privicore.CallReport)) {
			return ctx, func(privicore.CallReport) {
				if first {
					first = false
					panic("a hook")
				}
			}
		},
	}))
	assert.PanicsWithValue(t, "a hook", func() { _, _ = c.Profile.ID(t.Context()) })
	_, err := c.Profile.ID(t.Context())
	assert.NoError(t, err)
}

// contextHandler notes the context of what is logged.
type contextHandler struct{ reached map[string]any }

func (h contextHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h contextHandler) Handle(ctx context.Context, _ slog.Record) error {
	h.reached["log"] = ctx.Value(hookKey{})
	return nil
}

func (h contextHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h contextHandler) WithGroup(string) slog.Handler { return h }

// contextSource is a TokenSource.
type contextSource func(context.Context) (*privicore.AuthorizationToken, error)

func (f contextSource) Token(ctx context.Context) (*privicore.AuthorizationToken, error) {
	return f(ctx)
}

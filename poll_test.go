package privicore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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
)

// polls is a server that is only asked how commands are. It is used inside a
// synctest bubble, so its times are exact.
type polls struct {
	answer func(poll int, id string) (*http.Response, error) // polls count from 1

	mu    sync.Mutex
	start time.Time
	times []time.Duration // of the polls, since the start
}

func (p *polls) serve(r *http.Request, _ url.Values) (*http.Response, error) {
	p.mu.Lock()
	p.times = append(p.times, time.Since(p.start))
	n := len(p.times)
	p.mu.Unlock()
	return p.answer(n, strings.TrimPrefix(r.URL.Path, "/request-status/"))
}

// pollBubble runs test in a bubble with a client of such a server.
func pollBubble(t *testing.T, answer func(poll int, id string) (*http.Response, error), test func(*testing.T, *privicore.Client, *polls), opts ...privicore.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &polls{answer: answer, start: time.Now()}
		test(t, fakeClient(t, p.serve, opts...), p)
	})
}

// perSecond is the largest number of polls within any second.
func (p *polls) perSecond() int {
	most, first := 0, 0
	for i, at := range p.times {
		for at-p.times[first] >= time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// afterPolls answers the first n polls with one answer, and then another.
func afterPolls(n int, first, then func() (*http.Response, error)) func(int, string) (*http.Response, error) {
	return func(poll int, _ string) (*http.Response, error) {
		if poll <= n {
			return first()
		}
		return then()
	}
}

func answering(status int, body string, header ...string) func() (*http.Response, error) {
	return func() (*http.Response, error) { return reply(status, body, header...) }
}

func always(f func() (*http.Response, error)) func(int, string) (*http.Response, error) {
	return func(int, string) (*http.Response, error) { return f() }
}

func TestWaitPollsUntilTheCommandIsDone(t *testing.T) {
	answer := afterPolls(20, answering(202, `["started"]`), answering(200, `["profile.profile_registered"]`))
	pollBubble(t, answer, func(t *testing.T, c *privicore.Client, p *polls) {
		result, err := c.Command("c1").Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "c1", result.ID)
		assert.Equal(t, privicore.CommandSucceeded, result.Status)
		assert.Equal(t, []string{"profile.profile_registered"}, result.Messages)
		assert.Equal(t, `["profile.profile_registered"]`, string(result.Body))
		require.Len(t, p.times, 21)
		gaps := map[time.Duration]bool{}
		for i := 1; i < len(p.times); i++ {
			gap := p.times[i] - p.times[i-1]
			assert.GreaterOrEqual(t, gap, 50*time.Millisecond)
			assert.LessOrEqual(t, gap, 3*time.Second)
			gaps[gap] = true
		}
		assert.Greater(t, len(gaps), 15, "the pauses are jittered")
		assert.Greater(t, p.times[20]-p.times[19], p.times[2]-p.times[1], "and grow")
	})
}

func TestWhatCountsAsAnOutcome(t *testing.T) {
	const running, done, rejected = privicore.CommandPending, privicore.CommandSucceeded, privicore.CommandRejected
	for _, test := range []struct {
		status   int
		body     string
		want     privicore.CommandStatus
		messages []string
	}{
		{202, ``, running, nil},
		{202, `["started"]`, running, []string{"started"}},
		{202, `"started"`, running, []string{"started"}},
		{202, `[]`, running, nil},
		{202, `null`, running, nil},
		{202, `{"progress":5}`, running, nil},
		{202, `["some.machine_key"]`, running, []string{"some.machine_key"}},
		{200, `["started"]`, running, []string{"started"}},
		{200, `"pending"`, running, []string{"pending"}},
		{200, `["profile.profile_registered"]`, done, []string{"profile.profile_registered"}},
		{200, `[]`, done, nil},
		{200, `null`, done, nil},
		{200, `"succeeded"`, done, []string{"succeeded"}},
		{200, `["succeeded"]`, done, []string{"succeeded"}},
		{200, `["Succeeded"]`, done, []string{"Succeeded"}},
		{202, `"succeeded"`, done, []string{"succeeded"}},
		{200, `["started","succeeded"]`, done, []string{"started", "succeeded"}},
		{200, `{"status":"succeeded"}`, done, []string{"succeeded"}},
		{200, `"rejected"`, rejected, []string{"rejected"}},
		{200, `["rejected"]`, rejected, []string{"rejected"}},
		{200, `["REJECTED"]`, rejected, []string{"REJECTED"}},
		{202, `["rejected"]`, rejected, []string{"rejected"}},
		{200, `"failed"`, rejected, []string{"failed"}},
		{200, `["rejected","profile.username_taken"]`, rejected, []string{"profile.username_taken"}},
		{200, `["profile.username_taken","rejected"]`, rejected, []string{"profile.username_taken"}},
		{200, `["rejected","done"]`, rejected, []string{"rejected", "done"}},
		{200, `{"status":"rejected","message":"no"}`, rejected, []string{"no"}},
		{200, `[["rejected"]]`, rejected, []string{"rejected"}},
		{200, `succeeded`, done, []string{"succeeded"}}, // text, not JSON
		{200, "rejected\n", rejected, []string{"rejected"}},
		{202, `started`, running, []string{"started"}},
		{202, `<html>please wait</html>`, running, nil},
		{200, ``, done, nil}, // the body is documented as optional
		{200, `profile.profile_registered`, done, []string{"profile.profile_registered"}},
		{200, `"in progress"`, running, []string{"in progress"}},
		{200, `["canceled"]`, rejected, []string{"canceled"}},
		{200, `[" rejected "]`, rejected, []string{" rejected "}},
	} {
		t.Run(fmt.Sprint(test.status, test.body), func(t *testing.T) {
			last := answering(200, `["done"]`)
			pollBubble(t, afterPolls(2, answering(test.status, test.body), last), func(t *testing.T, c *privicore.Client, p *polls) {
				cmd := c.Command("c1")
				result, err := cmd.Status(t.Context())
				require.NoError(t, err, "Status reports a rejection in the result")
				assert.Equal(t, test.want, result.Status)
				assert.Equal(t, test.messages, result.Messages)

				result, err = cmd.Wait(t.Context())
				switch test.want {
				case running:
					require.NoError(t, err)
					assert.Equal(t, []string{"done"}, result.Messages)
				case done:
					require.NoError(t, err)
					assert.Equal(t, test.messages, result.Messages)
				case rejected:
					assert.Nil(t, result)
					var failed *privicore.CommandError
					require.ErrorAs(t, err, &failed)
					assert.Equal(t, "c1", failed.ID)
					assert.Equal(t, test.messages, failed.Messages)
					assert.ErrorContains(t, err, test.messages[0])
				}
			})
		})
	}
}

func TestCommandThatIsNotKnownYet(t *testing.T) {
	answer := afterPolls(4, answering(404, `"record not found"`), answering(200, `["done"]`))
	pollBubble(t, answer, func(t *testing.T, c *privicore.Client, p *polls) {
		_, err := c.Command("c1").Wait(t.Context())
		require.NoError(t, err)
		assert.Len(t, p.times, 5)
	})
}

func TestCommandThatIsNotKnown(t *testing.T) {
	for _, limit := range []time.Duration{3 * time.Second, 60 * time.Second, 0} {
		pollBubble(t, always(answering(404, "")), func(t *testing.T, c *privicore.Client, p *polls) {
			ctx := t.Context()
			if limit > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, limit)
				defer cancel()
			}
			_, err := c.Command("c1").Wait(ctx)
			require.ErrorIs(t, err, privicore.ErrNotFound)
			require.NoError(t, ctx.Err(), "it is told before the context ends")
			assert.NotErrorIs(t, err, context.DeadlineExceeded)
			assert.ErrorContains(t, err, "c1")
			if limit != 3*time.Second {
				assert.Greater(t, time.Since(p.start), 4*time.Second, "early is no reason to give up")
				assert.Less(t, time.Since(p.start), 10*time.Second)
			}
		})
	}
}

func TestPollThatIsRefused(t *testing.T) {
	for status, want := range map[int]error{401: privicore.ErrUnauthorized, 403: privicore.ErrForbidden, 422: privicore.ErrValidation, 400: nil} {
		pollBubble(t, always(answering(status, `"no such id"`)), func(t *testing.T, c *privicore.Client, p *polls) {
			_, err := c.Command("c1").Wait(t.Context())
			var apiErr *privicore.APIError
			require.ErrorAs(t, err, &apiErr)
			assert.Equal(t, status, apiErr.StatusCode)
			if want != nil {
				require.ErrorIs(t, err, want)
			}
			assert.Len(t, p.times, 1)
		})
	}
}

func TestFailuresThatPass(t *testing.T) {
	for name, fail := range map[string]func() (*http.Response, error){
		"500":       answering(500, ""),
		"502 HTML":  answering(502, "<html>Bad Gateway</html>"),
		"503":       answering(503, ""),
		"broken":    func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
		"refused":   func() (*http.Response, error) { return nil, errors.New("connection refused") },
		"HTML":      answering(200, "<html>Please log in</html>"),
		"redirect":  answering(302, "", "Location", "https://login.test"),
		"not JSON":  answering(200, "oops"),
		"truncated": answering(200, `["do`),
	} {
		t.Run(name, func(t *testing.T) {
			pollBubble(t, afterPolls(5, fail, answering(200, `["done"]`)), func(t *testing.T, c *privicore.Client, p *polls) {
				_, err := c.Command("c1").Wait(t.Context())
				require.NoError(t, err)
				assert.Len(t, p.times, 6)
			})
			pollBubble(t, always(fail), func(t *testing.T, c *privicore.Client, p *polls) {
				_, err := c.Command("c1").Wait(t.Context())
				require.Error(t, err)
				assert.Greater(t, time.Since(p.start), 20*time.Second)
				assert.Less(t, time.Since(p.start), 45*time.Second)
				if name == "500" {
					var apiErr *privicore.APIError
					require.ErrorAs(t, err, &apiErr)
					assert.Equal(t, 500, apiErr.StatusCode)
				}
			})
		})
	}
}

func TestFailuresMustBeInARow(t *testing.T) {
	answer := func(poll int, _ string) (*http.Response, error) {
		switch {
		case poll > 200:
			return reply(200, `["done"]`)
		case poll%3 == 0:
			return reply(202, "")
		}
		return reply(500, "")
	}
	pollBubble(t, answer, func(t *testing.T, c *privicore.Client, p *polls) {
		_, err := c.Command("c1").Wait(t.Context())
		require.NoError(t, err)
		assert.Greater(t, time.Since(p.start), time.Minute)
	})
}

func TestPollThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			if n++; n == 1 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return reply(200, `["done"]`)
		})
		start := time.Now()
		_, err := c.Command("c1").Wait(t.Context())
		require.NoError(t, err)
		assert.Less(t, time.Since(start), 15*time.Second)
		assert.Equal(t, 2, n)
	})
}

// waitForMany waits for n commands at once and requires success.
func waitForMany(t *testing.T, c *privicore.Client, n int) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			_, err := c.Command(fmt.Sprint("c", i)).Wait(t.Context())
			assert.NoError(t, err)
		})
	}
	all.Wait()
}

func TestOneRateForAllWaits(t *testing.T) {
	const rate = 10
	polled := map[string]int{}
	answer := func(_ int, id string) (*http.Response, error) {
		if polled[id]++; polled[id] < 4 {
			return reply(202, "")
		}
		return reply(200, `["done"]`)
	}
	var mu sync.Mutex
	locked := func(n int, id string) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		return answer(n, id)
	}
	pollBubble(t, locked, func(t *testing.T, c *privicore.Client, p *polls) {
		waitForMany(t, c, 100)
		assert.Len(t, p.times, 400)
		assert.LessOrEqual(t, p.perSecond(), rate+1, "both ends of the second count")
		took := time.Since(p.start).Seconds()
		assert.Less(t, took, 60.0, "and the rate is made use of")
	}, privicore.WithPollRate(rate))
}

// Waits that end leave no debt behind with the shared rate.
func TestAbandonedWaitsLeaveTheRateFree(t *testing.T) {
	answer := func(_ int, id string) (*http.Response, error) {
		if id == "fresh" {
			return reply(200, `["done"]`)
		}
		return reply(202, "")
	}
	pollBubble(t, answer, func(t *testing.T, c *privicore.Client, _ *polls) {
		ctx, cancel := context.WithTimeout(t.Context(), 800*time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		for i := range 300 {
			all.Go(func() { _, _ = c.Command(fmt.Sprint("c", i)).Wait(ctx) })
		}
		all.Wait()
		start := time.Now()
		_, err := c.Command("fresh").Wait(t.Context())
		require.NoError(t, err)
		assert.Less(t, time.Since(start), time.Second)
	})
}

// A wait that begins while the server wants nobody to ask for longer than it
// lasts says so at once.
func TestRateLimitThatWasMetByAnother(t *testing.T) {
	answer := always(answering(429, "", "Retry-After", "3600"))
	pollBubble(t, answer, func(t *testing.T, c *privicore.Client, p *polls) {
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			_, err := c.Command("c1").Wait(ctx)
			cancel()
			require.ErrorIs(t, err, privicore.ErrRateLimited)
		}
		assert.Len(t, p.times, 1)
		assert.Less(t, time.Since(p.start), time.Second)
	})
}

func TestRateLimitHoldsAllWaits(t *testing.T) {
	for name, header := range map[string]func() string{
		"seconds": func() string { return "20" },
		"date":    func() string { return time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat) },
	} {
		for _, status := range []int{429, 503} {
			t.Run(fmt.Sprint(name, status), func(t *testing.T) {
				answer := func(poll int, _ string) (*http.Response, error) {
					if poll == 1 {
						return reply(status, "", "Retry-After", header())
					}
					return reply(200, `["done"]`)
				}
				pollBubble(t, answer, func(t *testing.T, c *privicore.Client, p *polls) {
					var first sync.WaitGroup
					first.Go(func() { waitForMany(t, c, 1) })
					synctest.Wait()
					require.Len(t, p.times, 1)
					waitForMany(t, c, 100)
					first.Wait()
					assert.Len(t, p.times, 102)
					assert.GreaterOrEqual(t, p.times[1], 20*time.Second)
					assert.LessOrEqual(t, p.perSecond(), 20, "the rate holds after the pause as well")
				}, privicore.WithPollRate(10))
			})
		}
	}
}

// Some have waited for their turn when the pause begins; the pause must not
// let all of them go at once at its end.
func TestRateLimitInTheMiddle(t *testing.T) {
	answer := func(poll int, _ string) (*http.Response, error) {
		if poll == 30 {
			return reply(429, "", "Retry-After", "30")
		}
		return reply(200, `["done"]`)
	}
	pollBubble(t, answer, func(t *testing.T, c *privicore.Client, p *polls) {
		waitForMany(t, c, 200)
		assert.LessOrEqual(t, p.perSecond(), 20)
		quiet := false
		for i := 1; i < len(p.times); i++ {
			quiet = quiet || p.times[i]-p.times[i-1] > 29*time.Second
		}
		assert.True(t, quiet)
	}, privicore.WithPollRate(10))
}

func TestRateLimitWithoutATime(t *testing.T) {
	pollBubble(t, afterPolls(10, answering(429, ""), answering(200, `["done"]`)), func(t *testing.T, c *privicore.Client, p *polls) {
		waitForMany(t, c, 1)
		assert.GreaterOrEqual(t, p.times[10], 10*time.Second)
	})
}

func TestRateLimitBeyondTheContext(t *testing.T) {
	for _, status := range []int{429, 503} {
		pollBubble(t, always(answering(status, "", "Retry-After", "3600")), func(t *testing.T, c *privicore.Client, p *polls) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := c.Command("c1").Wait(ctx)
			var apiErr *privicore.APIError
			require.ErrorAs(t, err, &apiErr)
			assert.Equal(t, status, apiErr.StatusCode)
			assert.Equal(t, time.Hour, apiErr.RetryAfter)
			assert.Less(t, time.Since(p.start), time.Second, "the wait is not begun")
			assert.Equal(t, status == 429, errors.Is(err, privicore.ErrRateLimited))
		})
	}
}

func TestContextThatEndsAWait(t *testing.T) {
	for name, answer := range map[string]func() (*http.Response, error){
		"pending": answering(202, ""),
		"failing": answering(500, ""),
		"limited": answering(429, "", "Retry-After", "5"),
	} {
		t.Run(name, func(t *testing.T) {
			pollBubble(t, always(answer), func(t *testing.T, c *privicore.Client, p *polls) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := c.Command("c1").Wait(ctx)
				if name != "limited" { // that one may be told earlier
					require.ErrorIs(t, err, context.DeadlineExceeded)
					assert.Equal(t, 10*time.Second, time.Since(p.start))
				}

				ctx, stop := context.WithCancelCause(t.Context())
				start := time.Now()
				time.AfterFunc(1234*time.Millisecond, func() { stop(errors.New("interrupted")) })
				_, err = c.Command("c2").Wait(ctx)
				require.ErrorIs(t, err, context.Canceled)
				assert.Equal(t, 1234*time.Millisecond, time.Since(start))
				assert.ErrorContains(t, err, "c2")
			})
		})
	}
}

func TestContextThatEndsDuringAPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Command("c1").Wait(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start))
	})
}

func TestCloseEndsAllWaits(t *testing.T) {
	for name, serve := range map[string]fakeAPI{
		"between polls": func(*http.Request, url.Values) (*http.Response, error) { return reply(202, "") },
		"in a poll": func(r *http.Request, _ url.Values) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"held": func(*http.Request, url.Values) (*http.Response, error) { return reply(429, "", "Retry-After", "600") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := fakeClient(t, serve)
				var all sync.WaitGroup
				for i := range 50 {
					all.Go(func() {
						_, err := c.Command(fmt.Sprint("c", i)).Wait(t.Context())
						assert.ErrorIs(t, err, privicore.ErrClosed)
					})
				}
				all.Go(func() {
					_, err := privicore.WaitAll(t.Context(), c.Command("a"), c.Command("b"))
					assert.ErrorIs(t, err, privicore.ErrClosed)
				})
				time.Sleep(1500 * time.Millisecond)
				start := time.Now()
				require.NoError(t, c.Close())
				all.Wait()
				assert.Zero(t, time.Since(start))
			})
		})
	}
}

func TestPollByPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		c := fakeClient(t, func(r *http.Request, form url.Values) (*http.Response, error) {
			body := ""
			for key := range form {
				body = key
			}
			seen = append(seen, fmt.Sprint(r.Method, " ", r.URL.Path, " ", r.Header.Get("Content-Type"), " ", body))
			assert.NotContains(t, r.Header, "X-Dpt-Authorization", "the status needs no token")
			switch {
			case r.Method == http.MethodGet:
				return reply(405, "", "Allow", "POST")
			case len(seen) == 2:
				return reply(202, "")
			}
			return reply(200, `["done"]`)
		})
		_, err := c.Command("c1").Wait(t.Context())
		require.NoError(t, err)
		const post = "POST /request-status/c1 application/json {}"
		assert.Equal(t, []string{"GET /request-status/c1  ", post, post}, seen)
	})
}

func TestWhenToAskFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			if r.Method == http.MethodPost {
				return reply(202, "", "X-DPT-CAB-ID", "c1")
			}
			return reply(200, `["done"]`)
		})
		start := time.Now()
		_, err := c.Command("c1").Wait(t.Context())
		require.NoError(t, err)
		assert.Zero(t, time.Since(start), "a command of long ago is asked for at once")

		cmd, err := c.Device.Remove(t.Context(), "d")
		require.NoError(t, err)
		_, err = cmd.Wait(t.Context())
		require.NoError(t, err)
		assert.GreaterOrEqual(t, time.Since(start), 50*time.Millisecond, "a new one cannot have ended yet")
		assert.LessOrEqual(t, time.Since(start), 100*time.Millisecond)

		cmd, err = c.Device.Remove(t.Context(), "d")
		require.NoError(t, err)
		time.Sleep(time.Second)
		start = time.Now()
		_, err = cmd.Wait(t.Context())
		require.NoError(t, err)
		assert.Zero(t, time.Since(start), "a new one that had time enough is asked for at once")
	})
}

func TestPollsAreNotCaptured(t *testing.T) {
	pollBubble(t, always(answering(200, `["done"]`)), func(t *testing.T, c *privicore.Client, p *polls) {
		var resp privicore.Response
		ctx := privicore.CaptureResponse(t.Context(), &resp)
		_, err := c.Command("c1").Wait(ctx)
		require.NoError(t, err)
		assert.Zero(t, resp.StatusCode)
		_, err = c.Command("c1").Status(ctx)
		require.NoError(t, err)
		assert.Equal(t, 200, resp.StatusCode, "one that was asked for is")
	})
}

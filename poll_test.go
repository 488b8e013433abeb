package privicore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
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

// seen returns the times of the polls so far.
func (p *polls) seen() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.times)
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
	t.Parallel()
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
	t.Parallel()
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
			t.Parallel()
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
	t.Parallel()
	answer := afterPolls(4, answering(404, `"record not found"`), answering(200, `["done"]`))
	pollBubble(t, answer, func(t *testing.T, c *privicore.Client, p *polls) {
		_, err := c.Command("c1").Wait(t.Context())
		require.NoError(t, err)
		assert.Len(t, p.times, 5)
	})
}

func TestCommandThatIsNotKnown(t *testing.T) {
	t.Parallel()
	for _, limit := range []time.Duration{60 * time.Second, 0} {
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
			failed := waitError(t, err)
			assert.Equal(t, "c1", failed.ID)
			assert.Empty(t, failed.Operation, "it was resumed by its id")
			assert.ErrorContains(t, err, "c1")
			assert.GreaterOrEqual(t, time.Since(p.start), 5*time.Second, "early is no reason to give up")
			assert.Less(t, time.Since(p.start), 10*time.Second)
		})
	}
}

// waitError returns the WaitError that err is.
func waitError(t *testing.T, err error) *privicore.WaitError {
	t.Helper()
	var failed *privicore.WaitError
	require.ErrorAs(t, err, &failed)
	return failed
}

// The end of the context says nothing about what the polls said.
func TestContextThatEndsBeforeA404Lasts(t *testing.T) {
	t.Parallel()
	pollBubble(t, always(answering(404, "")), func(t *testing.T, c *privicore.Client, p *polls) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := c.Command("c1").Wait(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, privicore.ErrNotFound)
		assert.NotErrorAs(t, err, new(*privicore.APIError))
		assert.Equal(t, 3*time.Second, time.Since(p.start))
		assert.ErrorIs(t, waitError(t, err).LastPoll, privicore.ErrNotFound)
		assert.ErrorContains(t, err, "404", "it is in the text")
	})
}

// A wait that is seldom asked for, because it shares the rate with many, does
// not end by the clock alone.
func TestFewPollsDoNotEndAWait(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status, borne int
		every         time.Duration
	}{
		{404, 2, 10 * time.Second},
		{403, 2, 10 * time.Second},
		{502, 9, 40 * time.Second},
	} {
		t.Run(fmt.Sprint(test.status), func(t *testing.T) {
			t.Parallel()
			rate := privicore.WithPollRate(1 / test.every.Seconds())
			fail := answering(test.status, "")
			pollBubble(t, afterPolls(test.borne, fail, answering(200, `["done"]`)), func(t *testing.T, c *privicore.Client, p *polls) {
				_, err := c.Command("c1").Wait(t.Context())
				require.NoError(t, err)
				assert.InDelta(t, float64(test.borne)*test.every.Seconds(), time.Since(p.start).Seconds(), 0.001)
			}, rate)
			pollBubble(t, always(fail), func(t *testing.T, c *privicore.Client, p *polls) {
				_, err := c.Command("c1").Wait(t.Context())
				require.Error(t, err)
				assert.Len(t, p.times, test.borne+1)
			}, rate)
		})
	}
}

func TestPollThatIsRefused(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]error{401: privicore.ErrUnauthorized, 403: privicore.ErrForbidden, 400: nil} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			refusal := answering(status, `"not now"`)
			pollBubble(t, always(refusal), func(t *testing.T, c *privicore.Client, p *polls) {
				_, err := c.Command("c1").Wait(t.Context())
				var apiErr *privicore.APIError
				require.ErrorAs(t, err, &apiErr)
				assert.Equal(t, status, apiErr.StatusCode)
				if want != nil {
					require.ErrorIs(t, err, want)
				}
				assert.GreaterOrEqual(t, time.Since(p.start), 5*time.Second)
				assert.Less(t, time.Since(p.start), 10*time.Second)
			})
			pollBubble(t, afterPolls(1, refusal, answering(200, `["done"]`)), func(t *testing.T, c *privicore.Client, p *polls) {
				_, err := c.Command("c1").Wait(t.Context())
				require.NoError(t, err, "one refusal passes")
				assert.Len(t, p.times, 2)
			})
		})
	}
}

func TestIDThatTheServerRefuses(t *testing.T) {
	t.Parallel()
	pollBubble(t, always(answering(422, `"no such id"`)), func(t *testing.T, c *privicore.Client, p *polls) {
		_, err := c.Command("c1").Wait(t.Context())
		require.ErrorIs(t, err, privicore.ErrValidation)
		assert.ErrorContains(t, err, "no such id")
		assert.Len(t, p.times, 1, "asking again cannot help")
	})
}

func TestFailuresThatPass(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() (*http.Response, error){
		"500":       answering(500, ""),
		"502 HTML":  answering(502, "<html>Bad Gateway</html>"),
		"503":       answering(503, ""),
		"408":       answering(408, ""),
		"421":       answering(421, ""),
		"425":       answering(425, ""),
		"522":       answering(522, ""),
		"broken":    func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
		"refused":   func() (*http.Response, error) { return nil, errors.New("connection refused") },
		"HTML":      answering(200, "<html>Please log in</html>"),
		"redirect":  answering(302, "", "Location", "https://login.test"),
		"not JSON":  answering(200, "oops"),
		"truncated": answering(200, `["do`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pollBubble(t, afterPolls(5, fail, answering(200, `["done"]`)), func(t *testing.T, c *privicore.Client, p *polls) {
				_, err := c.Command("c1").Wait(t.Context())
				require.NoError(t, err)
				assert.Len(t, p.times, 6)
			})
			pollBubble(t, always(fail), func(t *testing.T, c *privicore.Client, p *polls) {
				_, err := c.Command("c1").Wait(t.Context())
				waitError(t, err)
				assert.GreaterOrEqual(t, time.Since(p.start), 3*time.Minute)
				assert.Less(t, time.Since(p.start), 3*time.Minute+5*time.Second)
				if name == "500" {
					var apiErr *privicore.APIError
					require.ErrorAs(t, err, &apiErr)
					assert.Equal(t, 500, apiErr.StatusCode)
				}
			})
		})
	}
}

func TestMaxOutage(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{time.Nanosecond, time.Minute, time.Hour} {
		pollBubble(t, always(answering(502, "")), func(t *testing.T, c *privicore.Client, p *polls) {
			_, err := c.Command("c1").Wait(t.Context())
			require.Error(t, err)
			assert.GreaterOrEqual(t, time.Since(p.start), d)
			assert.Less(t, time.Since(p.start), d+30*time.Second)
			assert.GreaterOrEqual(t, len(p.times), 10, "however short it is")
		}, privicore.WithMaxOutage(d))
	}
}

func TestOutageOf40Seconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
			if time.Since(start) < 40*time.Second {
				return reply(502, "<html>Bad Gateway</html>")
			}
			return reply(200, `["done"]`)
		})
		_, err := c.Command("c1").Wait(t.Context())
		require.NoError(t, err)
		assert.Less(t, time.Since(start), 45*time.Second)
	})
}

// 400 waits share the default rate, so each polls every 40 seconds. One of them
// meets two failures in a row.
func TestTwoFailuresInOneOfManyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		failures := 0
		p := &polls{start: start, answer: func(_ int, id string) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case id == "c200" && failures < 2:
				failures++
				return reply(500, "")
			case time.Since(start) < 95*time.Second:
				return reply(202, "")
			}
			return reply(200, `["done"]`)
		}}
		waitForMany(t, fakeClient(t, p.serve), 400)
		assert.Equal(t, 2, failures)
		assert.Greater(t, time.Since(start), 95*time.Second)
	})
}

func TestFailuresMustBeInARow(t *testing.T) {
	t.Parallel()
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

// A server that fails in another way each time is given up like one that cannot be
// reached, and not before.
func TestFailuresOfDifferentKinds(t *testing.T) {
	t.Parallel()
	answer := func(until time.Duration) func(poll int, _ string) (*http.Response, error) {
		start := time.Now()
		return func(poll int, _ string) (*http.Response, error) {
			switch {
			case time.Since(start) >= until:
				return reply(200, `["done"]`)
			case poll%3 == 0:
				return reply(502, "")
			case poll%3 == 1:
				return reply(404, "")
			}
			return reply(403, "")
		}
	}
	for _, outage := range []time.Duration{3 * time.Minute, 10 * time.Minute} {
		var opts []privicore.Option
		if outage != 3*time.Minute { // the default
			opts = append(opts, privicore.WithMaxOutage(outage))
		}
		synctest.Test(t, func(t *testing.T) {
			p := &polls{answer: answer(outage - 5*time.Second), start: time.Now()}
			_, err := fakeClient(t, p.serve, opts...).Command("c1").Wait(t.Context())
			require.NoError(t, err, "before")

			p = &polls{answer: answer(24 * time.Hour), start: time.Now()}
			_, err = fakeClient(t, p.serve, opts...).Command("c1").Wait(t.Context())
			waitError(t, err)
			assert.GreaterOrEqual(t, time.Since(p.start), outage)
			assert.Less(t, time.Since(p.start), outage+5*time.Second)
		})
	}
}

func TestPollThatHangs(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

// A limit that another wait has met holds for at most 5 seconds. A wait that
// ends earlier sends nothing.
func TestRateLimitThatWasMetByAnother(t *testing.T) {
	t.Parallel()
	answer := always(answering(429, "", "Retry-After", "3600"))
	pollBubble(t, answer, func(t *testing.T, c *privicore.Client, p *polls) {
		wait := func(id string) error {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			_, err := c.Command(id).Wait(ctx)
			return err
		}
		require.ErrorIs(t, wait("c1"), privicore.ErrRateLimited)
		assert.Zero(t, time.Since(p.start), "a pause that would outlast the context is not begun")
		require.ErrorIs(t, wait("c2"), context.DeadlineExceeded)
		assert.Len(t, p.times, 1)
		require.ErrorIs(t, wait("c3"), privicore.ErrRateLimited)
		assert.Equal(t, []time.Duration{0, 5 * time.Second}, p.times)
	})
}

// What the server says of one command binds that command wholly, and the others
// for a few seconds.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]func() string{
		"seconds": func() string { return "20" },
		"date":    func() string { return time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat) },
	} {
		for _, status := range []int{429, 503} {
			t.Run(fmt.Sprint(name, status), func(t *testing.T) {
				t.Parallel()
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
					require.Len(t, p.times, 102)
					assert.Equal(t, 5*time.Second, p.times[1], "the others")
					assert.LessOrEqual(t, p.perSecond(), 11, "the rate holds after the pause as well")
					last := p.times[101] - p.times[100]
					assert.GreaterOrEqual(t, p.times[101], 20*time.Second, "the command itself")
					assert.Greater(t, last, time.Second, "long after the others")
				}, privicore.WithPollRate(10))
			})
		}
	}
}

func TestRetryAfterOfAnHourDoesNotSilenceTheOthers(t *testing.T) {
	t.Parallel()
	answer := func(poll int, id string) (*http.Response, error) {
		if id == "limited" && poll == 1 {
			return reply(429, "", "Retry-After", "3600")
		}
		return reply(200, `["done"]`)
	}
	pollBubble(t, answer, func(t *testing.T, c *privicore.Client, p *polls) {
		clone, err := c.Clone()
		require.NoError(t, err)
		defer func() { assert.NoError(t, clone.Close()) }()
		limited := waitAside(t.Context(), c.Command("limited"))
		synctest.Wait()
		waitForMany(t, clone, 10)
		assert.GreaterOrEqual(t, p.seen()[1], 5*time.Second, "a clone has the same limiter")
		waitForMany(t, c, 10)
		assert.Less(t, time.Since(p.start), 10*time.Second)
		require.NoError(t, <-limited)
		assert.Equal(t, time.Hour, time.Since(p.start))
	})
}

// A pause of days is a mistake, such as a Unix time.
func TestRetryAfterThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	answer := afterPolls(1, answering(429, "", "Retry-After", "1795651200"), answering(200, `["done"]`))
	pollBubble(t, answer, func(t *testing.T, c *privicore.Client, p *polls) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := c.Command("c1").Wait(ctx)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, p.times[1], time.Second)
		assert.Less(t, p.times[1], 5*time.Second)
	})
}

func TestRetryAfterOfARunningCommand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &polls{start: time.Now(), answer: func(poll int, id string) (*http.Response, error) {
			if poll < 3 {
				return reply(202, `["started"]`, "Retry-After", "10")
			}
			return reply(200, `["done"]`)
		}}
		c := fakeClient(t, func(r *http.Request, form url.Values) (*http.Response, error) {
			if r.Method == http.MethodPost {
				return reply(202, "", "X-DPT-CAB-ID", "c1", "Retry-After", "20")
			}
			return p.serve(r, form)
		})
		cmd, err := c.Device.Remove(t.Context(), device1)
		require.NoError(t, err)
		_, err = cmd.Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []time.Duration{20 * time.Second, 30 * time.Second, 40 * time.Second}, p.times)
	})
}

// Some have waited for their turn when the pause begins; the pause must not
// let all of them go at once at its end.
func TestRateLimitInTheMiddle(t *testing.T) {
	t.Parallel()
	answer := func(poll int, _ string) (*http.Response, error) {
		if poll == 30 {
			return reply(429, "", "Retry-After", "30")
		}
		return reply(200, `["done"]`)
	}
	pollBubble(t, answer, func(t *testing.T, c *privicore.Client, p *polls) {
		waitForMany(t, c, 200)
		assert.LessOrEqual(t, p.perSecond(), 11)
		assert.GreaterOrEqual(t, p.times[30]-p.times[29], 5*time.Second)
	}, privicore.WithPollRate(10))
}

// A wait that has its turn soon sees a pause that begins before.
func TestRateLimitBeforeATurn(t *testing.T) {
	t.Parallel()
	answer := func(poll int, _ string) (*http.Response, error) {
		if poll == 1 {
			time.Sleep(50 * time.Millisecond)
			return reply(429, "", "Retry-After", "30")
		}
		return reply(200, `["done"]`)
	}
	pollBubble(t, answer, func(t *testing.T, c *privicore.Client, p *polls) {
		waitForMany(t, c, 2)
		require.Len(t, p.times, 3)
		assert.InDelta(t, 5.05, p.times[1].Seconds(), 0.001)
		assert.InDelta(t, 30.05, p.times[2].Seconds(), 0.001)
	}, privicore.WithPollRate(10))
}

func TestRateLimitWithoutATime(t *testing.T) {
	t.Parallel()
	pollBubble(t, afterPolls(10, answering(429, ""), answering(200, `["done"]`)), func(t *testing.T, c *privicore.Client, p *polls) {
		waitForMany(t, c, 1)
		assert.GreaterOrEqual(t, p.times[10], 10*time.Second)
	})
}

func TestRateLimitBeyondTheContext(t *testing.T) {
	t.Parallel()
	for _, status := range []int{429, 503} {
		pollBubble(t, always(answering(status, "", "Retry-After", "3600")), func(t *testing.T, c *privicore.Client, p *polls) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := c.Command("c1").Wait(ctx)
			var apiErr *privicore.APIError
			require.ErrorAs(t, err, &apiErr)
			assert.Equal(t, status, apiErr.StatusCode)
			assert.Equal(t, time.Hour, apiErr.RetryAfter)
			assert.Zero(t, time.Since(p.start), "the pause is not begun")
			assert.Equal(t, status == 429, errors.Is(err, privicore.ErrRateLimited))
		})
	}
}

func TestContextThatEndsAWait(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func() (*http.Response, error){
		"pending": answering(202, ""),
		"failing": answering(500, ""),
		"limited": answering(429, "", "Retry-After", "5"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
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
	t.Parallel()
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
		assert.NoError(t, waitError(t, err).LastPoll, "the poll was broken off")
	})
}

func TestCloseEndsAllWaits(t *testing.T) {
	t.Parallel()
	for name, serve := range map[string]fakeAPI{
		"between polls": func(*http.Request, url.Values) (*http.Response, error) { return reply(202, "") },
		"in a poll": func(r *http.Request, _ url.Values) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"limited": func(*http.Request, url.Values) (*http.Response, error) { return reply(429, "", "Retry-After", "600") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

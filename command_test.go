package privicore_test

import (
	"context"
	"encoding/json"
	"fmt"
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

func TestWhereTheCommandIDIs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status       int
		header, body string
		want         string
	}{
		{202, "c1", ``, "c1"},
		{202, "c1", `"c2"`, "c1"},
		{202, "c1", `<html>`, "c1"},
		{202, "", `"c1"`, "c1"},
		{202, "", ` "c1" `, "c1"},
		{202, "", `["c1"]`, "c1"},
		{202, "", `{"commandId":"c1"}`, "c1"},
		{202, "", `{"commandId":"c1","unknown":{"x":[1]}}`, "c1"},
		{200, "", `{"commandId":"c1"}`, "c1"},
		{202, "", ``, ""},
		{202, "", `null`, ""},
		{202, "", `{}`, ""},
		{202, "", `[]`, ""},
		{202, "", `""`, ""},
		{202, "", `["c1","c2"]`, ""},
		{202, "", `["started"]`, ""},
		{202, "", `"Accepted"`, ""},
		{202, "", `"command was accepted"`, ""},
		{202, "", `{"message":"accepted"}`, ""},
		{202, "", `{"commandId":null}`, ""},
		{202, "", `{"commandId":7}`, ""},
		{202, "", `7`, ""},
		{202, "", `<html>proxy</html>`, ""},
		{202, "", `["c1`, ""},
		{204, "", ``, ""},
	} {
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
			return reply(test.status, test.body, "X-Dpt-Cab-Id", test.header)
		})
		cmd, err := c.Device.Remove(t.Context(), "d")
		if test.want != "" {
			require.NoError(t, err, test)
			assert.Equal(t, test.want, cmd.ID)
			continue
		}
		require.ErrorIs(t, err, privicore.ErrNoCommandID, test)
		require.ErrorIs(t, err, privicore.ErrAmbiguous, "the command may be running")
		assert.Nil(t, cmd)
		var apiErr *privicore.APIError
		require.ErrorAs(t, err, &apiErr)
		assert.Equal(t, test.body, string(apiErr.Response.Body), "the raw answer is kept")
	}
}

func TestOutcomeIsRemembered(t *testing.T) {
	t.Parallel()
	pollBubble(t, always(answering(200, `["rejected","why"]`)), func(t *testing.T, c *privicore.Client, p *polls) {
		cmd := c.Command("c1")
		for range 3 {
			_, err := cmd.Wait(t.Context())
			var failed *privicore.CommandError
			require.ErrorAs(t, err, &failed)
		}
		result, err := cmd.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, privicore.CommandRejected, result.Status)
		assert.Len(t, p.times, 1)

		require.NoError(t, c.Close())
		_, err = cmd.Wait(t.Context())
		assert.NotErrorIs(t, err, privicore.ErrClosed, "what is known stays known")
	})
}

// What Status has found to be the end is known from then on.
func TestStatusIsRemembered(t *testing.T) {
	t.Parallel()
	pollBubble(t, afterPolls(1, answering(202, ""), answering(200, `["done"]`)), func(t *testing.T, c *privicore.Client, p *polls) {
		cmd := c.Command("c1")
		status, err := cmd.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, privicore.CommandPending, status.Status)
		for range 2 {
			status, err = cmd.Status(t.Context())
			require.NoError(t, err)
			assert.Equal(t, privicore.CommandSucceeded, status.Status)
		}
		start := time.Now()
		result, err := cmd.Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"done"}, result.Messages)
		assert.Len(t, p.times, 2)
		assert.Equal(t, start, time.Now())
	})
}

func TestManyWaitForOneCommand(t *testing.T) {
	t.Parallel()
	pollBubble(t, afterPolls(30, answering(202, ""), answering(200, `["done"]`)), func(t *testing.T, c *privicore.Client, p *polls) {
		cmd := c.Command("c1")
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				_, err := cmd.Wait(t.Context())
				assert.NoError(t, err)
			})
		}
		all.Wait()
	})
}

func TestWaitAgainAfterTheContextEnded(t *testing.T) {
	t.Parallel()
	pollBubble(t, afterPolls(10, answering(202, ""), answering(200, `["done"]`)), func(t *testing.T, c *privicore.Client, p *polls) {
		cmd := c.Command("c1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := cmd.Wait(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = cmd.Wait(t.Context())
		require.NoError(t, err)
	})
}

func TestWatchOfACommand(t *testing.T) {
	t.Parallel()
	answer := afterPolls(3, answering(202, `["started"]`), answering(200, `["done"]`))
	pollBubble(t, answer, func(t *testing.T, c *privicore.Client, p *polls) {
		cmd := c.Command("c1")
		var seen []privicore.CommandResult
		for r, err := range cmd.Watch(t.Context()) {
			require.NoError(t, err)
			seen = append(seen, *r)
		}
		require.Len(t, seen, 4, "the last is the outcome")
		assert.Equal(t, privicore.CommandSucceeded, seen[3].Status)
		assert.Equal(t, privicore.CommandPending, seen[0].Status)
		assert.Equal(t, "c1", seen[0].ID)
		assert.Equal(t, []string{"started"}, seen[0].Messages)

		data, err := json.Marshal(cmd)
		require.NoError(t, err, "who keeps a command keeps its id")
		assert.JSONEq(t, `{"ID":"c1"}`, string(data))
	})
}

func TestWatchOfACommandThatIsLeft(t *testing.T) {
	t.Parallel()
	pollBubble(t, afterPolls(5, answering(202, `["started"]`), answering(200, `["done"]`)), func(t *testing.T, c *privicore.Client, p *polls) {
		cmd := c.Command("c1")
		for r, err := range cmd.Watch(t.Context()) {
			require.NoError(t, err)
			assert.Equal(t, privicore.CommandPending, r.Status)
			break
		}
		time.Sleep(time.Hour)
		assert.Len(t, p.seen(), 1, "it stops asking")
		_, err := cmd.Wait(t.Context())
		require.NoError(t, err)
		assert.Len(t, p.seen(), 6)
	})
}

func TestWatchOfACommandEndsWithTheError(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]error{`["rejected"]`: privicore.ErrRejected, `["started"]`: context.DeadlineExceeded} {
		answer := afterPolls(2, answering(202, ""), answering(200, body))
		pollBubble(t, answer, func(t *testing.T, c *privicore.Client, p *polls) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			var last error
			for r, err := range c.Command("c1").Watch(ctx) {
				require.NoError(t, last, "an error is the last element")
				last = err
				assert.Equal(t, err == nil, r != nil)
			}
			assert.ErrorIs(t, last, want)
		})
	}
}

func TestRejectedCommand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			if r.Method == http.MethodPost {
				return reply(202, `"c1"`)
			}
			return reply(200, `["rejected","device.unknown","for good"]`)
		})
		cmd, err := c.Device.Remove(t.Context(), device1)
		require.NoError(t, err)
		assert.Equal(t, "Device.Remove", cmd.Operation())
		assert.Equal(t, "command c1", cmd.String())
		_, err = cmd.Wait(t.Context())
		require.ErrorIs(t, err, privicore.ErrRejected)
		require.ErrorIs(t, err, privicore.MessageKey("device.unknown"))
		assert.NotErrorIs(t, err, privicore.MessageKey("device"))
		assert.NotErrorIs(t, err, privicore.ErrNotFound)
		var failed *privicore.CommandError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, privicore.CommandError{ID: "c1", Operation: "Device.Remove", Messages: []string{"device.unknown", "for good"}}, *failed)
		assert.EqualError(t, err, "privicore: Device.Remove: command c1 was rejected: device.unknown; for good")

		result, err := cmd.Status(t.Context())
		require.NoError(t, err)
		assert.True(t, result.Has("device.unknown"))
		assert.False(t, result.Has("rejected"))
		assert.Equal(t, "rejected device.unknown, for good", result.String())
	})
}

func TestErrorOfAWaitNamesTheCommand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			if r.Method == http.MethodPost {
				return reply(202, `"c1"`)
			}
			return reply(502, "")
		})
		cmd, err := c.Device.Remove(t.Context(), device1)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err = cmd.Wait(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		failed := waitError(t, err)
		assert.Equal(t, "c1", failed.ID)
		assert.Equal(t, "Device.Remove", failed.Operation)
		var last *privicore.APIError
		require.ErrorAs(t, failed.LastPoll, &last)
		assert.Equal(t, 502, last.StatusCode)
		assert.Equal(t, "Utility.RequestStatus", last.Operation)
		assert.True(t, strings.HasPrefix(err.Error(), "privicore: Device.Remove: wait for c1: context deadline exceeded (last poll: "), err)
	})
}

// An object at 200 that does not say how the command ended is no outcome.
func TestErrorObjectIsNoOutcome(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"success":false,"message":"device.blocked"}`,
		`{"error":"internal error"}`,
		`{"errors":["internal error"]}`,
		`{"code":500,"message":"Server Error"}`,
		`{"status":"succeeded","error":"internal error"}`,
		`[{"error":"internal error"}]`,
		`{"deviceName":"Error","message":"device.registered"}`,
		`{"failed":true}`, `{}`, `false`, `0`,
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			pollBubble(t, always(answering(200, body)), func(t *testing.T, c *privicore.Client, p *polls) {
				cmd := c.Command("c1")
				_, err := cmd.Status(t.Context())
				require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
				assert.NotErrorIs(t, err, privicore.ErrAmbiguous, "asking is idempotent")
				start := time.Now()
				result, err := cmd.Wait(t.Context())
				assert.Nil(t, result)
				require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
				assert.NotErrorIs(t, err, privicore.ErrRejected)
				assert.GreaterOrEqual(t, time.Since(start), time.Minute, "it may pass")
			}, privicore.WithMaxOutage(time.Minute))
		})
	}
}

func TestWaitAll(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	polled := map[string]int{}
	answer := func(_ int, id string) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		switch polled[id]++; {
		case id == "unknown":
			return reply(422, "")
		case polled[id] < 3:
			return reply(202, "")
		case id == "bad":
			return reply(200, `["rejected","bad"]`)
		}
		return reply(200, fmt.Sprintf(`["done.%s"]`, id))
	}
	pollBubble(t, answer, func(t *testing.T, c *privicore.Client, p *polls) {
		cmds := []*privicore.Command{
			c.Command("a"), nil, c.Command("bad"), c.Command("b"), {ID: "orphan"}, c.Command("unknown"), c.Command(".."), c.Command("a"),
		}
		results, err := privicore.WaitAll(t.Context(), cmds...)
		require.Len(t, results, len(cmds))
		for i, want := range []string{"done.a", "", "", "done.b", "", "", "", "done.a"} {
			if want == "" {
				assert.Nil(t, results[i], i)
			} else if assert.NotNil(t, results[i], i) {
				assert.Equal(t, []string{want}, results[i].Messages)
			}
		}
		require.ErrorIs(t, err, privicore.ErrValidation)
		var failed *privicore.CommandError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, "bad", failed.ID)
		joined, ok := err.(interface{ Unwrap() []error })
		require.True(t, ok)
		assert.Len(t, joined.Unwrap(), 5)
	})

	results, err := privicore.WaitAll(t.Context())
	require.NoError(t, err)
	assert.Empty(t, results)
}

func TestWaitAllIsNotSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
			if time.Since(start) < 5*time.Second {
				return reply(202, "")
			}
			return reply(200, `["done"]`)
		}, privicore.WithPollRate(100))
		cmds := make([]*privicore.Command, 100)
		for i := range cmds {
			cmds[i] = c.Command(fmt.Sprint("c", i))
		}
		_, err := privicore.WaitAll(t.Context(), cmds...)
		require.NoError(t, err)
		assert.Less(t, time.Since(start), 10*time.Second)
	})
}

// A command that never ends must not hide the outcomes of the others.
func TestWaitAllBesideACommandThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/hangs") {
				return reply(202, "")
			}
			return reply(200, `["done"]`)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		results, err := privicore.WaitAll(ctx, c.Command("hangs"), c.Command("a"), c.Command("b"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Nil(t, results[0])
		for _, result := range results[1:] {
			require.NotNil(t, result)
			assert.Equal(t, privicore.CommandSucceeded, result.Status)
		}
	})
}

// The commands may come from clients of different servers, with and without a
// channel.
func TestWaitAllOfSeveralClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		rejected := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
			return reply(200, `["rejected","no"]`)
		})
		var cmds []*privicore.Command
		for range 20 {
			cmds = append(cmds, b.remove(), rejected.Command("c1"))
		}
		time.AfterFunc(time.Second, func() {
			for i := 0; i < len(cmds); i += 2 {
				b.finish(cmds[i], true)
			}
		})
		results, err := privicore.WaitAll(t.Context(), cmds...)
		require.ErrorIs(t, err, privicore.ErrRejected)
		for i, result := range results {
			require.Equal(t, i%2 == 0, result != nil, i)
			if result != nil {
				assert.Equal(t, cmds[i].ID, result.ID)
			}
		}
		assert.Empty(t, b.pollTimes())
	})
}

func TestWaitAllUntilTheContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) { return reply(202, "") })
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		results, err := privicore.WaitAll(ctx, c.Command("a"), c.Command("b"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, []*privicore.CommandResult{nil, nil}, results)
		assert.Equal(t, 3*time.Second, time.Since(start))
	})
}

func TestCommandWithoutClient(t *testing.T) {
	t.Parallel()
	var none *privicore.Command
	for _, cmd := range []*privicore.Command{none, {}, {ID: "c1"}} {
		_, err := cmd.Wait(t.Context())
		require.ErrorContains(t, err, "Client.Command")
		_, err = cmd.Status(t.Context())
		require.ErrorContains(t, err, "Client.Command")
	}
	cmd, err := (&privicore.Response{Body: []byte(`"c1"`)}).Command()
	require.NoError(t, err)
	_, err = cmd.Wait(t.Context())
	require.ErrorContains(t, err, "Client.Command")
}

func TestCommandWithAnImpossibleID(t *testing.T) {
	t.Parallel()
	c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
		t.Error("sent")
		return reply(200, "")
	})
	for _, id := range []string{"", "..", "a/../b", "\n", " ", "c1 ", "c\x00", "c\u202e1", "c\xff"} {
		_, err := c.Command(id).Wait(t.Context())
		require.ErrorIs(t, err, privicore.ErrValidation)
		_, err = c.Command(id).Status(t.Context())
		require.ErrorIs(t, err, privicore.ErrValidation)
	}
}

func TestCommandStatus(t *testing.T) {
	t.Parallel()
	pollBubble(t, func(poll int, _ string) (*http.Response, error) {
		switch poll {
		case 1:
			return reply(404, "")
		case 2:
			return reply(429, "", "Retry-After", "7200")
		case 3:
			return reply(422, "")
		}
		return reply(202, `["started"]`)
	}, func(t *testing.T, c *privicore.Client, p *polls) {
		cmd := c.Command("c1")
		_, err := cmd.Status(t.Context())
		require.ErrorIs(t, err, privicore.ErrNotFound)
		_, err = cmd.Status(t.Context())
		require.ErrorIs(t, err, privicore.ErrRateLimited)
		_, err = cmd.Status(t.Context())
		require.ErrorIs(t, err, privicore.ErrValidation)
		result, err := cmd.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, privicore.CommandPending, result.Status)
		assert.Zero(t, time.Since(p.start), "Status does not wait for the command")
		assert.Len(t, p.times, 4)
	})
}

// Status is sent again like any other read.
func TestCommandStatusIsSentAgain(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func() (*http.Response, error){
		"500": answering(500, ""),
		"429": answering(429, "", "Retry-After", "7"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pollBubble(t, afterPolls(1, first, answering(200, `["done"]`)), func(t *testing.T, c *privicore.Client, p *polls) {
				result, err := c.Command("c1").Status(t.Context())
				require.NoError(t, err)
				assert.Equal(t, privicore.CommandSucceeded, result.Status)
				assert.Len(t, p.times, 2)
				if name == "429" {
					assert.GreaterOrEqual(t, p.times[1], 7*time.Second)
				}
			})
		})
	}
}

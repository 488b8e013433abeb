package privicore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

const poll1 = "019735c0-1111-7c3e-8f00-a1b2c3d4e5f6"

var tea = privicore.CreatePollRequest{VotingConfiguration: "owners", Title: "Tea", Question: "Shall we?"}

var votingCalls = []wireCall{
	{
		operation: "Voting.Create",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Voting.Create(ctx, tea)
		},
		method: "POST", path: "/voting/create", token: true, contentType: jsonType,
		body:   `{"votingConfigurationId":"owners","question":"Shall we?","title":"Tea","skipAuthenticatorDevices":[]}`,
		answer: "voting/create.ok", parameter: "votingConfigurationId",
	},
	{
		operation: "Voting.Create",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			poll := tea
			poll.SkipAuthenticatorDevices, poll.Nonce = []string{device1, device2}, "n-1"
			return c.Voting.Create(ctx, poll)
		},
		method: "POST", path: "/voting/create", token: true, contentType: jsonType,
		body: `{"votingConfigurationId":"owners","question":"Shall we?","title":"Tea","nonce":"n-1",
			"skipAuthenticatorDevices":["01973590-11aa-7c3e-8f00-a1b2c3d4e5f6","01973590-22bb-7c3e-8f00-0f1e2d3c4b5a"]}`,
		answer: "voting/create.ok", parameter: "question",
	},
	{
		operation: "Voting.CheckStatus",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Voting.CheckStatus(ctx, poll1)
		},
		method: "GET", path: "/voting/check-pool-status/019735c0-1111-7c3e-8f00-a1b2c3d4e5f6", token: true,
		answer: "voting/check_status.ok", parameter: "poolId",
	},
}

func TestVotingRefuses(t *testing.T) {
	t.Parallel()
	creating := func(change func(*privicore.CreatePollRequest)) func(context.Context, *privicore.Client) (any, error) {
		return func(ctx context.Context, c *privicore.Client) (any, error) {
			poll := tea
			change(&poll)
			return c.Voting.Create(ctx, poll)
		}
	}
	const create = "Voting.Create"
	assertRefused(t, []refused{
		{"no configuration", creating(func(p *privicore.CreatePollRequest) { p.VotingConfiguration = "" }), create, "votingConfigurationId", "is empty"},
		{"no title", creating(func(p *privicore.CreatePollRequest) { p.Title = "\t" }), create, "title", "is empty"},
		{"no question", creating(func(p *privicore.CreatePollRequest) { p.Question = "" }), create, "question", "is empty"},
		{"malformed device", creating(func(p *privicore.CreatePollRequest) { p.SkipAuthenticatorDevices = []string{device1, ""} }), create, "skipAuthenticatorDevices[1]", "is empty"},
	})
	assertIdentifierChecked(t, "Voting.CheckStatus", "poolId", func(ctx context.Context, c *privicore.Client, id string) (any, error) {
		return c.Voting.CheckStatus(ctx, id)
	})
	assertIdentifierChecked(t, "Voting.CheckStatus", "poolId", func(ctx context.Context, c *privicore.Client, id string) (any, error) {
		return watch(ctx, c, id)
	})
}

// watch follows a poll and returns its states.
func watch(ctx context.Context, c *privicore.Client, id string) (states []string, err error) {
	for status, err := range c.Voting.Watch(ctx, id) {
		if err != nil {
			return states, err
		}
		states = append(states, status.Status)
	}
	return states, nil
}

// The identifier is found wherever it may be.
func TestCreatedPollID(t *testing.T) {
	t.Parallel()
	const ok, accepted = "HTTP/1.1 200 OK\n\n", "HTTP/1.1 202 Accepted\n\n"
	for answer, want := range map[string]string{
		ok + `{"pollId":"p-1"}`:                               "p-1",
		ok + `{"poolId":"p-1","id":"x-2"}`:                    "p-1",
		ok + `{"id":17}`:                                      "17",
		ok + `{"identifier":["p-1"]}`:                         "p-1",
		ok + `"p-1"`:                                          "p-1",
		ok + `["p-1"]`:                                        "p-1",
		accepted + `{"commandId":"c-1"}`:                      "c-1",
		accepted + `{"commandId":"c-1","pollId":"p-1"}`:       "p-1",
		"HTTP/1.1 202 Accepted\nX-DPT-CAB-ID: c-1\n\n":        "c-1",
		"HTTP/1.1 200 OK\nX-DPT-CAB-ID: c-1\n\n{\"id\":null}": "c-1",
	} {
		_, s := replay(t)
		s.answers = [][]byte{[]byte(answer)}
		pending, err := s.client(privicore.WithToken(testToken)).Voting.Create(t.Context(), tea)
		require.NoError(t, err, answer)
		assert.Equal(t, want, pending.ID, answer)
	}
	for answer, want := range map[string]error{
		ok + `{"poll":"x"}`:   privicore.ErrUnexpectedAnswer,
		ok + `["started"]`:    privicore.ErrUnexpectedAnswer,
		accepted + `{}`:       privicore.ErrNoCommandID,
		accepted:              privicore.ErrNoCommandID,
		accepted + `"queued"`: privicore.ErrNoCommandID,
	} {
		_, s := replay(t)
		s.answers = [][]byte{[]byte(answer)}
		_, err := s.client(privicore.WithToken(testToken)).Voting.Create(t.Context(), tea)
		assert.ErrorIs(t, err, want, answer)
	}
}

func TestPollStatus(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		status string
		ended  bool
	}{
		"voting/check_status.ok":        {"open", false},
		"voting/check_status.passed":    {"passed", true},
		"voting/check_status.no_status": {"", false},
		"voting/check_status.number":    {"2", true},
		"voting/check_status.word":      {"started", false},
	} {
		c, _ := replay(t, name)
		status, err := c.Voting.CheckStatus(t.Context(), poll1)
		require.NoError(t, err, name)
		assert.Equal(t, want.status, status.Status, name)
		assert.Equal(t, want.ended, status.Ended(), name)
		_, body := parsed(t, name)
		assert.JSONEq(t, string(body), string(status.RawJSON()))
	}
	for word, ended := range map[string]bool{
		"": false, "OPEN": false, "In Progress": false, "in-progress": false, " pending ": false,
		"accepted": true, "denied": true, "closed": true, "Expired": true,
	} {
		status := privicore.PollStatus{Status: word}
		assert.Equal(t, ended, status.Ended(), word)
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	const open, voted, passed = "voting/check_status.ok", "voting/check_status.voted", "voting/check_status.passed"
	const notFound, broken = "voting/check_status.not_found", "errors/502.empty"
	for name, test := range map[string]struct {
		answers []string
		states  []string
	}{
		"changes only":          {[]string{open, open, open, voted, voted, passed}, []string{"open", "open", "passed"}},
		"over already":          {[]string{passed}, []string{"passed"}},
		"not there yet":         {[]string{notFound, notFound, open, passed}, []string{"open", "passed"}},
		"failures that pass":    {[]string{open, broken, broken, "unreadable/html", "errors/503.retry_after", "errors/429.retry_after", passed}, []string{"open", "passed"}},
		"a refusal that passes": {[]string{open, "errors/403.key", "errors/401.empty", passed}, []string{"open", "passed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, s := replay(t, test.answers...)
				states, err := watch(t.Context(), c, poll1)
				require.NoError(t, err)
				assert.Equal(t, test.states, states)
				assert.Len(t, s.sent, len(test.answers))
			})
		})
	}
}

// answersWith returns an API that gives the same answer to every call.
func answersWith(status int, body string, header ...string) fakeAPI {
	return func(*http.Request, url.Values) (*http.Response, error) { return reply(status, body, header...) }
}

// Failures end it that last, and so does the caller.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	type bounds = [2]time.Duration
	refused := bounds{5 * time.Second, 10 * time.Second}
	outage := bounds{3 * time.Minute, 3*time.Minute + 10*time.Second}
	for name, test := range map[string]struct {
		api    fakeAPI
		within bounds
		err    error
	}{
		"unknown poll":    {answersWith(404, ""), refused, privicore.ErrNotFound},
		"dead token":      {answersWith(401, ""), refused, privicore.ErrUnauthorized},
		"forbidden":       {answersWith(403, ""), refused, privicore.ErrForbidden},
		"bad request":     {answersWith(400, ""), refused, nil},
		"no such id":      {answersWith(422, ""), bounds{}, privicore.ErrValidation},
		"broken":          {answersWith(500, ""), outage, nil},
		"out of time":     {answersWith(408, ""), outage, nil},
		"misdirected":     {answersWith(421, ""), outage, nil},
		"too early":       {answersWith(425, ""), outage, nil},
		"the proxy waits": {answersWith(522, ""), outage, nil},
		"an odd answer":   {answersWith(200, "<html>"), outage, privicore.ErrUnexpectedAnswer},
		"a limit":         {answersWith(429, ""), bounds{time.Hour - 5*time.Second, time.Hour}, nil},
		"a long limit":    {answersWith(429, "", "Retry-After", "7200"), bounds{}, privicore.ErrRateLimited},
		"runs on":         {answersWith(200, `{"status":"open"}`), bounds{time.Hour, time.Hour}, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fakeClient(t, test.api, privicore.WithToken(fakeToken), privicore.WithMaxRetries(0))
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				began := time.Now()
				_, err := watch(ctx, c, poll1)
				if test.err != nil {
					require.ErrorIs(t, err, test.err)
				}
				waiting, ok := errors.AsType[*privicore.WaitError](err)
				require.True(t, ok, "%T", err)
				assert.Equal(t, []string{poll1, "Voting.CheckStatus"}, []string{waiting.ID, waiting.Operation})
				took := time.Since(began)
				assert.GreaterOrEqual(t, took, test.within[0])
				assert.LessOrEqual(t, took, test.within[1])
			})
		})
	}
}

// The pause that the server asks for when a token is fetched counts for the wait.
func TestWatchWithoutTokenForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fakeClient(t, answersWith(429, "", "Retry-After", "7200"), privicore.WithCredentials("alice", "correct horse"), privicore.WithMaxRetries(0))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		_, err := watch(ctx, c, poll1)
		require.ErrorAs(t, err, new(*privicore.TokenError))
		assert.NotErrorIs(t, err, privicore.ErrRateLimited)
		assert.Zero(t, time.Since(began))
	})
}

func TestWatchClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fakeClient(t, answersWith(200, `{"status":"open"}`))
		time.AfterFunc(time.Minute, func() { _ = c.Close() })
		began := time.Now()
		_, err := watch(t.Context(), c, poll1)
		assert.ErrorIs(t, err, privicore.ErrClosed)
		assert.Equal(t, time.Minute, time.Since(began))
	})
}

// A caller that leaves the loop ends the wait. It can come back.
func TestWatchLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked int
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
			asked++
			return reply(200, `{"yes":1}`)
		})
		snapshots := c.Voting.Watch(t.Context(), poll1)
		for again := range 2 {
			for status, err := range snapshots {
				require.NoError(t, err)
				assert.JSONEq(t, `{"yes":1}`, string(status.RawJSON()), "who knows better when it is over")
				break
			}
			time.Sleep(time.Hour)
			assert.Equal(t, again+1, asked)
		}
	})
}

// Errors of a RoundTripper may wrap anything. They are failures of the way to
// the server, or a limit if they say so.
func TestWatchErrorsOfARoundTripper(t *testing.T) {
	t.Parallel()
	for _, wrapped := range []error{
		privicore.ErrRateLimited, privicore.ErrUnauthorized, privicore.ErrNotFound, privicore.ErrAmbiguous,
		&privicore.APIError{}, &privicore.APIError{StatusCode: 429}, &privicore.TokenError{Err: privicore.ErrRateLimited},
		&privicore.WaitError{Err: privicore.ErrRateLimited}, context.DeadlineExceeded,
	} {
		t.Run(fmt.Sprintf("%T %v", wrapped, wrapped), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				failures := 4
				c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
					if failures--; failures >= 0 {
						return nil, fmt.Errorf("proxy: %w", wrapped)
					}
					return reply(200, `{"status":"passed"}`)
				}, privicore.WithToken(fakeToken), privicore.WithMaxRetries(0))
				states, err := watch(t.Context(), c, poll1)
				require.NoError(t, err)
				assert.Equal(t, []string{"passed"}, states)
			})
		})
	}
}

// A poll is asked for more and more seldom, and failures now and then do not
// add up.
func TestWatchBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
			switch asked++; asked % 4 {
			case 1:
				return reply(500, "")
			case 3:
				return reply(404, "")
			}
			return reply(200, `{"status":"open"}`)
		}, privicore.WithToken(fakeToken), privicore.WithMaxRetries(0))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Minute, cancel)
		_, err := watch(ctx, c, poll1)
		require.ErrorIs(t, err, context.Canceled)
		assert.Less(t, asked, 260)
		assert.Greater(t, asked, 100)
	})
}

// A poll that was there at once is watched at once. One that is taken as a
// command is watched when the command has succeeded.
func TestPollResult(t *testing.T) {
	t.Parallel()
	const create, status = "POST /voting/create", "GET /request-status/" + commandID
	for name, test := range map[string]struct {
		answers  []string
		requests []string
	}{
		"without a command": {
			[]string{"voting/create.ok", "voting/check_status.ok", "voting/check_status.passed"},
			[]string{create, "GET /voting/check-pool-status/" + poll1, "GET /voting/check-pool-status/" + poll1},
		},
		"without a command, by a bare id": {
			[]string{"oauth/request_authorization_code.array", "voting/check_status.passed"},
			[]string{create, "GET /voting/check-pool-status/" + commandID},
		},
		"with a command": {
			[]string{"voting/create.observed", "utility/request_status.pending", "utility/request_status.succeeded", "voting/check_status.not_found", "voting/check_status.passed"},
			[]string{create, status, status, "GET /voting/check-pool-status/" + commandID, "GET /voting/check-pool-status/" + commandID},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, s := replay(t, test.answers...)
				poll, err := c.Voting.Create(t.Context(), tea)
				require.NoError(t, err)
				last, err := poll.Result(t.Context())
				require.NoError(t, err)
				assert.Equal(t, "passed", last.Status)
				assert.Equal(t, test.requests, s.requests())
			})
		})
	}
}

// An error of the wait names what was waited for: the command, then the poll.
func TestPollResultTimesOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		succeeds      bool
		id, operation string
	}{
		"command": {false, commandID, "Voting.Create"},
		"poll":    {true, poll1, "Voting.CheckStatus"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
					switch {
					case r.Method == http.MethodPost:
						return reply(202, `{"pollId":"`+poll1+`","commandId":"`+commandID+`"}`)
					case strings.HasPrefix(r.URL.Path, "/request-status/") && !test.succeeds:
						return reply(202, `["started"]`)
					case strings.HasPrefix(r.URL.Path, "/request-status/"):
						return reply(200, `["succeeded"]`)
					}
					return reply(200, `{"status":"open"}`)
				})
				poll, err := c.Voting.Create(t.Context(), tea)
				require.NoError(t, err)
				assert.Equal(t, poll1, poll.ID)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, err = poll.Result(ctx)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				waiting, ok := errors.AsType[*privicore.WaitError](err)
				require.True(t, ok, "%T", err)
				assert.Equal(t, []string{test.id, test.operation}, []string{waiting.ID, waiting.Operation})
			})
		})
	}
}

// A poll that is taken as a command and rejected is not watched.
func TestPendingPollRejected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := replay(t, "voting/create.observed", "utility/request_status.rejected_array")
		pending, err := c.Voting.Create(t.Context(), tea)
		require.NoError(t, err)
		_, err = pending.Result(t.Context())
		require.ErrorIs(t, err, privicore.ErrRejected)
		rejected, ok := errors.AsType[*privicore.CommandError](err)
		require.True(t, ok)
		assert.Equal(t, []string{commandID, "Voting.Create"}, []string{rejected.ID, rejected.Operation})
		assert.Len(t, s.sent, 2)
	})
	_, err := new(privicore.Poll).Result(t.Context())
	assert.Error(t, err)
}

func TestPollByHand(t *testing.T) {
	t.Parallel()
	inBothDialects(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		voters := onboarded(t, c, 3)
		cmd, err := c.VerifiedAuthenticator.RegisterVotingConfiguration(t.Context(), privicore.VotingConfiguration{
			Name: "owners", TimeLimit: time.Minute, Strategy: privicore.Unanimous,
		})
		done(t, cmd, err)
		poll := tea
		poll.SkipAuthenticatorDevices = voters[2:]
		pending, err := c.Voting.Create(t.Context(), poll)
		require.NoError(t, err)
		assert.NotEmpty(t, pending.RawJSON())

		var seen []string
		for status, err := range c.Voting.Watch(t.Context(), pending.ID) {
			require.NoError(t, err)
			seen = append(seen, status.Status)
			if len(seen) <= 2 {
				require.NoError(t, s.Vote(pending.ID, voters[len(seen)-1], true))
			}
		}
		assert.Equal(t, []string{"open", "open", "passed"}, seen)
		last, err := pending.Result(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "passed", last.Status)
		assert.Contains(t, string(last.RawJSON()), `"yes":2`)

		pending, err = c.Voting.Create(t.Context(), tea)
		require.NoError(t, err)
		lost := make(chan *privicore.PollStatus)
		go func() {
			status, err := pending.Result(t.Context())
			assert.NoError(t, err)
			lost <- status
		}()
		require.NoError(t, s.Vote(openPoll(t, s).ID, voters[2], false))
		assert.Equal(t, "failed", (<-lost).Status)

		_, err = c.Voting.CheckStatus(t.Context(), "019735c0-0000-7c3e-8f00-a1b2c3d4e5f6")
		assert.ErrorIs(t, err, privicore.ErrNotFound)
		_, err = c.Voting.Create(t.Context(), privicore.CreatePollRequest{VotingConfiguration: "nobody", Title: "t", Question: "q"})
		assert.ErrorIs(t, err, privicore.ErrNotFound)
	}, privicoretest.WithoutVoter())
}

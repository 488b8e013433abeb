package privicore_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

const poll1 = "019735c0-1111-7c3e-8f00-a1b2c3d4e5f6"

var tea = privicore.Poll{VotingConfiguration: "owners", Title: "Tea", Question: "Shall we?"}

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
	creating := func(change func(*privicore.Poll)) func(context.Context, *privicore.Client) (any, error) {
		return func(ctx context.Context, c *privicore.Client) (any, error) {
			poll := tea
			change(&poll)
			return c.Voting.Create(ctx, poll)
		}
	}
	const create = "Create voting"
	assertRefused(t, []refused{
		{"no configuration", creating(func(p *privicore.Poll) { p.VotingConfiguration = "" }), create, "votingConfigurationId", "is empty"},
		{"no title", creating(func(p *privicore.Poll) { p.Title = "\t" }), create, "title", "is empty"},
		{"no question", creating(func(p *privicore.Poll) { p.Question = "" }), create, "question", "is empty"},
		{"malformed device", creating(func(p *privicore.Poll) { p.SkipAuthenticatorDevices = []string{device1, ""} }), create, "skipAuthenticatorDevices[1]", "is empty"},
	})
	assertIdentifierChecked(t, "Check pool status", "poolId", func(ctx context.Context, c *privicore.Client, id string) (any, error) {
		return c.Voting.CheckStatus(ctx, id)
	})
	assertIdentifierChecked(t, "Check pool status", "poolId", func(ctx context.Context, c *privicore.Client, id string) (any, error) {
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
	const open, voted, passed = "voting/check_status.ok", "voting/check_status.voted", "voting/check_status.passed"
	const notFound, broken = "voting/check_status.not_found", "errors/502.empty"
	for name, test := range map[string]struct {
		answers []string
		states  []string
		err     error
	}{
		"changes only":       {[]string{open, open, open, voted, voted, passed}, []string{"open", "open", "passed"}, nil},
		"over already":       {[]string{passed}, []string{"passed"}, nil},
		"not there yet":      {[]string{notFound, notFound, open, passed}, []string{"open", "passed"}, nil},
		"failures that pass": {[]string{open, broken, broken, "unreadable/html", "errors/503.retry_after", "errors/429.retry_after", passed}, []string{"open", "passed"}, nil},
		"refused":            {[]string{open, "errors/403.key"}, []string{"open"}, privicore.ErrForbidden},
		"dead token":         {[]string{open, "errors/401.empty"}, []string{"open"}, privicore.ErrUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := replay(t, test.answers...)
				states, err := watch(t.Context(), c, poll1)
				assert.Equal(t, test.states, states)
				assert.Equal(t, test.err == nil, err == nil, "%v", err)
				assert.ErrorIs(t, err, test.err)
				assert.Len(t, s.sent, len(test.answers))
			})
		})
	}
}

// Failures end it that last, and so does the caller.
func TestWatchEnds(t *testing.T) {
	answering := func(status int, body string) fakeAPI {
		return func(*http.Request, url.Values) (*http.Response, error) { return reply(status, body) }
	}
	for name, test := range map[string]struct {
		api    fakeAPI
		within [2]time.Duration
		err    error
	}{
		"unknown poll": {answering(404, ""), [2]time.Duration{4 * time.Second, 8 * time.Second}, privicore.ErrNotFound},
		"broken":       {answering(500, ""), [2]time.Duration{29 * time.Second, 36 * time.Second}, nil},
		"runs on":      {answering(200, `{"status":"open"}`), [2]time.Duration{time.Hour, time.Hour}, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := fakeClient(t, test.api, privicore.WithToken(fakeToken), privicore.WithMaxRetries(0))
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				began := time.Now()
				_, err := watch(ctx, c, poll1)
				require.Error(t, err)
				if test.err != nil {
					assert.ErrorIs(t, err, test.err)
				}
				took := time.Since(began)
				assert.GreaterOrEqual(t, took, test.within[0])
				assert.LessOrEqual(t, took, test.within[1])
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c := fakeClient(t, answering(200, `{"status":"open"}`))
		time.AfterFunc(time.Minute, func() { _ = c.Close() })
		began := time.Now()
		_, err := watch(t.Context(), c, poll1)
		assert.ErrorIs(t, err, privicore.ErrClosed)
		assert.Equal(t, time.Minute, time.Since(began))
	})
	synctest.Test(t, func(t *testing.T) {
		c := fakeClient(t, answering(200, `{"yes":1}`))
		for status, err := range c.Voting.Watch(t.Context(), poll1) {
			require.NoError(t, err)
			assert.JSONEq(t, `{"yes":1}`, string(status.RawJSON()))
			break // who knows better when it is over
		}
	})
}

// A poll is asked for more and more seldom, and failures now and then do not
// add up.
func TestWatchPace(t *testing.T) {
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

// A poll that is taken as a command and rejected is not watched.
func TestPendingPollRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := replay(t, "voting/create.observed", "utility/request_status.rejected_array")
		pending, err := c.Voting.Create(t.Context(), tea)
		require.NoError(t, err)
		_, err = pending.Result(t.Context())
		assert.ErrorContains(t, err, "was rejected")
		assert.Len(t, s.sent, 2)
	})
	_, err := new(privicore.PendingPoll).Result(t.Context())
	assert.Error(t, err)
}

func TestPollByHand(t *testing.T) {
	dialects(t, func(t *testing.T, dialect privicoretest.Option) {
		c, s := sandboxed(t, dialect, privicoretest.WithoutVoter())
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
		_, err = c.Voting.Create(t.Context(), privicore.Poll{VotingConfiguration: "nobody", Title: "t", Question: "q"})
		assert.ErrorIs(t, err, privicore.ErrNotFound)
	})
}

package privicoretest_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/privicoretest"
)

// authenticators registers that many.
func (c client) authenticators(n int) []string {
	c.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = c.approved(fmt.Sprint("authenticator ", i))
		require.NotContains(c.t, c.outcome(c.post("/verified-authenticator/register", "deviceIdentifier", ids[i])), "rejected")
	}
	return ids
}

// configured registers a voting configuration of that name.
func (c client) configured(name, rest string) {
	c.t.Helper()
	body := `{"name":"` + name + `","deviceIdentifiers":[],` + rest + `}`
	require.NotContains(c.t, c.outcome(c.postJSON("/verified-authenticator/voting-configuration/register", body)), "rejected")
}

// poll creates a poll by hand.
func (c client) poll(configuration, more string) string {
	c.t.Helper()
	a := c.postJSON("/voting/create", `{"votingConfigurationId":"`+configuration+`","question":"Shall we?","title":"Tea"`+more+`}`)
	require.Equal(c.t, 200, a.status, a.body)
	return a.field(c.t, "pollId")
}

func (c client) pollStatus(id string) string {
	c.t.Helper()
	return c.get("/voting/check-pool-status/"+id).field(c.t, "status")
}

func TestStrategies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		configuration string
		quorum        string
		votes         string // y, n, or - for none
		want          string // after each vote, then at the end: o, p or f
	}{
		"unanimous":                        {`"strategy":"unanimous"`, "1", "yyy", "oopp"},
		"unanimous, one is against":        {`"strategy":"unanimous"`, "1", "yn-", "offf"},
		"unanimous, of those who voted":    {`"strategy":"unanimous"`, "1", "yy-", "ooop"},
		"consensus":                        {`"strategy":"consensus"`, "1", "ynyy", "ooopp"},
		"consensus, early":                 {`"strategy":"consensus"`, "1", "yyy-", "ooppp"},
		"consensus is more than half":      {`"strategy":"consensus"`, "1", "yn--", "oooof"},
		"consensus, lost early":            {`"strategy":"consensus"`, "1", "nn-", "offf"},
		"affirmative":                      {`"strategy":"affirmative"`, "1", "ny-", "oppp"},
		"affirmative, nobody":              {`"strategy":"affirmative"`, "1", "nnn", "ooff"},
		"affirmative, quorum of two":       {`"strategy":"affirmative"`, "2", "y--", "ooof"},
		"affirmative, quorum of two met":   {`"strategy":"affirmative"`, "2", "yn-", "oppp"},
		"minimum percentage":               {`"strategy":"minimum_percentage","percentageRequired":75`, "1", "yyy-", "ooppp"},
		"minimum percentage, missed":       {`"strategy":"minimum_percentage","percentageRequired":75`, "1", "yynn", "oooff"},
		"nobody voted":                     {`"strategy":"affirmative"`, "1", "---", "ooof"},
		"minimum percentage, still to win": {`"strategy":"minimum_percentage","percentageRequired":50`, "1", "ny--", "oooop"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := serveInMemory(t, privicoretest.WithoutVoter())
				c := login(t, s, "alice")
				devices := c.authenticators(len(test.votes))
				c.outcome(c.post("/verified-authenticator/set-quorum-size", "quorumSize", test.quorum))
				c.configured("x", `"timeLimit":60,`+test.configuration)
				id := c.poll("x", "")
				words := map[byte]string{'o': "open", 'p': "passed", 'f': "failed"}
				for i, vote := range test.votes {
					if vote != '-' {
						require.NoError(t, s.Vote(id, devices[i], vote == 'y'))
					}
					assert.Equal(t, words[test.want[i]], c.pollStatus(id), i)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				assert.Equal(t, words[test.want[len(test.want)-1]], c.pollStatus(id))
			})
		})
	}
}

// A poll that nobody can win runs for its time limit all the same, in every
// attempt.
func TestHopelessPollsRunForTheirTimeLimit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		authenticators int
		quorum, skip   string
	}{
		"nobody to ask":       {0, "1", ""},
		"all skipped":         {1, "1", "all"},
		"too few for quorum":  {2, "3", ""},
		"too few and no vote": {1, "3", ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := serveInMemory(t, privicoretest.WithoutVoter())
				c := login(t, s, "alice")
				devices := c.authenticators(test.authenticators)
				c.configured("x", `"timeLimit":60,"strategy":"affirmative"`)
				c.outcome(c.post("/verified-authenticator/set-quorum-size", "quorumSize", test.quorum))
				c.outcome(c.post("/verified-authenticator/set-maximum-voting-attempts", "numberOfAttempts", "2"))
				more := ""
				if test.skip != "" {
					more = `,"skipAuthenticatorDevices":["` + strings.Join(devices, `","`) + `"]`
				}
				id := c.poll("x", more)
				if test.skip == "" && test.authenticators > 1 {
					for _, device := range devices {
						require.NoError(t, s.Vote(id, device, true))
					}
				}
				// Two attempts of a minute each. A quorum that is not met is not a no.
				time.Sleep(2*time.Minute - time.Second)
				assert.Equal(t, "open", c.pollStatus(id))
				time.Sleep(time.Second)
				synctest.Wait()
				assert.Equal(t, "failed", c.pollStatus(id))
				assert.Equal(t, 2, s.Polls("alice")[0].Attempt)
			})
		})
	}
}

// The default voter casts every ballot; there is nothing to wait for then.
func TestVoterEndsAPollWithoutQuorum(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	c.authenticators(2)
	c.outcome(c.post("/verified-authenticator/set-quorum-size", "quorumSize", "3"))
	c.configured("x", `"timeLimit":3600,"strategy":"affirmative"`)
	id := c.poll("x", "")
	require.Eventually(t, func() bool { return c.pollStatus(id) == "failed" }, 5*time.Second, time.Millisecond)
}

func TestPollStatus(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithoutVoter(), privicoretest.WithProfile("bob", password))
	c := login(t, s, "alice")
	devices := c.authenticators(3)
	c.configured("x", `"timeLimit":60,"strategy":"unanimous"`)
	configuration := c.get("/verified-authenticator/voting-configuration/retrieve/x").field(t, "id")
	id := c.poll(configuration, `,"skipAuthenticatorDevices":["`+devices[2]+`"],"nonce":"n"`)
	require.NoError(t, s.Vote(id, devices[0], true))

	a := c.get("/voting/check-pool-status/" + id)
	require.Equal(t, 200, a.status)
	expires, err := time.Parse(time.RFC3339, a.field(t, "expiresAt"))
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(time.Minute), expires, 5*time.Second)
	assert.JSONEq(t, `{"pollId":"`+id+`","status":"open","title":"Tea","question":"Shall we?","strategy":"unanimous","quorum":1,
		"attempt":1,"attempts":1,"votes":{"yes":1,"no":0,"outstanding":1},"expiresAt":"`+a.field(t, "expiresAt")+`"}`, a.body)
	polls := s.Polls("alice")
	require.Len(t, polls, 1)
	polls[0].ExpiresAt = time.Time{}
	assert.Equal(t, privicoretest.Poll{ID: id, Username: "alice", Title: "Tea", Question: "Shall we?", Strategy: "unanimous", Quorum: 1,
		Attempt: 1, Attempts: 1, Devices: devices[:2], Yes: 1, Status: privicoretest.PollOpen}, polls[0])
	assert.Empty(t, s.Polls("bob"))

	assert.ErrorContains(t, s.Vote("x", devices[0], true), "no poll")
	assert.ErrorContains(t, s.Vote(id, devices[0], false), "has voted")
	assert.ErrorContains(t, s.Vote(id, devices[2], true), "no ballot")
	// A ballot outlives the authenticator.
	c.outcome(c.post("/verified-authenticator/remove", "deviceIdentifier", devices[1]))
	require.NoError(t, s.Vote(id, devices[1], true))
	assert.Equal(t, "passed", c.pollStatus(id))
	assert.ErrorContains(t, s.Vote(id, devices[1], true), "over")

	assert.Equal(t, 404, login(t, s, "bob").get("/voting/check-pool-status/"+id).status)
	assert.Equal(t, 404, c.get("/voting/check-pool-status/x").status)
}

func TestCreateVotingRefuses(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithProfile("bob", password))
	c := login(t, s, "alice")
	c.configured("x", `"timeLimit":60,"strategy":"unanimous"`)
	for field, body := range map[string]string{
		"votingConfigurationId":    `{"question":"q","title":"t"}`,
		"question":                 `{"votingConfigurationId":"x","title":"t"}`,
		"title":                    `{"votingConfigurationId":"x","question":"q","title":""}`,
		"skipAuthenticatorDevices": `{"votingConfigurationId":"x","question":"q","title":"t","skipAuthenticatorDevices":"a"}`,
	} {
		a := c.postJSON("/voting/create", body)
		assert.Equal(t, 422, a.status)
		assert.Contains(t, a.object(t)["errors"], field)
	}
	const good = `{"votingConfigurationId":"x","question":"q","title":"t"}`
	assert.Equal(t, 404, login(t, s, "bob").postJSON("/voting/create", good).status)
	assert.Equal(t, 404, c.postJSON("/voting/create", strings.Replace(good, `"x"`, `"y"`, 1)).status)
}

func TestCreateVotingObserved(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t, privicoretest.WithDialect(privicoretest.Observed)), "alice")
	c.configured("x", `"timeLimit":60,"strategy":"unanimous"`)
	a := c.postJSON("/voting/create", `{"votingConfigurationId":"x","question":"q","title":"t"}`)
	c.outcome(a)
	require.Eventually(t, func() bool { return c.pollStatus(a.id(t)) == "passed" }, 5*time.Second, time.Millisecond)
}

func TestPollIsRepeated(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithoutVoter())
	c := login(t, s, "alice")
	devices := c.authenticators(2)
	c.outcome(c.post("/verified-authenticator/set-maximum-voting-attempts", "numberOfAttempts", "2"))
	c.configured("x", `"timeLimit":60,"strategy":"unanimous"`)
	id := c.poll("x", "")
	require.NoError(t, s.Vote(id, devices[0], false))
	assert.Equal(t, []any{2, 0, 0}, []any{s.Polls("alice")[0].Attempt, s.Polls("alice")[0].No, s.Polls("alice")[0].Yes}, "fresh ballots")
	// An authenticator that is gone gets no new ballot.
	c.outcome(c.post("/verified-authenticator/remove", "deviceIdentifier", devices[1]))
	require.NoError(t, s.Vote(id, devices[0], true))
	assert.Equal(t, "open", c.pollStatus(id), "the ballot of this attempt is still out")
	require.NoError(t, s.Vote(id, devices[1], false))
	assert.Equal(t, "failed", c.pollStatus(id))

	id = c.poll("x", "")
	assert.Equal(t, devices[:1], s.Polls("alice")[1].Devices)
	require.NoError(t, s.Vote(id, devices[0], false))
	require.NoError(t, s.Vote(id, devices[0], true))
	assert.Equal(t, "passed", c.pollStatus(id))
}

func TestVoter(t *testing.T) {
	t.Parallel()
	var s *privicoretest.Server
	var asked atomic.Int32
	s = serve(t, privicoretest.WithVoter(func(p privicoretest.Poll) bool {
		asked.Add(1)
		// The server can be used here.
		return len(s.Polls("alice")) > 0 && p.Title == "Tea" && p.Attempt == 2
	}))
	c := login(t, s, "alice")
	c.configured("x", `"timeLimit":60,"strategy":"consensus"`)
	c.outcome(c.post("/verified-authenticator/set-maximum-voting-attempts", "numberOfAttempts", "3"))
	for _, authenticators := range []int{0, 2} {
		c.authenticators(authenticators)
		asked.Store(0)
		id := c.poll("x", "")
		require.Eventually(t, func() bool { return c.pollStatus(id) == "passed" }, 5*time.Second, time.Millisecond)
		assert.EqualValues(t, 2, asked.Load())
	}
	last := s.Polls("alice")[1]
	assert.Equal(t, []int{2, 2, 0}, []int{last.Attempt, last.Yes, last.No})
}

func TestPollsOfAnUnknownProfile(t *testing.T) {
	t.Parallel()
	failed := &recorder{TB: t}
	assert.Empty(t, privicoretest.NewServer(failed).Polls("carol"))
	assert.Equal(t, []string{`privicoretest: no profile "carol"`}, failed.messages)
}

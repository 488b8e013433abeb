package privicoretest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/privicoretest"
)

const lists = "/policy/list-active-policies /policy/list-inactive-policies /policy/list-registered-policies"

// event finds a template and an event of it by what the event is called.
func (c client) event(label string) (template, event string) {
	c.t.Helper()
	var templates map[string]struct{ Events map[string]map[string]string }
	require.NoError(c.t, json.Unmarshal([]byte(c.get("/policy/list-policy-templates").body), &templates))
	for id, template := range templates {
		for event, names := range template.Events {
			for _, name := range names {
				if name == label {
					return id, event
				}
			}
		}
	}
	require.Fail(c.t, "no event", label)
	return "", ""
}

// policy registers a policy and returns its id.
func (c client) policy(name, label, more string) string {
	c.t.Helper()
	template, event := c.event(label)
	body := `{"policyTemplateId":"` + template + `","applyingEventIds":["` + event + `"],"name":"` + name + `","configuration":{"reason":"x"}` + more + `}`
	require.NotContains(c.t, c.outcome(c.postJSON("/policy/register", body)), "rejected")
	var id string
	require.Eventually(c.t, func() bool {
		a := c.get("/policy/retrieve-policy/" + name)
		if a.status == 200 {
			id = a.field(c.t, "id")
		}
		return a.status == 200
	}, 5*time.Second, time.Millisecond)
	return id
}

func (c client) activate(id string) {
	c.t.Helper()
	require.NotContains(c.t, c.outcome(c.post("/policy/activate", "policyId", id)), "rejected")
}

func withoutLag() privicoretest.Option { return privicoretest.WithPolicyLag(0) }

func TestPolicyTemplates(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	var templates map[string]map[string]any
	require.NoError(t, json.Unmarshal([]byte(c.get("/policy/list-policy-templates").body), &templates))
	require.Len(t, templates, 2)
	for id, template := range templates {
		assert.Regexp(t, uuid, id)
		assert.NotEmpty(t, template["name"])
		assert.NotEmpty(t, template["description"])
		assert.IsType(t, []any{}, template["configuration"])
		assert.IsType(t, []any{}, template["votingAttributes"])
		for event, names := range template["events"].(map[string]any) {
			assert.Regexp(t, uuid, event)
			assert.Len(t, names, 1)
		}
	}
}

func TestPolicyLife(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithProfile("bob", password), withoutLag())
	c, bob := login(t, s, "alice"), login(t, s, "bob")
	counts := func(c client) string {
		var counts []string
		for path := range strings.FieldsSeq(lists) {
			counts = append(counts, strings.Repeat("x", strings.Count(c.get(path).body, `"id"`)))
		}
		return strings.Join(counts, "|")
	}
	assert.Equal(t, "[]", c.get("/policy/list-active-policies").body)
	id := c.policy("guard", "Remove device", "")
	assert.Equal(t, "|x|x", counts(c))
	assert.Equal(t, "||", counts(bob))
	assert.Equal(t, false, c.get("/policy/retrieve-policy/guard").object(t)["active"])
	assert.Equal(t, 404, bob.get("/policy/retrieve-policy/guard").status)
	run := func(verb string) string { return c.outcome(c.post("/policy/"+verb, "policyId", id)) }
	for range 2 {
		assert.Equal(t, `["policy.policy_activated"]`, run("activate"))
	}
	assert.Equal(t, "x||x", counts(c))
	assert.Equal(t, `["policy.policy_deactivated"]`, run("deactivate"))
	assert.Equal(t, "|x|x", counts(c))
	for _, verb := range []string{"activate", "deactivate", "delete"} {
		assert.Equal(t, 404, bob.post("/policy/"+verb, "policyId", id).status, verb)
		assert.Equal(t, 404, c.post("/policy/"+verb, "policyId", "x").status, verb)
		assert.Equal(t, 422, c.post("/policy/"+verb).status, verb)
	}
	s.Next("Policy.Activate", privicoretest.Fault{Latency: time.Second}) // the removal has to be sooner
	late := c.post("/policy/activate", "policyId", id)
	assert.Equal(t, `["policy.policy_deleted"]`, run("delete"))
	assert.Equal(t, `["rejected","policy.not_found"]`, c.outcome(late))
	assert.Equal(t, "||", counts(c))
	assert.Equal(t, 404, c.get("/policy/retrieve-policy/guard").status)
}

func TestPolicyLag(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, privicoretest.WithPolicyLag(200*time.Millisecond), privicoretest.WithLatency(-1))
		c := login(t, s, "alice")
		began := time.Now()
		c.policy("guard", "Remove device", "")
		// The lookup is tried every millisecond.
		assert.WithinRange(t, time.Now(), began.Add(200*time.Millisecond), began.Add(202*time.Millisecond))
	})
}

func TestRegisterPolicyRefuses(t *testing.T) {
	t.Parallel()
	documented := login(t, serve(t, withoutLag()), "alice")
	template, event := documented.event("Remove device")
	_, foreign := documented.event("Delete data")
	body := func(rest string) string {
		return `{"policyTemplateId":"` + template + `","applyingEventIds":["` + event + `"]` + rest + `}`
	}
	for field, bodies := range map[string][]string{
		"policyTemplateId":      {`{"applyingEventIds":["` + event + `"]}`, `{"policyTemplateId":"x","applyingEventIds":["` + event + `"]}`},
		"applyingEventIds":      {`{"policyTemplateId":"` + template + `","applyingEventIds":[]}`, `{"policyTemplateId":"` + template + `","applyingEventIds":["` + foreign + `"]}`},
		"configuration":         {body(`,"configuration":[1]`), body(`,"configuration":"x"`)},
		"configurationId":       {body(`,"configurationId":"none"`)},
		"votingConfigurationId": {body(`,"votingConfigurationId":"none"`)},
		"colour":                {body(`,"colour":"red"`)},
	} {
		for _, body := range bodies {
			a := documented.postJSON("/policy/register", body)
			assert.Equal(t, 422, a.status, body)
			assert.Contains(t, a.object(t)["errors"], field, body)
		}
	}
	assert.Equal(t, `["policy.policy_registered"]`, documented.outcome(documented.postJSON("/policy/register", body(`,"name":"a","configuration":{}`))))
	assert.Equal(t, `["rejected","policy.name_taken"]`, documented.outcome(documented.postJSON("/policy/register", body(`,"name":"a"`))))
	assert.Equal(t, 202, documented.postJSON("/policy/register", body("")).status)
	for _, rest := range []string{`,"configuration":[]`, `,"name":null,"configuration":null,"configurationId":null,"votingConfigurationId":null`} {
		assert.Equal(t, 202, documented.postJSON("/policy/register", body(rest)).status, rest)
	}
	assert.NotContains(t, documented.get("/policy/list-registered-policies").body, `"configuration":null`)
	assert.Equal(t, 422, documented.postJSON("/policy/register", body(`,"colour":null`)).status)

	observed := login(t, serve(t, privicoretest.WithDialect(privicoretest.Observed)), "alice")
	assert.Equal(t, `["configuration: This value should not be blank."]`, observed.postJSON("/policy/register", body(`,"configuration":{}`)).body)
	assert.Equal(t, 422, observed.postJSON("/policy/register", body("")).status)
	assert.Equal(t, 422, observed.postJSON("/policy/register", body(`,"configuration":[]`)).status)
	assert.Equal(t, 202, observed.postJSON("/policy/register", body(`,"configuration":{"reason":"x"}`)).status)
}

func TestPolicyGates(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithoutVoter(), privicoretest.WithProfile("bob", password), withoutLag())
	c := login(t, s, "alice")
	devices := c.authenticators(3)
	c.configured("all of us", `"timeLimit":60,"strategy":"unanimous"`)
	id := c.policy("guard", "Remove device", `,"votingConfigurationId":"all of us"`)
	victim := c.approved("phone")
	remove := func() answer { return c.post("/device/remove", "deviceIdentifier", victim) }
	poll := func(n int) privicoretest.Poll {
		t.Helper()
		require.Eventually(t, func() bool { return len(s.Polls("alice")) == n }, 5*time.Second, time.Millisecond)
		return s.Polls("alice")[n-1]
	}

	c.activate(id)
	removal := remove()
	p := poll(1)
	assert.Equal(t, []any{"Device.Remove", "Remove device", "unanimous"}, []any{p.Operation, p.Title, p.Strategy})
	assert.Equal(t, devices, p.Devices)
	assert.Equal(t, 202, c.get("/request-status/"+removal.id(t)).status, "it waits")
	assert.Contains(t, c.get("/device/retrieve-profile-devices").body, victim)
	require.NoError(t, s.Vote(p.ID, devices[0], true))
	require.NoError(t, s.Vote(p.ID, devices[1], false))
	assert.Equal(t, `["rejected","voting.denied","voting.rejected"]`, c.outcome(removal))
	assert.Contains(t, c.get("/device/retrieve-profile-devices").body, victim)

	// Other operations and other profiles are not concerned.
	c.outcome(c.post("/device/configure-meta", "deviceIdentifier", victim, "name", "x"))
	bob := login(t, s, "bob")
	bob.outcome(bob.post("/device/remove", "deviceIdentifier", bob.approved("phone")))
	assert.Len(t, s.Polls("alice"), 1)

	removal = remove()
	p = poll(2)
	for _, device := range devices {
		require.NoError(t, s.Vote(p.ID, device, true))
	}
	assert.Equal(t, `["device.device_removed"]`, c.outcome(removal))

	c.outcome(c.post("/policy/deactivate", "policyId", id))
	victim = c.approved("other phone")
	assert.Equal(t, `["device.device_removed"]`, c.outcome(remove()))
	assert.Len(t, s.Polls("alice"), 2)
}

func TestGateRunsOutOfTimeAndAttempts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, privicoretest.WithoutVoter(), withoutLag())
		c := login(t, s, "alice")
		c.authenticators(1)
		c.outcome(c.post("/verified-authenticator/set-voting-time-limit", "timeLimit", "2"))
		c.outcome(c.post("/verified-authenticator/set-maximum-voting-attempts", "numberOfAttempts", "2"))
		c.activate(c.policy("guard", "Remove device", ""))
		victim := c.approved("phone")
		began := time.Now()
		assert.Equal(t, `["rejected","voting.denied","voting.quorum_not_met"]`, c.outcome(c.post("/device/remove", "deviceIdentifier", victim)))
		// Two attempts of two seconds each, after the latency of the command.
		assert.WithinRange(t, time.Now(), began.Add(4*time.Second), began.Add(4*time.Second+5*time.Millisecond))
		assert.Equal(t, 2, s.Polls("alice")[0].Attempt)
	})
}

func TestGatesInARow(t *testing.T) {
	t.Parallel()
	s := serve(t, withStorage(), withoutLag(), privicoretest.WithVoter(func(p privicoretest.Poll) bool {
		return !strings.Contains(p.Question, "strict")
	}))
	c := login(t, s, "alice")
	token := c.stored("a", "txt", []byte("abc"))
	c.activate(c.policy("easy", "Delete data", ""))
	strict := c.policy("strict", "Delete data", "")
	c.activate(strict)
	c.activate(c.policy("other", "Retrieve data", ""))
	remove := func() string { return c.outcome(c.post("/data-token/delete-data", "token", token)) }
	assert.Equal(t, `["rejected","voting.denied","voting.rejected"]`, remove())
	assert.Len(t, s.Polls("alice"), 2)
	c.outcome(c.post("/policy/delete", "policyId", strict))
	c.outcome(c.post("/data-token/request-data", "token", token))
	assert.Len(t, s.Polls("alice"), 3)
	assert.Equal(t, `["data_token.data_deleted"]`, remove())
}

func TestRejectedCommandHasNoPoll(t *testing.T) {
	t.Parallel()
	s := serve(t, withoutLag())
	c := login(t, s, "alice")
	c.activate(c.policy("guard", "Remove device", ""))
	s.Next("Device.Remove", privicoretest.Fault{Reject: []string{"device.in_use"}})
	assert.Equal(t, `["rejected","device.in_use"]`, c.outcome(c.post("/device/remove", "deviceIdentifier", "x")))
	assert.Empty(t, s.Polls("alice"))
}

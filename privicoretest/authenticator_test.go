package privicoretest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/privicore/privicore-go/privicoretest"
)

func TestAuthenticators(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	pending, id := c.device("watch"), c.approved("phone")
	assert.Equal(t, `["rejected","verified_authenticator.device_not_approved"]`,
		c.outcome(c.post("/verified-authenticator/register", "deviceIdentifier", pending)))
	for range 2 {
		assert.Equal(t, `["verified_authenticator.authenticator_registered"]`,
			c.outcome(c.post("/verified-authenticator/register", "deviceIdentifier", id)))
	}
	list := c.get("/verified-authenticator/list-verified-authenticators").body
	assert.Equal(t, 1, strings.Count(list, `"deviceIdentifier"`))
	assert.Contains(t, list, id)

	removal := c.post("/verified-authenticator/remove", "deviceIdentifier", id)
	assert.Equal(t, 202, removal.status)
	assert.Empty(t, removal.body)
	assert.Equal(t, `["verified_authenticator.authenticator_removed"]`, c.outcome(removal))
	assert.Equal(t, "[]", c.get("/verified-authenticator/list-verified-authenticators").body)
	assert.Contains(t, c.get("/device/retrieve-profile-devices").body, id, "the device stays")
	assert.Equal(t, `["rejected","verified_authenticator.not_registered"]`,
		c.outcome(c.post("/verified-authenticator/remove", "deviceIdentifier", id)))
}

func TestVotingSettings(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithProfile("bob", password))
	c := login(t, s, "alice")
	const defaults = `{"quorumSize":1,"strategy":"consensus","strategy_params":"51","timeLimit":60,"numberOfAttempts":1}`
	assert.JSONEq(t, defaults, c.get("/verified-authenticator/retrieve-strategy").body)
	assert.Equal(t, `["verified_authenticator.quorum_size_set"]`, c.outcome(c.post("/verified-authenticator/set-quorum-size", "quorumSize", "3")))
	assert.Equal(t, `["verified_authenticator.quorum_strategy_set"]`,
		c.outcome(c.post("/verified-authenticator/set-quorum-strategy", "strategy", "minimum_percentage", "strategy_params", "75")))
	assert.Equal(t, `["verified_authenticator.voting_time_limit_set"]`, c.outcome(c.post("/verified-authenticator/set-voting-time-limit", "timeLimit", "60")))
	assert.Equal(t, `["verified_authenticator.maximum_voting_attempts_set"]`,
		c.outcome(c.post("/verified-authenticator/set-maximum-voting-attempts", "numberOfAttempts", "2")))
	assert.JSONEq(t, `{"quorumSize":3,"strategy":"minimum_percentage","strategy_params":"75","timeLimit":60,"numberOfAttempts":2}`,
		c.get("/verified-authenticator/retrieve-strategy").body)
	assert.JSONEq(t, defaults, login(t, s, "bob").get("/verified-authenticator/retrieve-strategy").body)
}

func TestVotingSettingsRefuse(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	for path, field := range map[string]string{
		"/verified-authenticator/set-quorum-size":             "quorumSize",
		"/verified-authenticator/set-voting-time-limit":       "timeLimit",
		"/verified-authenticator/set-maximum-voting-attempts": "numberOfAttempts",
	} {
		for _, value := range []string{"", "0", "-3", "two", "1.5", "99999999999"} {
			a := c.post(path, field, value)
			assert.Equal(t, 422, a.status, path, value)
			assert.Contains(t, a.object(t)["errors"], field)
		}
	}
	for _, form := range [][]string{
		{"strategy", "majority", "strategy_params", "51"},
		{"strategy", "consensus"},
		{"strategy", "consensus", "strategy_params", "101"},
		{"strategy", "consensus", "strategy_params", "-1"},
		{"strategy", "consensus", "strategy_params", "51%"},
		{"strategy_params", "51"},
	} {
		assert.Equal(t, 422, c.post("/verified-authenticator/set-quorum-strategy", form...).status, form)
	}
	for _, name := range []string{"unanimous", "consensus", "affirmative", "minimum_percentage"} {
		assert.Equal(t, 202, c.post("/verified-authenticator/set-quorum-strategy", "strategy", name, "strategy_params", "0").status, name)
	}
}

func TestVotingConfigurations(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithProfile("bob", password))
	c := login(t, s, "alice")
	register := func(body string) string {
		return c.outcome(c.postJSON("/verified-authenticator/voting-configuration/register", body))
	}
	update := func(body string) string {
		return c.outcome(c.postJSON("/verified-authenticator/voting-configuration/update", body))
	}
	const list = "/verified-authenticator/voting-configuration/list"
	assert.Equal(t, "[]", c.get(list).body)

	const everyone = `{"name":"two / thirds","timeLimit":60,"strategy":"minimum_percentage","percentageRequired":66,"deviceIdentifiers":[]}`
	assert.Equal(t, `["rejected","verified_authenticator.voting_configuration_not_found"]`, update(everyone))
	assert.Equal(t, `["verified_authenticator.voting_configuration_registered"]`, register(everyone))
	assert.Equal(t, `["rejected","verified_authenticator.voting_configuration_name_taken"]`, register(everyone))

	const path = "/verified-authenticator/voting-configuration/retrieve/two%20%2F%20thirds"
	got := c.get(path).object(t)
	id := got["id"]
	delete(got, "id")
	assert.Equal(t, map[string]any{"name": "two / thirds", "timeLimit": 60.0, "strategy": "minimum_percentage",
		"percentageRequired": 66.0, "deviceIdentifiers": []any{}}, got)

	assert.Equal(t, `["verified_authenticator.voting_configuration_updated"]`,
		update(`{"name":"two / thirds","timeLimit":90.0,"strategy":"consensus","percentageRequired":null,"deviceIdentifiers":[]}`))
	assert.Equal(t, map[string]any{"id": id, "name": "two / thirds", "timeLimit": 90.0, "strategy": "consensus", "deviceIdentifiers": []any{}}, c.get(path).object(t))

	device := c.approved("phone")
	chosen := `{"name":"two / thirds","timeLimit":30,"strategy":"unanimous","deviceIdentifiers":["` + device + `"]}`
	assert.Equal(t, `["rejected","verified_authenticator.not_registered"]`, update(chosen))
	c.outcome(c.post("/verified-authenticator/register", "deviceIdentifier", device))
	assert.Equal(t, `["verified_authenticator.voting_configuration_updated"]`, update(chosen))
	got = c.get(path).object(t)
	assert.Equal(t, map[string]any{"id": id, "name": "two / thirds", "timeLimit": 30.0, "strategy": "unanimous",
		"deviceIdentifiers": []any{device}}, got)
	assert.Equal(t, 1, strings.Count(c.get(list).body, `"name"`))

	assert.Equal(t, 404, c.get("/verified-authenticator/voting-configuration/retrieve/none").status)
	bob := login(t, s, "bob")
	assert.Equal(t, 404, bob.get(path).status)
	assert.Equal(t, "[]", bob.get(list).body)
}

func TestVotingConfigurationRefuses(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	for field, bodies := range map[string][]string{
		"name": {`{"timeLimit":60,"strategy":"unanimous","deviceIdentifiers":[]}`,
			`{"name":"","timeLimit":60,"strategy":"unanimous","deviceIdentifiers":[]}`,
			`{"name":7,"timeLimit":60,"strategy":"unanimous","deviceIdentifiers":[]}`},
		"timeLimit": {`{"name":"x","timeLimit":"60","strategy":"unanimous","deviceIdentifiers":[]}`,
			`{"name":"x","timeLimit":0,"strategy":"unanimous","deviceIdentifiers":[]}`,
			`{"name":"x","timeLimit":1.5,"strategy":"unanimous","deviceIdentifiers":[]}`},
		"strategy": {`{"name":"x","timeLimit":60,"strategy":"most","deviceIdentifiers":[]}`},
		"percentageRequired": {`{"name":"x","timeLimit":60,"strategy":"minimum_percentage","deviceIdentifiers":[]}`,
			`{"name":"x","timeLimit":60,"strategy":"minimum_percentage","percentageRequired":140,"deviceIdentifiers":[]}`,
			`{"name":"x","timeLimit":60,"strategy":"minimum_percentage","percentageRequired":"66","deviceIdentifiers":[]}`,
			`{"name":"x","timeLimit":60,"strategy":"minimum_percentage","percentageRequired":null,"deviceIdentifiers":[]}`},
		"deviceIdentifiers": {`{"name":"x","timeLimit":60,"strategy":"unanimous"}`,
			`{"name":"x","timeLimit":60,"strategy":"unanimous","deviceIdentifiers":null}`,
			`{"name":"x","timeLimit":60,"strategy":"unanimous","deviceIdentifiers":"a"}`,
			`{"name":"x","timeLimit":60,"strategy":"unanimous","deviceIdentifiers":[1]}`},
		"quorum": {`{"name":"x","timeLimit":60,"strategy":"unanimous","deviceIdentifiers":[],"quorum":1}`},
	} {
		for _, body := range bodies {
			for _, verb := range []string{"register", "update"} {
				a := c.postJSON("/verified-authenticator/voting-configuration/"+verb, body)
				assert.Equal(t, 422, a.status, body)
				assert.Contains(t, a.object(t)["errors"], field, body)
			}
		}
	}
}

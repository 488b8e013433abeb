package privicore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

var authenticatorCalls = []wireCall{
	{
		operation: "VerifiedAuthenticator.Register",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.Register(ctx, device1)
		},
		method: "POST", path: "/verified-authenticator/register", token: true, contentType: formType,
		body:   device1Form,
		answer: "verified_authenticator/register.accepted", parameter: "deviceIdentifier",
	},
	{
		operation: "VerifiedAuthenticator.List",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.List(ctx)
		},
		method: "GET", path: "/verified-authenticator/list-verified-authenticators", token: true,
		answer: "verified_authenticator/list.ok",
	},
	{
		operation: "VerifiedAuthenticator.Strategy",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.Strategy(ctx)
		},
		method: "GET", path: "/verified-authenticator/retrieve-strategy", token: true,
		answer: "verified_authenticator/strategy.ok",
	},
	{
		operation: "VerifiedAuthenticator.SetQuorumSize",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.SetQuorumSize(ctx, 3)
		},
		method: "POST", path: "/verified-authenticator/set-quorum-size", token: true, contentType: formType,
		body:   "quorumSize=3",
		answer: "verified_authenticator/set_quorum_size.accepted", parameter: "quorumSize",
	},
	quorumStrategyCall(privicore.Unanimous, 0, "strategy=unanimous&strategy_params=100"),
	quorumStrategyCall(privicore.Consensus, 0, "strategy=consensus&strategy_params=51"),
	quorumStrategyCall(privicore.Affirmative, 0, "strategy=affirmative&strategy_params=1"),
	quorumStrategyCall(privicore.MinimumPercentage, 75, "strategy=minimum_percentage&strategy_params=75"),
	quorumStrategyCall(privicore.MinimumPercentage, 0, "strategy=minimum_percentage&strategy_params=0"),
	quorumStrategyCall(privicore.MinimumPercentage, 100, "strategy=minimum_percentage&strategy_params=100"),
	{
		operation: "VerifiedAuthenticator.SetVotingTimeLimit",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.SetVotingTimeLimit(ctx, 5*time.Minute)
		},
		method: "POST", path: "/verified-authenticator/set-voting-time-limit", token: true, contentType: formType,
		body:   "timeLimit=300",
		answer: "verified_authenticator/set_voting_time_limit.accepted", parameter: "timeLimit",
	},
	{
		operation: "VerifiedAuthenticator.SetMaximumVotingAttempts",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.SetMaximumVotingAttempts(ctx, 1)
		},
		method: "POST", path: "/verified-authenticator/set-maximum-voting-attempts", token: true, contentType: formType,
		body:   "numberOfAttempts=1",
		answer: "verified_authenticator/set_maximum_voting_attempts.accepted", parameter: "numberOfAttempts",
	},
	{
		operation: "VerifiedAuthenticator.Remove",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.Remove(ctx, device1)
		},
		method: "POST", path: "/verified-authenticator/remove", token: true, contentType: formType,
		body:   device1Form,
		answer: "verified_authenticator/remove.accepted", parameter: "deviceIdentifier",
	},
	{
		operation: "VerifiedAuthenticator.RegisterVotingConfiguration",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.RegisterVotingConfiguration(ctx, privicore.VotingConfiguration{
				Name: "two of three", TimeLimit: 5 * time.Minute, Strategy: privicore.MinimumPercentage,
				PercentageRequired: 66, DeviceIdentifiers: []string{device1, device2},
			})
		},
		method: "POST", path: "/verified-authenticator/voting-configuration/register", token: true, contentType: jsonType,
		body: `{"name":"two of three","timeLimit":300,"strategy":"minimum_percentage","percentageRequired":66,
			"deviceIdentifiers":["01973590-11aa-7c3e-8f00-a1b2c3d4e5f6","01973590-22bb-7c3e-8f00-0f1e2d3c4b5a"]}`,
		answer: "verified_authenticator/register_voting_configuration.accepted", parameter: "strategy",
	},
	{
		operation: "VerifiedAuthenticator.RegisterVotingConfiguration",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.RegisterVotingConfiguration(ctx, privicore.VotingConfiguration{
				Name: "anyone", TimeLimit: time.Second, Strategy: privicore.MinimumPercentage,
			})
		},
		method: "POST", path: "/verified-authenticator/voting-configuration/register", token: true, contentType: jsonType,
		body:   `{"name":"anyone","timeLimit":1,"strategy":"minimum_percentage","percentageRequired":0,"deviceIdentifiers":[]}`,
		answer: "verified_authenticator/register_voting_configuration.accepted", parameter: "percentageRequired",
	},
	{
		operation: "VerifiedAuthenticator.UpdateVotingConfiguration",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.UpdateVotingConfiguration(ctx, privicore.VotingConfiguration{
				Name: "everyone", TimeLimit: time.Hour, Strategy: privicore.Unanimous,
			})
		},
		method: "POST", path: "/verified-authenticator/voting-configuration/update", token: true, contentType: jsonType,
		body:   `{"name":"everyone","timeLimit":3600,"strategy":"unanimous","deviceIdentifiers":[]}`,
		answer: "verified_authenticator/update_voting_configuration.accepted", parameter: "timeLimit",
	},
	{
		operation: "VerifiedAuthenticator.ListVotingConfigurations",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.ListVotingConfigurations(ctx)
		},
		method: "GET", path: "/verified-authenticator/voting-configuration/list", token: true,
		answer: "verified_authenticator/list_voting_configurations.ok",
	},
	{
		operation: "VerifiedAuthenticator.RetrieveVotingConfiguration",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.RetrieveVotingConfiguration(ctx, "2/3 of all?")
		},
		method: "GET", path: "/verified-authenticator/voting-configuration/retrieve/2%2F3%20of%20all%3F", token: true,
		answer: "verified_authenticator/retrieve_voting_configuration.ok", parameter: "name",
	},
}

func quorumStrategyCall(strategy privicore.Strategy, percentage int, body string) wireCall {
	return wireCall{
		operation: "VerifiedAuthenticator.SetQuorumStrategy",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.SetQuorumStrategy(ctx, strategy, percentage)
		},
		method: "POST", path: "/verified-authenticator/set-quorum-strategy", token: true, contentType: formType,
		body:   body,
		answer: "verified_authenticator/set_quorum_strategy.accepted", parameter: "strategy_params",
	}
}

func TestAuthenticatorList(t *testing.T) {
	for _, name := range []string{"verified_authenticator/list.ok", "verified_authenticator/list.items"} {
		c, _ := replay(t, name)
		authenticators, err := c.VerifiedAuthenticator.List(t.Context())
		require.NoError(t, err)
		require.Len(t, authenticators, 2)
		assert.Equal(t, device1, authenticators[0].DeviceIdentifier)
		assert.Equal(t, device2, authenticators[1].DeviceIdentifier)
		assert.JSONEq(t, `{"deviceIdentifier":"01973590-11aa-7c3e-8f00-a1b2c3d4e5f6","registeredAt":"2025-12-30T11:35:04+00:00"}`,
			string(authenticators[0].RawJSON()))
	}
}

func TestVotingStrategy(t *testing.T) {
	c, _ := replay(t, "verified_authenticator/strategy.ok")
	strategy, err := c.VerifiedAuthenticator.Strategy(t.Context())
	require.NoError(t, err)
	assert.Equal(t, privicore.MinimumPercentage, strategy.Strategy)
	assert.JSONEq(t, `{"strategy":"minimum_percentage","strategy_params":"75","quorumSize":3}`, string(strategy.RawJSON()))
}

// An answer with other fields than those that are guessed is no failure.
func TestVotingStrategyOfAnotherShape(t *testing.T) {
	_, s := replay(t)
	s.answers = [][]byte{[]byte("HTTP/1.1 200 OK\n\n" + `{"quorum":{"name":"consensus"}}`)}
	strategy, err := s.client(privicore.WithToken(testToken)).VerifiedAuthenticator.Strategy(t.Context())
	require.NoError(t, err)
	assert.Empty(t, strategy.Strategy)
	assert.JSONEq(t, `{"quorum":{"name":"consensus"}}`, string(strategy.RawJSON()))
}

func TestVotingConfigurations(t *testing.T) {
	const first = `{
		"name":"two-of-three","timeLimit":300,"strategy":"minimum_percentage","percentageRequired":66,
		"deviceIdentifiers":["01973590-11aa-7c3e-8f00-a1b2c3d4e5f6","01973590-22bb-7c3e-8f00-0f1e2d3c4b5a"],
		"createdAt":"2025-12-30T11:35:04Z"
	}`
	check := func(v privicore.VotingConfiguration) {
		assert.Equal(t, "two-of-three", v.Name)
		assert.Equal(t, 5*time.Minute, v.TimeLimit)
		assert.Equal(t, privicore.MinimumPercentage, v.Strategy)
		assert.Equal(t, 66, v.PercentageRequired)
		assert.Equal(t, []string{device1, device2}, v.DeviceIdentifiers)
		assert.JSONEq(t, first, string(v.RawJSON()))
	}
	for _, name := range []string{"verified_authenticator/list_voting_configurations.ok", "verified_authenticator/list_voting_configurations.items"} {
		c, _ := replay(t, name)
		list, err := c.VerifiedAuthenticator.ListVotingConfigurations(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 2)
		check(list[0])
		assert.Equal(t, "everyone", list[1].Name)
		assert.Equal(t, time.Hour, list[1].TimeLimit)
		assert.Equal(t, privicore.Unanimous, list[1].Strategy)
		assert.Zero(t, list[1].PercentageRequired)
		assert.Empty(t, list[1].DeviceIdentifiers)
	}
	c, _ := replay(t, "verified_authenticator/retrieve_voting_configuration.ok")
	v, err := c.VerifiedAuthenticator.RetrieveVotingConfiguration(t.Context(), "two-of-three")
	require.NoError(t, err)
	check(*v)
}

// What was retrieved can be changed and sent back.
func TestVotingConfigurationRoundTrip(t *testing.T) {
	c, s := replay(t, "verified_authenticator/retrieve_voting_configuration.ok", "verified_authenticator/update_voting_configuration.accepted")
	v, err := c.VerifiedAuthenticator.RetrieveVotingConfiguration(t.Context(), "two-of-three")
	require.NoError(t, err)
	v.TimeLimit *= 2
	_, err = c.VerifiedAuthenticator.UpdateVotingConfiguration(t.Context(), *v)
	require.NoError(t, err)
	assert.JSONEq(t, `{"name":"two-of-three","timeLimit":600,"strategy":"minimum_percentage","percentageRequired":66,
		"deviceIdentifiers":["01973590-11aa-7c3e-8f00-a1b2c3d4e5f6","01973590-22bb-7c3e-8f00-0f1e2d3c4b5a"]}`, s.sent[1].body)
}

// The operation takes two parameters; an error that names neither says which
// they are.
func TestSetQuorumStrategyErrorNamesParameters(t *testing.T) {
	c, _ := replay(t, "errors/422.key")
	_, err := c.VerifiedAuthenticator.SetQuorumStrategy(t.Context(), privicore.Consensus, 0)
	require.ErrorIs(t, err, privicore.ErrValidation)
	assert.ErrorContains(t, err, "profile.not_an_owner (sent: strategy, strategy_params)")
	apiErr, ok := errors.AsType[*privicore.APIError](err)
	require.True(t, ok)
	assert.Equal(t, []string{"strategy", "strategy_params"}, apiErr.Parameters)
	assert.Equal(t, []string{"profile.not_an_owner"}, apiErr.Messages)
	assert.Empty(t, apiErr.Fields)
}

func TestAuthenticatorRefusals(t *testing.T) {
	type doer = func(ctx context.Context, c *privicore.Client) (any, error)
	assertIdentifierChecked(t, "Register authenticator", "deviceIdentifier",
		func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.VerifiedAuthenticator.Register(ctx, id)
		})
	assertIdentifierChecked(t, "Remove authenticator", "deviceIdentifier",
		func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.VerifiedAuthenticator.Remove(ctx, id)
		})
	assertIdentifierChecked(t, "Retrieve voting configuration", "name",
		func(ctx context.Context, c *privicore.Client, name string) (any, error) {
			return c.VerifiedAuthenticator.RetrieveVotingConfiguration(ctx, name)
		})

	quorum := func(n int) doer {
		return func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.SetQuorumSize(ctx, n)
		}
	}
	strategy := func(s privicore.Strategy, percentage int) doer {
		return func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.SetQuorumStrategy(ctx, s, percentage)
		}
	}
	limit := func(d time.Duration) doer {
		return func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.SetVotingTimeLimit(ctx, d)
		}
	}
	attempts := func(n int) doer {
		return func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.VerifiedAuthenticator.SetMaximumVotingAttempts(ctx, n)
		}
	}
	assertRefused(t, []refused{
		{why: "none", operation: "Set quorum size", field: "quorumSize", reason: "is 0", do: quorum(0)},
		{why: "negative", operation: "Set quorum size", field: "quorumSize", reason: "is -2", do: quorum(-2)},
		{why: "empty", operation: "Set quorum strategy", field: "strategy", reason: `is ""`, do: strategy("", 0)},
		{why: "unknown", operation: "Set quorum strategy", field: "strategy", reason: `is "dictatorship"`, do: strategy("dictatorship", 0)},
		{why: "other case", operation: "Set quorum strategy", field: "strategy", reason: `is "Consensus"`, do: strategy("Consensus", 0)},
		{why: "140 percent", operation: "Set quorum strategy", field: "strategy_params", reason: "is 140", do: strategy(privicore.MinimumPercentage, 140)},
		{why: "101 percent", operation: "Set quorum strategy", field: "strategy_params", reason: "is 101", do: strategy(privicore.MinimumPercentage, 101)},
		{why: "negative percentage", operation: "Set quorum strategy", field: "strategy_params", reason: "is -1", do: strategy(privicore.MinimumPercentage, -1)},
		{why: "percentage beside unanimous", operation: "Set quorum strategy", field: "strategy_params", reason: "is 75", do: strategy(privicore.Unanimous, 75)},
		{why: "no limit", operation: "Set voting time limit", field: "timeLimit", reason: "must be positive", do: limit(0)},
		{why: "negative limit", operation: "Set voting time limit", field: "timeLimit", reason: "must be positive", do: limit(-time.Minute)},
		{why: "below a second", operation: "Set voting time limit", field: "timeLimit", reason: "whole seconds", do: limit(time.Millisecond)},
		{why: "fraction", operation: "Set voting time limit", field: "timeLimit", reason: "whole seconds", do: limit(1500 * time.Millisecond)},
		{why: "no attempt", operation: "Set maximum voting attempts", field: "numberOfAttempts", reason: "is 0", do: attempts(0)},
		{why: "negative attempts", operation: "Set maximum voting attempts", field: "numberOfAttempts", reason: "is -1", do: attempts(-1)},
	})
}

func TestVotingConfigurationRefusals(t *testing.T) {
	valid := privicore.VotingConfiguration{Name: "ops", TimeLimit: time.Minute, Strategy: privicore.MinimumPercentage, PercentageRequired: 75}
	var cases []refused
	for _, tc := range []struct {
		field, reason string
		spoil         func(v *privicore.VotingConfiguration)
	}{
		{"name", "is empty", func(v *privicore.VotingConfiguration) { v.Name = "" }},
		{"name", "dot segment", func(v *privicore.VotingConfiguration) { v.Name = "../ops" }},
		{"timeLimit", "must be positive", func(v *privicore.VotingConfiguration) { v.TimeLimit = 0 }},
		{"timeLimit", "is -1m0s", func(v *privicore.VotingConfiguration) { v.TimeLimit = -time.Minute }},
		{"timeLimit", "whole seconds", func(v *privicore.VotingConfiguration) { v.TimeLimit = 10 * time.Millisecond }},
		{"strategy", `is ""`, func(v *privicore.VotingConfiguration) { v.Strategy = "" }},
		{"strategy", `is "majority"`, func(v *privicore.VotingConfiguration) { v.Strategy = "majority" }},
		{"percentageRequired", "is 140", func(v *privicore.VotingConfiguration) { v.PercentageRequired = 140 }},
		{"percentageRequired", "is -5", func(v *privicore.VotingConfiguration) { v.PercentageRequired = -5 }},
		{"percentageRequired", "is 75", func(v *privicore.VotingConfiguration) { v.Strategy = privicore.Affirmative }},
		{"deviceIdentifiers[1]", "is empty", func(v *privicore.VotingConfiguration) { v.DeviceIdentifiers = []string{device1, ""} }},
		{"deviceIdentifiers[0]", "does not print", func(v *privicore.VotingConfiguration) { v.DeviceIdentifiers = []string{"a\x00"} }},
	} {
		v := valid
		tc.spoil(&v)
		cases = append(cases,
			refused{
				why: tc.field + " " + tc.reason, operation: "Register voting configuration", field: tc.field, reason: tc.reason,
				do: func(ctx context.Context, c *privicore.Client) (any, error) {
					return c.VerifiedAuthenticator.RegisterVotingConfiguration(ctx, v)
				},
			},
			refused{
				why: tc.field + " " + tc.reason, operation: "Update voting configuration", field: tc.field, reason: tc.reason,
				do: func(ctx context.Context, c *privicore.Client) (any, error) {
					return c.VerifiedAuthenticator.UpdateVotingConfiguration(ctx, v)
				},
			})
	}
	assertRefused(t, cases)
}

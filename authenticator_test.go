package privicore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
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
	t.Parallel()
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

// Servers list identifiers in place of authenticators.
func TestAuthenticatorListOfTexts(t *testing.T) {
	t.Parallel()
	_, s := replay(t)
	s.answers = [][]byte{[]byte("HTTP/1.1 200 OK\n\n" + `{"items":["d-1",{"deviceIdentifier":2},{"deviceIdentifier":null},"d-4"]}`)}
	authenticators, err := s.client(privicore.WithToken(testToken)).VerifiedAuthenticator.List(t.Context())
	require.NoError(t, err)
	var ids []string
	for _, a := range authenticators {
		ids = append(ids, a.DeviceIdentifier)
	}
	assert.Equal(t, []string{"d-1", "2", "", "d-4"}, ids)
	assert.Equal(t, `"d-1"`, string(authenticators[0].RawJSON()))
}

func TestVotingStrategy(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "verified_authenticator/strategy.ok")
	strategy, err := c.VerifiedAuthenticator.Strategy(t.Context())
	require.NoError(t, err)
	assert.Equal(t, privicore.MinimumPercentage, strategy.Strategy)
	assert.Equal(t, []int{75, 3}, []int{strategy.Percentage, strategy.QuorumSize})
	assert.Zero(t, strategy.TimeLimit, "what is not sent is zero")
	assert.Zero(t, strategy.MaximumAttempts)
	assert.JSONEq(t, `{"strategy":"minimum_percentage","strategy_params":"75","quorumSize":3}`, string(strategy.RawJSON()))
}

// settings are the fields of a VotingStrategy.
type settings struct {
	strategy   privicore.Strategy
	percentage int
	quorum     int
	limit      time.Duration
	attempts   int
}

func settingsOf(v *privicore.VotingStrategy) settings {
	return settings{v.Strategy, v.Percentage, v.QuorumSize, v.TimeLimit, v.MaximumAttempts}
}

// An answer with other fields or other types than those that are inferred is no
// failure.
func TestVotingStrategyOfAnotherShape(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]settings{
		`{"quorum":{"name":"consensus"}}`: {},
		`"consensus"`:                     {strategy: privicore.Consensus},
		`{"strategy":"minimum_percentage","strategy_params":75,"quorumSize":"3","timeLimit":"120","numberOfAttempts":"2"}`:       {privicore.MinimumPercentage, 75, 3, 2 * time.Minute, 2},
		`{"strategy":"minimum_percentage","strategy_params":"75","quorumSize":3.0,"timeLimit":1.2e2,"numberOfAttempts":2}`:       {privicore.MinimumPercentage, 75, 3, 2 * time.Minute, 2},
		`{"strategy":"unanimous","strategy_params":{"percent":100},"quorumSize":null,"timeLimit":"soon","numberOfAttempts":[2]}`: {strategy: privicore.Unanimous},
		`{"strategy":["unanimous"],"quorumSize":3}`:      {quorum: 3},
		`{"strategy":"a new one","strategy_params":"x"}`: {strategy: "a new one"},
		`[]`: {},
	} {
		_, s := replay(t)
		s.answers = [][]byte{[]byte("HTTP/1.1 200 OK\n\n" + body)}
		strategy, err := s.client(privicore.WithToken(testToken)).VerifiedAuthenticator.Strategy(t.Context())
		require.NoError(t, err, body)
		assert.Equal(t, want, settingsOf(strategy), body)
		assert.JSONEq(t, body, string(strategy.RawJSON()))
	}
	for _, body := range []string{`null`, `17`, `[1]`, `{"error":"no"}`, `<html>`, ``} {
		_, s := replay(t)
		s.answers = [][]byte{[]byte("HTTP/1.1 200 OK\n\n" + body)}
		_, err := s.client(privicore.WithToken(testToken)).VerifiedAuthenticator.Strategy(t.Context())
		assert.ErrorIs(t, err, privicore.ErrUnexpectedAnswer, body)
	}
}

// What is set is read back, and nothing else changes by it.
func TestVotingStrategyReadBack(t *testing.T) {
	t.Parallel()
	inBothDialects(t, func(t *testing.T, c *privicore.Client, _ *privicoretest.Server) {
		voters := c.VerifiedAuthenticator
		strategy, err := voters.Strategy(t.Context())
		require.NoError(t, err)
		want := settingsOf(strategy)
		check := func(cmd *privicore.Command, err error) {
			t.Helper()
			done(t, cmd, err)
			strategy, err := voters.Strategy(t.Context())
			require.NoError(t, err)
			assert.Equal(t, want, settingsOf(strategy))
			assert.NotEmpty(t, strategy.RawJSON())
		}
		want.quorum = 4
		check(voters.SetQuorumSize(t.Context(), 4))
		for _, set := range []struct {
			strategy          privicore.Strategy
			percentage, reads int
		}{
			{privicore.Unanimous, 0, 100}, {privicore.Consensus, 0, 51}, {privicore.Affirmative, 0, 1},
			{privicore.MinimumPercentage, 66, 66}, {privicore.MinimumPercentage, 0, 0}, {privicore.MinimumPercentage, 100, 100},
		} {
			want.strategy, want.percentage = set.strategy, set.reads
			check(voters.SetQuorumStrategy(t.Context(), set.strategy, set.percentage))
		}
		want.limit = 90 * time.Second
		check(voters.SetVotingTimeLimit(t.Context(), 90*time.Second))
		want.attempts = 7
		check(voters.SetMaximumVotingAttempts(t.Context(), 7))
	})
}

func TestVotingConfigurations(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	c, s := replay(t, "verified_authenticator/retrieve_voting_configuration.ok", "verified_authenticator/update_voting_configuration.accepted")
	v, err := c.VerifiedAuthenticator.RetrieveVotingConfiguration(t.Context(), "two-of-three")
	require.NoError(t, err)
	v.TimeLimit *= 2
	_, err = c.VerifiedAuthenticator.UpdateVotingConfiguration(t.Context(), *v)
	require.NoError(t, err)
	assert.JSONEq(t, `{"name":"two-of-three","timeLimit":600,"strategy":"minimum_percentage","percentageRequired":66,
		"deviceIdentifiers":["01973590-11aa-7c3e-8f00-a1b2c3d4e5f6","01973590-22bb-7c3e-8f00-0f1e2d3c4b5a"]}`, s.sent[1].body)
}

// What was registered is read back as it was given, one by one and in the list.
func TestVotingConfigurationReadBack(t *testing.T) {
	t.Parallel()
	inBothDialects(t, func(t *testing.T, c *privicore.Client, _ *privicoretest.Server) {
		voters := c.VerifiedAuthenticator
		devices := onboarded(t, c, 2)
		configurations := []privicore.VotingConfiguration{
			{Name: "two of three / Büro", TimeLimit: 5 * time.Minute, Strategy: privicore.MinimumPercentage, PercentageRequired: 66, DeviceIdentifiers: devices},
			{Name: "anyone", TimeLimit: time.Second, Strategy: privicore.MinimumPercentage},
			{Name: "all", TimeLimit: time.Hour, Strategy: privicore.Unanimous},
		}
		same := func(want, got privicore.VotingConfiguration) {
			t.Helper()
			assert.Equal(t, []any{want.Name, want.TimeLimit, want.Strategy, want.PercentageRequired},
				[]any{got.Name, got.TimeLimit, got.Strategy, got.PercentageRequired})
			assert.ElementsMatch(t, want.DeviceIdentifiers, got.DeviceIdentifiers)
		}
		for i, want := range configurations {
			cmd, err := voters.RegisterVotingConfiguration(t.Context(), want)
			done(t, cmd, err)
			got, err := voters.RetrieveVotingConfiguration(t.Context(), want.Name)
			require.NoError(t, err)
			same(want, *got)

			got.TimeLimit *= 2
			cmd, err = voters.UpdateVotingConfiguration(t.Context(), *got)
			done(t, cmd, err)
			configurations[i].TimeLimit *= 2
		}
		list, err := voters.ListVotingConfigurations(t.Context())
		require.NoError(t, err)
		require.Len(t, list, len(configurations))
		for i, want := range configurations {
			same(want, list[i])
		}
		_, err = voters.RetrieveVotingConfiguration(t.Context(), "nobody's")
		assert.ErrorIs(t, err, privicore.ErrNotFound)
		cmd, err := voters.RegisterVotingConfiguration(t.Context(), configurations[0])
		require.NoError(t, err)
		_, err = cmd.Wait(t.Context())
		assert.ErrorIs(t, err, privicore.MessageKey("verified_authenticator.voting_configuration_name_taken"))
	})
}

// Numbers come as strings, and lists of one as a text. What is odd is zero.
func TestVotingConfigurationOfAnotherShape(t *testing.T) {
	t.Parallel()
	_, s := replay(t)
	s.answers = [][]byte{[]byte("HTTP/1.1 200 OK\n\n" + `[
		{"name":"a","timeLimit":"300","strategy":"minimum_percentage","percentageRequired":"66","deviceIdentifiers":"d-1"},
		{"name":"b","timeLimit":null,"strategy":null,"percentageRequired":null,"deviceIdentifiers":null},
		{"name":"c","timeLimit":{},"strategy":"unanimous","percentageRequired":"many","deviceIdentifiers":[1,"d-2"]},
		"d"]`)}
	list, err := s.client(privicore.WithToken(testToken)).VerifiedAuthenticator.ListVotingConfigurations(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 4)
	assert.Equal(t, 5*time.Minute, list[0].TimeLimit)
	assert.Equal(t, 66, list[0].PercentageRequired)
	assert.Equal(t, []string{"d-1"}, list[0].DeviceIdentifiers)
	assert.Equal(t, "b", list[1].Name)
	assert.Zero(t, list[1].TimeLimit)
	assert.Empty(t, list[1].DeviceIdentifiers)
	assert.Equal(t, privicore.Unanimous, list[2].Strategy)
	assert.Zero(t, list[2].PercentageRequired)
	assert.Equal(t, []string{"1", "d-2"}, list[2].DeviceIdentifiers)
	assert.Empty(t, list[3].Name)
	assert.Equal(t, `"d"`, string(list[3].RawJSON()))
}

// The operation takes two parameters. An error that names neither says which
// they are.
func TestSetQuorumStrategyErrorNamesParameters(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	type doer = func(ctx context.Context, c *privicore.Client) (any, error)
	assertIdentifierChecked(t, "VerifiedAuthenticator.Register", "deviceIdentifier",
		func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.VerifiedAuthenticator.Register(ctx, id)
		})
	assertIdentifierChecked(t, "VerifiedAuthenticator.Remove", "deviceIdentifier",
		func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.VerifiedAuthenticator.Remove(ctx, id)
		})
	assertIdentifierChecked(t, "VerifiedAuthenticator.RetrieveVotingConfiguration", "name",
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
		{why: "none", operation: "VerifiedAuthenticator.SetQuorumSize", field: "quorumSize", reason: "is 0", do: quorum(0)},
		{why: "negative", operation: "VerifiedAuthenticator.SetQuorumSize", field: "quorumSize", reason: "is -2", do: quorum(-2)},
		{why: "empty", operation: "VerifiedAuthenticator.SetQuorumStrategy", field: "strategy", reason: `is ""`, do: strategy("", 0)},
		{why: "unknown", operation: "VerifiedAuthenticator.SetQuorumStrategy", field: "strategy", reason: `is "dictatorship"`, do: strategy("dictatorship", 0)},
		{why: "other case", operation: "VerifiedAuthenticator.SetQuorumStrategy", field: "strategy", reason: `is "Consensus"`, do: strategy("Consensus", 0)},
		{why: "140 percent", operation: "VerifiedAuthenticator.SetQuorumStrategy", field: "strategy_params", reason: "is 140", do: strategy(privicore.MinimumPercentage, 140)},
		{why: "101 percent", operation: "VerifiedAuthenticator.SetQuorumStrategy", field: "strategy_params", reason: "is 101", do: strategy(privicore.MinimumPercentage, 101)},
		{why: "negative percentage", operation: "VerifiedAuthenticator.SetQuorumStrategy", field: "strategy_params", reason: "is -1", do: strategy(privicore.MinimumPercentage, -1)},
		{why: "percentage beside unanimous", operation: "VerifiedAuthenticator.SetQuorumStrategy", field: "strategy_params", reason: "is 75", do: strategy(privicore.Unanimous, 75)},
		{why: "no limit", operation: "VerifiedAuthenticator.SetVotingTimeLimit", field: "timeLimit", reason: "must be positive", do: limit(0)},
		{why: "negative limit", operation: "VerifiedAuthenticator.SetVotingTimeLimit", field: "timeLimit", reason: "must be positive", do: limit(-time.Minute)},
		{why: "below a second", operation: "VerifiedAuthenticator.SetVotingTimeLimit", field: "timeLimit", reason: "whole seconds", do: limit(time.Millisecond)},
		{why: "fraction", operation: "VerifiedAuthenticator.SetVotingTimeLimit", field: "timeLimit", reason: "whole seconds", do: limit(1500 * time.Millisecond)},
		{why: "no attempt", operation: "VerifiedAuthenticator.SetMaximumVotingAttempts", field: "numberOfAttempts", reason: "is 0", do: attempts(0)},
		{why: "negative attempts", operation: "VerifiedAuthenticator.SetMaximumVotingAttempts", field: "numberOfAttempts", reason: "is -1", do: attempts(-1)},
	})
}

func TestVotingConfigurationRefusals(t *testing.T) {
	t.Parallel()
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
		{"deviceIdentifiers[0]", "control character", func(v *privicore.VotingConfiguration) { v.DeviceIdentifiers = []string{"a\x00"} }},
	} {
		v := valid
		tc.spoil(&v)
		cases = append(cases,
			refused{
				why: tc.field + " " + tc.reason, operation: "VerifiedAuthenticator.RegisterVotingConfiguration", field: tc.field, reason: tc.reason,
				do: func(ctx context.Context, c *privicore.Client) (any, error) {
					return c.VerifiedAuthenticator.RegisterVotingConfiguration(ctx, v)
				},
			},
			refused{
				why: tc.field + " " + tc.reason, operation: "VerifiedAuthenticator.UpdateVotingConfiguration", field: tc.field, reason: tc.reason,
				do: func(ctx context.Context, c *privicore.Client) (any, error) {
					return c.VerifiedAuthenticator.UpdateVotingConfiguration(ctx, v)
				},
			})
	}
	assertRefused(t, cases)
}

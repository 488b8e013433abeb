package privicore_test

import (
	"context"
	"encoding/json"
	"errors"
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

const (
	template1 = "0195d2c4-0000-7000-8000-000000000001"
	retrieval = "0195d2c4-0000-7000-8000-000000000011"
	deletion  = "0195d2c4-0000-7000-8000-000000000013"
	policy1   = "019735b0-1111-7c3e-8f00-a1b2c3d4e5f6"
)

var fourEyes = privicore.RegisterPolicyRequest{
	TemplateID: template1, EventIDs: []string{retrieval, deletion}, Name: "four eyes",
	Configuration: map[string]any{"reason": "audit"}, VotingConfiguration: "owners",
}

var policyCalls = []wireCall{
	{
		operation: "Policy.ListTemplates",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Policy.ListTemplates(ctx)
		},
		method: "GET", path: "/policy/list-policy-templates", token: true,
		answer: "policy/list_templates.ok",
	},
	{
		operation: "Policy.Register",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Policy.Register(ctx, fourEyes)
		},
		method: "POST", path: "/policy/register", token: true, contentType: jsonType,
		body: `{"policyTemplateId":"0195d2c4-0000-7000-8000-000000000001","name":"four eyes","configuration":{"reason":"audit"},
			"applyingEventIds":["0195d2c4-0000-7000-8000-000000000011","0195d2c4-0000-7000-8000-000000000013"],
			"configurationId":"owners","votingConfigurationId":"owners"}`,
		answer: "policy/register.accepted", parameter: "applyingEventIds",
	},
	{
		operation: "Policy.Register",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Policy.Register(ctx, privicore.RegisterPolicyRequest{TemplateID: template1, EventIDs: []string{retrieval}})
		},
		method: "POST", path: "/policy/register", token: true, contentType: jsonType,
		body: `{"policyTemplateId":"0195d2c4-0000-7000-8000-000000000001","configuration":{},
			"applyingEventIds":["0195d2c4-0000-7000-8000-000000000011"]}`,
		answer: "policy/register.accepted", parameter: "policyTemplateId",
	},
	{
		operation: "Policy.Activate",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Policy.Activate(ctx, policy1)
		},
		method: "POST", path: "/policy/activate", token: true, contentType: formType,
		body:   "policyId=019735b0-1111-7c3e-8f00-a1b2c3d4e5f6",
		answer: "policy/activate.accepted", parameter: "policyId",
	},
	{
		operation: "Policy.Deactivate",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Policy.Deactivate(ctx, policy1)
		},
		method: "POST", path: "/policy/deactivate", token: true, contentType: formType,
		body:   "policyId=019735b0-1111-7c3e-8f00-a1b2c3d4e5f6",
		answer: "policy/deactivate.accepted", parameter: "policyId",
	},
	{
		operation: "Policy.Retrieve",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Policy.Retrieve(ctx, "four eyes / data")
		},
		method: "GET", path: "/policy/retrieve-policy/four%20eyes%20%2F%20data", token: true,
		answer: "policy/retrieve.ok", parameter: "name",
	},
	{
		operation: "Policy.Delete",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Policy.Delete(ctx, policy1)
		},
		method: "POST", path: "/policy/delete", token: true, contentType: formType,
		body:   "policyId=019735b0-1111-7c3e-8f00-a1b2c3d4e5f6",
		answer: "policy/delete.accepted", parameter: "policyId",
	},
	{
		operation: "Policy.ListActive",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Policy.ListActive(ctx)
		},
		method: "GET", path: "/policy/list-active-policies", token: true,
		answer: "policy/list_active.ok",
	},
	{
		operation: "Policy.ListInactive",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Policy.ListInactive(ctx)
		},
		method: "GET", path: "/policy/list-inactive-policies", token: true,
		answer: "policy/list_inactive.ok",
	},
	{
		operation: "Policy.ListRegistered",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Policy.ListRegistered(ctx)
		},
		method: "GET", path: "/policy/list-registered-policies", token: true,
		answer: "policy/list_registered.ok",
	},
}

func TestPolicyRefuses(t *testing.T) {
	t.Parallel()
	registering := func(change func(*privicore.RegisterPolicyRequest)) func(context.Context, *privicore.Client) (any, error) {
		return func(ctx context.Context, c *privicore.Client) (any, error) {
			r := fourEyes
			change(&r)
			return c.Policy.Register(ctx, r)
		}
	}
	gating := func(g privicore.GateRequest) func(context.Context, *privicore.Client) (any, error) {
		return func(ctx context.Context, c *privicore.Client) (any, error) { return c.Policy.Gate(ctx, g) }
	}
	const register = "Policy.Register"
	one := []string{"Delete data"}
	assertRefused(t, []refused{
		{"no template", registering(func(r *privicore.RegisterPolicyRequest) { r.TemplateID = "" }), register, "policyTemplateId", "is empty"},
		{"no events", registering(func(r *privicore.RegisterPolicyRequest) { r.EventIDs = nil }), register, "applyingEventIds", "is empty"},
		{"empty event", registering(func(r *privicore.RegisterPolicyRequest) { r.EventIDs = []string{retrieval, ""} }), register, "applyingEventIds[1]", "is empty"},
		{"malformed name", registering(func(r *privicore.RegisterPolicyRequest) { r.Name = "../x" }), register, "name", "dot segment"},
		{"malformed voting", registering(func(r *privicore.RegisterPolicyRequest) { r.VotingConfiguration = "\x00" }), register, "votingConfigurationId", "control character"},
		{"gate without name", gating(privicore.GateRequest{Template: "Data access", Events: one}), register, "name", "is empty"},
		{"gate without template", gating(privicore.GateRequest{Name: "x", Events: one}), register, "policyTemplateId", "is empty"},
		{"gate without events", gating(privicore.GateRequest{Name: "x", Template: "Data access"}), register, "applyingEventIds", "is empty"},
		{"gate with an empty event", gating(privicore.GateRequest{Name: "x", Template: "Data access", Events: []string{"Delete data", " "}}), register, "applyingEventIds[1]", "is empty"},
	})
	for title, do := range map[string]func(context.Context, *privicore.Client, string) (any, error){
		"Policy.Activate": func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Policy.Activate(ctx, id)
		},
		"Policy.Deactivate": func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Policy.Deactivate(ctx, id)
		},
		"Policy.Delete": func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Policy.Delete(ctx, id)
		},
	} {
		assertIdentifierChecked(t, title, "policyId", do)
	}
	assertIdentifierChecked(t, "Policy.Retrieve", "name", func(ctx context.Context, c *privicore.Client, name string) (any, error) {
		return c.Policy.Retrieve(ctx, name)
	})
}

func TestPolicyTemplates(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "policy/list_templates.ok", "policy/list_templates.empty")
	templates, err := c.Policy.ListTemplates(t.Context())
	require.NoError(t, err)
	require.Len(t, templates, 2)
	assert.Equal(t, template1, templates[0].ID)
	assert.Equal(t, "Data access", templates[0].Name)
	assert.Equal(t, "Data is used only after a vote.", templates[0].Description)
	assert.Equal(t, []privicore.PolicyEvent{
		{ID: retrieval, Name: "data_token.read", Title: "Read data"},
		{ID: retrieval, Name: "data_token.retrieve", Title: "Retrieve data"},
		{ID: "0195d2c4-0000-7000-8000-000000000012", Name: "data_token.erase", Title: "Delete data"},
		{ID: deletion, Name: "data_token.delete", Title: "Delete data"},
	}, templates[0].Events)
	assert.Equal(t, []string{"reason"}, templates[0].Configuration)
	assert.Equal(t, []string{"title", "question"}, templates[0].VotingAttributes)
	assert.Contains(t, string(templates[0].RawJSON()), `"version"`)
	assert.NotContains(t, string(templates[1].RawJSON()), `"version"`)
	assert.Equal(t, "Device control", templates[1].Name)
	assert.Empty(t, templates[1].Events, "an empty object may be an array")
	templates, err = c.Policy.ListTemplates(t.Context())
	require.NoError(t, err)
	assert.Empty(t, templates)
}

func TestPolicyLists(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "policy/retrieve.ok", "policy/list_active.ok", "policy/list_registered.items")
	policy, err := c.Policy.Retrieve(t.Context(), "four eyes / data")
	require.NoError(t, err)
	assert.Equal(t, []string{policy1, "four eyes / data"}, []string{policy.ID, policy.Name})
	assert.Contains(t, string(policy.RawJSON()), `"active"`)
	policies, err := c.Policy.ListActive(t.Context())
	require.NoError(t, err)
	require.Len(t, policies, 2)
	assert.Equal(t, policy1, policies[0].ID)
	policies, err = c.Policy.ListRegistered(t.Context())
	require.NoError(t, err)
	assert.Len(t, policies, 1)
}

// A policy that nobody named cannot be looked up.
func TestPendingPolicyWithoutName(t *testing.T) {
	t.Parallel()
	c, s := replay(t, "policy/register.accepted")
	pending, err := c.Policy.Register(t.Context(), privicore.RegisterPolicyRequest{TemplateID: template1, EventIDs: []string{retrieval}})
	require.NoError(t, err)
	_, err = pending.Result(t.Context())
	assert.ErrorIs(t, err, privicore.ErrValidation)
	assert.Len(t, s.sent, 1)
}

func TestPendingPolicyLag(t *testing.T) {
	t.Parallel()
	const notYet = "policy/retrieve.not_found"
	register := func(t *testing.T, after ...string) (*privicore.Pending[*privicore.Policy], *privicore.Client) {
		c, _ := replay(t, append([]string{"policy/register.observed", "utility/request_status.succeeded"}, after...)...)
		pending, err := c.Policy.Register(t.Context(), fourEyes)
		require.NoError(t, err)
		return pending, c
	}
	many := make([]string, 40)
	for i := range many {
		many[i] = notYet
	}
	t.Run("late", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			pending, _ := register(t, notYet, notYet, notYet, "policy/retrieve.ok")
			policy, err := pending.Result(t.Context())
			require.NoError(t, err)
			assert.Equal(t, policy1, policy.ID)
		})
	})
	t.Run("never", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			pending, _ := register(t, many...)
			began := time.Now()
			_, err := pending.Result(t.Context())
			assert.ErrorIs(t, err, privicore.ErrNotFound)
			assert.InDelta(t, 10, time.Since(began).Seconds(), 2)
		})
	})
	t.Run("deadline", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			pending, _ := register(t, many...)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := pending.Result(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.NotErrorIs(t, err, privicore.ErrNotFound, "the last poll is not why the wait ended")
			waiting, ok := errors.AsType[*privicore.WaitError](err)
			require.True(t, ok, "%T", err)
			assert.Equal(t, []string{commandID, "Policy.Register"}, []string{waiting.ID, waiting.Operation})
			assert.ErrorIs(t, waiting.LastPoll, privicore.ErrNotFound)
		})
	})
	t.Run("canceled", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			pending, _ := register(t, many...)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(3*time.Second, cancel)
			began := time.Now()
			_, err := pending.Result(ctx)
			assert.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, 3*time.Second, time.Since(began))
		})
	})
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			pending, c := register(t, many...)
			time.AfterFunc(3*time.Second, func() { _ = c.Close() })
			began := time.Now()
			_, err := pending.Result(t.Context())
			assert.ErrorIs(t, err, privicore.ErrClosed)
			assert.Equal(t, 3*time.Second, time.Since(began))
		})
	})
}

// What a gate names is found by id, name or title, in any case; what could be
// two things is neither.
func TestGateNames(t *testing.T) {
	t.Parallel()
	_, templates := parsed(t, "policy/list_templates.ok")
	for name, test := range map[string]struct {
		gate   privicore.GateRequest
		events string // in the body, or
		field  string
		reason []string
	}{
		"ids":        {privicore.GateRequest{Template: template1, Events: []string{deletion}}, `["` + deletion + `"]`, "", nil},
		"names":      {privicore.GateRequest{Template: "data ACCESS", Events: []string{"Data_Token.Delete", "data_token.read"}}, `["` + deletion + `","` + retrieval + `"]`, "", nil},
		"titles":     {privicore.GateRequest{Template: "Data access", Events: []string{"retrieve data"}}, `["` + retrieval + `"]`, "", nil},
		"twice":      {privicore.GateRequest{Template: "Data access", Events: []string{"retrieve data", "read data", retrieval}}, `["` + retrieval + `"]`, "", nil},
		"ambiguous":  {privicore.GateRequest{Template: "Data access", Events: []string{"Delete data"}}, "", "applyingEventIds[0]", []string{"fits", deletion}},
		"no event":   {privicore.GateRequest{Template: "Data access", Events: []string{"read data", "Frame data"}}, "", "applyingEventIds[1]", []string{`"Frame data"`, `"data_token.retrieve" (Retrieve data)`, `"data_token.delete" (Delete data)`}},
		"no events":  {privicore.GateRequest{Template: "Device control", Events: []string{"Remove device"}}, "", "applyingEventIds[0]", []string{"there are none"}},
		"no such":    {privicore.GateRequest{Template: "Data excess", Events: []string{"Delete data"}}, "", "policyTemplateId", []string{`"Data excess"`, `"Data access", "Device control"`}},
		"other case": {privicore.GateRequest{Template: template1, Events: []string{strings.ToUpper(retrieval)}}, "", "applyingEventIds[0]", []string{"does not exist"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var body []byte
			c, _ := realServer(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/policy/list-policy-templates" {
					w.Write(templates)
					return
				}
				var sent struct {
					Events        json.RawMessage   `json:"applyingEventIds"`
					Configuration map[string]string `json:"configuration"`
				}
				assert.NoError(t, json.NewDecoder(r.Body).Decode(&sent))
				assert.Equal(t, map[string]string{"name": "gate"}, sent.Configuration, "never empty")
				body = sent.Events
				w.WriteHeader(http.StatusTeapot) // far enough
			})
			test.gate.Name = "gate"
			_, err := c.Policy.Gate(t.Context(), test.gate)
			require.Error(t, err)
			assert.Equal(t, test.events, string(body))
			refusal, ok := errors.AsType[*privicore.ValidationError](err)
			require.Equal(t, test.field != "", ok, "%v", err)
			if ok {
				assert.Equal(t, test.field, refusal.Field)
				for _, part := range test.reason {
					assert.Contains(t, refusal.Reason, part)
				}
			}
		})
	}
}

// An error in the middle says where, and gives what there is already.
func TestGateFails(t *testing.T) {
	t.Parallel()
	const found = `{"id":"` + policy1 + `"}`
	_, templates := parsed(t, "policy/list_templates.ok")
	for name, test := range map[string]struct {
		path, status string // what fails, and how
		text         string
		registered   bool
	}{
		"registration": {"/policy/register", `["rejected","policy.name_taken"]`, "Policy.Register: command " + commandID + " was rejected: policy.name_taken", false},
		"activation":   {"/policy/activate", `["rejected","policy.not_found"]`, "Policy.Activate: command " + commandID + " was rejected: policy.not_found", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			var failing bool
			c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
				switch {
				case r.URL.Path == "/policy/list-policy-templates":
					return reply(200, string(templates))
				case strings.HasPrefix(r.URL.Path, "/request-status/"):
					if failing {
						return reply(200, test.status)
					}
					return reply(200, `["succeeded"]`)
				case r.Method == http.MethodGet:
					return reply(200, found)
				}
				failing = r.URL.Path == test.path
				return reply(202, `["`+commandID+`"]`)
			})
			policy, err := c.Policy.Gate(t.Context(), privicore.GateRequest{Name: "x", Template: template1, Events: []string{deletion}})
			_, rejected := errors.AsType[*privicore.CommandError](err)
			require.True(t, rejected, "%v", err)
			assert.ErrorContains(t, err, test.text, name)
			assert.Equal(t, test.registered, policy != nil, name)
		})
	}
}

// removal removes a device in the background.
func removal(t *testing.T, c *privicore.Client, device string) <-chan error {
	t.Helper()
	cmd, err := c.Device.Remove(t.Context(), device)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := cmd.Wait(t.Context())
		ended <- err
	}()
	return ended
}

var removeGate = privicore.GateRequest{Name: "keep devices", Template: "Device control", Events: []string{"Remove device"}}

// A gated command waits for its vote, over the channel and by polling, and ends
// as the vote does.
func TestGatedCommand(t *testing.T) {
	t.Parallel()
	for how, opts := range map[string][]privicore.Option{"channel": nil, "polling": {privicore.WithWebSocketURL("")}} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			inBothDialects(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
				if opts != nil {
					c = alice(t, s, opts...)
				}
				voters := onboarded(t, c, 2)
				policy := gatedByAll(t, c)
				gatedRemovalPasses(t, c, s, voters)
				gatedRemovalFails(t, c, s, voters)

				cmd, err := c.Policy.Deactivate(t.Context(), policy.ID)
				done(t, cmd, err)
				cmd, err = c.Device.Remove(t.Context(), voters[0])
				done(t, cmd, err)
				cmd, err = c.Policy.Activate(t.Context(), policy.ID)
				done(t, cmd, err)
				cmd, err = c.Policy.Delete(t.Context(), policy.ID)
				done(t, cmd, err)
				registered, err := c.Policy.ListRegistered(t.Context())
				require.NoError(t, err)
				assert.Empty(t, registered)
			}, privicoretest.WithoutVoter(), privicoretest.WithPolicyLag(time.Second))
		})
	}
}

// gatedByAll makes the removal of a device subject to the vote of all
// authenticators.
func gatedByAll(t *testing.T, c *privicore.Client) *privicore.Policy {
	t.Helper()
	cmd, err := c.VerifiedAuthenticator.RegisterVotingConfiguration(t.Context(), privicore.VotingConfiguration{
		Name: "owners", TimeLimit: time.Minute, Strategy: privicore.Unanimous,
	})
	done(t, cmd, err)
	gate := removeGate
	gate.VotingConfiguration = "owners"
	policy, err := c.Policy.Gate(t.Context(), gate)
	require.NoError(t, err)
	assert.Equal(t, "keep devices", policy.Name)
	active, err := c.Policy.ListActive(t.Context())
	require.NoError(t, err)
	require.Len(t, active, 1)
	assert.Equal(t, policy.ID, active[0].ID)
	return policy
}

func gatedRemovalPasses(t *testing.T, c *privicore.Client, s *privicoretest.Server, voters []string) {
	t.Helper()
	device, err := c.Device.Onboard(t.Context(), "tablet")
	require.NoError(t, err)
	ended := removal(t, c, device.Identifier)
	poll := openPoll(t, s)
	assert.Equal(t, "Device.Remove", poll.Operation)
	require.NoError(t, s.Vote(poll.ID, voters[0], true))
	select {
	case err := <-ended:
		require.Fail(t, "it did not wait", "%v", err)
	case <-time.After(30 * time.Second):
	}
	require.NoError(t, s.Vote(poll.ID, voters[1], true))
	require.NoError(t, <-ended)
}

func gatedRemovalFails(t *testing.T, c *privicore.Client, s *privicoretest.Server, voters []string) {
	t.Helper()
	ended := removal(t, c, voters[0])
	require.NoError(t, s.Vote(openPoll(t, s).ID, voters[1], false))
	err := <-ended
	require.ErrorIs(t, err, privicore.ErrRejected)
	assert.ErrorIs(t, err, privicore.MessageKey("voting.rejected"))
	rejected, ok := errors.AsType[*privicore.CommandError](err)
	require.True(t, ok)
	assert.Equal(t, "Device.Remove", rejected.Operation)
	devices, err := c.Device.List(t.Context())
	require.NoError(t, err)
	assert.Contains(t, deviceIDs(devices), voters[0], "it is still there")
}

func deviceIDs(devices []privicore.Device) (ids []string) {
	for _, d := range devices {
		ids = append(ids, d.Identifier)
	}
	return ids
}

// Polls that nobody answers run out, as often as there are attempts. Then the
// command is rejected. A caller that does not wait that long can come back.
func TestGatedCommandTimesOut(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		onboarded(t, c, 1)
		cmd, err := c.VerifiedAuthenticator.SetVotingTimeLimit(t.Context(), time.Minute)
		done(t, cmd, err)
		cmd, err = c.VerifiedAuthenticator.SetMaximumVotingAttempts(t.Context(), 2)
		done(t, cmd, err)
		_, err = c.Policy.Gate(t.Context(), removeGate)
		require.NoError(t, err)
		device, err := c.Device.Onboard(t.Context(), "tablet")
		require.NoError(t, err)
		began := time.Now()
		cmd, err = c.Device.Remove(t.Context(), device.Identifier)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err = cmd.Wait(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		waiting, ok := errors.AsType[*privicore.WaitError](err)
		require.True(t, ok, "%T", err)
		assert.Equal(t, []string{cmd.ID, "Device.Remove"}, []string{waiting.ID, waiting.Operation})
		_, err = c.Command(waiting.ID).Wait(t.Context())
		require.ErrorIs(t, err, privicore.ErrRejected)
		assert.ErrorIs(t, err, privicore.MessageKey("voting.quorum_not_met"))
		assert.Equal(t, 2, s.Polls("alice")[0].Attempt)
		assert.InDelta(t, 2*time.Minute.Seconds(), time.Since(began).Seconds(), 1)
	}, privicoretest.WithoutVoter())
}

// A vote that is lost in one attempt can be won in the next.
func TestGatedCommandSecondAttempt(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		onboarded(t, c, 2)
		cmd, err := c.VerifiedAuthenticator.SetMaximumVotingAttempts(t.Context(), 3)
		done(t, cmd, err)
		_, err = c.Policy.Gate(t.Context(), removeGate)
		require.NoError(t, err)
		device, err := c.Device.Onboard(t.Context(), "tablet")
		require.NoError(t, err)
		cmd, err = c.Device.Remove(t.Context(), device.Identifier)
		done(t, cmd, err)
		assert.Equal(t, 2, s.Polls("alice")[0].Attempt)
	}, privicoretest.WithVoter(func(p privicoretest.Poll) bool { return p.Attempt == 2 }))
}

func TestGateOnASandbox(t *testing.T) {
	t.Parallel()
	inBothDialects(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		for _, wrong := range []privicore.GateRequest{
			{Name: "x", Template: "Data excess", Events: []string{"Delete data"}},
			{Name: "x", Template: "Data access", Events: []string{"Delete data", "Remove device"}},
		} {
			_, err := c.Policy.Gate(t.Context(), wrong)
			require.ErrorIs(t, err, privicore.ErrValidation)
		}
		assert.Zero(t, s.Calls("Policy.Register"), "nothing is registered")
		_, err := c.Policy.Gate(t.Context(), removeGate)
		require.NoError(t, err)
		_, err = c.Policy.Gate(t.Context(), removeGate)
		assert.ErrorIs(t, err, privicore.MessageKey("policy.name_taken"))
		_, err = c.Policy.Gate(t.Context(), privicore.GateRequest{Name: "y", Template: "Data access", Events: []string{"Delete data"}, VotingConfiguration: "nobody"})
		assert.ErrorIs(t, err, privicore.ErrValidation)
	})
}

// An empty list stands for an empty object, wherever in a template, and a
// template whose fields are odd does not spoil the others.
func TestPolicyTemplatesOfAnotherShape(t *testing.T) {
	t.Parallel()
	read := func(body string) ([]privicore.PolicyTemplate, error) {
		_, s := replay(t)
		s.answers = [][]byte{[]byte("HTTP/1.1 200 OK\n\n" + body)}
		return s.client(privicore.WithToken(testToken)).Policy.ListTemplates(t.Context())
	}
	read200 := func(body string) []privicore.PolicyTemplate {
		templates, err := read(body)
		require.NoError(t, err, body)
		return templates
	}
	assert.Empty(t, read200(`[]`))
	assert.Empty(t, read200(`{}`))
	for _, body := range []string{
		`{"t-1":{"name":"n","events":[],"configuration":[],"votingAttributes":[]}}`,
		`{"t-1":{"name":"n","events":{},"configuration":{},"votingAttributes":{}}}`,
		`{"t-1":{"name":"n","events":null,"configuration":null,"votingAttributes":null}}`,
		`{"t-1":{"name":"n","events":"none","configuration":17,"votingAttributes":false}}`,
		`{"t-1":{"name":"n"}}`,
	} {
		templates := read200(body)
		require.Len(t, templates, 1, body)
		assert.Equal(t, []string{"t-1", "n"}, []string{templates[0].ID, templates[0].Name}, body)
		assert.Empty(t, templates[0].Events, body)
		assert.Empty(t, templates[0].VotingAttributes, body)
	}
	templates := read200(`{"t-2":{"name":"two","events":{"e-2":{"n":"Title"},"e-1":[]}},"t-1":[],"t-3":"three","t-4":{"name":["x"],"events":{"e":{"n":1}}}}`)
	require.Len(t, templates, 4)
	assert.Equal(t, "t-1", templates[0].ID)
	assert.Empty(t, templates[0].Name)
	assert.Equal(t, "two", templates[1].Name)
	assert.Contains(t, templates[1].Events, privicore.PolicyEvent{ID: "e-2", Name: "n", Title: "Title"}, "an event without a name does not spoil the others")
	assert.JSONEq(t, `"three"`, string(templates[2].RawJSON()))
	assert.Equal(t, "t-4", templates[3].ID)
	for _, body := range []string{`null`, `[1]`, `"none"`, `{"errors":["not allowed"]}`, `{"t-1":{"name":"n"}`} {
		_, err := read(body)
		assert.ErrorIs(t, err, privicore.ErrUnexpectedAnswer, body)
	}
}

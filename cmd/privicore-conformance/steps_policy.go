package main

import (
	"context"
	"errors"

	"github.com/tidwall/gjson"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/operation"
)

var (
	templatesForm = keyed(object(
		has("name", text), has("description", anyText), has("events", keyed(keyed(anyText))),
		has("configuration", list(text)), has("votingAttributes", list(text)),
	))
	// Only the id is known.
	policyForm = object(has("id", text))
	// In lists it is inferred.
	policyEntry = object(has("id", text))
)

func listTemplates(ctx context.Context, s *session, f *finding) bool {
	var templates []privicore.PolicyTemplate
	e := f.value(ctx, templatesForm, func(ctx context.Context) (err error) {
		templates, err = s.own.client.Policy.ListTemplates(ctx)
		return err
	})
	if e == nil {
		return false
	}
	for i := range templates {
		if len(templates[i].Events) > 0 {
			s.template = templates[i]
			return true
		}
	}
	f.note("there is no template with an event")
	return false
}

// policy returns the parameters of a policy.
func (s *session) policy(name string) privicore.RegisterPolicyRequest {
	configuration := map[string]any{"name": name}
	if len(s.template.Configuration) > 0 {
		configuration = map[string]any{s.template.Configuration[0]: "conformance"}
	}
	return privicore.RegisterPolicyRequest{
		TemplateID: s.template.ID, EventIDs: []string{s.template.Events[0].ID}, Name: name, Configuration: configuration,
	}
}

// newPolicy registers a policy of an account and returns the command.
func newPolicy(ctx context.Context, a *account, r privicore.RegisterPolicyRequest) (*privicore.Command, error) {
	pending, err := a.client.Policy.Register(ctx, r)
	if err != nil {
		return nil, err
	}
	return pending.Command, nil
}

// policyNamed returns the id of a policy, which may not be visible at once.
func policyNamed(ctx context.Context, a *account, name string) (string, error) {
	var policy *privicore.Policy
	err := eventually(ctx, func() (err error) {
		policy, err = a.client.Policy.Retrieve(ctx, name)
		return err
	})
	if err != nil {
		return "", err
	}
	return policy.ID, nil
}

// policyMadeAs notes a policy, so that it is removed.
func (s *session) policyMadeAs(name string) *thing {
	return s.made("policy "+name, removal(func(ctx context.Context) (*privicore.Command, error) {
		id, err := policyNamed(ctx, s.own, name)
		if err != nil {
			return nil, err
		}
		return s.own.client.Policy.Delete(ctx, id)
	}))
}

// registerPolicy also learns whether the configuration may be left out.
func registerPolicy(ctx context.Context, s *session, f *finding) bool {
	r := s.policy(s.name)
	r.VotingConfiguration = s.name
	if _, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return newPolicy(ctx, s.own, r)
	}); !ok {
		return false
	}
	s.policyMade = s.policyMadeAs(s.name)

	bare := s.policy(s.name + "-bare")
	bare.Configuration = nil
	cmd, err := newPolicy(ctx, s.own, bare)
	if err = wait(ctx, cmd, err); err == nil {
		s.policyMadeAs(bare.Name)
	}
	refused := errors.Is(err, privicore.ErrValidation) || errors.Is(err, privicore.ErrRejected)
	s.dialect.see(rowConfiguration, choose(err == nil, refused), f.op)
	return true
}

func retrievePolicy(ctx context.Context, s *session, f *finding) bool {
	e := f.soon(ctx, policyForm, func(ctx context.Context) error {
		_, err := s.own.client.Policy.Retrieve(ctx, s.name)
		return err
	})
	if e == nil {
		return false
	}
	s.policyID = e.json().Get("id").Str
	return true
}

func listRegisteredPolicies(ctx context.Context, s *session, f *finding) bool {
	e := f.value(ctx, list(policyEntry), func(ctx context.Context) error {
		_, err := s.own.client.Policy.ListRegistered(ctx)
		return err
	})
	if e != nil {
		f.expect(s.mentioned(e.json()) || holds(e.json(), s.policyID), "the policy that was registered is not in the list")
	}
	return true
}

func listInactivePolicies(ctx context.Context, s *session, f *finding) bool {
	e := f.value(ctx, list(policyEntry), func(ctx context.Context) error {
		_, err := s.own.client.Policy.ListInactive(ctx)
		return err
	})
	if e != nil {
		f.expect(s.mentioned(e.json()) || holds(e.json(), s.policyID), "the policy that was registered is not in the list")
	}
	return true
}

func listActivePolicies(ctx context.Context, s *session, f *finding) bool {
	e := f.value(ctx, list(policyEntry), func(ctx context.Context) error {
		_, err := s.own.client.Policy.ListActive(ctx)
		return err
	})
	if e != nil {
		f.expect(!s.mentioned(e.json()) && !holds(e.json(), s.policyID), "a policy that was not activated is in the list")
	}
	return true
}

func (s *session) activePolicies(ctx context.Context) error {
	_, err := s.spare.client.Policy.ListActive(ctx)
	return err
}

// activatePolicy activates a policy of the spare profile, because it would gate
// what others do with the profile of the environment.
func activatePolicy(ctx context.Context, s *session, f *finding) bool {
	cmd, err := newPolicy(ctx, s.spare, s.policy(s.name+"-spare"))
	if wait(ctx, cmd, err) != nil {
		return f.stuck(operation.PolicyRegister)
	}
	if s.active, err = policyNamed(ctx, s.spare, s.name+"-spare"); err != nil {
		return f.stuck(operation.PolicyRetrieve)
	}
	if _, ok := f.command(ctx, s.spare, func(ctx context.Context) (*privicore.Command, error) {
		return s.spare.client.Policy.Activate(ctx, s.active)
	}); !ok {
		return false
	}
	f.effect(ctx, "the policy is not in the list of active policies", s.activePolicies, func(v gjson.Result) bool {
		return holds(v, s.active)
	})
	return true
}

func deactivatePolicy(ctx context.Context, s *session, f *finding) bool {
	if _, ok := f.command(ctx, s.spare, func(ctx context.Context) (*privicore.Command, error) {
		return s.spare.client.Policy.Deactivate(ctx, s.active)
	}); !ok {
		return false
	}
	f.effect(ctx, "the policy is still in the list of active policies", s.activePolicies, func(v gjson.Result) bool {
		return !holds(v, s.active)
	})
	return true
}

func deletePolicy(ctx context.Context, s *session, f *finding) bool {
	id := s.policyID
	if id == "" {
		var err error
		if id, err = policyNamed(ctx, s.own, s.name); err != nil {
			return f.stuck(operation.PolicyRetrieve)
		}
	}
	if _, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.Policy.Delete(ctx, id)
	}); !ok {
		return false
	}
	s.policyMade.gone = true
	_, err := s.own.client.Policy.Retrieve(ctx, s.name)
	f.expect(err != nil, "the policy can still be retrieved")
	return true
}

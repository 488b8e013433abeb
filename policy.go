package privicore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/privicore/privicore-go/internal/operation"
)

// PolicyService is the section "Policy" of the API. An active policy gates
// events, such as the retrieval of data: their commands end only once the
// authenticators have voted. Waiting for such a command takes as long as its
// poll, so its context should allow for that; a command that was voted down
// ends in a *CommandError with the reason.
type PolicyService service

// PolicyTemplate is a kind of policy that can be registered.
type PolicyTemplate struct {
	answer
	ID               string
	Name             string
	Description      string
	Events           []PolicyEvent // ordered by id
	Configuration    []string      // names of what can be configured
	VotingAttributes []string
}

// PolicyEvent is something that a policy can gate.
type PolicyEvent struct {
	ID    string
	Name  string
	Title string // for people, such as "Retrieve data"
}

// UnmarshalJSON reads a template, which does not hold its own id. Its lists may
// be of any JSON type when they are empty.
func (t *PolicyTemplate) UnmarshalJSON(data []byte) error {
	var wire struct {
		Name             string          `json:"name"`
		Description      string          `json:"description"`
		Events           json.RawMessage `json:"events"`
		Configuration    json.RawMessage `json:"configuration"`
		VotingAttributes json.RawMessage `json:"votingAttributes"`
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	t.Name, t.Description = wire.Name, wire.Description
	t.Configuration = messagesIn(wire.Configuration)
	t.VotingAttributes = messagesIn(wire.VotingAttributes)
	var events map[string]map[string]string
	_ = json.Unmarshal(wire.Events, &events) // an empty list is an array
	for _, id := range slices.Sorted(maps.Keys(events)) {
		for _, name := range slices.Sorted(maps.Keys(events[id])) {
			t.Events = append(t.Events, PolicyEvent{ID: id, Name: name, Title: events[id][name]})
		}
	}
	return nil
}

// ListTemplates returns the kinds of policies there are, ordered by id: "List
// policy templates".
func (s *PolicyService) ListTemplates(ctx context.Context) ([]PolicyTemplate, error) {
	op, p := operation.PolicyListTemplates, params{}
	resp, err := s.client.send(ctx, op, &p, "")
	if err != nil {
		return nil, err
	}
	var byID map[string]json.RawMessage
	if err := json.Unmarshal(resp.Body, &byID); err != nil || byID == nil {
		if none := []any(nil); json.Unmarshal(resp.Body, &none) == nil && none != nil && len(none) == 0 {
			return nil, nil // an empty object, as PHP writes it
		}
		return nil, unreadable(op, &p, resp, describeBody(resp, err))
	}
	templates := make([]PolicyTemplate, 0, len(byID))
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		t := PolicyTemplate{ID: id}
		if err := decode(byID[id], &t); err != nil {
			return nil, unreadable(op, &p, resp, describeBody(resp, err))
		}
		templates = append(templates, t)
	}
	return templates, nil
}

// PolicyRegistration is a policy to register.
type PolicyRegistration struct {
	TemplateID string
	EventIDs   []string
	// Name is under which the policy is retrieved. The server takes a policy
	// without one; its id is then to be had from ListRegistered only.
	Name string
	// Configuration is what the template can be configured with. Servers were
	// observed to refuse an empty one.
	Configuration map[string]any
	// VotingConfiguration says how the votes are held. The documentation
	// speaks of its id, observed servers take its name; it is sent as both.
	VotingConfiguration string
}

// PendingPolicy is a policy that is being registered.
type PendingPolicy struct {
	*Command
	name string
}

// Result waits until the policy is registered and retrieves it, which takes a
// moment longer. It needs the name that the policy was registered under.
func (p *PendingPolicy) Result(ctx context.Context) (*Policy, error) {
	if err := checkIdentifier(operation.PolicyRetrieve, "name", p.name); err != nil {
		return nil, err
	}
	if _, err := p.Wait(ctx); err != nil {
		return nil, err
	}
	var policy *Policy
	err := p.client.untilFound(ctx, func() (err error) {
		policy, err = p.client.Policy.Retrieve(ctx, p.name)
		return err
	})
	return policy, err
}

// Register registers a policy, which is inactive until it is activated:
// "Register policy". Gate does both.
func (s *PolicyService) Register(ctx context.Context, r PolicyRegistration) (*PendingPolicy, error) {
	op := operation.PolicyRegister
	if err := checkIdentifier(op, "policyTemplateId", r.TemplateID); err != nil {
		return nil, err
	}
	if len(r.EventIDs) == 0 {
		return nil, invalid(op, "applyingEventIds", "is empty")
	}
	for i, id := range r.EventIDs {
		if err := checkIdentifier(op, fmt.Sprintf("applyingEventIds[%d]", i), id); err != nil {
			return nil, err
		}
	}
	if r.Name != "" {
		if err := checkIdentifier(op, "name", r.Name); err != nil {
			return nil, err
		}
	}
	if r.VotingConfiguration != "" {
		if err := checkIdentifier(op, "votingConfigurationId", r.VotingConfiguration); err != nil {
			return nil, err
		}
	}
	configuration := r.Configuration
	if configuration == nil {
		configuration = map[string]any{} // {}, not null
	}
	body := struct {
		TemplateID            string         `json:"policyTemplateId"`
		EventIDs              []string       `json:"applyingEventIds"`
		Name                  string         `json:"name,omitempty"`
		Configuration         map[string]any `json:"configuration"`
		ConfigurationID       string         `json:"configurationId,omitempty"`
		VotingConfigurationID string         `json:"votingConfigurationId,omitempty"`
	}{r.TemplateID, r.EventIDs, r.Name, configuration, r.VotingConfiguration, r.VotingConfiguration}
	cmd, err := s.client.command(ctx, op, params{json: body})
	if err != nil {
		return nil, err
	}
	return &PendingPolicy{cmd, r.Name}, nil
}

// Policy is a registered policy. Of its fields only the id is known; RawJSON
// has the rest.
type Policy struct {
	answer
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (p *Policy) missing() string {
	if p.ID == "" {
		return "id"
	}
	return ""
}

// Retrieve returns a policy by its name: "Retrieve registered policy". For a
// second or so after its registration the error may match ErrNotFound;
// PendingPolicy.Result allows for that.
func (s *PolicyService) Retrieve(ctx context.Context, name string) (*Policy, error) {
	op := operation.PolicyRetrieve
	if err := checkIdentifier(op, "name", name); err != nil {
		return nil, err
	}
	return value[Policy](ctx, s.client, op, params{path: name})
}

// Activate puts a policy into force: "Activate policy".
func (s *PolicyService) Activate(ctx context.Context, policyID string) (*Command, error) {
	return s.change(ctx, operation.PolicyActivate, policyID)
}

// Deactivate puts a policy out of force: "Deactivate policy".
func (s *PolicyService) Deactivate(ctx context.Context, policyID string) (*Command, error) {
	return s.change(ctx, operation.PolicyDeactivate, policyID)
}

// Delete deletes a policy: "Delete policy". The operation is inferred from the
// names of its siblings.
func (s *PolicyService) Delete(ctx context.Context, policyID string) (*Command, error) {
	return s.change(ctx, operation.PolicyDelete, policyID)
}

func (s *PolicyService) change(ctx context.Context, op *operation.Operation, policyID string) (*Command, error) {
	if err := checkIdentifier(op, "policyId", policyID); err != nil {
		return nil, err
	}
	form := struct {
		PolicyID string `url:"policyId"`
	}{policyID}
	return s.client.command(ctx, op, params{form: form})
}

// ListActive returns the policies in force: "List active policies". The
// operation is inferred from the names of its siblings.
func (s *PolicyService) ListActive(ctx context.Context) ([]Policy, error) {
	return list[Policy](ctx, s.client, operation.PolicyListActive)
}

// ListInactive returns the policies that are not in force: "List inactive
// policies". The operation is inferred from the names of its siblings.
func (s *PolicyService) ListInactive(ctx context.Context) ([]Policy, error) {
	return list[Policy](ctx, s.client, operation.PolicyListInactive)
}

// ListRegistered returns all policies: "List registered policies". The
// operation is inferred from the names of its siblings.
func (s *PolicyService) ListRegistered(ctx context.Context) ([]Policy, error) {
	return list[Policy](ctx, s.client, operation.PolicyListRegistered)
}

// A Gate is a policy described by names instead of ids.
type Gate struct {
	Name     string   // of the policy; must not be in use
	Template string   // id or name, in any case
	Events   []string // ids, names or titles, in any case
	// Configuration and VotingConfiguration are as in PolicyRegistration. If
	// Configuration is empty, the policy's name is sent as one: an empty
	// configuration may be refused, and what else could go in is not known.
	Configuration       map[string]any
	VotingConfiguration string
}

// Gate registers a policy and activates it, and waits for both: when it
// returns, the events are gated. A template or an event that does not exist, or
// a name that fits more than one, is a *ValidationError that lists those that
// exist, and nothing is registered. A policy beside an error has been
// registered and can be activated.
func (s *PolicyService) Gate(ctx context.Context, g Gate) (*Policy, error) {
	r, err := s.registration(ctx, g)
	if err != nil {
		return nil, err
	}
	pending, err := s.Register(ctx, *r)
	if err != nil {
		return nil, err
	}
	policy, err := pending.Result(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w (registering the policy %q)", err, g.Name)
	}
	cmd, err := s.Activate(ctx, policy.ID)
	if err != nil {
		return policy, err
	}
	if _, err := cmd.Wait(ctx); err != nil {
		return policy, fmt.Errorf("%w (activating the policy %q)", err, g.Name)
	}
	if active, err := s.Retrieve(ctx, g.Name); err == nil {
		policy = active // RawJSON says so now
	}
	return policy, nil
}

// registration finds the ids of what a gate names.
func (s *PolicyService) registration(ctx context.Context, g Gate) (*PolicyRegistration, error) {
	op := operation.PolicyRegister
	if err := checkIdentifier(op, "name", g.Name); err != nil {
		return nil, err
	}
	if err := checkText(op, "policyTemplateId", g.Template); err != nil {
		return nil, err
	}
	if len(g.Events) == 0 {
		return nil, invalid(op, "applyingEventIds", "is empty")
	}
	for i, event := range g.Events {
		if err := checkText(op, fmt.Sprintf("applyingEventIds[%d]", i), event); err != nil {
			return nil, err
		}
	}
	r := &PolicyRegistration{Name: g.Name, Configuration: g.Configuration, VotingConfiguration: g.VotingConfiguration}
	if len(r.Configuration) == 0 {
		r.Configuration = map[string]any{"name": g.Name}
	}
	templates, err := s.ListTemplates(ctx)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]PolicyTemplate)
	var names []named
	for _, t := range templates {
		byID[t.ID] = t
		names = append(names, named{t.ID, t.Name, t.Name})
	}
	if r.TemplateID, err = choose(op, "policyTemplateId", g.Template, names); err != nil {
		return nil, err
	}
	names = nil
	for _, e := range byID[r.TemplateID].Events {
		names = append(names, named{e.ID, e.Name, e.Title})
	}
	for i, event := range g.Events {
		id, err := choose(op, fmt.Sprintf("applyingEventIds[%d]", i), event, names)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(r.EventIDs, id) {
			r.EventIDs = append(r.EventIDs, id)
		}
	}
	return r, nil
}

// named is something with an id that also goes by other names.
type named struct{ id, name, title string }

// choose finds the id of the one option that goes by the name.
func choose(op *operation.Operation, field, name string, options []named) (string, error) {
	var fit, known []string
	for _, o := range options {
		if o.id == name {
			return o.id, nil
		}
		if (strings.EqualFold(o.name, name) || strings.EqualFold(o.title, name)) && !slices.Contains(fit, o.id) {
			fit = append(fit, o.id)
		}
		text := fmt.Sprintf("%q", o.name)
		if o.title != o.name {
			text += fmt.Sprintf(" (%s)", o.title)
		}
		known = append(known, text)
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) > 1:
		return "", invalid(op, field, fmt.Sprintf("is %q, which fits %s", name, strings.Join(fit, " and ")))
	case len(known) == 0:
		return "", invalid(op, field, fmt.Sprintf("is %q, which does not exist; there are none", name))
	}
	return "", invalid(op, field, fmt.Sprintf("is %q, which does not exist; there are %s", name, strings.Join(known, ", ")))
}

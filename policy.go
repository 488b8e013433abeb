package privicore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/wire"
)

// PolicyService is the section "Policy" of the API. An active policy gates events,
// such as the retrieval of data: a command for such an event ends only when the
// authenticators have voted. Waiting for it takes as long as the poll, so the context
// should allow for that. If the vote is no, the error of the wait is a *CommandError
// with the reason.
type PolicyService service

// PolicyTemplate is a kind of policy. A registered policy belongs to a template.
type PolicyTemplate struct {
	answer
	ID               string
	Name             string
	Description      string
	Events           []PolicyEvent // ordered by id
	Configuration    []string      // names of what can be configured
	VotingAttributes []string
}

// Format leaves out the raw JSON.
func (t PolicyTemplate) Format(s fmt.State, verb rune) { format(s, verb, t) }

// PolicyEvent is something that a policy can gate.
type PolicyEvent struct {
	ID    string
	Name  string
	Title string // for people, such as "Retrieve data"
}

// UnmarshalJSON reads a template, which does not hold its own id. Its lists may be
// of any JSON type if they are empty.
func (t *PolicyTemplate) UnmarshalJSON(data []byte) error {
	var fields struct {
		Name             string          `json:"name"`
		Description      string          `json:"description"`
		Events           json.RawMessage `json:"events"`
		Configuration    json.RawMessage `json:"configuration"`
		VotingAttributes json.RawMessage `json:"votingAttributes"`
	}
	if err := wire.Decode(data, &fields); err != nil {
		return err
	}
	t.Name, t.Description = fields.Name, fields.Description
	t.Configuration = wire.Texts(fields.Configuration)
	t.VotingAttributes = wire.Texts(fields.VotingAttributes)
	var events map[string]map[string]string
	_ = json.Unmarshal(fields.Events, &events) // an empty list is an array
	for _, id := range slices.Sorted(maps.Keys(events)) {
		for _, name := range slices.Sorted(maps.Keys(events[id])) {
			t.Events = append(t.Events, PolicyEvent{ID: id, Name: name, Title: events[id][name]})
		}
	}
	return nil
}

// ListTemplates returns the templates of the server, ordered by id.
//
// It is the operation [List policy templates].
//
// [List policy templates]: https://docs.privicore.com/list-policy-templates-14411464e0
func (s *PolicyService) ListTemplates(ctx context.Context) ([]PolicyTemplate, error) {
	var templates []PolicyTemplate
	err := s.client.send(ctx, operation.PolicyListTemplates, params{}, func(r *request, resp *Response) error {
		ids, values, entries, err := wire.DecodeMap[PolicyTemplate](resp.Body)
		if err != nil {
			return unreadable(r, resp, wire.Describe(resp.Body, err))
		}
		for i := range values {
			values[i].ID = ids[i]
			values[i].keep(entries, i)
		}
		templates = values
		return nil
	})
	return templates, err
}

// RegisterPolicyRequest describes a policy to register. TemplateID and EventIDs
// must be set.
type RegisterPolicyRequest struct {
	TemplateID string
	EventIDs   []string
	// Name is the name to retrieve the policy by. It is optional. Only
	// ListRegistered gives the id of a policy without a name.
	Name string
	// Configuration holds values for PolicyTemplate.Configuration. Servers were
	// observed to refuse an empty one.
	Configuration map[string]any
	// VotingConfiguration is the id or the name of a voting configuration. The
	// documentation asks for the id; servers were observed to take the name.
	// Empty means the settings of the profile.
	VotingConfiguration string
}

func (r *RegisterPolicyRequest) check(op *operation.Operation) error {
	if err := checkIdentifier(op, "policyTemplateId", r.TemplateID); err != nil {
		return err
	}
	if len(r.EventIDs) == 0 {
		return invalid(op, "applyingEventIds", "is empty")
	}
	if err := checkIdentifiers(op, "applyingEventIds", r.EventIDs); err != nil {
		return err
	}
	if r.Name != "" {
		if err := checkIdentifier(op, "name", r.Name); err != nil {
			return err
		}
	}
	if r.VotingConfiguration != "" {
		return checkIdentifier(op, "votingConfigurationId", r.VotingConfiguration)
	}
	return nil
}

// Register registers a policy. It does not wait. Pending.Result waits until the
// policy is registered and retrieves it by its Name, which must be set for that. The
// policy is inactive until Activate; Gate does both.
//
// To go on in another process, keep ID and name: Command(id).Wait, and then
// Retrieve with the name.
//
// It is the operation [Register policy].
//
// [Register policy]: https://docs.privicore.com/register-policy-14411465e0
func (s *PolicyService) Register(ctx context.Context, r RegisterPolicyRequest) (*Pending[*Policy], error) {
	op := operation.PolicyRegister
	if err := r.check(op); err != nil {
		return nil, err
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
	pending := NewPending(cmd, func(ctx context.Context, _ string) (*Policy, error) {
		return s.Retrieve(ctx, r.Name)
	})
	if r.Name == "" {
		pending.never = invalid(operation.PolicyRetrieve, "name", "is empty; a policy without a name cannot be retrieved")
	}
	return pending, nil
}

// Policy is a registered policy. Of its fields only the id is known. RawJSON has
// the rest.
type Policy struct {
	answer
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Format leaves out the raw JSON.
func (p Policy) Format(s fmt.State, verb rune) { format(s, verb, p) }

func (p *Policy) missing() string {
	if p.ID == "" {
		return "id"
	}
	return ""
}

// Retrieve returns the policy with the given name. For about a second after the
// registration the error may match ErrNotFound. Pending.Result asks again in that
// case.
//
// It is the operation [Retrieve registered policy].
//
// [Retrieve registered policy]: https://docs.privicore.com/retrieve-registered-policy-25063801e0
func (s *PolicyService) Retrieve(ctx context.Context, name string) (*Policy, error) {
	op := operation.PolicyRetrieve
	if err := checkIdentifier(op, "name", name); err != nil {
		return nil, err
	}
	return value[Policy](ctx, s.client, op, params{path: name})
}

// Activate activates a policy, which then gates its events. It returns the command
// and does not wait.
//
// It is the operation [Activate policy].
//
// [Activate policy]: https://docs.privicore.com/activate-policy-14411468e0
func (s *PolicyService) Activate(ctx context.Context, policyID string) (*Command, error) {
	return s.change(ctx, operation.PolicyActivate, policyID)
}

// Deactivate deactivates a policy. It returns the command and does not wait.
//
// It is the operation [Deactivate policy].
//
// [Deactivate policy]: https://docs.privicore.com/deactivate-policy-14411469e0
func (s *PolicyService) Deactivate(ctx context.Context, policyID string) (*Command, error) {
	return s.change(ctx, operation.PolicyDeactivate, policyID)
}

// Delete deletes a policy. It returns the command and does not wait. The operation
// is inferred from the names of its siblings.
//
// It is the operation [Delete policy].
//
// [Delete policy]: https://docs.privicore.com/delete-policy-14411470e0
func (s *PolicyService) Delete(ctx context.Context, policyID string) (*Command, error) {
	return s.change(ctx, operation.PolicyDelete, policyID)
}

func (s *PolicyService) change(ctx context.Context, op *operation.Operation, policyID string) (*Command, error) {
	if err := checkIdentifier(op, "policyId", policyID); err != nil {
		return nil, err
	}
	return s.client.command(ctx, op, params{values: url.Values{"policyId": {policyID}}})
}

// ListActive returns the active policies. The operation is inferred from the names
// of its siblings.
//
// It is the operation [List active policies].
//
// [List active policies]: https://docs.privicore.com/list-active-policies-14411466e0
func (s *PolicyService) ListActive(ctx context.Context) ([]Policy, error) {
	return list[Policy](ctx, s.client, operation.PolicyListActive, params{})
}

// ListInactive returns the inactive policies. The operation is inferred from the
// names of its siblings.
//
// It is the operation [List inactive policies].
//
// [List inactive policies]: https://docs.privicore.com/list-inactive-policies-14411467e0
func (s *PolicyService) ListInactive(ctx context.Context) ([]Policy, error) {
	return list[Policy](ctx, s.client, operation.PolicyListInactive, params{})
}

// ListRegistered returns all policies. The operation is inferred from the names of
// its siblings.
//
// It is the operation [List registered policies].
//
// [List registered policies]: https://docs.privicore.com/list-registered-policies-25063800e0
func (s *PolicyService) ListRegistered(ctx context.Context) ([]Policy, error) {
	return list[Policy](ctx, s.client, operation.PolicyListRegistered, params{})
}

// GateRequest describes a policy by names instead of ids.
type GateRequest struct {
	Name     string   // of the policy; must not be in use
	Template string   // id or name, in any case
	Events   []string // ids, names or titles, in any case
	// Configuration and VotingConfiguration are as in RegisterPolicyRequest. If
	// Configuration is empty, Gate sends one that holds the name of the policy,
	// because servers may refuse an empty one.
	Configuration       map[string]any
	VotingConfiguration string
}

// Gate registers a policy and activates it. It waits for both, and returns the
// policy. When it returns without an error, the policy gates the events.
//
// If the template or an event does not exist, or a name fits more than one, nothing
// is registered, and the error is a *ValidationError that lists what exists. If
// activating fails, Gate returns the policy and the error: the policy is registered
// and Activate can be called for it. The error of a wait is a *WaitError or a
// *CommandError, which has the id of the command.
func (s *PolicyService) Gate(ctx context.Context, g GateRequest) (*Policy, error) {
	r, err := s.resolve(ctx, g)
	if err != nil {
		return nil, err
	}
	pending, err := s.Register(ctx, *r)
	if err != nil {
		return nil, err
	}
	policy, err := pending.Result(ctx)
	if err != nil {
		return nil, err
	}
	cmd, err := s.Activate(ctx, policy.ID)
	if err != nil {
		return policy, err
	}
	if _, err := cmd.Wait(ctx); err != nil {
		return policy, err
	}
	if active, err := s.Retrieve(ctx, g.Name); err == nil {
		policy = active // RawJSON says that it is active
	}
	return policy, nil
}

// check refuses what cannot be right before the templates are fetched.
func (g *GateRequest) check(op *operation.Operation) error {
	if err := checkIdentifier(op, "name", g.Name); err != nil {
		return err
	}
	if err := checkText(op, "policyTemplateId", g.Template); err != nil {
		return err
	}
	if len(g.Events) == 0 {
		return invalid(op, "applyingEventIds", "is empty")
	}
	for i, event := range g.Events {
		if err := checkText(op, fmt.Sprintf("applyingEventIds[%d]", i), event); err != nil {
			return err
		}
	}
	return nil
}

// resolve finds the ids of what a gate names.
func (s *PolicyService) resolve(ctx context.Context, g GateRequest) (*RegisterPolicyRequest, error) {
	op := operation.PolicyRegister
	if err := g.check(op); err != nil {
		return nil, err
	}
	r := &RegisterPolicyRequest{Name: g.Name, Configuration: g.Configuration, VotingConfiguration: g.VotingConfiguration}
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

// named is a template or an event with the names that it can be chosen by.
type named struct{ id, name, title string }

// choose returns the id of the only option with the given id, name or title.
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

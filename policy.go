package privicore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/transport"
)

// PolicyService is the section "Policy" of the API. An active policy gates
// events, such as the retrieval of data: their commands end only once the
// authenticators have voted. Waiting for such a command takes as long as its
// poll, so its context should allow for that; a command that was voted down
// ends in a *CommandError with the reason.
type PolicyService service

// PolicyTemplate is a kind of policy that can be registered.
type PolicyTemplate struct {
	ID               string
	Name             string
	Description      string
	Events           []PolicyEvent
	Configuration    []string // names of what can be configured
	VotingAttributes []string
}

// PolicyEvent is something that a policy can gate.
type PolicyEvent struct {
	ID    string
	Name  string
	Title string // for people, such as "Retrieve data"
}

// policyTemplate is a PolicyTemplate on the wire. Its lists may be of any JSON
// type when they are empty.
type policyTemplate struct {
	Name             string          `json:"name"`
	Description      string          `json:"description"`
	Events           json.RawMessage `json:"events"`
	Configuration    json.RawMessage `json:"configuration"`
	VotingAttributes json.RawMessage `json:"votingAttributes"`
}

func (w policyTemplate) template(id string) PolicyTemplate {
	t := PolicyTemplate{ID: id, Name: w.Name, Description: w.Description}
	t.Configuration = messagesIn(w.Configuration)
	t.VotingAttributes = messagesIn(w.VotingAttributes)
	var events map[string]map[string]string
	_ = json.Unmarshal(w.Events, &events) // an empty list is an array
	for _, eventID := range slices.Sorted(maps.Keys(events)) {
		for name, title := range events[eventID] {
			t.Events = append(t.Events, PolicyEvent{ID: eventID, Name: name, Title: title})
		}
	}
	return t
}

// ListTemplates returns the kinds of policies there are, ordered by id: "List
// policy templates".
func (s *PolicyService) ListTemplates(ctx context.Context) ([]PolicyTemplate, error) {
	op, p := operation.PolicyListTemplates, params{}
	resp, err := s.client.send(ctx, op, &p, "")
	if err != nil {
		return nil, err
	}
	var byID map[string]policyTemplate
	if err := json.Unmarshal(resp.Body, &byID); err != nil {
		var none []any
		if json.Unmarshal(resp.Body, &none) == nil && len(none) == 0 {
			return nil, nil
		}
		return nil, unreadable(op, &p, resp, describeBody(resp, err))
	}
	var templates []PolicyTemplate
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		templates = append(templates, byID[id].template(id))
	}
	return templates, nil
}

// PolicyRegistration is a policy to register.
type PolicyRegistration struct {
	TemplateID string
	EventIDs   []string
	Name       string // optional
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
	if _, err := p.Wait(ctx); err != nil {
		return nil, err
	}
	var policy *Policy
	err := untilFound(ctx, func() (err error) {
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
	Template string   // id or name
	Events   []string // ids, names or titles
	// Configuration and VotingConfiguration are as in PolicyRegistration. If
	// Configuration is empty, the policy's name is sent as one: an empty
	// configuration may be refused, and what else could go in is not known.
	Configuration       map[string]any
	VotingConfiguration string
}

// Gate registers a policy and activates it, and waits for both: when it
// returns, the events are gated. A template or an event that does not exist is
// a *ValidationError that lists those that do.
func (s *PolicyService) Gate(ctx context.Context, g Gate) (*Policy, error) {
	op := operation.PolicyRegister
	if err := checkIdentifier(op, "name", g.Name); err != nil {
		return nil, err
	}
	if len(g.Events) == 0 {
		return nil, invalid(op, "applyingEventIds", "is empty")
	}
	r := PolicyRegistration{Name: g.Name, Configuration: g.Configuration, VotingConfiguration: g.VotingConfiguration}
	if len(r.Configuration) == 0 {
		r.Configuration = map[string]any{"name": g.Name}
	}
	templates, err := s.ListTemplates(ctx)
	if err != nil {
		return nil, err
	}
	template, err := choose(op, "policyTemplateId", g.Template, templates, func(t PolicyTemplate) []string { return []string{t.ID, t.Name} })
	if err != nil {
		return nil, err
	}
	r.TemplateID = template.ID
	for _, name := range g.Events {
		event, err := choose(op, "applyingEventIds", name, template.Events, func(e PolicyEvent) []string { return []string{e.ID, e.Name, e.Title} })
		if err != nil {
			return nil, err
		}
		r.EventIDs = append(r.EventIDs, event.ID)
	}
	pending, err := s.Register(ctx, r)
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
	_, err = cmd.Wait(ctx)
	return policy, err
}

// choose finds the option that goes by the name, in any case.
func choose[T any](op *operation.Operation, field, name string, options []T, names func(T) []string) (T, error) {
	var known []string
	for _, option := range options {
		for _, n := range names(option) {
			if name != "" && strings.EqualFold(n, name) {
				return option, nil
			}
		}
		known = append(known, fmt.Sprintf("%q", names(option)[1]))
	}
	var none T
	return none, invalid(op, field, fmt.Sprintf("has %q, which does not exist; there are %s", name, strings.Join(known, ", ")))
}

const (
	// foundWithin is how long something may lag behind its command.
	foundWithin    = 10 * time.Second
	firstFindPause = 100 * time.Millisecond
	maxFindPause   = time.Second
)

// untilFound calls f again as long as it does not find what a command made.
func untilFound(ctx context.Context, f func() error) error {
	began := time.Now()
	for pause := firstFindPause; ; pause = min(2*pause, maxFindPause) {
		err := f()
		if !errors.Is(err, ErrNotFound) || time.Since(began) > foundWithin || endsBefore(ctx, time.Now().Add(pause)) {
			return err
		}
		timer := time.NewTimer(transport.Jitter(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

package privicoretest

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// policy makes the operations of its events wait for a vote while it is active.
type policy struct {
	ID                    string         `json:"id"`
	Name                  string         `json:"name"`
	PolicyTemplateID      string         `json:"policyTemplateId"`
	ApplyingEventIDs      []string       `json:"applyingEventIds"`
	Configuration         map[string]any `json:"configuration"`
	VotingConfigurationID string         `json:"votingConfigurationId,omitempty"`
	Active                bool           `json:"active"`
	CreatedAt             string         `json:"createdAt"`

	owner   *profile
	voting  *votingConfiguration // nil: the settings of the profile
	created time.Time
	visible time.Time // from when on a lookup by name finds it
}

// event returns the event of the policy that covers an operation, or nil if the
// policy does not cover it.
func (p *policy) event(op *operation.Operation) *policyEvent {
	for _, template := range policyTemplates {
		for i, event := range template.events {
			if slices.Contains(p.ApplyingEventIDs, event.id) && slices.Contains(event.operations, op) {
				return &template.events[i]
			}
		}
	}
	return nil
}

// jsonObject is a rule for an object, which may be empty.
func jsonObject(value any, given bool) string {
	if !given {
		return missing
	}
	if _, ok := object(value); !ok {
		return "This value should be an object."
	}
	return ""
}

var policyFields = []field{
	{"policyTemplateId", text},
	{"applyingEventIds", textList},
	{"name", optional(text)},
	{"configuration", optional(jsonObject)},
	{"configurationId", optional(text)},
	{"votingConfigurationId", optional(text)},
}

func registerPolicy(s *state, c *call) answer {
	p := &policy{
		ID:               newID(),
		Name:             c.text("name"),
		PolicyTemplateID: strings.ToLower(c.text("policyTemplateId")),
		ApplyingEventIDs: c.ids("applyingEventIds"),
		Configuration:    map[string]any{},
		owner:            c.profile,
	}
	if p.Name == "" {
		p.Name = p.ID
	}
	if configuration, ok := object(c.params["configuration"]); ok {
		p.Configuration = configuration
	}
	if problems := s.checkPolicy(c, p); len(problems) > 0 {
		return invalid(problems...)
	}
	return s.accept(c, func(*command) outcome {
		if c.profile.policy(func(other *policy) bool { return other.Name == p.Name }) != nil {
			return rejected("policy.name_taken")
		}
		now := time.Now()
		p.created, p.CreatedAt, p.visible = now, s.timestamp(now), now.Add(s.config.policyLag)
		c.profile.policies = append(c.profile.policies, p)
		return succeeded("policy.policy_registered")
	})
}

// checkPolicy returns what is wrong with a new policy.
func (s *state) checkPolicy(c *call, p *policy) []problem {
	problems := checkTemplate(p)
	if s.config.dialect == Observed && len(p.Configuration) == 0 {
		problems = append(problems, problem{"configuration", blank})
	}
	return append(problems, setVotingConfiguration(c, p)...)
}

// checkTemplate looks for the template and the events of a policy.
func checkTemplate(p *policy) []problem {
	template := findTemplate(p.PolicyTemplateID)
	switch {
	case template == nil:
		return []problem{{"policyTemplateId", "There is no such policy template."}}
	case len(p.ApplyingEventIDs) == 0:
		return []problem{{"applyingEventIds", blank}}
	}
	for _, id := range p.ApplyingEventIDs {
		if !slices.ContainsFunc(template.events, func(e policyEvent) bool { return e.id == id }) {
			return []problem{{"applyingEventIds", "The policy template has no such event."}}
		}
	}
	return nil
}

// setVotingConfiguration gives a policy the voting configuration that the call
// names, if it names one.
func setVotingConfiguration(c *call, p *policy) (problems []problem) {
	// The first name is documented, the second was observed.
	for _, name := range []string{"configurationId", "votingConfigurationId"} {
		if !c.has(name) {
			continue
		}
		v := c.profile.votingConfiguration(c.text(name))
		switch {
		case v == nil:
			problems = append(problems, problem{name, "There is no such voting configuration."})
		case p.voting != nil && p.voting != v:
			problems = append(problems, problem{name, "There is another voting configuration in configurationId."})
		default:
			p.voting, p.VotingConfigurationID = v, v.ID
		}
	}
	return problems
}

// votingConfiguration returns the configuration with that id or name, or nil.
func (p *profile) votingConfiguration(reference string) *votingConfiguration {
	for _, v := range p.configurations {
		if strings.EqualFold(v.ID, reference) {
			return v
		}
	}
	return p.configuration(reference)
}

// policy returns the first policy of a profile that matches, or nil.
func (p *profile) policy(matches func(*policy) bool) *policy {
	if i := slices.IndexFunc(p.policies, matches); i >= 0 {
		return p.policies[i]
	}
	return nil
}

func noPolicy() answer {
	return refuse(http.StatusNotFound, "policy.not_found", "The policy was not found.")
}

// onPolicy accepts a command about the policy that the call names, or answers
// 404. The effect does not run if the policy is deleted in the meantime.
func (s *state) onPolicy(c *call, effect func(*policy) outcome) answer {
	p := c.profile.policy(func(p *policy) bool { return strings.EqualFold(p.ID, c.text("policyId")) })
	if p == nil {
		return noPolicy()
	}
	return s.accept(c, func(*command) outcome {
		if !slices.Contains(c.profile.policies, p) {
			return rejected("policy.not_found")
		}
		return effect(p)
	})
}

func activatePolicy(s *state, c *call) answer {
	return s.onPolicy(c, func(p *policy) outcome {
		p.Active = true
		return succeeded("policy.policy_activated")
	})
}

func deactivatePolicy(s *state, c *call) answer {
	return s.onPolicy(c, func(p *policy) outcome {
		p.Active = false
		return succeeded("policy.policy_deactivated")
	})
}

func deletePolicy(s *state, c *call) answer {
	return s.onPolicy(c, func(p *policy) outcome {
		p.Active = false
		c.profile.policies = slices.DeleteFunc(c.profile.policies, func(other *policy) bool { return other == p })
		return succeeded("policy.policy_deleted")
	})
}

func retrievePolicy(s *state, c *call) answer {
	p := c.profile.policy(func(p *policy) bool { return p.Name == c.path() })
	if p == nil || time.Now().Before(p.visible) {
		return noPolicy()
	}
	return value(p)
}

// listPolicies serves the lists of active, inactive and all policies.
func listPolicies(s *state, c *call) answer {
	list := []*policy{}
	for _, p := range c.profile.policies {
		if c.op == operation.PolicyListRegistered || p.Active == (c.op == operation.PolicyListActive) {
			list = append(list, p)
		}
	}
	return value(list)
}

// pollsFor makes the polls that active policies ask for before the call's
// operation is carried out. They are not open yet.
func (s *state) pollsFor(c *call) []*poll {
	if c.profile == nil || c.seeded {
		return nil
	}
	var polls []*poll
	for _, p := range c.profile.policies {
		event := p.event(c.op)
		if !p.Active || event == nil {
			continue
		}
		polls = append(polls, &poll{
			id:        newID(),
			owner:     c.profile,
			operation: c.op,
			title:     event.label,
			question:  event.label + "? Policy " + p.Name + " asks for a vote.",
			voting:    p.voting,
		})
	}
	return polls
}

// holdAll opens polls one after the other until one fails. It then calls then,
// with the reasons of the failure or with nil.
func (s *state) holdAll(polls []*poll, then func(denied []string)) {
	if len(polls) == 0 {
		then(nil)
		return
	}
	first := polls[0]
	first.over = func(denied []string) {
		if denied != nil {
			then(denied)
			return
		}
		s.holdAll(polls[1:], then)
	}
	s.open(first)
}

package privicoretest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/operation"
)

// VotingSettings are the settings for the polls of a profile.
type VotingSettings struct {
	QuorumSize int // votes that a poll needs
	Strategy   privicore.Strategy
	Percentage int           // of privicore.MinimumPercentage
	TimeLimit  time.Duration // of an attempt, in whole seconds
	Attempts   int           // how often a poll is held
}

// VotingSettings returns the settings for the polls of the profile.
func (p *Profile) VotingSettings() VotingSettings {
	p.server.state.mu.Lock()
	defer p.server.state.mu.Unlock()
	v := p.profile.voting
	settings := VotingSettings{
		QuorumSize: v.QuorumSize,
		Strategy:   privicore.Strategy(v.Strategy),
		TimeLimit:  time.Duration(v.TimeLimit) * time.Second,
		Attempts:   v.NumberOfAttempts,
	}
	settings.Percentage, _ = strconv.Atoi(v.StrategyParams)
	return settings
}

// SetVotingSettings changes the settings for the polls of the profile. A field that
// is zero leaves its setting as it is. A Percentage belongs to a Strategy.
func (p *Profile) SetVotingSettings(v VotingSettings) {
	p.server.helper()
	p.change("voting settings", func(s *state) error {
		before := p.profile.voting
		for op, params := range v.operations() {
			if _, err := s.seed(p.profile, op, params); err != nil {
				p.profile.voting = before
				return err
			}
		}
		return nil
	})
}

// operations returns the operations that set what is not zero, with their
// parameters.
func (v VotingSettings) operations() map[*operation.Operation]map[string]any {
	steps := make(map[*operation.Operation]map[string]any)
	if v.QuorumSize != 0 {
		steps[operation.AuthenticatorSetQuorumSize] = map[string]any{"quorumSize": strconv.Itoa(v.QuorumSize)}
	}
	if v.Strategy != "" || v.Percentage != 0 {
		steps[operation.AuthenticatorSetQuorumStrategy] = map[string]any{
			"strategy": string(v.Strategy), "strategy_params": strconv.Itoa(percentageOf(v.Strategy, v.Percentage)),
		}
	}
	if v.TimeLimit != 0 {
		steps[operation.AuthenticatorSetVotingTimeLimit] = map[string]any{"timeLimit": seconds(v.TimeLimit)}
	}
	if v.Attempts != 0 {
		steps[operation.AuthenticatorSetMaximumVotingAttempts] = map[string]any{"numberOfAttempts": strconv.Itoa(v.Attempts)}
	}
	return steps
}

// percentageOf returns the percentage that a strategy is sent with.
func percentageOf(strategy privicore.Strategy, percentage int) int {
	switch strategy {
	case privicore.Unanimous:
		return 100
	case privicore.Consensus:
		return 51
	case privicore.Affirmative:
		return 1
	}
	return percentage
}

// seconds returns a time as a parameter: a number of seconds, with a fraction that
// the rules refuse if there is one.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// VotingConfiguration is a voting configuration as the server stores it.
type VotingConfiguration struct {
	ID                 string
	Name               string
	TimeLimit          time.Duration // in whole seconds
	Strategy           privicore.Strategy
	PercentageRequired int      // of privicore.MinimumPercentage
	DeviceIdentifiers  []string // that vote; none means all authenticators
}

// AddVotingConfiguration adds a voting configuration and returns its id. It ignores
// v.ID. TimeLimit is a minute and Strategy is [privicore.Consensus] by default.
func (p *Profile) AddVotingConfiguration(v VotingConfiguration) (id string) {
	p.server.helper()
	params := map[string]any{
		"name":              v.Name,
		"timeLimit":         json.Number(seconds(v.TimeLimit)),
		"strategy":          string(v.Strategy),
		"deviceIdentifiers": anyList(v.DeviceIdentifiers),
	}
	if v.TimeLimit == 0 {
		params["timeLimit"] = json.Number("60")
	}
	if v.Strategy == "" {
		params["strategy"] = string(privicore.Consensus)
	}
	if v.Strategy == privicore.MinimumPercentage {
		params["percentageRequired"] = json.Number(strconv.Itoa(v.PercentageRequired))
	}
	p.change("voting configuration "+v.Name, func(s *state) error {
		_, err := s.seed(p.profile, operation.AuthenticatorRegisterVotingConfiguration, params)
		if err == nil {
			id = p.profile.configuration(v.Name).ID
		}
		return err
	})
	return id
}

// VotingConfigurations returns the voting configurations of the profile, the oldest
// first.
func (p *Profile) VotingConfigurations() []VotingConfiguration {
	p.server.state.mu.Lock()
	defer p.server.state.mu.Unlock()
	var configurations []VotingConfiguration
	for _, v := range p.profile.configurations {
		c := VotingConfiguration{
			ID:                v.ID,
			Name:              v.Name,
			TimeLimit:         time.Duration(v.TimeLimit) * time.Second,
			Strategy:          privicore.Strategy(v.Strategy),
			DeviceIdentifiers: slices.Clone(v.DeviceIdentifiers),
		}
		if v.PercentageRequired != nil {
			c.PercentageRequired = *v.PercentageRequired
		}
		configurations = append(configurations, c)
	}
	return configurations
}

// Policy is a policy as the server stores it.
type Policy struct {
	ID     string
	Name   string
	Events []string // titles, such as "Approve device"

	// Template is the name of the template, such as "Device control".
	Template            string
	Configuration       map[string]any
	VotingConfiguration string // name, or "" for the settings of the profile
	Active              bool
	CreatedAt           time.Time
}

// AddPolicy adds a policy and returns its id. Name and Events must be set. It ignores
// ID and CreatedAt. A lookup by name finds the policy at once.
//
// An event is named by its id, its name, its title or an operation that it gates,
// such as "Device.Approve". The template is named by its id or name, and is by
// default that of the events. The voting configuration is named by its id or name.
// The configuration has something in it by default.
func (p *Profile) AddPolicy(policy Policy) (id string) {
	p.server.helper()
	p.change("policy "+policy.Name, func(s *state) (err error) {
		id, err = s.addPolicy(p.profile, policy)
		return err
	})
	return id
}

func (s *state) addPolicy(owner *profile, policy Policy) (id string, err error) {
	template, events, err := resolvePolicy(policy)
	if err != nil {
		return "", err
	}
	configuration := policy.Configuration
	if len(configuration) == 0 {
		configuration = map[string]any{"reason": policy.Name} // an observed server refuses an empty one
	}
	params := map[string]any{
		"policyTemplateId": template.id,
		"applyingEventIds": anyList(events),
		"name":             policy.Name,
		"configuration":    maps.Clone(configuration),
	}
	if policy.VotingConfiguration != "" {
		params["configurationId"] = policy.VotingConfiguration
	}
	if _, err := s.seed(owner, operation.PolicyRegister, params); err != nil {
		return "", err
	}
	added := owner.policies[len(owner.policies)-1]
	added.visible = time.Now()
	if policy.Active {
		_, err = s.seed(owner, operation.PolicyActivate, map[string]any{"policyId": added.ID})
	}
	return added.ID, err
}

// resolvePolicy returns the template and the ids of the events that a policy names.
func resolvePolicy(policy Policy) (*policyTemplate, []string, error) {
	if len(policy.Events) == 0 {
		return nil, nil, errors.New("there are no events")
	}
	for i := range policyTemplates {
		template := &policyTemplates[i]
		named := template.id == policy.Template || strings.EqualFold(template.name, policy.Template)
		if policy.Template != "" && !named {
			continue
		}
		var ids []string
		for _, name := range policy.Events {
			if at := slices.IndexFunc(template.events, func(e policyEvent) bool { return e.isNamed(name) }); at >= 0 {
				ids = append(ids, template.events[at].id)
			}
		}
		if len(ids) == len(policy.Events) {
			return template, slices.Compact(ids), nil
		}
	}
	return nil, nil, fmt.Errorf("no template %q has the events %q", policy.Template, policy.Events)
}

// isNamed reports whether name is one of the names of an event.
func (e policyEvent) isNamed(name string) bool {
	gates := func(op *operation.Operation) bool { return op.Name == name }
	return e.id == name || strings.EqualFold(e.name, name) || strings.EqualFold(e.label, name) ||
		slices.ContainsFunc(e.operations, gates)
}

// Policies returns the policies of the profile, the oldest first.
func (p *Profile) Policies() []Policy {
	p.server.state.mu.Lock()
	defer p.server.state.mu.Unlock()
	var policies []Policy
	for _, stored := range p.profile.policies {
		policies = append(policies, stored.snapshot())
	}
	return policies
}

func (p *policy) snapshot() Policy {
	snapshot := Policy{
		ID:            p.ID,
		Name:          p.Name,
		Configuration: maps.Clone(p.Configuration),
		Active:        p.Active,
		CreatedAt:     p.created,
	}
	if p.voting != nil {
		snapshot.VotingConfiguration = p.voting.Name
	}
	template := findTemplate(p.PolicyTemplateID)
	if template == nil {
		return snapshot
	}
	snapshot.Template = template.name
	for _, event := range template.events {
		if slices.Contains(p.ApplyingEventIDs, event.id) {
			snapshot.Events = append(snapshot.Events, event.label)
		}
	}
	return snapshot
}

// anyList returns a list as JSON would be decoded.
func anyList(values []string) []any {
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	return list
}

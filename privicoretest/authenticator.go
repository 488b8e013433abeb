package privicoretest

import (
	"net/http"
	"slices"
)

const minimumPercentage = "minimum_percentage"

// voting has the rules of a profile's polls. A voting configuration may replace
// some of them.
type voting struct {
	QuorumSize       int    `json:"quorumSize"`
	Strategy         string `json:"strategy"`
	StrategyParams   string `json:"strategy_params"`
	TimeLimit        int    `json:"timeLimit"` // seconds
	NumberOfAttempts int    `json:"numberOfAttempts"`
}

var defaultVoting = voting{QuorumSize: 1, Strategy: "consensus", StrategyParams: "51", TimeLimit: 60, NumberOfAttempts: 1}

// votingConfiguration is a named set of rules for polls.
type votingConfiguration struct {
	ID                 string   `json:"id"`
	Name               string   `json:"name"`
	TimeLimit          int      `json:"timeLimit"` // seconds
	Strategy           string   `json:"strategy"`
	PercentageRequired *int     `json:"percentageRequired,omitempty"`
	DeviceIdentifiers  []string `json:"deviceIdentifiers"` // empty: all authenticators
}

var votingConfigurationFields = []field{
	{"name", text},
	{"timeLimit", numberBetween(1, limit)},
	{"strategy", strategy},
	{"percentageRequired", optional(numberBetween(0, 100))},
	{"deviceIdentifiers", textList},
}

func registerAuthenticator(s *state, c *call) answer {
	return s.onDevice(c, func(d *device) outcome {
		if d.status != DeviceApproved {
			return rejected("verified_authenticator.device_not_approved")
		}
		d.authenticator = true
		return succeeded("verified_authenticator.authenticator_registered")
	})
}

func listAuthenticators(s *state, c *call) answer {
	return value(s.deviceRecords(c.profile, func(d *device) bool { return d.authenticator }))
}

func removeAuthenticator(s *state, c *call) answer {
	return s.accept(c, func(*command) outcome {
		d := s.device(c.profile, c.text("deviceIdentifier"))
		switch {
		case d == nil:
			return rejected("device.not_found")
		case !d.authenticator:
			return rejected("verified_authenticator.not_registered")
		}
		d.authenticator = false
		return succeeded("verified_authenticator.authenticator_removed")
	})
}

func retrieveStrategy(s *state, c *call) answer { return value(c.profile.voting) }

func setQuorumSize(s *state, c *call) answer {
	return s.accept(c, func(*command) outcome {
		c.profile.voting.QuorumSize = c.number("quorumSize")
		return succeeded("verified_authenticator.quorum_size_set")
	})
}

func setQuorumStrategy(s *state, c *call) answer {
	return s.accept(c, func(*command) outcome {
		c.profile.voting.Strategy = c.text("strategy")
		c.profile.voting.StrategyParams = c.text("strategy_params")
		return succeeded("verified_authenticator.quorum_strategy_set")
	})
}

func setVotingTimeLimit(s *state, c *call) answer {
	return s.accept(c, func(*command) outcome {
		c.profile.voting.TimeLimit = c.number("timeLimit")
		return succeeded("verified_authenticator.voting_time_limit_set")
	})
}

func setMaximumVotingAttempts(s *state, c *call) answer {
	return s.accept(c, func(*command) outcome {
		c.profile.voting.NumberOfAttempts = c.number("numberOfAttempts")
		return succeeded("verified_authenticator.maximum_voting_attempts_set")
	})
}

// configuration returns a profile's voting configuration with that name, or nil.
func (p *profile) configuration(name string) *votingConfiguration {
	i := slices.IndexFunc(p.configurations, func(v *votingConfiguration) bool { return v.Name == name })
	if i < 0 {
		return nil
	}
	return p.configurations[i]
}

func registerVotingConfiguration(s *state, c *call) answer {
	return s.putVotingConfiguration(c, func(v *votingConfiguration) outcome {
		if c.profile.configuration(v.Name) != nil {
			return rejected("verified_authenticator.voting_configuration_name_taken")
		}
		v.ID = newID()
		c.profile.configurations = append(c.profile.configurations, v)
		return succeeded("verified_authenticator.voting_configuration_registered")
	})
}

func updateVotingConfiguration(s *state, c *call) answer {
	return s.putVotingConfiguration(c, func(v *votingConfiguration) outcome {
		old := c.profile.configuration(v.Name)
		if old == nil {
			return rejected("verified_authenticator.voting_configuration_not_found")
		}
		v.ID = old.ID
		*old = *v
		return succeeded("verified_authenticator.voting_configuration_updated")
	})
}

// putVotingConfiguration checks a voting configuration and accepts a command
// that stores it with put.
func (s *state) putVotingConfiguration(c *call, put func(*votingConfiguration) outcome) answer {
	v := &votingConfiguration{
		Name:              c.text("name"),
		TimeLimit:         c.number("timeLimit"),
		Strategy:          c.text("strategy"),
		DeviceIdentifiers: c.ids("deviceIdentifiers"),
	}
	if c.has("percentageRequired") {
		percentage := c.number("percentageRequired")
		v.PercentageRequired = &percentage
	} else if v.Strategy == minimumPercentage {
		return invalid(problem{"percentageRequired", missing})
	}
	return s.accept(c, func(*command) outcome {
		for _, id := range v.DeviceIdentifiers {
			if d := s.device(c.profile, id); d == nil || !d.authenticator {
				return rejected("verified_authenticator.not_registered")
			}
		}
		return put(v)
	})
}

func listVotingConfigurations(s *state, c *call) answer {
	return value(append([]*votingConfiguration{}, c.profile.configurations...))
}

func retrieveVotingConfiguration(s *state, c *call) answer {
	v := c.profile.configuration(c.path())
	if v == nil {
		return refuse(http.StatusNotFound, "verified_authenticator.voting_configuration_not_found", "The voting configuration was not found.")
	}
	return value(v)
}

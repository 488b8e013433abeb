package main

import (
	"context"
	"net/http"
	"time"

	"github.com/tidwall/gjson"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/operation"
)

var (
	// That the settings are named like the parameters that set them is inferred.
	strategyForm = object(
		has("quorumSize", number), has("strategy", text), has("strategy_params", text),
		has("timeLimit", number), has("numberOfAttempts", number),
	)
	// The same is inferred for voting configurations.
	ruleForm = object(
		has("name", text), has("timeLimit", number), has("strategy", text), has("deviceIdentifiers", list(text)),
		may("percentageRequired", number), may("id", text),
	)
)

func (s *session) authenticators(ctx context.Context) error {
	_, err := s.own.client.VerifiedAuthenticator.List(ctx)
	return err
}

func registerAuthenticator(ctx context.Context, s *session, f *finding) bool {
	if _, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.VerifiedAuthenticator.Register(ctx, s.device)
	}); !ok {
		return false
	}
	f.effect(ctx, "the list of authenticators does not have the device", s.authenticators, func(v gjson.Result) bool {
		return holds(v, s.device)
	})
	return true
}

func listAuthenticators(ctx context.Context, s *session, f *finding) bool {
	return f.roster(ctx, operation.AuthenticatorRegister, s.device, s.authenticators)
}

func removeAuthenticator(ctx context.Context, s *session, f *finding) bool {
	if _, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.VerifiedAuthenticator.Remove(ctx, s.device)
	}); !ok {
		return false
	}
	f.effect(ctx, "the device is still in the list of authenticators", s.authenticators, func(v gjson.Result) bool {
		return !holds(v, s.device)
	})
	return true
}

func strategy(ctx context.Context, s *session, f *finding) bool {
	f.value(ctx, strategyForm, func(ctx context.Context) error {
		_, err := s.own.client.VerifiedAuthenticator.Strategy(ctx)
		return err
	})
	return true
}

// set changes a voting setting of the spare profile and reads it back.
func (f *finding) set(ctx context.Context, s *session, name, want string, call begin) bool {
	if _, ok := f.command(ctx, s.spare, call); !ok {
		return false
	}
	f.effect(ctx, "the settings of the profile do not show the new value", func(ctx context.Context) error {
		_, err := s.spare.client.VerifiedAuthenticator.Strategy(ctx)
		return err
	}, func(v gjson.Result) bool { return !v.Get(name).Exists() || v.Get(name).String() == want })
	return true
}

func setQuorumSize(ctx context.Context, s *session, f *finding) bool {
	return f.set(ctx, s, "quorumSize", "2", func(ctx context.Context) (*privicore.Command, error) {
		return s.spare.client.VerifiedAuthenticator.SetQuorumSize(ctx, 2)
	})
}

func setQuorumStrategy(ctx context.Context, s *session, f *finding) bool {
	return f.set(ctx, s, "strategy_params", "75", func(ctx context.Context) (*privicore.Command, error) {
		return s.spare.client.VerifiedAuthenticator.SetQuorumStrategy(ctx, privicore.MinimumPercentage, 75)
	})
}

func setVotingTimeLimit(ctx context.Context, s *session, f *finding) bool {
	return f.set(ctx, s, "timeLimit", "45", func(ctx context.Context) (*privicore.Command, error) {
		return s.spare.client.VerifiedAuthenticator.SetVotingTimeLimit(ctx, 45*time.Second)
	})
}

func setMaximumVotingAttempts(ctx context.Context, s *session, f *finding) bool {
	return f.set(ctx, s, "numberOfAttempts", "2", func(ctx context.Context) (*privicore.Command, error) {
		return s.spare.client.VerifiedAuthenticator.SetMaximumVotingAttempts(ctx, 2)
	})
}

func registerVotingConfiguration(ctx context.Context, s *session, f *finding) bool {
	s.rule = privicore.VotingConfiguration{
		Name: s.name, TimeLimit: 30 * time.Second, Strategy: privicore.MinimumPercentage,
		PercentageRequired: 51, DeviceIdentifiers: []string{s.device},
	}
	_, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.VerifiedAuthenticator.RegisterVotingConfiguration(ctx, s.rule)
	})
	if ok {
		s.made("voting configuration "+s.name, nil)
	}
	return ok
}

func listVotingConfigurations(ctx context.Context, s *session, f *finding) bool {
	e := f.value(ctx, list(ruleForm), func(ctx context.Context) error {
		_, err := s.own.client.VerifiedAuthenticator.ListVotingConfigurations(ctx)
		return err
	})
	if e == nil {
		return false
	}
	found := entry(e.json(), s.name)
	f.expect(found.Exists(), "the configuration that was registered is not in the list")
	s.ruleID = found.Get("id").Str
	return true
}

func (s *session) retrieveRule(ctx context.Context) error {
	_, err := s.own.client.VerifiedAuthenticator.RetrieveVotingConfiguration(ctx, s.name)
	return err
}

func retrieveVotingConfiguration(ctx context.Context, s *session, f *finding) bool {
	e := f.value(ctx, ruleForm, s.retrieveRule)
	if e == nil {
		return false
	}
	v := e.json()
	f.expect(holds(v, s.name) && holds(v, s.device), "the configuration is not the one that was registered")
	if limit := v.Get("timeLimit"); limit.Type == gjson.Number {
		f.expect(limit.Int() == int64(s.rule.TimeLimit/time.Second), "timeLimit is not in seconds as it was registered")
	}
	return true
}

func updateVotingConfiguration(ctx context.Context, s *session, f *finding) bool {
	s.rule.TimeLimit = 40 * time.Second
	if _, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.VerifiedAuthenticator.UpdateVotingConfiguration(ctx, s.rule)
	}); !ok {
		return false
	}
	f.effect(ctx, "the configuration does not show the new value", s.retrieveRule, func(v gjson.Result) bool {
		return !v.Get("timeLimit").Exists() || v.Get("timeLimit").Int() == 40
	})
	return true
}

func createVoting(ctx context.Context, s *session, f *finding) bool {
	var poll *privicore.Poll
	create := func(reference string) func(ctx context.Context) error {
		return func(ctx context.Context) (err error) {
			poll, err = s.own.client.Voting.Create(ctx, privicore.CreatePollRequest{
				VotingConfiguration: reference, Title: s.name, Question: "Is this a test?",
			})
			return err
		}
	}
	e := f.send(ctx, create(s.name))
	if e == nil && s.ruleID != "" {
		// Documented servers may want the id of the configuration.
		f.differences, f.unreachable = nil, ""
		f.note("the voting configuration cannot be given by its name, only by its id")
		e = f.send(ctx, create(s.ruleID))
	}
	if e == nil {
		return false
	}
	f.status(e, http.StatusOK, http.StatusAccepted)
	s.dialect.see(rowVoting, choose(e.status == http.StatusOK, e.status == http.StatusAccepted), f.op)
	s.made("poll "+s.name, nil)
	if commanded(e) {
		id, ok := f.follow(ctx, s.own, e, nil)
		s.poll = id
		return ok
	}
	f.body(e, anything)
	if poll != nil {
		s.poll = poll.ID
	}
	if s.poll == "" {
		s.poll, _ = stray(e.json(), "")
	}
	return s.poll != ""
}

func checkPollStatus(ctx context.Context, s *session, f *finding) bool {
	// That there is a status is inferred.
	f.value(ctx, object(has("status", text)), func(ctx context.Context) error {
		_, err := s.own.client.Voting.CheckStatus(ctx, s.poll)
		return err
	})
	f.refusal(ctx, http.StatusNotFound, "a poll that does not exist", func(ctx context.Context) error {
		_, err := s.own.client.Voting.CheckStatus(ctx, absentCommand)
		return err
	})
	return true
}

package privicore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// VerifiedAuthenticatorService is the section "Verified authenticator" of the
// API: the devices that vote on sensitive operations, and the rules by which
// they do.
//
// A poll runs for its time limit. Then it is decided by the votes that came, if
// they are a quorum, and fails otherwise; a poll that failed is repeated until
// the attempts are used up, and then the operation is denied. What is set here
// holds for all polls of the profile that no voting configuration speaks of.
type VerifiedAuthenticatorService service

// Strategy is how votes decide a poll.
type Strategy string

// The strategies.
const (
	Unanimous         Strategy = "unanimous"
	Consensus         Strategy = "consensus"   // more than half
	Affirmative       Strategy = "affirmative" // at least one
	MinimumPercentage Strategy = "minimum_percentage"
)

// percentages are what goes with the strategies that imply one.
var percentages = map[Strategy]int{Unanimous: 100, Consensus: 51, Affirmative: 1}

// check refuses a strategy that is not known, and a percentage that does not
// go with it.
func (s Strategy) check(op *operation.Operation, percentageField string, percentage int) error {
	_, implied := percentages[s]
	switch {
	case !implied && s != MinimumPercentage:
		return invalid(op, "strategy", fmt.Sprintf("is %q; it must be %q, %q, %q or %q", string(s), Unanimous, Consensus, Affirmative, MinimumPercentage))
	case percentage < 0 || percentage > 100:
		return invalid(op, percentageField, fmt.Sprintf("is %d; a percentage is between 0 and 100", percentage))
	case implied && percentage != 0:
		return invalid(op, percentageField, fmt.Sprintf("is %d; %s has no percentage of its own, leave it 0", percentage, s))
	}
	return nil
}

// Authenticator is a device that votes. Only its identifier is known, and that
// by inference; RawJSON has the rest.
type Authenticator struct {
	answer
	DeviceIdentifier string `json:"deviceIdentifier"`
}

// Register makes a device an authenticator: "Register authenticator".
func (s *VerifiedAuthenticatorService) Register(ctx context.Context, deviceIdentifier string) (*Command, error) {
	return s.client.deviceCommand(ctx, operation.AuthenticatorRegister, deviceIdentifier)
}

// List returns the authenticators of the profile: "List verified
// authenticators". The operation is inferred from the names of its siblings.
func (s *VerifiedAuthenticatorService) List(ctx context.Context) ([]Authenticator, error) {
	return list[Authenticator](ctx, s.client, operation.AuthenticatorList)
}

// Remove takes the role of authenticator from a device: "Remove authenticator".
// It gets no new ballots at once; those that are out stay valid until their
// poll ends. The device itself stays registered.
func (s *VerifiedAuthenticatorService) Remove(ctx context.Context, deviceIdentifier string) (*Command, error) {
	return s.client.deviceCommand(ctx, operation.AuthenticatorRemove, deviceIdentifier)
}

// VotingStrategy is the strategy in force. The names of its fields are
// inferred; RawJSON has what the server sent.
type VotingStrategy struct {
	answer
	Strategy Strategy `json:"strategy"`
}

// Strategy returns the strategy in force: "Retrieve voting strategy". The
// fields of the answer are not documented.
func (s *VerifiedAuthenticatorService) Strategy(ctx context.Context) (*VotingStrategy, error) {
	return value[VotingStrategy](ctx, s.client, operation.AuthenticatorStrategy, params{})
}

// SetQuorumSize sets how many votes a poll needs to be decided: "Set quorum
// size". The operation is inferred from the names of its siblings.
func (s *VerifiedAuthenticatorService) SetQuorumSize(ctx context.Context, votes int) (*Command, error) {
	op := operation.AuthenticatorSetQuorumSize
	if votes < 1 {
		return nil, invalid(op, "quorumSize", fmt.Sprintf("is %d; it must be at least 1", votes))
	}
	form := struct {
		QuorumSize int `url:"quorumSize"`
	}{votes}
	return s.client.command(ctx, op, params{form: form})
}

// SetQuorumStrategy sets how votes decide: "Set quorum strategy". The
// percentage, 0 to 100, belongs to MinimumPercentage; it is 0 for the others.
func (s *VerifiedAuthenticatorService) SetQuorumStrategy(ctx context.Context, strategy Strategy, percentage int) (*Command, error) {
	op := operation.AuthenticatorSetQuorumStrategy
	if err := strategy.check(op, "strategy_params", percentage); err != nil {
		return nil, err
	}
	if implied, ok := percentages[strategy]; ok {
		percentage = implied
	}
	form := struct {
		Strategy Strategy `url:"strategy"`
		Params   string   `url:"strategy_params"`
	}{strategy, strconv.Itoa(percentage)}
	return s.client.command(ctx, op, params{form: form})
}

// SetVotingTimeLimit sets how long a poll runs, in whole seconds: "Set voting
// time limit".
func (s *VerifiedAuthenticatorService) SetVotingTimeLimit(ctx context.Context, limit time.Duration) (*Command, error) {
	op := operation.AuthenticatorSetVotingTimeLimit
	seconds, err := wholeSeconds(op, "timeLimit", limit)
	if err != nil {
		return nil, err
	}
	form := struct {
		TimeLimit int64 `url:"timeLimit"`
	}{seconds}
	return s.client.command(ctx, op, params{form: form})
}

// SetMaximumVotingAttempts sets how often a poll is held before its operation
// is denied for good, at least 1: "Set maximum voting attempts".
func (s *VerifiedAuthenticatorService) SetMaximumVotingAttempts(ctx context.Context, attempts int) (*Command, error) {
	op := operation.AuthenticatorSetMaximumVotingAttempts
	if attempts < 1 {
		return nil, invalid(op, "numberOfAttempts", fmt.Sprintf("is %d; it must be at least 1", attempts))
	}
	form := struct {
		Attempts int `url:"numberOfAttempts"`
	}{attempts}
	return s.client.command(ctx, op, params{form: form})
}

// VotingConfiguration is a named set of rules, for polls that should not go by
// those of the profile.
type VotingConfiguration struct {
	answer
	Name      string
	TimeLimit time.Duration // of a poll, in whole seconds
	Strategy  Strategy
	// PercentageRequired, 0 to 100, belongs to MinimumPercentage.
	PercentageRequired int
	// DeviceIdentifiers are the authenticators that vote; none means all.
	DeviceIdentifiers []string
}

// votingConfiguration is a VotingConfiguration on the wire.
type votingConfiguration struct {
	Name               string   `json:"name"`
	TimeLimit          int64    `json:"timeLimit"`
	Strategy           Strategy `json:"strategy"`
	PercentageRequired *int     `json:"percentageRequired,omitempty"`
	DeviceIdentifiers  []string `json:"deviceIdentifiers"`
}

// RegisterVotingConfiguration makes a voting configuration: "Register voting
// configuration".
func (s *VerifiedAuthenticatorService) RegisterVotingConfiguration(ctx context.Context, v VotingConfiguration) (*Command, error) {
	return s.configure(ctx, operation.AuthenticatorRegisterVotingConfiguration, v)
}

// UpdateVotingConfiguration replaces the voting configuration of that name:
// "Update voting configuration". The operation is inferred from
// RegisterVotingConfiguration.
func (s *VerifiedAuthenticatorService) UpdateVotingConfiguration(ctx context.Context, v VotingConfiguration) (*Command, error) {
	return s.configure(ctx, operation.AuthenticatorUpdateVotingConfiguration, v)
}

func (s *VerifiedAuthenticatorService) configure(ctx context.Context, op *operation.Operation, v VotingConfiguration) (*Command, error) {
	if err := checkIdentifier(op, "name", v.Name); err != nil {
		return nil, err
	}
	seconds, err := wholeSeconds(op, "timeLimit", v.TimeLimit)
	if err != nil {
		return nil, err
	}
	if err := v.Strategy.check(op, "percentageRequired", v.PercentageRequired); err != nil {
		return nil, err
	}
	for i, id := range v.DeviceIdentifiers {
		if err := checkIdentifier(op, fmt.Sprintf("deviceIdentifiers[%d]", i), id); err != nil {
			return nil, err
		}
	}
	body := votingConfiguration{
		Name: v.Name, TimeLimit: seconds, Strategy: v.Strategy,
		DeviceIdentifiers: append([]string{}, v.DeviceIdentifiers...), // [], not null
	}
	if v.Strategy == MinimumPercentage {
		body.PercentageRequired = &v.PercentageRequired
	}
	return s.client.command(ctx, op, params{json: body})
}

// UnmarshalJSON reads the fields by the names under which they are registered;
// that they are listed under the same names is inferred.
func (v *VotingConfiguration) UnmarshalJSON(data []byte) error {
	var wire votingConfiguration
	if err := decode(data, &wire); err != nil {
		return err
	}
	*v = VotingConfiguration{
		Name: wire.Name, TimeLimit: time.Duration(wire.TimeLimit) * time.Second,
		Strategy: wire.Strategy, DeviceIdentifiers: wire.DeviceIdentifiers,
	}
	if wire.PercentageRequired != nil {
		v.PercentageRequired = *wire.PercentageRequired
	}
	return nil
}

// ListVotingConfigurations returns the voting configurations of the profile:
// "List voting configurations". The operation is inferred from the names of
// its siblings.
func (s *VerifiedAuthenticatorService) ListVotingConfigurations(ctx context.Context) ([]VotingConfiguration, error) {
	return list[VotingConfiguration](ctx, s.client, operation.AuthenticatorListVotingConfigurations)
}

// RetrieveVotingConfiguration returns one voting configuration: "Retrieve voting
// configuration". The operation is inferred from the names of its siblings.
func (s *VerifiedAuthenticatorService) RetrieveVotingConfiguration(ctx context.Context, name string) (*VotingConfiguration, error) {
	op := operation.AuthenticatorRetrieveVotingConfiguration
	if err := checkIdentifier(op, "name", name); err != nil {
		return nil, err
	}
	return value[VotingConfiguration](ctx, s.client, op, params{path: name})
}

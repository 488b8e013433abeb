package privicore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/wire"
)

// VerifiedAuthenticatorService is the section "Verified authenticator" of the
// API: the devices that vote on sensitive operations, and the rules by which they
// do.
//
// A poll runs for its time limit. If enough votes came for a quorum, they decide
// it; otherwise it fails. A poll that fails is repeated until its attempts are used
// up, and then the operation is denied. The settings of this service apply to all
// polls of the profile that have no voting configuration of their own.
type VerifiedAuthenticatorService service

// A Strategy is how votes decide a poll. Percentages count the authenticators
// that respond, not all there are.
type Strategy string

// The strategies.
const (
	Unanimous         Strategy = "unanimous"
	Consensus         Strategy = "consensus"   // more than half
	Affirmative       Strategy = "affirmative" // at least one
	MinimumPercentage Strategy = "minimum_percentage"
)

// percentages are the percentages of the strategies that imply one.
var percentages = map[Strategy]int{Unanimous: 100, Consensus: 51, Affirmative: 1}

// check refuses a strategy that is not known, and a percentage that the strategy
// has no use for.
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

// Authenticator is a device that votes. Only its identifier is known, and that is
// inferred. RawJSON has the rest.
type Authenticator struct {
	answer
	DeviceIdentifier string `json:"deviceIdentifier"`
}

// Format leaves out the raw JSON.
func (a Authenticator) Format(s fmt.State, verb rune) { format(s, verb, a) }

// Register makes a device an authenticator. It returns the command and does not
// wait.
//
// It is the operation [Register authenticator].
//
// [Register authenticator]: https://docs.privicore.com/register-authenticator-14411456e0
func (s *VerifiedAuthenticatorService) Register(ctx context.Context, deviceIdentifier string) (*Command, error) {
	return s.client.deviceCommand(ctx, operation.AuthenticatorRegister, deviceIdentifier)
}

// List returns the authenticators of the profile. That the operation answers like
// its siblings is inferred.
//
// It is the operation [List verified authenticators].
//
// [List verified authenticators]: https://docs.privicore.com/list-verified-authenticators-14411457e0
func (s *VerifiedAuthenticatorService) List(ctx context.Context) ([]Authenticator, error) {
	return list[Authenticator](ctx, s.client, operation.AuthenticatorList, params{})
}

// Remove makes a device stop being an authenticator. The device gets no more
// ballots. Ballots that it has stay valid until their poll ends, and the device
// stays registered. Remove returns the command and does not wait.
//
// It is the operation [Remove authenticator].
//
// [Remove authenticator]: https://docs.privicore.com/remove-authenticator-14411463e0
func (s *VerifiedAuthenticatorService) Remove(ctx context.Context, deviceIdentifier string) (*Command, error) {
	return s.client.deviceCommand(ctx, operation.AuthenticatorRemove, deviceIdentifier)
}

// VotingStrategy holds the settings for the polls of a profile. That the server
// sends them under the names under which they are set is inferred. A field that the
// server does not send is zero. RawJSON has what the server sent.
type VotingStrategy struct {
	answer
	Strategy        Strategy
	Percentage      int           // of the strategy, 0 to 100
	QuorumSize      int           // votes that a poll needs
	TimeLimit       time.Duration // of a poll
	MaximumAttempts int           // how often a poll is held
}

// Format leaves out the raw JSON.
func (v VotingStrategy) Format(s fmt.State, verb rune) { format(s, verb, v) }

// UnmarshalJSON reads the settings under the names under which they are set. It
// also reads a text that is the strategy alone.
func (v *VotingStrategy) UnmarshalJSON(data []byte) error {
	var fields struct {
		Strategy   Strategy `json:"strategy"`
		Percentage int      `json:"strategy_params"`
		QuorumSize int      `json:"quorumSize"`
		TimeLimit  int64    `json:"timeLimit"`
		Attempts   int      `json:"numberOfAttempts"`
	}
	if alone := Strategy(wire.Word(data)); alone == MinimumPercentage || percentages[alone] != 0 {
		v.Strategy = alone
		return nil
	}
	if err := wire.Decode(data, &fields); err != nil {
		return err
	}
	*v = VotingStrategy{
		answer:          v.answer,
		Strategy:        fields.Strategy,
		Percentage:      fields.Percentage,
		QuorumSize:      fields.QuorumSize,
		TimeLimit:       time.Duration(fields.TimeLimit) * time.Second,
		MaximumAttempts: fields.Attempts,
	}
	return nil
}

// Strategy returns the settings for the polls of the profile. The fields of the
// answer are not documented.
//
// It is the operation [Retrieve voting strategy].
//
// [Retrieve voting strategy]: https://docs.privicore.com/retrieve-voting-strategy-14411458e0
func (s *VerifiedAuthenticatorService) Strategy(ctx context.Context) (*VotingStrategy, error) {
	return value[VotingStrategy](ctx, s.client, operation.AuthenticatorStrategy, params{})
}

// SetQuorumSize sets how many votes a poll needs to be decided, at least 1. It
// returns the command and does not wait. The operation's path is inferred from
// the names of its siblings.
//
// It is the operation [Set quorum size].
//
// [Set quorum size]: https://docs.privicore.com/set-quorum-size-14411459e0
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

// SetQuorumStrategy sets how votes decide. The percentage, 0 to 100, belongs to
// MinimumPercentage; for the other strategies it must be 0. SetQuorumStrategy
// returns the command and does not wait.
//
// It is the operation [Set quorum strategy].
//
// [Set quorum strategy]: https://docs.privicore.com/set-quorum-strategy-14411460e0
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

// SetVotingTimeLimit sets how long a poll runs, in whole seconds. It returns the
// command and does not wait.
//
// It is the operation [Set voting time limit].
//
// [Set voting time limit]: https://docs.privicore.com/set-voting-time-limit-14411461e0
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

// SetMaximumVotingAttempts sets how often a poll is held before its operation is
// denied for good, at least 1. It returns the command and does not wait.
//
// It is the operation [Set maximum voting attempts].
//
// [Set maximum voting attempts]: https://docs.privicore.com/set-maximum-voting-attempts-14411462e0
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

// VotingConfiguration is a named set of rules for polls, in place of the settings
// of the profile. A configuration that was retrieved can be changed and given to
// UpdateVotingConfiguration.
type VotingConfiguration struct {
	answer
	Name      string        // unique within the profile
	TimeLimit time.Duration // of a poll, in whole seconds
	Strategy  Strategy
	// PercentageRequired, 0 to 100, belongs to MinimumPercentage. For the other
	// strategies it must be 0.
	PercentageRequired int
	// DeviceIdentifiers are the authenticators that vote. None means all.
	DeviceIdentifiers []string
}

// Format leaves out the raw JSON.
func (v VotingConfiguration) Format(s fmt.State, verb rune) { format(s, verb, v) }

// votingConfiguration is a voting configuration on the wire.
type votingConfiguration struct {
	Name               string   `json:"name"`
	TimeLimit          int64    `json:"timeLimit"`
	Strategy           Strategy `json:"strategy"`
	PercentageRequired *int     `json:"percentageRequired,omitempty"`
	DeviceIdentifiers  []string `json:"deviceIdentifiers"`
}

// RegisterVotingConfiguration registers a voting configuration. It returns the
// command and does not wait.
//
// It is the operation [Register voting configuration].
//
// [Register voting configuration]: https://docs.privicore.com/register-voting-configuration-25063796e0
func (s *VerifiedAuthenticatorService) RegisterVotingConfiguration(ctx context.Context, v VotingConfiguration) (*Command, error) {
	return s.configure(ctx, operation.AuthenticatorRegisterVotingConfiguration, v)
}

// UpdateVotingConfiguration replaces the voting configuration of the same name.
// It returns the command and does not wait. The operation is inferred from
// RegisterVotingConfiguration.
//
// It is the operation [Update voting configuration].
//
// [Update voting configuration]: https://docs.privicore.com/update-voting-configuration-25063797e0
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
	if err := checkIdentifiers(op, "deviceIdentifiers", v.DeviceIdentifiers); err != nil {
		return nil, err
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

// UnmarshalJSON reads the fields under the names under which they are registered.
// That the server uses the same names for both is inferred.
func (v *VotingConfiguration) UnmarshalJSON(data []byte) error {
	var fields votingConfiguration
	if err := wire.Decode(data, &fields); err != nil {
		return err
	}
	*v = VotingConfiguration{
		answer:            v.answer,
		Name:              fields.Name,
		TimeLimit:         time.Duration(fields.TimeLimit) * time.Second,
		Strategy:          fields.Strategy,
		DeviceIdentifiers: fields.DeviceIdentifiers,
	}
	if fields.PercentageRequired != nil {
		v.PercentageRequired = *fields.PercentageRequired
	}
	return nil
}

// ListVotingConfigurations returns the voting configurations of the profile. The
// operation is inferred from the names of its siblings.
//
// It is the operation [List voting configurations].
//
// [List voting configurations]: https://docs.privicore.com/list-voting-configurations-25063798e0
func (s *VerifiedAuthenticatorService) ListVotingConfigurations(ctx context.Context) ([]VotingConfiguration, error) {
	return list[VotingConfiguration](ctx, s.client, operation.AuthenticatorListVotingConfigurations, params{})
}

// RetrieveVotingConfiguration returns the voting configuration with the given name.
// The operation is inferred from the names of its siblings.
//
// It is the operation [Retrieve voting configuration].
//
// [Retrieve voting configuration]: https://docs.privicore.com/retrieve-voting-configuration-25063799e0
func (s *VerifiedAuthenticatorService) RetrieveVotingConfiguration(ctx context.Context, name string) (*VotingConfiguration, error) {
	op := operation.AuthenticatorRetrieveVotingConfiguration
	if err := checkIdentifier(op, "name", name); err != nil {
		return nil, err
	}
	return value[VotingConfiguration](ctx, s.client, op, params{path: name})
}

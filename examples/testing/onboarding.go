// Package onboarding is a small service and the tests of it. The service brings a
// device into a profile and stores a secret for it.
//
// The tests in onboarding_test.go run the service against a Privicore of package
// privicoretest. Those in fake_test.go run it against fakes, without any server.
package onboarding

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/privicore/privicore-go"
)

// ErrDenied means that the authenticators have voted against the device.
var ErrDenied = errors.New("the device was voted down")

// Devices is what the service needs of Client.Device.
type Devices interface {
	RequestIdentifier(ctx context.Context, deviceName string) (*privicore.Pending[*privicore.Device], error)
	Approve(ctx context.Context, deviceIdentifier string) (*privicore.Command, error)
	Reject(ctx context.Context, deviceIdentifier string) (*privicore.Command, error)
}

// Secrets is what the service needs of Client.DataToken.
type Secrets interface {
	Store(ctx context.Context, p privicore.Payload) (string, error)
}

// Service onboards devices.
type Service struct {
	Devices Devices
	Secrets Secrets
	Cipher  privicore.Cipher
}

// Onboarded is a device that has been onboarded.
type Onboarded struct {
	Identifier string
	Secret     string // the token for its secret
}

// Onboard registers and approves a device, and stores its secret. It returns
// ErrDenied if a vote is held on the approval and lost. The device is rejected then.
func (s *Service) Onboard(ctx context.Context, name string, secret []byte) (*Onboarded, error) {
	pending, err := s.Devices.RequestIdentifier(ctx, name)
	if err != nil {
		return nil, err
	}
	device, err := pending.Result(ctx)
	if err != nil {
		return nil, err
	}
	err = done(ctx, s.Devices.Approve, device.Identifier)
	if errors.Is(err, privicore.MessageKey("voting.denied")) {
		return nil, errors.Join(ErrDenied, done(ctx, s.Devices.Reject, device.Identifier))
	}
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", device.Identifier, err)
	}
	token, err := s.Secrets.Store(ctx, privicore.Payload{Data: bytes.NewReader(secret), Cipher: s.Cipher, Context: "device secrets", Name: name})
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", device.Identifier, err)
	}
	return &Onboarded{Identifier: device.Identifier, Secret: token}, nil
}

// done begins a command for a device and waits for it.
func done(ctx context.Context, begin func(context.Context, string) (*privicore.Command, error), deviceIdentifier string) error {
	cmd, err := begin(ctx, deviceIdentifier)
	if err != nil {
		return err
	}
	_, err = cmd.Wait(ctx)
	return err
}

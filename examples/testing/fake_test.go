package onboarding_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	onboarding "github.com/privicore/privicore-go/examples/testing"
	"github.com/privicore/privicore-go/privicoretest"
)

// fakeDevices is in place of Client.Device. Its approvals end as approval says.
type fakeDevices struct {
	approval *privicore.Command
	rejected []string
}

func (f *fakeDevices) RequestIdentifier(context.Context, string) (*privicore.Pending[*privicore.Device], error) {
	fetch := func(context.Context, string) (*privicore.Device, error) {
		return &privicore.Device{Identifier: "device-1"}, nil
	}
	return privicore.NewPending(privicoretest.FinishedCommand("command-1"), fetch), nil
}

func (f *fakeDevices) Approve(context.Context, string) (*privicore.Command, error) {
	return f.approval, nil
}

func (f *fakeDevices) Reject(_ context.Context, deviceIdentifier string) (*privicore.Command, error) {
	f.rejected = append(f.rejected, deviceIdentifier)
	return privicoretest.FinishedCommand("command-3", "device.device_rejected"), nil
}

// fakeSecrets is in place of Client.DataToken.
type fakeSecrets struct{ stored []privicore.Payload }

func (f *fakeSecrets) Store(_ context.Context, p privicore.Payload) (string, error) {
	f.stored = append(f.stored, p)
	return "dtk-1", nil
}

func TestOnboardWithFakes(t *testing.T) {
	t.Parallel()
	devices := &fakeDevices{approval: privicoretest.FinishedCommand("command-2", "device.device_approved")}
	secrets := &fakeSecrets{}
	service := onboarding.Service{Devices: devices, Secrets: secrets}

	onboarded, err := service.Onboard(t.Context(), "tablet", secret)
	require.NoError(t, err)
	assert.Equal(t, &onboarding.Onboarded{Identifier: "device-1", Secret: "dtk-1"}, onboarded)
	require.Len(t, secrets.stored, 1)
	assert.Equal(t, "device secrets", secrets.stored[0].Context)
	assert.Empty(t, devices.rejected)
}

func TestOnboardWithFakesVotedDown(t *testing.T) {
	t.Parallel()
	devices := &fakeDevices{approval: privicoretest.RejectedCommand("command-2", "voting.denied", "voting.rejected")}
	secrets := &fakeSecrets{}
	service := onboarding.Service{Devices: devices, Secrets: secrets}

	_, err := service.Onboard(t.Context(), "tablet", secret)
	require.ErrorIs(t, err, onboarding.ErrDenied)
	assert.Equal(t, []string{"device-1"}, devices.rejected)
	assert.Empty(t, secrets.stored)
}

// Nobody votes in time.
func TestOnboardWithFakesTimeLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		secrets := &fakeSecrets{}
		service := onboarding.Service{Devices: &fakeDevices{approval: privicoretest.RunningCommand("command-2")}, Secrets: secrets}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()

		_, err := service.Onboard(ctx, "tablet", secret)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Empty(t, secrets.stored)
	})
}

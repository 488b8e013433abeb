package onboarding_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	onboarding "github.com/privicore/privicore-go/examples/testing"
	"github.com/privicore/privicore-go/privicoretest"
)

var secret = []byte("the combination is 4711")

// start starts a server with the profile alice, and the service with a client for
// it. The network is in memory, so that the tests run in bubbles where no time is
// lost with pauses.
func start(t *testing.T) (*privicoretest.Server, *onboarding.Service, *privicore.AESGCM) {
	t.Helper()
	server := privicoretest.NewServer(t,
		privicoretest.WithMemoryNetwork(),
		privicoretest.WithProfile("alice", "correct horse"),
	)
	client := server.NewClient(t)
	cipher, err := privicore.NewAESGCM(make([]byte, 32))
	require.NoError(t, err)
	return server, &onboarding.Service{Devices: client.Device, Secrets: client.DataToken, Cipher: cipher}, cipher
}

// gate makes approvals in the profile alice depend on the votes of two phones.
func gate(server *privicoretest.Server) *privicoretest.Profile {
	alice := server.Profile("alice")
	alice.AddDevice("phone 1", privicoretest.DeviceApproved, privicoretest.Authenticator)
	alice.AddDevice("phone 2", privicoretest.DeviceApproved, privicoretest.Authenticator)
	alice.SetVotingSettings(privicoretest.VotingSettings{QuorumSize: 2, Strategy: privicore.Unanimous})
	alice.AddPolicy(privicoretest.Policy{Name: "four eyes", Events: []string{"Device.Approve"}, Active: true})
	return alice
}

func TestOnboarding(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, service, cipher := start(t)
		alice := gate(server)

		onboarded, err := service.Onboard(t.Context(), "tablet", secret)
		require.NoError(t, err)

		assert.Equal(t, privicoretest.DeviceApproved, alice.Device(onboarded.Identifier).Status)
		polls := server.Polls("alice")
		require.Len(t, polls, 1)
		assert.Equal(t, 2, polls[0].Yes)

		stored := alice.DataToken(onboarded.Secret)
		assert.Equal(t, "device secrets", stored.Context)
		assert.EqualValues(t, len(secret), stored.Size)
		plaintext, err := cipher.Open(alice.Ciphertext(onboarded.Secret))
		require.NoError(t, err)
		assert.Equal(t, secret, plaintext)
		for _, request := range server.Requests() {
			assert.NotContains(t, fmt.Sprint(request.Parameters), string(secret))
		}
	})
}

func TestOnboardingVotedDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, service, _ := start(t)
		alice := gate(server)
		server.SetVoter(privicoretest.VoteNo)

		_, err := service.Onboard(t.Context(), "tablet", secret)
		require.ErrorIs(t, err, onboarding.ErrDenied)

		devices := alice.Devices()
		tablet := devices[len(devices)-1]
		assert.Equal(t, "tablet", tablet.Name)
		assert.Equal(t, privicoretest.DeviceRejected, tablet.Status)
		assert.Empty(t, alice.DataTokens())
	})
}

func TestOnboardingWhileTheServerIsBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, service, _ := start(t)
		lift := server.Always("Device.Approve", privicoretest.Fault{Status: http.StatusServiceUnavailable})

		_, err := service.Onboard(t.Context(), "tablet", secret)
		var refused *privicore.APIError
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, http.StatusServiceUnavailable, refused.StatusCode)
		assert.Empty(t, server.Profile("alice").DataTokens())

		lift()
		_, err = service.Onboard(t.Context(), "tablet", secret)
		require.NoError(t, err)
		assert.Len(t, server.Profile("alice").DataTokens(), 1)
	})
}

// The secret is refused after the device has been approved. The error names the
// device, so that the caller can find it.
func TestOnboardingWithoutTheSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, service, _ := start(t)
		server.Next("DataToken.Exchange", privicoretest.Fault{Reject: []string{"data_token.refused"}})

		_, err := service.Onboard(t.Context(), "tablet", secret)
		require.ErrorIs(t, err, privicore.MessageKey("data_token.refused"))

		devices := server.Profile("alice").Devices()
		assert.ErrorContains(t, err, devices[len(devices)-1].Identifier)
	})
}

package privicoretest_test

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

func TestNewClient(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]privicoretest.Option{
		"network":           nil,
		"memory":            {privicoretest.WithMemoryNetwork()},
		"TLS":               {privicoretest.WithTLS()},
		"memory, TLS":       {privicoretest.WithMemoryNetwork(), privicoretest.WithTLS()},
		"bare upload token": {privicoretest.WithBareStreamToken()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, append(opts, privicoretest.WithProfile("bob", password))...)
			s.Profile("alice").AddDevice("cellar", privicoretest.DeviceApproved, privicoretest.Storage)
			c := s.NewClient(t)
			id, err := c.Profile.ID(t.Context())
			require.NoError(t, err)
			assert.Equal(t, s.Profile("alice").ID(), id)

			// A command comes over the WebSocket, and a large payload over the file server.
			cipher, err := privicore.NewAESGCM(make([]byte, 32))
			require.NoError(t, err)
			data := make([]byte, 100_000)
			token, err := c.DataToken.Store(t.Context(), privicore.Payload{Data: bytes.NewReader(data), Cipher: cipher, Context: "x"})
			require.NoError(t, err)
			plaintext, err := cipher.Open(s.Profile("alice").Ciphertext(token))
			require.NoError(t, err)
			assert.Equal(t, data, plaintext)
		})
	}
}

func TestNewClientForAnotherProfile(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithMemoryNetwork())
	bob := s.AddProfile("bob", "battery staple")
	for _, c := range []*privicore.Client{bob.NewClient(t), s.NewClient(t, privicore.WithCredentials("bob", "battery staple"))} {
		id, err := c.Profile.ID(t.Context())
		require.NoError(t, err)
		assert.Equal(t, bob.ID(), id)
	}
	_, err := s.NewClient(t, privicore.WithCredentials("bob", "wrong")).Profile.ID(t.Context())
	require.ErrorIs(t, err, privicore.ErrUnauthorized)
}

// Without a profile the client has no credentials, so that it can register one.
func TestNewClientWithoutProfile(t *testing.T) {
	t.Parallel()
	bubble := privicoretest.NewServer(t, privicoretest.WithMemoryNetwork())
	_, err := bubble.NewClient(t).Profile.ID(t.Context())
	require.Error(t, err)
	assert.Zero(t, bubble.Calls("Profile.Authenticate"))
	carol := bubble.NewClient(t, privicore.WithCredentials("carol", password))
	key, err := privicore.GenerateKey()
	require.NoError(t, err)
	require.NoError(t, carol.Profile.Provision(t.Context(), key.Public()))
}

// A changed password is the one that the next client has.
func TestNewClientAfterChangeOfPassword(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithMemoryNetwork())
	cmd, err := s.NewClient(t).Profile.ChangePassword(t.Context(), password, "battery staple")
	require.NoError(t, err)
	_, err = cmd.Wait(t.Context())
	require.NoError(t, err)
	_, err = s.NewClient(t).Profile.ID(t.Context())
	require.NoError(t, err)
}

func TestNewClientIsClosedWithItsTest(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithMemoryNetwork())
	var c *privicore.Client
	t.Run("inner", func(t *testing.T) { c = s.NewClient(t) })
	_, err := c.Profile.ID(t.Context())
	require.ErrorIs(t, err, privicore.ErrClosed)

	failed := &recorder{TB: t}
	assert.Nil(t, s.NewClient(failed, privicore.WithToken("")))
	assert.NotEmpty(t, failed.messages)
}

// Time passes at once in a bubble, also for the channel of the client.
func TestNewClientInABubble(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, privicoretest.WithLatency(time.Hour))
		c := s.NewClient(t)
		pending, err := c.Device.RequestIdentifier(t.Context(), "tablet")
		require.NoError(t, err)
		device, err := pending.Result(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "tablet", s.Profile("alice").Device(device.Identifier).Name)
	})
}

func TestAlways(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t)
		c := anonymous(t, s)
		health := func() int { return c.get("/health").status }
		require.Equal(t, 200, health())

		liftFirst := s.Always("Utility.Health", privicoretest.Fault{Status: 503})
		liftSecond := s.Always("Utility.Health", privicoretest.Fault{Status: 500})
		s.Next("Utility.Health", privicoretest.Fault{Status: 429})
		assert.Equal(t, 429, health(), "what is queued comes first")
		for range 3 {
			assert.Equal(t, 500, health(), "the latest counts")
		}
		assert.Equal(t, 401, c.get("/profile/retrieve-profile-id").status, "another operation")
		liftSecond()
		liftSecond()
		assert.Equal(t, 503, health())
		liftFirst()
		assert.Equal(t, 200, health())

		// Faults of a command.
		alice := login(t, s, "alice")
		defer s.Always("Device.RequestIdentifier", privicoretest.Fault{Reject: []string{"device.blocked"}})()
		for range 2 {
			assert.Contains(t, alice.outcome(alice.post("/device/request-unique-identifier", "deviceName", "x")), "device.blocked")
		}
	})
}

// Of random faults and lasting ones, the lasting ones occur.
func TestAlwaysInsteadOfRandomFaults(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithRandomFaults(1, privicoretest.FaultRates{ResetBefore: 1}))
	lift := s.Always("Utility.Health", privicoretest.Fault{Status: http.StatusTeapot})
	c := anonymous(t, s)
	assert.Equal(t, http.StatusTeapot, c.get("/health").status)
	lift()
	_, err := c.try("GET", "/health", "", "")
	assert.Error(t, err)
}

func TestAlwaysUnknownOperation(t *testing.T) {
	t.Parallel()
	failed := &recorder{TB: t}
	s := privicoretest.NewServer(failed, privicoretest.WithMemoryNetwork())
	t.Cleanup(s.Close)
	lift := s.Always("Device.Fly", privicoretest.Fault{Status: 500})
	require.NotNil(t, lift)
	lift()
	s.Always("Device.Remove", privicoretest.Fault{Ack: privicoretest.Ack{Body: func() {}}})()
	assert.Len(t, failed.messages, 2)
}

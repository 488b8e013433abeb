package privicore_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// memoryServer starts a server without profiles. It belongs in a bubble.
func memoryServer(t *testing.T, opts ...privicoretest.Option) *privicoretest.Server {
	t.Helper()
	return privicoretest.NewServer(t, append([]privicoretest.Option{privicoretest.WithMemoryNetwork()}, opts...)...)
}

// alice returns a client of s with the credentials of alice, changed by opts.
func alice(t *testing.T, s *privicoretest.Server, opts ...privicore.Option) *privicore.Client {
	t.Helper()
	opts = append([]privicore.Option{
		privicore.WithBaseURL(s.URL), privicore.WithWebSocketURL(s.WebSocketURL), privicore.WithHTTPClient(s.Client()),
		privicore.WithCredentials("alice", "correct horse"),
	}, opts...)
	c, err := privicore.NewClient(opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

// bubbled runs a test in a bubble, with a server on which alice has an active
// profile, and a client of hers.
func bubbled(t *testing.T, test func(*testing.T, *privicore.Client, *privicoretest.Server), opts ...privicoretest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := memoryServer(t, append([]privicoretest.Option{privicoretest.WithProfile("alice", "correct horse")}, opts...)...)
		test(t, alice(t, s), s)
	})
}

// inBothDialects is bubbled for each dialect.
func inBothDialects(t *testing.T, test func(*testing.T, *privicore.Client, *privicoretest.Server), opts ...privicoretest.Option) {
	t.Helper()
	for name, dialect := range map[string]privicoretest.Dialect{"documented": privicoretest.Documented, "observed": privicoretest.Observed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubbled(t, test, append([]privicoretest.Option{privicoretest.WithDialect(dialect)}, opts...)...)
		})
	}
}

// done waits for a command.
func done(t *testing.T, cmd *privicore.Command, err error) {
	t.Helper()
	require.NoError(t, err)
	_, err = cmd.Wait(t.Context())
	require.NoError(t, err)
}

// onboarded makes that many authenticators on a sandbox.
func onboarded(t *testing.T, c *privicore.Client, n int) []string {
	t.Helper()
	ids := make([]string, n)
	for i := range ids {
		device, err := c.Device.Onboard(t.Context(), "phone")
		require.NoError(t, err)
		cmd, err := c.VerifiedAuthenticator.Register(t.Context(), device.Identifier)
		done(t, cmd, err)
		ids[i] = device.Identifier
	}
	return ids
}

// openPoll waits for a poll of alice that runs, and returns it. It belongs in a
// bubble.
func openPoll(t *testing.T, s *privicoretest.Server) privicoretest.Poll {
	t.Helper()
	for range 1000 {
		for _, p := range s.Polls("alice") {
			if p.Status == privicoretest.PollOpen {
				return p
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	require.Fail(t, "there is no open poll")
	return privicoretest.Poll{}
}

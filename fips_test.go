package privicore_test

import (
	"bytes"
	"crypto/fips140"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/agecipher"
	"github.com/privicore/privicore-go/privicoretest"
)

// The addresses of the sandbox for TestFIPSOnlyProgram.
const (
	fipsURL          = "PRIVICORE_TEST_FIPS_URL"
	fipsWebSocketURL = "PRIVICORE_TEST_FIPS_WEBSOCKET_URL"
)

// A program that runs with GODEBUG=fips140=only uses the client. The sandbox runs
// here, because it makes a Curve25519 key.
func TestFIPSOnly(t *testing.T) {
	t.Parallel()
	server := privicoretest.NewServer(t, privicoretest.WithProfile("alice", "correct horse"))
	program := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFIPSOnlyProgram$", "-test.v")
	program.Env = append(os.Environ(), "GODEBUG=fips140=only", fipsURL+"="+server.URL, fipsWebSocketURL+"="+server.WebSocketURL)
	out, err := program.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "--- PASS: TestFIPSOnlyProgram")
}

// enforcement counts the requests that were sent with and without enforcement.
type enforcement struct {
	next          http.RoundTripper
	with, without atomic.Int32
}

func (e *enforcement) RoundTrip(r *http.Request) (*http.Response, error) {
	if fips140.Enforced() {
		e.with.Add(1)
	} else {
		e.without.Add(1)
	}
	return e.next.RoundTrip(r)
}

// TestFIPSOnlyProgram is the program that TestFIPSOnly runs. docs/keys.md says the
// same as this test.
func TestFIPSOnlyProgram(t *testing.T) {
	if os.Getenv(fipsURL) == "" {
		t.Skip("TestFIPSOnly runs it")
	}
	require.True(t, fips140.Enforced())
	pool := new(http.Transport)
	defer pool.CloseIdleConnections()
	sent := &enforcement{next: pool}
	client, err := privicore.NewClient(
		privicore.WithBaseURL(os.Getenv(fipsURL)), privicore.WithWebSocketURL(os.Getenv(fipsWebSocketURL)),
		privicore.WithCredentials("alice", "correct horse"), privicore.WithHTTPClient(&http.Client{Transport: sent}),
	)
	require.NoError(t, err)
	require.NoError(t, client.Connect(t.Context()))

	t.Run("AES-GCM and envelopes work", func(t *testing.T) {
		for _, cipher := range []privicore.Cipher{newAESGCM(t, keyOf("1")), newBoundAESGCM(t, keyOf("1")), privicore.NewEnvelope(newKeyring(t, "1", "2"))} {
			for _, size := range []int64{10, 200_000} {
				want, err := io.ReadAll(noise(size))
				require.NoError(t, err)
				token, err := client.DataToken.Store(t.Context(), privicore.Payload{Data: bytes.NewReader(want), Cipher: cipher, Context: "invoices"})
				require.NoError(t, err)
				got, err := retrieved(t.Context(), client, token, cipher, "invoices")
				require.NoError(t, err)
				assert.True(t, bytes.Equal(want, got))
			}
		}
	})
	t.Run("age returns an error", func(t *testing.T) {
		_, err := agecipher.NewEnvelope(newKeyring(t, "1")).Encrypt(t.Context(), io.Discard, "x")
		require.ErrorContains(t, err, "not allowed in FIPS 140-only mode")
		token, err := client.DataToken.Store(t.Context(), privicore.Payload{Data: strings.NewReader("x"), Cipher: agecipher.NewEnvelope(newKeyring(t, "1")), Context: "invoices"})
		requireStep(t, privicore.StepEncrypt, err)
		assert.Empty(t, token)
	})
	t.Run("Curve25519 keys cannot be made", func(t *testing.T) {
		_, err := privicore.GenerateKey()
		require.ErrorContains(t, err, "FIPS")
		key := privicore.KeyFromSeed("seed")
		assert.Nil(t, key.ECDH())
		assert.True(t, key.Public().IsZero())
	})
	t.Run("privicoretest does not start", func(t *testing.T) {
		_, err := privicoretest.Start(privicoretest.WithProfile("bob", "correct horse"))
		require.ErrorContains(t, err, "FIPS")
	})
	t.Run("a signed public key can be registered", func(t *testing.T) {
		key, err := client.PublicKey.Retrieve(t.Context())
		require.NoError(t, err)
		assert.Nil(t, key.ECDH())
		command, err := client.PublicKey.Register(t.Context(), key)
		require.NoError(t, err)
		_, err = command.Wait(t.Context())
		require.NoError(t, err)
	})
	require.NoError(t, client.Close())
	assert.Positive(t, sent.with.Load())
	assert.Zero(t, sent.without.Load(), "also the WebSocket handshake is sent with enforcement")
}

package agecipher_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/agecipher"
)

func encryptFor(t testing.TB, c privicore.Cipher, plaintext []byte, binding privicore.Binding) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := c.Encrypt(t.Context(), &out, binding)
	require.NoError(t, err)
	_, err = w.Write(plaintext)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func decryptFor(t testing.TB, c privicore.Cipher, ciphertext []byte, binding privicore.Binding) ([]byte, error) {
	t.Helper()
	r, err := c.Decrypt(t.Context(), bytes.NewReader(ciphertext), binding)
	if err != nil {
		assert.Nil(t, r)
		return nil, err
	}
	return io.ReadAll(r)
}

func requireNoContext(t *testing.T, err error) {
	t.Helper()
	var invalid *privicore.ValidationError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, "context", invalid.Field)
	assert.NotErrorIs(t, err, privicore.ErrDecrypt)
}

func TestBound(t *testing.T) {
	t.Parallel()
	id := identity(t)
	c, plain := agecipher.NewBound(id), agecipher.New(id)
	assert.True(t, c.Binds())
	assert.False(t, plain.Binds())
	assert.False(t, (*agecipher.Cipher)(nil).Binds())
	for _, n := range []int{0, 1, chunk, 3*chunk + 1} {
		plaintext := random(t, n)
		ciphertext := encryptFor(t, c, plaintext, "invoices")
		got, err := decryptFor(t, c, ciphertext, "invoices")
		require.NoError(t, err)
		assert.True(t, bytes.Equal(plaintext, got))
		for _, other := range []privicore.Binding{"payroll", "invoice", "invoices "} {
			got, err := decryptFor(t, c, ciphertext, other)
			require.ErrorIs(t, err, privicore.ErrDecrypt)
			assert.Empty(t, got)
		}
		// Other programs with the key open it. They know no binding.
		got, err = decryptFor(t, plain, ciphertext, "payroll")
		require.NoError(t, err)
		assert.True(t, bytes.Equal(plaintext, got))
		_, err = decryptFor(t, c, encryptFor(t, plain, plaintext, "invoices"), "invoices")
		require.ErrorIs(t, err, privicore.ErrDecrypt, "what is not bound does not open")
	}
	_, err := c.Encrypt(t.Context(), io.Discard, "")
	requireNoContext(t, err)
	_, err = c.Decrypt(t.Context(), bytes.NewReader(encryptFor(t, c, nil, "x")), "")
	requireNoContext(t, err)
	_, err = agecipher.NewBound(nil).Encrypt(t.Context(), io.Discard, "x")
	require.ErrorContains(t, err, "no recipients")
}

// The header does not show the binding, nor that two bindings are equal.
func TestBindingIsNotShown(t *testing.T) {
	t.Parallel()
	c := agecipher.NewBound(identity(t))
	first, second := encryptFor(t, c, nil, "invoices"), encryptFor(t, c, nil, "invoices")
	assert.NotContains(t, string(first), "invoices")
	stanza := func(ciphertext []byte) string {
		_, after, found := strings.Cut(string(ciphertext), "-> privicore-go/binding/v1 ")
		require.True(t, found)
		return strings.Split(after, "\n")[1]
	}
	assert.NotEqual(t, stanza(first), stanza(second))
}

// The binding stanza cannot be taken out, put in or exchanged.
func TestBindingStanzaIsAuthenticated(t *testing.T) {
	t.Parallel()
	c := agecipher.NewBound(identity(t))
	mine, other := string(encryptFor(t, c, []byte("mine"), "invoices")), string(encryptFor(t, c, []byte("other"), "payroll"))
	cut := func(ciphertext string) (before, stanza, after string) {
		at := strings.Index(ciphertext, "-> privicore-go/binding/v1 ")
		end := at + strings.Index(ciphertext[at:], "\n---")
		return ciphertext[:at], ciphertext[at:end], ciphertext[end:]
	}
	before, stanza, after := cut(other)
	_, wanted, _ := cut(mine)
	for what, forged := range map[string]string{
		"exchanged": before + wanted + after,
		"added":     before + wanted + "\n" + stanza + after,
		"doubled":   before + wanted + "\n" + wanted + after,
		"removed":   strings.TrimSuffix(before, "\n") + after,
	} {
		got, err := decryptFor(t, c, []byte(forged), "invoices")
		require.ErrorIs(t, err, privicore.ErrDecrypt, what)
		assert.Empty(t, got)
	}
}

// Recipients of all kinds can be bound, alone or together.
func TestBoundRecipients(t *testing.T) {
	t.Parallel()
	alice, bob := identity(t), identity(t)
	hybrid, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	password, err := age.NewScryptRecipient("correct horse")
	require.NoError(t, err)
	password.SetWorkFactor(4)
	unlock, err := age.NewScryptIdentity("correct horse")
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		recipients []age.Recipient
		identities []age.Identity
	}{
		"two":          {[]age.Recipient{alice.Recipient(), bob.Recipient()}, []age.Identity{identity(t), bob}},
		"post-quantum": {[]age.Recipient{hybrid.Recipient()}, []age.Identity{hybrid}},
		"password":     {[]age.Recipient{password}, []age.Identity{unlock}},
		"its own":      {[]age.Recipient{make(sharedKey, 16)}, []age.Identity{alice, make(sharedKey, 16)}},
	} {
		c := agecipher.NewBoundFor(tc.recipients, tc.identities)
		ciphertext := encryptFor(t, c, []byte("hello"), "invoices")
		got, err := decryptFor(t, c, ciphertext, "invoices")
		require.NoError(t, err, name)
		assert.Equal(t, "hello", string(got), name)
		_, err = decryptFor(t, c, ciphertext, "payroll")
		require.ErrorIs(t, err, privicore.ErrDecrypt, name)
	}
	// Labels still keep recipients apart that must not be mixed.
	_, err = agecipher.NewBoundFor([]age.Recipient{hybrid.Recipient(), alice.Recipient()}, nil).Encrypt(t.Context(), io.Discard, "x")
	require.ErrorContains(t, err, "post-quantum")
}

// failingIdentity is an identity that needs something else, such as a plugin.
type failingIdentity struct{ err error }

func (f failingIdentity) Unwrap([]*age.Stanza) ([]byte, error) { return nil, f.err }

// What an identity cannot do says nothing about the ciphertext.
func TestIdentityErrors(t *testing.T) {
	t.Parallel()
	down := errors.New("the smart card is not in its slot")
	id := identity(t)
	for _, bound := range []bool{false, true} {
		newFor := agecipher.NewFor
		if bound {
			newFor = agecipher.NewBoundFor
		}
		whole := encryptFor(t, newFor([]age.Recipient{id.Recipient()}, nil), []byte("hello"), "x")

		_, err := decryptFor(t, newFor(nil, []age.Identity{failingIdentity{down}}), whole, "x")
		var failed *privicore.KeyError
		require.ErrorAs(t, err, &failed)
		require.ErrorIs(t, err, down)
		assert.NotErrorIs(t, err, privicore.ErrDecrypt)

		_, err = decryptFor(t, newFor(nil, []age.Identity{failingIdentity{&privicore.UnknownKeyError{KeyID: "k"}}}), whole, "x")
		var unknown *privicore.UnknownKeyError
		require.ErrorAs(t, err, &unknown)
		assert.NotErrorIs(t, err, privicore.ErrDecrypt)

		for _, about := range []error{age.ErrIncorrectIdentity, privicore.ErrDecrypt, fmt.Errorf("card: %w", privicore.ErrDecrypt)} {
			_, err = decryptFor(t, newFor(nil, []age.Identity{failingIdentity{about}}), whole, "x")
			require.ErrorIs(t, err, privicore.ErrDecrypt)
			assert.NotErrorAs(t, err, &failed)
		}
		// age's own identities go first, so that nobody is asked needlessly.
		got, err := decryptFor(t, newFor(nil, []age.Identity{failingIdentity{down}, id}), whole, "x")
		require.NoError(t, err)
		assert.Equal(t, "hello", string(got))
		// A stanza that is malformed is the ciphertext's fault.
		for _, malformed := range []string{"-> X25519 a b\nAAAA", "-> X25519 *\nAAAA"} {
			start := bytes.Index(whole, []byte("-> X25519"))
			forged := string(whole[:start]) + malformed + "\n" + string(whole[start:])
			_, err = decryptFor(t, newFor(nil, []age.Identity{id}), []byte(forged), "x")
			require.ErrorIs(t, err, privicore.ErrDecrypt)
			assert.NotErrorAs(t, err, &failed)
		}
	}
}

// A source that breaks and an identity that fails are told apart.
func TestBrokenSourceOfABoundCipher(t *testing.T) {
	t.Parallel()
	c := agecipher.NewBound(identity(t))
	whole := encryptFor(t, c, random(t, 2*chunk), "x")
	broken := errors.New("connection reset")
	for _, n := range []int{0, 50, 300, 2 * chunk, len(whole)} {
		r, err := c.Decrypt(t.Context(), io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(broken)), "x")
		if err == nil {
			_, err = io.ReadAll(r)
		}
		require.ErrorIs(t, err, broken)
		assert.NotErrorIs(t, err, privicore.ErrDecrypt)
	}
}

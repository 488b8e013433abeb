package privicore_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

func newBoundAESGCM(t testing.TB, key []byte) *privicore.BoundAESGCM {
	t.Helper()
	c, err := privicore.NewBoundAESGCM(key)
	require.NoError(t, err)
	return c
}

// encryptedFor is what a Cipher makes of plaintext for a binding.
func encryptedFor(t testing.TB, c privicore.Cipher, plaintext []byte, binding privicore.Binding) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := c.Encrypt(t.Context(), &out, binding)
	require.NoError(t, err)
	_, err = w.Write(plaintext)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// decryptedFor reads a ciphertext of a binding to its end, or until it fails.
func decryptedFor(t testing.TB, c privicore.Cipher, ciphertext []byte, binding privicore.Binding) ([]byte, error) {
	t.Helper()
	r, err := c.Decrypt(t.Context(), bytes.NewReader(ciphertext), binding)
	if err != nil {
		assert.Nil(t, r)
		return nil, err
	}
	return io.ReadAll(r)
}

func TestBoundAESGCM(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{7}, 32)
	c, plain := newBoundAESGCM(t, key), newAESGCM(t, key)
	assert.True(t, c.Binds())
	assert.False(t, plain.Binds())
	sealed, err := c.Seal([]byte("march"), "invoices")
	require.NoError(t, err)
	for _, ciphertext := range [][]byte{sealed, encryptedFor(t, c, []byte("march"), "invoices")} {
		assert.Len(t, ciphertext, 12+5+16)
		got, err := c.Open(ciphertext, "invoices")
		require.NoError(t, err)
		assert.Equal(t, "march", string(got))
		got, err = decryptedFor(t, c, ciphertext, "invoices")
		require.NoError(t, err)
		assert.Equal(t, "march", string(got))
		for _, other := range []privicore.Binding{"invoice", "invoices ", "Invoices", "payroll", "\x00"} {
			got, err := c.Open(ciphertext, other)
			require.ErrorIs(t, err, privicore.ErrDecrypt)
			assert.Empty(t, got)
			got, err = decryptedFor(t, c, ciphertext, other)
			require.ErrorIs(t, err, privicore.ErrDecrypt)
			assert.Empty(t, got)
		}
		// The recorded layout with the same key is not taken for a bound one, nor
		// the other way round.
		_, err = plain.Open(ciphertext)
		require.ErrorIs(t, err, privicore.ErrDecrypt)
	}
	sealed, err = plain.Seal([]byte("march"))
	require.NoError(t, err)
	_, err = c.Open(sealed, "invoices")
	require.ErrorIs(t, err, privicore.ErrDecrypt)
}

// The layout can be opened by a program that knows it and has no more than the
// standard library.
func TestBoundAESGCMLayout(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{7}, 32)
	sealed, err := newBoundAESGCM(t, key).Seal([]byte("march"), "invoices")
	require.NoError(t, err)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	data := "\x00\x00\x00\x00\x00\x00\x00\x17privicore-go/v1/payload\x00\x00\x00\x00\x00\x00\x00\x08invoices"
	got, err := gcm.Open(nil, sealed[:12], sealed[12:], []byte(data))
	require.NoError(t, err)
	assert.Equal(t, "march", string(got))
}

// No bound cipher encrypts or decrypts without a binding.
func TestEmptyBinding(t *testing.T) {
	t.Parallel()
	c := newBoundAESGCM(t, make([]byte, 32))
	for _, cipher := range []privicore.Cipher{c, privicore.NewEnvelope(newKeyring(t, "1"))} {
		_, err := cipher.Encrypt(t.Context(), io.Discard, "")
		requireNoContext(t, err)
		_, err = cipher.Decrypt(t.Context(), bytes.NewReader(encryptedFor(t, cipher, nil, "x")), "")
		requireNoContext(t, err)
	}
	_, err := c.Seal(nil, "")
	requireNoContext(t, err)
	_, err = c.Open(make([]byte, 28), "")
	requireNoContext(t, err)
}

func requireNoContext(t *testing.T, err error) {
	t.Helper()
	var invalid *privicore.ValidationError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, "context", invalid.Field)
	assert.NotErrorIs(t, err, privicore.ErrDecrypt)
}

func TestBoundAESGCMKeys(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 16, 31, 33} {
		_, err := privicore.NewBoundAESGCM(make([]byte, n))
		require.ErrorIs(t, err, privicore.ErrValidation)
	}
	for _, c := range []*privicore.BoundAESGCM{nil, {}} {
		_, err := c.Seal(nil, "x")
		assert.ErrorContains(t, err, "NewBoundAESGCM")
		_, err = c.Open(make([]byte, 28), "x")
		assert.ErrorContains(t, err, "NewBoundAESGCM")
		_, err = c.Encrypt(t.Context(), io.Discard, "x")
		assert.ErrorContains(t, err, "NewBoundAESGCM")
		_, err = c.Decrypt(t.Context(), bytes.NewReader(nil), "x")
		assert.ErrorContains(t, err, "NewBoundAESGCM")
	}
	key := []byte("0123456789abcdefABCDEF-secretkey")
	c := newBoundAESGCM(t, key)
	assertHidden(t, c, string(key))
	assertHidden(t, *c, string(key))
}

// Nothing but the whole ciphertext opens.
func TestBoundAESGCMTampering(t *testing.T) {
	t.Parallel()
	c := newBoundAESGCM(t, make([]byte, 32))
	sealed, err := c.Seal([]byte("attack at dawn"), "orders")
	require.NoError(t, err)
	for n := range sealed {
		altered := bytes.Clone(sealed)
		altered[n] ^= 1
		for _, ciphertext := range [][]byte{sealed[:n], sealed[n+1:], altered} {
			_, err := c.Open(ciphertext, "orders")
			require.ErrorIs(t, err, privicore.ErrDecrypt)
		}
	}
}

// FuzzAdditionalData looks for two lists of texts that have the same encoding.
func FuzzAdditionalData(f *testing.F) {
	f.Add("a", "bc", "ab", "c", "", uint8(3))
	f.Add("", "", "", "", "", uint8(0))
	f.Add("a\x00\x00\x00\x00\x00\x00\x00\x01b", "", "a", "b", "", uint8(1))
	f.Fuzz(func(t *testing.T, a, b, c, d, e string, n uint8) {
		all := []string{a, b, c, d}
		first, second := all[:n%5], all[n%5:]
		x, y := privicore.Binding(e).AdditionalData(first...), privicore.Binding(e).AdditionalData(second...)
		require.Equal(t, slices.Equal(first, second), bytes.Equal(x, y))
		x, y = privicore.Binding(a).AdditionalData(b), privicore.Binding(c).AdditionalData(d)
		require.Equal(t, a == c && b == d, bytes.Equal(x, y))
	})
}

// AdditionalData does not write into the caller's slice.
func TestAdditionalDataKeepsParts(t *testing.T) {
	t.Parallel()
	parts := []string{"one", "two"}
	privicore.Binding("b").AdditionalData(parts[:1]...)
	assert.Equal(t, "[one two]", fmt.Sprint(parts))
}

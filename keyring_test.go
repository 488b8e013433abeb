package privicore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// keyOf is a key of 32 bytes that belongs to an id.
func keyOf(id string) []byte { return bytes.Repeat([]byte(id), 32)[:32] }

// newKeyring has a key for each id, and the first one is primary.
func newKeyring(t testing.TB, ids ...string) *privicore.Keyring {
	t.Helper()
	ring, err := privicore.NewKeyring(ids[0], keyOf(ids[0]))
	require.NoError(t, err)
	for _, id := range ids[1:] {
		require.NoError(t, ring.Add(id, keyOf(id)))
	}
	return ring
}

// requireUnknownKey asserts that err says which key is missing.
func requireUnknownKey(t *testing.T, id string, err error) {
	t.Helper()
	var unknown *privicore.UnknownKeyError
	require.ErrorAs(t, err, &unknown)
	assert.Equal(t, id, unknown.KeyID)
	assert.ErrorContains(t, err, fmt.Sprintf("key %q is not known", id))
	assert.NotErrorIs(t, err, privicore.ErrDecrypt)
}

func TestKeyring(t *testing.T) {
	t.Parallel()
	ring := newKeyring(t, "1")
	dataKey := bytes.Repeat([]byte{9}, 16)
	first, err := ring.WrapKey(t.Context(), dataKey, "invoices")
	require.NoError(t, err)
	assert.Equal(t, "1", first.KeyID)
	assert.NotContains(t, string(first.Ciphertext), string(dataKey))

	require.NoError(t, ring.Add("2", keyOf("2")))
	assert.Equal(t, "1", ring.Primary(), "a key that was added does not wrap")
	assert.Equal(t, []string{"1", "2"}, ring.IDs())
	require.NoError(t, ring.Promote("2"))
	second, err := ring.WrapKey(t.Context(), dataKey, "invoices")
	require.NoError(t, err)
	assert.Equal(t, "2", second.KeyID)
	for _, wrapped := range []privicore.WrappedKey{first, second} {
		got, err := ring.UnwrapKey(t.Context(), wrapped, "invoices")
		require.NoError(t, err)
		assert.Equal(t, dataKey, got)
		_, err = ring.UnwrapKey(t.Context(), wrapped, "payroll")
		require.ErrorIs(t, err, privicore.ErrDecrypt)
		for n := range wrapped.Ciphertext {
			altered := privicore.WrappedKey{KeyID: wrapped.KeyID, Ciphertext: bytes.Clone(wrapped.Ciphertext)}
			altered.Ciphertext[n] ^= 1
			_, err := ring.UnwrapKey(t.Context(), altered, "invoices")
			require.ErrorIs(t, err, privicore.ErrDecrypt)
		}
	}

	require.NoError(t, ring.Drop("1"))
	assert.Equal(t, []string{"2"}, ring.IDs())
	_, err = ring.UnwrapKey(t.Context(), first, "invoices")
	requireUnknownKey(t, "1", err)
	_, err = ring.UnwrapKey(t.Context(), second, "invoices")
	require.NoError(t, err)
}

// A key under two ids is two keys: what one id wrapped does not open as the other.
func TestKeyringBindsTheID(t *testing.T) {
	t.Parallel()
	ring, err := privicore.NewKeyring("old", keyOf("k"))
	require.NoError(t, err)
	require.NoError(t, ring.Add("new", keyOf("k")))
	wrapped, err := ring.WrapKey(t.Context(), make([]byte, 16), "x")
	require.NoError(t, err)
	wrapped.KeyID = "new"
	_, err = ring.UnwrapKey(t.Context(), wrapped, "x")
	require.ErrorIs(t, err, privicore.ErrDecrypt)
}

func TestKeyringRefuses(t *testing.T) {
	t.Parallel()
	refuse := func(field string, err error) {
		t.Helper()
		var invalid *privicore.ValidationError
		require.ErrorAs(t, err, &invalid)
		assert.Equal(t, field, invalid.Field)
	}
	_, err := privicore.NewKeyring("", keyOf("1"))
	refuse("id", err)
	_, err = privicore.NewKeyring(strings.Repeat("x", privicore.MaxKeyID+1), keyOf("1"))
	refuse("id", err)
	_, err = privicore.NewKeyring("1", keyOf("1")[1:])
	refuse("key", err)

	ring := newKeyring(t, "1", "2")
	refuse("id", ring.Add("2", keyOf("3")))
	refuse("id", ring.Drop("1"))
	requireUnknownKey(t, "3", ring.Promote("3"))
	requireUnknownKey(t, "3", ring.Drop("3"))
	assert.Equal(t, "1", ring.Primary())
	assert.Equal(t, []string{"1", "2"}, ring.IDs())

	for _, ring := range []*privicore.Keyring{nil, {}} {
		_, err := ring.WrapKey(t.Context(), make([]byte, 16), "x")
		require.ErrorContains(t, err, "NewKeyring")
		_, err = ring.UnwrapKey(t.Context(), privicore.WrappedKey{KeyID: "1"}, "x")
		requireUnknownKey(t, "1", err)
		require.ErrorContains(t, ring.Add("1", keyOf("1")), "NewKeyring")
		require.ErrorContains(t, ring.Promote("1"), "NewKeyring")
		require.ErrorContains(t, ring.Drop("1"), "NewKeyring")
		assert.Empty(t, ring.Primary())
		assert.Empty(t, ring.IDs())
	}
}

func TestKeyringShowsNoKey(t *testing.T) {
	t.Parallel()
	key := "0123456789abcdefABCDEF-secretkey"
	ring, err := privicore.NewKeyring("1", []byte(key))
	require.NoError(t, err)
	assertHidden(t, ring, key)
	envelope := privicore.NewEnvelope(ring)
	assertHidden(t, envelope, key)
	assertHidden(t, *envelope, key)
}

// Keys change while others use the Keyring. Whoever wraps gets a key that unwraps.
func TestKeyringChangesInUse(t *testing.T) {
	t.Parallel()
	ring := newKeyring(t, "0")
	var users sync.WaitGroup
	done, stop := context.WithCancel(t.Context())
	for range 4 {
		users.Go(func() {
			for done.Err() == nil {
				wrapped, err := ring.WrapKey(t.Context(), make([]byte, 16), "x")
				if !assert.NoError(t, err) {
					return
				}
				_, err = ring.UnwrapKey(t.Context(), wrapped, "x")
				if _, dropped := errors.AsType[*privicore.UnknownKeyError](err); !dropped {
					assert.NoError(t, err)
				}
				_ = ring.IDs()
			}
		})
	}
	for i := range 200 {
		id, previous := fmt.Sprint(i+1), fmt.Sprint(i)
		require.NoError(t, ring.Add(id, keyOf(id)))
		require.NoError(t, ring.Promote(id))
		require.NoError(t, ring.Drop(previous))
	}
	stop()
	users.Wait()
	assert.Equal(t, []string{"200"}, ring.IDs())
}

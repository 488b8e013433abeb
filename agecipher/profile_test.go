package agecipher_test

import (
	"encoding/hex"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/agecipher"
)

// A pair of keys that age made, and the bytes in them.
const (
	ageIdentity  = "AGE-SECRET-KEY-1FEKXMD4MK9RK8V9GJL6ZLFHMGVWDDXWRH9HUPAQY7KVQPYD0GFCSJ6GKPL"
	ageRecipient = "age1u6y0rxukp60upf9sfptwsep530cp0v0x4wz9fwsxlr48wg4tny2qcgeq2v"
	ageScalar    = "4e6c6db6bbb14763b0a897f42fa6fb431cd699c3b96fc0f404f5980091af4271"
	agePoint     = "e688f19b960e9fc0a4b04856e864348bf017b1e6ab8454ba06f8ea7722ab9914"
)

func TestProfileKeysAreThoseOfAge(t *testing.T) {
	t.Parallel()
	key, err := privicore.ParsePrivateKey(ageScalar)
	require.NoError(t, err)
	identity, err := agecipher.ProfileIdentity(key)
	require.NoError(t, err)
	assert.Equal(t, ageIdentity, identity.String())
	assert.Equal(t, agePoint, hex.EncodeToString(key.Public().ECDH().Bytes()))
	recipient, err := agecipher.ProfileRecipient(key.Public())
	require.NoError(t, err)
	assert.Equal(t, ageRecipient, recipient.String())
}

// What is encrypted to the public key of a profile opens with its private key.
func TestProfileKeys(t *testing.T) {
	t.Parallel()
	for range 20 {
		key, err := privicore.GenerateKey()
		require.NoError(t, err)
		identity, err := agecipher.ProfileIdentity(key)
		require.NoError(t, err)
		recipient, err := agecipher.ProfileRecipient(key.Public())
		require.NoError(t, err)
		assert.Equal(t, identity.Recipient().String(), recipient.String())
		sender := agecipher.NewBoundFor([]age.Recipient{recipient}, nil)
		got, err := decryptFor(t, agecipher.NewBound(identity), encryptFor(t, sender, []byte("hello"), "x"), "x")
		require.NoError(t, err)
		assert.Equal(t, "hello", string(got))
	}
}

func TestProfileKeysThatAreEmpty(t *testing.T) {
	t.Parallel()
	_, err := agecipher.ProfileIdentity(privicore.PrivateKey{})
	require.ErrorIs(t, err, privicore.ErrInvalidKey)
	_, err = agecipher.ProfileRecipient(privicore.PublicKey{})
	require.ErrorIs(t, err, privicore.ErrInvalidKey)
}

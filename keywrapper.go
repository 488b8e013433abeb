package privicore

import (
	"context"
	"fmt"
)

// A KeyWrapper encrypts data keys with a key that it keeps. Each payload has a data
// key of its own, which travels with the ciphertext in its wrapped form. Keyring is
// a KeyWrapper of local keys. A key management service (KMS) can stand behind a
// KeyWrapper too; contrib/tinkprivicore has one for those that Tink knows.
// agecipher.NewEnvelope makes a Cipher of a KeyWrapper.
//
// A KeyWrapper must be safe for concurrent use. It must return when ctx ends.
type KeyWrapper interface {
	// WrapKey encrypts a data key of 16 to 64 bytes and binds it to binding.
	WrapKey(ctx context.Context, dataKey []byte, binding Binding) (WrappedKey, error)
	// UnwrapKey returns the data key that WrapKey encrypted with the same
	// binding. If there is no key KeyID, the error is an *UnknownKeyError. If
	// the wrapped key was altered or has another binding, the error matches
	// ErrDecrypt. Any other error means that the key could not be used, and
	// says nothing about the wrapped key. Ciphers return it in a *KeyError.
	UnwrapKey(ctx context.Context, wrapped WrappedKey, binding Binding) (dataKey []byte, err error)
}

// A WrappedKey is a data key that a KeyWrapper encrypted.
type WrappedKey struct {
	// KeyID names the key that encrypted the data key. It stands in the
	// ciphertext, where everybody can read it. It has 1 to MaxKeyID bytes.
	KeyID string
	// Ciphertext is the encrypted data key.
	Ciphertext []byte
}

// MaxKeyID is the largest length of a key's id, in bytes.
const MaxKeyID = 2048

// A KeyError means that a key could not be used: the KeyWrapper is down, was too
// slow, or refused. It says nothing about the ciphertext, so it does not match
// ErrDecrypt, and trying again later may help.
type KeyError struct {
	KeyID string // or "" if it is not known
	Err   error  // what the KeyWrapper said
}

// Error returns the id of the key and what went wrong.
func (e *KeyError) Error() string {
	if e.KeyID == "" {
		return "privicore: the key could not be used: " + unprefixed(e.Err)
	}
	return fmt.Sprintf("privicore: key %q could not be used: %s", e.KeyID, unprefixed(e.Err))
}

// Unwrap returns what the KeyWrapper said.
func (e *KeyError) Unwrap() error { return e.Err }

// An UnknownKeyError means that a ciphertext needs a key that the KeyWrapper does
// not have. It does not match ErrDecrypt.
type UnknownKeyError struct {
	KeyID string // as it stands in the ciphertext, not authenticated
}

// Error returns the id of the key.
func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("privicore: key %q is not known", e.KeyID)
}

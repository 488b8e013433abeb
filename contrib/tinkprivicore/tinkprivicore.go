// Package tinkprivicore makes a privicore.KeyWrapper of Tink's AEADs. Behind those
// stand AWS KMS, Google Cloud KMS and HashiCorp Vault, by the integrations that Tink
// has for them, and Tink's own keysets.
//
//	// awskms is github.com/tink-crypto/tink-go-awskms/v3/integration/awskms.
//	aead, err := awskms.NewAEADWithContext(ctx, keyARN)
//	if err != nil {
//		return err
//	}
//	wrapper, err := tinkprivicore.New(tinkprivicore.Key{ID: keyARN, WithContext: aead})
//	if err != nil {
//		return err
//	}
//	cipher := agecipher.NewEnvelope(wrapper)
//
// # Rotation
//
// A key that rotates behind its id, as those of a KMS and the keysets of Tink do,
// needs nothing here. To move from one id to another, give New the new key first
// and the old one after it. What was wrapped with the old key opens until the old
// key is left out. Then it fails with a *privicore.UnknownKeyError that has its id.
//
// # Errors
//
// An AEAD of Tink does not say why it failed. So a failure is a *privicore.KeyError,
// which says nothing about the ciphertext, unless Key.Tampered knows better. An
// envelope of a wrong context is privicore.ErrDecrypt all the same, because
// envelopes find that out before they ask the KeyWrapper.
package tinkprivicore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/privicore/privicore-go"
)

// A Key is an AEAD of Tink with a name.
type Key struct {
	// ID names the key in each ciphertext, where everybody can read it. The URI
	// of a key in a KMS is a good one. It has 1 to privicore.MaxKeyID bytes.
	ID string
	// AEAD encrypts the data keys. If it is a tink.AEADWithContext too, it gets
	// the context of the call. If it is not, a call that lasts longer than its
	// context is left behind and ends in a goroutine of its own.
	AEAD tink.AEAD
	// WithContext is for an AEAD that has no calls without a context. Either
	// AEAD or WithContext must be set.
	WithContext tink.AEADWithContext
	// Tampered reports whether an error of decrypting means that the wrapped
	// key was altered or has another binding. Such an error matches
	// privicore.ErrDecrypt. If Tampered is nil, none does.
	Tampered func(error) bool
}

// Format implements fmt.Formatter. It writes the id and nothing of the AEAD.
func (k Key) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "key %q of Tink", k.ID) }

// A KeyWrapper implements privicore.KeyWrapper. It is safe for concurrent use if its
// AEADs are, as those of Tink are.
type KeyWrapper struct {
	primary Key
	keys    map[string]Key
}

var _ privicore.KeyWrapper = (*KeyWrapper)(nil)

// New returns a KeyWrapper. The primary key wraps. It and the older keys unwrap. The
// error is a *privicore.ValidationError if a key has no ID or no AEAD, or if two
// keys have the same ID.
func New(primary Key, older ...Key) (*KeyWrapper, error) {
	w := &KeyWrapper{keys: make(map[string]Key, 1+len(older))}
	for _, key := range append([]Key{primary}, older...) {
		if err := key.check(); err != nil {
			return nil, err
		}
		if _, used := w.keys[key.ID]; used {
			return nil, invalid("ID", fmt.Sprintf("%q is in use", key.ID))
		}
		if key.WithContext == nil {
			key.WithContext = withContext(key.AEAD)
		}
		w.keys[key.ID] = key
	}
	w.primary = w.keys[primary.ID]
	return w, nil
}

// Format implements fmt.Formatter. It writes the name of the type and no keys.
func (w *KeyWrapper) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "KeyWrapper of Tink") }

func (k *Key) check() error {
	switch {
	case k.ID == "":
		return invalid("ID", "is empty")
	case len(k.ID) > privicore.MaxKeyID:
		return invalid("ID", fmt.Sprintf("has %d bytes, more than %d", len(k.ID), privicore.MaxKeyID))
	case k.AEAD == nil && k.WithContext == nil:
		return invalid("AEAD", "is nil")
	case k.AEAD != nil && k.WithContext != nil:
		return invalid("AEAD", "is set, and so is WithContext")
	}
	return nil
}

func invalid(field, reason string) error {
	return &privicore.ValidationError{Operation: "tinkprivicore", Field: field, Reason: reason}
}

// errNoKey is for a KeyWrapper that was not made by New.
var errNoKey = errors.New("tinkprivicore: the KeyWrapper has no key; use New")

// WrapKey implements privicore.KeyWrapper. It uses the primary key. The additional
// data is the binding and the id of the key.
func (w *KeyWrapper) WrapKey(ctx context.Context, dataKey []byte, binding privicore.Binding) (privicore.WrappedKey, error) {
	if w == nil || w.primary.WithContext == nil {
		return privicore.WrappedKey{}, errNoKey
	}
	id := w.primary.ID
	ciphertext, err := w.primary.WithContext.EncryptWithContext(ctx, dataKey, additionalData(id, binding))
	if err != nil {
		return privicore.WrappedKey{}, &privicore.KeyError{KeyID: id, Err: err}
	}
	return privicore.WrappedKey{KeyID: id, Ciphertext: ciphertext}, nil
}

// UnwrapKey implements privicore.KeyWrapper.
func (w *KeyWrapper) UnwrapKey(ctx context.Context, wrapped privicore.WrappedKey, binding privicore.Binding) ([]byte, error) {
	if w == nil || w.primary.WithContext == nil {
		return nil, errNoKey
	}
	key, ok := w.keys[wrapped.KeyID]
	if !ok {
		return nil, &privicore.UnknownKeyError{KeyID: wrapped.KeyID}
	}
	dataKey, err := key.WithContext.DecryptWithContext(ctx, wrapped.Ciphertext, additionalData(key.ID, binding))
	switch {
	case err == nil:
		return dataKey, nil
	case key.Tampered != nil && key.Tampered(err):
		return nil, fmt.Errorf("%w: key %q: %w", privicore.ErrDecrypt, key.ID, err)
	}
	return nil, &privicore.KeyError{KeyID: key.ID, Err: err}
}

func additionalData(id string, binding privicore.Binding) []byte {
	return binding.AdditionalData("privicore-go/v1/tink", id)
}

// withContext returns an AEAD whose calls end when their context does.
func withContext(aead tink.AEAD) tink.AEADWithContext {
	if able, ok := aead.(tink.AEADWithContext); ok {
		return able
	}
	return leaving{aead}
}

// leaving is an AEAD whose calls are left behind when their context ends.
type leaving struct{ aead tink.AEAD }

func (l leaving) EncryptWithContext(ctx context.Context, plaintext, data []byte) ([]byte, error) {
	// A call that was left behind must not read what the caller goes on to use.
	plaintext = slices.Clone(plaintext)
	return leave(ctx, func() ([]byte, error) { return l.aead.Encrypt(plaintext, data) })
}

func (l leaving) DecryptWithContext(ctx context.Context, ciphertext, data []byte) ([]byte, error) {
	ciphertext = slices.Clone(ciphertext)
	return leave(ctx, func() ([]byte, error) { return l.aead.Decrypt(ciphertext, data) })
}

// leave returns what call returns, or the error of ctx if that ends first.
func leave(ctx context.Context, call func() ([]byte, error)) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1) // nobody may be there to take it
	go func() {
		data, err := call()
		done <- result{data, err}
	}()
	select {
	case r := <-done:
		return r.data, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

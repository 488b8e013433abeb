// Package agecipher encrypts payloads of any size in the age format,
// https://age-encryption.org/v1. It works chunk by chunk, so that its need of
// memory does not depend on the size. It is a package of its own so that programs
// that do not use it do not link age.
//
// NewEnvelope is for keys that rotate, and for keys in a key management service.
// NewBound is for one age key. Both bind a ciphertext to the context it was stored
// with. New makes ciphertexts without a binding.
//
// age does not work in a program that runs with GODEBUG=fips140=only, because its
// algorithms are not approved there. Encrypt and Decrypt then return errors.
package agecipher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"

	"github.com/privicore/privicore-go"
)

// Cipher implements privicore.Cipher. Make one with New, NewFor, NewBound,
// NewBoundFor or NewEnvelope. It is safe for concurrent use if its recipients,
// identities and KeyWrapper are, as those of age are.
type Cipher struct{ *keys }

// keys are behind a pointer of their own. Some verbs of fmt print what a single
// pointer leads to, and fmt asks no method about an unexported field.
type keys struct {
	recipients []age.Recipient
	identities []age.Identity
	wrapper    privicore.KeyWrapper
	bound      bool
}

var _ privicore.Cipher = (*Cipher)(nil)

// New returns a Cipher that encrypts to identity's recipient and decrypts with
// identity, which age.GenerateX25519Identity or ProfileIdentity makes. If identity
// is nil, Encrypt and Decrypt return errors.
//
// The Cipher does not bind. A server can answer a token with any other payload of
// the same identity, and the Cipher does not notice. It opens what NewBound made.
func New(identity *age.X25519Identity) *Cipher {
	if identity == nil {
		// The recipient of a nil identity would panic.
		return NewFor(nil, nil)
	}
	return NewFor([]age.Recipient{identity.Recipient()}, []age.Identity{identity})
}

// NewFor returns a Cipher that encrypts to recipients and decrypts with
// identities. Each of the recipients can decrypt alone, and one fitting identity
// is enough. Encrypt returns an error without recipients, and Decrypt without
// identities. Like that of New, the Cipher does not bind.
func NewFor(recipients []age.Recipient, identities []age.Identity) *Cipher {
	identities = slices.Clone(identities)
	// As in age: an identity that needs no person and no network goes first.
	slices.SortStableFunc(identities, func(a, b age.Identity) int {
		return rank(a) - rank(b)
	})
	return &Cipher{&keys{recipients: slices.Clone(recipients), identities: identities}}
}

// all returns the keys, none for the zero Cipher.
func (c *Cipher) all() keys {
	if c == nil || c.keys == nil {
		return keys{}
	}
	return *c.keys
}

// NewBound returns a Cipher like that of New, which binds. The ciphertext has the
// hash of its Binding in the age header, which the header's MAC authenticates. Other
// age programs open it and do not look at the Binding. What New made does not open.
func NewBound(identity *age.X25519Identity) *Cipher {
	c := New(identity)
	c.bound = true
	return c
}

// NewBoundFor returns a Cipher like that of NewFor, which binds as NewBound does.
func NewBoundFor(recipients []age.Recipient, identities []age.Identity) *Cipher {
	c := NewFor(recipients, identities)
	c.bound = true
	return c
}

// NewEnvelope returns a Cipher that encrypts each payload with a data key of its
// own, which wrapper wraps. It binds as NewBound does, and wrapper gets the Binding
// too. A ciphertext that was stored with another Binding is refused before wrapper
// is asked. Encrypt and Decrypt call wrapper once each. If wrapper is nil, they
// return errors.
//
// Encrypt and Decrypt return a *privicore.KeyError if wrapper is down or refuses.
// Decrypt returns a *privicore.UnknownKeyError if wrapper does not have the key.
// Neither matches privicore.ErrDecrypt.
func NewEnvelope(wrapper privicore.KeyWrapper) *Cipher {
	return &Cipher{&keys{wrapper: wrapper, bound: true}}
}

// Format implements fmt.Formatter. It writes the name of the format and no keys.
func (c Cipher) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "age") }

// Binds reports whether the Cipher was made by NewBound, NewBoundFor or NewEnvelope.
func (c *Cipher) Binds() bool { return c.all().bound }

// Encrypt implements privicore.Cipher. It returns a writer that encrypts to dst.
// The ciphertext is complete when the writer is closed; dst stays open. Encrypt
// writes the header of the ciphertext before it returns.
func (c *Cipher) Encrypt(ctx context.Context, dst io.Writer, binding privicore.Binding) (io.WriteCloser, error) {
	if err := c.check(binding); err != nil {
		return nil, err
	}
	k := c.all()
	recipients := k.recipients
	if k.wrapper != nil {
		recipients = []age.Recipient{&envelope{ctx, k.wrapper, binding}}
	}
	if k.bound && len(recipients) > 0 {
		recipients = slices.Clone(recipients)
		recipients[0] = &boundRecipient{recipients[0], binding}
	}
	return age.Encrypt(dst, recipients...)
}

// Decrypt implements privicore.Cipher. It returns a reader of the plaintext. Every
// chunk of 64 KiB is authenticated before the reader returns it. The plaintext is
// whole only if the reader returns io.EOF; before any other error it has returned
// the beginning of the plaintext. Errors match privicore.ErrDecrypt, with these
// exceptions: those of src are returned as they are, and those of a KeyWrapper or of
// an age.Identity that is not one of age's own are a *privicore.KeyError or a
// *privicore.UnknownKeyError.
func (c *Cipher) Decrypt(ctx context.Context, src io.Reader, binding privicore.Binding) (io.Reader, error) {
	if err := c.check(binding); err != nil {
		return nil, err
	}
	k := c.all()
	identities := k.identities
	if k.wrapper != nil {
		identities = []age.Identity{&envelope{ctx, k.wrapper, binding}}
	}
	if len(identities) == 0 {
		return nil, errors.New("agecipher: no identity to decrypt with")
	}
	tracked := &source{r: src}
	wrapped := make([]age.Identity, len(identities))
	for i, identity := range identities {
		wrapped[i] = &trackedIdentity{identity, tracked}
		if k.bound {
			wrapped[i] = &boundIdentity{wrapped[i], binding}
		}
	}
	plaintext, err := age.Decrypt(tracked, wrapped...)
	if err != nil {
		return nil, tracked.explain(err)
	}
	return &reader{plaintext, tracked}, nil
}

// check refuses the empty Binding if the Cipher binds.
func (c *Cipher) check(binding privicore.Binding) error {
	if c.Binds() && binding == "" {
		return &privicore.ValidationError{Operation: "age", Field: "context", Reason: "is empty, and the cipher binds to it"}
	}
	return nil
}

// source is the reader of the ciphertext. It keeps the error with which reading
// failed, because age does not say whether the reader failed or the ciphertext is
// wrong. It also keeps the error of an identity that could not be used.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// explain returns the error of the source or of an identity if one of them failed,
// and otherwise err as a failure to decrypt.
func (s *source) explain(err error) error {
	switch {
	case s.err != nil:
		return s.err
	case errors.Is(err, privicore.ErrDecrypt):
		return err
	}
	return fmt.Errorf("%w: %w", privicore.ErrDecrypt, err)
}

// reader is the reader of the plaintext.
type reader struct {
	plaintext io.Reader
	source    *source
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.plaintext.Read(p)
	if err != nil && err != io.EOF {
		err = r.source.explain(err)
	}
	return n, err
}

// trackedIdentity keeps the error of an identity that could not be used.
type trackedIdentity struct {
	age.Identity
	source *source
}

func (t *trackedIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	fileKey, err := t.Identity.Unwrap(stanzas)
	if err == nil || errors.Is(err, age.ErrIncorrectIdentity) || rank(t.Identity) == 0 {
		return fileKey, err
	}
	t.source.err = keyError("", err)
	return nil, err
}

// rank returns 0 for an identity that works on the ciphertext alone, so that its
// errors are about the ciphertext, and 1 for any other.
func rank(identity age.Identity) int {
	switch identity.(type) {
	case *age.X25519Identity, *age.HybridIdentity, *age.ScryptIdentity:
		return 0
	}
	return 1
}

// keyError returns err as the error of a key that could not be used, unless err says
// what it is already.
func keyError(id string, err error) error {
	if _, ok := errors.AsType[*privicore.UnknownKeyError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*privicore.KeyError](err); ok || errors.Is(err, privicore.ErrDecrypt) {
		return err
	}
	return &privicore.KeyError{KeyID: id, Err: err}
}

// Package agecipher encrypts payloads of any size in the age format,
// https://age-encryption.org/v1. It works chunk by chunk, so that its need of
// memory does not depend on the size. It is a package of its own so that programs
// that do not use it do not link age.
package agecipher

import (
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/privicore/privicore-go"
)

// Cipher implements privicore.Cipher. Make one with New or NewFor. It is safe for
// concurrent use if its recipients and identities are, as those of age are.
type Cipher struct{ *keys }

// keys are behind a pointer of their own. Some verbs of fmt print what a single
// pointer leads to, and fmt asks no method about an unexported field.
type keys struct {
	recipients []age.Recipient
	identities []age.Identity
}

var _ privicore.Cipher = (*Cipher)(nil)

// New returns a Cipher that encrypts to identity's recipient and decrypts with
// identity, which age.GenerateX25519Identity makes. If identity is nil, Encrypt
// and Decrypt return errors.
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
// identities.
func NewFor(recipients []age.Recipient, identities []age.Identity) *Cipher {
	return &Cipher{&keys{recipients, identities}}
}

// all returns the keys, none for the zero Cipher.
func (c *Cipher) all() keys {
	if c.keys == nil {
		return keys{}
	}
	return *c.keys
}

// Format implements fmt.Formatter. It writes the name of the format and no keys.
func (c Cipher) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "age") }

// Encrypt implements privicore.Cipher. It returns a writer that encrypts to dst.
// The ciphertext is complete when the writer is closed; dst stays open.
func (c *Cipher) Encrypt(dst io.Writer) (io.WriteCloser, error) {
	return age.Encrypt(dst, c.all().recipients...)
}

// Decrypt implements privicore.Cipher. It returns a reader of the plaintext. Every
// chunk of 64 KiB is authenticated before the reader returns it. The plaintext is
// whole only if the reader returns io.EOF; before any other error it has returned
// the beginning of the plaintext. Errors match privicore.ErrDecrypt, except those
// of src, which are returned as they are.
func (c *Cipher) Decrypt(src io.Reader) (io.Reader, error) {
	identities := c.all().identities
	if len(identities) == 0 {
		return nil, errors.New("agecipher: no identity to decrypt with")
	}
	tracked := &source{r: src}
	plaintext, err := age.Decrypt(tracked, identities...)
	if err != nil {
		return nil, tracked.explain(err)
	}
	return &reader{plaintext, tracked}, nil
}

// source is the reader of the ciphertext. It keeps the error with which reading
// failed, because age does not say whether the reader failed or the ciphertext is
// wrong.
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

// explain returns the error of the source if reading it failed, and otherwise err
// as a failure to decrypt.
func (s *source) explain(err error) error {
	if s.err != nil {
		return s.err
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

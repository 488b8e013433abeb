// Package agecipher encrypts payloads of any size in the age format
// (https://age-encryption.org/v1), chunk by chunk and in flat memory. It is a
// package of its own so that programs that do not need it do not link it.
package agecipher

import (
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/privicore/privicore-go"
)

// Cipher is a privicore.Cipher. It is safe for concurrent use if its recipients
// and identities are, as those of age are.
type Cipher struct {
	recipients []age.Recipient
	identities []age.Identity
}

var _ privicore.Cipher = (*Cipher)(nil)

// New returns a Cipher that encrypts to and decrypts with one key pair, such as
// one made by age.GenerateX25519Identity.
func New(identity *age.X25519Identity) *Cipher {
	if identity == nil {
		return &Cipher{} // which fails on first use
	}
	return &Cipher{[]age.Recipient{identity.Recipient()}, []age.Identity{identity}}
}

// NewFor returns a Cipher that encrypts to recipients and decrypts with
// identities. Either may be empty, if only the other direction is needed.
func NewFor(recipients []age.Recipient, identities []age.Identity) *Cipher {
	return &Cipher{recipients, identities}
}

// Format keeps the keys out of what fmt prints.
func (c Cipher) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "age") }

// Encrypt implements privicore.Cipher.
func (c *Cipher) Encrypt(dst io.Writer) (io.WriteCloser, error) {
	return age.Encrypt(dst, c.recipients...)
}

// Decrypt implements privicore.Cipher. The plaintext is authenticated in chunks
// of 64 KiB: a reader that fails has returned authentic bytes, but not all.
// Errors match privicore.ErrDecrypt, unless they come from src.
func (c *Cipher) Decrypt(src io.Reader) (io.Reader, error) {
	if len(c.identities) == 0 {
		return nil, errors.New("agecipher: no identity to decrypt with")
	}
	tracked := &source{r: src}
	plaintext, err := age.Decrypt(tracked, c.identities...)
	if err != nil {
		return nil, tracked.explain(err)
	}
	return &reader{plaintext, tracked}, nil
}

// source remembers how reading the ciphertext failed, to tell a broken
// connection from a broken ciphertext.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (s *source) explain(err error) error {
	if s.err != nil {
		return s.err
	}
	return fmt.Errorf("%w: %w", privicore.ErrDecrypt, err)
}

type reader struct {
	plaintext io.Reader
	source    *source
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.plaintext.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.source.explain(err)
	}
	return n, err
}

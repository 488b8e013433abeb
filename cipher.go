package privicore

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
)

// A Cipher encrypts payloads before they leave the application, and decrypts them
// after they have come back. Privicore never sees the key. AESGCM is for payloads
// that fit into memory. Package agecipher has a Cipher for files of any size.
type Cipher interface {
	// Encrypt returns a writer of plaintext, which writes the ciphertext to dst.
	// The ciphertext is complete when Close has returned.
	Encrypt(dst io.Writer) (io.WriteCloser, error)
	// Decrypt returns a reader of the plaintext of src. It must not return a
	// byte that it has not authenticated, and must end with an error other
	// than io.EOF if the ciphertext is not whole.
	Decrypt(src io.Reader) (io.Reader, error)
}

// MaxAESGCM is the largest plaintext that AESGCM takes, in bytes. There is a bound
// because plaintext and ciphertext are both in memory as a whole.
const MaxAESGCM = 64 << 20

const gcmOverhead = 12 + 16 // IV and tag

// ErrDecrypt means that a ciphertext cannot be decrypted: it was altered or
// truncated, or the key is wrong. No byte was returned that was not authenticated.
var ErrDecrypt = errors.New("ciphertext is altered or incomplete, or the key is wrong")

// ErrTooLarge means that a payload is larger than its Cipher can take.
var ErrTooLarge = errors.New("payload is too large")

// errNoKey is for an AESGCM that was not made by NewAESGCM.
var errNoKey = errors.New("privicore: AESGCM has no key; use NewAESGCM")

// AESGCM is AES-256-GCM with a fresh random IV for each payload, in the layout
// that other Privicore clients use: 12 bytes IV, ciphertext, 16 bytes tag. One
// key should not encrypt more than 2³² payloads. An AESGCM is safe for
// concurrent use; the zero value has no key and fails.
type AESGCM struct{ *keyed }

// keyed keeps a key behind a pointer of its own. Some verbs of fmt print what a
// single pointer leads to, and fmt asks no method about an unexported field.
type keyed struct{ aead cipher.AEAD }

// NewAESGCM returns the Cipher for a key of 32 bytes.
func NewAESGCM(key []byte) (*AESGCM, error) {
	if len(key) != 32 {
		return nil, &ValidationError{Operation: "AES-256-GCM", Field: "key", Reason: fmt.Sprintf("has %d bytes, not 32", len(key))}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	// The IV is made and put in front by the standard library.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &AESGCM{&keyed{aead}}, nil
}

// Format keeps the key out of what fmt prints.
func (c AESGCM) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "AES-256-GCM") }

// Seal returns the ciphertext of a payload of at most MaxAESGCM bytes.
func (c *AESGCM) Seal(plaintext []byte) ([]byte, error) {
	if !c.hasKey() {
		return nil, errNoKey
	}
	if len(plaintext) > MaxAESGCM {
		return nil, fmt.Errorf("%w: AES-256-GCM takes up to %d bytes", ErrTooLarge, MaxAESGCM)
	}
	return c.aead.Seal(make([]byte, 0, len(plaintext)+gcmOverhead), nil, plaintext, nil), nil
}

// Open returns the plaintext of what Seal returned. The error matches
// ErrDecrypt.
func (c *AESGCM) Open(ciphertext []byte) ([]byte, error) {
	if !c.hasKey() {
		return nil, errNoKey
	}
	plaintext, err := c.aead.Open(nil, nil, ciphertext, nil)
	if err != nil {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}

func (c *AESGCM) hasKey() bool { return c != nil && c.keyed != nil }

// Encrypt implements Cipher. Nothing is written before Close.
func (c *AESGCM) Encrypt(dst io.Writer) (io.WriteCloser, error) {
	if !c.hasKey() {
		return nil, errNoKey
	}
	return &sealer{cipher: c, dst: dst}, nil
}

type sealer struct {
	cipher    *AESGCM
	dst       io.Writer
	plaintext pieces
	closed    bool
}

func (s *sealer) Write(p []byte) (int, error) {
	switch {
	case s.closed:
		return 0, errSealed
	case s.plaintext.size+len(p) > MaxAESGCM:
		return 0, fmt.Errorf("%w: AES-256-GCM takes up to %d bytes; use agecipher", ErrTooLarge, MaxAESGCM)
	}
	return s.plaintext.Write(p)
}

var errSealed = errors.New("privicore: the ciphertext is complete already")

func (s *sealer) Close() error {
	if s.closed {
		return errSealed // a second ciphertext behind the first would spoil it
	}
	s.closed = true
	plaintext := s.plaintext.join(gcmOverhead)
	_, err := s.dst.Write(s.cipher.aead.Seal(plaintext[:0], nil, plaintext, nil))
	return err
}

// Decrypt implements Cipher. It reads all of src before it returns. The ciphertext
// of a plaintext larger than MaxAESGCM is ErrTooLarge.
func (c *AESGCM) Decrypt(src io.Reader) (io.Reader, error) {
	if !c.hasKey() {
		return nil, errNoKey
	}
	var read pieces
	_, err := io.Copy(&read, io.LimitReader(src, MaxAESGCM+gcmOverhead+1))
	switch {
	case err != nil:
		return nil, err
	case read.size > MaxAESGCM+gcmOverhead:
		return nil, fmt.Errorf("%w: not made by AES-256-GCM here", ErrTooLarge)
	}
	ciphertext := read.join(0)
	plaintext, err := c.aead.Open(ciphertext[:0], nil, ciphertext, nil)
	if err != nil {
		return nil, ErrDecrypt
	}
	return bytes.NewReader(plaintext), nil
}

// pieces collects data of unknown length. A buffer that grows copies itself, and takes
// three times the size of the data.
type pieces struct {
	list [][]byte
	size int
}

// The sizes of the first piece and of the largest.
const (
	firstPiece   = 4 << 10
	largestPiece = 1 << 20
)

// Write adds p. It returns no error.
func (b *pieces) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		last := len(b.list) - 1
		if last < 0 || len(b.list[last]) == cap(b.list[last]) {
			b.list = append(b.list, make([]byte, 0, min(max(firstPiece, b.size), largestPiece)))
			last++
		}
		piece := b.list[last]
		n := copy(piece[len(piece):cap(piece)], rest)
		b.list[last], b.size, rest = piece[:len(piece)+n], b.size+n, rest[n:]
	}
	return len(p), nil
}

// join returns the data in one slice with room for spare bytes more, and forgets it.
func (b *pieces) join(spare int) []byte {
	whole := make([]byte, 0, b.size+spare)
	for _, piece := range b.list {
		whole = append(whole, piece...)
	}
	b.list, b.size = nil, 0
	return whole
}

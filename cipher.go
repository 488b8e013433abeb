package privicore

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A Cipher encrypts payloads before they leave the application, and decrypts them
// after they have come back. Privicore never sees the key. BoundAESGCM is for
// payloads that fit into memory, and Envelope for such payloads and keys that
// rotate. Package agecipher has Ciphers for data of any size.
type Cipher interface {
	// Encrypt returns a writer of plaintext, which writes the ciphertext to dst.
	// The ciphertext is complete when Close has returned. ctx is for getting the
	// key, and must live until then. A Cipher that does not bind ignores
	// binding.
	Encrypt(ctx context.Context, dst io.Writer, binding Binding) (io.WriteCloser, error)
	// Decrypt returns a reader of the plaintext of src. It must not return a
	// byte that it has not authenticated, and must end with an error other
	// than io.EOF if the ciphertext is not whole. If the ciphertext was made
	// with another binding, a Cipher that binds returns an error that matches
	// ErrDecrypt. ctx is for getting the key, and must live until the last
	// Read.
	Decrypt(ctx context.Context, src io.Reader, binding Binding) (io.Reader, error)
	// Binds reports whether a ciphertext opens only with the Binding that it
	// was made with. Such a Cipher refuses the empty Binding with a
	// *ValidationError.
	Binds() bool
}

// A Binding is what a ciphertext belongs to. Store takes Payload.Context for it, and
// Retrieve takes Retrieval.Context. A Binding never comes from the server. So
// Retrieve notices a server that answers a token with the data of another context.
//
// A Binding is not secret. It does not tell two payloads of the same context apart.
type Binding string

// AdditionalData returns an encoding of parts and b, for an AEAD or a hash. Other
// parts or another Binding have another encoding. The first part should name what
// the encoding is for.
func (b Binding) AdditionalData(parts ...string) []byte {
	var data []byte
	for _, part := range append(slices.Clip(parts), string(b)) {
		data = binary.BigEndian.AppendUint64(data, uint64(len(part)))
		data = append(data, part...)
	}
	return data
}

// MaxAESGCM is the largest plaintext that AESGCM, BoundAESGCM and Envelope take, in
// bytes. There is a bound because plaintext and ciphertext are both in memory as a
// whole.
const MaxAESGCM = 64 << 20

const gcmOverhead = 12 + 16 // IV and tag

// ErrDecrypt means that a ciphertext cannot be decrypted: it was altered or
// truncated, it was bound to another context, or the key is wrong. No byte was
// returned that was not authenticated. A key that cannot be reached is a *KeyError
// instead, and a key that is not there is an *UnknownKeyError.
var ErrDecrypt = errors.New("ciphertext is altered or incomplete, or the key or the context is wrong")

// ErrTooLarge means that a payload is larger than its Cipher can take.
var ErrTooLarge = errors.New("payload is too large")

// errNoKey is for a cipher that was not made by its constructor.
var errNoKey = errors.New("privicore: the AES-256-GCM has no key; use NewAESGCM or NewBoundAESGCM")

// AESGCM is AES-256-GCM with a fresh random IV for each payload, in the layout
// that other Privicore clients use: 12 bytes IV, ciphertext, 16 bytes tag. One
// key should not encrypt more than 2³² payloads. An AESGCM is safe for
// concurrent use; the zero value has no key and fails.
//
// The layout has no room for a Binding. A server can answer a token with any other
// payload of the same key, and AESGCM does not notice. Use it to exchange data with
// other clients, and BoundAESGCM for all else.
type AESGCM struct{ core gcm }

// NewAESGCM returns the Cipher for a key of 32 bytes.
func NewAESGCM(key []byte) (*AESGCM, error) {
	core, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	return &AESGCM{core}, nil
}

// Format keeps the key out of what fmt prints.
func (c AESGCM) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "AES-256-GCM") }

// Binds returns false.
func (c *AESGCM) Binds() bool { return false }

// Seal returns the ciphertext of a payload of at most MaxAESGCM bytes.
func (c *AESGCM) Seal(plaintext []byte) ([]byte, error) { return c.gcm().seal(plaintext, nil) }

// Open returns the plaintext of what Seal returned. The error matches
// ErrDecrypt.
func (c *AESGCM) Open(ciphertext []byte) ([]byte, error) { return c.gcm().open(ciphertext, nil) }

// Encrypt implements Cipher. Nothing is written before Close. The binding is
// ignored.
func (c *AESGCM) Encrypt(_ context.Context, dst io.Writer, _ Binding) (io.WriteCloser, error) {
	return c.gcm().encrypt(dst, nil)
}

// Decrypt implements Cipher. It reads all of src before it returns. The ciphertext
// of a plaintext larger than MaxAESGCM is ErrTooLarge. The binding is ignored.
func (c *AESGCM) Decrypt(_ context.Context, src io.Reader, _ Binding) (io.Reader, error) {
	return c.gcm().decrypt(src, nil)
}

func (c *AESGCM) gcm() gcm {
	if c == nil {
		return gcm{}
	}
	return c.core
}

// BoundAESGCM is AES-256-GCM whose ciphertexts open only with the Binding they were
// made with. The Binding is additional data, so the layout is that of AESGCM. The
// two do not open each other's ciphertexts. One key should not encrypt more than
// 2³² payloads. A BoundAESGCM is safe for concurrent use; the zero value has no key
// and fails.
type BoundAESGCM struct{ core gcm }

// NewBoundAESGCM returns the Cipher for a key of 32 bytes.
func NewBoundAESGCM(key []byte) (*BoundAESGCM, error) {
	core, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	return &BoundAESGCM{core}, nil
}

// Format keeps the key out of what fmt prints.
func (c BoundAESGCM) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "AES-256-GCM, bound") }

// Binds returns true.
func (c *BoundAESGCM) Binds() bool { return true }

// Seal returns the ciphertext of a payload of at most MaxAESGCM bytes, bound to
// binding. The error is a *ValidationError if binding is empty.
func (c *BoundAESGCM) Seal(plaintext []byte, binding Binding) ([]byte, error) {
	data, err := gcmData(binding)
	if err != nil {
		return nil, err
	}
	return c.gcm().seal(plaintext, data)
}

// Open returns the plaintext of what Seal returned for the same binding. The error
// matches ErrDecrypt, or is a *ValidationError if binding is empty.
func (c *BoundAESGCM) Open(ciphertext []byte, binding Binding) ([]byte, error) {
	data, err := gcmData(binding)
	if err != nil {
		return nil, err
	}
	return c.gcm().open(ciphertext, data)
}

// Encrypt implements Cipher. Nothing is written before Close.
func (c *BoundAESGCM) Encrypt(_ context.Context, dst io.Writer, binding Binding) (io.WriteCloser, error) {
	data, err := gcmData(binding)
	if err != nil {
		return nil, err
	}
	return c.gcm().encrypt(dst, data)
}

// Decrypt implements Cipher. It reads all of src before it returns. The ciphertext
// of a plaintext larger than MaxAESGCM is ErrTooLarge.
func (c *BoundAESGCM) Decrypt(_ context.Context, src io.Reader, binding Binding) (io.Reader, error) {
	data, err := gcmData(binding)
	if err != nil {
		return nil, err
	}
	return c.gcm().decrypt(src, data)
}

func (c *BoundAESGCM) gcm() gcm {
	if c == nil {
		return gcm{}
	}
	return c.core
}

// gcmData returns the additional data of a BoundAESGCM.
func gcmData(binding Binding) ([]byte, error) {
	if err := needBinding(binding); err != nil {
		return nil, err
	}
	return binding.AdditionalData("privicore-go/v1/payload"), nil
}

// needBinding refuses the empty Binding.
func needBinding(binding Binding) error {
	if binding == "" {
		return &ValidationError{Operation: gcmName, Field: "context", Reason: "is empty, and the cipher binds to it"}
	}
	return nil
}

// gcmName is what errors call AES-256-GCM.
const gcmName = "AES-256-GCM"

// gcm is AES-256-GCM with a fresh random IV in front of each ciphertext. The zero
// gcm has no key, and its methods return errNoKey.
type gcm struct{ *keyed }

// keyed keeps a key behind a pointer of its own. Some verbs of fmt print what a
// single pointer leads to, and fmt asks no method about an unexported field.
type keyed struct{ aead cipher.AEAD }

func newGCM(key []byte) (gcm, error) {
	if len(key) != 32 {
		return gcm{}, &ValidationError{Operation: gcmName, Field: "key", Reason: fmt.Sprintf("has %d bytes, not 32", len(key))}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return gcm{}, err
	}
	// The IV is made and put in front by the standard library.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return gcm{}, err
	}
	return gcm{&keyed{aead}}, nil
}

func (g gcm) seal(plaintext, data []byte) ([]byte, error) {
	if g.keyed == nil {
		return nil, errNoKey
	}
	if len(plaintext) > MaxAESGCM {
		return nil, fmt.Errorf("%w: AES-256-GCM takes up to %d bytes", ErrTooLarge, MaxAESGCM)
	}
	return g.aead.Seal(make([]byte, 0, len(plaintext)+gcmOverhead), nil, plaintext, data), nil
}

func (g gcm) open(ciphertext, data []byte) ([]byte, error) {
	if g.keyed == nil {
		return nil, errNoKey
	}
	plaintext, err := g.aead.Open(nil, nil, ciphertext, data)
	if err != nil {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}

func (g gcm) encrypt(dst io.Writer, data []byte) (io.WriteCloser, error) {
	if g.keyed == nil {
		return nil, errNoKey
	}
	return &sealer{gcm: g, data: data, dst: dst}, nil
}

func (g gcm) decrypt(src io.Reader, data []byte) (io.Reader, error) {
	if g.keyed == nil {
		return nil, errNoKey
	}
	ciphertext, err := readAll(src, MaxAESGCM+gcmOverhead)
	if err != nil {
		return nil, err
	}
	plaintext, err := g.aead.Open(ciphertext[:0], nil, ciphertext, data)
	if err != nil {
		return nil, ErrDecrypt
	}
	return bytes.NewReader(plaintext), nil
}

// readAll reads src to its end. If there are more than limit bytes, the error matches
// ErrTooLarge.
func readAll(src io.Reader, limit int) ([]byte, error) {
	var read pieces
	_, err := io.Copy(&read, io.LimitReader(src, int64(limit)+1))
	switch {
	case err != nil:
		return nil, err
	case read.size > limit:
		return nil, fmt.Errorf("%w: not made by AES-256-GCM here", ErrTooLarge)
	}
	return read.join(0), nil
}

// sealer gathers a plaintext and writes its ciphertext when it is closed.
type sealer struct {
	gcm       gcm
	header    []byte // written in front of the ciphertext
	data      []byte // authenticated with it
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
	if len(s.header) > 0 {
		if _, err := s.dst.Write(s.header); err != nil {
			return err
		}
	}
	plaintext := s.plaintext.join(gcmOverhead)
	_, err := s.dst.Write(s.gcm.aead.Seal(plaintext[:0], nil, plaintext, s.data))
	return err
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

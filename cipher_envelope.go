package privicore

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
)

// Envelope is a Cipher whose keys can rotate. It encrypts each payload of at most
// MaxAESGCM bytes by AES-256-GCM with a data key of its own, which a KeyWrapper
// wraps. It binds. It uses approved algorithms only, so it works in a program that
// runs with GODEBUG=fips140=only. agecipher.NewEnvelope is for data of any size.
//
// Encrypt and Decrypt call the KeyWrapper once each. They return a *KeyError if it
// is down or refuses. Decrypt returns an *UnknownKeyError if the KeyWrapper does not
// have the key. A ciphertext that was made with another Binding is ErrDecrypt before
// the KeyWrapper is asked.
//
// An Envelope is safe for concurrent use; the zero value has no KeyWrapper and
// fails.
type Envelope struct{ wrapper KeyWrapper }

// NewEnvelope returns the Cipher for a KeyWrapper, which must not be nil.
func NewEnvelope(wrapper KeyWrapper) *Envelope { return &Envelope{wrapper} }

// Format implements fmt.Formatter. It writes the name of the type and no keys.
func (e Envelope) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "envelope of AES-256-GCM") }

// Binds returns true.
func (e *Envelope) Binds() bool { return true }

// Encrypt implements Cipher. Nothing is written before Close.
func (e *Envelope) Encrypt(ctx context.Context, dst io.Writer, binding Binding) (io.WriteCloser, error) {
	if err := e.check(binding); err != nil {
		return nil, err
	}
	dataKey := make([]byte, 32)
	if _, err := rand.Read(dataKey); err != nil {
		return nil, err
	}
	wrapped, err := e.wrapper.WrapKey(ctx, dataKey, binding)
	if err != nil {
		return nil, keyError(wrapped.KeyID, err)
	}
	salt := rand.Text()
	head := envelopeHead{wrapped: wrapped, salt: []byte(salt), hash: bindingHash(salt, binding)}
	header, err := head.marshal()
	if err != nil {
		return nil, keyError(wrapped.KeyID, err)
	}
	core, err := newGCM(dataKey)
	if err != nil {
		return nil, err
	}
	return &sealer{gcm: core, header: header, data: envelopeData(header, binding), dst: dst}, nil
}

// Decrypt implements Cipher. It reads all of src before it returns. The ciphertext
// of a plaintext larger than MaxAESGCM is ErrTooLarge.
func (e *Envelope) Decrypt(ctx context.Context, src io.Reader, binding Binding) (io.Reader, error) {
	if err := e.check(binding); err != nil {
		return nil, err
	}
	data, err := readAll(src, maxEnvelopeHead+MaxAESGCM+gcmOverhead)
	if err != nil {
		return nil, err
	}
	head, sealed, ok := parseEnvelope(data)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: it is no envelope", ErrDecrypt)
	case subtle.ConstantTimeCompare(head.hash, bindingHash(string(head.salt), binding)) != 1:
		return nil, fmt.Errorf("%w: it is bound to another context", ErrDecrypt)
	}
	dataKey, err := e.wrapper.UnwrapKey(ctx, head.wrapped, binding)
	if err != nil {
		return nil, keyError(head.wrapped.KeyID, err)
	}
	core, err := newGCM(dataKey)
	if err != nil {
		return nil, keyError(head.wrapped.KeyID, errors.New("it returned no data key of 32 bytes"))
	}
	plaintext, err := core.aead.Open(sealed[:0], nil, sealed, envelopeData(data[:len(data)-len(sealed)], binding))
	if err != nil {
		return nil, ErrDecrypt
	}
	return bytes.NewReader(plaintext), nil
}

func (e *Envelope) check(binding Binding) error {
	if e == nil || e.wrapper == nil {
		return errors.New("privicore: the Envelope has no KeyWrapper; use NewEnvelope")
	}
	return needBinding(binding)
}

// An envelope is envelopeMagic, the id of the key, the wrapped data key, a salt, the
// hash of salt and Binding, and the ciphertext in the layout of AESGCM. The parts in
// between have their length in two bytes in front. All that is in front of the
// ciphertext is authenticated with it.
const envelopeMagic = "privicore-go/envelope/v1\n"

// maxEnvelopeHead is more than the parts in front of a ciphertext have.
const maxEnvelopeHead = len(envelopeMagic) + 4*(1<<16+1)

// envelopeHead is what stands in front of a ciphertext.
type envelopeHead struct {
	wrapped    WrappedKey
	salt, hash []byte
}

func (h *envelopeHead) marshal() ([]byte, error) {
	if n := len(h.wrapped.KeyID); n == 0 || n > MaxKeyID {
		return nil, fmt.Errorf("its id has %d bytes, not 1 to %d", n, MaxKeyID)
	}
	b := cryptobyte.NewBuilder([]byte(envelopeMagic))
	for _, part := range [][]byte{[]byte(h.wrapped.KeyID), h.wrapped.Ciphertext, h.salt, h.hash} {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(part) })
	}
	return b.Bytes()
}

// parseEnvelope returns the parts of an envelope, and whether it is one.
func parseEnvelope(data []byte) (head envelopeHead, sealed []byte, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(envelopeMagic))
	s := cryptobyte.String(rest)
	var id, wrapped, salt, hash cryptobyte.String
	ok = ok && s.ReadUint16LengthPrefixed(&id) && s.ReadUint16LengthPrefixed(&wrapped) &&
		s.ReadUint16LengthPrefixed(&salt) && s.ReadUint16LengthPrefixed(&hash)
	if !ok || len(id) == 0 || len(id) > MaxKeyID {
		return envelopeHead{}, nil, false
	}
	return envelopeHead{WrappedKey{string(id), wrapped}, salt, hash}, s, true
}

// envelopeData returns the additional data of the payload in an envelope.
func envelopeData(header []byte, binding Binding) []byte {
	return binding.AdditionalData("privicore-go/v1/envelope", string(header))
}

// bindingHash returns a hash by which a ciphertext of another Binding is found
// before its key is unwrapped. The salt keeps equal Bindings from looking equal.
func bindingHash(salt string, binding Binding) []byte {
	hash := sha256.Sum256(binding.AdditionalData("privicore-go/v1/binding", salt))
	return hash[:]
}

// keyError returns err as the error of a key that could not be used, unless err says
// what it is already.
func keyError(id string, err error) error {
	if _, ok := errors.AsType[*UnknownKeyError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*KeyError](err); ok || errors.Is(err, ErrDecrypt) {
		return err
	}
	return &KeyError{KeyID: id, Err: err}
}

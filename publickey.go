package privicore

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/crypto/blake2b"

	"github.com/privicore/privicore-go/internal/operation"
)

// A signed public key is this tag, the Curve25519 key, and the unkeyed
// BLAKE2b-512 hash of the two.
var keyTag = []byte{0x31, 0x42, 0x05, 0x00}

const (
	keySize       = 32
	signedKeySize = 4 + keySize + blake2b.Size
)

// ErrInvalidKey means that a text is no key: it has the wrong length, is not
// hexadecimal, or its version tag or hash is wrong.
var ErrInvalidKey = errors.New("invalid key")

// PublicKey is a Curve25519 public key as Privicore signs and exchanges it. It
// is comparable; the zero PublicKey is no key.
type PublicKey struct {
	key [keySize]byte
	set bool
}

// ParsePublicKey reads a signed public key: 200 hexadecimal digits, of which
// version tag and hash are verified. The error matches ErrInvalidKey.
func ParsePublicKey(signed string) (PublicKey, error) {
	if len(signed) != 2*signedKeySize {
		return PublicKey{}, fmt.Errorf("%w: signed public key has %d characters, not %d", ErrInvalidKey, len(signed), 2*signedKeySize)
	}
	raw, err := hex.DecodeString(signed)
	if err != nil {
		return PublicKey{}, fmt.Errorf("%w: signed public key is not hexadecimal", ErrInvalidKey)
	}
	body := raw[:len(keyTag)+keySize]
	hash := blake2b.Sum512(body)
	switch {
	case !bytes.Equal(raw[:len(keyTag)], keyTag):
		return PublicKey{}, fmt.Errorf("%w: signed public key has version tag %x, not %x", ErrInvalidKey, raw[:len(keyTag)], keyTag)
	case !bytes.Equal(raw[len(body):], hash[:]):
		return PublicKey{}, fmt.Errorf("%w: signed public key has a wrong hash", ErrInvalidKey)
	}
	return publicKey(body[len(keyTag):]), nil
}

// NewPublicKey returns the signed form of a Curve25519 key.
func NewPublicKey(key *ecdh.PublicKey) (PublicKey, error) {
	if key == nil || key.Curve() != ecdh.X25519() {
		return PublicKey{}, fmt.Errorf("%w: not a Curve25519 key", ErrInvalidKey)
	}
	return publicKey(key.Bytes()), nil
}

func publicKey(raw []byte) PublicKey { return PublicKey{[keySize]byte(raw), true} }

// IsZero reports whether k is the zero PublicKey.
func (k PublicKey) IsZero() bool { return !k.set }

// String returns the signed key in 200 hexadecimal digits, "" for no key.
func (k PublicKey) String() string {
	if k.IsZero() {
		return ""
	}
	signed := append(bytes.Clone(keyTag), k.key[:]...)
	hash := blake2b.Sum512(signed)
	return hex.EncodeToString(append(signed, hash[:]...))
}

// ECDH returns the key for key exchange, nil for no key.
func (k PublicKey) ECDH() *ecdh.PublicKey {
	key, err := ecdh.X25519().NewPublicKey(k.key[:])
	if err != nil || k.IsZero() {
		return nil
	}
	return key
}

// MarshalText writes what String returns.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what ParsePublicKey reads; empty text is no key.
func (k *PublicKey) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*k = PublicKey{}
		return nil
	}
	parsed, err := ParsePublicKey(string(text))
	if err == nil {
		*k = parsed
	}
	return err
}

// PrivateKey is a Curve25519 private key. Like a Secret it is not shown. The
// zero PrivateKey is no key.
type PrivateKey struct {
	Secret // 64 hexadecimal digits
}

// GenerateKey makes a new random key, on this machine.
func GenerateKey() (PrivateKey, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return PrivateKey{}, err
	}
	return PrivateKey{NewSecret(hex.EncodeToString(key.Bytes()))}, nil
}

// KeyFromSeed derives the key that belongs to a seed: its BLAKE2b-256 hash. The
// key is as hard to guess as the seed, and no harder.
func KeyFromSeed(seed string) PrivateKey {
	hash := blake2b.Sum256([]byte(seed))
	return PrivateKey{NewSecret(hex.EncodeToString(hash[:]))}
}

// ParsePrivateKey reads a private key: 64 hexadecimal digits, what Reveal
// returns. The error matches ErrInvalidKey and does not quote the text.
func ParsePrivateKey(text string) (PrivateKey, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != keySize {
		return PrivateKey{}, fmt.Errorf("%w: private key is not %d hexadecimal digits", ErrInvalidKey, 2*keySize)
	}
	return PrivateKey{NewSecret(hex.EncodeToString(raw))}, nil
}

// ECDH returns the key for key exchange, nil for no key.
func (k PrivateKey) ECDH() *ecdh.PrivateKey {
	raw, err := hex.DecodeString(k.Reveal())
	if err != nil {
		return nil
	}
	key, err := ecdh.X25519().NewPrivateKey(raw)
	if err != nil {
		return nil
	}
	return key
}

// Public returns the public key that belongs to k, the zero PublicKey for no
// key.
func (k PrivateKey) Public() PublicKey {
	key := k.ECDH()
	if key == nil {
		return PublicKey{}
	}
	return publicKey(key.PublicKey().Bytes())
}

// UnmarshalJSON reads what ParsePrivateKey reads.
func (k *PrivateKey) UnmarshalJSON(data []byte) error {
	var secret Secret
	if err := secret.UnmarshalJSON(data); err != nil {
		return err
	}
	parsed, err := ParsePrivateKey(secret.Reveal())
	if err == nil {
		*k = parsed
	}
	return err
}

// PublicKeyService is the section "Public key" of the API.
type PublicKeyService service

// KeyPair is a pair of keys that the server made.
type KeyPair struct {
	Private PrivateKey `json:"private"`
	Public  PublicKey  `json:"public"`
}

func (p *KeyPair) missing() string {
	switch {
	case p.Private.IsZero():
		return "private"
	case p.Public.IsZero():
		return "public"
	}
	return ""
}

// Generate has the server make a pair of keys: "Generate your private and
// public keys". It needs no token. The private key has then been on the
// server; GenerateKey makes one that has not.
func (s *PublicKeyService) Generate(ctx context.Context) (*KeyPair, error) {
	return value[KeyPair](ctx, s.client, operation.PublicKeyGenerate, params{})
}

// Register makes key the public key of the profile, or replaces the one it
// has: "Register public key". The first one makes the profile active; before
// that, protected operations are refused.
func (s *PublicKeyService) Register(ctx context.Context, key PublicKey) (*Command, error) {
	op := operation.PublicKeyRegister
	if key.IsZero() {
		return nil, invalid(op, "publicKey", "is empty")
	}
	form := struct {
		PublicKey string `url:"publicKey"`
	}{key.String()}
	return s.client.command(ctx, op, params{form: form})
}

type keyAnswer struct {
	PublicKey PublicKey `json:"publicKey"`
}

func (a *keyAnswer) missing() string {
	if a.PublicKey.IsZero() {
		return "publicKey"
	}
	return ""
}

// Retrieve returns the public key of the profile: "Retrieve public key".
func (s *PublicKeyService) Retrieve(ctx context.Context) (PublicKey, error) {
	return s.retrieve(ctx, operation.PublicKeyRetrieve)
}

// RetrieveCAB returns the public key of the server's engine: "Retrieve CAB
// public key". It can change.
func (s *PublicKeyService) RetrieveCAB(ctx context.Context) (PublicKey, error) {
	return s.retrieve(ctx, operation.PublicKeyRetrieveCAB)
}

func (s *PublicKeyService) retrieve(ctx context.Context, op *operation.Operation) (PublicKey, error) {
	v, err := value[keyAnswer](ctx, s.client, op, params{})
	if err != nil {
		return PublicKey{}, err
	}
	return v.PublicKey, nil
}

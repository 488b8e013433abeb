package privicore

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"

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

// ErrInvalidKey means that a value is no key: it has the wrong length or curve, is
// not hexadecimal, or its version tag or hash is wrong.
var ErrInvalidKey = errors.New("invalid key")

// A PublicKey is a Curve25519 public key. Privicore exchanges it in a signed form,
// with a version tag and a hash. Two PublicKeys can be compared with ==. The zero
// PublicKey is no key.
type PublicKey struct {
	key [keySize]byte
	set bool
}

// ParsePublicKey reads a public key in its signed form of 200 hexadecimal digits.
// It verifies version tag and hash. The error matches ErrInvalidKey.
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

// NewPublicKey returns the PublicKey for a Curve25519 key. The error matches
// ErrInvalidKey.
func NewPublicKey(key *ecdh.PublicKey) (PublicKey, error) {
	if key == nil || key.Curve() != ecdh.X25519() {
		return PublicKey{}, fmt.Errorf("%w: not a Curve25519 key", ErrInvalidKey)
	}
	return publicKey(key.Bytes()), nil
}

func publicKey(raw []byte) PublicKey { return PublicKey{[keySize]byte(raw), true} }

// IsZero reports whether k is the zero PublicKey.
func (k PublicKey) IsZero() bool { return !k.set }

// String returns the signed form in 200 hexadecimal digits. It returns "" for the
// zero PublicKey.
func (k PublicKey) String() string {
	if k.IsZero() {
		return ""
	}
	signed := append(bytes.Clone(keyTag), k.key[:]...)
	hash := blake2b.Sum512(signed)
	return hex.EncodeToString(append(signed, hash[:]...))
}

// ECDH returns the key for use with crypto/ecdh, or nil for the zero PublicKey.
func (k PublicKey) ECDH() *ecdh.PublicKey {
	key, err := ecdh.X25519().NewPublicKey(k.key[:])
	if err != nil || k.IsZero() {
		return nil
	}
	return key
}

// MarshalText writes what String returns.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what ParsePublicKey reads. An empty text is the zero
// PublicKey.
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

// A PrivateKey is a Curve25519 private key. Like a Secret it is not shown; Reveal
// returns its 64 hexadecimal digits. The zero PrivateKey is no key.
type PrivateKey struct {
	Secret // 64 hexadecimal digits
}

// GenerateKey returns a new random key. The server does not see it.
func GenerateKey() (PrivateKey, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return PrivateKey{}, err
	}
	return PrivateKey{NewSecret(hex.EncodeToString(key.Bytes()))}, nil
}

// KeyFromSeed returns the key for a seed, which is the BLAKE2b-256 hash of the seed.
// The same seed gives the same key, so the seed must be as hard to guess as a key.
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

// ECDH returns the key for use with crypto/ecdh, or nil for the zero PrivateKey.
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

// Public returns the public key of k. It returns the zero PublicKey for the zero
// PrivateKey.
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

// Generate asks the server to make a pair of keys, and returns it. It needs no
// token. The server sees the private key; GenerateKey makes one that it does not
// see.
//
// It is the operation [Generate your private and public keys].
//
// [Generate your private and public keys]: https://docs.privicore.com/generate-your-private-and-public-keys-14411429e0
func (s *PublicKeyService) Generate(ctx context.Context) (*KeyPair, error) {
	return value[KeyPair](ctx, s.client, operation.PublicKeyGenerate, params{})
}

// Register makes key the public key of the profile, in place of the one that it
// has. The first key makes the profile active. Before that the server refuses
// protected operations with ErrForbidden. Register returns the command and does not
// wait.
//
// It is the operation [Register public key].
//
// [Register public key]: https://docs.privicore.com/register-public-key-14411430e0
func (s *PublicKeyService) Register(ctx context.Context, key PublicKey) (*Command, error) {
	op := operation.PublicKeyRegister
	if key.IsZero() {
		return nil, invalid(op, "publicKey", "is empty")
	}
	return s.client.command(ctx, op, params{values: url.Values{"publicKey": {key.String()}}})
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

// Retrieve returns the public key of the profile.
//
// It is the operation [Retrieve public key].
//
// [Retrieve public key]: https://docs.privicore.com/retrieve-public-key-14411431e0
func (s *PublicKeyService) Retrieve(ctx context.Context) (PublicKey, error) {
	return s.retrieve(ctx, operation.PublicKeyRetrieve)
}

// RetrieveCAB returns the public key of the server's engine, which the
// documentation calls CAB. The key can change.
//
// It is the operation [Retrieve CAB public key].
//
// [Retrieve CAB public key]: https://docs.privicore.com/retrieve-cab-public-key-14411432e0
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

package privicoretest

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"

	"golang.org/x/crypto/blake2b"
)

// keyTag is the version of a signed key. The key and a hash of both follow it.
var keyTag = []byte{0x31, 0x42, 0x05, 0x00}

const signedKeySize = 4 + 32 + blake2b.Size

// keyPair returns a new private key and its signed public key, both in hex.
func keyPair() (private, public string, err error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return "", "", err
	}
	signed := append(bytes.Clone(keyTag), key.PublicKey().Bytes()...)
	hash := blake2b.Sum512(signed)
	return hex.EncodeToString(key.Bytes()), hex.EncodeToString(append(signed, hash[:]...)), nil
}

// signedKey is a rule for a signed public key with the right version and hash.
func signedKey(value any, given bool) string {
	if why := text(value, given); why != "" {
		return why
	}
	key, err := hex.DecodeString(value.(string))
	if err != nil || len(key) != signedKeySize {
		return "This value should be 200 hex digits."
	}
	if !bytes.HasPrefix(key, keyTag) {
		return "This public key has an unknown version."
	}
	body, hash := key[:signedKeySize-blake2b.Size], key[signedKeySize-blake2b.Size:]
	if sum := blake2b.Sum512(body); !bytes.Equal(sum[:], hash) {
		return "The hash of this public key is wrong."
	}
	return ""
}

func generateKeys(*state, *call) answer {
	private, public, err := keyPair()
	if err != nil {
		return refuse(http.StatusInternalServerError, "public_key.not_generated", "No key could be generated.")
	}
	return value(map[string]string{"private": private, "public": public})
}

func registerPublicKey(s *state, c *call) answer {
	return s.accept(c, func(*command) outcome {
		c.profile.key = strings.ToLower(c.text("publicKey"))
		return succeeded("public_key.public_key_registered")
	})
}

func retrievePublicKey(s *state, c *call) answer {
	return value(map[string]string{"publicKey": c.profile.key})
}

func retrieveCABPublicKey(s *state, c *call) answer {
	return value(map[string]string{"publicKey": s.cabKey})
}

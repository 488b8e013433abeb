package agecipher

import (
	"fmt"
	"strings"

	"filippo.io/age"

	"github.com/privicore/privicore-go"
)

// ProfileIdentity returns the age identity of a profile's private key, for those who
// want to keep one key. The error matches privicore.ErrInvalidKey.
//
// A key that encrypts data cannot be replaced before that data is encrypted anew, and
// a key from PublicKey.Generate was seen by the server. Keys of their own have
// neither trouble.
func ProfileIdentity(key privicore.PrivateKey) (*age.X25519Identity, error) {
	raw := key.ECDH()
	if raw == nil {
		return nil, noProfileKey("private")
	}
	return age.ParseX25519Identity(strings.ToUpper(bech32("age-secret-key-", raw.Bytes())))
}

// ProfileRecipient returns the age recipient of a profile's public key. What is
// encrypted to it opens with the ProfileIdentity of the private key. The error
// matches privicore.ErrInvalidKey.
//
// A public key that comes from the server is one that the server chose. Compare it
// with the one that was registered.
func ProfileRecipient(key privicore.PublicKey) (*age.X25519Recipient, error) {
	raw := key.ECDH()
	if raw == nil {
		return nil, noProfileKey("public")
	}
	return age.ParseX25519Recipient(bech32("age", raw.Bytes()))
}

func noProfileKey(kind string) error {
	return fmt.Errorf("agecipher: %w: the %s key is empty, or this program may not use Curve25519", privicore.ErrInvalidKey, kind)
}

// bech32 returns key in the encoding of BIP 173, in lower case. It is here because
// age takes a raw key in no other form and exports no encoder for identities. The
// parsers of age verify the checksum.
func bech32(prefix string, key []byte) string {
	const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	var groups []byte // of 5 bits
	rest, bits := 0, 0
	for _, b := range key {
		rest, bits = (rest<<8|int(b))&0xfff, bits+8
		for ; bits >= 5; bits -= 5 {
			groups = append(groups, byte(rest>>(bits-5)&31))
		}
	}
	if bits > 0 {
		groups = append(groups, byte(rest<<(5-bits)&31))
	}
	sum := bech32Checksum(prefix, groups)
	for i := range 6 {
		groups = append(groups, byte(sum>>(5*(5-i))&31))
	}
	for i, group := range groups {
		groups[i] = alphabet[group]
	}
	return prefix + "1" + string(groups)
}

// bech32Checksum returns the checksum of BIP 173, which has 30 bits.
func bech32Checksum(prefix string, groups []byte) uint32 {
	sum := uint32(1)
	add := func(group byte) {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(group)
		for i, generator := range [...]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= generator
			}
		}
	}
	for _, c := range []byte(prefix) {
		add(c >> 5)
	}
	add(0)
	for _, c := range []byte(prefix) {
		add(c & 31)
	}
	for _, group := range groups {
		add(group)
	}
	for range 6 {
		add(0)
	}
	return sum ^ 1
}

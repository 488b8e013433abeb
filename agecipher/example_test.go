package agecipher_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"

	"filippo.io/age"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/agecipher"
)

// roundTrip encrypts and decrypts, as Store and Retrieve do.
func roundTrip(cipher privicore.Cipher) (string, error) {
	ctx := context.Background()
	var ciphertext bytes.Buffer
	w, err := cipher.Encrypt(ctx, &ciphertext, "invoice 4711")
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(w, "the plaintext"); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	r, err := cipher.Decrypt(ctx, &ciphertext, "invoice 4711")
	if err != nil {
		return "", err
	}
	plaintext, err := io.ReadAll(r)
	return string(plaintext), err
}

// One age key, and ciphertexts that belong to their context.
func ExampleNewBound() {
	identity, err := age.GenerateX25519Identity() // keep identity.String()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(roundTrip(agecipher.NewBound(identity)))
	// Output: the plaintext <nil>
}

// Whoever stores has the recipients only and cannot read.
func ExampleNewBoundFor() {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		log.Fatal(err)
	}
	sender := agecipher.NewBoundFor([]age.Recipient{identity.Recipient()}, nil)
	_, err = roundTrip(sender)
	fmt.Println(err)
	// Output: agecipher: no identity to decrypt with
}

// Ciphertexts that every age program reads.
func ExampleNew() {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(roundTrip(agecipher.New(identity)))
	// Output: the plaintext <nil>
}

// Two people can read, each with a key of their own.
func ExampleNewFor() {
	alice, err := age.GenerateX25519Identity()
	if err != nil {
		log.Fatal(err)
	}
	bob, err := age.GenerateX25519Identity()
	if err != nil {
		log.Fatal(err)
	}
	both := []age.Recipient{alice.Recipient(), bob.Recipient()}
	fmt.Println(roundTrip(agecipher.NewFor(both, []age.Identity{bob})))
	// Output: the plaintext <nil>
}

// Keys that rotate, and data of any size.
func ExampleNewEnvelope() {
	ring, err := privicore.NewKeyring("2026-11", []byte("32 bytes that nobody else knows."))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(roundTrip(agecipher.NewEnvelope(ring)))
	// Output: the plaintext <nil>
}

// The key of the profile is the key of the data too.
func ExampleProfileIdentity() {
	run := func(key privicore.PrivateKey) error {
		identity, err := agecipher.ProfileIdentity(key)
		if err != nil {
			return err
		}
		cipher := agecipher.NewBound(identity)
		fmt.Println(roundTrip(cipher))
		return nil
	}
	key, err := privicore.GenerateKey()
	if err != nil {
		log.Fatal(err)
	}
	if err := run(key); err != nil {
		log.Fatal(err)
	}
	// Output: the plaintext <nil>
}

// Whoever knows the public key of a profile can store for it.
func ExampleProfileRecipient() {
	key, err := privicore.GenerateKey()
	if err != nil {
		log.Fatal(err)
	}
	recipient, err := agecipher.ProfileRecipient(key.Public())
	if err != nil {
		log.Fatal(err)
	}
	identity, err := agecipher.ProfileIdentity(key)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(roundTrip(agecipher.NewBoundFor([]age.Recipient{recipient}, []age.Identity{identity})))
	// Output: the plaintext <nil>
}

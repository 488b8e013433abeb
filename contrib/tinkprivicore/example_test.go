package tinkprivicore_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/privicore/privicore-go/agecipher"
	"github.com/privicore/privicore-go/contrib/tinkprivicore"
)

// A keyset of Tink. The AEAD of a KMS takes its place in the same way.
func ExampleNew() {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		log.Fatal(err)
	}
	primitive, err := aead.New(handle)
	if err != nil {
		log.Fatal(err)
	}
	wrapper, err := tinkprivicore.New(tinkprivicore.Key{ID: "my-keyset", AEAD: primitive})
	if err != nil {
		log.Fatal(err)
	}
	cipher := agecipher.NewEnvelope(wrapper) // for Payload.Cipher and Retrieval.Cipher

	ctx := context.Background()
	var ciphertext bytes.Buffer
	w, err := cipher.Encrypt(ctx, &ciphertext, "invoices")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.WriteString(w, "the plaintext"); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	r, err := cipher.Decrypt(ctx, &ciphertext, "invoices")
	if err != nil {
		log.Fatal(err)
	}
	plaintext, err := io.ReadAll(r)
	fmt.Println(string(plaintext), err)
	// Output: the plaintext <nil>
}

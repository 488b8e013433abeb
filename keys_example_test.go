package privicore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/agecipher"
)

// keyFromSomewhere stands for the place where an application keeps its keys.
func keyFromSomewhere() []byte { return []byte("32 bytes that nobody else knows.") }

// One key, and payloads that fit into memory.
func ExampleNewBoundAESGCM() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	run := func() error {
		cipher, err := privicore.NewBoundAESGCM(keyFromSomewhere())
		if err != nil {
			return err
		}
		token, err := client.DataToken.Store(ctx, privicore.Payload{
			Data: strings.NewReader("the plaintext"), Cipher: cipher, Context: "invoice 4711",
		})
		if err != nil {
			return err
		}
		_, err = client.DataToken.Retrieve(ctx, token, privicore.Retrieval{Cipher: cipher, Context: "invoice 4712"})
		fmt.Println(errors.Is(err, privicore.ErrDecrypt))
		return nil
	}
	if err := run(); err != nil {
		log.Fatal(err)
	}
	// Output: true
}

// Keys that rotate, and payloads that fit into memory.
func ExampleNewEnvelope() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	ring, err := privicore.NewKeyring("2026-11", keyFromSomewhere())
	if err != nil {
		log.Fatal(err)
	}
	cipher := privicore.NewEnvelope(ring)
	token, err := client.DataToken.Store(ctx, privicore.Payload{
		Data: strings.NewReader("the plaintext"), Cipher: cipher, Context: "invoice 4711",
	})
	if err != nil {
		log.Fatal(err)
	}
	plaintext, err := client.DataToken.Retrieve(ctx, token, privicore.Retrieval{Cipher: cipher, Context: "invoice 4711"})
	if err != nil {
		log.Fatal(err)
	}
	defer plaintext.Close()
	data, err := io.ReadAll(plaintext)
	fmt.Println(string(data), err)
	// Output: the plaintext <nil>
}

// A key is made, used, replaced and dropped.
func ExampleKeyring() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	run := func() error {
		key := make([]byte, 32)
		if _, err := rand.Read(key); err != nil {
			return err
		}
		ring, err := privicore.NewKeyring("2026-11", key)
		if err != nil {
			return err
		}
		cipher := agecipher.NewEnvelope(ring)
		token, err := client.DataToken.Store(ctx, privicore.Payload{
			Data:    strings.NewReader("the plaintext"),
			Cipher:  cipher,
			Context: "invoice 4711",
		})
		if err != nil {
			return err
		}

		newKey := make([]byte, 32)
		if _, err := rand.Read(newKey); err != nil {
			return err
		}
		// In every process, before any process does the next step.
		if err := ring.Add("2027-02", newKey); err != nil {
			return err
		}
		// From here on, Store uses the new key. Retrieve still opens both.
		if err := ring.Promote("2027-02"); err != nil {
			return err
		}
		// When nothing needs the old key any more.
		if err := ring.Drop("2026-11"); err != nil {
			return err
		}

		_, err = client.DataToken.Retrieve(ctx, token, privicore.Retrieval{Cipher: cipher, Context: "invoice 4711"})
		if unknown, ok := errors.AsType[*privicore.UnknownKeyError](err); ok {
			fmt.Println("this needs the key", unknown.KeyID)
			return nil
		}
		return err
	}
	if err := run(); err != nil {
		log.Fatal(err)
	}
	// Output: this needs the key 2026-11
}

// What is stored is encrypted anew after the key was replaced.
func ExampleKeyring_Promote() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	ring, err := privicore.NewKeyring("2026-11", keyFromSomewhere())
	if err != nil {
		log.Fatal(err)
	}
	cipher := agecipher.NewEnvelope(ring)
	first, err := client.DataToken.Store(ctx, privicore.Payload{
		Data: strings.NewReader("the plaintext"), Cipher: cipher, Context: "invoice 4711", Name: "march.pdf",
	})
	if err != nil {
		log.Fatal(err)
	}
	// The application's own table of what its tokens belong to.
	contexts := map[string]string{first: "invoice 4711"}

	if err := ring.Add("2027-02", []byte("32 bytes that are another secret")); err != nil {
		log.Fatal(err)
	}
	run := func() error {
		if err := ring.Promote("2027-02"); err != nil {
			return err
		}
		tokens, err := client.DataToken.List(ctx, privicore.DataTokenFilter{})
		if err != nil {
			return err
		}
		for _, token := range tokens {
			belongsTo, mine := contexts[token.Token]
			if !mine {
				continue
			}
			replacement, err := reencrypt(ctx, client, token, cipher, cipher, belongsTo)
			if replacement != "" {
				contexts[replacement] = belongsTo
			}
			if err != nil {
				return err
			}
			delete(contexts, token.Token)
		}
		return ring.Drop("2026-11")
	}
	if err := run(); err != nil {
		log.Fatal(err)
	}
	for token, belongsTo := range contexts {
		plaintext, err := client.DataToken.Retrieve(ctx, token, privicore.Retrieval{Cipher: cipher, Context: belongsTo})
		if err != nil {
			log.Fatal(err)
		}
		data, err := io.ReadAll(plaintext)
		fmt.Println(string(data), err)
		_ = plaintext.Close()
	}
	// Output: the plaintext <nil>
}

// reencrypt stores the data of a token anew, and returns the new token.
func reencrypt(ctx context.Context, client *privicore.Client, token privicore.DataToken, from, to privicore.Cipher, belongsTo string) (string, error) {
	plaintext, err := client.DataToken.Retrieve(ctx, token.Token, privicore.Retrieval{Cipher: from, Context: belongsTo})
	if err != nil {
		return "", err
	}
	defer plaintext.Close()
	replacement, err := client.DataToken.Store(ctx, privicore.Payload{
		Data:      plaintext,
		Cipher:    to,
		Context:   belongsTo,
		Name:      token.FileName,
		Extension: token.Extension,
	})
	if err != nil {
		return "", err
	}
	// Write down the replacement here, before the old token is gone.
	command, err := client.DataToken.Delete(ctx, token.Token)
	if err != nil {
		return replacement, err
	}
	_, err = command.Wait(ctx)
	return replacement, err
}

// kms stands for the client of a key management service.
type kms interface {
	Encrypt(ctx context.Context, keyID string, plaintext, additionalData []byte) ([]byte, error)
	Decrypt(ctx context.Context, keyID string, ciphertext, additionalData []byte) ([]byte, error)
}

// errTampered stands for the error by which the service says that a ciphertext is
// not authentic.
var errTampered = errors.New("invalid ciphertext")

// kmsWrapper is a KeyWrapper of one key in a key management service.
type kmsWrapper struct {
	service kms
	keyID   string
}

func (w *kmsWrapper) WrapKey(ctx context.Context, dataKey []byte, binding privicore.Binding) (privicore.WrappedKey, error) {
	ciphertext, err := w.service.Encrypt(ctx, w.keyID, dataKey, binding.AdditionalData("my-app", w.keyID))
	return privicore.WrappedKey{KeyID: w.keyID, Ciphertext: ciphertext}, err
}

func (w *kmsWrapper) UnwrapKey(ctx context.Context, wrapped privicore.WrappedKey, binding privicore.Binding) ([]byte, error) {
	if wrapped.KeyID != w.keyID {
		return nil, &privicore.UnknownKeyError{KeyID: wrapped.KeyID}
	}
	dataKey, err := w.service.Decrypt(ctx, w.keyID, wrapped.Ciphertext, binding.AdditionalData("my-app", w.keyID))
	if errors.Is(err, errTampered) {
		return nil, fmt.Errorf("%w: %w", privicore.ErrDecrypt, err)
	}
	return dataKey, err
}

// deadKMS is a service that is down.
type deadKMS struct{}

func (deadKMS) Encrypt(context.Context, string, []byte, []byte) ([]byte, error) {
	return nil, errors.New("connection refused")
}

func (deadKMS) Decrypt(context.Context, string, []byte, []byte) ([]byte, error) {
	return nil, errors.New("connection refused")
}

// A KeyWrapper of an application's own, and how its failures look.
func ExampleKeyWrapper() {
	cipher := agecipher.NewEnvelope(&kmsWrapper{service: deadKMS{}, keyID: "arn:aws:kms:…"})
	_, err := cipher.Encrypt(context.Background(), io.Discard, "invoice 4711")
	if failed, ok := errors.AsType[*privicore.KeyError](err); ok {
		fmt.Println(failed)
		fmt.Println(errors.Is(err, privicore.ErrDecrypt))
	}
	// Output:
	// privicore: key "arn:aws:kms:…" could not be used: connection refused
	// false
}

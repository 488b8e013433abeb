// A file goes into a token and comes back: encrypted before it leaves this
// program, decrypted when it is here again, and compared.
//
//	go run ./examples/vault [file]
//
// Without a file it makes one. It runs on a sandbox in this process. With
// PRIVICORE_API_URL and credentials set it runs on that server, and needs
// PRIVICORE_WS_URL too: data is announced over the WebSocket channel.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"

	"filippo.io/age"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/agecipher"
	"github.com/privicore/privicore-go/examples/internal/server"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		stop()
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	file, remove, err := openFile()
	if err != nil {
		return err
	}
	defer remove()
	info, err := file.Stat()
	if err != nil {
		return err
	}

	client, where, stop, err := server.Connect(true)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Println("Privicore on", where)

	// Privicore never sees this key. A program that wants the data back another
	// day keeps it, as identity.String().
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	cipher := agecipher.New(identity)

	// Store reserves room, waits, encrypts while it uploads, and describes the
	// file. The tee hashes what Store reads.
	sent := sha256.New()
	up := newProgress("storing", info.Size())
	token, err := client.DataToken.Store(ctx, privicore.Payload{
		Data:     io.TeeReader(file, sent),
		Cipher:   cipher,
		Context:  "examples",
		Name:     filepath.Base(file.Name()),
		Progress: up.show,
	})
	up.done()
	if err != nil {
		return explain(err)
	}
	fmt.Println("the token is", token)

	// Retrieve requests the data, waits until it is announced, and returns a
	// reader that decrypts. The data is complete when the reader returns io.EOF.
	down := newProgress("retrieving", info.Size())
	plaintext, err := client.DataToken.Retrieve(ctx, token, privicore.Retrieval{
		Cipher:   cipher,
		Progress: func(n, _ int64) { down.show(n) },
	})
	if err != nil {
		down.done()
		return explain(err)
	}
	defer plaintext.Close()
	received := sha256.New()
	n, err := io.Copy(received, plaintext)
	down.done()
	if err != nil {
		return explain(err)
	}

	if [32]byte(sent.Sum(nil)) != [32]byte(received.Sum(nil)) {
		return errors.New("what came back is not what was stored")
	}
	fmt.Printf("the same %s came back, sha256 %x\n", size(n), received.Sum(nil))

	cmd, err := client.DataToken.Delete(ctx, token)
	if err != nil {
		return err
	}
	if _, err := cmd.Wait(ctx); err != nil {
		return err
	}
	fmt.Println("deleted", token)
	return nil
}

// explain adds to an error what can be done about it.
func explain(err error) error {
	failed, ok := errors.AsType[*privicore.StepError](err)
	switch {
	case !ok:
		return err
	case failed.Meta.FileName != "":
		return fmt.Errorf("%w\nthe data may be on the server: ConfigureFileMeta with %s completes the work", err, failed.Temporary.Token)
	case failed.Repeatable():
		return fmt.Errorf("%w\nthe call can be made again", err)
	}
	return err
}

// openFile opens the file that the command line names, or makes one.
func openFile() (file *os.File, remove func(), err error) {
	if len(os.Args) > 1 {
		file, err = os.Open(os.Args[1])
		return file, func() { _ = file.Close() }, err
	}
	file, err = os.CreateTemp("", "vault-*.bin")
	if err != nil {
		return nil, nil, err
	}
	remove = func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}
	_, err = io.CopyN(file, rand.Reader, 32<<20)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		remove()
		return nil, nil, err
	}
	return file, remove, nil
}

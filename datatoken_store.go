package privicore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// Payload is what Store stores. Data, Cipher and Context must be set.
type Payload struct {
	Data   io.Reader // the plaintext, read to its end
	Cipher Cipher
	// Context is what the data belongs to.
	Context string
	// TTL is how long storing may take, in whole minutes; see Reservation.
	TTL time.Duration
	// Name, Extension and Path describe the data as a file. The defaults are
	// "payload", the ending of Name or "bin", and "/".
	Name, Extension, Path string
	// Progress is called as plaintext has been encrypted and handed on, with
	// the number of bytes so far. It must not block.
	Progress func(bytes int64)
}

func (p *Payload) fileMeta() FileMeta {
	meta := FileMeta{FileName: p.Name, Extension: p.Extension, Context: p.Context, Path: p.Path}
	if meta.FileName == "" {
		meta.FileName = "payload"
	}
	if meta.Extension == "" {
		meta.Extension = strings.TrimPrefix(path.Ext(meta.FileName), ".")
	}
	if meta.Extension == "" {
		meta.Extension = "bin"
	}
	if meta.Path == "" {
		meta.Path = "/"
	}
	return meta
}

// Step is a step of Store or Retrieve.
type Step string

// The steps, in their order.
const (
	StepReserve  Step = "reserve token space"
	StepEncrypt  Step = "read and encrypt the data"
	StepSend     Step = "send the data"
	StepCommit   Step = "configure file meta"
	StepRequest  Step = "request the data"
	StepAnswer   Step = "wait for the data"
	StepDownload Step = "download the data"
	StepDecrypt  Step = "decrypt the data"
)

// A StepError tells at which step Store or Retrieve failed. It wraps the error
// of that step.
type StepError struct {
	Step Step
	Err  error
	// Temporary is what has been reserved, after StepReserve.
	Temporary *TemporaryToken
	// Meta is set if all of the data is on the server, or may be because its
	// answer was lost: ConfigureFileMeta with Temporary.Token and Meta completes
	// the work. It is refused if the data did not arrive, and also if it was
	// the answer to StepCommit itself that was lost (ErrAmbiguous): then List
	// finds the token.
	Meta FileMeta
}

// Error names the step and what went wrong in it.
func (e *StepError) Error() string {
	return fmt.Sprintf("privicore: %s: %s", e.Step, strings.TrimPrefix(e.Err.Error(), "privicore: "))
}

// Unwrap returns the error of the step.
func (e *StepError) Unwrap() error { return e.Err }

// Store encrypts a payload, stores it, and returns its permanent token. It
// reserves room, encrypts while it sends, and describes the data; it waits for
// each step. A ciphertext of up to MaxInline bytes goes in a form field, a
// larger one is streamed to the upload server in flat memory.
//
// The error is a *ValidationError if nothing was sent, a *StepError otherwise.
// When Store returns, Data is no longer read, unless a Read has been blocking
// for more than a second: then Data must not be used until that has returned.
func (s *DataTokenService) Store(ctx context.Context, p Payload) (string, error) {
	op := operation.DataTokenReserve
	switch {
	case p.Data == nil:
		return "", invalid(op, "data", "is nil")
	case p.Cipher == nil:
		return "", invalid(op, "cipher", "is nil; payloads leave the application encrypted")
	}
	reservation := Reservation{Context: p.Context, TTL: p.TTL}
	if err := reservation.check(op); err != nil {
		return "", err
	}
	meta := p.fileMeta()
	if err := meta.check(operation.DataTokenConfigureFileMeta); err != nil {
		return "", err // now, and not when a gigabyte has been sent
	}

	pending, err := s.Reserve(ctx, reservation)
	if err != nil {
		return "", &StepError{Step: StepReserve, Err: err}
	}
	temporary, err := pending.Result(ctx)
	if err != nil {
		return "", &StepError{Step: StepReserve, Err: err}
	}

	encrypted := startPump(p.Data, p.Cipher, p.Progress)
	unsure, err := s.sendPayload(ctx, temporary, encrypted)
	size, broken := encrypted.stop()
	meta.Size = size
	switch failed := (&StepError{Step: StepSend, Err: err, Temporary: temporary}); {
	case broken != nil && (err == nil || ctx.Err() == nil):
		// What sending met was the end of a chain that began at Data.
		failed.Step, failed.Err = StepEncrypt, broken
		return "", failed
	case err != nil && unsure:
		failed.Meta = meta
		return "", failed
	case err != nil:
		return "", failed
	}

	token, err := s.ConfigureFileMeta(ctx, temporary.Token, meta)
	if err != nil {
		return "", &StepError{Step: StepCommit, Err: err, Temporary: temporary, Meta: meta}
	}
	return token, nil
}

// sendPayload sends by the way that fits the ciphertext. If it fails, unsure
// tells that all of it may have arrived nevertheless.
func (s *DataTokenService) sendPayload(ctx context.Context, temporary *TemporaryToken, encrypted *pump) (unsure bool, err error) {
	defer encrypted.abandonWith(ctx, s.client)()
	head := make([]byte, MaxInline+1)
	n, err := io.ReadFull(encrypted, head)
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case s.client.life.Err() != nil:
		return false, ErrClosed
	case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
		return false, err
	case n > MaxInline:
		target, err := s.client.uploadTarget(temporary.Stream)
		if err != nil {
			return false, err
		}
		err = s.client.upload(ctx, target, io.MultiReader(bytes.NewReader(head), encrypted), -1)
		return errors.Is(err, ErrAmbiguous), err
	}
	cmd, err := s.Exchange(ctx, temporary.Token, head[:n])
	if err != nil {
		return errors.Is(err, ErrAmbiguous), err
	}
	_, err = cmd.Wait(ctx)
	_, rejected := errors.AsType[*CommandError](err)
	return !rejected, err
}

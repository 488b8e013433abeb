package privicore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/wire"
)

// A Payload is what Store stores. Data, Cipher and Context must be set.
type Payload struct {
	Data   io.Reader // the plaintext, read to its end
	Cipher Cipher
	// Context is what the data belongs to. It is free text. A Cipher that binds
	// makes a ciphertext that opens only with the same Context in Retrieval.
	Context string
	// TTL is how long storing may take, in whole minutes. See ReserveRequest.TTL.
	TTL time.Duration
	// Name, Extension and Path describe the data as a file. Name is "payload" by
	// default. Extension is by default that of Name, or "bin" if Name has none.
	// Path is "/" by default.
	Name, Extension, Path string
	// Progress is called after each piece of plaintext that was encrypted, with
	// the number of bytes so far. It may be nil. It must not block.
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

// A Step is a step of Store or Retrieve.
type Step string

// The steps, in their order.
const (
	StepReserve  Step = "store, step 1 (reserve)"
	StepEncrypt  Step = "store, step 2 (encrypt)"
	StepSend     Step = "store, step 3 (send)"
	StepCommit   Step = "store, step 4 (commit)"
	StepRequest  Step = "retrieve, step 1 (request)"
	StepAnswer   Step = "retrieve, step 2 (wait)"
	StepDownload Step = "retrieve, step 3 (download)"
	StepDecrypt  Step = "retrieve, step 4 (decrypt)"
)

// A StepError means that a step of Store or Retrieve failed. It wraps the error of
// that step. The error of a wait is a *WaitError or a *CommandError, which has the
// id of the command.
type StepError struct {
	Step Step
	Err  error
	// Temporary is the reserved space. It is nil if reserving it failed.
	Temporary *TemporaryToken
	// Meta is set if all of the data is on the server, or may be there because
	// an answer was lost. ConfigureFileMeta with Temporary.Token and Meta then
	// completes the work. The server refuses that if the data did not arrive. It
	// also refuses if StepCommit was carried out and only its answer was lost
	// (ErrAmbiguous); then List finds the token.
	Meta FileMeta
}

// Error returns the step and what went wrong in it.
func (e *StepError) Error() string {
	return fmt.Sprintf("privicore: %s: %s", e.Step, unprefixed(e.Err))
}

// Unwrap returns the error of the step.
func (e *StepError) Unwrap() error { return e.Err }

// Repeatable reports whether calling Store or Retrieve again cannot store anything
// twice. It returns false only for a StepCommit that matches ErrAmbiguous, because
// the server may have made a token. After any other step, what was reserved or sent
// expires by itself. Payload.Data has to be a new reader for the second call.
func (e *StepError) Repeatable() bool {
	return e.Step != StepCommit || !errors.Is(e.Err, ErrAmbiguous)
}

// Store encrypts a payload, stores it, and returns its permanent token. It reserves
// space, sends the data while it encrypts, and describes the data. It waits for each
// step. A ciphertext of up to MaxInline bytes goes in a form field. A larger one is
// streamed to the upload server, so that memory use does not grow with its size.
//
// If a field of p cannot be right, nothing is sent and the error is a
// *ValidationError. Any other error is a *StepError; StepError.Repeatable reports
// whether Store can be called again.
//
// When Store returns, it no longer reads p.Data. There is one exception: if Store
// fails while a Read of p.Data blocks, it waits a second for that Read. After that
// p.Data must not be used until the Read has returned.
func (s *DataTokenService) Store(ctx context.Context, p Payload) (string, error) {
	meta, err := p.check()
	if err != nil {
		return "", err
	}
	temporary, err := s.reserve(ctx, &ReserveRequest{Context: p.Context, TTL: p.TTL})
	if err != nil {
		return "", &StepError{Step: StepReserve, Err: err}
	}
	encrypted := startPump(ctx, p.Data, p.Cipher, Binding(p.Context), p.Progress)
	unsure, err := s.sendPayload(ctx, temporary, encrypted)
	size, broken := encrypted.stop()
	meta.Size = size
	switch {
	case broken != nil && (err == nil || ctx.Err() == nil):
		// The error of sending follows from the one of Data or Cipher.
		return "", &StepError{Step: StepEncrypt, Err: broken, Temporary: temporary}
	case err != nil && unsure:
		return "", &StepError{Step: StepSend, Err: err, Temporary: temporary, Meta: meta}
	case err != nil:
		return "", &StepError{Step: StepSend, Err: err, Temporary: temporary}
	}
	token, err := s.ConfigureFileMeta(ctx, temporary.Token, meta)
	if err != nil {
		return "", &StepError{Step: StepCommit, Err: err, Temporary: temporary, Meta: meta}
	}
	return token, nil
}

// check refuses a payload that cannot be right, and returns its description. It
// checks the description too, because an error after sending a gigabyte is too late.
func (p *Payload) check() (FileMeta, error) {
	op := operation.DataTokenReserve
	switch {
	case p.Data == nil:
		return FileMeta{}, invalid(op, "data", "is nil")
	case p.Cipher == nil:
		return FileMeta{}, invalid(op, "cipher", "is nil; payloads leave the application encrypted")
	}
	if err := (&ReserveRequest{Context: p.Context, TTL: p.TTL}).check(op); err != nil {
		return FileMeta{}, err
	}
	meta := p.fileMeta()
	return meta, meta.check(operation.DataTokenConfigureFileMeta)
}

// reserve reserves space and waits for it.
func (s *DataTokenService) reserve(ctx context.Context, r *ReserveRequest) (*TemporaryToken, error) {
	pending, err := s.Reserve(ctx, *r)
	if err != nil {
		return nil, err
	}
	return pending.Result(ctx)
}

// sendPayload sends a small ciphertext with Exchange and streams a larger one. If it
// fails, unsure reports whether all of the data may have arrived nevertheless.
func (s *DataTokenService) sendPayload(ctx context.Context, temporary *TemporaryToken, encrypted *pump) (unsure bool, err error) {
	defer encrypted.abandonWith(ctx, s.client.scope)()
	head := make([]byte, MaxInline+1)
	n, err := io.ReadFull(encrypted, head)
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case s.client.scope.Err() != nil:
		return false, ErrClosed
	case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
		return false, err
	case n > MaxInline:
		r, err := s.client.fileRequest(operation.DataTokenUpload, "stream", temporary.Stream, s.client.config.uploadURL)
		if err != nil {
			return false, err
		}
		err = s.client.upload(ctx, r, io.MultiReader(bytes.NewReader(head), encrypted), -1)
		return errors.Is(err, ErrAmbiguous), err
	}
	cmd, err := s.Exchange(ctx, temporary.Token, head[:n])
	if err != nil {
		return errors.Is(err, ErrAmbiguous), err
	}
	_, err = cmd.Wait(ctx)
	return !errors.Is(err, ErrRejected), err
}

// Upload streams a ciphertext to TemporaryToken.Stream. It returns when the server
// has answered. The client's token is not sent there.
//
// A stream can be used once, so Upload never sends twice. After an error, space has
// to be reserved again. If the error came after all data was sent, it matches
// ErrAmbiguous. If the stream was used before or has expired, the error matches
// ErrUnauthorized.
//
// Upload does not close ciphertext. When it returns, it no longer reads ciphertext,
// unless it failed while a Read blocked for more than a second.
//
// It is the operation [Upstream file via stream auth].
//
// [Upstream file via stream auth]: https://docs.privicore.com/upstream-file-via-stream-auth-14411436e0
func (s *DataTokenService) Upload(ctx context.Context, stream Secret, ciphertext io.Reader) error {
	op := operation.DataTokenUpload
	if ciphertext == nil {
		return invalid(op, "ciphertext", "is nil")
	}
	r, err := s.client.fileRequest(op, "stream", stream, s.client.config.uploadURL)
	if err != nil {
		return err
	}
	length := int64(-1)
	if known, ok := ciphertext.(interface{ Len() int }); ok {
		length = int64(known.Len()) // a buffer, or a reader of bytes or of a string
	}
	p := startPump(ctx, ciphertext, passthrough{}, "", nil)
	release := p.abandonWith(ctx, s.client.scope)
	err = s.client.upload(ctx, r, p, length)
	release()
	if _, failure := p.stop(); failure != nil && ctx.Err() == nil {
		return &callError{operation: r.op, err: failure}
	}
	return err
}

// upload sends a body of the given length, which is negative if it is not known.
// Reads of body must end when ctx ends or the client is closed.
func (c *Client) upload(ctx context.Context, r *request, body io.Reader, length int64) error {
	ctx, seen := c.config.observe(ctx, r)
	err := c.uploadOnce(ctx, r, body, length)
	seen.end(err)
	return err
}

func (c *Client) uploadOnce(ctx context.Context, r *request, body io.Reader, length int64) error {
	r.Header.Set("Content-Type", "application/octet-stream")
	got, err := c.transport.Upload(ctx, &r.Request, body, length)
	if err != nil {
		return newCallError(r.op, err)
	}
	resp := &Response{StatusCode: got.StatusCode, Header: got.Header, Body: got.Body, client: c}
	capture(ctx, resp)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return newAPIError(r, resp)
	}
	page := bytes.HasPrefix(bytes.TrimSpace(resp.Body), []byte("<"))
	if page || wire.SpeaksOfError(resp.Body) {
		// A proxy answered, or the server failed. The data may not have arrived.
		return unreadable(r, resp, wire.Describe(resp.Body, nil))
	}
	return nil
}

// fileRequest returns the request of op to a file server. given comes from an answer
// of the API: an address with a token in it, or a bare token for server.
func (c *Client) fileRequest(op *operation.Operation, field string, given Secret, server string) (*request, error) {
	if given.IsZero() {
		return nil, invalid(op, field, "is empty")
	}
	secure := !strings.HasPrefix(strings.ToLower(c.config.baseURL), "http://")
	address, bareToken := wire.FileAddress(given.Reveal(), secure)
	if bareToken {
		if server == "" {
			return nil, invalid(op, field, "is a bare token, and the server it is for is not known; use WithUploadURL")
		}
		address = wire.WithAuth(server, given.Reveal())
	}
	if problem := c.config.fileURLProblem(address); problem != "" {
		return nil, invalid(op, field, problem)
	}
	if err := c.scope.Err(); err != nil {
		return nil, &callError{operation: atFileServer(op), err: err}
	}
	r := &request{op: atFileServer(op), token: wire.Auth(address)}
	r.Method, r.URL, r.Operation = op.Method, address, op.Name
	r.Header = http.Header{"User-Agent": {c.config.userAgent}}
	r.Redact, r.Scope = r.redact, c.scope
	return r, nil
}

// atFileServer returns a copy of op with a path for errors, because the table has
// none.
func atFileServer(op *operation.Operation) *operation.Operation {
	at := *op
	at.Path = "/"
	return &at
}

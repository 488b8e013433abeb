package privicore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync/atomic"
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

func (p *Payload) fileMeta(size int64) FileMeta {
	meta := FileMeta{FileName: p.Name, Extension: p.Extension, Context: p.Context, Size: size, Path: p.Path}
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
	// Temporary is what has been reserved, from StepSend on. If StepCommit
	// failed, the data is on the server: ConfigureFileMeta with this token and
	// Meta completes the work.
	Temporary *TemporaryToken
	Meta      FileMeta
}

func (e *StepError) Error() string {
	return fmt.Sprintf("privicore: %s: %s", e.Step, strings.TrimPrefix(e.Err.Error(), "privicore: "))
}

// Unwrap returns the error of the step.
func (e *StepError) Unwrap() error { return e.Err }

// Store encrypts a payload, stores it, and returns its permanent token. It
// reserves room, encrypts while it sends, and describes the data; it waits for
// each step. A ciphertext of up to MaxInline bytes goes in a form field, a larger one
// is streamed to the upload server in flat memory.
//
// The error is a *ValidationError if nothing was sent, a *StepError otherwise.
// If ctx ends while Data is being read, Store returns at once, and Data must
// not be used until that Read has returned.
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

	pending, err := s.Reserve(ctx, reservation)
	if err != nil {
		return "", &StepError{Step: StepReserve, Err: err}
	}
	temporary, err := pending.Result(ctx)
	if err != nil {
		return "", &StepError{Step: StepReserve, Err: err}
	}
	size, err := s.sendPayload(ctx, temporary, &p)
	if err != nil {
		return "", &StepError{Step: StepSend, Err: err, Temporary: temporary}
	}
	meta := p.fileMeta(size)
	token, err := s.ConfigureFileMeta(ctx, temporary.Token, meta)
	if err != nil {
		return "", &StepError{Step: StepCommit, Err: err, Temporary: temporary, Meta: meta}
	}
	return token, nil
}

// sendPayload encrypts and sends, by the way that fits the ciphertext, and
// returns the size of the plaintext.
func (s *DataTokenService) sendPayload(ctx context.Context, temporary *TemporaryToken, p *Payload) (int64, error) {
	encrypted := encryptPipe(p)
	defer encrypted.Close()

	head := make([]byte, MaxInline+1)
	n, err := encrypted.first(ctx, head)
	if err != nil {
		return 0, err
	}
	if n <= MaxInline {
		cmd, err := s.Exchange(ctx, temporary.Token, head[:n])
		if err != nil {
			return 0, err
		}
		_, err = cmd.Wait(ctx)
		return encrypted.size.Load(), err
	}
	body := io.MultiReader(bytes.NewReader(head), encrypted)
	if err := s.Upload(ctx, temporary.Stream, body); err != nil {
		// What the upload met may be the end of a chain that began at Data.
		if failed := encrypted.failed.Load(); failed != nil && !errors.Is(*failed, io.ErrClosedPipe) {
			return 0, *failed
		}
		return 0, err
	}
	return encrypted.size.Load(), nil
}

// encryption is the ciphertext of a payload. A Cipher wants to write and HTTP
// wants to read, so a pipe and a goroutine stand between them.
type encryption struct {
	*io.PipeReader
	size   atomic.Int64 // of the plaintext so far
	failed atomic.Pointer[error]
}

func encryptPipe(p *Payload) *encryption {
	r, w := io.Pipe()
	e := &encryption{PipeReader: r}
	go func() {
		err := e.run(p, w)
		if err != nil {
			e.failed.CompareAndSwap(nil, &err)
		}
		_ = w.CloseWithError(err) // nil means EOF
	}()
	return e
}

func (e *encryption) run(p *Payload, dst io.Writer) error {
	enc, err := p.Cipher.Encrypt(dst)
	if err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := p.Data.Read(buf)
		if n > 0 {
			if _, err := enc.Write(buf[:n]); err != nil {
				return err
			}
			size := e.size.Add(int64(n))
			if p.Progress != nil {
				p.Progress(size)
			}
		}
		if err == io.EOF {
			return enc.Close()
		}
		if err != nil {
			return err
		}
	}
}

// first reads the beginning of the ciphertext: as much as p holds, or all. It
// leaves when ctx ends, because Data may be a terminal.
func (e *encryption) first(ctx context.Context, p []byte) (int, error) {
	stop := context.AfterFunc(ctx, func() { _ = e.Close() })
	defer stop()
	n, err := io.ReadFull(e, p)
	switch failed := e.failed.Load(); {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case failed != nil: // also where it looks like an end: io.ErrUnexpectedEOF
		return 0, *failed
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return n, nil
	}
	return n, err
}

// Upload streams a ciphertext to where stream says, which works once: "Upstream
// file via stream auth". The client's token is not sent there. An upload is
// never repeated; if it breaks, the room has to be reserved anew.
func (s *DataTokenService) Upload(ctx context.Context, stream Secret, ciphertext io.Reader) error {
	target, err := s.client.fileURL(operation.DataTokenUpload, "stream", stream.Reveal(), s.client.config.uploadURL)
	if err != nil {
		return err
	}
	resp, err := s.client.fileCall(ctx, operation.DataTokenUpload, target, ciphertext)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// fileURL makes a URL of what the server gave: a URL with its token, or a bare
// token for server.
func (c *Client) fileURL(op *operation.Operation, field, given, server string) (string, error) {
	if given == "" {
		return "", invalid(op, field, "is empty")
	}
	target := given
	if !strings.Contains(given, "://") {
		if server == "" {
			return "", invalid(op, field, "is a bare token, and the server it is for is not known; use WithUploadURL")
		}
		target = withAuth(server, given)
	}
	if reason := c.config.checkFileURL(target); reason != "" {
		return "", invalid(op, field, reason)
	}
	return target, nil
}

// withAuth adds a token to the URL of a file server.
func withAuth(server, token string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server // refused by the check that follows
	}
	if u.Path == "" {
		u.Path = "/"
	}
	q := u.Query()
	q.Set("auth", token)
	u.RawQuery = q.Encode()
	return u.String()
}

// fileCall sends op to a file server, once: its tokens cannot be used again.
// The body of the answer is the caller's to close.
func (c *Client) fileCall(ctx context.Context, op *operation.Operation, target string, body io.Reader) (*http.Response, error) {
	if c.life.Err() != nil {
		return nil, &callError{operation: op, err: ErrClosed}
	}
	req, err := http.NewRequestWithContext(ctx, op.Method, target, body)
	if err != nil {
		return nil, &callError{operation: op, err: errors.New("malformed URL")}
	}
	req.GetBody = nil
	req.Header.Set("User-Agent", userAgent)
	if body != nil {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	httpResp, err := c.transport.HTTPClient().Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL, which has the token in it
		}
		return nil, &callError{operation: op, err: err}
	}
	if httpResp.StatusCode >= 200 && httpResp.StatusCode <= 299 {
		return httpResp, nil
	}
	defer httpResp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(httpResp.Body, 64<<10))
	resp := &Response{StatusCode: httpResp.StatusCode, Header: httpResp.Header, Body: said, client: c}
	capture(ctx, resp)
	return nil, newAPIError(op, &params{token: authOf(target)}, resp)
}

func authOf(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return u.Query().Get("auth")
}

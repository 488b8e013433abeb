package privicore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/privicore/privicore-go/internal/operation"
)

// maxFileAnswer bounds what is read of a file server's answer to an upload, or
// of its refusal.
const maxFileAnswer = 64 << 10

// Upload streams a ciphertext to where stream says, which works once: "Upstream
// file via stream auth". The client's token is not sent there. An upload is
// never repeated; if it breaks, the room has to be reserved anew. If it broke
// after all was sent, the error matches ErrAmbiguous.
//
// Upload does not close ciphertext. When it returns, ciphertext is no longer
// read, unless a Read has been blocking for more than a second.
func (s *DataTokenService) Upload(ctx context.Context, stream Secret, ciphertext io.Reader) error {
	op := operation.DataTokenUpload
	if ciphertext == nil {
		return invalid(op, "ciphertext", "is nil")
	}
	target, err := s.client.uploadTarget(stream)
	if err != nil {
		return err
	}
	length := int64(-1)
	if known, ok := ciphertext.(interface{ Len() int }); ok {
		length = int64(known.Len()) // a buffer, or a reader of bytes or of a string
	}
	p := startPump(ciphertext, asItIs{}, nil)
	release := p.abandonWith(ctx, s.client)
	err = s.client.upload(ctx, target, p, length)
	release()
	if _, failure := p.stop(); failure != nil && ctx.Err() == nil {
		return &callError{operation: atFileServer(op), err: failure}
	}
	return err
}

func (c *Client) uploadTarget(stream Secret) (string, error) {
	return c.fileURL(operation.DataTokenUpload, "stream", stream.Reveal(), c.config.uploadURL)
}

// upload sends a body of that length, or of one that is not known if it is
// negative. The body must end with ctx and with the client.
func (c *Client) upload(ctx context.Context, target string, body io.Reader, length int64) error {
	resp, err := c.fileCall(ctx, operation.DataTokenUpload, target, &outgoing{r: body, length: length})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, maxFileAnswer))
	capture(ctx, &Response{StatusCode: resp.StatusCode, Header: resp.Header, Body: said, client: c})
	return nil
}

// Download opens what a download URL leads to, which works once: "Download
// data". The client's token is not sent there. The caller closes it; ctx and
// the client must live until then. A download that ends early is an error of
// the reader, not the end of the data.
func (s *DataTokenService) Download(ctx context.Context, url Secret) (*Ciphertext, error) {
	op := operation.DataTokenDownload
	target, err := s.client.fileURL(op, "url", url.Reveal(), "")
	if err != nil {
		return nil, err
	}
	resp, err := s.client.fileCall(ctx, op, target, nil)
	if err != nil {
		return nil, err
	}
	capture(ctx, &Response{StatusCode: resp.StatusCode, Header: resp.Header, client: s.client})
	return &Ciphertext{ReadCloser: resp.Body, Size: resp.ContentLength}, nil
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

func authOf(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return u.Query().Get("auth")
}

// atFileServer gives op the path that the table does not know.
func atFileServer(op *operation.Operation) *operation.Operation {
	at := *op
	at.Path = "/"
	return &at
}

// fileCall sends op to a file server, once: its tokens cannot be used again. A
// success that came before all of body was sent is an error. The body of the
// answer is the caller's to close.
func (c *Client) fileCall(ctx context.Context, op *operation.Operation, target string, body *outgoing) (*http.Response, error) {
	op = atFileServer(op)
	if c.life.Err() != nil {
		return nil, &callError{operation: op, err: ErrClosed}
	}
	callCtx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.life, cancel)
	t := &transfer{client: c, ctx: ctx, end: func() { stop(); cancel() }}

	req, err := http.NewRequestWithContext(callCtx, op.Method, target, nil)
	if err != nil {
		t.end()
		return nil, &callError{operation: op, err: errors.New("malformed URL")}
	}
	req.Header.Set("User-Agent", userAgent)
	if body == nil {
		// net/http sends a GET again by itself when a used connection breaks,
		// unless there is a body that it cannot get anew.
		req.Body = io.NopCloser(strings.NewReader(""))
		// Ciphertext does not shrink, and its length would be lost.
		req.Header.Set("Accept-Encoding", "identity")
	} else {
		req.Body, req.ContentLength = io.NopCloser(body), max(body.length, 0)
		req.Header.Set("Content-Type", "application/octet-stream")
	}

	p := &params{token: authOf(target)}
	resp, err := c.transport.HTTPClient().Do(req)
	whole := body == nil || body.whole.Load()
	switch {
	case err != nil:
		t.end()
		err = t.explain(err)
		return nil, &callError{operation: op, err: err, text: p.redact(err.Error()), ambiguous: body != nil && whole}
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		defer t.end()
		defer resp.Body.Close()
		said, _ := io.ReadAll(io.LimitReader(resp.Body, maxFileAnswer))
		answer := &Response{StatusCode: resp.StatusCode, Header: resp.Header, Body: said, client: c}
		capture(ctx, answer)
		return nil, newAPIError(op, p, answer)
	case !whole:
		defer t.end()
		_ = resp.Body.Close()
		return nil, &callError{operation: op, err: errors.New("the server answered before it had all of the data")}
	}
	t.ReadCloser = resp.Body
	resp.Body = t
	return resp, nil
}

// transfer is the body of a file server's answer. It ends with the client.
type transfer struct {
	io.ReadCloser
	client *Client
	ctx    context.Context // of the caller
	end    func()
}

func (t *transfer) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = t.explain(err)
	}
	return n, err
}

func (t *transfer) Close() error {
	err := t.ReadCloser.Close()
	t.end()
	return err
}

// explain takes the URL out of an error, which has a token in it, and says what
// lies behind a cancellation.
func (t *transfer) explain(err error) error {
	for e, ok := errors.AsType[*url.Error](err); ok; e, ok = errors.AsType[*url.Error](err) {
		err = e.Err
	}
	ended := t.ctx.Err()
	switch {
	case ended != nil && !errors.Is(err, ended):
		return fmt.Errorf("%w: %w", ended, err)
	case ended == nil && t.client.life.Err() != nil:
		return ErrClosed
	}
	return err
}

// outgoing is the body of an upload. It knows whether it was read to its end,
// which net/http does not tell.
type outgoing struct {
	r      io.Reader
	length int64 // negative if it is not known
	read   int64
	whole  atomic.Bool
}

func (o *outgoing) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	o.read += int64(n)
	if err == io.EOF || o.read == o.length {
		o.whole.Store(true)
	}
	return n, err
}

package transport

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// Download sends r once and returns the head of the answer with its body. It
// waits for the head. If the status is not a success, the body was read and is
// bounded. Errors, also those of the body, are of type *Error.
func (t *Transport) Download(ctx context.Context, r *Request) (*Stream, error) {
	s, resp, err := t.open(ctx, r, func(req *http.Request) {
		if c := callOf(req.Context()); c.singleUse() {
			req.Body, req.GetBody = emptyBody{}, c.hop.bodyAnew
		}
		// Ciphertext does not shrink, and its length would be lost.
		req.Header.Set("Accept-Encoding", "identity")
	})
	if err != nil {
		err = s.fail(err, !r.Idempotent && s.attempts > 0 && !s.hop.unsent(err))
		s.done(0, 0, err)
		return nil, err
	}
	answer := &Stream{StatusCode: resp.StatusCode, Header: resp.Header, Size: resp.ContentLength}
	if success(resp.StatusCode) {
		answer.Body = &download{body: resp.Body, stream: s, status: resp.StatusCode, size: resp.ContentLength}
		return answer, nil
	}
	defer s.cancel()
	said := readSome(resp)
	s.done(resp.StatusCode, int64(len(said)), nil)
	answer.Size, answer.Body = int64(len(said)), io.NopCloser(bytes.NewReader(said))
	return answer, nil
}

// download is the body of a Stream.
type download struct {
	body   io.ReadCloser
	stream *stream
	status int
	size   int64
	read   atomic.Int64
	err    error // that a Read returned
	once   sync.Once
}

func (d *download) Read(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	// net/http may hand out what it has for a while after the context has ended.
	n, err := 0, d.stream.ended()
	if err == nil {
		n, err = d.body.Read(p)
	}
	read := d.read.Add(int64(n))
	if err == nil {
		return n, nil
	}
	if err == io.EOF && read < d.size {
		err = io.ErrUnexpectedEOF // a RoundTripper that does not count
	}
	if err == io.EOF {
		d.end(nil)
	} else {
		err = d.stream.fail(err, false)
		d.end(err)
	}
	d.err = err
	return n, err
}

func (d *download) Close() error {
	err := d.body.Close()
	d.end(nil)
	return err
}

// end releases the context and reports the stream, once. Close may call it during
// a Read.
func (d *download) end(err error) {
	d.once.Do(func() {
		d.stream.cancel()
		d.stream.done(d.status, d.read.Load(), err)
	})
}

package transport

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
)

// Upload sends body once, as the body of r, and returns the answer, of whose
// body it reads up to 64 KiB. The size is that of the body, or negative if it
// is not known. Upload waits until the server has answered. A success that
// comes before all of the body was sent is an error. Errors are of type *Error,
// and ambiguous only if all of the body was read.
//
// Reads of body must end when ctx or the scope ends, because net/http waits for
// them. Upload does not close body.
func (t *Transport) Upload(ctx context.Context, r *Request, body io.Reader, size int64) (*Response, error) {
	out := &outgoing{r: body, size: size}
	s, resp, err := t.open(ctx, r, func(req *http.Request) { out.attach(req) })
	if err != nil {
		err = s.fail(err, s.attempts > 0 && out.whole.Load() && !s.hop.unsent(err))
		s.sent(0, out.read.Load(), 0, err)
		return nil, err
	}
	defer s.cancel()
	whole := out.whole.Load() // before the answer is read: what is sent during that comes late
	answer := &Response{StatusCode: resp.StatusCode, Header: resp.Header, Body: readSome(resp), Attempts: s.attempts}
	if success(resp.StatusCode) && !whole {
		err := s.fail(errAnsweredEarly, false)
		s.sent(resp.StatusCode, out.read.Load(), int64(len(answer.Body)), err)
		return nil, err
	}
	s.sent(resp.StatusCode, out.read.Load(), int64(len(answer.Body)), nil)
	return answer, nil
}

// outgoing is the body of an upload. It knows whether it was read to its end,
// which net/http does not say.
type outgoing struct {
	r     io.Reader
	size  int64 // negative if it is not known
	ctx   context.Context
	read  atomic.Int64
	whole atomic.Bool
}

func (o *outgoing) attach(req *http.Request) {
	o.ctx = req.Context()
	if o.size == 0 {
		req.Body = http.NoBody // net/http takes a length of 0 for an unknown one
		o.whole.Store(true)
		return
	}
	req.Body, req.ContentLength = o, max(o.size, 0)
	if o.size < 0 || o.size > smallBody {
		// The server can refuse before anything is sent. Otherwise its refusal
		// is easily lost in a connection that breaks.
		req.Header.Set("Expect", "100-continue")
	}
}

func (o *outgoing) Read(p []byte) (int, error) {
	// net/http reads on after an early answer.
	if err := o.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := o.r.Read(p)
	if read := o.read.Add(int64(n)); err == io.EOF || read == o.size {
		o.whole.Store(true)
	}
	return n, err
}

// Close does nothing: the reader is the caller's.
func (o *outgoing) Close() error { return nil }

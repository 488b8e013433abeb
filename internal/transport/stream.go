package transport

import (
	"context"
	"io"
	"net/http"
)

// stream is the part that Upload and Download share: one request, sent once,
// that ends with the caller's context and with the scope.
type stream struct {
	*call
	bound  context.Context // of the request
	unbind context.CancelFunc
}

// cancel ends the request and releases what it holds.
func (s *stream) cancel() {
	s.unbind()
	s.watchdog.stop(&s.t.trips.alarms)
}

// open sends a stream. If there is no error, the caller closes the body of the
// answer and calls cancel.
func (t *Transport) open(ctx context.Context, r *Request, set func(*http.Request)) (*stream, *http.Response, error) {
	c, reqCtx := t.newCall(ctx, r)
	s := &stream{call: c}
	if r.Scope != nil {
		s.bound, s.unbind = r.Scope.Bind(reqCtx)
	} else {
		s.bound, s.unbind = context.WithCancel(reqCtx)
	}
	resp, err := s.send(set)
	if err != nil {
		s.cancel()
	}
	return s, resp, err
}

func (s *stream) send(set func(*http.Request)) (*http.Response, error) {
	if err := s.ended(); err != nil {
		return nil, err
	}
	req, err := s.newRequest(s.bound)
	if err != nil {
		return nil, err
	}
	s.prepare(req)
	req.Header = req.Header.Clone() // set changes it
	set(req)
	s.attempts = 1
	return s.t.client.Do(req)
}

// fail returns the Error for a stream that ended with err.
func (s *stream) fail(err error, ambiguous bool) *Error {
	if ended := s.scopeErr(); ended != nil && s.ctx.Err() == nil {
		err = ended // it ended the stream, whatever net/http says
	}
	return s.call.fail(err, ambiguous)
}

func success(status int) bool { return status >= 200 && status <= 299 }

// Stream is an answer whose body is read by the caller.
type Stream struct {
	StatusCode int
	Header     http.Header
	// Size is the length of the body, or -1 if it is not known.
	Size int64
	// Body must be closed. It ends with the context and with the scope, and a
	// body that ends early is an error, never io.EOF.
	Body io.ReadCloser
}

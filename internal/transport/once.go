package transport

import (
	"errors"
	"io"
)

// errBroken means that a connection broke while a request was on it that may
// have been processed and must not be sent twice.
var errBroken = errors.New("the connection broke before the answer")

// emptyBody is the body of a GET that must not be sent twice. net/http sends a
// GET again by itself when a used connection breaks, unless there is a body
// that it cannot get anew.
type emptyBody struct{}

func (emptyBody) Read([]byte) (int, error) { return 0, io.EOF }
func (emptyBody) Close() error             { return nil }

// bodyAnew is the GetBody of such a GET. It succeeds only if the request was
// certainly not processed: the answer was a redirect, or the connection is HTTP/2,
// where net/http calls it only after the server said so.
func (h *hop) bodyAnew() (io.ReadCloser, error) {
	if h.answered.Load() || h.http2.Load() {
		return emptyBody{}, nil
	}
	return nil, errBroken
}

package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// ErrStalled means that no byte came or went for the stall timeout.
var ErrStalled = errors.New("stalled")

// stallError is ErrStalled with the time. Its Timeout method makes it a timeout
// for those who ask the way that net does.
type stallError struct{ limit time.Duration }

func (e *stallError) Error() string { return fmt.Sprintf("no byte for %v", e.limit) }
func (e *stallError) Unwrap() error { return ErrStalled }
func (e *stallError) Timeout() bool { return true }

// smallBody is the size up to which net/http takes a body in one Read or two.
const smallBody = 64 << 10

// watchdog ends one request that stalls. It runs from sending until the head of
// the answer, except during a Read of the request's body, whose source may be
// slow. Afterwards it is the body of the answer, and runs during each Read.
type watchdog struct {
	limit  time.Duration
	ctx    context.Context
	cancel context.CancelCauseFunc
	body   io.ReadCloser // of the answer

	mu       sync.Mutex
	timer    *time.Timer
	running  bool
	answered bool
	deadline time.Time
}

// watch returns a watchdog that runs and the request that it can end.
func watch(req *http.Request, limit time.Duration) (*watchdog, *http.Request) {
	w := &watchdog{limit: limit}
	w.ctx, w.cancel = context.WithCancelCause(req.Context())
	req = req.WithContext(w.ctx)
	if watchable(req) {
		req.Body = &sentBody{req.Body, w}
		if anew := req.GetBody; anew != nil {
			req.GetBody = func() (io.ReadCloser, error) {
				body, err := anew()
				if err != nil {
					return nil, err
				}
				return &sentBody{body, w}, nil
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running, w.deadline = true, time.Now().Add(limit)
	w.timer = time.AfterFunc(limit, w.bite)
	return w, req
}

// watchable reports whether sending the body can take long.
func watchable(req *http.Request) bool {
	if req.Body == nil || req.Body == http.NoBody || req.Body == io.ReadCloser(emptyBody{}) {
		return false
	}
	return req.ContentLength <= 0 || req.ContentLength > smallBody
}

func (w *watchdog) bite() {
	w.mu.Lock()
	defer w.mu.Unlock()
	// The timer may have fired while it was stopped or set anew.
	if w.running && !time.Now().Before(w.deadline) {
		w.cancel(&stallError{w.limit})
	}
}

// run begins to wait for a byte. w.mu is held.
func (w *watchdog) run() {
	w.running, w.deadline = true, time.Now().Add(w.limit)
	w.timer.Reset(w.limit)
}

// halt stops waiting. w.mu is held.
func (w *watchdog) halt() {
	w.running = false
	w.timer.Stop()
}

// touch notes that a byte has come or gone.
func (w *watchdog) touch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running {
		w.run()
	}
}

// arrived is called with what a RoundTripper returned.
func (w *watchdog) arrived(resp *http.Response, err error) (*http.Response, error) {
	w.mu.Lock()
	w.answered = true
	w.halt()
	w.mu.Unlock()
	if err != nil {
		err = w.explain(err)
		w.cancel(nil)
		return nil, err
	}
	if resp == nil || resp.Body == nil || resp.Body == http.NoBody {
		w.cancel(nil) // others see from the body that there is none
		return resp, nil
	}
	w.body, resp.Body = resp.Body, w
	return resp, nil
}

// explain returns the stall in place of the cancellation that it caused.
func (w *watchdog) explain(err error) error {
	// The error alone does not show it: over HTTP/2 it is a plain cancellation.
	if stalled, ok := errors.AsType[*stallError](context.Cause(w.ctx)); ok {
		return stalled
	}
	return err
}

// Read reads from the body of the answer.
func (w *watchdog) Read(p []byte) (int, error) {
	w.mu.Lock()
	w.run()
	w.mu.Unlock()
	n, err := w.body.Read(p)
	w.mu.Lock()
	w.halt()
	w.mu.Unlock()
	switch {
	case err == io.EOF:
		w.cancel(nil) // a caller that has read to the end may not close
	case err != nil:
		err = w.explain(err)
	}
	return n, err
}

// Close closes the body of the answer.
func (w *watchdog) Close() error {
	err := w.body.Close()
	w.cancel(nil)
	return err
}

// sentBody is the body of a request. While a Read is in progress the watchdog
// does not run, and a Read that is done starts it anew.
type sentBody struct {
	io.ReadCloser
	w *watchdog
}

func (b *sentBody) Read(p []byte) (int, error) {
	b.w.source(true)
	n, err := b.ReadCloser.Read(p)
	b.w.source(false)
	return n, err
}

// source notes that a Read of the request's body begins or has ended. After the
// head of the answer only the answer counts.
func (w *watchdog) source(begins bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.answered:
	case begins:
		w.halt()
	default:
		w.run()
	}
}

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

// watchdog ends a call or a stream that stalls. It runs while a request is sent,
// until the head of its answer, except during a Read of the request's body, whose
// source may be slow. Afterwards it runs during each Read of the answer's body. All
// requests of a call share one watchdog.
type watchdog struct {
	limit  time.Duration // zero if there is no stall timeout
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	alarm    *alarm // nil before the first request and after stop
	running  bool
	answered bool
	deadline time.Time
}

// guard returns a context under parent that w cancels if no byte moves. A watchdog
// that has bitten guards again under a new context.
func (w *watchdog) guard(parent context.Context) context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ctx, w.cancel = context.WithCancelCause(parent)
	return w.ctx
}

// begin is called before a request is sent. It returns the request to send. The first
// time it takes an alarm.
func (w *watchdog) begin(req *http.Request, alarms *alarms) *http.Request {
	w.mu.Lock()
	if w.alarm == nil {
		w.alarm = alarms.take(w)
	}
	w.answered = false
	w.run()
	w.mu.Unlock()
	if !watchable(req) {
		return req
	}
	watched := *req // a RoundTripper must not change the request it was given
	watched.Body = &sentBody{req.Body, w}
	if anew := req.GetBody; anew != nil {
		watched.GetBody = func() (io.ReadCloser, error) {
			body, err := anew()
			if err != nil {
				return nil, err
			}
			return &sentBody{body, w}, nil
		}
	}
	return &watched
}

// watchable reports whether sending the body can take long.
func watchable(req *http.Request) bool {
	if req.Body == nil || req.Body == http.NoBody || req.Body == io.ReadCloser(emptyBody{}) {
		return false
	}
	return req.ContentLength <= 0 || req.ContentLength > smallBody
}

// bite is called when the alarm rings. It cancels the context if the deadline has
// passed.
func (w *watchdog) bite() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.alarm == nil || !w.running {
		return
	}
	if left := time.Until(w.deadline); left > 0 {
		w.alarm.set(left)
		return
	}
	w.cancel(&stallError{w.limit})
}

// run begins to wait for a byte. w.mu is held.
func (w *watchdog) run() {
	if w.alarm == nil {
		return
	}
	w.running, w.deadline = true, time.Now().Add(w.limit)
	w.alarm.set(w.limit)
}

// halt stops waiting. w.mu is held.
func (w *watchdog) halt() { w.running = false }

// touch notes that a byte has come or gone.
func (w *watchdog) touch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running {
		w.run()
	}
}

// stop releases the alarm and the context when the call or the stream has ended.
func (w *watchdog) stop(alarms *alarms) {
	if w.limit <= 0 {
		return
	}
	w.mu.Lock()
	w.halt()
	if w.alarm != nil {
		alarms.put(w.alarm)
		w.alarm = nil
	}
	w.mu.Unlock()
	w.cancel(nil)
}

// arrived is called with what a RoundTripper returned.
func (w *watchdog) arrived(resp *http.Response, err error) (*http.Response, error) {
	w.mu.Lock()
	w.answered = true
	w.halt()
	w.mu.Unlock()
	if err != nil {
		return nil, w.explain(err)
	}
	// Others see from the body that there is none.
	if resp != nil && resp.Body != nil && resp.Body != http.NoBody {
		resp.Body = &receivedBody{resp.Body, w}
	}
	return resp, nil
}

// bitten reports whether w has ended its context.
func (w *watchdog) bitten() bool { return w.limit > 0 && w.ctx.Err() != nil }

// explain returns the stall in place of the cancellation that it caused.
func (w *watchdog) explain(err error) error {
	// The error alone does not show it: over HTTP/2 it is a plain cancellation.
	if stalled, ok := errors.AsType[*stallError](context.Cause(w.ctx)); ok {
		return stalled
	}
	return err
}

// receivedBody is the body of an answer. The watchdog runs during each Read.
type receivedBody struct {
	io.ReadCloser
	w *watchdog
}

func (b *receivedBody) Read(p []byte) (int, error) {
	b.w.mu.Lock()
	b.w.run()
	b.w.mu.Unlock()
	n, err := b.ReadCloser.Read(p)
	b.w.mu.Lock()
	b.w.halt()
	b.w.mu.Unlock()
	if err != nil && err != io.EOF {
		err = b.w.explain(err)
	}
	return n, err
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

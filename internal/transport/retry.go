package transport

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"
)

const (
	firstPause = 200 * time.Millisecond
	// longestPause bounds one pause. If the server asks for a longer one, the
	// caller gets the answer at once.
	longestPause = 30 * time.Second
)

// retry is the state that a call keeps from one attempt to the next.
type retry struct {
	pause   time.Duration // before the next attempt
	paused  time.Duration // sum of all pauses so far
	pausing bool          // the pause before the next attempt is in progress
	status  int           // status that the next attempt is made for, or zero
	err     error         // error that the next attempt is made for, or nil
}

// checkRetry decides whether a call is sent again. go-retryablehttp calls it
// with each answer or error, and once more after the answer was read. Its own
// policy would send a POST again that the server may have carried out.
func checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	return callOf(ctx).again(resp, err), nil
}

// noBackoff makes go-retryablehttp not wait: its wait knows nothing of a scope.
// prepareRetry waits.
func noBackoff(time.Duration, time.Duration, int, *http.Response) time.Duration { return 0 }

// prepareRetry waits for the pause before the next attempt. By then the body of
// the last answer was read, and its connection can be used again.
func prepareRetry(req *http.Request) error {
	c := callOf(req.Context())
	c.pauses()
	if err := c.wait(); err != nil {
		return err
	}
	c.retry.paused += c.retry.pause
	c.retry.pausing = false
	c.attempts++
	c.prepare(req)
	// The body of the last attempt may still be read.
	c.setBody(req, bytes.NewReader(c.Body))
	return nil
}

// wait waits for the pause. It returns an error if the context or the scope ends.
func (c *call) wait() error {
	var scope <-chan struct{}
	if c.Scope != nil {
		scope = c.Scope.Done()
	}
	timer := time.NewTimer(c.retry.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.ctx.Done():
	case <-scope:
	}
	// More than one of them may be ready.
	return c.ended()
}

// again reports whether the call is to be sent again.
func (c *call) again(resp *http.Response, err error) bool {
	switch {
	case err == nil && c.answered:
		return false // decided before it was read
	case c.NoRetry || c.attempts > c.t.maxRetries || c.ended() != nil || !c.safe(resp, err):
		return false
	}
	pause := c.pauseAfter(resp, err)
	if !c.affordable(pause) {
		return false
	}
	c.checkTimeout(err)
	c.retry.pause, c.retry.pausing = pause, true
	c.retry.status, c.retry.err = 0, err
	if err == nil {
		c.retry.status = resp.StatusCode
	}
	if c.watchdog.bitten() {
		// go-retryablehttp gives up if the context of the request has ended.
		c.retrying.Request = c.retrying.Request.WithContext(c.guarded())
	}
	return true
}

// safe reports whether sending the call again can do no harm and may help.
func (c *call) safe(resp *http.Response, err error) bool {
	if err != nil {
		return !untrusted(err) && !errors.Is(err, ErrTooLarge) && (c.Idempotent || c.hop.unsent(err))
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusMisdirectedRequest, http.StatusTooEarly:
		return true // the server refused the call before it ran it
	case http.StatusServiceUnavailable:
		// A server that says when to come back has not run the call.
		_, said := RetryAfter(resp.Header)
		return c.Idempotent || said
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return c.Idempotent
	}
	// Content delivery networks use 520 to 529 for failures of the server behind
	// them.
	return c.Idempotent && resp.StatusCode >= 520 && resp.StatusCode <= 529
}

// pauseAfter returns the pause that the server asks for, or one that grows with
// each attempt.
func (c *call) pauseAfter(resp *http.Response, err error) time.Duration {
	if err == nil {
		if pause, ok := RetryAfter(resp.Header); ok {
			return pause
		}
	}
	return Jitter(firstPause << min(c.attempts-1, 6))
}

// affordable reports whether a pause is within all bounds.
func (c *call) affordable(pause time.Duration) bool {
	if pause > longestPause || c.t.maxPause > 0 && c.retry.paused+pause > c.t.maxPause {
		return false
	}
	deadline, ok := c.ctx.Deadline()
	return !ok || time.Until(deadline) > pause
}

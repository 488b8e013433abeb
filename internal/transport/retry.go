package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	firstPause = 200 * time.Millisecond
	// maxPause bounds a pause inside a call. A server that asks for more gets
	// its way, but the caller is told at once instead of being held.
	maxPause = 30 * time.Second
)

// policy decides for one call whether it is sent again. go-retryablehttp asks
// it after each attempt; its own default would repeat a POST that the server
// may have carried out.
type policy struct {
	repeat  bool
	failed  int // attempts that are being made good for
	pause   time.Duration
	pausing bool // before another attempt
}

// check is called after the answer has begun and, if that is fine, after it
// has been read.
func (p *policy) check(ctx context.Context, resp *http.Response, err error) (bool, error) {
	p.pausing = false
	if ctx.Err() != nil || !p.safe(resp, err) {
		return false, nil
	}
	p.pause = p.pauseAfter(resp)
	deadline, ok := ctx.Deadline()
	return p.pause <= maxPause && (!ok || time.Until(deadline) > p.pause), nil
}

// backoff is called when there will be another attempt.
func (p *policy) backoff(time.Duration, time.Duration, int, *http.Response) time.Duration {
	p.failed++
	p.pausing = true
	return p.pause
}

// safe tells that sending the call again can do no harm and may help.
func (p *policy) safe(resp *http.Response, err error) bool {
	if err != nil {
		return !untrusted(err) && !errors.Is(err, ErrTooLarge) && (p.repeat || neverSent(err))
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusServiceUnavailable:
		// With a time to come back the server says that it did nothing.
		_, said := RetryAfter(resp.Header)
		return p.repeat || said
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return p.repeat
	}
	return false
}

func (p *policy) pauseAfter(resp *http.Response) time.Duration {
	if resp != nil {
		if pause, ok := RetryAfter(resp.Header); ok {
			return pause
		}
	}
	return Jitter(firstPause << min(p.failed, 6))
}

// Jitter returns a duration between half of d and d, so that clients that
// failed together do not come back together.
func Jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}

// RetryAfter reads the header of that name: seconds, or a date.
func RetryAfter(header http.Header) (time.Duration, bool) {
	value := header.Get("Retry-After")
	if value == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(max(seconds, 0)) * time.Second, true
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(time.Until(date), 0), true
	}
	return 0, false
}

// untrusted tells that the server's certificate was refused: trying again
// would only meet it again.
func untrusted(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

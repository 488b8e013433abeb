package transport

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter is the longest pause that counts. A longer one is a Unix time by
// mistake, or a date that means never.
const maxRetryAfter = 24 * time.Hour

// RetryAfter returns the pause that the header Retry-After asks for, and reports
// whether there is one of at most a day. A date counts from the Date of the same
// answer, because clocks may differ. A date that has passed is a pause of zero.
func RetryAfter(header http.Header) (time.Duration, bool) {
	value := header.Get("Retry-After")
	if value == "" {
		return 0, false
	}
	if seconds, ok := parseSeconds(value); ok {
		if seconds > int64(maxRetryAfter/time.Second) {
			return 0, false
		}
		return time.Duration(max(seconds, 0)) * time.Second, true
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	now := time.Now()
	if sent, err := http.ParseTime(header.Get("Date")); err == nil {
		now = sent
	}
	pause := max(date.Sub(now), 0)
	if pause > maxRetryAfter {
		return 0, false
	}
	return pause, true
}

// parseSeconds returns a number, and reports whether value is one. A number that
// does not fit is the nearest one that does.
func parseSeconds(value string) (int64, bool) {
	seconds, err := strconv.ParseInt(value, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		// ParseInt gives up at the digit that is too much, and does not look at
		// the rest.
		digits := strings.TrimLeft(value, "+-")
		return seconds, strings.Trim(digits, "0123456789") == ""
	}
	return seconds, err == nil
}

// Jitter returns a duration between half of d and d, so that clients that
// failed together do not come back together.
func Jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}

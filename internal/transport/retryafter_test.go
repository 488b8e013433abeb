package transport

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
		for _, test := range []struct {
			value, date string
			pause       time.Duration
			said        bool
		}{
			{"", "", 0, false},
			{" ", "", 0, false},
			{"soon", "", 0, false},
			{"1.5", "", 0, false},
			{"0", "", 0, true},
			{"7", "", 7 * time.Second, true},
			{"-7", "", 0, true},
			{"-99999999999999999999999", "", 0, true},
			{"86400", "", 24 * time.Hour, true},
			{"86401", "", 0, false},
			{"1764028800", "", 0, false},
			{"99999999999999999999999", "", 0, false},
			{at(9 * time.Second), "", 9 * time.Second, true},
			{at(-time.Hour), "", 0, true},
			{at(24 * time.Hour), "", 24 * time.Hour, true},
			{at(25 * time.Hour), "", 0, false},
			{"Fri, 31 Dec 9999 23:59:59 GMT", "", 0, false},
			{"Mon, 01 Jan 0001 00:00:00 GMT", "", 0, true},
			// The server's clock is an hour ahead, or behind.
			{at(time.Hour + 9*time.Second), at(time.Hour), 9 * time.Second, true},
			{at(-time.Hour + 9*time.Second), at(-time.Hour), 9 * time.Second, true},
			{at(9 * time.Second), "yesterday", 9 * time.Second, true},
			{"7", at(time.Hour), 7 * time.Second, true},
		} {
			header := http.Header{}
			header.Set("Retry-After", test.value)
			header.Set("Date", test.date)
			pause, said := RetryAfter(header)
			assert.Equal(t, test.said, said, "%q at %q", test.value, test.date)
			assert.Equal(t, test.pause, pause, "%q at %q", test.value, test.date)
		}
	})
}

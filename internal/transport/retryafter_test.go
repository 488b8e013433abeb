package transport

import (
	"math/big"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
			{"-99999999999999999999999a", "", 0, false},
			{"99999999999999999999999a", "", 0, false},
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

// FuzzRetryAfter is what a server asks for. The pause is never negative and never
// longer than a day, and it is what the number or the date says.
func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{
		"", "0", "7", "-7", "+7", "007", "1.5", "86400", "86401", "99999999999999999999999", "-99999999999999999999999", "0x10", "1_000", " 7", "7 ",
		"Fri, 31 Dec 9999 23:59:59 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 GMT",
	} {
		f.Add(value, "")
		f.Add(value, "Thu, 01 Jan 1970 00:00:07 GMT")
		f.Add("Thu, 01 Jan 1970 00:00:07 GMT", value)
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		header := http.Header{}
		header.Set("Retry-After", value)
		header.Set("Date", date)
		pause, said := RetryAfter(header)
		require.GreaterOrEqual(t, pause, time.Duration(0))
		require.LessOrEqual(t, pause, maxRetryAfter)
		if !said {
			require.Zero(t, pause)
		}
		if n, ok := new(big.Int).SetString(value, 10); ok && !strings.Contains(value, "_") {
			seconds := new(big.Int).Div(big.NewInt(int64(maxRetryAfter)), big.NewInt(int64(time.Second)))
			require.Equal(t, n.Cmp(seconds) <= 0, said)
			if said && n.Sign() > 0 {
				require.Equal(t, time.Duration(n.Int64())*time.Second, pause)
			}
			return
		}
		at, err := http.ParseTime(value)
		from, dated := http.ParseTime(date)
		if err != nil {
			require.False(t, said)
		} else if dated == nil {
			want := max(at.Sub(from), 0)
			require.Equal(t, want <= maxRetryAfter, said)
			if said {
				require.Equal(t, want, pause)
			}
		}
	})
}

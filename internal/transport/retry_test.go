package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func traceReuse(ctx context.Context, reused *atomic.Bool) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { reused.Store(info.Reused) },
	})
}

var errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}

// attempts sends r to a server that always does the same, and counts.
func attempts(t *testing.T, r *Request, maxRetries int, do func() (*http.Response, error)) (sent int, answer *Response, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		rt := roundTrip(func(*http.Request) (*http.Response, error) { sent++; return do() })
		answer, err = New(Config{Client: &http.Client{Transport: rt}, MaxRetries: maxRetries, StallTimeout: time.Minute}).Do(t.Context(), r)
	})
	return sent, answer, err
}

func TestWhatIsSentAgain(t *testing.T) {
	t.Parallel()
	status := func(code int, header ...string) func() (*http.Response, error) {
		return func() (*http.Response, error) { return reply(code, "", header...), nil }
	}
	failure := func(err error) func() (*http.Response, error) {
		return func() (*http.Response, error) { return nil, err }
	}
	tests := []struct {
		name            string
		do              func() (*http.Response, error)
		read, command   bool
		commandMayBeRun bool // an error that is ambiguous
	}{
		{"200", status(200), false, false, false},
		{"202", status(202), false, false, false},
		{"400", status(400), false, false, false},
		{"401", status(401), false, false, false},
		{"404", status(404), false, false, false},
		{"408", status(408), true, false, false},
		{"408 with Retry-After", status(408, "Retry-After", "1"), true, false, false},
		{"409", status(409), false, false, false},
		{"421", status(421), true, true, false},
		{"422", status(422), false, false, false},
		{"422 with Retry-After", status(422, "Retry-After", "1"), false, false, false},
		{"425", status(425), true, true, false},
		{"429", status(429), true, true, false},
		{"429 with Retry-After", status(429, "Retry-After", "1"), true, true, false},
		{"500", status(500), true, false, false},
		{"500 with Retry-After", status(500, "Retry-After", "1"), true, false, false},
		{"501", status(501), false, false, false},
		{"502", status(502), true, false, false},
		{"503", status(503), true, false, false},
		{"503 with Retry-After", status(503, "Retry-After", "1"), true, true, false},
		{"503 with an unreadable Retry-After", status(503, "Retry-After", "soon"), true, false, false},
		{"504", status(504), true, false, false},
		{"520", status(520), true, false, false},
		{"522", status(522), true, false, false},
		{"529", status(529), true, false, false},
		{"connection refused", failure(errRefused), true, true, false},
		{"proxy refused", failure(&net.OpError{Op: "proxyconnect", Err: errors.New("no")}), true, true, false},
		{"unknown host", failure(&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}), true, true, false},
		{"broken while reading", failure(&net.OpError{Op: "read", Err: errors.New("reset")}), true, false, true},
		{"broken while writing", failure(&net.OpError{Op: "write", Err: errors.New("broken pipe")}), true, false, true},
		{"EOF", failure(io.EOF), true, false, true},
		{"unexpected EOF", failure(io.ErrUnexpectedEOF), true, false, true},
		{"timeout", failure(context.DeadlineExceeded), true, false, true},
		{"anything else", failure(errors.New("?")), true, false, true},
	}
	count := func(again bool) int {
		if again {
			return 4
		}
		return 1
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sent, _, err := attempts(t, get("https://api.test"), 3, test.do)
			assert.Equal(t, count(test.read), sent, "read")
			if e, ok := errors.AsType[*Error](err); ok {
				assert.False(t, e.Ambiguous, "a read is never ambiguous")
			}

			sent, _, err = attempts(t, command("https://api.test"), 3, test.do)
			assert.Equal(t, count(test.command), sent, "command")
			e, _ := errors.AsType[*Error](err)
			assert.Equal(t, test.commandMayBeRun, e != nil && e.Ambiguous)

			sent, _, _ = attempts(t, get("https://api.test"), 0, test.do)
			assert.Equal(t, 1, sent, "no retries")

			once := get("https://api.test")
			once.NoRetry = true
			sent, _, _ = attempts(t, once, 3, test.do)
			assert.Equal(t, 1, sent, "once")
		})
	}
}

func TestLastAnswerIsReturned(t *testing.T) {
	t.Parallel()
	n := 0
	sent, answer, err := attempts(t, get("https://api.test"), 2, func() (*http.Response, error) {
		n++
		return reply(500+n, "answer"), nil
	})
	require.NoError(t, err)
	assert.Equal(t, 1, sent, "501 is final")
	assert.Equal(t, 501, answer.StatusCode)

	n = 1
	sent, answer, err = attempts(t, get("https://api.test"), 2, func() (*http.Response, error) {
		n++
		return reply(500+n, "answer"), nil
	})
	require.NoError(t, err)
	assert.Equal(t, 3, sent)
	assert.Equal(t, 504, answer.StatusCode)
	assert.Equal(t, "answer", string(answer.Body))
}

func TestBodyIsSentAgainWhole(t *testing.T) {
	t.Parallel()
	n := 0
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.Equal(t, "a=b", string(body))
		if n++; n < 3 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(429)
		}
	})
	answer, err := pooled(t, 3).Do(t.Context(), command(s.URL))
	require.NoError(t, err)
	assert.Equal(t, 200, answer.StatusCode)
	assert.Equal(t, 3, n)
}

// pauses returns how long it took until the second attempt.
func pauses(t *testing.T, retryAfter func() string) (pause time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var first time.Time
		rt := roundTrip(func(*http.Request) (*http.Response, error) {
			if first.IsZero() {
				first = time.Now()
				return reply(429, "", "Retry-After", retryAfter()), nil
			}
			pause = time.Since(first)
			return reply(200, ""), nil
		})
		_, err := New(Config{Client: &http.Client{Transport: rt}, MaxRetries: 3}).Do(t.Context(), command("https://api.test"))
		require.NoError(t, err)
	})
	return pause
}

func TestPauseThatTheServerAsksFor(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 7*time.Second, pauses(t, func() string { return "7" }))
	assert.Equal(t, 9*time.Second, pauses(t, func() string {
		return time.Now().Add(9 * time.Second).UTC().Format(http.TimeFormat)
	}))
	assert.Zero(t, pauses(t, func() string { return time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat) }))
	assert.Zero(t, pauses(t, func() string { return "-5" }))
	for _, odd := range []string{"", "soon", "1.5", "86401", "1764028800", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		pause := pauses(t, func() string { return odd })
		assert.GreaterOrEqual(t, pause, firstPause/2, odd)
		assert.LessOrEqual(t, pause, firstPause, odd)
	}
}

func TestPausesGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var times []time.Time
		rt := roundTrip(func(*http.Request) (*http.Response, error) {
			times = append(times, time.Now())
			return reply(500, ""), nil
		})
		_, err := New(Config{Client: &http.Client{Transport: rt}, MaxRetries: 9}).Do(t.Context(), get("https://api.test"))
		require.NoError(t, err)
		require.Len(t, times, 10)
		for i := 1; i < len(times); i++ {
			long := firstPause << min(i-1, 6)
			pause := times[i].Sub(times[i-1])
			assert.GreaterOrEqual(t, pause, long/2)
			assert.LessOrEqual(t, pause, long)
		}
	})
}

func TestLongPauseIsNotBegun(t *testing.T) {
	t.Parallel()
	for _, retryAfter := range []string{"31", "3600", "86400"} {
		synctest.Test(t, func(t *testing.T) {
			start, sent := time.Now(), 0
			rt := roundTrip(func(*http.Request) (*http.Response, error) {
				sent++
				return reply(429, "", "Retry-After", retryAfter), nil
			})
			answer, err := New(Config{Client: &http.Client{Transport: rt}, MaxRetries: 3}).Do(t.Context(), command("https://api.test"))
			require.NoError(t, err)
			assert.Equal(t, 429, answer.StatusCode)
			assert.Zero(t, time.Since(start))
			assert.Equal(t, 1, sent)
			asked, ok := RetryAfter(answer.Header)
			assert.True(t, ok)
			assert.Greater(t, asked, 30*time.Second)
		})
	}
}

func TestPauseBeyondTheDeadlineIsNotBegun(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func() (*http.Response, error){
		"429":     func() (*http.Response, error) { return reply(429, "", "Retry-After", "5"), nil },
		"refused": func() (*http.Response, error) { return nil, errRefused },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 90*time.Millisecond)
				defer cancel()
				start, sent := time.Now(), 0
				rt := roundTrip(func(*http.Request) (*http.Response, error) { sent++; return do() })
				_, err := New(Config{Client: &http.Client{Transport: rt}, MaxRetries: 3}).Do(ctx, command("https://api.test"))
				assert.Zero(t, time.Since(start))
				assert.Equal(t, 1, sent)
				if name == "refused" {
					require.ErrorIs(t, err, errRefused)
				} else {
					require.NoError(t, err)
				}
			})
		})
	}
}

func TestContextThatEndsInAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		rt := roundTrip(func(*http.Request) (*http.Response, error) {
			return reply(429, "", "Retry-After", "20"), nil
		})
		start := time.Now()
		time.AfterFunc(3*time.Second, cancel)
		_, err := New(Config{Client: &http.Client{Transport: rt}, MaxRetries: 3}).Do(ctx, command("https://api.test"))
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, 3*time.Second, time.Since(start))
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.False(t, e.Ambiguous, "the server had refused it")
	})
}

func TestContextThatEndsInTheSecondAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		sent := 0
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			if sent++; sent == 1 {
				return reply(429, "", "Retry-After", "1"), nil
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		_, err := New(Config{Client: &http.Client{Transport: rt}, MaxRetries: 3}).Do(ctx, command("https://api.test"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 2, sent)
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.True(t, e.Ambiguous, "the second attempt may have got through")
	})
}

// The cases below use real connections: net/http has retries of its own.

func TestConnectionThatBreaksAfterTheRequestWasRead(t *testing.T) {
	t.Parallel()
	var sent atomic.Int32
	var breaks atomic.Bool
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/warm" {
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		assert.True(t, r.Method == http.MethodPost || n == 0 && r.ContentLength == 0 && r.TransferEncoding == nil)
		sent.Add(1)
		if breaks.Load() {
			panic(http.ErrAbortHandler)
		}
	})
	consumes := get(s.URL)
	consumes.Idempotent = false
	for name, test := range map[string]struct {
		request *Request
		sent    int32
	}{
		"command":             {command(s.URL), 1},
		"command, empty form": {&Request{Method: http.MethodPost, URL: s.URL, Header: http.Header{}}, 1},
		"GET that consumes":   {consumes, 1},
	} {
		for _, warm := range []bool{false, true} {
			tr := New(Config{MaxRetries: 3})
			if warm {
				_, err := tr.Do(t.Context(), get(s.URL+"/warm"))
				require.NoError(t, err)
			}
			sent.Store(0)
			breaks.Store(true)
			_, err := tr.Do(t.Context(), test.request)
			require.Error(t, err, name)
			var e *Error
			require.ErrorAs(t, err, &e)
			assert.True(t, e.Ambiguous, name)
			assert.Equal(t, test.sent, sent.Load(), "%s, on a used connection: %t", name, warm)

			// The same request arrives when nothing breaks.
			breaks.Store(false)
			answer, err := tr.Do(t.Context(), test.request)
			require.NoError(t, err, name)
			assert.Equal(t, 200, answer.StatusCode)
			tr.CloseIdle()
		}
	}

	sent.Store(0)
	breaks.Store(true)
	_, err := pooled(t, 2).Do(t.Context(), get(s.URL))
	require.Error(t, err)
	assert.EqualValues(t, 3, sent.Load(), "a read is repeated")
}

func TestRefusedConnectionIsTriedAgain(t *testing.T) {
	t.Parallel()
	var sent atomic.Int32
	s := serve(t, func(http.ResponseWriter, *http.Request) { sent.Add(1) })
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, dead.Close())

	dials := 0
	pool := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dials++; dials < 3 {
			addr = dead.Addr().String()
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	defer pool.CloseIdleConnections()
	answer, err := New(Config{Client: &http.Client{Transport: pool}, MaxRetries: 3}).Do(t.Context(), command(s.URL))
	require.NoError(t, err)
	assert.Equal(t, 200, answer.StatusCode)
	assert.Equal(t, 3, dials)
	assert.EqualValues(t, 1, sent.Load())
}

func TestUntrustedServer(t *testing.T) {
	t.Parallel()
	s := newTLSServer(t)
	for _, r := range []*Request{get(s.URL), command(s.URL)} {
		dials := 0
		pool := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials++
			return new(net.Dialer).DialContext(ctx, network, addr)
		}}
		_, err := New(Config{Client: &http.Client{Transport: pool}, MaxRetries: 3}).Do(t.Context(), r)
		require.Error(t, err)
		assert.Equal(t, 1, dials, "no use to try again")
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.False(t, e.Ambiguous)
	}
}

func TestJitter(t *testing.T) {
	t.Parallel()
	for range 1000 {
		d := Jitter(100)
		assert.GreaterOrEqual(t, d, time.Duration(50))
		assert.LessOrEqual(t, d, time.Duration(100))
	}
	assert.Zero(t, Jitter(0))
}

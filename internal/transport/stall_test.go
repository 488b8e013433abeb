package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const stallTimeout = time.Minute

func requireStalled(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, ErrStalled)
	require.EqualError(t, err, "no byte for 1m0s")
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	require.True(t, ok)
	assert.True(t, timeout.Timeout())
	e, ok := errors.AsType[*Error](err)
	require.True(t, ok)
	assert.True(t, e.Timeout())
}

// until blocks a handler until its client is gone, or for a time.
func until(r *http.Request, d time.Duration) {
	select {
	case <-r.Context().Done():
	case <-time.After(d):
	}
}

func flush(w http.ResponseWriter, text string) {
	_, _ = io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush()
}

func TestStallBeforeTheHead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int32
		tr := inBubble(t, Config{StallTimeout: stallTimeout, MaxRetries: 2}, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // so that the server watches the connection
			sent.Add(1)
			until(r, time.Hour)
		})
		start := time.Now()
		_, err := tr.Do(t.Context(), command("http://api.test"))
		requireStalled(t, err)
		assert.Equal(t, stallTimeout, time.Since(start))
		assert.True(t, err.(*Error).Ambiguous)
		assert.EqualValues(t, 1, sent.Load())

		_, err = tr.Do(t.Context(), get("http://api.test"))
		requireStalled(t, err)
		assert.False(t, err.(*Error).Ambiguous)
		assert.EqualValues(t, 4, sent.Load(), "a read is sent again")
	})
}

func TestStallInTheBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr := inBubble(t, Config{StallTimeout: stallTimeout}, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			for range 3 {
				flush(w, "x")
				until(r, 50*time.Second)
			}
			if r.URL.Path == "/slow" {
				return
			}
			until(r, time.Hour)
		})
		_, err := tr.Do(t.Context(), command("http://api.test/"))
		requireStalled(t, err)
		_, err = tr.Do(t.Context(), get("http://api.test/slow"))
		require.NoError(t, err, "a byte every 50 s is no stall")

		s, err := tr.Download(t.Context(), consuming("http://api.test/"))
		require.NoError(t, err)
		_, err = io.ReadAll(s.Body)
		requireStalled(t, err)
		require.NoError(t, s.Body.Close())
	})
}

func TestSlowReaderIsNoStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr := inBubble(t, Config{StallTimeout: stallTimeout}, func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20))
		})
		s, err := tr.Download(t.Context(), consuming("http://api.test/"))
		require.NoError(t, err)
		for range 10 {
			_, err := io.ReadFull(s.Body, make([]byte, 100<<10))
			require.NoError(t, err)
			time.Sleep(10 * time.Minute)
		}
		_, err = io.Copy(io.Discard, s.Body)
		require.NoError(t, err)
		require.NoError(t, s.Body.Close())
	})
}

// slowSource yields a piece every d.
type slowSource struct {
	pieces int
	d      time.Duration
}

func (s *slowSource) Read(p []byte) (int, error) {
	if s.pieces--; s.pieces < 0 {
		return 0, io.EOF
	}
	time.Sleep(s.d)
	return copy(p, "piece"), nil
}

func TestSlowSourceIsNoStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr := inBubble(t, Config{StallTimeout: stallTimeout}, func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			assert.NoError(t, err)
			assert.EqualValues(t, 15, n)
			until(r, 50*time.Second)
		})
		start := time.Now()
		_, err := tr.Upload(t.Context(), command("http://api.test"), &slowSource{3, 10 * time.Minute}, -1)
		require.NoError(t, err)
		assert.Equal(t, 30*time.Minute+50*time.Second, time.Since(start))
	})
}

func TestStallOfAnUpload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		tr := inBubble(t, Config{StallTimeout: stallTimeout}, func(w http.ResponseWriter, r *http.Request) {
			_, _ = r.Body.Read(make([]byte, 1))
			<-release
		})
		start := time.Now()
		_, err := tr.Upload(t.Context(), command("http://api.test"), bytes.NewReader(make([]byte, 4<<20)), 4<<20)
		requireStalled(t, err)
		assert.False(t, err.(*Error).Ambiguous, "the server cannot have all of it")
		assert.Less(t, time.Since(start), 2*stallTimeout)
	})
}

// The body of a call can be long enough to be slow, too.
func TestLongBodyOfACall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr := inBubble(t, Config{StallTimeout: stallTimeout, MaxRetries: 1}, func(w http.ResponseWriter, r *http.Request) {
			for range 8 {
				time.Sleep(30 * time.Second)
				_, _ = io.CopyN(io.Discard, r.Body, 128<<10)
			}
			n, _ := io.Copy(io.Discard, r.Body)
			assert.Zero(t, n)
			if r.URL.Path == "/from" {
				w.Header().Set("Location", "/to")
				w.WriteHeader(307)
			}
		})
		r := command("http://api.test/from")
		r.Body = make([]byte, 1<<20)
		answer, err := tr.Do(t.Context(), r)
		require.NoError(t, err)
		assert.Equal(t, 200, answer.StatusCode)
	})
}

// A connection that takes its time to be made is counted apart.
func TestStallIsCountedFromTheConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		s := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			until(r, 50*time.Second)
		})}
		go func() { _ = s.Serve(n) }()
		defer s.Close()
		pool := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			time.Sleep(30 * time.Second)
			return n.DialContext(ctx, "", "")
		}}
		defer pool.CloseIdleConnections()
		_, err := New(Config{Client: &http.Client{Transport: pool}, StallTimeout: stallTimeout}).Do(t.Context(), command("http://api.test"))
		require.NoError(t, err)
	})
}

func TestStallTimeoutThatIsOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, off := range []time.Duration{0, -1} {
			tr := inBubble(t, Config{StallTimeout: off}, func(w http.ResponseWriter, r *http.Request) { time.Sleep(time.Hour) })
			_, err := tr.Do(t.Context(), command("http://api.test"))
			require.NoError(t, err)
		}
	})
}

func TestUpgradePassesThrough(t *testing.T) {
	t.Parallel()
	body := struct{ io.ReadWriteCloser }{}
	rt := roundTrip(func(r *http.Request) (*http.Response, error) {
		resp := reply(101, "")
		resp.Body = body
		return resp, nil
	})
	client := New(Config{Client: &http.Client{Transport: rt}, StallTimeout: stallTimeout}).HTTPClient()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.test", nil)
	require.NoError(t, err)
	req.Header.Set("Upgrade", "websocket")
	resp, err := client.Do(req)
	require.NoError(t, err)
	assert.Equal(t, io.ReadCloser(body), resp.Body)
}

// The client of one Transport can be given to another, whose stall timeout it
// then has.
func TestClientOfAnotherTransport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := inBubble(t, Config{StallTimeout: time.Second}, func(w http.ResponseWriter, r *http.Request) { time.Sleep(30 * time.Second) })
		_, err := New(Config{Client: first.HTTPClient(), StallTimeout: stallTimeout}).Do(t.Context(), command("http://api.test"))
		require.NoError(t, err)
	})
}

func TestAnswerWithoutABodyStaysOne(t *testing.T) {
	t.Parallel()
	rt := roundTrip(func(*http.Request) (*http.Response, error) {
		resp := reply(200, "")
		resp.Body, resp.ContentLength = http.NoBody, 1<<40 // as of a HEAD
		return resp, nil
	})
	answer, err := New(Config{Client: &http.Client{Transport: rt}, StallTimeout: stallTimeout}).Do(t.Context(), get("https://api.test"))
	require.NoError(t, err)
	assert.Empty(t, answer.Body)
}

// guarding returns a watchdog that has begun to watch req, and the request to send.
func guarding(t *testing.T, req *http.Request) (*watchdog, *http.Request) {
	w := &watchdog{limit: time.Hour}
	w.guard(t.Context())
	clocks := new(alarms)
	t.Cleanup(func() { w.stop(clocks) })
	return w, w.begin(req, clocks)
}

// A timer that fires late ends nothing, and one that fires early fires again.
func TestTimerThatFiresAtAnotherTime(t *testing.T) {
	t.Parallel()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.test", nil)
	require.NoError(t, err)
	w, _ := guarding(t, req)
	w.alarm.ring()
	require.NoError(t, w.ctx.Err())
	assert.True(t, w.alarm.armed.Load())
	w.deadline = time.Now()
	w.running = false
	w.alarm.ring()
	require.NoError(t, w.ctx.Err())
	assert.False(t, w.alarm.armed.Load())
	w.running = true
	w.alarm.ring()
	require.Error(t, w.ctx.Err())
}

// The context and the timer of a watchdog are released however the answer ends.
func TestNothingIsLeftOfAWatchdog(t *testing.T) {
	t.Parallel()
	body := func() io.ReadCloser { return io.NopCloser(bytes.NewReader([]byte("x"))) }
	do := func(tr *Transport, r *Request) error { _, err := tr.Do(t.Context(), r); return err }
	download := func(end func(io.ReadCloser)) func(tr *Transport, r *Request) error {
		return func(tr *Transport, r *Request) error {
			s, err := tr.Download(t.Context(), r)
			if err == nil {
				end(s.Body)
			}
			return err
		}
	}
	for name, test := range map[string]struct {
		body io.ReadCloser
		err  error
		send func(tr *Transport, r *Request) error
	}{
		"call":                     {body(), nil, do},
		"call without an answer":   {nil, errRefused, do},
		"call that has no body":    {http.NoBody, nil, do},
		"stream, read to the end":  {body(), nil, download(func(b io.ReadCloser) { _, _ = io.ReadAll(b) })},
		"stream, closed":           {body(), nil, download(func(b io.ReadCloser) { _ = b.Close() })},
		"stream without an answer": {nil, errRefused, download(nil)},
		"upload": {body(), nil, func(tr *Transport, r *Request) error {
			_, err := tr.Upload(t.Context(), r, http.NoBody, 0)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c *call
			var ctx context.Context
			tr := New(Config{StallTimeout: time.Hour, Client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				c, ctx = callOf(r.Context()), r.Context()
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: test.body}, test.err
			})}})
			err := test.send(tr, consuming("https://api.test"))
			require.ErrorIs(t, err, test.err)
			require.ErrorIs(t, ctx.Err(), context.Canceled)
			assert.False(t, c.watchdog.running)
			assert.Nil(t, c.watchdog.alarm)
		})
	}
}

// After the head of the answer a Read of the request's body starts nothing, and
// stops nothing.
func TestSourceAfterTheHead(t *testing.T) {
	t.Parallel()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.test", zero{})
	require.NoError(t, err)
	w, req := guarding(t, req)
	_, err = req.Body.Read(make([]byte, 1))
	require.NoError(t, err)
	assert.True(t, w.running)
	resp, err := w.arrived(&http.Response{Body: io.NopCloser(zero{})}, nil)
	require.NoError(t, err)
	_, err = req.Body.Read(make([]byte, 1))
	require.NoError(t, err)
	assert.False(t, w.running)
	require.NoError(t, resp.Body.Close())
}

// net/http gets a body anew when it sends a request again by itself.
func TestBodyThatIsGotAnewIsWatched(t *testing.T) {
	t.Parallel()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.test", bytes.NewReader(make([]byte, 1<<20)))
	require.NoError(t, err)
	given := *req
	_, watched := guarding(t, req)
	assert.Equal(t, given.Body, req.Body, "the request that was given is not changed")
	body, err := watched.GetBody()
	require.NoError(t, err)
	assert.IsType(t, (*sentBody)(nil), body)

	req.GetBody = func() (io.ReadCloser, error) { return nil, errBroken }
	_, watched = guarding(t, req)
	_, err = watched.GetBody()
	require.ErrorIs(t, err, errBroken)
}

// The context that a stall has ended is of no use to the next attempt.
func TestAttemptAfterAStallHasAContextOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var contexts []context.Context
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			require.NoError(t, r.Context().Err())
			contexts = append(contexts, r.Context())
			if len(contexts) == 1 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return reply(200, "done"), nil
		})
		tr := New(Config{Client: &http.Client{Transport: rt}, MaxRetries: 1, StallTimeout: stallTimeout})
		answer, err := tr.Do(t.Context(), get("https://api.test"))
		require.NoError(t, err)
		assert.Equal(t, "done", string(answer.Body))
		assert.Len(t, contexts, 2)
	})
}

// An alarm rings for the call that has it, and at the deadline of that call.
func TestAlarmIsUsedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr := inBubble(t, Config{StallTimeout: stallTimeout}, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if r.URL.Path == "/stalls" {
				until(r, time.Hour)
			}
		})
		for range 3 {
			_, err := tr.Do(t.Context(), command("http://api.test"))
			require.NoError(t, err)
			time.Sleep(45 * time.Second)
			start := time.Now()
			_, err = tr.Do(t.Context(), command("http://api.test/stalls"))
			requireStalled(t, err)
			assert.Equal(t, stallTimeout, time.Since(start))
		}
		time.Sleep(2 * stallTimeout) // it rings for nobody
	})
}

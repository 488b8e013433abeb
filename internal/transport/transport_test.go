package transport

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// roundTrip is a server without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	return f(r)
}

func reply(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		StatusCode: status, Header: h, ContentLength: int64(len(body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader(body)),
	}
}

func get(url string) *Request {
	return &Request{Method: http.MethodGet, URL: url, Header: http.Header{}, Idempotent: true}
}

func command(url string) *Request {
	return &Request{Method: http.MethodPost, URL: url, Header: http.Header{}, Body: []byte("a=b")}
}

// pooled is a Transport with a pool that the test closes.
func pooled(t *testing.T, maxRetries int) *Transport {
	tr := New(Config{MaxRetries: maxRetries, StallTimeout: time.Minute})
	t.Cleanup(tr.CloseIdle)
	return tr
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestAnswerIsReturnedWhateverItsStatus(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 202, 204, 304, 400, 401, 403, 404, 409, 418, 422, 500, 501, 599} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Dpt-Cab-Id", "c1")
			w.WriteHeader(status)
			if status != 204 && status != 304 {
				_, _ = io.WriteString(w, "body")
			}
		})
		answer, err := pooled(t, 0).Do(t.Context(), command(s.URL))
		require.NoError(t, err, status)
		assert.Equal(t, status, answer.StatusCode)
		assert.Equal(t, "c1", answer.Header.Get("X-Dpt-Cab-Id"))
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	chunk := bytes.Repeat([]byte("x"), 1<<20)
	tests := map[string]http.HandlerFunc{
		"announced": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(int64(1)<<40))
			_, _ = w.Write(chunk)
		},
		"chunked": func(w http.ResponseWriter, r *http.Request) {
			for range 18 {
				_, _ = w.Write(chunk)
			}
		},
		"gzip bomb": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for range 18 {
				_, _ = z.Write(chunk)
			}
			_ = z.Close()
		},
	}
	for name, handler := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, handler)
			_, err := pooled(t, 0).Do(t.Context(), command(s.URL))
			require.ErrorIs(t, err, ErrTooLarge)
			var e *Error
			require.ErrorAs(t, err, &e)
			assert.True(t, e.Ambiguous, "the command was probably carried out")
		})
	}
}

func TestLargestAnswerThatIsTaken(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("x"), MaxAnswer)
	for _, announced := range []bool{true, false} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if announced {
				w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			}
			_, _ = w.Write(body)
		})
		answer, err := pooled(t, 0).Do(t.Context(), get(s.URL))
		require.NoError(t, err)
		assert.Len(t, answer.Body, MaxAnswer)
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "gzip", r.Header.Get("Accept-Encoding"))
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, `{"status":"ok"}`)
		_ = z.Close()
	})
	answer, err := pooled(t, 0).Do(t.Context(), get(s.URL))
	require.NoError(t, err)
	assert.Equal(t, `{"status":"ok"}`, string(answer.Body))
}

func TestEmptyBody(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(202) })
	answer, err := pooled(t, 0).Do(t.Context(), command(s.URL))
	require.NoError(t, err)
	assert.Empty(t, answer.Body)
}

// raw is a server that writes bytes of its choosing after it has read the head
// of a request and, if told, holds the connection open.
func raw(t *testing.T, text string, hold bool) (url string, requests *atomic.Int32) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	requests = new(atomic.Int32)
	t.Cleanup(func() { close(done); _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
					return
				}
				requests.Add(1)
				_, _ = io.WriteString(conn, text)
				if hold {
					<-done
				}
			}()
		}
	}()
	return "http://" + l.Addr().String(), requests
}

func TestBodyShorterThanAnnounced(t *testing.T) {
	t.Parallel()
	url, _ := raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1,2", false)
	_, err := pooled(t, 0).Do(t.Context(), command(url))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.True(t, e.Ambiguous)
}

func TestReadWhoseBodyBreaksOffIsRepeated(t *testing.T) {
	t.Parallel()
	url, requests := raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1,2", false)
	_, err := pooled(t, 1).Do(t.Context(), get(url))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.EqualValues(t, 2, requests.Load())

	_, err = pooled(t, 1).Do(t.Context(), command(url))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.EqualValues(t, 3, requests.Load(), "a command is not")
}

func TestBodyLongerThanAnnounced(t *testing.T) {
	t.Parallel()
	url, _ := raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrueHTTP/1.1 200 OK\r\n\r\nsmuggled", false)
	answer, err := pooled(t, 0).Do(t.Context(), get(url))
	require.NoError(t, err)
	assert.Equal(t, "true", string(answer.Body))
}

func TestChunkedBodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	url, _ := raw(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntrue\r\n", false)
	_, err := pooled(t, 0).Do(t.Context(), command(url))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// A user's RoundTripper that unpacks bodies may leave the old length in place.
func TestContentLengthOfAnotherRoundTripper(t *testing.T) {
	t.Parallel()
	rt := roundTrip(func(*http.Request) (*http.Response, error) {
		resp := reply(200, `{"status":"ok"}`)
		resp.ContentLength = 3
		return resp, nil
	})
	answer, err := New(Config{Client: &http.Client{Transport: rt}, MaxRetries: 0}).Do(t.Context(), get("https://api.test"))
	require.NoError(t, err)
	assert.Equal(t, `{"status":"ok"}`, string(answer.Body))
}

func TestHeadHasALengthAndNoBody(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "99999999999") })
	r := get(s.URL)
	r.Method = http.MethodHead
	answer, err := pooled(t, 0).Do(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, 200, answer.StatusCode)
	assert.Empty(t, answer.Body)
}

// net/http hands out the bare connection after a 101, and no context ends a
// read from it.
func TestSwitchingProtocolsDoesNotHang(t *testing.T) {
	t.Parallel()
	url, _ := raw(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", true)
	answered := make(chan int, 1)
	go func() {
		answer, err := pooled(t, 0).Do(t.Context(), command(url))
		if err != nil {
			answered <- -1
			return
		}
		answered <- answer.StatusCode
	}()
	select {
	case status := <-answered:
		assert.Equal(t, 101, status)
	case <-time.After(5 * time.Second):
		t.Fatal("the call hangs")
	}
}

func TestErrorsAndLogsLeaveTheURLOut(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dead := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	garbage, _ := raw(t, "garbage\r\n\r\n", false)
	hanging, _ := raw(t, "", true)

	nested := &url.Error{Op: "Get", URL: "https://inner.test/?auth=hunter2", Err: errors.New("inner")}
	tests := map[string]struct {
		client *http.Client
		url    string
	}{
		"refused":  {nil, dead},
		"garbage":  {nil, garbage},
		"timeout":  {&http.Client{Timeout: 20 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}, hanging},
		"no host":  {nil, "http://"},
		"bad URL":  {nil, "http://a b"},
		"bad port": {nil, "http://localhost:xyz"},
		"nested": {&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return nil, nested
		})}, "https://api.test"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			tr := New(Config{Client: test.client, Logger: logger})
			defer tr.CloseIdle()
			_, err := tr.Do(t.Context(), command(test.url+"/x?auth=hunter2"))
			require.Error(t, err)
			for _, text := range []string{err.Error(), fmt.Sprintf("%v %+v %#v", err, err, err), log.String()} {
				assert.NotContains(t, text, "hunter2")
			}
		})
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	rt := roundTrip(func(*http.Request) (*http.Response, error) { return reply(201, "secret"), nil })
	r := command("https://api.test/path?auth=secret")
	r.Header.Set("X-Dpt-Authorization", "secret")
	r.Body = []byte("password=secret")
	r.Operation = "Device.Remove"
	_, err := New(Config{Client: &http.Client{Transport: rt}, Logger: logger}).Do(t.Context(), r)
	require.NoError(t, err)
	assert.Contains(t, log.String(), "operation=Device.Remove method=POST path=/path attempts=1 status=201 bytes=6 took=")
	assert.Equal(t, 1, strings.Count(log.String(), "\n"))
	assert.NotContains(t, log.String(), "secret")
}

func TestContextThatHasEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rt := roundTrip(func(*http.Request) (*http.Response, error) { panic("sent") })
	_, err := New(Config{Client: &http.Client{Transport: rt}, MaxRetries: 3}).Do(ctx, command("https://api.test"))
	require.ErrorIs(t, err, context.Canceled)
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.False(t, e.Ambiguous)
}

// net/http reports the cause of a context instead of its error, and
// signal.NotifyContext sets one.
func TestContextWithACause(t *testing.T) {
	t.Parallel()
	url, _ := raw(t, "", true)
	cause := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	timer := time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
	defer timer.Stop()
	_, err := pooled(t, 3).Do(ctx, command(url))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, cause)
}

func TestUsersClientIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	rt := &idleCounter{roundTrip: func(*http.Request) (*http.Response, error) {
		return nil, errors.New("broken")
	}}
	user := &http.Client{Transport: rt, Timeout: time.Minute}
	tr := New(Config{Client: user, MaxRetries: 1})
	_, err := tr.Do(t.Context(), get("https://api.test"))
	require.ErrorContains(t, err, "broken")
	tr.CloseIdle()
	assert.Nil(t, user.CheckRedirect)
	assert.Same(t, rt, user.Transport)
	assert.Equal(t, time.Minute, user.Timeout)
	assert.Zero(t, rt.closed.Load(), "the idle connections are the user's")
	assert.EqualValues(t, 2, rt.sent.Load())
}

type idleCounter struct {
	roundTrip
	sent, closed atomic.Int32
}

func (c *idleCounter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.sent.Add(1)
	return c.roundTrip.RoundTrip(r)
}

func (c *idleCounter) CloseIdleConnections() { c.closed.Add(1) }

// Not parallel: each httptest.Server that closes closes its idle connections.
func TestDefaultTransportIsNotClosed(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	tr := New(Config{Client: &http.Client{}, MaxRetries: 0})
	_, err := tr.Do(t.Context(), get(s.URL))
	require.NoError(t, err)
	tr.CloseIdle()
	var reused atomic.Bool
	req, err := http.NewRequestWithContext(traceReuse(t.Context(), &reused), http.MethodGet, s.URL, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.True(t, reused.Load())
	http.DefaultClient.CloseIdleConnections()
}

func TestTimeoutOfUsersClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			sent++
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		start := time.Now()
		_, err := New(Config{Client: &http.Client{Transport: rt, Timeout: 3 * time.Second}, MaxRetries: 3}).Do(t.Context(), command("https://api.test"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 3*time.Second, time.Since(start))
		assert.Equal(t, 1, sent)
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.True(t, e.Ambiguous)
	})
}

func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "[]") })
	tr := pooled(t, 0)
	for i := range 3 {
		var reused atomic.Bool
		_, err := tr.Do(traceReuse(t.Context(), &reused), command(s.URL))
		require.NoError(t, err)
		assert.Equal(t, i > 0, reused.Load())
	}
}

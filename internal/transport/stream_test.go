package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/internal/lifecycle"
)

func debugLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestUpload(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		length      int
		size        int64
		expect      string
		contentSize int64
	}{
		{"empty", 0, 0, "", 0},
		{"small", 100, 100, "", 100},
		{"large", 65537, 65537, "100-continue", 65537},
		{"unknown size", 100, -1, "100-continue", -1},
		{"unknown size, empty", 0, -1, "100-continue", -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, test.expect, r.Header.Get("Expect"))
				assert.Equal(t, test.contentSize, r.ContentLength)
				n, err := io.Copy(io.Discard, r.Body)
				assert.NoError(t, err)
				assert.EqualValues(t, test.length, n)
				w.WriteHeader(201)
				_, _ = w.Write(make([]byte, 100<<10))
			})
			var log bytes.Buffer
			tr := New(Config{StallTimeout: time.Minute, Logger: debugLogger(&log)})
			defer tr.CloseIdle()
			r := command(s.URL + "/?auth=A-1")
			r.Operation = "DataToken.Upload"
			answer, err := tr.Upload(t.Context(), r, bytes.NewReader(make([]byte, test.length)), test.size)
			require.NoError(t, err)
			assert.Equal(t, 201, answer.StatusCode)
			assert.Len(t, answer.Body, maxStreamAnswer)
			assert.Equal(t, 1, answer.Attempts)
			assert.Empty(t, r.Header, "the header is the caller's")
			assert.Contains(t, log.String(), "operation=DataToken.Upload method=POST path=/ attempts=1 status=201 bytes=")
			assert.NotContains(t, log.String(), "A-1")
		})
	}
}

// A server that refuses at once and closes must be heard, not the reset.
func TestRefusalOfAnUploadIsReported(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 8\r\nConnection: close\r\n\r\n\"no way\"")
			_ = conn.Close()
		}
	}()
	tr := pooled(t, 0)
	for range 20 {
		answer, err := tr.Upload(t.Context(), command("http://"+l.Addr().String()), io.LimitReader(zero{}, 8<<20), -1)
		require.NoError(t, err)
		assert.Equal(t, 401, answer.StatusCode)
		assert.Equal(t, `"no way"`, string(answer.Body))
	}
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestUploadThatIsAnsweredEarly(t *testing.T) {
	t.Parallel()
	url, _ := raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", true)
	_, err := pooled(t, 0).Upload(t.Context(), command(url), zero{}, -1)
	require.EqualError(t, err, "the server answered before it had all of the data")
	assert.False(t, err.(*Error).Ambiguous)
}

func TestUploadThatBreaks(t *testing.T) {
	t.Parallel()
	all, _ := raw(t, "", false)
	_, err := pooled(t, 3).Upload(t.Context(), command(all), strings.NewReader("data"), 4)
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.True(t, e.Ambiguous, "all of it was sent")
	assert.Equal(t, 1, e.Attempts)

	cause := errors.New("disk")
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	_, err = pooled(t, 3).Upload(t.Context(), command(s.URL), io.MultiReader(strings.NewReader("data"), failing{cause}), -1)
	require.ErrorIs(t, err, cause)
	require.ErrorAs(t, err, &e)
	assert.False(t, e.Ambiguous)

	tr := dialing(t, 3, func(context.Context) (net.Conn, error) { return nil, errRefused })
	_, err = tr.Upload(t.Context(), command("http://api.test"), http.NoBody, 0)
	require.ErrorIs(t, err, errRefused)
	require.ErrorAs(t, err, &e)
	assert.False(t, e.Ambiguous, "not a byte was sent")
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// net/http goes on to read a body after an early answer.
func TestUploadIsReadNoMoreAfterItsEnd(t *testing.T) {
	t.Parallel()
	url, _ := raw(t, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", true)
	var reads atomic.Int64
	answer, err := pooled(t, 0).Upload(t.Context(), command(url), countReads{&reads}, -1)
	require.NoError(t, err)
	assert.Equal(t, 413, answer.StatusCode)
	last := int64(-1)
	assert.Eventually(t, func() bool {
		was := last
		last = reads.Load()
		return was == last
	}, 5*time.Second, 10*time.Millisecond)
}

func TestUploadIsReadNoMoreAfterItsContext(t *testing.T) {
	t.Parallel()
	var reads atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	out := &outgoing{r: countReads{&reads}, size: -1, ctx: ctx}
	_, err := out.Read(make([]byte, 1))
	require.NoError(t, err)
	cancel()
	_, err = out.Read(make([]byte, 1))
	require.ErrorIs(t, err, context.Canceled)
	assert.EqualValues(t, 1, reads.Load())
}

type countReads struct{ n *atomic.Int64 }

func (c countReads) Read(p []byte) (int, error) { c.n.Add(1); return len(p), nil }

func TestDownload(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("x"), 300<<10)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "identity", r.Header.Get("Accept-Encoding"))
		_, _ = w.Write(data)
	})
	var log bytes.Buffer
	tr := New(Config{StallTimeout: time.Minute, Logger: debugLogger(&log)})
	defer tr.CloseIdle()
	r := consuming(s.URL + "/?auth=A-1")
	r.Operation, r.Header = "DataToken.Download", nil
	stream, err := tr.Download(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, 200, stream.StatusCode)
	assert.EqualValues(t, -1, stream.Size)
	assert.Empty(t, log.String(), "it has not ended")
	body, err := io.ReadAll(stream.Body)
	require.NoError(t, err)
	assert.Equal(t, data, body)
	_, err = stream.Body.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
	require.NoError(t, stream.Body.Close())
	assert.Contains(t, log.String(), "operation=DataToken.Download method=GET path=/ attempts=1 status=200 bytes=307200 took=")
	assert.Equal(t, 1, strings.Count(log.String(), "\n"))
}

func TestDownloadThatIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(404)
		_, _ = w.Write(make([]byte, 1<<20))
	})
	stream, err := pooled(t, 3).Download(t.Context(), consuming(s.URL))
	require.NoError(t, err)
	assert.Equal(t, 404, stream.StatusCode)
	assert.EqualValues(t, maxStreamAnswer, stream.Size)
	body, err := io.ReadAll(stream.Body)
	require.NoError(t, err)
	assert.Len(t, body, maxStreamAnswer)

	url, _ := raw(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", true)
	stream, err = pooled(t, 0).Download(t.Context(), consuming(url))
	require.NoError(t, err)
	assert.Equal(t, 101, stream.StatusCode)
	assert.Zero(t, stream.Size)
}

func TestDownloadThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	url, requests := raw(t, "", false)
	for _, idempotent := range []bool{false, true} {
		r := consuming(url)
		r.Idempotent = idempotent
		_, err := pooled(t, 3).Download(t.Context(), r)
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, !idempotent, e.Ambiguous)
	}
	assert.EqualValues(t, 2, requests.Load(), "a stream is sent once")
}

func TestDownloadThatEndsEarly(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"length":  "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1,2",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntrue\r\n",
	} {
		url, _ := raw(t, text, false)
		stream, err := pooled(t, 0).Download(t.Context(), consuming(url))
		require.NoError(t, err)
		body, err := io.ReadAll(stream.Body)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, name)
		assert.Len(t, body, 4)
		_, again := stream.Body.Read(make([]byte, 1))
		assert.Equal(t, err, again)
		require.NoError(t, stream.Body.Close())
	}

	rt := roundTrip(func(*http.Request) (*http.Response, error) {
		resp := reply(200, "1234")
		resp.ContentLength = 5
		return resp, nil
	})
	stream, err := New(Config{Client: &http.Client{Transport: rt}}).Download(t.Context(), consuming("https://api.test"))
	require.NoError(t, err)
	_, err = io.ReadAll(stream.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// endless answers with a body that does not end, and takes one that does not.
func endless(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		_, _ = io.Copy(io.Discard, r.Body)
		return
	}
	flush(w, "x")
	until(r, time.Hour)
}

func TestStreamsEndWithContextAndScope(t *testing.T) {
	t.Parallel()
	cause := errors.New("interrupted")
	for name, test := range map[string]struct {
		scope bool
		want  error
		text  string
	}{
		"context": {false, context.Canceled, "context canceled: interrupted"},
		"scope":   {true, errClosed, "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tr := inBubble(t, Config{StallTimeout: stallTimeout}, endless)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				scope := lifecycle.New(errClosed)
				end := func() { cancel(cause) }
				if test.scope {
					end = scope.End
				}
				r := consuming("http://api.test")
				r.Scope = scope
				stream, err := tr.Download(ctx, r)
				require.NoError(t, err)

				up := command("http://api.test")
				up.Scope = scope
				uploaded := make(chan error)
				go func() {
					pr, pw := io.Pipe()
					bound, stop := scope.Bind(ctx)
					defer stop()
					context.AfterFunc(bound, func() { _ = pw.CloseWithError(context.Cause(bound)) })
					_, err := tr.Upload(ctx, up, pr, -1)
					uploaded <- err
				}()
				time.AfterFunc(time.Second, end)
				_, err = io.ReadAll(stream.Body)
				require.ErrorIs(t, err, test.want)
				require.EqualError(t, err, test.text)
				err = <-uploaded
				require.ErrorIs(t, err, test.want)
				require.EqualError(t, err, test.text)
				assert.False(t, err.(*Error).Ambiguous)
			})
		})
	}
}

// A stream that is not read to its end is logged when it is closed, and may be
// closed during a Read.
func TestDownloadThatIsClosedDuringARead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		tr := inBubble(t, Config{StallTimeout: stallTimeout, Logger: debugLogger(&log)}, endless)
		stream, err := tr.Download(t.Context(), consuming("http://api.test"))
		require.NoError(t, err)
		read := make(chan error)
		go func() { _, err := io.ReadAll(stream.Body); read <- err }()
		synctest.Wait()
		require.NoError(t, stream.Body.Close())
		require.Error(t, <-read)
		assert.Contains(t, log.String(), "status=200 bytes=1 took=")
		assert.Equal(t, 1, strings.Count(log.String(), "\n"))
	})
}

func TestErrorsOfStreamsAreRedacted(t *testing.T) {
	t.Parallel()
	rt := roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost {
			return nil, errors.New("bad T-secret")
		}
		resp := reply(200, "")
		resp.Body = io.NopCloser(failing{errors.New("bad T-secret")})
		return resp, nil
	})
	tr := New(Config{Client: &http.Client{Transport: rt}, StallTimeout: time.Minute})
	r := command("https://api.test/?auth=T-secret")
	r.Redact = hide
	_, err := tr.Upload(t.Context(), r, strings.NewReader("data"), 4)
	require.EqualError(t, err, "bad [redacted]")
	r.Method = http.MethodGet
	stream, err := tr.Download(t.Context(), r)
	require.NoError(t, err)
	_, err = io.ReadAll(stream.Body)
	require.EqualError(t, err, "bad [redacted]")
	for _, text := range chain(err) {
		assert.NotContains(t, text, "secret")
	}
}

// net/http hands out what it has received although the context has ended.
func TestDownloadEndsWithItsContextAtOnce(t *testing.T) {
	t.Parallel()
	rt := roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: io.NopCloser(zero{})}, nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	s, err := New(Config{Client: &http.Client{Transport: rt}}).Download(ctx, consuming("https://api.test"))
	require.NoError(t, err)
	_, err = s.Body.Read(make([]byte, 1))
	require.NoError(t, err)
	cancel()
	for range 2 {
		n, err := s.Body.Read(make([]byte, 1))
		assert.Zero(t, n)
		require.ErrorIs(t, err, context.Canceled)
	}
	require.NoError(t, s.Body.Close())
}

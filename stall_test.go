package privicore_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// pipeURL is the address of a pipeServer. Being loopback, it may be plain http.
const pipeURL = "http://127.0.0.1:8009"

// pipeServer is a server in memory that a test writes byte by byte. It belongs
// in a bubble.
type pipeServer struct {
	conns atomic.Int32 // how many connections came
	mu    sync.Mutex
	ends  []net.Conn
	all   sync.WaitGroup
}

// pipeClient returns a client and its server. serve is called for each
// connection, which stays open when serve returns.
func pipeClient(t *testing.T, serve func(net.Conn), opts ...privicore.Option) (*privicore.Client, *pipeServer) {
	t.Helper()
	s := new(pipeServer)
	pool := &http.Transport{ExpectContinueTimeout: time.Second, DialContext: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		s.conns.Add(1)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ends = append(s.ends, far)
		s.all.Go(func() { serve(far) })
		return near, nil
	}}
	opts = append([]privicore.Option{
		privicore.WithBaseURL(pipeURL), privicore.WithToken(fakeToken), privicore.WithMaxRetries(0),
		privicore.WithHTTPClient(&http.Client{Transport: pool}),
	}, opts...)
	c, err := privicore.NewClient(opts...)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, c.Close())
		pool.CloseIdleConnections()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, end := range s.ends {
			_ = end.Close()
		}
		s.all.Wait()
	})
	return c, s
}

// says returns a server that reads the head of a request and answers with text.
func says(text string) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.WriteString(conn, text)
		}
	}
}

// assertStalled asserts that err is a stall that was noticed after the time.
func assertStalled(t *testing.T, err error, after, limit time.Duration) {
	t.Helper()
	require.Error(t, err)
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	assert.True(t, ok && timeout.Timeout(), "a timeout: %v", err)
	require.ErrorContains(t, err, "no byte for "+limit.String())
	assert.NotErrorIs(t, err, context.Canceled, "it is not the caller who gave up")
	assert.GreaterOrEqual(t, after, limit)
	assert.Less(t, after, limit+limit/10+2*time.Second)
}

// stallingServers stall at every place at which a server can.
var stallingServers = map[string]func(net.Conn){
	"reads nothing":              func(net.Conn) {},
	"says nothing":               says(""),
	"stops in the status line":   says("HTTP/1.1 20"),
	"stops in the header":        says("HTTP/1.1 200 OK\r\nContent-Type: appl"),
	"stops before the body":      says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"),
	"stops in the body":          says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{"),
	"stops between two chunks":   says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[{\r\n"),
	"continues and says no more": says("HTTP/1.1 100 Continue\r\n\r\n"),
}

func TestStalledCall(t *testing.T) {
	t.Parallel()
	for name, serve := range stallingServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, limit := range []time.Duration{0, 5 * time.Second} { // 0 is the default
				synctest.Test(t, func(t *testing.T) {
					var opts []privicore.Option
					want := time.Minute
					if limit > 0 {
						opts, want = append(opts, privicore.WithStallTimeout(limit)), limit
					}
					c, s := pipeClient(t, serve, opts...)
					start := time.Now()
					_, err := c.Device.List(context.Background())
					assertStalled(t, err, time.Since(start), want)
					assert.NotErrorIs(t, err, privicore.ErrAmbiguous, "a read does no harm")
					assert.Equal(t, int32(1), s.conns.Load())
				})
			}
		})
	}
}

// A refusal is one, whatever becomes of its body.
func TestRefusalThatStalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := pipeClient(t, says("HTTP/1.1 422 Unprocessable Content\r\nContent-Length: 100\r\n\r\n{"))
		start := time.Now()
		_, err := c.Device.List(context.Background())
		require.ErrorIs(t, err, privicore.ErrValidation)
		assert.LessOrEqual(t, time.Since(start), time.Minute)
	})
}

// A read is sent again after a stall, and still ends.
func TestStalledCallWithRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := pipeClient(t, says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{"), privicore.WithMaxRetries(3))
		start := time.Now()
		_, err := c.Device.List(context.Background())
		require.ErrorContains(t, err, "no byte for 1m0s")
		assert.Less(t, time.Since(start), 4*time.Minute+10*time.Second)
		assert.Equal(t, int32(4), s.conns.Load())
	})
}

// A command that stalls may have been carried out, so it is sent once.
func TestStalledCommand(t *testing.T) {
	t.Parallel()
	for name, serve := range stallingServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, s := pipeClient(t, serve, privicore.WithMaxRetries(3), privicore.WithStallTimeout(5*time.Second))
				start := time.Now()
				_, err := c.Device.Remove(context.Background(), device1)
				assertStalled(t, err, time.Since(start), 5*time.Second)
				require.ErrorIs(t, err, privicore.ErrAmbiguous)
				assert.Equal(t, int32(1), s.conns.Load())
			})
		})
	}
}

// An answer that comes slowly is not ended, however long it takes.
func TestSlowAnswerIsNotAStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := pipeClient(t, func(conn net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
				return
			}
			body := `[{"deviceIdentifier":"` + device1 + `"}]`
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
			for i := range len(body) {
				time.Sleep(50 * time.Second)
				_, _ = io.WriteString(conn, body[i:i+1])
			}
			_ = conn.Close()
		})
		start := time.Now()
		devices, err := c.Device.List(context.Background())
		require.NoError(t, err)
		require.Len(t, devices, 1)
		assert.Equal(t, device1, devices[0].Identifier)
		assert.Greater(t, time.Since(start), 30*time.Minute)
	})
}

// takes returns a server that takes n bytes of an upload, and no more. A negative
// n is all of it.
func takes(n int64) func(net.Conn) {
	return func(conn net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		if n < 0 {
			_, _ = io.Copy(io.Discard, r.Body)
			return
		}
		_, _ = io.CopyN(io.Discard, r.Body, n)
	}
}

func TestStalledUpload(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	for name, tc := range map[string]struct {
		serve     func(net.Conn)
		ambiguous bool
	}{
		"reads nothing":          {serve: func(net.Conn) {}},
		"stops before the body":  {serve: takes(0)},
		"stops in the body":      {serve: takes(size / 2)},
		"does not answer at all": {serve: takes(-1), ambiguous: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for kind, body := range map[string]func() io.Reader{
				"of known length":   func() io.Reader { return bytes.NewReader(make([]byte, size)) },
				"of unknown length": func() io.Reader { return noise(size) },
			} {
				synctest.Test(t, func(t *testing.T) {
					c, s := pipeClient(t, tc.serve, privicore.WithMaxRetries(3))
					start := time.Now()
					err := c.DataToken.Upload(context.Background(), privicore.NewSecret(pipeURL+"/?auth=stream-token"), body())
					assertStalled(t, err, time.Since(start), time.Minute)
					assert.Equal(t, tc.ambiguous, errors.Is(err, privicore.ErrAmbiguous), "%s: %v", kind, err)
					assert.Equal(t, int32(1), s.conns.Load(), "an upload is not repeated")
				})
			}
		})
	}
}

// A source that is slow to yield is not the fault of the server.
func TestSlowUploadIsNotAStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got atomic.Int64
		c, _ := pipeClient(t, func(conn net.Conn) {
			r, err := http.ReadRequest(bufio.NewReader(conn))
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
			n, _ := io.Copy(io.Discard, r.Body)
			got.Store(n)
			_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		})
		left := 5
		slow := readerFunc(func(p []byte) (int, error) {
			if left == 0 {
				return 0, io.EOF
			}
			left--
			time.Sleep(10 * time.Minute)
			return copy(p, "a part"), nil
		})
		require.NoError(t, c.DataToken.Upload(context.Background(), privicore.NewSecret(pipeURL+"/?auth=stream-token"), slow))
		assert.Equal(t, int64(5*len("a part")), got.Load())
	})
}

func TestStalledDownload(t *testing.T) {
	t.Parallel()
	for name, serve := range stallingServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, s := pipeClient(t, serve, privicore.WithMaxRetries(3))
				start := time.Now()
				data, err := c.DataToken.Download(context.Background(), privicore.NewSecret(pipeURL+"/?auth=download-token"))
				if err == nil {
					_, err = io.Copy(io.Discard, data)
					_, again := data.Read(make([]byte, 1))
					assert.Equal(t, err, again, "the error stays")
					assert.NoError(t, data.Close())
				}
				assertStalled(t, err, time.Since(start), time.Minute)
				assert.NotErrorIs(t, err, io.EOF)
				assert.Equal(t, int32(1), s.conns.Load(), "the address works once")
			})
		})
	}
}

// The time for which the program does not read does not count.
func TestSlowlyReadDownloadIsNotAStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const size = 256 << 10
		c, _ := pipeClient(t, func(conn net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 262144\r\n\r\n")
			_, _ = io.Copy(conn, noise(size))
		})
		data, err := c.DataToken.Download(context.Background(), privicore.NewSecret(pipeURL+"/?auth=download-token"))
		require.NoError(t, err)
		start, got := time.Now(), new(bytes.Buffer)
		for got.Len() < size {
			time.Sleep(10 * time.Minute)
			_, err := io.CopyN(got, data, size/8)
			require.NoError(t, err)
		}
		_, err = data.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.NoError(t, data.Close())
		want, err := io.ReadAll(noise(size))
		require.NoError(t, err)
		assert.Equal(t, want, got.Bytes())
		assert.GreaterOrEqual(t, time.Since(start), 80*time.Minute)
	})
}

// Fetching a token is bounded by the stall timeout, and over all attempts by
// half a minute.
func TestStalledTokenCall(t *testing.T) {
	t.Parallel()
	for name, serve := range stallingServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for _, tc := range []struct {
					stall, atLeast, atMost time.Duration
					conns                  int32
				}{
					{0, 30 * time.Second, 31 * time.Second, 1},
					{2 * time.Second, 8 * time.Second, 10 * time.Second, 4},
				} {
					opts := []privicore.Option{privicore.WithCredentials("alice", "correct horse"), privicore.WithMaxRetries(3)}
					if tc.stall > 0 {
						opts = append(opts, privicore.WithStallTimeout(tc.stall))
					}
					c, s := credentialsOnly(t, serve, opts...)
					start := time.Now()
					_, err := c.Device.Remove(context.Background(), device1)
					took := time.Since(start)
					tokenErr, ok := errors.AsType[*privicore.TokenError](err)
					require.True(t, ok, "%v", err)
					assert.ErrorContains(t, tokenErr, "authenticate")
					assert.NotErrorIs(t, err, privicore.ErrAmbiguous, "the command was not sent")
					assert.GreaterOrEqual(t, took, tc.atLeast)
					assert.LessOrEqual(t, took, tc.atMost)
					assert.Equal(t, tc.conns, s.conns.Load())
				}
			})
		})
	}
}

// credentialsOnly is pipeClient for a client that begins without a token.
func credentialsOnly(t *testing.T, serve func(net.Conn), opts ...privicore.Option) (*privicore.Client, *pipeServer) {
	t.Helper()
	first, s := pipeClient(t, serve)
	c, err := first.Clone(append([]privicore.Option{privicore.WithBaseURL(pipeURL)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c, s
}

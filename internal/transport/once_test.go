package transport

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func h2Config() *tls.Config { return &tls.Config{NextProtos: []string{"h2"}} }

func h2Handler(serve func(net.Conn)) map[string]func(*http.Server, *tls.Conn, http.Handler) {
	return map[string]func(*http.Server, *tls.Conn, http.Handler){
		"h2": func(_ *http.Server, c *tls.Conn, _ http.Handler) { serve(c) },
	}
}

// consuming is a GET that must not be sent twice.
func consuming(url string) *Request {
	return &Request{Method: http.MethodGet, URL: url, Header: http.Header{}}
}

func TestSingleUseGetThatTheServerDidNotProcess(t *testing.T) {
	t.Parallel()
	refusals := map[string]func(net.Conn, uint32){
		"REFUSED_STREAM": func(c net.Conn, stream uint32) {
			writeFrame(c, frameReset, 0, stream, []byte{0, 0, 0, 7})
		},
		"GOAWAY that leaves it out": func(c net.Conn, _ uint32) {
			writeFrame(c, frameGoAway, 0, 0, make([]byte, 8))
		},
	}
	for name, refuse := range refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, download := range []bool{false, true} {
				var requests atomic.Int32
				client, url := serveFrames(t, func(c net.Conn, n int, stream uint32) bool {
					requests.Add(1)
					if n == 1 {
						refuse(c, stream)
					}
					return n == 1
				})
				tr := New(Config{Client: client, StallTimeout: 30 * time.Second})
				if download {
					s, err := tr.Download(t.Context(), consuming(url))
					require.NoError(t, err)
					require.NoError(t, s.Body.Close())
				} else {
					answer, err := tr.Do(t.Context(), consuming(url))
					require.NoError(t, err)
					assert.Equal(t, 200, answer.StatusCode)
				}
				assert.EqualValues(t, 2, requests.Load())
			}
		})
	}
}

// A stream that is reset for another reason may have been processed.
func TestSingleUseGetOverHTTP2ThatBreaks(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	client, url := serveFrames(t, func(c net.Conn, n int, stream uint32) bool {
		requests.Add(1)
		writeFrame(c, frameReset, 0, stream, []byte{0, 0, 0, 2}) // INTERNAL_ERROR
		return true
	})
	_, err := New(Config{Client: client, MaxRetries: 3}).Do(t.Context(), consuming(url))
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.True(t, e.Ambiguous)
	assert.EqualValues(t, 1, requests.Load())
}

func TestSingleUseGetFollowsRedirectsWithinTheOrigin(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			assert.Empty(t, body)
			if r.URL.Path == "/from" {
				w.Header().Set("Location", "/to?auth=A-1")
				w.WriteHeader(status)
				return
			}
			_, _ = io.WriteString(w, "there")
		})
		answer, err := pooled(t, 3).Do(t.Context(), consuming(s.URL+"/from"))
		require.NoError(t, err, status)
		assert.Equal(t, "there", string(answer.Body))

		stream, err := pooled(t, 3).Download(t.Context(), consuming(s.URL+"/from"))
		require.NoError(t, err, status)
		body, err := io.ReadAll(stream.Body)
		require.NoError(t, err)
		require.NoError(t, stream.Body.Close())
		assert.Equal(t, "there", string(body))
	}
}

// After the redirect the connection is a used one, on which net/http would send
// the GET again.
func TestSingleUseGetThatBreaksAfterARedirect(t *testing.T) {
	t.Parallel()
	var arrived atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/from" {
			w.Header().Set("Location", "/to")
			w.WriteHeader(307)
			return
		}
		arrived.Add(1)
		panic(http.ErrAbortHandler)
	})
	_, err := pooled(t, 3).Do(t.Context(), consuming(s.URL+"/from"))
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.True(t, e.Ambiguous)
	require.ErrorIs(t, err, errBroken)
	assert.EqualValues(t, 1, arrived.Load())
}

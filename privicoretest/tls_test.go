package privicoretest_test

import (
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/privicoretest"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	s := serve(t, withStorage(), privicoretest.WithTLS())
	for _, url := range []string{s.URL, s.UploadURL, s.DownloadURL} {
		assert.True(t, strings.HasPrefix(url, "https://"), url)
		response, err := s.Client().Get(url)
		require.NoError(t, err)
		assert.NoError(t, response.Body.Close())
		assert.Equal(t, "HTTP/2.0", response.Proto)
	}
	assert.True(t, strings.HasPrefix(s.WebSocketURL, "wss://"))
	c := client{t: t, via: s.Client().Transport, base: s.URL}
	c.token = c.post("/profile/authenticate", "username", "alice", "password", password).field(t, "authorizationToken")
	ws := joined(t, s, c)
	requested := command(c)
	assert.Equal(t, requested.id(t), ws.ack().ID)
	s.DropConnections()
	require.Error(t, ws.ended())

	_, err := http.Get(s.URL + "/health")
	var unknown x509.UnknownAuthorityError
	require.ErrorAs(t, err, &unknown)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	_, err = s.Certificate().Verify(x509.VerifyOptions{Roots: pool, DNSName: "localhost"})
	require.NoError(t, err)
	assert.Nil(t, serve(t).Certificate())
}

// A fault of one HTTP/2 stream leaves the other streams alone.
func TestFaultsOverHTTP2(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithTLS())
	get := func() (*http.Response, error) { return s.Client().Get(s.URL + "/health") }
	other := make(chan int, 1)
	s.Next("PublicKey.Generate", privicoretest.Fault{Delay: 300 * time.Millisecond})
	go func() {
		response, err := s.Client().Get(s.URL + "/generate-keys")
		if err != nil {
			other <- 0
			return
		}
		response.Body.Close()
		other <- response.StatusCode
	}()
	for _, after := range []bool{false, true} {
		s.Next("Utility.Health", privicoretest.Fault{Drop: true, AfterEffect: after})
		_, err := get()
		require.ErrorContains(t, err, "stream error")
	}
	s.SetFaultRates(privicoretest.FaultRates{Truncated: 1})
	response, err := get()
	require.NoError(t, err)
	_, err = io.ReadAll(response.Body)
	require.Error(t, err)
	assert.NotErrorIs(t, err, io.EOF)
	s.SetFaultRates(privicoretest.FaultRates{Frozen: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/health", http.NoBody)
	require.NoError(t, err)
	response, err = s.Client().Do(request)
	require.NoError(t, err)
	_, err = io.ReadAll(response.Body)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, 200, <-other)
}

func TestTLSInMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, privicoretest.WithTLS())
		response, err := s.Client().Get(s.URL + "/health")
		require.NoError(t, err)
		assert.NoError(t, response.Body.Close())
		assert.Equal(t, "HTTP/2.0", response.Proto)
	})
}

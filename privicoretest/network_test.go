package privicoretest_test

import (
	"context"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/privicoretest"
)

func TestMemoryNetwork(t *testing.T) {
	t.Parallel()
	s := serveInMemory(t, withStorage(), privicoretest.WithAddr("nowhere"))
	c := login(t, s, "alice")
	_, stream := c.reserved()
	assert.Equal(t, 200, c.upload(stream, "abc").status)
	ws := joined(t, s, c)
	s.Push("alice", 1)
	assert.Equal(t, "1", ws.read())

	addresses := map[string]bool{}
	for _, url := range []string{s.URL, s.WebSocketURL, s.UploadURL, s.DownloadURL} {
		_, address, _ := strings.Cut(url, "://")
		addresses[address] = true
	}
	assert.Len(t, addresses, 4)
	_, err := http.Get(s.URL + "/health")
	assert.Error(t, err, "not on the network of the host")
}

func TestMemoryNetworkRefuses(t *testing.T) {
	t.Parallel()
	s := serveInMemory(t)
	_, err := s.Client().Get("http://127.0.0.1:99/health")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	request, err := http.NewRequestWithContext(gone, "GET", s.URL+"/health", nil)
	require.NoError(t, err)
	_, err = s.Client().Do(request)
	require.ErrorIs(t, err, context.Canceled)

	s.Close()
	_, err = s.Client().Get(s.URL + "/health")
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestClient(t *testing.T) {
	t.Parallel()
	s := serve(t)
	first, second := s.Client(), s.Client()
	assert.Same(t, first, second)
	response, err := s.Client().Get(s.URL + "/health")
	require.NoError(t, err)
	assert.Equal(t, 200, response.StatusCode)
	require.NoError(t, response.Body.Close())
}

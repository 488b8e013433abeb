package privicore_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// A program that changes a part of the client's transport keeps the rest.
func TestNewTransport(t *testing.T) {
	t.Parallel()
	var protocol atomic.Value
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol.Store(r.Proto)
		_, _ = io.WriteString(w, `[]`)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	client := func(transport *http.Transport) *privicore.Client {
		c, err := privicore.NewClient(privicore.WithBaseURL(server.URL), privicore.WithToken(fakeToken),
			privicore.WithHTTPClient(&http.Client{Transport: transport}))
		require.NoError(t, err)
		t.Cleanup(func() {
			assert.NoError(t, c.Close())
			transport.CloseIdleConnections()
		})
		return c
	}
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	trusting := privicore.NewTransport()
	trusting.TLSClientConfig = &tls.Config{RootCAs: pool}
	_, err := client(trusting).Device.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "HTTP/2.0", protocol.Load(), "a configuration of one's own does not turn it off")

	// The transports are independent of each other and of net/http's own.
	other := privicore.NewTransport()
	assert.NotSame(t, trusting, other)
	assert.NotSame(t, http.DefaultTransport, other)
	_, err = client(other).Device.List(t.Context())
	require.ErrorAs(t, err, new(*tls.CertificateVerificationError))

	defaults, ok := http.DefaultTransport.(*http.Transport)
	require.True(t, ok)
	assert.Greater(t, other.MaxIdleConnsPerHost, defaults.MaxIdleConnsPerHost)
	assert.Greater(t, other.WriteBufferSize, defaults.WriteBufferSize)
	assert.NotNil(t, other.Proxy, "the environment's proxy is used")
	assert.NotNil(t, other.HTTP2)
}

// onTheWay is a RoundTripper that a program puts in front of net/http's.
type onTheWay struct {
	base http.RoundTripper
	seen atomic.Int32
}

func (r *onTheWay) RoundTrip(req *http.Request) (*http.Response, error) {
	r.seen.Add(1)
	return r.base.RoundTrip(req)
}

// Tracing is often put into http.DefaultTransport, and a client without an
// http.Client of its own goes through it. The test changes what others use, so
// it does not run beside them.
func TestReplacedDefaultTransport(t *testing.T) {
	before := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = before })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `[]`) }))
	t.Cleanup(server.Close)
	tracing := &onTheWay{base: before}
	http.DefaultTransport = tracing
	c, err := privicore.NewClient(privicore.WithBaseURL(server.URL), privicore.WithToken(fakeToken))
	require.NoError(t, err)
	_, err = c.Device.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, int32(1), tracing.seen.Load())

	clone, err := c.Clone(privicore.WithMaxRetries(0))
	require.NoError(t, err)
	_, err = clone.Device.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, int32(2), tracing.seen.Load())
	require.NoError(t, clone.Close())
	require.NoError(t, c.Close())

	assert.NotNil(t, privicore.NewTransport().Proxy, "it cannot be copied, so the defaults are made anew")
	if pool, ok := before.(*http.Transport); assert.True(t, ok) {
		pool.CloseIdleConnections()
	}
}

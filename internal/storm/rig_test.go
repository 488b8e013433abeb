package storm

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// path is the way between the clients and the server.
type path struct {
	name      string
	tls       bool // with HTTP/2
	proxied   bool // through a proxy: by CONNECT with TLS, by forwarding without
	redirects bool // every REST call is redirected once, within the origin
	dialect   privicoretest.Dialect
}

// rig is a server and what it takes to reach it.
type rig struct {
	path    path
	addr    addresses
	base    string         // URL of REST
	trust   *x509.CertPool // nil without TLS
	proxy   *url.URL       // nil if there is none
	ledger  *ledger
	secrets *secrets

	mu         sync.Mutex
	transports []*http.Transport // that the test has made, not the clients
}

// addresses are those of a server.
type addresses struct{ URL, WebSocketURL string }

// profiles is how many profiles there are. A frozen connection concerns all
// clients of its profile.
const profiles = 3

func username(i int) string { return "alice " + strconv.Itoa(i) }

// stall is the stall timeout of the clients.
const stall = 2 * time.Second

// serverOptions are the options of a server for a storm.
func serverOptions(p path) []privicoretest.Option {
	opts := []privicoretest.Option{
		privicoretest.WithLatency(20 * time.Millisecond),
		privicoretest.WithStatusLimit(0, 0),
		privicoretest.WithDialect(p.dialect),
		privicoretest.WithTokenLifetime(10 * time.Minute),
		privicoretest.WithPolicyLag(20 * time.Millisecond),
	}
	for i := range profiles {
		opts = append(opts, privicoretest.WithProfile(username(i), password))
	}
	if p.tls {
		opts = append(opts, privicoretest.WithTLS())
	}
	return opts
}

func newRig(t *testing.T, p path, s addresses, trust *x509.CertPool, l *ledger) *rig {
	r := &rig{path: p, addr: s, base: s.URL, trust: trust, ledger: l, secrets: newSecrets(l)}
	t.Cleanup(r.closeIdle)
	if p.redirects {
		front := httptest.NewServer(redirecting(t, s.URL))
		t.Cleanup(front.Close)
		r.base = front.URL
	}
	if p.proxied {
		proxy := httptest.NewServer(http.HandlerFunc(forward))
		t.Cleanup(proxy.Close)
		var err error
		r.proxy, err = url.Parse(proxy.URL)
		require.NoError(t, err)
	}
	return r
}

// transport returns a transport that reaches the server. It notices a token that
// is sent to another origin.
func (r *rig) transport() *http.Transport {
	t := privicore.NewTransport()
	if r.trust != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: r.trust, MinVersion: tls.VersionTLS12}
	}
	// net/http asks for the proxy of every request, and nothing else sees each of
	// them without being in their way.
	t.Proxy = func(req *http.Request) (*url.URL, error) {
		if req.Header.Get("X-DPT-AUTHORIZATION") != "" && !strings.HasSuffix(r.base, "://"+req.URL.Host) {
			r.ledger.violated("the token stays at its origin", "%s %s", req.Method, req.URL.Redacted())
		}
		return r.proxy, nil
	}
	return t
}

// client returns a client of a profile that is closed by the end of the test.
func (r *rig) client(t *testing.T, profile string, ownPool bool, opts ...privicore.Option) *privicore.Client {
	c, err := r.newClient(profile, ownPool, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

// newClient returns a client of a profile. Its connections are in a pool of its
// own or of the test.
func (r *rig) newClient(profile string, ownPool bool, opts ...privicore.Option) (*privicore.Client, error) {
	base := []privicore.Option{
		privicore.WithBaseURL(r.base),
		privicore.WithCredentials(profile, password),
		privicore.WithLogger(r.secrets.logger()),
		privicore.WithStallTimeout(stall),
		privicore.WithPollRate(200),
		// Each client buffers the outcomes that others of its profile wait for.
		privicore.WithOutcomeBuffer(2000, 20*time.Second),
	}
	if !ownPool || r.path.tls || r.path.proxied {
		transport := r.transport()
		r.mu.Lock()
		r.transports = append(r.transports, transport)
		r.mu.Unlock()
		base = append(base, privicore.WithHTTPClient(&http.Client{Transport: transport}))
	}
	return privicore.NewClient(append(base, opts...)...)
}

// closeIdle closes the connections that the transports keep.
func (r *rig) closeIdle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.transports {
		t.CloseIdleConnections()
	}
}

// via returns a handler that sends requests on. A connection that breaks behind it
// breaks in front of it too.
func via() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		// Without keep-alive the proxy itself never sends a request twice.
		Transport:     &http.Transport{DisableKeepAlives: true},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = conn.Close()
			}
		},
	}
}

// redirecting returns a handler that redirects each request once, to a path of
// the same origin where it is sent on to the server.
func redirecting(t *testing.T, target string) http.Handler {
	const moved = "/moved"
	to, err := url.Parse(target)
	require.NoError(t, err)
	proxy := via()
	proxy.Rewrite = func(r *httputil.ProxyRequest) { r.SetURL(to) }
	mux := http.NewServeMux()
	mux.Handle(moved+"/", http.StripPrefix(moved, proxy))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", moved+r.URL.RequestURI())
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	return mux
}

// forward is a proxy for http and, by CONNECT, for anything else.
func forward(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		tunnel(w, r)
		return
	}
	proxy := via()
	proxy.Rewrite = func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host }
	proxy.ServeHTTP(w, r)
}

func tunnel(w http.ResponseWriter, r *http.Request) {
	far, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	_, _ = io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(far, buffered)
		_ = far.Close()
		_ = near.Close()
	}()
	_, _ = io.Copy(near, far)
	_ = near.Close()
	_ = far.Close()
	<-done
}

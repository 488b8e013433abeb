package privicore_test

import (
	"context"
	"crypto/sha256"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/agecipher"
	"github.com/privicore/privicore-go/privicoretest"
)

// rig is a sandbox and a client of its profile alice. When the test ends, the
// client must have left nothing behind: no connection to a server that is still
// there, no goroutine, no file. TestMain looks for the last two.
type rig struct {
	*privicoretest.Server
	client  *privicore.Client
	options []privicore.Option // of the client, for others like it
	others  sync.Map           // servers beside the sandbox, by host and port
}

// inBubble runs a test in a bubble, with a rig whose network is in memory.
func inBubble(t *testing.T, test func(*testing.T, *rig), opts ...privicoretest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, newRig(t, append(opts, privicoretest.WithMemoryNetwork())...))
	})
}

func newRig(t *testing.T, opts ...privicoretest.Option) *rig {
	t.Helper()
	opts = append([]privicoretest.Option{
		privicoretest.WithProfile("alice", "correct horse"),
		privicoretest.WithLatency(time.Millisecond),
		privicoretest.WithStatusLimit(0, 0),
	}, opts...)
	r := &rig{Server: privicoretest.NewServer(t, opts...)}

	var open atomic.Int64
	dial := r.Client().Transport.(*http.Transport).DialContext
	pool := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dial := dial
		if other, ok := r.others.Load(addr); ok {
			dial = other.(*pipeListener).dial
		}
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		open.Add(1)
		return &countedConn{Conn: conn, open: &open}, nil
	}}
	r.options = []privicore.Option{
		privicore.WithBaseURL(r.URL),
		privicore.WithWebSocketURL(r.WebSocketURL),
		privicore.WithCredentials("alice", "correct horse"),
		privicore.WithHTTPClient(&http.Client{Transport: pool}),
		privicore.WithMaxRetries(0),
	}
	r.client = r.newClient(t)
	t.Cleanup(func() {
		assert.NoError(t, r.client.Close())
		pool.CloseIdleConnections()
		assert.Eventually(t, func() bool { return open.Load() == 0 }, 30*time.Second, time.Millisecond, "connections are left open")
	})
	return r
}

func (r *rig) newClient(t *testing.T, opts ...privicore.Option) *privicore.Client {
	t.Helper()
	c, err := privicore.NewClient(append(r.options, opts...)...)
	require.NoError(t, err)
	return c
}

// serve starts a server that the clients of the rig reach at addr, which is a
// loopback address. It listens in memory.
func (r *rig) serve(t *testing.T, addr string, handler http.HandlerFunc) {
	t.Helper()
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	r.others.Store(addr, l)
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		assert.NoError(t, server.Close())
		running.Wait()
	})
}

// pipeListener is a listener whose connections are pipes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// store stores data that must arrive.
func (r *rig) store(t *testing.T, c privicore.Cipher, data io.Reader) string {
	t.Helper()
	token, err := r.client.DataToken.Store(t.Context(), privicore.Payload{Data: data, Cipher: c, Context: "tests"})
	require.NoError(t, err)
	return token
}

// tokens are how many the server has.
func (r *rig) tokens(t *testing.T) int {
	t.Helper()
	n := 0
	for _, err := range r.client.DataToken.All(t.Context(), privicore.DataTokenFilter{}) {
		require.NoError(t, err)
		n++
	}
	return n
}

// requireNothingArrived asserts that the server did not take a part for a whole.
func (r *rig) requireNothingArrived(t *testing.T, failed *privicore.StepError) {
	t.Helper()
	assert.Zero(t, failed.Meta)
	assert.Zero(t, r.Calls("DataToken.Exchange"))
	assert.Zero(t, r.Calls("DataToken.ConfigureFileMeta"))
	meta := privicore.FileMeta{FileName: "n", Extension: "e", Context: "c", Path: "/"}
	_, err := r.client.DataToken.ConfigureFileMeta(t.Context(), failed.Temporary.Token, meta)
	require.ErrorIs(t, err, privicore.ErrValidation)
	require.ErrorContains(t, err, "No data has arrived")
}

type countedConn struct {
	net.Conn
	open   *atomic.Int64
	closed atomic.Bool
}

func (c *countedConn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}

// noise is n bytes that are the same every time.
func noise(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1, 2, 3}), n)
}

func sumOf(t *testing.T, r io.Reader) (sum [32]byte, n int64) {
	t.Helper()
	h := sha256.New()
	n, err := io.Copy(h, r)
	require.NoError(t, err)
	return [32]byte(h.Sum(nil)), n
}

func newAge(t *testing.T) privicore.Cipher {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return agecipher.New(id)
}

// requireStep asserts at which step something failed.
func requireStep(t *testing.T, step privicore.Step, err error) *privicore.StepError {
	t.Helper()
	var failed *privicore.StepError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, step, failed.Step, "%v", err)
	require.ErrorContains(t, err, "privicore: "+string(step)+": ")
	return failed
}

// readers for Data.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// breaking is n bytes and then something else.
func breaking(n int64, then func() error) io.Reader {
	return io.MultiReader(noise(n), readerFunc(func([]byte) (int, error) { return 0, then() }))
}

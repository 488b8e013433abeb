package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dialing is a Transport whose pool dials with dial.
func dialing(t *testing.T, maxRetries int, dial func(context.Context) (net.Conn, error)) *Transport {
	pool := &http.Transport{
		DialContext:    func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}
	t.Cleanup(pool.CloseIdleConnections)
	return New(Config{Client: &http.Client{Transport: pool}, MaxRetries: maxRetries})
}

// The error of a failed handshake says nothing about the request: net/http
// hands it out as the dialer made it.
func TestHandshakeThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		tr := dialing(t, 3, func(context.Context) (net.Conn, error) { dials.Add(1); return nil, io.EOF })
		_, err := tr.Do(t.Context(), command("https://api.test"))
		var e *Error
		require.ErrorAs(t, err, &e)
		require.ErrorIs(t, err, io.EOF)
		assert.False(t, e.Ambiguous)
		assert.EqualValues(t, 4, dials.Load())
		assert.Equal(t, 4, e.Attempts)
	})
}

func TestContextThatEndsBeforeThereIsAConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		tr := dialing(t, 3, func(ctx context.Context) (net.Conn, error) { dials.Add(1); <-ctx.Done(); return nil, ctx.Err() })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := tr.Do(ctx, command("https://api.test"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.False(t, e.Ambiguous)
		assert.EqualValues(t, 1, dials.Load())
	})
}

func TestConnectionThatBreaksAtOnceIsAmbiguous(t *testing.T) {
	t.Parallel()
	tr := dialing(t, 3, func(context.Context) (net.Conn, error) {
		client, server := net.Pipe()
		_ = server.Close()
		return client, nil
	})
	_, err := tr.Do(t.Context(), command("http://api.test"))
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.True(t, e.Ambiguous)
	assert.Equal(t, 1, e.Attempts)
}

// The first hop was answered, so what counts is that the second was not sent.
func TestSecondHopThatIsNotSent(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.Header().Set("Location", "/to")
		w.WriteHeader(307)
	})}
	go func() { _ = s.Serve(n) }()
	defer s.Close()
	var dials atomic.Int32
	tr := dialing(t, 0, func(ctx context.Context) (net.Conn, error) {
		if dials.Add(1) > 1 {
			return nil, io.EOF
		}
		return n.DialContext(ctx, "", "")
	})
	_, err := tr.Do(t.Context(), command("http://api.test/from"))
	require.ErrorIs(t, err, io.EOF)
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.False(t, e.Ambiguous)
	assert.EqualValues(t, 2, dials.Load())
}

// A RoundTripper of the user that sends again by itself may have got through
// the first time.
func TestRoundTripperThatSendsAgain(t *testing.T) {
	t.Parallel()
	rt := roundTrip(func(r *http.Request) (*http.Response, error) {
		trace := httptrace.ContextClientTrace(r.Context())
		trace.GetConn("api.test:443")
		trace.GotConn(httptrace.GotConnInfo{})
		trace.GetConn("api.test:443")
		return nil, errRefused
	})
	_, err := New(Config{Client: &http.Client{Transport: rt}}).Do(t.Context(), command("https://api.test"))
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.True(t, e.Ambiguous)

	rt = func(r *http.Request) (*http.Response, error) {
		httptrace.ContextClientTrace(r.Context()).GetConn("api.test:443")
		return nil, errors.New("no connection")
	}
	_, err = New(Config{Client: &http.Client{Transport: rt}}).Do(t.Context(), command("https://api.test"))
	require.ErrorAs(t, err, &e)
	assert.False(t, e.Ambiguous)
}

func TestTraceOfTheCallerGoesOnToWork(t *testing.T) {
	t.Parallel()
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	var seen []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GetConn:              func(string) { seen = append(seen, "get") },
		GotConn:              func(httptrace.GotConnInfo) { seen = append(seen, "got") },
		GotFirstResponseByte: func() { seen = append(seen, "byte") },
	})
	_, err := pooled(t, 0).Do(ctx, command(s.URL))
	require.NoError(t, err)
	assert.Equal(t, []string{"get", "got", "byte"}, seen)
}

package privicore_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// pendingServer is a server that finishes each command after a second. fetch
// answers the calls that fetch what the command made; they count from 1.
type pendingServer struct {
	fetch func(n int) (*http.Response, error)

	mu      sync.Mutex
	started time.Time
	fetched []time.Duration // after the command was accepted
}

func (s *pendingServer) serve(r *http.Request, _ url.Values) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case strings.HasPrefix(r.URL.Path, "/request-status/"):
		if time.Since(s.started) < time.Second {
			return reply(202, "")
		}
		return reply(200, `["done"]`)
	case strings.Contains(r.URL.Path, "/retrieve-"):
		s.fetched = append(s.fetched, time.Since(s.started))
		return s.fetch(len(s.fetched))
	}
	s.started = time.Now()
	return reply(202, `"c1"`)
}

// times returns when the value was fetched.
func (s *pendingServer) times() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Duration(nil), s.fetched...)
}

const deviceAnswer = `{"deviceIdentifier":"` + device1 + `","profileId":"p","approved":false}`

// pendingBubble runs test in a bubble with a device that is being registered.
func pendingBubble(t *testing.T, fetch func(n int) (*http.Response, error), test func(*testing.T, *privicore.Pending[*privicore.Device], *pendingServer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &pendingServer{fetch: fetch}
		pending, err := fakeClient(t, s.serve).Device.RequestIdentifier(t.Context(), "kitchen")
		require.NoError(t, err)
		test(t, pending, s)
	})
}

func TestPendingValueIsFetchedOnce(t *testing.T) {
	t.Parallel()
	answer := func(int) (*http.Response, error) { return reply(200, deviceAnswer) }
	pendingBubble(t, answer, func(t *testing.T, pending *privicore.Pending[*privicore.Device], s *pendingServer) {
		assert.Equal(t, "c1", pending.ID)
		assert.Empty(t, s.times(), "before the command has succeeded there is nothing to fetch")
		devices := make([]*privicore.Device, 20)
		var all sync.WaitGroup
		for i := range devices {
			all.Go(func() {
				device, err := pending.Result(t.Context())
				assert.NoError(t, err)
				devices[i] = device
			})
		}
		all.Wait()
		for _, device := range devices {
			require.NotNil(t, device)
			assert.Equal(t, device1, device.Identifier)
			assert.Same(t, devices[0], device)
		}
		require.Len(t, s.times(), 1)
		assert.GreaterOrEqual(t, s.times()[0], time.Second)
	})
}

// The value may be found only a moment after the command has succeeded.
func TestPendingValueThatLags(t *testing.T) {
	t.Parallel()
	late := func(n int) (*http.Response, error) {
		if n <= 4 {
			return reply(404, "")
		}
		return reply(200, deviceAnswer)
	}
	pendingBubble(t, late, func(t *testing.T, pending *privicore.Pending[*privicore.Device], s *pendingServer) {
		device, err := pending.Result(t.Context())
		require.NoError(t, err)
		assert.Equal(t, device1, device.Identifier)
		assert.Len(t, s.times(), 5)
	})
	never := func(int) (*http.Response, error) { return reply(404, "") }
	pendingBubble(t, never, func(t *testing.T, pending *privicore.Pending[*privicore.Device], s *pendingServer) {
		device, err := pending.Result(t.Context())
		require.ErrorIs(t, err, privicore.ErrNotFound)
		assert.Nil(t, device)
		var apiErr *privicore.APIError
		require.ErrorAs(t, err, &apiErr)
		assert.Equal(t, "Device.RetrieveIdentifier", apiErr.Operation)
		times := s.times()
		assert.InDelta(t, 10, (times[len(times)-1] - times[0]).Seconds(), 2)
	})
	pendingBubble(t, never, func(t *testing.T, pending *privicore.Pending[*privicore.Device], s *pendingServer) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := pending.Result(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, privicore.ErrNotFound)
		failed := waitError(t, err)
		assert.Equal(t, "c1", failed.ID)
		assert.Equal(t, "Device.RequestIdentifier", failed.Operation)
		assert.ErrorIs(t, failed.LastPoll, privicore.ErrNotFound)
	})
}

func TestPendingAfterAnError(t *testing.T) {
	t.Parallel()
	answer := func(n int) (*http.Response, error) {
		switch n {
		case 1:
			return reply(403, "")
		case 2:
			return reply(200, `{}`)
		}
		return reply(200, deviceAnswer)
	}
	pendingBubble(t, answer, func(t *testing.T, pending *privicore.Pending[*privicore.Device], s *pendingServer) {
		_, err := pending.Result(t.Context())
		require.ErrorIs(t, err, privicore.ErrForbidden)
		_, err = pending.Result(t.Context())
		require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
		device, err := pending.Result(t.Context())
		require.NoError(t, err, "no error is final")
		assert.Equal(t, device1, device.Identifier)
		assert.Len(t, s.times(), 3)
	})
}

// The server gives a configuration out once, so an answer that cannot be read is
// all there will ever be.
func TestPendingValueThatIsGivenOutOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &pendingServer{fetch: func(n int) (*http.Response, error) {
			if n == 1 {
				return reply(403, "")
			}
			return reply(200, `{"clientIdentity":"c"}`)
		}}
		pending, err := fakeClient(t, s.serve).OAuth.Register(t.Context(), shop)
		require.NoError(t, err)
		_, err = pending.Result(t.Context())
		require.ErrorIs(t, err, privicore.ErrForbidden)
		for range 3 {
			_, err = pending.Result(t.Context())
			require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
			var apiErr *privicore.APIError
			require.ErrorAs(t, err, &apiErr)
			assert.JSONEq(t, `{"clientIdentity":"c"}`, string(apiErr.Response.Body))
		}
		assert.Len(t, s.times(), 2)
	})
}

// A caller that waits for another's fetching does not outlast its own context.
func TestPendingValueThatAnotherFetches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &pendingServer{}
		pending, err := fakeClient(t, func(r *http.Request, form url.Values) (*http.Response, error) {
			if strings.Contains(r.URL.Path, "/retrieve-") {
				<-release
				return reply(200, deviceAnswer)
			}
			return s.serve(r, form)
		}).Device.RequestIdentifier(t.Context(), "kitchen")
		require.NoError(t, err)
		first := make(chan error)
		go func() {
			_, err := pending.Result(t.Context())
			first <- err
		}()
		time.Sleep(5 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err = pending.Result(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start))
		close(release)
		require.NoError(t, <-first)
	})
}

func TestPendingWithoutClient(t *testing.T) {
	t.Parallel()
	var none *privicore.Pending[*privicore.Device]
	fetch := func(context.Context, string) (*privicore.Device, error) { return &privicore.Device{}, nil }
	for _, pending := range []*privicore.Pending[*privicore.Device]{
		none, {}, {Command: &privicore.Command{ID: "c1"}},
		privicore.NewPending(nil, fetch),
		privicore.NewPending(&privicore.Command{ID: "c1"}, fetch),
		privicore.NewPending[*privicore.Device](fakeClient(t, nil).Command("c1"), nil),
	} {
		_, err := pending.Result(t.Context())
		require.ErrorContains(t, err, "Client.Command")
	}
}

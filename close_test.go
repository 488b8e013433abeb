package privicore_test

import (
	"context"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// A call that pauses before it is sent again ends with the client, and is not
// sent again.
func TestCloseDuringAPause(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(context.Context, *privicore.Client) error{
		"a read": func(ctx context.Context, c *privicore.Client) error {
			_, err := c.Device.List(ctx)
			return err
		},
		"a command": func(ctx context.Context, c *privicore.Client) error {
			_, err := c.Device.Remove(ctx, device1)
			return err
		},
		"a raw request": func(ctx context.Context, c *privicore.Client) error {
			_, err := c.Do(ctx, http.MethodPost, "/x", nil)
			return err
		},
		"authenticating": func(ctx context.Context, c *privicore.Client) error {
			_, err := c.Profile.Authenticate(ctx, "user", "hunter2")
			return err
		},
	} {
		for _, status := range []int{429, 503} {
			t.Run(name+"/"+http.StatusText(status), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var sent atomic.Int32
					c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
						sent.Add(1)
						return reply(status, "", "Retry-After", "10")
					})
					ended := make(chan error, 1)
					go func() { ended <- do(t.Context(), c) }()
					time.Sleep(3 * time.Second)
					start := time.Now()
					require.NoError(t, c.Close())
					err := <-ended
					require.ErrorIs(t, err, privicore.ErrClosed)
					assert.NotErrorIs(t, err, privicore.ErrAmbiguous, "the server said that it did nothing")
					assert.Zero(t, time.Since(start))
					time.Sleep(time.Minute)
					assert.Equal(t, int32(1), sent.Load())
				})
			})
		}
	}
}

// A command waits for the channel to be joined first. If the client is closed
// meanwhile it is not sent at all.
func TestCloseBeforeTheFirstJoin(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		prepare func(*channelBackend)
		opts    []privicore.Option
	}{
		"no handshake":        {func(b *channelBackend) { b.hung.Store(true) }, []privicore.Option{privicore.WithToken(fakeToken)}},
		"no answer to a join": {func(b *channelBackend) { b.Silent(true) }, nil},
		"no token yet":        {func(b *channelBackend) { b.hung.Store(true) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newChannelBackend(t, tc.opts...)
				b.accepted = func(string) { assert.Fail(t, "the command was sent") }
				tc.prepare(b)
				const n = 10
				ended := make(chan error, n)
				for range n {
					go func() {
						_, err := b.client.Device.Remove(t.Context(), device1)
						ended <- err
					}()
				}
				time.Sleep(500 * time.Millisecond)
				synctest.Wait()
				require.Empty(t, ended, "the commands are held back")
				start := time.Now()
				require.NoError(t, b.client.Close())
				for range n {
					err := <-ended
					require.ErrorIs(t, err, privicore.ErrClosed)
					assert.NotErrorIs(t, err, privicore.ErrAmbiguous)
				}
				assert.Less(t, time.Since(start), 6*time.Second, "Close waits for the goroutines, not for the server")
			})
		})
	}
}

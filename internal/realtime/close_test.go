package realtime

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClosePolitely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := newProxy(t)
		c.Join(t.Context())
		start := time.Now()
		c.Close()
		assert.Zero(t, time.Since(start))
		synctest.Wait()
		assert.Equal(t, []requestData{{"T-first", "ch-1"}}, p.leaves)
		assert.Equal(t, []websocket.StatusCode{websocket.StatusNormalClosure}, p.closes)
		assert.Equal(t, Mark{}, c.Join(t.Context()))
		assert.ErrorIs(t, c.Connect(t.Context()), ErrClosed)
		c.Close()
	})
}

func TestCloseInAnyState(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*proxy, *Config)
		before func(t *testing.T, p *proxy, c *Channel)
	}{
		"never opened": {before: func(*testing.T, *proxy, *Channel) {}},
		"dialing": {
			change: func(_ *proxy, config *Config) {
				config.HTTPClient = &http.Client{Transport: silence{}}
			},
			before: func(t *testing.T, _ *proxy, c *Channel) { c.start(true) },
		},
		"joining": {
			change: func(p *proxy, _ *Config) { p.answer = func(int, string) string { return "" } },
			before: func(t *testing.T, _ *proxy, c *Channel) { c.start(true) },
		},
		"waiting for a token": {
			change: func(_ *proxy, config *Config) {
				config.Token = func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() }
			},
			before: func(t *testing.T, _ *proxy, c *Channel) { c.start(true) },
		},
		"pausing": {
			change: func(p *proxy, _ *Config) { p.handshake = func(int) int { return 502 } },
			before: func(t *testing.T, _ *proxy, c *Channel) { assert.Error(t, c.Connect(t.Context())) },
		},
		"refused": {
			change: func(p *proxy, _ *Config) {
				p.answer = func(int, string) string { return `{"correlationId":"%s","status":401}` }
			},
			before: func(t *testing.T, _ *proxy, c *Channel) { assert.Error(t, c.Connect(t.Context())) },
		},
		"frozen peer": {before: func(t *testing.T, p *proxy, c *Channel) {
			require.NoError(t, c.Connect(t.Context()))
			p.peer().raw.frozen.Store(true)
		}},
		"frozen peer, ping on its way": {before: func(t *testing.T, p *proxy, c *Channel) {
			require.NoError(t, c.Connect(t.Context()))
			p.peer().raw.frozen.Store(true)
			time.Sleep(pingEvery + time.Second)
		}},
		"in the middle of a message": {before: func(t *testing.T, p *proxy, c *Channel) {
			require.NoError(t, c.Connect(t.Context()))
			_, _ = p.peer().raw.Write([]byte{0x81, 126, 1, 0, 'x'})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var changes []func(*proxy, *Config)
				if test.change != nil {
					changes = append(changes, test.change)
				}
				p, c := newProxy(t, changes...)
				test.before(t, p, c)
				synctest.Wait()
				connecting := make(chan error, 1)
				up, _ := c.State()
				if !up && name != "never opened" {
					go func() { connecting <- c.Connect(context.Background()) }()
					synctest.Wait()
				} else {
					connecting <- ErrClosed
				}
				listener := c.Listen()
				start := time.Now()
				c.Close()
				assert.LessOrEqual(t, time.Since(start), closeTimeout)
				assert.Error(t, <-connecting)
				<-listener.Ready()
				_, _, end := listener.Take()
				assert.ErrorIs(t, end, ErrClosed)
				c.Close()
			})
		})
	}
}

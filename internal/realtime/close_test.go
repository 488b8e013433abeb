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

	"github.com/privicore/privicore-go/internal/proxytest"
)

func TestClosePolitely(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t)
		c.Join(t.Context())
		start := time.Now()
		c.Close()
		assert.Zero(t, time.Since(start))
		synctest.Wait()
		assert.Equal(t, []proxytest.Leave{{Token: "T-first", ChannelID: "ch-1"}}, p.Leaves())
		assert.Equal(t, []websocket.StatusCode{websocket.StatusNormalClosure}, p.Closes())
		assert.Equal(t, Cursor{}, c.Join(t.Context()))
		assert.ErrorIs(t, c.Connect(t.Context()), ErrClosed)
		c.Close()
	})
}

func TestCloseInAnyState(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*rig, *Config)
		before func(t *testing.T, p *rig, c *Channel)
	}{
		"never opened": {before: func(*testing.T, *rig, *Channel) {}},
		"dialing": {
			change: func(_ *rig, config *Config) {
				config.HTTPClient = &http.Client{Transport: silence{}}
			},
			before: func(t *testing.T, _ *rig, c *Channel) { c.start(true) },
		},
		"joining": {
			change: func(p *rig, _ *Config) { p.Answer = func(int, string) string { return "" } },
			before: func(t *testing.T, _ *rig, c *Channel) { c.start(true) },
		},
		"waiting for a token": {
			change: func(_ *rig, config *Config) {
				config.Token = func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() }
			},
			before: func(t *testing.T, _ *rig, c *Channel) { c.start(true) },
		},
		"pausing": {
			change: func(p *rig, _ *Config) { p.Handshake = func(int) int { return 502 } },
			before: func(t *testing.T, _ *rig, c *Channel) { assert.Error(t, c.Connect(t.Context())) },
		},
		"refused": {
			change: func(p *rig, _ *Config) {
				p.Answer = func(int, string) string { return `{"correlationId":"%s","status":401}` }
			},
			before: func(t *testing.T, _ *rig, c *Channel) { assert.Error(t, c.Connect(t.Context())) },
		},
		"frozen peer": {before: func(t *testing.T, p *rig, c *Channel) {
			require.NoError(t, c.Connect(t.Context()))
			p.Freeze()
		}},
		"frozen peer, ping on its way": {before: func(t *testing.T, p *rig, c *Channel) {
			require.NoError(t, c.Connect(t.Context()))
			p.Freeze()
			time.Sleep(pingEvery + time.Second)
		}},
		"in the middle of a message": {before: func(t *testing.T, p *rig, c *Channel) {
			require.NoError(t, c.Connect(t.Context()))
			p.Conn().WriteRaw([]byte{0x81, 126, 1, 0, 'x'})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var changes []func(*rig, *Config)
				if test.change != nil {
					changes = append(changes, test.change)
				}
				p, c := newRig(t, changes...)
				test.before(t, p, c)
				synctest.Wait()
				connecting := make(chan error, 1)
				if c.stateNow() != Joined && name != "never opened" {
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
				notices, end := listener.Take()
				assert.Empty(t, notices)
				assert.ErrorIs(t, end, ErrClosed)
				assert.Equal(t, Down, c.stateNow())
				assert.Equal(t, Cursor{}, c.Cursor())
				c.Close()
			})
		})
	}
}

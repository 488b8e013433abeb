package realtime

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/internal/proxytest"
)

// slowHandshake has each handshake take a second.
func slowHandshake(p *rig, _ *Config) {
	p.Handshake = func(int) int { time.Sleep(time.Second); return 0 }
}

func TestStateOfAGoodChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t, slowHandshake)
		assert.Equal(t, Down, c.stateNow())
		c.Start()
		state, changed := c.State()
		assert.Equal(t, Connecting, state, "Start does not wait")
		start := time.Now()
		<-changed
		assert.Equal(t, time.Second, time.Since(start))
		state, changed = c.State()
		assert.Equal(t, Joined, state)
		c.Start()
		time.Sleep(time.Minute)
		select {
		case <-changed:
			t.Error("nothing has changed")
		default:
		}

		p.Drop()
		<-changed
		state, changed = c.State()
		assert.Equal(t, Connecting, state)
		<-changed
		assert.Equal(t, Joined, c.stateNow())
		assert.Len(t, p.JoinTimes(), 2)
		c.Close()
		assert.Equal(t, Down, c.stateNow())
		c.Start()
		assert.Equal(t, Down, c.stateNow())
	})
}

func TestStateAfterAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t, func(p *rig, _ *Config) {
			p.Handshake = func(n int) int {
				time.Sleep(time.Second)
				if n < 6 {
					return http.StatusBadGateway
				}
				return 0
			}
		})
		c.Start()
		state, changed := c.State()
		assert.Equal(t, Connecting, state)
		<-changed
		state, changed = c.State()
		assert.Equal(t, Down, state)
		start := time.Now()
		time.Sleep(time.Second)
		c.Start()
		<-changed
		assert.Equal(t, Joined, c.stateNow(), "further attempts do not raise hopes")
		assert.Greater(t, time.Since(start), 5*time.Second)

		// After a loss the first attempt may succeed, until it has not.
		time.Sleep(time.Minute)
		p.Refuse(true)
		p.Drop()
		synctest.Wait()
		assert.Equal(t, Connecting, c.stateNow())
		time.Sleep(time.Second)
		assert.Equal(t, Down, c.stateNow())
	})
}

// A proxy that takes joins and drops them leads to longer and longer pauses. In
// these no channel is to be expected soon.
func TestStateOfAnUnstableChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t, slowHandshake, func(p *rig, _ *Config) {
			p.Joined = func(_ int, conn *proxytest.Conn) { time.Sleep(time.Second); conn.Drop() }
		})
		require.NoError(t, c.Connect(t.Context()))
		for i, want := range []State{Joined, Connecting, Joined, Down, Connecting, Joined, Down, Connecting, Joined} {
			state, changed := c.State()
			assert.Equal(t, want, state, i)
			<-changed
		}
		assert.Len(t, p.JoinTimes(), 4)
	})
}

// A join takes back what was known of the failures before it.
func TestStateAfterAFailureAndAJoin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, c := newRig(t, func(p *rig, _ *Config) {
			p.Handshake = func(n int) int {
				time.Sleep(time.Second)
				if n == 1 {
					return http.StatusBadGateway
				}
				return 0
			}
			p.Joined = func(_ int, conn *proxytest.Conn) { time.Sleep(time.Second); conn.Drop() }
		})
		c.Start()
		for i, want := range []State{Connecting, Down, Joined, Down, Connecting, Joined, Down} {
			state, changed := c.State()
			assert.Equal(t, want, state, i)
			<-changed
		}
	})
}

func TestStateOfARefusedChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t, func(p *rig, _ *Config) {
			p.Answer = func(int, string) string { return `{"correlationId":"%s","status":401}` }
		})
		c.Start()
		synctest.Wait()
		assert.Equal(t, Down, c.stateNow())
		c.Start()
		assert.Equal(t, Down, c.stateNow())
		time.Sleep(refusedPause)
		c.Start()
		assert.Equal(t, Connecting, c.stateNow())
		synctest.Wait()
		assert.Equal(t, Down, c.stateNow())
		assert.Len(t, p.JoinTimes(), 2)
	})
}

func TestNotEnabled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{})
		assert.False(t, c.Enabled())
		c.Start()
		c.Lost()
		assert.Equal(t, Down, c.stateNow())
		assert.ErrorIs(t, c.Connect(t.Context()), errNoURL)
		assert.Equal(t, Cursor{}, c.Join(t.Context()))
		c.Close()
	})
}

// A command is held back for two seconds from the start of the channel, not from
// its own.
func TestJoinWaitsForTheFirstAttemptOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, c := newRig(t, func(p *rig, _ *Config) { p.Silent(true) })
		start := time.Now()
		c.Start()
		time.Sleep(firstWait / 2)
		assert.Equal(t, Cursor{}, c.Join(t.Context()))
		assert.Equal(t, firstWait, time.Since(start))
	})
}

func TestJoinEndsWithTheChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, c := newRig(t, func(_ *rig, config *Config) {
			config.HTTPClient = &http.Client{Transport: silence{}}
		})
		joined := make(chan Cursor)
		start := time.Now()
		go func() { joined <- c.Join(t.Context()) }()
		synctest.Wait()
		c.Close()
		assert.Equal(t, Cursor{}, <-joined)
		assert.Zero(t, time.Since(start))
	})
}

func TestHeaderOfTheHandshake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		header := http.Header{"User-Agent": {"privicore-go/test"}}
		p, c := newRig(t, func(_ *rig, config *Config) { config.Header = header })
		require.NoError(t, c.Connect(t.Context()))
		require.Len(t, p.Handshakes(), 1)
		assert.Equal(t, "privicore-go/test", p.Handshakes()[0].Get("User-Agent"))
		assert.Len(t, header, 1, "the caller's header is left alone")
	})
}

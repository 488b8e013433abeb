package realtime

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/internal/proxytest"
	"github.com/privicore/privicore-go/internal/wire"
)

func TestJoinedOnceForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t)
		var cursors [100]Cursor
		var all sync.WaitGroup
		for i := range cursors {
			all.Go(func() { cursors[i] = c.Join(t.Context()) })
		}
		all.Wait()
		assert.Len(t, p.JoinTimes(), 1)
		for _, m := range cursors {
			assert.False(t, c.Gap(m))
		}
		require.NoError(t, c.Connect(t.Context()))
		assert.Len(t, p.JoinTimes(), 1)
		assert.Nil(t, c.start(true), "there is no attempt to wait for, not even if it has just come up")
	})
}

func TestNoURLNoChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{})
		assert.Equal(t, Cursor{}, c.Join(t.Context()))
		c.Close()
		c.Close()
	})
}

func TestDeliversAndFrees(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t)
		cursor := c.Join(t.Context())
		p.Push(proxytest.Ack("early", 2))
		w := c.SubscribeCommand("late")
		p.Push(proxytest.Ack("late", 1))
		p.Push(proxytest.Ack("late", 2))
		synctest.Wait()
		got := w.Take()
		require.Len(t, got, 2)
		assert.Equal(t, []int{wire.StatusPending, wire.StatusSucceeded}, []int{got[0].CommandStatus, got[1].CommandStatus})
		w.Stop()

		w = c.SubscribeCommand("early")
		<-w.Ready()
		assert.Len(t, w.Take(), 1)
		assert.False(t, c.Gap(w.Since(cursor)))
		w.Stop()
		assertEmpty(t, &c.inbox)
	})
}

func TestGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t, func(_ *rig, config *Config) { config.Keep = 1 })
		assert.True(t, c.Gap(Cursor{}), "it has not been joined")
		assert.Equal(t, Cursor{}, c.Cursor())
		cursor := c.Join(t.Context())
		assert.Equal(t, cursor, c.Cursor())
		assert.False(t, c.Gap(cursor))
		p.Push(proxytest.Ack("a", 2))
		p.Push(proxytest.Ack("b", 2))
		synctest.Wait()
		assert.True(t, c.Gap(cursor), "something was thrown away")
		assert.False(t, c.Gap(c.Cursor()))
	})
}

func TestReconnects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t)
		before := c.Join(t.Context())
		state, changed := c.State()
		require.Equal(t, Joined, state)
		time.Sleep(time.Minute)

		p.Drop()
		<-changed
		state, changed = c.State()
		assert.Equal(t, Connecting, state)
		assert.Equal(t, Cursor{}, c.Cursor())
		assert.True(t, c.Gap(before))
		lost := time.Now()
		assert.Equal(t, Cursor{}, c.Join(t.Context()), "a command is not held back for a second join")
		assert.Zero(t, time.Since(lost))
		<-changed
		assert.True(t, c.Gap(before))
		assert.False(t, c.Gap(c.Cursor()))
		assert.Len(t, p.JoinTimes(), 2)
		assert.Equal(t, 1, p.warnings())

		time.Sleep(time.Minute)
		p.Drop()
		time.Sleep(time.Minute)
		assert.Len(t, p.JoinTimes(), 3)
		assert.Equal(t, 2, p.warnings(), "each loss is told")
	})
}

// A server that takes joins and drops them.
func TestDoesNotHammer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t, func(p *rig, _ *Config) {
			p.Joined = func(_ int, conn *proxytest.Conn) { conn.Drop() }
		})
		c.Join(t.Context())
		time.Sleep(10 * time.Minute)
		joins := p.JoinTimes()
		assert.Less(t, len(joins), 50)
		assert.Greater(t, len(joins), 15)
		pause := firstPause
		even := 0
		for i := range joins[1:] {
			took := joins[i+1].Sub(joins[i])
			assert.GreaterOrEqual(t, took, pause/2)
			assert.LessOrEqual(t, took, pause)
			if took == pause || took == pause/2 {
				even++
			}
			pause = min(2*pause, maxPause)
		}
		assert.Less(t, even, len(joins)/2, "pauses are jittered")
		assert.Equal(t, 1, p.warnings())
	})
}

func TestASteadyJoinResetsTheBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t, func(p *rig, _ *Config) {
			p.Joined = func(n int, conn *proxytest.Conn) {
				if n < 8 {
					conn.Drop()
				}
			}
		})
		c.Join(t.Context())
		time.Sleep(5 * time.Minute)
		require.Len(t, p.JoinTimes(), 8)
		dropped := time.Now()
		p.Drop()
		time.Sleep(time.Second)
		joins := p.JoinTimes()
		require.Len(t, joins, 9)
		assert.LessOrEqual(t, joins[8].Sub(dropped), firstPause)
	})
}

func TestDeadPeer(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]func(t *testing.T, conn *proxytest.Conn){
		"swallows":              func(_ *testing.T, conn *proxytest.Conn) { conn.Freeze() },
		"frame that never ends": func(_ *testing.T, conn *proxytest.Conn) { conn.WriteRaw([]byte{0x81, 126, 1, 0, 'x'}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, c := newRig(t)
				c.Join(t.Context())
				time.Sleep(5*pingEvery + time.Second)
				state, changed := c.State()
				require.Equal(t, Joined, state, "a live peer is left alone")
				require.Len(t, p.JoinTimes(), 1)
				dead := time.Now()
				kill(t, p.Conn())
				<-changed
				assert.LessOrEqual(t, time.Since(dead), pingEvery+pingTimeout)
				time.Sleep(time.Second)
				assert.Len(t, p.JoinTimes(), 2)
			})
		})
	}
}

// The loss is known when it happens, not when a ping that is on its way fails.
func TestLossDuringAPing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t)
		c.Join(t.Context())
		_, changed := c.State()
		conn := p.Conn()
		conn.Freeze()
		time.Sleep(pingEvery + time.Second)
		dropped := time.Now()
		conn.Drop()
		<-changed
		assert.Zero(t, time.Since(dropped))
		time.Sleep(time.Second)
		assert.Len(t, p.JoinTimes(), 2)
	})
}

func TestJoinNeverAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t, func(p *rig, _ *Config) {
			p.Answer = func(int, string) string { return "" }
		})
		start := time.Now()
		assert.Equal(t, Cursor{}, c.Join(t.Context()))
		assert.Equal(t, firstWait, time.Since(start), "a command is held back for so long")
		assert.Equal(t, Cursor{}, c.Join(t.Context()))
		assert.Equal(t, firstWait, time.Since(start), "and the next one not at all")
		err := c.Connect(t.Context())
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, joinTimeout, time.Since(start))
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 1, p.warnings())
		assert.Greater(t, len(p.JoinTimes()), 2, "it goes on trying")
	})
}

func TestCannotBeHad(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*rig, *Config){
		"handshake refused": func(p *rig, _ *Config) { p.Handshake = func(int) int { return http.StatusBadGateway } },
		"nobody listens":    func(p *rig, _ *Config) { p.Refuse(true) },
		"proxy is unwell": func(p *rig, _ *Config) {
			p.Answer = func(int, string) string { return `{"correlationId":"%s","status":503,"data":{}}` }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, c := newRig(t, change)
				start := time.Now()
				assert.Equal(t, Cursor{}, c.Join(t.Context()))
				assert.Zero(t, time.Since(start))
				err := c.Connect(t.Context())
				require.Error(t, err)
				assert.NotContains(t, err.Error(), "secret")
				assert.Equal(t, Down, c.stateNow())
				time.Sleep(time.Hour)
				assert.Equal(t, 1, p.warnings())
				assert.NotContains(t, p.log.String(), "secret")
				assert.NotContains(t, p.log.String(), "T-first")
				assert.Less(t, len(p.Handshakes()), 300)
			})
		})
	}
}

func TestHostThatSwallowsConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, c := newRig(t, func(_ *rig, config *Config) {
			config.HTTPClient = &http.Client{Transport: silence{}}
		})
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.Equal(t, Cursor{}, c.Join(ctx))
		assert.Equal(t, time.Second/2, time.Since(start), "half of the time is for the command")
		assert.ErrorIs(t, c.Connect(ctx), context.DeadlineExceeded)
		assert.Error(t, c.Connect(t.Context()))
		assert.Equal(t, joinTimeout, time.Since(start))
	})
}

func TestRefusedJoin(t *testing.T) {
	t.Parallel()
	refused := `{"correlationId":"%s","status":401,"data":{"message":"T-first is dead"}}`
	for name, test := range map[string]struct {
		answer string
		renew  func() (string, error)
		joins  int
		err    string
	}{
		"no other token":         {refused, func() (string, error) { return "T-first", nil }, 1, "join refused with status 401: [redacted] is dead"},
		"the other one too":      {refused, func() (string, error) { return "T-second", nil }, 2, "join refused with status 401"},
		"not renewable":          {refused, func() (string, error) { return "", errors.New("wrong password") }, 1, "wrong password"},
		"refusal without status": {`{"correlationId":"%s","error":"no"}`, func() (string, error) { return "T-first", nil }, 1, "status 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var renewals int
				p, c := newRig(t, func(p *rig, config *Config) {
					p.Answer = func(int, string) string { return test.answer }
					config.Token = func(_ context.Context, refused string) (string, error) {
						if refused == "" {
							return "T-first", nil
						}
						renewals++
						return test.renew()
					}
				})
				listener := c.Listen()
				defer c.Unlisten(listener)
				start := time.Now()
				assert.Equal(t, Cursor{}, c.Join(t.Context()))
				assert.Zero(t, time.Since(start))
				time.Sleep(refusedPause - 1)
				c.Join(t.Context())
				synctest.Wait()
				assert.Len(t, p.JoinTimes(), test.joins)
				assert.Equal(t, 1, renewals)
				<-listener.Ready()
				_, end := listener.Take()
				assert.ErrorContains(t, end, test.err)

				time.Sleep(time.Hour)
				assert.Len(t, p.JoinTimes(), test.joins, "it is not tried again by itself")
				c.Join(t.Context())
				synctest.Wait()
				assert.Len(t, p.JoinTimes(), 2*test.joins, "but for a later command")
				err := c.Connect(t.Context())
				assert.ErrorContains(t, err, test.err, "or when asked to")
				assert.ErrorIs(t, err, errRefused)
				assert.Equal(t, 1, p.warnings())
			})
		})
	}
}

func TestRetryForgetsARefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t, func(p *rig, _ *Config) {
			p.Answer = func(n int, _ string) string {
				if n == 1 {
					return `{"correlationId":"%s","status":403,"data":{}}`
				}
				return proxytest.GoodAnswer
			}
		})
		c.Join(t.Context())
		c.Join(t.Context())
		synctest.Wait()
		require.Len(t, p.JoinTimes(), 1)
		c.Retry()
		c.Join(t.Context())
		synctest.Wait()
		assert.NotEqual(t, Cursor{}, c.Join(t.Context()))
	})
}

func TestDeadTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t, func(p *rig, config *Config) {
			p.Answer = func(_ int, token string) string {
				if token == "T-first" {
					return `{"correlationId":"%s","status":401,"data":{}}`
				}
				return proxytest.GoodAnswer
			}
			config.Token = func(_ context.Context, refused string) (string, error) {
				if refused != "" {
					return "T-second", nil
				}
				return "T-first", nil
			}
		})
		assert.NotEqual(t, Cursor{}, c.Join(t.Context()))
		assert.Equal(t, []string{"T-first", "T-second"}, p.Tokens())
	})
}

func TestNoTokenForNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		p, c := newRig(t, func(p *rig, config *Config) {
			config.Token = func(context.Context, string) (string, error) {
				if calls++; calls <= 3 {
					return "", ErrTokenLater
				}
				return "T-later", nil
			}
		})
		assert.Equal(t, Cursor{}, c.Join(t.Context()))
		_, changed := c.State()
		<-changed
		assert.Equal(t, []string{"T-later"}, p.Tokens())
		assert.Equal(t, 4, calls)
	})
}

func TestAnswersToAJoin(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"documented":             proxytest.GoodAnswer,
		"without correlation id": `{"status":200,"data":{"channelId":"ch-1"}}`,
		"status is text":         `{"correlationId":"%s","status":"200","data":{"channelId":"ch-1"}}`,
		"data is text":           `{"correlationId":"%s","status":200,"data":"Successfully joined"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, c := newRig(t, func(p *rig, _ *Config) {
					p.Answer = func(int, string) string { return answer }
				})
				assert.NotEqual(t, Cursor{}, c.Join(t.Context()))
			})
		})
	}
}

func TestMessagesAheadOfTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, c := newRig(t, func(p *rig, _ *Config) {
			p.Answer = func(int, string) string { return "" }
			p.Joined = func(_ int, conn *proxytest.Conn) {
				conn.Push(`{"type":"keepalive"}`)
				conn.Push(`{"correlationId":"somebody-elses","status":500,"data":{}}`)
				conn.Push(`{"status":"ok"}`)
				conn.Push(proxytest.Ack("early", 2))
				for _, status := range []string{`1`, `200`, `401`, `"200"`} {
					conn.Push(`{"status":` + status + `,"data":{"uptime":5}}`)
				}
				conn.Push(`{"status":99,"data":{"message":"not of HTTP"}}`)
				conn.Push(`{"status":600,"data":{"message":"not of HTTP"}}`)
				conn.Push(`{"status":401,"data":{"type":"TELEMETRY","message":"has a type"}}`)
				conn.Push(`{"correlationId":"` + conn.CorrelationID + `","status":401,"data":{"type":"X-DPT-CAB-ID","id":"pushed","command_status":2}}`)
				conn.Push(`{"status":200,"data":{"message":"Successfully joined"}}`)
			}
		})
		require.NotEqual(t, Cursor{}, c.Join(t.Context()))
		for _, id := range []string{"early", "pushed"} {
			w := c.SubscribeCommand(id)
			assert.Len(t, w.Take(), 1, id)
			w.Stop()
		}
	})
}

func TestBadMessages(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 600<<10)
	for name, test := range map[string]struct {
		send       func(t *testing.T, conn *proxytest.Conn)
		reconnects bool
	}{
		"malformed":    {send: func(t *testing.T, conn *proxytest.Conn) { conn.Push(`{"data":{"type":`) }},
		"empty":        {send: func(t *testing.T, conn *proxytest.Conn) { conn.Push("") }},
		"no object":    {send: func(t *testing.T, conn *proxytest.Conn) { conn.Push(`["X-DPT-CAB-ID"]`) }},
		"null":         {send: func(t *testing.T, conn *proxytest.Conn) { conn.Push("null") }},
		"no id":        {send: func(t *testing.T, conn *proxytest.Conn) { conn.Push(proxytest.Ack("", 2)) }},
		"id is number": {send: func(t *testing.T, conn *proxytest.Conn) { conn.Push(`{"data":{"type":"X-DPT-CAB-ID","id":7}}`) }},
		"unknown":      {send: func(t *testing.T, conn *proxytest.Conn) { conn.Push(`{"data":{"type":"TELEMETRY","id":"w"}}`) }},
		"large":        {send: func(t *testing.T, conn *proxytest.Conn) { conn.Push(`{"data":{"type":"` + large + `"}}`) }},
		"binary": {send: func(t *testing.T, conn *proxytest.Conn) {
			require.NoError(t, conn.Write(t.Context(), websocket.MessageBinary, []byte{0, 1, 0xff}))
		}},
		"stray answer": {send: func(t *testing.T, conn *proxytest.Conn) { conn.Push(`{"status":500,"data":{"message":"left"}}`) }},
		"oversized": {reconnects: true, send: func(_ *testing.T, conn *proxytest.Conn) {
			_ = conn.Write(context.Background(), websocket.MessageText, make([]byte, maxMessage+1))
		}},
		"broken frame": {reconnects: true, send: func(_ *testing.T, conn *proxytest.Conn) { conn.WriteRaw([]byte{0xff, 0}) }},
		"closed":       {reconnects: true, send: func(_ *testing.T, conn *proxytest.Conn) { _ = conn.Close(websocket.StatusGoingAway, "bye") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, c := newRig(t)
				c.Join(t.Context())
				w := c.SubscribeCommand("w")
				defer w.Stop()
				_, changed := c.State()
				test.send(t, p.Conn())
				if test.reconnects {
					<-changed
					time.Sleep(time.Second)
				}
				p.Push(proxytest.Ack("w", 2))
				<-w.Ready()
				assert.Len(t, w.Take(), 1)
				want := 1
				if test.reconnects {
					want = 2
				}
				assert.Len(t, p.JoinTimes(), want)
			})
		})
	}
}

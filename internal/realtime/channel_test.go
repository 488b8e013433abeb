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
)

func TestJoinedOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := newProxy(t)
		var marks [100]Mark
		var all sync.WaitGroup
		for i := range marks {
			all.Go(func() { marks[i] = c.Join(t.Context()) })
		}
		all.Wait()
		assert.Len(t, p.joinTimes(), 1)
		for _, m := range marks {
			_, missed := c.Missed(m)
			assert.False(t, missed)
		}
		require.NoError(t, c.Connect(t.Context()))
		assert.Len(t, p.joinTimes(), 1)
		assert.Nil(t, c.start(true), "there is no attempt to wait for, not even if it has just come up")
	})
}

func TestNoURLNoChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{})
		assert.Equal(t, Mark{}, c.Join(t.Context()))
		c.Close()
		c.Close()
	})
}

func TestDeliversAndFrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := newProxy(t)
		mark := c.Join(t.Context())
		p.peer().push(t, ack("early", 2))
		w := c.WatchCommand("late")
		p.peer().push(t, ack("late", 1))
		p.peer().push(t, ack("late", 2))
		synctest.Wait()
		got := w.Take()
		require.Len(t, got, 2)
		assert.Equal(t, []int{Pending, Succeeded}, []int{got[0].CommandStatus, got[1].CommandStatus})
		w.Stop()

		w = c.WatchCommand("early")
		<-w.Ready()
		assert.Len(t, w.Take(), 1)
		_, missed := c.Missed(w.Since(mark))
		assert.False(t, missed)
		w.Stop()
		assertEmpty(t, &c.inbox)
	})
}

func TestMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := newProxy(t, func(_ *proxy, config *Config) { config.Keep = 1 })
		_, missed := c.Missed(Mark{})
		assert.True(t, missed, "it has not been up")
		mark := c.Join(t.Context())
		_, missed = c.Missed(mark)
		assert.False(t, missed)
		p.peer().push(t, ack("a", 2))
		p.peer().push(t, ack("b", 2))
		synctest.Wait()
		now, missed := c.Missed(mark)
		assert.True(t, missed, "something was thrown away")
		_, missed = c.Missed(now)
		assert.False(t, missed)
	})
}

func TestReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := newProxy(t)
		before := c.Join(t.Context())
		up, changed := c.State()
		require.True(t, up)
		time.Sleep(time.Minute)

		p.peer().drop()
		<-changed
		up, changed = c.State()
		assert.False(t, up)
		assert.Equal(t, Mark{}, c.Join(t.Context()), "a command is not held back for a second join")
		<-changed
		now, missed := c.Missed(before)
		assert.True(t, missed)
		_, missed = c.Missed(now)
		assert.False(t, missed)
		assert.Len(t, p.joinTimes(), 2)
		assert.Equal(t, 1, p.warnings())

		time.Sleep(time.Minute)
		p.peer().drop()
		time.Sleep(time.Minute)
		assert.Len(t, p.joinTimes(), 3)
		assert.Equal(t, 2, p.warnings(), "each loss is told")
	})
}

// A server that takes joins and drops them.
func TestDoesNotHammer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := newProxy(t, func(p *proxy, _ *Config) {
			p.joined = func(_ int, conn *peer) { conn.drop() }
		})
		c.Join(t.Context())
		time.Sleep(10 * time.Minute)
		joins := p.joinTimes()
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
	synctest.Test(t, func(t *testing.T) {
		p, c := newProxy(t, func(p *proxy, _ *Config) {
			p.joined = func(n int, conn *peer) {
				if n < 8 {
					conn.drop()
				}
			}
		})
		c.Join(t.Context())
		time.Sleep(5 * time.Minute)
		require.Len(t, p.joinTimes(), 8)
		dropped := time.Now()
		p.peer().drop()
		time.Sleep(time.Second)
		joins := p.joinTimes()
		require.Len(t, joins, 9)
		assert.LessOrEqual(t, joins[8].Sub(dropped), firstPause)
	})
}

func TestDeadPeer(t *testing.T) {
	for name, kill := range map[string]func(t *testing.T, conn *peer){
		"swallows":              func(_ *testing.T, conn *peer) { conn.raw.frozen.Store(true) },
		"frame that never ends": func(_ *testing.T, conn *peer) { _, _ = conn.raw.Write([]byte{0x81, 126, 1, 0, 'x'}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, c := newProxy(t)
				c.Join(t.Context())
				time.Sleep(5*pingEvery + time.Second)
				up, changed := c.State()
				require.True(t, up, "a live peer is left alone")
				dead := time.Now()
				kill(t, p.peer())
				<-changed
				assert.LessOrEqual(t, time.Since(dead), pingEvery+pingTimeout)
				time.Sleep(time.Second)
				assert.Len(t, p.joinTimes(), 2)
			})
		})
	}
}

// The loss is known when it happens, not when a ping that is on its way fails.
func TestLossDuringAPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := newProxy(t)
		c.Join(t.Context())
		_, changed := c.State()
		conn := p.peer()
		conn.raw.frozen.Store(true)
		time.Sleep(pingEvery + time.Second)
		dropped := time.Now()
		conn.drop()
		<-changed
		assert.Zero(t, time.Since(dropped))
		time.Sleep(time.Second)
		assert.Len(t, p.joinTimes(), 2)
	})
}

func TestJoinNeverAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := newProxy(t, func(p *proxy, _ *Config) {
			p.answer = func(int, string) string { return "" }
		})
		start := time.Now()
		assert.Equal(t, Mark{}, c.Join(t.Context()))
		assert.Equal(t, firstWait, time.Since(start), "a command is held back for so long")
		assert.Equal(t, Mark{}, c.Join(t.Context()))
		assert.Equal(t, firstWait, time.Since(start), "and the next one not at all")
		err := c.Connect(t.Context())
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, joinTimeout, time.Since(start))
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 1, p.warnings())
		assert.Greater(t, len(p.joinTimes()), 2, "it goes on trying")
	})
}

func TestCannotBeHad(t *testing.T) {
	for name, change := range map[string]func(*proxy, *Config){
		"handshake refused": func(p *proxy, _ *Config) { p.handshake = func(int) int { return http.StatusBadGateway } },
		"nobody listens":    func(p *proxy, _ *Config) { _ = p.listener.Close() },
		"proxy is unwell": func(p *proxy, _ *Config) {
			p.answer = func(int, string) string { return `{"correlationId":"%s","status":503,"data":{}}` }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, c := newProxy(t, change)
				start := time.Now()
				assert.Equal(t, Mark{}, c.Join(t.Context()))
				assert.Zero(t, time.Since(start))
				err := c.Connect(t.Context())
				require.Error(t, err)
				assert.NotContains(t, err.Error(), "secret-path")
				time.Sleep(time.Hour)
				assert.Equal(t, 1, p.warnings())
				assert.NotContains(t, p.log.String(), "secret-path")
				assert.NotContains(t, p.log.String(), "T-first")
				p.mu.Lock()
				defer p.mu.Unlock()
				assert.Less(t, p.handshakes, 300)
			})
		})
	}
}

func TestHostThatSwallowsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := newProxy(t, func(_ *proxy, config *Config) {
			config.HTTPClient = &http.Client{Transport: silence{}}
		})
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.Equal(t, Mark{}, c.Join(ctx))
		assert.Equal(t, time.Second/2, time.Since(start), "half of the time is for the command")
		assert.ErrorIs(t, c.Connect(ctx), context.DeadlineExceeded)
		assert.Error(t, c.Connect(t.Context()))
		assert.Equal(t, joinTimeout, time.Since(start))
	})
}

func TestRefusedJoin(t *testing.T) {
	refused := `{"correlationId":"%s","status":401,"data":{"message":"T-first is dead"}}`
	for name, test := range map[string]struct {
		answer string
		renew  func() (string, error)
		joins  int
		err    string
	}{
		"no other token":         {refused, func() (string, error) { return "T-first", nil }, 1, "join refused with status 401: [token] is dead"},
		"the other one too":      {refused, func() (string, error) { return "T-second", nil }, 2, "join refused with status 401"},
		"not renewable":          {refused, func() (string, error) { return "", errors.New("wrong password") }, 1, "wrong password"},
		"refusal without status": {`{"correlationId":"%s","error":"no"}`, func() (string, error) { return "T-first", nil }, 1, "status 0"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var renewals int
				p, c := newProxy(t, func(p *proxy, config *Config) {
					p.answer = func(int, string) string { return test.answer }
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
				assert.Equal(t, Mark{}, c.Join(t.Context()))
				assert.Zero(t, time.Since(start))
				time.Sleep(refusedPause - 1)
				c.Join(t.Context())
				synctest.Wait()
				assert.Len(t, p.joinTimes(), test.joins)
				assert.Equal(t, 1, renewals)
				<-listener.Ready()
				_, _, end := listener.Take()
				assert.ErrorContains(t, end, test.err)

				time.Sleep(time.Hour)
				assert.Len(t, p.joinTimes(), test.joins, "it is not tried again by itself")
				c.Join(t.Context())
				synctest.Wait()
				assert.Len(t, p.joinTimes(), 2*test.joins, "but for a later command")
				err := c.Connect(t.Context())
				assert.ErrorContains(t, err, test.err, "or when asked to")
				assert.ErrorIs(t, err, errRefused)
				assert.Equal(t, 1, p.warnings())
			})
		})
	}
}

func TestRetryForgetsARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := newProxy(t, func(p *proxy, _ *Config) {
			p.answer = func(n int, _ string) string {
				if n == 1 {
					return `{"correlationId":"%s","status":403,"data":{}}`
				}
				return goodAnswer
			}
		})
		c.Join(t.Context())
		c.Join(t.Context())
		synctest.Wait()
		require.Len(t, p.joinTimes(), 1)
		c.Retry()
		c.Join(t.Context())
		synctest.Wait()
		assert.NotEqual(t, Mark{}, c.Join(t.Context()))
	})
}

func TestDeadTokenIsRenewedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := newProxy(t, func(p *proxy, config *Config) {
			p.answer = func(_ int, token string) string {
				if token == "T-first" {
					return `{"correlationId":"%s","status":401,"data":{}}`
				}
				return goodAnswer
			}
			config.Token = func(_ context.Context, refused string) (string, error) {
				if refused != "" {
					return "T-second", nil
				}
				return "T-first", nil
			}
		})
		assert.NotEqual(t, Mark{}, c.Join(t.Context()))
		assert.Equal(t, []string{"T-first", "T-second"}, p.tokens)
	})
}

func TestNoTokenForNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		p, c := newProxy(t, func(p *proxy, config *Config) {
			config.Token = func(context.Context, string) (string, error) {
				if calls++; calls <= 3 {
					return "", ErrTokenLater
				}
				return "T-later", nil
			}
		})
		assert.Equal(t, Mark{}, c.Join(t.Context()))
		_, changed := c.State()
		<-changed
		assert.Equal(t, []string{"T-later"}, p.tokens)
		assert.Equal(t, 4, calls)
	})
}

func TestAnswersToAJoin(t *testing.T) {
	for name, answer := range map[string]string{
		"documented":             goodAnswer,
		"without correlation id": `{"status":200,"data":{"channelId":"ch-1"}}`,
		"status is text":         `{"correlationId":"%s","status":"200","data":{"channelId":"ch-1"}}`,
		"data is text":           `{"correlationId":"%s","status":200,"data":"Successfully joined"}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, c := newProxy(t, func(p *proxy, _ *Config) {
					p.answer = func(int, string) string { return answer }
				})
				assert.NotEqual(t, Mark{}, c.Join(t.Context()))
			})
		})
	}
}

func TestMessagesAheadOfTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := newProxy(t, func(p *proxy, _ *Config) {
			p.answer = func(int, string) string { return "" }
			p.joined = func(_ int, conn *peer) {
				conn.push(t, `{"type":"keepalive"}`)
				conn.push(t, `{"correlationId":"somebody-elses","status":500,"data":{}}`)
				conn.push(t, `{"status":"ok"}`)
				conn.push(t, ack("early", 2))
				conn.push(t, `{"status":200,"data":{}}`)
			}
		})
		require.NotEqual(t, Mark{}, c.Join(t.Context()))
		w := c.WatchCommand("early")
		defer w.Stop()
		assert.Len(t, w.Take(), 1)
	})
}

func TestBadMessages(t *testing.T) {
	large := strings.Repeat("x", 600<<10)
	for name, test := range map[string]struct {
		send       func(t *testing.T, conn *peer)
		reconnects bool
	}{
		"malformed":    {send: func(t *testing.T, conn *peer) { conn.push(t, `{"data":{"type":`) }},
		"empty":        {send: func(t *testing.T, conn *peer) { conn.push(t, "") }},
		"no object":    {send: func(t *testing.T, conn *peer) { conn.push(t, `["X-DPT-CAB-ID"]`) }},
		"null":         {send: func(t *testing.T, conn *peer) { conn.push(t, "null") }},
		"no id":        {send: func(t *testing.T, conn *peer) { conn.push(t, ack("", 2)) }},
		"id is number": {send: func(t *testing.T, conn *peer) { conn.push(t, `{"data":{"type":"X-DPT-CAB-ID","id":7}}`) }},
		"unknown":      {send: func(t *testing.T, conn *peer) { conn.push(t, `{"data":{"type":"TELEMETRY","id":"w"}}`) }},
		"large":        {send: func(t *testing.T, conn *peer) { conn.push(t, `{"data":{"type":"`+large+`"}}`) }},
		"binary": {send: func(t *testing.T, conn *peer) {
			require.NoError(t, conn.Write(t.Context(), websocket.MessageBinary, []byte{0, 1, 0xff}))
		}},
		"stray answer": {send: func(t *testing.T, conn *peer) { conn.push(t, `{"status":500,"data":{"message":"left"}}`) }},
		"oversized": {reconnects: true, send: func(_ *testing.T, conn *peer) {
			_ = conn.Write(context.Background(), websocket.MessageText, make([]byte, maxMessage+1))
		}},
		"broken frame": {reconnects: true, send: func(_ *testing.T, conn *peer) { _, _ = conn.raw.Write([]byte{0xff, 0}) }},
		"closed":       {reconnects: true, send: func(_ *testing.T, conn *peer) { _ = conn.Close(websocket.StatusGoingAway, "bye") }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, c := newProxy(t)
				c.Join(t.Context())
				w := c.WatchCommand("w")
				defer w.Stop()
				_, changed := c.State()
				test.send(t, p.peer())
				if test.reconnects {
					<-changed
					time.Sleep(time.Second)
				}
				p.peer().push(t, ack("w", 2))
				<-w.Ready()
				assert.Len(t, w.Take(), 1)
				want := 1
				if test.reconnects {
					want = 2
				}
				assert.Len(t, p.joinTimes(), want)
			})
		})
	}
}

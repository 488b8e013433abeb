package realtime

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/internal/proxytest"
	"github.com/privicore/privicore-go/internal/wire"
)

func TestUnpushedOutcomes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t)
		p.level.Set(slog.LevelInfo)
		c.Lost()
		c.Lost()
		before := c.Join(t.Context())
		require.False(t, c.Gap(before), "what was lost without a channel says nothing about it")
		time.Sleep(time.Minute)

		// A message in between shows that the channel works.
		c.Lost()
		p.Push(proxytest.Ack("a", 2))
		synctest.Wait()
		c.Lost()
		synctest.Wait()
		assert.Len(t, p.JoinTimes(), 1)
		assert.False(t, c.Gap(before))
		assert.Zero(t, p.warnings())

		_, changed := c.State()
		c.Lost()
		assert.True(t, c.Gap(before))
		<-changed
		assert.Equal(t, Connecting, c.stateNow())
		time.Sleep(time.Minute)
		assert.Equal(t, Joined, c.stateNow())
		assert.Len(t, p.JoinTimes(), 2)
		assert.Contains(t, p.log.String(), errUnpushed.Error())
		assert.NotContains(t, p.log.String(), "is back", "it is joined, but not relied on")

		after := c.Cursor()
		assert.NotEqual(t, Cursor{}, after)
		assert.True(t, c.Gap(after))
		c.Lost()
		c.Lost()
		p.Push(`{"data":{"type":"TELEMETRY","id":"a"}}`)
		time.Sleep(time.Minute)
		assert.Len(t, p.JoinTimes(), 2, "it reconnects once")
		assert.True(t, c.Gap(after), "telemetry does not show that outcomes come")

		p.Push(proxytest.Ack("b", 1))
		synctest.Wait()
		assert.False(t, c.Gap(after))
		assert.True(t, c.Gap(before))
		assert.Equal(t, 1, p.warnings())
		assert.Contains(t, p.log.String(), "is back")

		c.Lost()
		c.Lost()
		time.Sleep(time.Minute)
		assert.Len(t, p.JoinTimes(), 3)
	})
}

func TestLogOfAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t)
		p.level.Set(slog.LevelInfo)
		require.NoError(t, c.Connect(t.Context()))
		time.Sleep(time.Hour)
		assert.Empty(t, p.log.String(), "there is nothing to say about a good channel")
		p.Refuse(true)
		p.Drop()
		time.Sleep(time.Hour)
		assert.Equal(t, 1, strings.Count(p.log.String(), "\n"))
		assert.Equal(t, 1, p.warnings())
		p.Refuse(false)
		require.NoError(t, c.Connect(t.Context()))
		time.Sleep(time.Hour)
		assert.Equal(t, 2, strings.Count(p.log.String(), "\n"))
		assert.Regexp(t, `level=INFO msg="privicore: WebSocket channel is back" away=1h0m0`, p.log.String())
	})
}

// A proxy that takes joins and drops them is not back, however often it says so.
func TestAnUnstableChannelIsNotBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t, func(p *rig, _ *Config) {
			p.Joined = func(_ int, conn *proxytest.Conn) { time.Sleep(stableAfter / 2); conn.Drop() }
		})
		p.level.Set(slog.LevelInfo)
		c.Start()
		time.Sleep(time.Hour)
		assert.Equal(t, 1, strings.Count(p.log.String(), "\n"))
		assert.Equal(t, 1, p.warnings())
	})
}

// A proxy that takes joins and drops them at once is not hammered by those who wait
// for a join.
func TestConnectKeepsToTheBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t, func(p *rig, _ *Config) {
			p.Joined = func(_ int, conn *proxytest.Conn) { conn.Drop() }
		})
		for range 20 {
			assert.NoError(t, c.Connect(t.Context()), "the join succeeded")
			synctest.Wait()
		}
		assert.LessOrEqual(t, len(p.JoinTimes()), 21)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		joins := len(p.JoinTimes())
		<-ctx.Done()
		assert.LessOrEqual(t, len(p.JoinTimes()), joins+10)
	})
}

func TestDebugLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t)
		p.level.Set(slog.LevelDebug)
		require.NoError(t, c.Connect(t.Context()))
		p.Push(proxytest.Ack("cmd-1", wire.StatusFailed))
		p.Push(`{"data":{"type":"X-DPT-CAB-REQUEST-ID","id":"req-1","body":"secret-payload"}}`)
		synctest.Wait()
		log := p.log.String()
		assert.Contains(t, log, `msg="privicore: WebSocket connected" host=proxy.test`)
		assert.Contains(t, log, `msg="privicore: WebSocket channel joined"`)
		assert.Contains(t, log, "command=cmd-1 status=3\n")
		assert.Contains(t, log, "request=req-1 status=0\n")
		assert.NotContains(t, log, "secret")
		assert.NotContains(t, log, "T-first")
		assert.NotContains(t, log, "device.removed")
	})
}

// Without its correlation id an answer can be mistaken. The true one counts,
// whenever it comes.
func TestLateRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t, func(p *rig, _ *Config) {
			p.Answer = func(int, string) string { return `{"status":200,"data":{"message":"all systems are up"}}` }
		})
		require.NoError(t, c.Connect(t.Context()))
		listener := c.Listen()
		defer c.Unlisten(listener)
		id := p.Conn().CorrelationID
		p.Push(`{"status":401,"data":{"message":"not ours"}}`)
		p.Push(`{"correlationId":"somebody-elses","status":401,"data":{"message":"not ours"}}`)
		p.Push(`{"correlationId":"` + id + `","status":200,"data":{"channelId":"ch-1"}}`)
		synctest.Wait()
		require.Equal(t, Joined, c.stateNow())
		p.Push(`{"correlationId":"` + id + `","status":401,"data":{"message":"T-first is dead"}}`)
		synctest.Wait()
		assert.Equal(t, Down, c.stateNow())
		notices, end := listener.Take()
		assert.Equal(t, []Notice{{Kind: NoticeLost}}, notices)
		assert.EqualError(t, end, "join refused with status 401: [redacted] is dead")
		c.Start()
		assert.Equal(t, Down, c.stateNow())
	})
}

func TestRefusalIsQuotedInPart(t *testing.T) {
	t.Parallel()
	conn := &conn{token: "T-first"}
	err := conn.refusal(&wire.Envelope{Status: 401, Text: strings.Repeat("x", maxRefusal-1) + "é"})
	assert.EqualError(t, err, "join refused with status 401: "+strings.Repeat("x", maxRefusal-1)+"...")
}

// The answer to a ping is stuck behind a message that takes minutes.
func TestSlowPeerIsAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t)
		require.NoError(t, c.Connect(t.Context()))
		s := c.SubscribeCommand("w")
		defer s.Stop()
		start := time.Now()
		p.Conn().Slow(1000)
		p.Push(`{"data":{"type":"X-DPT-CAB-ID","id":"w","command_status":2,"body":"` + strings.Repeat("x", 200_000) + `"}}`)
		<-s.Ready()
		assert.Greater(t, time.Since(start), 5*(pingEvery+pingTimeout))
		require.Len(t, s.Take(), 1)
		time.Sleep(time.Hour)
		assert.Equal(t, Joined, c.stateNow())
		assert.Len(t, p.JoinTimes(), 1)
	})
}

// A peer that dies in the middle of such a message is found out all the same.
func TestSlowPeerDies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t)
		require.NoError(t, c.Connect(t.Context()))
		p.Conn().Slow(1000)
		p.Push(`{"data":{"type":"` + strings.Repeat("x", 200_000) + `"}}`)
		time.Sleep(time.Minute + time.Second)
		_, changed := c.State()
		dead := time.Now()
		p.Freeze()
		<-changed
		assert.LessOrEqual(t, time.Since(dead), pingEvery+pingTimeout)
		time.Sleep(time.Second)
		assert.Contains(t, p.log.String(), errDead.Error())
		assert.Len(t, p.JoinTimes(), 2)
	})
}

func TestListenersLearnOfOutages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newRig(t)
		l := c.Listen()
		defer c.Unlisten(l)
		require.NoError(t, c.Connect(t.Context()))
		time.Sleep(time.Minute)
		notices, _ := l.Take()
		require.Empty(t, notices, "the first join is not a return")

		p.Push(proxytest.Ack("a", 2))
		synctest.Wait()
		p.Drop()
		<-l.Ready()
		synctest.Wait()
		late := c.Listen()
		defer c.Unlisten(late)
		time.Sleep(time.Minute)
		p.Push(proxytest.Ack("b", 2))
		synctest.Wait()
		notices, end := l.Take()
		require.NoError(t, end)
		require.Len(t, notices, 4)
		assert.Equal(t, "a", notices[0].Message.ID)
		assert.Equal(t, Notice{Kind: NoticeLost}, notices[1])
		assert.Equal(t, Notice{Kind: NoticeBack}, notices[2])
		assert.Equal(t, "b", notices[3].Message.ID)

		notices, _ = late.Take()
		require.Len(t, notices, 1, "it was not told of the loss")
		assert.Equal(t, "b", notices[0].Message.ID)
	})
}

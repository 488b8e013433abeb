package privicore_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

func TestResumedWaitOpensTheChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		cmd := b.resumed()
		assert.Empty(t, b.Handshakes(), "Client.Command sends nothing")
		ended := waitAside(t.Context(), cmd)
		time.Sleep(5 * time.Second)
		assert.Len(t, b.Joins(), 1)
		assert.Len(t, b.pollTimes(), 1, "it is asked for once, because it may have ended before")
		b.finish(cmd, true)
		start := time.Now()
		require.NoError(t, <-ended)
		assert.Zero(t, time.Since(start))
		assert.Len(t, b.pollTimes(), 1)
	})
}

func TestManyResumedWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n, rate = 2000, 10
		b := newChannelBackend(t)
		cmds := make([]*privicore.Command, n)
		for i := range cmds {
			cmds[i] = b.resumed()
		}
		start := time.Now()
		time.AfterFunc(2*time.Second, func() {
			for _, cmd := range cmds {
				b.finish(cmd, true)
			}
		})
		results, err := privicore.WaitAll(t.Context(), cmds...)
		took := time.Since(start)
		require.NoError(t, err)
		for i, result := range results {
			require.NotNil(t, result)
			require.Equal(t, cmds[i].ID, result.ID)
			require.Equal(t, privicore.CommandSucceeded, result.Status)
		}
		assert.Less(t, took, 3*time.Second)
		assert.Len(t, b.Joins(), 1)
		assert.LessOrEqual(t, len(b.pollTimes()), int(took.Seconds()*rate)+1)
		time.Sleep(time.Minute)
		assert.LessOrEqual(t, len(b.pollTimes()), int(took.Seconds()*rate)+1, "nobody asks any more")
	})
}

func TestResumedWaitIsNotHeldUpByTheProxy(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*channelBackend){
		"refused":                   func(b *channelBackend) { b.Refuse(true) },
		"join is not answered":      func(b *channelBackend) { b.Silent(true) },
		"nobody answers":            func(b *channelBackend) { b.hung.Store(true) },
		"handshake refused":         func(b *channelBackend) { b.Handshake = func(int) int { return http.StatusBadGateway } },
		"cannot authenticate":       func(b *channelBackend) { b.unwell.Store(true) },
		"join refused":              func(b *channelBackend) { b.Answer = refuseJoins },
		"token refused":             func(b *channelBackend) { b.Answer = refuseTokens },
		"connection that goes dead": func(b *channelBackend) { b.Answer = func(int, string) string { b.Freeze(); return "" } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newChannelBackend(t)
				spoil(b)
				done, running := b.resumed(), b.resumed()
				b.finish(done, false)
				ended := waitAside(t.Context(), running)
				endsSoon(t, waitAside(t.Context(), done))
				time.Sleep(time.Minute)
				b.finish(running, false)
				start := time.Now()
				require.NoError(t, <-ended)
				assert.LessOrEqual(t, time.Since(start), 3*time.Second, "it is polled for")
			})
		})
	}
}

func refuseJoins(int, string) string {
	return `{"correlationId":"%s","status":403,"data":{"message":"no"}}`
}

func refuseTokens(int, string) string {
	return `{"correlationId":"%s","status":401,"data":{"message":"no"}}`
}

// A profile that is being registered has no token to join with yet.
func TestRegisterDoesNotOpenTheChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		cmd, err := b.client.Profile.Register(t.Context(), "alice", "correct horse")
		require.NoError(t, err)
		ended := waitAside(t.Context(), cmd)
		time.Sleep(5 * time.Second)
		b.finish(cmd, false)
		start := time.Now()
		require.NoError(t, <-ended)
		assert.LessOrEqual(t, time.Since(start), 3*time.Second)
		assert.Empty(t, b.Handshakes())
		assert.Zero(t, b.authenticated())
	})
}

func TestResumedWaitWithoutAToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		c, err := b.client.Clone(privicore.WithBaseURL("https://other.test"))
		require.NoError(t, err)
		defer func() { assert.NoError(t, c.Close()) }()
		cmd := b.resumed()
		b.finish(cmd, false)
		start := time.Now()
		_, err = c.Command(cmd.ID).Wait(t.Context())
		require.NoError(t, err)
		assert.Zero(t, time.Since(start), "there is no channel to wait for")
		assert.Empty(t, b.Handshakes())
	})
}

// An outcome can come after the pause that the server asks for has begun.
func TestRateLimitWithAChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		b.poll = func(string) *http.Response {
			resp, _ := reply(429, "", "Retry-After", "3600")
			return resp
		}
		b.Refuse(true)
		cmd := b.resumed()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		ended := waitAside(ctx, cmd)
		time.Sleep(time.Minute)
		b.Refuse(false)
		time.Sleep(time.Minute)
		require.Len(t, b.Joins(), 1)
		b.finish(cmd, true)
		start := time.Now()
		require.NoError(t, <-ended)
		assert.Zero(t, time.Since(start))
		assert.Len(t, b.pollTimes(), 1, "the pause binds the command")

		ended = waitAside(ctx, b.resumed())
		err := <-ended
		require.ErrorIs(t, err, context.DeadlineExceeded, "the channel could have told it")
		assert.NotErrorIs(t, err, privicore.ErrRateLimited)
		assert.ErrorIs(t, waitError(t, err).LastPoll, privicore.ErrRateLimited)
	})
}

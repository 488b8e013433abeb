package privicore_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

func TestReady(t *testing.T) {
	t.Parallel()
	inBothDialects(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		require.NoError(t, c.Ready(t.Context()))
		assert.Equal(t, privicore.ChannelJoined, c.ChannelState())

		s.Next("Utility.Health", privicoretest.Fault{Status: 200, Body: `{"status":"maintenance"}`})
		assert.EqualError(t, c.Ready(t.Context()), `privicore: Utility.Health: the server reports the status "maintenance"`)

		for range 4 {
			s.Next("Utility.Health", privicoretest.Fault{Status: 503})
		}
		down, ok := errors.AsType[*privicore.APIError](c.Ready(t.Context()))
		require.True(t, ok)
		assert.Equal(t, "Utility.Health", down.Operation)

		s.RefuseConnections(1000, 503)
		s.DropConnections()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		require.Error(t, c.Ready(ctx))
		s.RefuseConnections(0, 503)
		require.NoError(t, c.Ready(t.Context()))

		require.NoError(t, c.Close())
		assert.ErrorIs(t, c.Ready(t.Context()), privicore.ErrClosed)
	})
}

func TestReadyWithoutAGoodToken(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, _ *privicoretest.Server) {
		wrong, err := c.Clone(privicore.WithCredentials("alice", "wrong"))
		require.NoError(t, err)
		defer wrong.Close()
		err = wrong.Ready(t.Context())
		assert.ErrorIs(t, err, privicore.ErrUnauthorized)
		assert.ErrorContains(t, err, "Profile.ID")

		require.NoError(t, c.Ready(t.Context()), "nothing that the other client met matters to this one")
	})
}

func TestReadyWithoutAChannel(t *testing.T) {
	t.Parallel()
	c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
		if r.URL.Path == "/health" {
			return reply(200, `{"status":"OK"}`)
		}
		return reply(200, `{"profileId":"p"}`)
	})
	assert.NoError(t, c.Ready(t.Context()))
	assert.Equal(t, privicore.ChannelDown, c.ChannelState())
}

func TestChannelStates(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		var seen []privicore.ChannelState
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for state := range c.ChannelStates(t.Context()) {
				seen = append(seen, state)
			}
		}()
		synctest.Wait()
		require.NoError(t, c.Connect(t.Context()))
		synctest.Wait()
		s.RefuseConnections(1000, 503)
		s.DropConnections()
		time.Sleep(time.Minute)
		s.RefuseConnections(0, 503)
		time.Sleep(time.Minute)
		require.NoError(t, c.Close())
		<-ended
		seen = slices.DeleteFunc(seen, func(s privicore.ChannelState) bool { return s == privicore.ChannelConnecting })
		down, joined := privicore.ChannelDown, privicore.ChannelJoined
		assert.Equal(t, []privicore.ChannelState{down, joined, down, joined}, slices.Compact(seen))
	})
}

func TestChannelStatesAreLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fakeClient(t, answersWith(200, "{}"))
		for state := range c.ChannelStates(t.Context()) {
			assert.Equal(t, privicore.ChannelDown, state)
			break
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range c.ChannelStates(ctx) { // ends with ctx
		}
		assert.Error(t, ctx.Err())
	})
}

func TestChannelStateNames(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "down", privicore.ChannelDown.String())
	assert.Equal(t, "connecting", privicore.ChannelConnecting.String())
	assert.Equal(t, "joined", privicore.ChannelJoined.String())
	assert.Equal(t, "ChannelState(9)", privicore.ChannelState(9).String())
}

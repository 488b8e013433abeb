package lifecycle_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/internal/lifecycle"
)

var errEnded = errors.New("ended")

type key struct{}

func TestEndWaitsForGoroutines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := lifecycle.New(errEnded)
		require.NoError(t, s.Err())
		var finished atomic.Bool
		require.True(t, s.Go(func() {
			<-s.Done()
			time.Sleep(time.Second)
			finished.Store(true)
		}))
		s.End()
		assert.True(t, finished.Load())
		assert.Equal(t, errEnded, s.Err())
		assert.False(t, s.Go(func() { t.Error("ran after the end") }))
		s.End()
	})
}

func TestBindEndsWithTheScope(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := lifecycle.New(errEnded)
		ctx, cancel := s.Bind(context.WithValue(t.Context(), key{}, 1))
		defer cancel()
		assert.Equal(t, 1, ctx.Value(key{}))
		require.NoError(t, ctx.Err())
		s.End()
		<-ctx.Done()
		assert.Equal(t, errEnded, context.Cause(ctx))
		late, cancelLate := s.Bind(t.Context())
		defer cancelLate()
		<-late.Done()
		assert.Equal(t, errEnded, context.Cause(late))
	})
}

func TestBindEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := lifecycle.New(errEnded)
	defer s.End()
	parent, cancelParent := context.WithCancel(t.Context())
	ctx, cancel := s.Bind(parent)
	defer cancel()
	cancelParent()
	<-ctx.Done()
	assert.Equal(t, context.Canceled, context.Cause(ctx))
}

func TestDetachOutlivesItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := lifecycle.New(errEnded)
		parent, cancelParent := context.WithCancel(context.WithValue(t.Context(), key{}, 1))
		ctx, cancel := s.Detach(parent, time.Minute)
		defer cancel()
		cancelParent()
		synctest.Wait()
		require.NoError(t, ctx.Err())
		assert.Equal(t, 1, ctx.Value(key{}))
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)

		second, cancelSecond := s.Detach(t.Context(), time.Minute)
		defer cancelSecond()
		s.End()
		<-second.Done()
		assert.Equal(t, errEnded, context.Cause(second))
	})
}

func TestAfterEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := lifecycle.New(errEnded)
		var ran, stopped atomic.Bool
		s.AfterEnd(func() { ran.Store(true) })
		stop := s.AfterEnd(func() { stopped.Store(true) })
		assert.True(t, stop())
		s.End()
		synctest.Wait()
		assert.True(t, ran.Load())
		assert.False(t, stopped.Load())
	})
}

func TestContextEndsWithTheScope(t *testing.T) {
	t.Parallel()
	s := lifecycle.New(errEnded)
	ctx := s.Context()
	require.NoError(t, ctx.Err())
	s.End()
	<-ctx.Done()
	assert.Equal(t, errEnded, context.Cause(ctx))
}

// The end of the scope does not change why a context ended before.
func TestCanceledContextsKeepTheirCause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := lifecycle.New(errEnded)
		bound, cancelBound := s.Bind(t.Context())
		detached, cancelDetached := s.Detach(t.Context(), time.Minute)
		cancelBound()
		cancelDetached()
		s.End()
		synctest.Wait()
		assert.Equal(t, context.Canceled, context.Cause(bound))
		assert.Equal(t, context.Canceled, context.Cause(detached))
	})
}

// Goroutines that are started while the scope ends are waited for, or not
// started.
func TestGoWhileTheScopeEnds(t *testing.T) {
	t.Parallel()
	for range 100 {
		s := lifecycle.New(errEnded)
		var started, ended atomic.Int32
		var starters sync.WaitGroup
		for range 4 {
			starters.Go(func() {
				for s.Go(func() { <-s.Done(); ended.Add(1) }) {
					started.Add(1)
				}
			})
		}
		s.End()
		after := ended.Load()
		starters.Wait()
		assert.Equal(t, started.Load(), after)
	}
}

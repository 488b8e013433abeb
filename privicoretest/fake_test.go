package privicoretest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

func TestFinishedCommand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		cmd := privicoretest.FinishedCommand("c1", "device.device_approved", "really")
		assert.Equal(t, "c1", cmd.ID)
		result, err := cmd.Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "c1", result.ID)
		assert.Equal(t, privicore.CommandSucceeded, result.Status)
		assert.Equal(t, []string{"device.device_approved", "really"}, result.Messages)
		status, err := cmd.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, result, status)
		watched := 0
		for r, err := range cmd.Watch(t.Context()) {
			require.NoError(t, err)
			assert.Equal(t, result, r)
			watched++
		}
		assert.Equal(t, 1, watched)

		result, err = privicoretest.FinishedCommand("c2").Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, privicore.CommandSucceeded, result.Status)
		assert.Equal(t, start, time.Now(), "no time has passed")
	})
}

func TestRejectedCommand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		cmd := privicoretest.RejectedCommand("c1", "voting.denied", "voting.rejected")
		_, err := cmd.Wait(t.Context())
		var rejected *privicore.CommandError
		require.ErrorAs(t, err, &rejected)
		assert.Equal(t, "c1", rejected.ID)
		assert.Equal(t, []string{"voting.denied", "voting.rejected"}, rejected.Messages)
		require.ErrorIs(t, err, privicore.ErrRejected)
		status, err := cmd.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, privicore.CommandRejected, status.Status)
		_, err = privicoretest.RejectedCommand("c2").Wait(t.Context())
		require.ErrorIs(t, err, privicore.ErrRejected)
		assert.Equal(t, start, time.Now(), "no time has passed")
	})
}

func TestRunningCommand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cmd := privicoretest.RunningCommand("c1")
		status, err := cmd.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, privicore.CommandPending, status.Status)
		for range cmd.Watch(t.Context()) {
			break // a report that it runs
		}
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		_, err = cmd.Wait(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var ended *privicore.WaitError
		require.ErrorAs(t, err, &ended)
		assert.Equal(t, "c1", ended.ID)
	})
}

func TestFakeCommandsTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		results, err := privicore.WaitAll(ctx,
			privicoretest.FinishedCommand("c1", "done"),
			privicoretest.RejectedCommand("c2", "no"),
			privicoretest.RunningCommand("c3"),
		)
		require.ErrorIs(t, err, privicore.ErrRejected)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, results, 3)
		assert.Equal(t, []string{"done"}, results[0].Messages)
		assert.Nil(t, results[1])
		assert.Nil(t, results[2])
	})
}

// An id that no command can have is an error of each wait, as for real commands.
func TestFakeCommandWithoutID(t *testing.T) {
	t.Parallel()
	for _, cmd := range []*privicore.Command{privicoretest.FinishedCommand(""), privicoretest.RejectedCommand(""), privicoretest.RunningCommand("")} {
		_, err := cmd.Wait(t.Context())
		var invalid *privicore.ValidationError
		require.ErrorAs(t, err, &invalid)
	}
}

func TestFakePending(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fetched := 0
		fetch := func(_ context.Context, commandID string) (*privicore.Device, error) {
			fetched++
			return &privicore.Device{Identifier: "device of " + commandID}, nil
		}
		pending := privicore.NewPending(privicoretest.FinishedCommand("c1"), fetch)
		for range 2 {
			device, err := pending.Result(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "device of c1", device.Identifier)
		}
		assert.Equal(t, 1, fetched)

		_, err := privicore.NewPending(privicoretest.RejectedCommand("c2", "no"), fetch).Result(t.Context())
		require.ErrorIs(t, err, privicore.ErrRejected)

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = privicore.NewPending(privicoretest.RunningCommand("c3"), fetch).Result(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 1, fetched)

		broken := errors.New("broken")
		_, err = privicore.NewPending(privicoretest.FinishedCommand("c4"), func(context.Context, string) (string, error) {
			return "", broken
		}).Result(t.Context())
		require.ErrorIs(t, err, broken)
	})
}

// Fakes need not be closed. Not parallel, so that goroutines of other tests do not
// count.
func TestFakeCommandsLeaveNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	for range 10 {
		_, err := privicoretest.FinishedCommand("c1").Wait(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err = privicoretest.RunningCommand("c1").Wait(ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	goleak.VerifyNone(t, before)
}

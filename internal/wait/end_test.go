package wait

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// enders end a task from outside, one second after they were called.
var enders = map[string]struct {
	begin func(ctx context.Context, r *rig) (context.Context, context.CancelFunc)
	err   error
}{
	"canceled": {func(ctx context.Context, _ *rig) (context.Context, context.CancelFunc) {
		return canceledAfter(time.Second)(ctx)
	}, context.Canceled},
	"deadline": {func(ctx context.Context, _ *rig) (context.Context, context.CancelFunc) {
		return endingAfter(time.Second)(ctx)
	}, context.DeadlineExceeded},
	"scope": {func(ctx context.Context, r *rig) (context.Context, context.CancelFunc) {
		time.AfterFunc(time.Second, r.engine.Scope.End)
		return context.WithCancel(ctx)
	}, errScope},
}

// forEachEnd runs test for each way to end a task from outside, with a feed and
// without. The task ends after a second.
func forEachEnd(t *testing.T, prepare func(r *rig), test func(t *testing.T, r *rig, want error)) {
	t.Helper()
	t.Parallel()
	for name, end := range enders {
		for _, withFeed := range []bool{false, true} {
			if withFeed {
				name += " with a feed"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					for range 10 { // the order in select is random
						var f *feed
						if withFeed {
							f = newFeed(Off)
						}
						r := newRig(t, f)
						prepare(r)
						ctx, cancel := end.begin(t.Context(), r)
						_ = r.run(ctx)
						cancel()
						assert.Equal(t, time.Second, r.ended)
						synctest.Wait()
						test(t, r, end.err)
					}
				})
			})
		}
	}
}

func TestEndBetweenQuestions(t *testing.T) {
	last := &failure{class: NotFound}
	forEachEnd(t, func(r *rig) { r.replies(pending, last) }, func(t *testing.T, r *rig, want error) {
		u, ok := errors.AsType[*Unfinished](r.err)
		require.True(t, ok)
		assert.Equal(t, &Unfinished{Err: want, Last: last}, u)
		assert.Equal(t, want.Error(), u.Error())
		require.ErrorIs(t, r.err, want)
		assert.NotErrorIs(t, r.err, last)
	})
}

func TestEndAfterAnAnswer(t *testing.T) {
	forEachEnd(t, func(r *rig) { r.replies(&failure{class: NotFound}, pending) }, func(t *testing.T, r *rig, want error) {
		assert.Equal(t, &Unfinished{Err: want}, r.err, "the last question did not fail")
	})
}

// A question that is broken off is no failure of the server.
func TestEndDuringAQuestion(t *testing.T) {
	forEachEnd(t, func(r *rig) {
		r.engine.Budget = Budget{}
		r.reply = func(ctx context.Context, _ int) (string, time.Duration, error) {
			<-ctx.Done()
			return "", 0, &failure{class: Final}
		}
	}, func(t *testing.T, r *rig, want error) {
		assert.Equal(t, &Unfinished{Err: want}, r.err)
		assert.Len(t, r.times(), 1)
	})
}

func TestEndInThePauseOfTheLimiter(t *testing.T) {
	forEachEnd(t, func(r *rig) {
		r.task.Limiter = NewLimiter(10)
		r.task.Limiter.Pause(time.Minute)
	}, func(t *testing.T, r *rig, want error) {
		assert.Equal(t, &Unfinished{Err: want}, r.err)
		assert.Empty(t, r.times())
	})
}

func TestEndWithAPushAtTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for i := range 40 { // the order in select is random
			f := newFeed(Live)
			r := newRig(t, f)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { _ = r.run(ctx) }()
			f.push(busy)
			synctest.Wait()
			f.push(pending, finish)
			if i%2 == 0 {
				cancel()
			} else {
				r.engine.Scope.End()
			}
			<-r.done
			cancel()
			require.NoError(t, r.err)
			assert.Equal(t, []string{busy, pending, finish}, r.values())
		}
	})
}

// Without a feed the question is put by the loop itself. Its answer counts even
// if the context or the scope ended meanwhile.
func TestEndDuringAQuestionThatIsAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for i := range 40 {
			r := newRig(t, nil)
			ctx, cancel := context.WithCancel(t.Context())
			r.reply = func(context.Context, int) (string, time.Duration, error) {
				if i%2 == 0 {
					cancel()
				} else {
					r.engine.Scope.End()
				}
				return finish, 0, nil
			}
			require.NoError(t, r.run(ctx))
			cancel()
			assert.Equal(t, []string{finish}, r.values())
		}
	})
}

// Without a feed the loop waits for the answer to the question that is out when the
// context or the scope ends. A value that is given out once would be lost.
func TestEndBeforeAQuestionIsAnswered(t *testing.T) {
	t.Parallel()
	for _, scope := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r.reply = func(ctx context.Context, _ int) (string, time.Duration, error) {
				<-ctx.Done()
				time.Sleep(time.Second)
				return finish, 0, nil
			}
			if scope {
				time.AfterFunc(time.Minute, r.engine.Scope.End)
			} else {
				time.AfterFunc(time.Minute, cancel)
			}
			require.NoError(t, r.run(ctx))
			assert.Equal(t, []string{finish}, r.values())
			assert.Equal(t, time.Minute+time.Second, r.ended)
		})
	}
}

func TestEndWithAnAnswerAtTheSameTime(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		a    answer[string]
		want error
	}{
		{"finished", answer[string]{value: finish}, nil},
		{"not accepted", answer[string]{value: errAccept.Error()}, errAccept},
		{"pending", answer[string]{value: pending}, &Unfinished{Err: context.Canceled}},
		{"failed", answer[string]{err: &failure{class: Final}}, &Unfinished{Err: context.Canceled}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newFeed(Off))
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				var got error
				l := newLoop(r.engine, 1, func(int) *Task[string] { return &r.task }, func(_ int, err error) { got = err })
				defer l.close()
				l.questions = map[int]question{0: {stop: func() {}, caughtUp: func() {}}}
				l.answers = make(chan answer[string], 1)
				l.answers <- test.a
				l.giveUp(ctx, ctx.Err())
				assert.Equal(t, test.want, got)
			})
		})
	}
}

func TestEndedBefore(t *testing.T) {
	t.Parallel()
	for _, f := range []*feed{nil, newFeed(Off)} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, f)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			assert.Equal(t, &Unfinished{Err: context.Canceled}, r.run(ctx))
			assert.Empty(t, r.times())
			assert.Zero(t, r.ended)

			r = newRig(t, f)
			r.engine.Scope.End()
			assert.Equal(t, &Unfinished{Err: errScope}, r.run(t.Context()))
			assert.Zero(t, r.ended)
		})
	}
}

// The end of the scope waits for a question that is out.
func TestScopeWaitsForTheQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFeed(Off))
		finished := false
		r.reply = func(ctx context.Context, _ int) (string, time.Duration, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			finished = true
			return "", 0, ctx.Err()
		}
		r.begin(t)
		r.engine.Scope.End()
		assert.True(t, finished)
		<-r.done
		assert.Equal(t, &Unfinished{Err: errScope}, r.err)
	})
}

func TestLogOfAPause(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var log bytes.Buffer
		r.engine.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		r.task.Limiter = NewLimiter(10)
		r.replies(&failure{Limited, time.Minute}, &failure{class: NotFound}, finish)
		require.NoError(t, r.run(t.Context()))
		assert.Equal(t, 1, bytes.Count(log.Bytes(), []byte("\n")), log.String())
		assert.Contains(t, log.String(), `level=DEBUG msg="privicore: pause between polls" `+
			`operation=Device.Approve id=1 pause=1m0s pause_of_others=5s error=failure`)
	})
}

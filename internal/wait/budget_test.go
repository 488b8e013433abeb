package wait

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var budget = Budget{NotFound: 5 * time.Second, Refused: 8 * time.Second, Outage: 3 * time.Minute}

func TestBudgetOfAClass(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		class     Class
		perSecond float64 // of the limiter; 0 for none
		times     int     // questions at least
		ended     span
	}{
		{"unknown", NotFound, 0, 3, span{5 * time.Second, 8 * time.Second}},
		{"unknown, asked rarely", NotFound, 0.1, 3, about(20 * time.Second)},
		{"refused", Refused, 0, 3, span{8 * time.Second, 11 * time.Second}},
		{"refused, asked rarely", Refused, 0.1, 3, about(20 * time.Second)},
		{"outage", Passing, 0, 10, span{180 * time.Second, 183 * time.Second}},
		{"outage, asked rarely", Passing, 1.0 / 60, 10, about(9 * time.Minute)},
		{"final", Final, 0, 1, exactly(0)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for _, f := range []Feed[string]{nil, newFeed(Off)} {
					r := newRig(t, nil)
					r.task.Feed = f
					r.engine.Budget = budget
					if test.perSecond > 0 {
						r.task.Limiter = NewLimiter(test.perSecond)
					}
					r.replies(&failure{class: test.class})
					assert.Equal(t, &failure{class: test.class}, r.run(t.Context()))
					test.ended.check(t, r.ended, "end")
					if test.perSecond > 0 {
						assert.Len(t, r.times(), test.times)
					}
					assert.GreaterOrEqual(t, len(r.times()), test.times)
				}
			})
		})
	}
}

// script makes the questions fail or succeed as the moment says.
func (r *rig) script(reply func(at time.Duration) any) {
	r.reply = func(context.Context, int) (string, time.Duration, error) {
		switch reply := reply(time.Since(r.start)).(type) {
		case error:
			return "", 0, reply
		default:
			return reply.(string), 0, nil
		}
	}
}

func TestBudgetBeginsAnew(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		between any // at four seconds
		ended   span
	}{
		{"after an answer", pending, span{9 * time.Second, 11 * time.Second}},
		{"after another failure", &failure{class: Passing}, span{9 * time.Second, 11 * time.Second}},
		{"but not after a limit", &failure{class: Limited}, span{5 * time.Second, 7 * time.Second}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.engine.Budget = budget
				r.task.Backoff.Max = 500 * time.Millisecond
				told := false
				r.script(func(at time.Duration) any {
					if at >= 4*time.Second && !told {
						told = true
						return test.between
					}
					return &failure{class: NotFound}
				})
				assert.Equal(t, &failure{class: NotFound}, r.run(t.Context()))
				test.ended.check(t, r.ended, "end")
			})
		})
	}
}

func TestLimitsUseUpNoBudget(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.engine.Budget = Budget{}
		r.replies(&failure{class: Limited})
		r.begin(t)
		time.Sleep(24 * time.Hour)
		assert.True(t, r.running())
	})
}

func TestNoFailureEndsALiveTask(t *testing.T) {
	t.Parallel()
	for _, class := range []Class{Passing, NotFound, Refused, Limited, Final} {
		synctest.Test(t, func(t *testing.T) {
			f := newFeed(Live)
			r := newRig(t, f)
			r.engine.Budget = Budget{}
			r.replies(&failure{class: class})
			r.begin(t)
			time.Sleep(24 * time.Hour)
			require.True(t, r.running())
			assert.Greater(t, len(r.times()), 100)
			f.push(finish)
			<-r.done
			assert.NoError(t, r.err)
		})
	}
}

// What failed before the feed was live does not count when it is no longer.
func TestBudgetAfterLive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(Off)
		r := newRig(t, f)
		r.engine.Budget = budget
		r.replies(&failure{class: Passing})
		r.begin(t)
		time.Sleep(2 * time.Minute)
		f.set(Live)
		time.Sleep(time.Hour)
		f.set(Off)
		time.Sleep(budget.Outage)
		assert.True(t, r.running())
		time.Sleep(backoff.Max + time.Second)
		assert.False(t, r.running())
	})
}

func TestOwnBudgetAndClasses(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.task.Budget = Budget{Refused: time.Minute}
		r.task.Classify = func(error) (Class, time.Duration) { return Refused, 10 * time.Second }
		r.replies(&failure{class: Final})
		assert.Equal(t, &failure{class: Final}, r.run(t.Context()))
		assert.Equal(t, time.Minute, r.ended)
	})
}

// A server that fails in another way each time is given up after the longest of
// the budgets, and not before.
func TestFailuresOfDifferentClasses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		failed []any
		most   time.Duration
	}{
		{"in turns", []any{&failure{class: NotFound}, &failure{class: Refused}, &failure{class: Passing}}, 183 * time.Second},
		{"two in turns", []any{&failure{class: NotFound}, &failure{class: Passing}}, 183 * time.Second},
		{"with limits", []any{&failure{class: Passing}, &failure{class: Limited}, &failure{class: Refused}}, 187 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.engine.Budget = budget
				r.reply = func(_ context.Context, n int) (string, time.Duration, error) {
					err, _ := test.failed[n%len(test.failed)].(error)
					return "", 0, err
				}
				require.Error(t, r.run(t.Context()))
				span{budget.Outage, test.most}.check(t, r.ended, "end")
			})
		})
	}
}

// Failures of different classes are counted too, so that a task that asks rarely is
// not ended by the clock alone.
func TestFewFailuresOfDifferentClasses(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.engine.Budget = budget
		r.task.Limiter = NewLimiter(1.0 / 60)
		r.reply = func(_ context.Context, n int) (string, time.Duration, error) {
			return "", 0, &failure{class: []Class{NotFound, Passing}[n%2]}
		}
		require.Error(t, r.run(t.Context()))
		assert.Len(t, r.times(), manyFailures)
	})
}

// An answer ends the row of failures of different classes as well.
func TestAnswersBetweenFailuresOfDifferentClasses(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.engine.Budget = budget
		last := time.Duration(0)
		r.script(func(at time.Duration) any {
			if at-last >= 2*time.Minute {
				last = at
				return pending
			}
			return []any{&failure{class: NotFound}, &failure{class: Passing}}[len(r.asked)%2]
		})
		r.begin(t)
		time.Sleep(time.Hour)
		assert.True(t, r.running())
	})
}

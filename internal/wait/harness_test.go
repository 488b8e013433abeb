package wait

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/privicore/privicore-go/internal/lifecycle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	pending = "pending"
	finish  = "finished"
	busy    = "busy" // Accept takes a second for it, so that more happens meanwhile

	fallback = 30 * time.Second
)

var (
	errScope  = errors.New("scope ended")
	errAccept = errors.New("not accepted")
	backoff   = Backoff{First: 100 * time.Millisecond, Max: 3 * time.Second}
	forever   = Budget{NotFound: 1e6 * time.Hour, Refused: 1e6 * time.Hour, Outage: 1e6 * time.Hour}
)

// failure is a failed question.
type failure struct {
	class      Class
	retryAfter time.Duration
}

func (f *failure) Error() string { return "failure" }

func classify(err error) (Class, time.Duration) {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.class, f.retryAfter
	}
	return Passing, 0
}

// feed is a Feed that a test pushes to.
type feed struct {
	ready chan struct{}

	mu       sync.Mutex
	values   []string
	state    State
	changed  chan struct{}
	catchUp  bool // a question that was answered changes the state
	caughtAs State
	asking   int
	caughtUp int
	lost     int
}

func newFeed(state State) *feed {
	return &feed{ready: make(chan struct{}, 1), state: state, changed: make(chan struct{})}
}

func (f *feed) push(values ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.values = append(f.values, values...)
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// set changes the state. It may set the one that there is, as a feed that comes
// back does.
func (f *feed) set(state State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setLocked(state)
}

func (f *feed) setLocked(state State) {
	f.state = state
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *feed) Ready() <-chan struct{} { return f.ready }

func (f *feed) Take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	values := f.values
	f.values = nil
	return values
}

func (f *feed) State() (State, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state, f.changed
}

func (f *feed) Asking() func() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asking++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.caughtUp++
		if f.catchUp {
			f.state = f.caughtAs
		}
	}
}

func (f *feed) Lost() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost++
}

func (f *feed) counts() (caughtUp, lost int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.caughtUp, f.lost
}

// rig runs one task in a bubble and keeps what it did. Its answers are "pending"
// unless reply says otherwise.
type rig struct {
	engine *Engine
	task   Task[string]
	start  time.Time
	reply  func(ctx context.Context, n int) (string, time.Duration, error) // n counts from 1

	mu       sync.Mutex
	asked    []time.Duration // since start
	accepted []string
	done     chan struct{} // closed when For has returned
	ended    time.Duration // since start
	err      error
}

// bubble runs test in a bubble of its own, with a rig for one task.
func bubble(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, newRig(t, nil)) })
}

// newRig returns a rig whose task has a feed, unless f is nil.
func newRig(t *testing.T, f *feed) *rig {
	r := &rig{
		engine: &Engine{
			Scope:    lifecycle.New(errScope),
			Classify: classify,
			Fallback: fallback,
			Budget:   forever,
			Logger:   slog.New(slog.DiscardHandler),
		},
		start: time.Now(),
		done:  make(chan struct{}),
		reply: func(context.Context, int) (string, time.Duration, error) { return pending, 0, nil },
	}
	r.task = Task[string]{Name: "Device.Approve", ID: "1", Ask: r.ask, Accept: r.accept, Backoff: backoff}
	if f != nil {
		r.task.Feed = f
	}
	t.Cleanup(r.engine.Scope.End)
	return r
}

func (r *rig) ask(ctx context.Context) (string, time.Duration, error) {
	r.mu.Lock()
	r.asked = append(r.asked, time.Since(r.start))
	n := len(r.asked)
	r.mu.Unlock()
	return r.reply(ctx, n)
}

func (r *rig) accept(value string) (bool, error) {
	if value == busy {
		time.Sleep(time.Second)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accepted = append(r.accepted, value)
	if value == errAccept.Error() {
		return true, errAccept
	}
	return value != pending && value != busy, nil
}

// replies makes the questions fail or succeed in turn; the last one repeats. A
// reply is an error or a value.
func (r *rig) replies(replies ...any) {
	r.reply = func(_ context.Context, n int) (string, time.Duration, error) {
		switch reply := replies[min(n, len(replies))-1].(type) {
		case error:
			return "", 0, reply
		case time.Duration:
			return pending, reply, nil
		default:
			return reply.(string), 0, nil
		}
	}
}

// run runs the task and returns its error.
func (r *rig) run(ctx context.Context) error {
	err := For(ctx, r.engine, r.task)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.ended = err, time.Since(r.start)
	close(r.done)
	return err
}

// begin runs the task in the background, until it waits for something.
func (r *rig) begin(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); <-r.done })
	go func() { _ = r.run(ctx) }()
	synctest.Wait()
}

// running reports whether the task has not ended.
func (r *rig) running() bool {
	synctest.Wait()
	select {
	case <-r.done:
		return false
	default:
		return true
	}
}

// times returns when the questions were asked.
func (r *rig) times() []time.Duration {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

func (r *rig) values() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.accepted)
}

// span is between the least and the most that a pause may be.
type span struct{ least, most time.Duration }

func exactly(d time.Duration) span { return span{d, d} }

// about is d, but for what the limiter rounds.
func about(d time.Duration) span { return span{d - time.Millisecond, d + time.Millisecond} }

// jittered is what Jitter makes of d.
func jittered(d time.Duration) span { return span{d / 2, d} }

func (s span) check(t *testing.T, got time.Duration, what string, args ...any) {
	t.Helper()
	args = append([]any{what}, args...)
	assert.GreaterOrEqual(t, got, s.least, args...)
	assert.LessOrEqual(t, got, s.most, args...)
}

// checkPauses checks the pauses before the first questions.
func checkPauses(t *testing.T, times []time.Duration, want ...span) {
	t.Helper()
	require.GreaterOrEqual(t, len(times), len(want))
	before := time.Duration(0)
	for i, s := range want {
		s.check(t, times[i]-before, "pause before question %d", i+1)
		before = times[i]
	}
}

// nextAfter waits for the first question at or after a moment, and returns how
// long after that it comes.
func (r *rig) nextAfter(t *testing.T, moment time.Duration) time.Duration {
	t.Helper()
	for range 10_000 {
		times := r.times()
		if i, _ := slices.BinarySearch(times, moment); i < len(times) {
			return times[i] - moment
		}
		time.Sleep(time.Second)
	}
	require.Fail(t, "no question came")
	return 0
}

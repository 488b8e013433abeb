package wait

import (
	"container/heap"
	"time"
)

// course is how far a task is. It is small, because a loop may have 100,000.
type course struct {
	due    time.Duration // when to ask next, since the start of the loop
	pause  time.Duration // before that question, without jitter; 0 if the feed has changed since
	record *record       // nil if there is nothing to remember
	place  int32         // in the queue, from 1; 0 if the task is not in it
	state  State
	ended  bool
}

// record is what a task remembers of its questions.
type record struct {
	notBefore time.Duration // the server asked for a pause until then, since the start of the loop
	spent     spent
	last      error // of the last question
}

// remember returns the record of the task, which it can change.
func (c *course) remember() *record {
	if c.record == nil {
		c.record = new(record)
	}
	return c.record
}

// last returns the error of the last question, or nil.
func (c *course) last() error {
	if c.record == nil {
		return nil
	}
	return c.record.last
}

// enter takes in the state of the feed.
func (c *course) enter(state State) (changed bool) {
	if state == c.state {
		return false
	}
	c.state, c.pause = state, 0
	if state == Live && c.record != nil {
		c.record.spent = spent{} // failures from before say nothing about later ones
	}
	return true
}

// next returns the pause before the next question, for the state of the feed.
func (c *course) next(b Backoff, fallback time.Duration) time.Duration {
	switch {
	case c.state == Live:
		c.pause = min(max(2*c.pause, fallback), 4*fallback)
	case c.state == Behind && c.pause == 0:
		// The feed has just come back, so this asks at once for what it missed.
		c.pause = b.First
		return 0
	case c.state == Opening && c.pause == 0:
		c.pause = reopening
	default:
		c.pause = b.after(c.pause)
	}
	return Jitter(c.pause)
}

// queue holds the tasks that have no question in progress, as a heap. The first
// one is due next.
type queue struct {
	courses []course
	tasks   []int32
}

// first returns the task that is due next. The queue must not be empty.
func (q *queue) first() int { return int(q.tasks[0]) }

// put adds a task, or moves it to its new place.
func (q *queue) put(task int) {
	if place := q.courses[task].place; place > 0 {
		heap.Fix(q, int(place-1))
	} else {
		heap.Push(q, int32(task)) //nolint:gosec // memory ends long before 1<<31 tasks
	}
}

// remove removes a task, if it is there.
func (q *queue) remove(task int) {
	if place := q.courses[task].place; place > 0 {
		heap.Remove(q, int(place-1))
	}
}

// Len is for package heap, like the methods below.
func (q *queue) Len() int { return len(q.tasks) }

// Less reports whether the task at i is due before the one at j.
func (q *queue) Less(i, j int) bool {
	return q.courses[q.tasks[i]].due < q.courses[q.tasks[j]].due
}

// Swap swaps two tasks.
func (q *queue) Swap(i, j int) {
	q.tasks[i], q.tasks[j] = q.tasks[j], q.tasks[i]
	q.courses[q.tasks[i]].place, q.courses[q.tasks[j]].place = int32(i+1), int32(j+1) //nolint:gosec // as in put
}

// Push adds a task at the end.
func (q *queue) Push(task any) {
	i, _ := task.(int32)
	q.tasks = append(q.tasks, i)
	q.courses[i].place = int32(len(q.tasks)) //nolint:gosec // as in put
}

// Pop removes the task at the end.
func (q *queue) Pop() any {
	last := len(q.tasks) - 1
	i := q.tasks[last]
	q.tasks = q.tasks[:last]
	q.courses[i].place = 0
	return i
}

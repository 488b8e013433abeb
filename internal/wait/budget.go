package wait

import "time"

// How often a question must fail in a row before the budget counts. A task that
// shares a limiter with many others asks rarely, so that the clock alone would
// end it after two failures.
const (
	fewFailures  = 3
	manyFailures = 10
)

// Budget is how long questions may fail in a row before the task ends with the last
// error. A failure of class Final ends the task at once. One of class Limited never
// does. While the feed is live, no failure ends a task.
type Budget struct {
	NotFound time.Duration // and at least 3 times
	Refused  time.Duration // and at least 3 times
	Outage   time.Duration // for class Passing, and at least 10 times
}

// spent is what failures of one class in a row have used of a budget.
type spent struct {
	class Class
	since time.Time
	times int
}

// exceeded counts a failure and reports whether it exceeds the budget.
func (b Budget) exceeded(s *spent, class Class, now time.Time) bool {
	if class == Final {
		return true
	}
	if class == Limited {
		return false
	}
	if s.times == 0 || s.class != class {
		*s = spent{class: class, since: now}
	}
	s.times++
	lasted := now.Sub(s.since)
	switch class {
	case NotFound:
		return lasted >= b.NotFound && s.times >= fewFailures
	case Refused:
		return lasted >= b.Refused && s.times >= fewFailures
	default:
		return lasted >= b.Outage && s.times >= manyFailures
	}
}

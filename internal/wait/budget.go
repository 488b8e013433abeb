package wait

import "time"

// fewFailures and manyFailures are how many failures in a row there must be
// before a budget can be exceeded. A task that shares a limiter with many others
// asks rarely. The clock alone would end it after two failures.
const (
	fewFailures  = 3
	manyFailures = 10
)

// Budget is how long questions may fail in a row before the task ends with the
// last error. A failure of class Final ends the task at once. A failure of class
// Limited does not count. While the feed is live, no failure ends a task.
//
// The budget of a class counts failures of that class in a row. Failures of
// different classes in a row count together against the longest of the three, and
// at least 10 times.
type Budget struct {
	NotFound time.Duration // and at least 3 times
	Refused  time.Duration // and at least 3 times
	Outage   time.Duration // for class Passing, and at least 10 times
}

// spent is what failures in a row have used of a budget.
type spent struct {
	class Class
	same  row // of failures of that class
	all   row // of failures of any class
}

// row is a number of failures in a row.
type row struct {
	since time.Time
	times int
}

// add counts a failure, and returns how long the row has lasted.
func (r *row) add(now time.Time) time.Duration {
	if r.times == 0 {
		r.since = now
	}
	r.times++
	return now.Sub(r.since)
}

// exceeded counts a failure and reports whether it exceeds the budget.
func (b Budget) exceeded(s *spent, class Class, now time.Time) bool {
	switch class {
	case Final:
		return true
	case Limited:
		return false
	}
	if s.class != class {
		s.class, s.same = class, row{}
	}
	// Without the row of all classes a task would never end if they take turns.
	if s.all.add(now) >= max(b.NotFound, b.Refused, b.Outage) && s.all.times >= manyFailures {
		return true
	}
	limit, times := b.of(class)
	return s.same.add(now) >= limit && s.same.times >= times
}

// of returns how long failures of a class may last, and how many there must be.
func (b Budget) of(class Class) (limit time.Duration, times int) {
	switch class {
	case NotFound:
		return b.NotFound, fewFailures
	case Refused:
		return b.Refused, fewFailures
	default:
		return b.Outage, manyFailures
	}
}

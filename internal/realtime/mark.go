package realtime

import "math"

// Mark is a point in the life of a channel. The zero Mark is one at which the
// channel was down.
type Mark struct {
	join uint64 // the one in force
	seen uint64 // number of the newest entry kept by the inbox
}

func (c *Channel) mark() Mark {
	join := c.up.Load()
	if join == 0 {
		return Mark{}
	}
	seen, _ := c.inbox.numbers()
	return Mark{join, seen}
}

// Missed tells whether a message may have been missed since m: the connection
// was another one, or what was kept since then has been thrown away in part.
// It returns the Mark of now.
func (c *Channel) Missed(m Mark) (now Mark, missed bool) {
	join := c.up.Load()
	if join == 0 {
		return Mark{}, true
	}
	seen, dropped := c.inbox.numbers()
	return Mark{join, seen}, join != m.join || dropped > m.seen
}

// Since returns a Mark for what w watches. From the start of the watch on
// nothing for it is thrown away, so only a break of the connection can make it
// miss a message. If it may have missed one since m already, the Mark is zero.
func (w *Watch) Since(m Mark) Mark {
	if w.dropped > m.seen {
		return Mark{}
	}
	return Mark{m.join, math.MaxUint64}
}

package realtime

import "math"

// Cursor is a position in what a Channel has received. The zero Cursor is that
// of a channel that is not joined: after it everything may have been lost.
type Cursor struct {
	join uint64 // number of the join in force
	seen uint64 // number of the newest entry that the inbox kept
}

// Cursor returns the position of now. It is zero unless the channel is joined.
func (c *Channel) Cursor() Cursor {
	join := c.join.Load()
	if join == 0 {
		return Cursor{}
	}
	seen, _ := c.inbox.numbers()
	return Cursor{join, seen}
}

// Gap reports whether a message after the cursor may have been lost. That is so if
// the channel has been joined anew since then, has thrown away an outcome since
// then, or is not relied on; see Lost.
func (c *Channel) Gap(after Cursor) bool {
	join := c.join.Load()
	if join == 0 || join != after.join || c.unpushed.Load() >= maxUnpushed {
		return true
	}
	_, dropped := c.inbox.numbers()
	return dropped > after.seen
}

// Since returns the cursor for a wait with s whose first message comes after the
// given cursor. The result is zero if that message may have been lost before s began.
// What comes for s later is not thrown away, so only the end of the connection makes
// a gap after the result.
func (s *Subscription) Since(after Cursor) Cursor {
	if s.dropped > after.seen {
		return Cursor{}
	}
	return Cursor{after.join, math.MaxUint64}
}

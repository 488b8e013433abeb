package wait

import (
	"math/rand/v2"
	"time"
)

// Backoff is the pauses between two questions: the first one and the longest
// one. Each pause is half as long again as the one before it.
type Backoff struct{ First, Max time.Duration }

// after returns the pause that follows pause. After 0 it returns the first one.
func (b Backoff) after(pause time.Duration) time.Duration {
	return min(max(pause*3/2, b.First), b.Max)
}

// Jitter returns a random duration between half of d and d. It keeps tasks that
// began together from asking together.
func Jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}

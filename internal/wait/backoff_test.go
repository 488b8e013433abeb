package wait

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	b := Backoff{First: 100 * time.Millisecond, Max: 400 * time.Millisecond}
	var got []time.Duration
	for pause := b.after(0); len(got) < 6; pause = b.after(pause) {
		got = append(got, pause)
	}
	assert.Equal(t, []time.Duration{100e6, 150e6, 225e6, 337.5e6, 400e6, 400e6}, got)
	assert.Equal(t, 400*time.Millisecond, b.after(time.Hour))
}

func TestJitter(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, 1, 2, 3, time.Second} {
		least, most := d, time.Duration(0)
		for range 1000 {
			got := Jitter(d)
			assert.GreaterOrEqual(t, got, d/2)
			assert.LessOrEqual(t, got, d)
			least, most = min(least, got), max(most, got)
		}
		if d == time.Second {
			assert.Less(t, least, 550*time.Millisecond, "it uses the lower part")
			assert.Greater(t, most, 950*time.Millisecond, "it uses the upper part")
		}
	}
}

package privicore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/privicore/privicore-go/internal/transport"
)

const (
	// foundWithin is how long something may lag behind its command.
	foundWithin    = 10 * time.Second
	firstFindPause = 100 * time.Millisecond
	maxFindPause   = time.Second
)

// untilFound calls f again as long as it does not find what a command made.
func (c *Client) untilFound(ctx context.Context, f func() error) error {
	began := time.Now()
	for pause := firstFindPause; ; pause = min(2*pause, maxFindPause) {
		err := f()
		if !errors.Is(err, ErrNotFound) || time.Since(began) > foundWithin || endsBefore(ctx, time.Now().Add(pause)) {
			return err
		}
		if ended := c.rest(ctx, pause); ended != nil {
			return fmt.Errorf("%w: %w", ended, err)
		}
	}
}

// rest pauses for about d, unless ctx ends or the client is closed.
func (c *Client) rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(transport.Jitter(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.life.Done():
		return ErrClosed
	}
}

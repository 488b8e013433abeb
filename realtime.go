package privicore

import (
	"context"
	"errors"

	"github.com/privicore/privicore-go/internal/realtime"
)

// Connect opens the WebSocket channel and joins the profile's channel, now
// instead of before the first command, and returns the error that keeps the
// client from it. It does nothing if the channel is joined already. Without
// Connect a channel that cannot be had is a line in the log, and waiting
// works by polling.
func (c *Client) Connect(ctx context.Context) error {
	if c.config.wsURL == "" {
		return badOption("WebSocket URL", "is not set; use WithWebSocketURL")
	}
	if !c.tokens.any() {
		return errNoToken
	}
	err := c.channel.Connect(ctx)
	if errors.Is(err, realtime.ErrClosed) {
		return ErrClosed
	}
	return err
}

func newChannel(c *Client) *realtime.Channel {
	return realtime.New(realtime.Config{
		URL:        c.config.wsURL,
		HTTPClient: c.transport.HTTPClient(),
		Token: func(ctx context.Context, refused string) (string, error) {
			if refused != "" {
				return c.tokens.renew(ctx, refused)
			}
			return c.tokens.get(ctx)
		},
		Logger:  c.config.logger,
		Keep:    c.config.keepAcks,
		KeepFor: c.config.keepFor,
	})
}

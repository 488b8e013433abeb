package privicore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"

	"github.com/privicore/privicore-go/internal/realtime"
)

// Connect opens the WebSocket channel and joins the profile's channel, now
// instead of before the first command, and returns the error that keeps the
// client from it. It does nothing if the channel is joined already. Without
// Connect a channel that cannot be had is a line in the log, and waiting
// works by polling.
//
// The error matches ErrUnauthorized if there is no token that the proxy takes,
// ErrClosed if the client is closed, and ctx.Err() if ctx ends first; then the
// client goes on trying in the background.
func (c *Client) Connect(ctx context.Context) error {
	if c.config.wsURL == "" {
		return &ValidationError{Operation: "Connect", Field: "WebSocket URL", Reason: "is not set; use WithWebSocketURL"}
	}
	if c.life.Err() != nil {
		return ErrClosed
	}
	if !c.tokens.any() {
		return errNoToken
	}
	return channelError(c.channel.Connect(ctx))
}

// channelError is an error of the engine as users get it.
func channelError(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, realtime.ErrClosed) {
		return ErrClosed
	}
	refused, ok := errors.AsType[*realtime.RefusedError](err)
	if ok && refused.Status == http.StatusUnauthorized {
		err = fmt.Errorf("%w: %w", ErrUnauthorized, err)
	}
	return fmt.Errorf("privicore: WebSocket channel: %w", err)
}

func newChannel(c *Client) *realtime.Channel {
	return realtime.New(realtime.Config{
		URL:        c.config.wsURL,
		HTTPClient: c.transport.HTTPClient(),
		Token:      c.channelToken,
		Logger:     c.config.logger,
		Keep:       c.config.keepAcks,
		KeepFor:    c.config.keepFor,
	})
}

// channelToken is where the channel has its token from.
func (c *Client) channelToken(ctx context.Context, refused string) (token string, err error) {
	if refused == "" {
		token, err = c.tokens.get(ctx)
	} else {
		token, err = c.tokens.renew(ctx, refused)
	}
	// A server that is away or unwell may be back soon; one that refuses the
	// credentials will go on doing so.
	apiErr, answered := errors.AsType[*APIError](err)
	_, failed := errors.AsType[*callError](err)
	if failed || answered && (apiErr.StatusCode >= 500 || apiErr.StatusCode == http.StatusTooManyRequests) {
		err = fmt.Errorf("%w: %w", realtime.ErrTokenLater, err)
	}
	return token, err
}

// An Event is something that the proxy pushed: a *CommandEvent,
// *DataReadyEvent, *StreamReadyEvent, *UnknownEvent or *MissedEvent.
type Event interface {
	// RawJSON returns the message as it came; nil for a MissedEvent. It may
	// hold payloads and tokens.
	RawJSON() json.RawMessage
}

// CommandEvent reports how far a command of the profile is, whoever gave it.
type CommandEvent struct {
	answer
	CommandResult
}

// DataReadyEvent reports that requested data is ready, or on its way. Where it
// is, is in RawJSON.
type DataReadyEvent struct {
	answer
	RequestID string
	Context   string
}

// StreamReadyEvent reports that a stream can be fetched.
type StreamReadyEvent struct {
	answer
	RequestID string
	URL       Secret
}

// UnknownEvent is a message of another kind, or one that is no JSON.
type UnknownEvent struct {
	answer
	Type string // as the message says, "" if it does not
}

// MissedEvent tells that events were dropped between the one before it and the
// one after it, because they were not read fast enough. Waits do not miss
// anything by that.
type MissedEvent struct {
	answer
	Count int64
}

// Events opens the WebSocket channel and returns what the proxy pushes from
// then on, until ctx ends or the loop is left. It goes on across reconnects;
// what happens while the channel is down is not told. A reader that falls
// behind by some hundred events loses some and gets a MissedEvent.
//
// An error ends the sequence: that of Connect, also when the channel is lost
// and cannot be joined again, or ErrClosed. That ctx ended is no error.
func (c *Client) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		listener := c.channel.Listen()
		defer c.channel.Unlisten(listener)
		if err := c.Connect(ctx); err != nil {
			if ctx.Err() == nil {
				yield(nil, err)
			}
			return
		}
		for {
			select {
			case <-listener.Ready():
			case <-ctx.Done():
				return
			}
			queue, missed, end := listener.Take()
			for i := range queue {
				if ctx.Err() != nil || !yield(newEvent(&queue[i]), nil) {
					return
				}
			}
			if ctx.Err() != nil || missed > 0 && !yield(&MissedEvent{Count: int64(missed)}, nil) {
				return
			}
			if end != nil {
				yield(nil, channelError(end))
				return
			}
		}
	}
}

func newEvent(m *realtime.Message) Event {
	var a answer
	a.keep(m.Raw)
	switch m.Type {
	case realtime.TypeCommand:
		if r := resultOf(m); r != nil {
			return &CommandEvent{a, *r}
		}
	case realtime.TypeAnswer:
		return &DataReadyEvent{a, m.ID, m.DataContext}
	case realtime.TypeStream:
		return &StreamReadyEvent{a, m.ID, NewSecret(m.StreamURL)}
	}
	return &UnknownEvent{a, m.Type}
}

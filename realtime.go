package privicore

import (
	"context"
	"encoding/json"
	"errors"
	"iter"

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

// MissedEvent tells that events were dropped before the next one, because they
// were not read fast enough. Waits do not miss anything by that.
type MissedEvent struct {
	answer
	Count int64
}

// Events opens the WebSocket channel and returns what the proxy pushes from
// then on, until ctx ends or the loop is left. It goes on across reconnects;
// what happens while the channel is down is not told. A reader that falls
// behind by some hundred events loses some and gets a MissedEvent.
//
// An error ends the sequence: that of Connect, or ErrClosed. That ctx ended is
// no error.
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
			case m, ok := <-listener.C:
				if !ok {
					yield(nil, ErrClosed)
					return
				}
				if n := listener.Missed(); n > 0 && !yield(&MissedEvent{Count: n}, nil) {
					return
				}
				if !yield(newEvent(&m), nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func newEvent(m *realtime.Message) Event {
	raw := json.RawMessage(m.Raw)
	a := answer{&raw}
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

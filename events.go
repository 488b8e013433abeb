package privicore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"

	"github.com/privicore/privicore-go/internal/realtime"
	"github.com/privicore/privicore-go/internal/wire"
)

// Connect opens the WebSocket channel and joins the channel of the profile. It
// waits until the channel is joined, and returns at once if it already is. Calling
// Connect is optional: commands and waits open the channel by themselves. They only
// log an error of the channel; Connect returns it.
//
// The error matches ErrUnauthorized if the client has no token that the proxy
// accepts, ErrClosed if the client is closed, and ctx.Err() if ctx ends first. The
// client keeps trying in the background when ctx ends. Without a WebSocket URL the
// error is a *ValidationError.
//
// It is the operation [Join Channel].
//
// [Join Channel]: https://docs.privicore.com/join-channel-1899090m0
func (c *Client) Connect(ctx context.Context) error {
	if !c.channel.Enabled() {
		return &ValidationError{Operation: "Connect", Field: "WebSocket URL", Reason: "is not set; use WithWebSocketURL"}
	}
	if err := c.scope.Err(); err != nil {
		return err
	}
	if !c.tokens.any() {
		return &TokenError{errNoToken}
	}
	return channelError(c.channel.Connect(ctx))
}

// channelError returns an error of the channel as users get it.
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
		Header:     http.Header{"User-Agent": {c.config.userAgent}},
		Token:      c.channelToken,
		Logger:     c.config.logger,
		Keep:       c.config.keepAcks,
		KeepFor:    c.config.keepFor,
	})
}

// channelToken returns the token to join the channel with. If the proxy has
// refused a token, it returns another one if there is one.
func (c *Client) channelToken(ctx context.Context, refused string) (token string, err error) {
	if refused == "" {
		token, err = c.tokens.get(ctx)
	} else {
		token, err = c.tokens.renew(ctx, refused)
	}
	// A server that refuses the credentials once refuses them again. Any other
	// failure may pass.
	failed, ok := errors.AsType[*TokenError](err)
	if ok && !refusesCredentials(failed.Err) {
		err = fmt.Errorf("%w: %w", realtime.ErrTokenLater, err)
	}
	return token, err
}

// refusesCredentials reports whether err means that the server refuses the
// credentials. A server that fails, limits the rate or cannot be reached does not.
func refusesCredentials(err error) bool {
	if e, ok := errors.AsType[*APIError](err); ok {
		return e.StatusCode >= 400 && e.StatusCode < 500 && e.StatusCode != http.StatusTooManyRequests
	}
	_, unanswered := errors.AsType[*callError](err)
	return !unanswered
}

// An Event is a message that the proxy pushed, or a change of the channel. It is a
// *CommandEvent, *DataReadyEvent, *StreamReadyEvent, *UnknownEvent, *DroppedEvent,
// *DisconnectedEvent or *ReconnectedEvent, and nothing else.
type Event interface {
	// RawJSON returns the message as it came, or nil if the event is a change
	// of the channel. The message may hold payloads and tokens.
	RawJSON() json.RawMessage

	event()
}

func (*CommandEvent) event()      {}
func (*DataReadyEvent) event()    {}
func (*StreamReadyEvent) event()  {}
func (*UnknownEvent) event()      {}
func (*DroppedEvent) event()      {}
func (*DisconnectedEvent) event() {}
func (*ReconnectedEvent) event()  {}

// CommandEvent reports how far a command of the profile is. Any client of the
// profile may have sent the command.
type CommandEvent struct {
	answer
	CommandResult
}

// Format leaves out the raw JSON.
func (e CommandEvent) Format(s fmt.State, verb rune) { format(s, verb, e) }

// DataReadyEvent reports that requested data is ready or being prepared. RawJSON
// has the data, its address, or a text about the progress.
type DataReadyEvent struct {
	answer
	RequestID string
	Context   string
}

// Format leaves out the raw JSON.
func (e DataReadyEvent) Format(s fmt.State, verb rune) { format(s, verb, e) }

// StreamReadyEvent reports that requested data can be downloaded from URL.
type StreamReadyEvent struct {
	answer
	RequestID string
	URL       Secret
}

// Format leaves out the raw JSON.
func (e StreamReadyEvent) Format(s fmt.State, verb rune) { format(s, verb, e) }

// UnknownEvent is a message that this package cannot read: one of a type that it
// does not know, without a status that it knows, or not JSON.
type UnknownEvent struct {
	answer
	Type string // the type that the message gives, or ""
}

// Format leaves out the raw JSON.
func (e UnknownEvent) Format(s fmt.State, verb rune) { format(s, verb, e) }

// DroppedEvent reports that messages were dropped at this place, because the loop
// over Events did not read them fast enough. Waits for commands do not miss them.
type DroppedEvent struct {
	answer
	Count int64 // number of messages
}

// Format leaves out the raw JSON.
func (e DroppedEvent) Format(s fmt.State, verb rune) { format(s, verb, e) }

// DisconnectedEvent reports that the channel was lost. The client tries to join
// it again.
type DisconnectedEvent struct{ answer }

// Format leaves out the raw JSON.
func (e DisconnectedEvent) Format(s fmt.State, verb rune) { format(s, verb, e) }

// ReconnectedEvent reports that the channel is joined again. Messages that the
// proxy pushed since the DisconnectedEvent are lost.
type ReconnectedEvent struct{ answer }

// Format leaves out the raw JSON.
func (e ReconnectedEvent) Format(s fmt.State, verb rune) { format(s, verb, e) }

// Events opens the WebSocket channel and yields what the proxy pushes from then
// on, until ctx ends or the caller leaves the loop. After a reconnect it goes on,
// with a DisconnectedEvent and a ReconnectedEvent around the gap. A loop that falls
// behind by a few hundred messages loses some and gets a DroppedEvent.
//
// If Events ends for another reason, it yields an error as the last element: the
// error of Connect if the channel cannot be joined, now or after a loss, or
// ErrClosed. If ctx ends, Events yields no error.
//
// The messages are described under [Command Status Messages] and [Data Download
// Messages].
//
// [Command Status Messages]: https://docs.privicore.com/command-status-messages-1899092m0
// [Data Download Messages]: https://docs.privicore.com/data-download-messages-1899093m0
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
			notices, end := listener.Take()
			for i := range notices {
				if ctx.Err() != nil || !yield(newEvent(&notices[i]), nil) {
					return
				}
			}
			if ctx.Err() != nil {
				return
			}
			if end != nil {
				yield(nil, channelError(end))
				return
			}
		}
	}
}

// newEvent returns the event for a notice of the channel.
func newEvent(n *realtime.Notice) Event {
	switch n.Kind {
	case realtime.NoticeDropped:
		return &DroppedEvent{Count: int64(n.Dropped)}
	case realtime.NoticeLost:
		return &DisconnectedEvent{}
	case realtime.NoticeBack:
		return &ReconnectedEvent{}
	}
	m := &n.Message
	a := answer{entries: wire.Whole(m.Raw)}
	switch m.Type {
	case wire.TypeCommand:
		if r := newResult(m.ID, wire.ReadAck(m), m.Body); r != nil {
			return &CommandEvent{a, *r}
		}
	case wire.TypeAnswer:
		return &DataReadyEvent{a, m.ID, m.DataContext}
	case wire.TypeStream:
		return &StreamReadyEvent{a, m.ID, NewSecret(m.StreamURL)}
	}
	return &UnknownEvent{a, m.Type}
}

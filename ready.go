package privicore

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/privicore/privicore-go/internal/realtime"
)

// Ready returns nil if the client can work, for a health check. It asks the server
// whether it is up, sends a read that needs the token, and opens the WebSocket
// channel and waits until that is joined. A client without a WebSocket URL needs no
// channel.
//
// The error is that of Utility.Health, of Profile.ID or of Connect, in this order.
// It also reports a server that is up and says that not all is well. Before the
// public key of the profile is registered, the error matches ErrForbidden. Bound
// the time with ctx.
func (c *Client) Ready(ctx context.Context) error {
	if err := c.scope.Err(); err != nil {
		return err
	}
	health, err := c.Utility.Health(ctx)
	if err != nil {
		return err
	}
	if health.Status != "" && !strings.EqualFold(health.Status, "ok") {
		return fmt.Errorf("privicore: Utility.Health: the server reports the status %.40q", health.Status)
	}
	if _, err := c.Profile.ID(ctx); err != nil {
		return err
	}
	if !c.channel.Enabled() {
		return nil
	}
	return c.Connect(ctx)
}

// ChannelState is how the WebSocket channel of a client stands.
type ChannelState uint8

// The states of the channel.
const (
	// ChannelDown means that nothing is pushed: the client has no WebSocket URL,
	// nothing has opened the channel yet, the last attempt failed, or the client is
	// closed. If the channel was lost, the client keeps trying. Waits poll.
	ChannelDown ChannelState = iota
	// ChannelConnecting means that the first attempt, or the first after a loss, is
	// in progress.
	ChannelConnecting
	// ChannelJoined means that outcomes are pushed.
	ChannelJoined
)

var channelStates = [...]string{"down", "connecting", "joined"}

// String returns "down", "connecting" or "joined".
func (s ChannelState) String() string {
	if int(s) < len(channelStates) {
		return channelStates[s]
	}
	return fmt.Sprintf("ChannelState(%d)", uint8(s))
}

func newChannelState(s realtime.State) ChannelState {
	switch s {
	case realtime.Joined:
		return ChannelJoined
	case realtime.Connecting:
		return ChannelConnecting
	}
	return ChannelDown
}

// ChannelState returns how the channel stands now. It does not open the channel.
func (c *Client) ChannelState() ChannelState {
	state, _ := c.channel.State()
	return newChannelState(state)
}

// ChannelStates yields how the channel stands, and then each change, until ctx
// ends, the client is closed or the caller leaves the loop. A caller that is slow
// gets the latest state and not those before it. ChannelStates does not open the
// channel.
func (c *Client) ChannelStates(ctx context.Context) iter.Seq[ChannelState] {
	return func(yield func(ChannelState) bool) {
		last, first := ChannelDown, true
		for {
			current, changed := c.channel.State()
			if state := newChannelState(current); first || state != last {
				if !yield(state) {
					return
				}
				last, first = state, false
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			case <-c.scope.Done():
				return
			}
		}
	}
}

package realtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/coder/websocket"
)

var (
	errDead     = errors.New("the proxy gives no sign of life")
	errUnpushed = errors.New("the proxy did not push outcomes that polling told")
)

// maxPong is the most bytes that the answer to a ping takes. If a ping fails and no
// more than these came, the peer counts as dead.
const maxPong = 8

// conn is a WebSocket connection that can be cut at any time. The library closes
// a connection only at the end of a close handshake that has begun, which takes
// seconds if the peer is dead.
type conn struct {
	*websocket.Conn
	stream        io.Closer     // the connection below the messages
	received      *atomic.Int64 // bytes that came over the stream
	correlationID string        // of the join
	token         string        // of the join
	refused       string        // token that the proxy refused before, or ""
	channelID     string        // from the answer to the join
	cause         atomic.Pointer[error]
}

// cut closes the connection. The first cause becomes the error of the session.
func (c *conn) cut(cause error) {
	c.cause.CompareAndSwap(nil, &cause)
	_ = c.stream.Close()
}

// reason returns why the connection was cut, or err if it was not.
func (c *conn) reason(err error) error {
	if cause := c.cause.Load(); cause != nil {
		return *cause
	}
	return err
}

// checkAlive returns an error if the peer does not answer a ping in time. The
// answer to a ping can be stuck behind a large message on a slow connection, so
// other bytes that come in meanwhile count as well.
func (c *conn) checkAlive(ctx context.Context) error {
	before := c.received.Load()
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	err := c.Ping(ctx)
	if err != nil && c.received.Load()-before > maxPong {
		return nil
	}
	return err
}

// dialError returns an error that does not show the URL.
func dialError(resp *http.Response, err error) error {
	if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the WebSocket handshake was answered with status %d", resp.StatusCode)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return fmt.Errorf("connect to the WebSocket proxy: %w", err)
}

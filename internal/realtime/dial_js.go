package realtime

import (
	"context"
	"sync/atomic"

	"github.com/coder/websocket"
)

// dial connects to the proxy. In a browser the connection is the browser's: it
// cannot be given headers, and it answers pings by itself.
func dial(ctx context.Context, config *Config) (*conn, error) {
	ws, resp, err := websocket.Dial(ctx, config.URL, nil)
	if err != nil {
		return nil, dialError(resp, err)
	}
	ws.SetReadLimit(maxMessage)
	return &conn{Conn: ws, stream: browserStream{ws}, received: new(atomic.Int64)}, nil
}

// browserStream closes the connection of the browser.
type browserStream struct{ ws *websocket.Conn }

func (s browserStream) Close() error { return s.ws.CloseNow() }

package realtime

import (
	"context"
	"io"
	"net/http"

	"github.com/coder/websocket"
)

// line is a WebSocket connection that can be cut. The library closes what is
// under it only at the end of a close handshake once that has begun, and with a
// dead peer this takes it many seconds.
type line struct {
	*websocket.Conn
	under     io.Closer
	channelID string // as the answer to the join says
}

func (l *line) cut() { _ = l.under.Close() }

func dial(ctx context.Context, client *http.Client, url string) (*line, error) {
	grip := &grip{RoundTripper: client.Transport}
	if grip.RoundTripper == nil {
		grip.RoundTripper = http.DefaultTransport
	}
	gripping := *client
	gripping.Transport = grip
	conn, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient:      &gripping,
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, dialError(resp, err)
	}
	conn.SetReadLimit(maxMessage)
	return &line{Conn: conn, under: grip.body}, nil
}

// grip keeps hold of the connection that the handshake's answer hands out.
type grip struct {
	http.RoundTripper
	body io.Closer
}

func (g *grip) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := g.RoundTripper.RoundTrip(req)
	if err == nil {
		g.body = resp.Body
	}
	return resp, err
}

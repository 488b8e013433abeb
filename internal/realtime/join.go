package realtime

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// request is what the client sends over the connection.
type request struct {
	Action        string      `json:"action"`
	CorrelationID string      `json:"correlationId"`
	Data          requestData `json:"data"`
}

type requestData struct {
	AuthorizationToken string `json:"authorizationToken"`
}

// join connects and joins. If the proxy refuses the token, one other is tried.
func (c *Channel) join() (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(c.life, joinTimeout)
	defer cancel()
	token, err := c.config.Token(ctx, "")
	if err != nil {
		return nil, tokenError(err)
	}
	conn, err := c.dialAndJoin(ctx, token)
	if !errors.Is(err, errRefused) {
		return conn, err
	}
	renewed, renewErr := c.config.Token(ctx, token)
	switch {
	case renewErr != nil:
		return nil, tokenError(renewErr)
	case renewed == token:
		return nil, err
	}
	return c.dialAndJoin(ctx, renewed)
}

// tokenError counts as a refusal: without a token it is no use to try again
// and again.
func tokenError(err error) error { return fmt.Errorf("%w: no token: %w", errRefused, err) }

func (c *Channel) dialAndJoin(ctx context.Context, token string) (*websocket.Conn, error) {
	conn, resp, err := websocket.Dial(ctx, c.config.URL, &websocket.DialOptions{
		HTTPClient:      c.config.HTTPClient,
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, dialError(resp, err)
	}
	conn.SetReadLimit(maxMessage)
	// The reader does not look at the context; this does.
	stop := context.AfterFunc(ctx, func() { _ = conn.CloseNow() })

	join := request{Action: "joinChannel", CorrelationID: rand.Text(), Data: requestData{token}}
	if err = wsjson.Write(ctx, conn, join); err == nil {
		var answer error
		err = c.read(conn, func(e *envelope) bool {
			// A server that does not ask for correlation ids may not return
			// them either.
			if e.CorrelationID != "" && e.CorrelationID != join.CorrelationID {
				return false
			}
			if e.Status != http.StatusOK {
				answer = refusal(e)
			}
			return true
		})
		if err == nil {
			err = answer
		}
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.CloseNow()
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer to the join: %w", ctx.Err())
		}
		return nil, err
	}
	return conn, nil
}

// dialError leaves out the URL.
func dialError(resp *http.Response, err error) error {
	if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the WebSocket handshake was answered with status %d", resp.StatusCode)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return fmt.Errorf("connect to the WebSocket proxy: %w", err)
}

// leave ends the session politely, but not at any price: the peer may be dead.
func (c *Channel) leave(conn *websocket.Conn) {
	timer := time.AfterFunc(closeTimeout, func() { _ = conn.CloseNow() })
	defer timer.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	token, err := c.config.Token(ctx, "")
	if err == nil {
		_ = wsjson.Write(ctx, conn, request{Action: "leaveChannel", CorrelationID: rand.Text(), Data: requestData{token}})
	}
	_ = conn.Close(websocket.StatusNormalClosure, "")
}

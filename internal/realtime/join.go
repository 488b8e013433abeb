package realtime

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
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
	ChannelID          string `json:"channelId,omitempty"`
}

// errRefused is a join that will not succeed by trying again.
var errRefused = errors.New("join refused")

// RefusedError is the proxy's refusal of a join.
type RefusedError struct {
	Status  int // 0 if the answer has none
	Message string
}

func (e *RefusedError) Error() string {
	text := fmt.Sprintf("join refused with status %d", e.Status)
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Is tells a refusal from a server that is unwell or overrun.
func (e *RefusedError) Is(target error) bool {
	return target == errRefused && e.Status < 500 && e.Status != http.StatusTooManyRequests
}

// join connects and joins. If the proxy refuses the token, one other is tried.
func (c *Channel) join() (*line, error) {
	ctx, cancel := context.WithTimeout(c.life, joinTimeout)
	defer cancel()
	token, err := c.config.Token(ctx, "")
	if err != nil {
		return nil, tokenError(err)
	}
	l, err := c.dialAndJoin(ctx, token)
	if !errors.Is(err, errRefused) {
		return l, err
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

// tokenError counts as a refusal, unless there may be a token later.
func tokenError(err error) error {
	if errors.Is(err, ErrTokenLater) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no token to join with: %w", err)
	}
	return fmt.Errorf("%w: no token to join with: %w", errRefused, err)
}

func (c *Channel) dialAndJoin(ctx context.Context, token string) (*line, error) {
	l, err := dial(ctx, c.config.HTTPClient, c.config.URL)
	if err != nil {
		return nil, err
	}
	// The reader does not look at the context; this does.
	stop := context.AfterFunc(ctx, func() { _ = l.CloseNow() })

	join := request{Action: "joinChannel", CorrelationID: rand.Text(), Data: requestData{AuthorizationToken: token}}
	if err = wsjson.Write(ctx, l.Conn, join); err == nil {
		var refused error
		err = c.read(l.Conn, func(answer *envelope) bool {
			// A server that does not ask for correlation ids may not return
			// them either.
			if answer.correlationID != join.CorrelationID && (answer.correlationID != "" || answer.status == 0) {
				return false
			}
			l.channelID = answer.channelID
			if answer.status != http.StatusOK {
				refused = refusal(answer, token)
			}
			return true
		})
		if err == nil {
			err = refused
		}
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = l.CloseNow()
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer to the join: %w", ctx.Err())
		}
		return nil, err
	}
	return l, nil
}

// refusal quotes the proxy, but never the token.
func refusal(answer *envelope, token string) error {
	message := strings.ReplaceAll(answer.text, token, "[token]")
	if len(message) > 200 {
		message = message[:200] + "..."
	}
	return &RefusedError{answer.status, message}
}

// leave ends the session politely, but not at any price: the peer may be dead.
func (c *Channel) leave(l *line) {
	timer := time.AfterFunc(closeTimeout, l.cut)
	defer timer.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	token, err := c.config.Token(ctx, "")
	if err == nil {
		// The documentation names the channel by the token, older clients by
		// its id.
		data := requestData{token, l.channelID}
		_ = wsjson.Write(ctx, l.Conn, request{Action: "leaveChannel", CorrelationID: rand.Text(), Data: data})
	}
	_ = l.Close(websocket.StatusNormalClosure, "")
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

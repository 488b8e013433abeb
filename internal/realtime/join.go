package realtime

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/privicore/privicore-go/internal/redact"
	"github.com/privicore/privicore-go/internal/wire"
)

// maxRefusal bounds how much of the proxy's text an error quotes.
const maxRefusal = 200

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

// errRefused is matched by the error of a join that will not succeed if it is
// tried again.
var errRefused = errors.New("join refused")

// RefusedError is the proxy's refusal of a join.
type RefusedError struct {
	Status  int    // 0 if the answer has none
	Message string // what the proxy says, without the token
}

// Error returns the status and the message.
func (e *RefusedError) Error() string {
	text := fmt.Sprintf("join refused with status %d", e.Status)
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Is reports whether target is errRefused and the refusal lasts. A refusal by a
// server that fails or limits the rate does not last.
func (e *RefusedError) Is(target error) bool {
	return target == errRefused && e.Status < 500 && e.Status != http.StatusTooManyRequests
}

// connect connects and joins. If the proxy refuses the token, it tries one other
// token.
func (c *Channel) connect() (*conn, error) {
	ctx, cancel := context.WithTimeout(c.scope.Context(), joinTimeout)
	defer cancel()
	token, err := c.config.Token(ctx, "")
	if err != nil {
		return nil, tokenError(err)
	}
	conn, err := c.dialAndJoin(ctx, token, "")
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
	return c.dialAndJoin(ctx, renewed, token)
}

// tokenError returns the error of an attempt without a token. It matches
// errRefused unless there may be a token later.
func tokenError(err error) error {
	if errors.Is(err, ErrTokenLater) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no token to join with: %w", err)
	}
	return fmt.Errorf("%w: no token to join with: %w", errRefused, err)
}

// dialAndJoin connects and joins with a token. refused is the token that the proxy
// refused before, or "".
func (c *Channel) dialAndJoin(ctx context.Context, token, refused string) (*conn, error) {
	start := time.Now()
	conn, err := dial(ctx, &c.config)
	if err != nil {
		return nil, err
	}
	conn.token, conn.refused, conn.correlationID = token, refused, rand.Text()
	c.debug("privicore: WebSocket connected", slog.String("host", c.host()), slog.Duration("took", time.Since(start)))
	// The reader does not look at the context, so the end of the context has to
	// close the connection.
	stop := context.AfterFunc(ctx, func() { conn.cut(ctx.Err()) })

	join := request{Action: "joinChannel", CorrelationID: conn.correlationID, Data: requestData{AuthorizationToken: token}}
	if err = wsjson.Write(ctx, conn.Conn, join); err == nil {
		err = c.awaitAnswer(conn)
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
	c.debug("privicore: WebSocket channel joined", slog.Duration("took", time.Since(start)))
	return conn, nil
}

// awaitAnswer reads until the answer to the join has come, and returns an error
// if it is a refusal.
func (c *Channel) awaitAnswer(conn *conn) error {
	var refused error
	err := c.read(conn, func(answer *wire.Envelope) bool {
		conn.channelID = answer.ChannelID
		refused = conn.refusal(answer)
		return true
	})
	if err != nil {
		return err
	}
	return refused
}

// refusal returns the error of an answer to the join, nil if the proxy agrees.
// It quotes the proxy without the tokens that the proxy was sent.
func (c *conn) refusal(answer *wire.Envelope) error {
	if answer.Status == http.StatusOK {
		return nil
	}
	message := redact.New(c.token, c.refused)(answer.Text)
	if len(message) > maxRefusal {
		message = strings.ToValidUTF8(message[:maxRefusal], "") + "..."
	}
	return &RefusedError{answer.Status, message}
}

// leave leaves the channel and closes the connection. It cuts the connection if
// that takes too long, because the peer may be dead.
func (c *Channel) leave(conn *conn) {
	timer := time.AfterFunc(closeTimeout, func() { conn.cut(ErrClosed) })
	defer timer.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	token, err := c.config.Token(ctx, "")
	if err == nil {
		// The documentation names the channel by the token, older clients name
		// it by its id.
		data := requestData{token, conn.channelID}
		_ = wsjson.Write(ctx, conn.Conn, request{Action: "leaveChannel", CorrelationID: rand.Text(), Data: data})
	}
	_ = conn.Close(websocket.StatusNormalClosure, "")
}

// host returns the host of the proxy. The rest of the URL may be secret.
func (c *Channel) host() string {
	u, err := url.Parse(c.config.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

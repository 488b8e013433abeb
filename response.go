package privicore

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/realtime"
	"github.com/privicore/privicore-go/internal/transport"
	"github.com/privicore/privicore-go/internal/wait"
	"github.com/privicore/privicore-go/internal/wire"
)

// A Response is an answer as the server sent it, but without a byte order mark in
// front of the body. The body may hold secrets, so fmt shows its status and length
// only.
type Response struct {
	StatusCode int
	Header     http.Header `json:"-"`
	Body       []byte      `json:"-"`

	client *Client
	sent   sentCall
}

// sentCall is what a wait needs to know of the call that gave the command.
type sentCall struct {
	op     *operation.Operation
	cursor realtime.Cursor // of the channel, before the call was sent
	// secrets returns those that the server may quote in the outcome. It is nil
	// if there are none, and a function because fmt prints a list.
	secrets func() []string
}

// Format writes the status and the length of the answer for every verb.
func (r Response) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "{%d %s, %d bytes}", r.StatusCode, http.StatusText(r.StatusCode), len(r.Body))
}

// Decode stores the JSON body in v. The error matches ErrUnexpectedAnswer.
func (r *Response) Decode(v any) error {
	if err := json.Unmarshal(r.Body, v); err != nil {
		return fmt.Errorf("%w: %s", ErrUnexpectedAnswer, wire.Describe(r.Body, err))
	}
	return nil
}

// Command returns the command whose id is in the answer. It sends nothing and does
// not wait. If the answer has no command id, the error matches ErrNoCommandID, and
// ErrAmbiguous because the command may be running.
func (r *Response) Command() (*Command, error) {
	id := wire.CommandID(r.Header.Get(commandHeader), r.Body)
	if id == "" {
		return nil, fmt.Errorf("privicore: %w: %w", ErrNoCommandID, ErrAmbiguous)
	}
	pause := wait.Jitter(pollBackoff.First) // right after the 202 there is nothing to learn yet
	if after, ok := transport.RetryAfter(r.Header); ok {
		pause = max(pause, after)
	}
	return &Command{
		ID:        id,
		client:    r.client,
		sent:      r.sent,
		notBefore: time.Now().Add(pause),
	}, nil
}

type captureKey struct{}

// CaptureResponse returns a context for calls. Each call that is made with it
// stores its answer in *resp: status, header and body as they came, also if the
// call fails. A method that sends several requests stores the last answer. Calls
// that run at the same time must not share the context.
func CaptureResponse(ctx context.Context, resp *Response) context.Context {
	return context.WithValue(ctx, captureKey{}, resp)
}

// capture stores resp for the caller, if ctx asks for it.
func capture(ctx context.Context, resp *Response) {
	if to, ok := ctx.Value(captureKey{}).(*Response); ok && to != nil {
		*to = *resp
	}
}

// withoutCapture returns a context for calls whose answers the caller must not
// get, because the client makes them by itself or beside the caller's.
func withoutCapture(ctx context.Context) context.Context {
	if ctx.Value(captureKey{}) == nil {
		return ctx
	}
	return context.WithValue(ctx, captureKey{}, nil)
}

// answer is embedded in types whose fields are not all known.
type answer struct {
	entries *wire.Entries
	index   int
}

// RawJSON returns the JSON that the value was read from, with the fields that this
// package does not know. The caller must not change it. A value keeps the whole
// answer in memory, an entry of a list the whole list.
func (a answer) RawJSON() json.RawMessage { return a.entries.Raw(a.index) }

func (a *answer) keep(entries *wire.Entries, index int) { a.entries, a.index = entries, index }

// keeper is a pointer to a type that embeds answer.
type keeper interface {
	keep(entries *wire.Entries, index int)
}

// decode reads data into v, and keeps data in v if v embeds answer.
func decode(data []byte, v any) error {
	if err := wire.Decode(data, v); err != nil {
		return err
	}
	if k, ok := v.(keeper); ok {
		k.keep(wire.Whole(data), 0)
	}
	return nil
}

// decodeList reads a list, and keeps the entries' JSON if T embeds answer.
func decodeList[T any](data []byte) ([]T, error) {
	items, entries, err := wire.DecodeList[T](data)
	if err != nil {
		return nil, err
	}
	for i := range items {
		if k, ok := any(&items[i]).(keeper); ok {
			k.keep(entries, i)
		}
	}
	return items, nil
}

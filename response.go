package privicore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/privicore/privicore-go/internal/realtime"
)

// Response is an answer as the server sent it. Its body may hold secrets, so
// fmt shows the status and the length only.
type Response struct {
	StatusCode int
	Header     http.Header `json:"-"`
	Body       []byte      `json:"-"`

	client *Client
	joined realtime.Mark // see Command.joined
}

// Format writes status and length of the answer for every verb.
func (r Response) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "{%d %s, %d bytes}", r.StatusCode, http.StatusText(r.StatusCode), len(r.Body))
}

// Decode stores the JSON body in v.
func (r *Response) Decode(v any) error {
	if err := json.Unmarshal(r.Body, v); err != nil {
		return fmt.Errorf("%w: %s", ErrUnexpectedAnswer, describeBody(r, err))
	}
	return nil
}

// Command returns the command that the answer announces. If it carries no
// command id, the error is ErrNoCommandID.
func (r *Response) Command() (*Command, error) {
	id := commandID(r)
	if id == "" {
		return nil, ErrNoCommandID
	}
	return &Command{ID: id, client: r.client, joined: r.joined, accepted: time.Now()}, nil
}

// describeBody says what is in a body that should have been JSON, without
// quoting it.
func describeBody(r *Response, err error) string {
	body := bytes.TrimSpace(r.Body)
	switch {
	case len(body) == 0:
		return "the body is empty"
	case body[0] == '<':
		return "the body is an HTML or XML page, not JSON; a proxy may have answered"
	case !json.Valid(body):
		return "the body is not JSON"
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return fmt.Sprintf("field %s holds a %s", wrong.Field, wrong.Value)
	}
	return "the body is JSON of another shape than expected"
}

type captureKey struct{}

// CaptureResponse returns a context with which every call of the client stores
// its answer in *resp: status, header and body as they came, whether the call
// succeeds or not. A call that sends several requests leaves the last answer.
// A context and its resp must not be used by two calls at a time.
func CaptureResponse(ctx context.Context, resp *Response) context.Context {
	return context.WithValue(ctx, captureKey{}, resp)
}

func capture(ctx context.Context, resp *Response) {
	if to, ok := ctx.Value(captureKey{}).(*Response); ok && to != nil {
		*to = *resp
	}
}

// answer is embedded in types whose fields are not all known.
type answer struct {
	// A pointer, so that fmt does not print the JSON: it may hold secrets. To
	// a string, because %s follows pointers to slices.
	raw *string
}

// RawJSON returns the JSON that the value was read from, with the fields that
// this package does not know.
func (a answer) RawJSON() json.RawMessage {
	if a.raw == nil {
		return nil
	}
	return json.RawMessage(*a.raw)
}

func (a *answer) keep(raw json.RawMessage) { a.raw = new(string(raw)) }

// decode reads data into v, and keeps data in it if v embeds answer.
func decode(data json.RawMessage, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return err
	}
	if keeper, ok := v.(interface{ keep(json.RawMessage) }); ok {
		keeper.keep(data)
	}
	return nil
}

// decodeList reads the two forms that lists come in: an array, or an object
// with the array in "items".
func decodeList[T any](data []byte) ([]T, error) {
	var raws []json.RawMessage
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' {
		var page struct {
			Items *[]json.RawMessage `json:"items"`
		}
		if err := json.Unmarshal(data, &page); err != nil {
			return nil, err
		}
		if page.Items == nil {
			return nil, io.ErrUnexpectedEOF
		}
		raws = *page.Items
	} else if err := json.Unmarshal(data, &raws); err != nil {
		return nil, err
	}
	list := make([]T, len(raws))
	for i, raw := range raws {
		if err := decode(raw, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// withoutCapture keeps calls that a caller did not make, or does not wait for,
// out of the caller's Response.
func withoutCapture(ctx context.Context) context.Context {
	if ctx.Value(captureKey{}) == nil {
		return ctx
	}
	return context.WithValue(ctx, captureKey{}, nil)
}

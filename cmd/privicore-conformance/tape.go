package main

import (
	"bytes"
	"context"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/privicore/privicore-go/internal/operation"
)

// maxRecorded is how much of an answer is recorded, in bytes.
const maxRecorded = 4 << 20

// exchange is a request and its answer as they were on the wire. The client hides
// some of that: redirects that it followed, and attempts that it repeated.
type exchange struct {
	status int // 0 if there was no answer
	header http.Header
	body   []byte
}

// json returns the body, or a value that does not exist if it is not JSON.
func (e *exchange) json() gjson.Result {
	if !gjson.ValidBytes(e.body) {
		return gjson.Result{}
	}
	return gjson.ParseBytes(e.body)
}

// mediaType returns the type of the body, without its parameters.
func (e *exchange) mediaType() string {
	media, _, _ := mime.ParseMediaType(e.header.Get("Content-Type"))
	return media
}

// page reports whether the body is a page for people, as proxies send it.
func (e *exchange) page() bool {
	start := strings.ToLower(string(bytes.TrimSpace(e.body[:min(len(e.body), 256)])))
	return e.mediaType() == "text/html" || strings.HasPrefix(start, "<!doctype") || strings.HasPrefix(start, "<html")
}

// tape has the exchanges of one operation, in their order.
type tape struct {
	op *operation.Operation

	mu        sync.Mutex
	exchanges []exchange
}

type tapeKey struct{}

// record returns a context for calls whose exchanges are recorded, if they are of
// the operation.
func record(ctx context.Context, op *operation.Operation) (context.Context, *tape) {
	t := &tape{op: op}
	return context.WithValue(ctx, tapeKey{}, t), t
}

// wants reports whether a request belongs to the operation. One that follows a
// redirect belongs where the first one does.
func (t *tape) wants(req *http.Request, base string) bool {
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
	}
	switch {
	case req.Method != t.op.Method:
		return false
	case t.op.OnFileServer():
		return req.URL.Query().Has("auth")
	}
	path := strings.TrimPrefix(req.URL.Path, base)
	if t.op.PathParameter() != "" {
		return strings.HasPrefix(path, t.op.Prefix())
	}
	return path == t.op.Path
}

func (t *tape) add(e exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.exchanges = append(t.exchanges, e)
}

// all returns what was recorded so far.
func (t *tape) all() []exchange {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.exchanges
}

// recorder is the RoundTripper of all clients of a session.
type recorder struct {
	base     http.RoundTripper
	basePath string // of the base URL
	secrets  *secrets

	mu       sync.Mutex
	answered int
}

// answers returns how many answers have come.
func (r *recorder) answers() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answered
}

// RoundTrip sends req and records the answer.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.secrets.sent(req)
	t, _ := req.Context().Value(tapeKey{}).(*tape)
	wanted := t != nil && t.wants(req, r.basePath)
	resp, err := r.base.RoundTrip(req)
	if err != nil {
		if wanted {
			t.add(exchange{})
		}
		return nil, err
	}
	r.mu.Lock()
	r.answered++
	r.mu.Unlock()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRecorded))
	resp.Body = resumed(body, resp.Body, err)
	e := exchange{status: resp.StatusCode, header: resp.Header, body: body}
	r.secrets.received(e.json())
	if wanted {
		t.add(e)
	}
	return resp, nil
}

// CloseIdleConnections closes the connections that no request uses.
func (r *recorder) CloseIdleConnections() {
	if pool, ok := r.base.(interface{ CloseIdleConnections() }); ok {
		pool.CloseIdleConnections()
	}
}

// resumed returns a body whose beginning was read already. If the reading failed,
// the body fails at the same place.
func resumed(start []byte, rest io.ReadCloser, failed error) io.ReadCloser {
	reader := io.MultiReader(bytes.NewReader(start), rest)
	if failed != nil {
		reader = io.MultiReader(bytes.NewReader(start), failing{failed})
	}
	return struct {
		io.Reader
		io.Closer
	}{reader, rest}
}

// failing is a reader that returns an error.
type failing struct{ err error }

// Read returns the error.
func (f failing) Read([]byte) (int, error) { return 0, f.err }

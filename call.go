package privicore

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/google/go-querystring/query"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/redact"
	"github.com/privicore/privicore-go/internal/transport"
	"github.com/privicore/privicore-go/internal/wire"
)

// In the spelling that http.Header uses for keys.
const (
	authorizationHeader = "X-Dpt-Authorization"
	commandHeader       = "X-Dpt-Cab-Id"
	requestHeader       = "X-Dpt-Cab-Request-Id"
)

// params is what a call sends besides the token.
type params struct {
	path    string     // value of the {parameter} in the path
	values  url.Values // a form or the query, as the operation says
	form    any        // struct with url tags, in place of values
	json    any        // body of an operation that wants JSON
	target  string     // path and query of Do, in place of the operation's path
	basic   *basicAuth // for operation.Basic
	raw     Secret     // for operation.Raw
	noRetry bool       // the caller has a limiter of its own
}

type basicAuth struct {
	user     string
	password Secret
}

func (a *basicAuth) header() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(a.user+":"+a.password.Reveal()))
}

// secrets returns the password, and what is secret of the header. Servers may
// quote the header without its padding, or in the alphabet for URLs.
func (a *basicAuth) secrets() []string {
	pair := []byte(a.user + ":" + a.password.Reveal())
	return []string{
		a.password.Reveal(), base64.RawStdEncoding.EncodeToString(pair), base64.RawURLEncoding.EncodeToString(pair),
	}
}

// request is a call as it is sent, with what the reading of its answer needs.
type request struct {
	transport.Request
	params
	op      *operation.Operation
	token   string    // that authorizes it
	refused string    // token with which it was sent before, or ""
	headers [4]string // holds the values of Header in one allocation
	address url.URL   // holds what Parsed points to
	seen    *observation
}

// newRequest builds the request of an operation. It is not authorized yet.
func (c *Client) newRequest(op *operation.Operation, p params) (*request, error) {
	r := &request{op: op, params: p}
	r.Method, r.Operation = op.Method, op.Name
	r.Idempotent, r.NoRetry = op.Idempotent, p.noRetry
	r.Suffices, r.Redact, r.Scope = commandHeader, r.redact, c.scope

	r.headers = [4]string{"application/json", c.config.userAgent}
	r.Header = http.Header{"Accept": r.headers[0:1:1], "User-Agent": r.headers[1:2:2]}
	if p.form != nil {
		var err error
		if r.values, err = query.Values(p.form); err != nil {
			return nil, err
		}
	}
	var rawQuery string
	switch op.Encoding {
	case operation.URL:
		rawQuery = r.values.Encode()
	case operation.Form:
		r.Body, r.headers[2] = []byte(r.values.Encode()), "application/x-www-form-urlencoded"
	case operation.JSON:
		body, err := json.Marshal(p.json)
		if err != nil {
			return nil, err
		}
		r.Body, r.headers[2] = body, "application/json"
	}
	if r.headers[2] != "" {
		r.Header["Content-Type"] = r.headers[2:3:3]
	}
	r.setURL(c, rawQuery)
	return r, nil
}

// setURL sets the URL of r. A path without a parameter follows the base URL, which
// is parsed once for all calls.
func (r *request) setURL(c *Client, rawQuery string) {
	switch {
	case r.target != "":
		r.URL = c.config.baseURL + r.target
	case r.path != "":
		r.URL = c.config.baseURL + r.op.Prefix() + url.PathEscape(r.path)
		if rawQuery != "" {
			r.URL += "?" + rawQuery
		}
	default:
		r.address = *c.base
		r.address.Path += r.op.Path
		if r.address.RawPath != "" {
			r.address.RawPath += r.op.Path
		}
		r.address.RawQuery = rawQuery
		r.Parsed = &r.address
	}
}

// names returns the names of the parameters that were sent.
func (r *request) names() []string {
	var names []string
	for name := range r.values {
		names = append(names, name)
	}
	for name := range r.fields() {
		names = append(names, name)
	}
	slices.Sort(names)
	if name := r.op.PathParameter(); name != "" {
		names = append(names, name)
	}
	return names
}

// fields returns the members of a JSON body that is an object.
func (r *request) fields() map[string]json.RawMessage {
	if r.op.Encoding != operation.JSON {
		return nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(r.Body, &fields) != nil {
		return nil
	}
	return fields
}

func (r *request) redact(text string) string { return r.redactor()(text) }

// redactor returns a function that removes the secrets of r from a text.
func (r *request) redactor() func(string) string {
	secrets := []string{r.token, r.refused, r.raw.Reveal(), wire.Auth(r.URL)}
	if r.basic != nil {
		secrets = append(secrets, r.basic.secrets()...)
	}
	fields := r.fields()
	for _, name := range secretParameters {
		secrets = append(secrets, r.values[name]...)
		var value string
		if json.Unmarshal(fields[name], &value) == nil {
			secrets = append(secrets, value)
		}
	}
	return redact.New(secrets...)
}

// send carries out op. If the answer is a success, it calls read, which takes from
// the answer what the caller wants. It returns the error of the call or of read.
func (c *Client) send(ctx context.Context, op *operation.Operation, p params, read func(*request, *Response) error) error {
	r, err := c.newRequest(op, p)
	if err != nil {
		return &callError{operation: op, err: err}
	}
	if len(c.config.hooks) == 0 {
		return c.call(ctx, r, read)
	}
	ctx, seen := c.config.observe(ctx, r)
	err = c.call(ctx, r, read)
	seen.end(err)
	return err
}

func (c *Client) call(ctx context.Context, r *request, read func(*request, *Response) error) error {
	if err := c.scope.Err(); err != nil {
		return &callError{operation: r.op, err: err}
	}
	resp, err := c.authorized(ctx, r)
	if err != nil {
		return err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return newAPIError(r, resp)
	}
	return read(r, resp)
}

// authorized authorizes r, sends it, and returns the answer, which may have any
// status. If the server refuses the token, it renews the token once and sends r
// again. That is safe, because a 401 means that nothing was done.
func (c *Client) authorized(ctx context.Context, r *request) (*Response, error) {
	switch r.op.Auth {
	case operation.Basic:
		r.Header.Set("Authorization", r.basic.header())
	case operation.Raw:
		r.Header.Set("Authorization", "Basic "+r.raw.Reveal())
	case operation.Token:
		return c.withToken(ctx, r)
	}
	return c.exchange(ctx, r)
}

func (c *Client) withToken(ctx context.Context, r *request) (*Response, error) {
	token, err := c.tokens.get(ctx)
	if err != nil {
		return nil, &callError{operation: r.op, err: err}
	}
	r.authorize(token)
	resp, err := c.exchange(ctx, r)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	renewed, err := c.tokens.renew(ctx, token)
	switch {
	case err != nil:
		return nil, &renewalError{newAPIError(r, resp), err}
	case renewed == token:
		return resp, nil
	}
	r.Header = r.Header.Clone() // the first request may still be read
	r.refused = token
	r.token, r.Header[authorizationHeader] = renewed, []string{renewed}
	return c.exchange(ctx, r)
}

func (r *request) authorize(token string) {
	r.token, r.headers[3] = token, token
	r.Header[authorizationHeader] = r.headers[3:4:4]
}

// exchange sends r and returns the answer, which may have any status.
func (c *Client) exchange(ctx context.Context, r *request) (*Response, error) {
	sent := sentCall{op: r.op, secrets: r.secretsOfOutcome()}
	if r.op.Auth == operation.Token && r.op.Answer != operation.Value {
		// The channel has to be joined before the command is sent, or its
		// outcome could be missed.
		sent.cursor = c.channel.Join(ctx)
	}
	got, err := c.transport.Do(ctx, &r.Request)
	if c.scope.Err() != nil {
		c.transport.CloseIdle() // the connection came back to the pool after Close
	}
	if err != nil {
		return nil, newCallError(r.shown(), err)
	}
	body := wire.WithoutMark(got.Body)
	resp := &Response{StatusCode: got.StatusCode, Header: got.Header, Body: body, client: c, sent: sent}
	capture(ctx, resp)
	r.seen.answered(r.op, resp)
	return resp, nil
}

// checked is implemented by types of answers with a field that must not be empty.
type checked interface {
	missing() string // the name of such a field if it is empty, or ""
}

// value carries out op and reads its answer into a T.
func value[T any](ctx context.Context, c *Client, op *operation.Operation, p params) (*T, error) {
	v := new(T)
	err := c.send(ctx, op, p, func(r *request, resp *Response) error { return readValue(r, resp, v) })
	if err != nil {
		return nil, err
	}
	return v, nil
}

// readValue reads an answer into v, a pointer.
func readValue(r *request, resp *Response, v any) error {
	switch err := decode(resp.Body, v); {
	case err != nil:
		return unreadable(r, resp, wire.Describe(resp.Body, err))
	case string(bytes.TrimSpace(resp.Body)) == "null":
		return unreadable(r, resp, "the body is null")
	}
	if needs, ok := v.(checked); ok {
		if name := needs.missing(); name != "" {
			return unreadable(r, resp, name+" is missing")
		}
	} else if wire.SpeaksOfError(resp.Body) {
		return unreadable(r, resp, "the body speaks of an error")
	}
	return nil
}

// list carries out op and reads its answer into a slice of T.
func list[T any](ctx context.Context, c *Client, op *operation.Operation, p params) ([]T, error) {
	items, _, err := page[T](ctx, c, op, p)
	return items, err
}

// page does what list does, and also returns the answer.
func page[T any](ctx context.Context, c *Client, op *operation.Operation, p params) (items []T, answer *Response, err error) {
	err = c.send(ctx, op, p, func(r *request, resp *Response) (err error) {
		answer = resp
		if items, err = decodeList[T](resp.Body); err != nil {
			return unreadable(r, resp, wire.Describe(resp.Body, err))
		}
		return nil
	})
	return items, answer, err
}

// command carries out op, whose answer announces a command.
func (c *Client) command(ctx context.Context, op *operation.Operation, p params) (cmd *Command, err error) {
	err = c.send(ctx, op, p, func(r *request, resp *Response) (err error) {
		cmd, err = readCommand(r, resp)
		return err
	})
	return cmd, err
}

// readCommand returns the command that an answer announces.
func readCommand(r *request, resp *Response) (*Command, error) {
	cmd, err := resp.Command()
	if err != nil {
		return nil, unusable(r, resp, noCommandID(resp))
	}
	return cmd, nil
}

// noCommandID returns the error for an answer without a command id. The error says
// what came in its place, such as a proxy's page.
func noCommandID(resp *Response) error {
	if len(resp.Body) == 0 || wire.IsJSON(resp.Body) {
		return ErrNoCommandID
	}
	return fmt.Errorf("%w: %s", ErrNoCommandID, wire.Describe(resp.Body, nil))
}

// deviceCommand carries out op on a device.
func (c *Client) deviceCommand(ctx context.Context, op *operation.Operation, deviceIdentifier string) (*Command, error) {
	if err := checkIdentifier(op, "deviceIdentifier", deviceIdentifier); err != nil {
		return nil, err
	}
	return c.command(ctx, op, params{values: url.Values{"deviceIdentifier": {deviceIdentifier}}})
}

// Do sends a request for an operation that has no method of its own, and returns
// the answer. The path begins with a slash, follows the base URL, and may have a
// query. The body is nil, url.Values for a form, or any other value for JSON. Do
// sends the client's token if the client has one.
//
// Do does not wait for a command; Response.Command returns the command to wait for.
// The error is an *APIError if the status is not 2xx. If the server may have
// carried out the call, only GET and HEAD are sent again.
func (c *Client) Do(ctx context.Context, method, path string, body any) (*Response, error) {
	op := &operation.Operation{Name: "Do", Method: strings.ToUpper(method), Path: path, Auth: operation.Token}
	if err := checkPath(op); err != nil {
		return nil, err
	}
	op.Idempotent = op.Method == http.MethodGet || op.Method == http.MethodHead
	if !op.Idempotent {
		op.Answer = operation.Either
	}
	if !c.tokens.any() {
		op.Auth = operation.None
	}
	var query string
	p := params{target: path}
	if op.Path, query, _ = strings.Cut(path, "?"); query == "" {
		p.target = op.Path
	}
	switch body := body.(type) {
	case nil:
	case url.Values:
		op.Encoding, p.values = operation.Form, body
	default:
		op.Encoding, p.json = operation.JSON, body
	}
	var answer *Response
	err := c.send(ctx, op, p, func(_ *request, resp *Response) error {
		answer = resp
		return nil
	})
	return answer, err
}

// checkPath refuses a path that a server or a proxy could read as another one.
func checkPath(op *operation.Operation) error {
	u, err := url.Parse(op.Path)
	switch {
	case !strings.HasPrefix(op.Path, "/") || strings.HasPrefix(op.Path, "//"):
		return invalid(op, "path", "does not begin with a single slash")
	case err != nil:
		return invalid(op, "path", "is malformed")
	}
	// Some servers read a backslash as a slash.
	decoded := strings.ReplaceAll(u.Path, `\`, "/")
	switch {
	case strings.Contains(op.Path, "#"):
		return invalid(op, "path", "has a fragment")
	case strings.Contains(u.RawQuery, " "):
		// net/http would send it as it is, and the server would read the rest as
		// the version of HTTP.
		return invalid(op, "path", "has a space in its query")
	case strings.ContainsAny(strings.TrimSuffix(op.Path, "?"+u.RawQuery), "{}"):
		return invalid(op, "path", "has a brace; fill in the parameter, and escape braces in it")
	case path.Clean(decoded) != strings.TrimSuffix(decoded, "/") && decoded != "/", decoded == "//":
		return invalid(op, "path", "has an empty or a dot segment")
	}
	return nil
}

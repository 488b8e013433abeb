package privicore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/realtime"
	"github.com/privicore/privicore-go/internal/transport"
)

const (
	// Version of this package, as sent in the User-Agent header.
	Version = "0.1.0"

	// In the spelling that http.Header uses for keys.
	authorizationHeader = "X-Dpt-Authorization"
	commandHeader       = "X-Dpt-Cab-Id"
	userAgent           = "privicore-go/" + Version
)

// A Client talks to one Privicore server for one profile. It has a service for
// each section of the vendor's documentation. A Client is safe for concurrent
// use; make one with NewClient, and Close it when it is no longer needed.
type Client struct {
	Utility               *UtilityService
	Profile               *ProfileService
	PublicKey             *PublicKeyService
	Device                *DeviceService
	Storage               *StorageService
	VerifiedAuthenticator *VerifiedAuthenticatorService
	OAuth                 *OAuthService
	DataToken             *DataTokenService
	Policy                *PolicyService
	Voting                *VotingService

	config    *config // a pointer, so that fmt does not print what a TokenSource holds
	transport *transport.Transport
	tokens    *tokens
	pace      *pace
	channel   *realtime.Channel

	// statusByPost tells that the server wants to be polled by POST.
	statusByPost atomic.Bool

	// life ends with Close; what runs in the background for the client is
	// counted in background.
	life       context.Context
	end        context.CancelFunc
	starting   sync.Mutex
	background sync.WaitGroup
}

// service gives a service its client.
type service struct{ client *Client }

// NewClient returns a client for the server at DefaultBaseURL, unless an
// option names another. It sends nothing: the first call does. Options that
// cannot be right are reported as a *ValidationError.
func NewClient(opts ...Option) (*Client, error) {
	cfg := defaultConfig()
	if err := cfg.apply(opts); err != nil {
		return nil, err
	}
	t := transport.New(cfg.httpClient, cfg.maxRetries, cfg.logger)
	return newClient(cfg, t, newPace(cfg.pollRate))
}

// Clone returns a new client with the options of c, changed by opts. Both send
// over the same connections and share the pace of polling, so one process can
// serve many profiles. Unless opts name a token, credentials or another server,
// the new client has the credentials of c and begins with the token that c
// holds. Each of the two is closed on its own.
func (c *Client) Clone(opts ...Option) (*Client, error) {
	cfg := *c.config
	cfg.auth = auth{}
	if err := cfg.apply(opts); err != nil {
		return nil, err
	}
	t := c.transport
	if cfg.httpClient != c.config.httpClient || cfg.maxRetries != c.config.maxRetries || cfg.logger != c.config.logger {
		if cfg.httpClient == nil {
			cfg.httpClient = t.HTTPClient()
		}
		t = transport.New(cfg.httpClient, cfg.maxRetries, cfg.logger)
	}
	pace := c.pace
	if cfg.baseURL != c.config.baseURL || cfg.pollRate != c.config.pollRate {
		pace = newPace(cfg.pollRate)
	}
	// Secrets are for the server that they were given for.
	if (cfg.auth == auth{} && cfg.baseURL == c.config.baseURL) {
		cfg.auth = c.config.auth
		cfg.auth.token = c.tokens.held()
	}
	return newClient(cfg, t, pace)
}

func newClient(cfg config, t *transport.Transport, p *pace) (*Client, error) {
	if err := cfg.checkURLs(); err != nil {
		return nil, err
	}
	c := &Client{config: &cfg, transport: t, pace: p}
	c.life, c.end = context.WithCancel(context.Background())
	s := service{c}
	c.Utility = (*UtilityService)(&s)
	c.Profile = (*ProfileService)(&s)
	c.PublicKey = (*PublicKeyService)(&s)
	c.Device = (*DeviceService)(&s)
	c.Storage = (*StorageService)(&s)
	c.VerifiedAuthenticator = (*VerifiedAuthenticatorService)(&s)
	c.OAuth = (*OAuthService)(&s)
	c.DataToken = (*DataTokenService)(&s)
	c.Policy = (*PolicyService)(&s)
	c.Voting = (*VotingService)(&s)
	c.tokens = newTokens(c, cfg.auth)
	c.channel = newChannel(c)
	return c, nil
}

// begin counts a goroutine that is about to start, or tells that it must not.
func (c *Client) begin() bool {
	c.starting.Lock()
	defer c.starting.Unlock()
	if c.life.Err() != nil {
		return false
	}
	c.background.Add(1)
	return true
}

// Close ends the WebSocket channel and every wait, which return ErrClosed, and
// waits for the client's goroutines. Calls made afterwards return ErrClosed.
// Close may be called more than once; it always returns nil.
func (c *Client) Close() error {
	c.starting.Lock()
	c.end()
	c.starting.Unlock()
	c.channel.Close()
	c.background.Wait()
	c.transport.CloseIdle()
	return nil
}

// Do sends a request for an operation that has no method of its own, and
// returns the answer. The path begins with a slash and may carry a query; it
// is relative to the base URL. The body is nil, url.Values for a form, or
// anything else for JSON. The client's token is sent, if it has one.
//
// An answer that is no success is returned as an *APIError. Only a GET is
// repeated after a failure that leaves open what the server did. Do does not
// wait for a command: see Response.Command.
func (c *Client) Do(ctx context.Context, method, path string, body any) (*Response, error) {
	op := &operation.Operation{Title: "Do", Method: strings.ToUpper(method), Path: path, Auth: operation.Token}
	op.Idempotent = op.Method == http.MethodGet || op.Method == http.MethodHead
	if !c.tokens.any() {
		op.Auth = operation.None
	}
	if !op.Idempotent {
		op.Answer = operation.Either
	}
	var p params
	if err := checkPath(op); err != nil {
		return nil, err
	}
	var rawQuery string
	op.Path, rawQuery, _ = strings.Cut(path, "?")
	switch body := body.(type) {
	case nil:
	case url.Values:
		op.Encoding, p.values = operation.Form, body
	default:
		op.Encoding, p.json = operation.JSON, body
	}
	return c.send(ctx, op, &p, rawQuery)
}

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
	case strings.ContainsAny(strings.TrimSuffix(op.Path, "?"+u.RawQuery), "{}"):
		return invalid(op, "path", "has a brace; a parameter has to be filled in, and braces in it escaped")
	case path.Clean(decoded) != strings.TrimSuffix(decoded, "/") && decoded != "/":
		return invalid(op, "path", "has an empty or a dot segment")
	}
	return nil
}

// send carries out op and returns its answer if it is a success. A dead token
// is renewed once, and the call sent again: a 401 means that nothing was done.
func (c *Client) send(ctx context.Context, op *operation.Operation, p *params, rawQuery string) (*Response, error) {
	if c.life.Err() != nil {
		return nil, &callError{operation: op, err: ErrClosed}
	}
	req := &transport.Request{Method: op.Method, Repeat: op.Idempotent, Once: op.Title == operation.UtilityRequestStatus.Title, Redact: p.redact, Suffices: commandHeader}
	body, contentType, err := p.body(op)
	if err != nil {
		return nil, &callError{operation: op, err: err}
	}
	if op.Encoding == operation.URL {
		rawQuery = p.values.Encode()
	}
	req.URL = c.url(op, p.path, rawQuery)
	req.Body = body
	common := []string{"application/json", userAgent, contentType}
	req.Header = http.Header{"Accept": common[0:1:1], "User-Agent": common[1:2:2]}
	if contentType != "" {
		req.Header["Content-Type"] = common[2:3:3]
	}

	switch op.Auth {
	case operation.Basic:
		req.Header.Set("Authorization", p.basic.header())
	case operation.Raw:
		req.Header.Set("Authorization", "Basic "+p.raw.Reveal())
	case operation.Token:
		if p.token, err = c.tokens.get(ctx); err != nil {
			return nil, &callError{operation: op, err: err}
		}
		req.Header[authorizationHeader] = []string{p.token}
	}

	resp, err := c.exchange(ctx, op, req)
	if err == nil && resp.StatusCode == http.StatusUnauthorized && op.Auth == operation.Token {
		renewed, renewErr := c.tokens.renew(ctx, p.token)
		switch {
		case renewErr != nil:
			return nil, fmt.Errorf("%w; the token could not be renewed: %w", newAPIError(op, p, resp), renewErr)
		case renewed != p.token:
			p.token = renewed
			req.Header[authorizationHeader] = []string{renewed}
			resp, err = c.exchange(ctx, op, req)
		}
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, newAPIError(op, p, resp)
	}
	return resp, nil
}

// exchange sends a request whose answer may have any status.
func (c *Client) exchange(ctx context.Context, op *operation.Operation, req *transport.Request) (*Response, error) {
	var joined realtime.Mark
	if op.Auth == operation.Token && op.Answer != operation.Value {
		joined = c.channel.Join(ctx)
	}
	answer, err := c.transport.Do(ctx, req)
	if err != nil {
		failure := &callError{operation: op, err: err}
		if e, ok := errors.AsType[*transport.Error](err); ok {
			failure.err, failure.text, failure.ambiguous = e.Err, e.Error(), e.Ambiguous
		}
		return nil, failure
	}
	resp := &Response{StatusCode: answer.StatusCode, Header: answer.Header, Body: answer.Body, client: c, joined: joined}
	capture(ctx, resp)
	return resp, nil
}

func (c *Client) url(op *operation.Operation, parameter, rawQuery string) string {
	u := c.config.baseURL + op.Prefix() + url.PathEscape(parameter)
	if rawQuery != "" {
		u += "?" + rawQuery
	}
	return u
}

// value carries out op and reads its answer into a T.
func value[T any](ctx context.Context, c *Client, op *operation.Operation, p params) (*T, error) {
	resp, err := c.send(ctx, op, &p, "")
	if err != nil {
		return nil, err
	}
	v := new(T)
	if string(bytes.TrimSpace(resp.Body)) == "null" {
		return nil, unreadable(op, &p, resp, "the body is null")
	}
	if err := decode(resp.Body, v); err != nil {
		return nil, unreadable(op, &p, resp, describeBody(resp, err))
	}
	if needs, ok := any(v).(interface{ missing() string }); ok && needs.missing() != "" {
		return nil, unreadable(op, &p, resp, needs.missing()+" is missing")
	}
	return v, nil
}

// list carries out op and reads its answer into a slice of T.
func list[T any](ctx context.Context, c *Client, op *operation.Operation) ([]T, error) {
	var p params
	resp, err := c.send(ctx, op, &p, "")
	if err != nil {
		return nil, err
	}
	items, err := decodeList[T](resp.Body)
	if err != nil {
		return nil, unreadable(op, &p, resp, describeBody(resp, err))
	}
	return items, nil
}

// command carries out op, whose answer announces a command.
func (c *Client) command(ctx context.Context, op *operation.Operation, p params) (*Command, error) {
	cmd, _, err := c.accept(ctx, op, &p)
	return cmd, err
}

// accept is command for those who need more of the answer than the command.
func (c *Client) accept(ctx context.Context, op *operation.Operation, p *params) (*Command, *Response, error) {
	resp, err := c.send(ctx, op, p, "")
	if err != nil {
		return nil, nil, err
	}
	cmd, err := resp.Command()
	if err != nil {
		failure := newAPIError(op, p, resp)
		failure.err = err
		return nil, nil, failure
	}
	return cmd, resp, nil
}

// deviceParams is the parameter of all operations on one device.
type deviceParams struct {
	DeviceIdentifier string `url:"deviceIdentifier"`
}

// deviceCommand carries out op on a device.
func (c *Client) deviceCommand(ctx context.Context, op *operation.Operation, deviceIdentifier string) (*Command, error) {
	if err := checkIdentifier(op, "deviceIdentifier", deviceIdentifier); err != nil {
		return nil, err
	}
	return c.command(ctx, op, params{form: deviceParams{deviceIdentifier}})
}

// unreadable is the error for a success whose body does not fit.
func unreadable(op *operation.Operation, p *params, resp *Response, why string) error {
	failure := newAPIError(op, p, resp)
	failure.Messages, failure.Fields = nil, nil // they would be parts of a value, not of a complaint
	failure.err = fmt.Errorf("%w: %s", ErrUnexpectedAnswer, why)
	return failure
}

// commandID finds the command id in an answer: in the header, or in a body
// that is a string, an array of one string, or an object with commandId.
func commandID(resp *Response) string {
	if id := resp.Header.Get(commandHeader); id != "" {
		return id
	}
	var body struct {
		CommandID string `json:"commandId"`
	}
	var ids []string
	var id string
	switch {
	case json.Unmarshal(resp.Body, &body) == nil && body.CommandID != "":
		return body.CommandID
	case json.Unmarshal(resp.Body, &ids) == nil && len(ids) == 1:
		id = ids[0]
	default:
		_ = json.Unmarshal(resp.Body, &id)
	}
	// A body such as "accepted" or ["profile.registered"] says how it goes, not
	// which command it is. All ids that were seen are UUIDs; this asks for less.
	if !strings.ContainsAny(id, "0123456789") || strings.ContainsAny(id, ". \t\r\n") {
		return ""
	}
	return id
}

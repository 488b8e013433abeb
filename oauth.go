package privicore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/privicore/privicore-go/internal/operation"
)

// OAuthService is the section "OAuth application" of the API: applications
// that act for a profile with a token of their own. The access token authorizes
// calls like any other; OAuthService.TokenSource keeps it fresh.
type OAuthService service

// singleUseTimeout bounds a call whose answer is given only once.
const singleUseTimeout = 30 * time.Second

// valueOnce is value for an answer that is given only once: a call that has
// begun is not broken off when ctx ends, for nobody could get the answer again.
func valueOnce[T any](ctx context.Context, c *Client, op *operation.Operation, p params) (*T, error) {
	err := ctx.Err()
	if err == nil && op.Auth == operation.Token {
		_, err = c.tokens.get(ctx) // so that the call itself need not wait for a token
	}
	if err != nil {
		return nil, &callError{operation: op, err: err}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), singleUseTimeout)
	defer cancel()
	return value[T](ctx, c, op, p)
}

// OAuthApplication describes an application.
type OAuthApplication struct {
	answer
	Name        string   `json:"name"`
	RedirectURI string   `json:"redirectUri"`
	Scopes      []string `json:"scopes"`
	// ApplicationID and ClientID are given by the server.
	ApplicationID string `json:"applicationId"`
	ClientID      string `json:"clientId"`
}

// UnmarshalJSON reads the scopes in either form, a list or names between commas.
func (a *OAuthApplication) UnmarshalJSON(data []byte) error {
	type plain OAuthApplication
	wire := struct {
		*plain
		Scopes json.RawMessage `json:"scopes"`
	}{plain: (*plain)(a)}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	a.Scopes = scopesIn(wire.Scopes)
	return nil
}

func scopesIn(raw json.RawMessage) []string {
	var scopes []string
	for _, text := range messagesIn(raw) {
		scopes = append(scopes, strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })...)
	}
	return scopes
}

// OAuthConfiguration is the configuration of a registered application.
type OAuthConfiguration struct {
	answer
	ApplicationID string   `json:"applicationId"`
	ClientID      string   `json:"clientId"`
	ClientSecret  Secret   `json:"clientSecret"`
	RedirectURI   string   `json:"redirectUri"`
	Scopes        []string `json:"scopes"`
}

// UnmarshalJSON reads the scopes in either form, a list or names between commas.
func (c *OAuthConfiguration) UnmarshalJSON(data []byte) error {
	type plain OAuthConfiguration
	wire := struct {
		*plain
		Scopes json.RawMessage `json:"scopes"`
	}{plain: (*plain)(c)}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	c.Scopes = scopesIn(wire.Scopes)
	return nil
}

func (c *OAuthConfiguration) missing() string {
	switch {
	case c.ClientID == "":
		return "clientId"
	case c.ClientSecret.IsZero():
		return "clientSecret"
	}
	return ""
}

// PendingApplication is an application that is being registered. Its ID is
// also the application id.
type PendingApplication struct {
	*Command

	mu            sync.Mutex // held during the one call
	configuration *OAuthConfiguration
	unreadable    error
}

// Result waits until the application is registered and retrieves its
// configuration, which the server gives out once. Later calls, and those made
// meanwhile, return the same. See OAuthService.TakeConfiguration for what happens
// if ctx ends or the answer cannot be read.
func (p *PendingApplication) Result(ctx context.Context) (*OAuthConfiguration, error) {
	if _, err := p.Wait(ctx); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.configuration != nil || p.unreadable != nil {
		return p.configuration, p.unreadable
	}
	configuration, err := p.client.OAuth.TakeConfiguration(ctx, p.ID)
	if errors.Is(err, ErrUnexpectedAnswer) {
		p.unreadable = err // the secret is in there, and nowhere else
	}
	p.configuration = configuration
	return configuration, err
}

// Register registers an application by its name, redirect URI and scopes:
// "Register OAuth application". The other fields of app are not sent.
func (s *OAuthService) Register(ctx context.Context, app OAuthApplication) (*PendingApplication, error) {
	op := operation.OAuthRegister
	if err := checkText(op, "name", app.Name); err != nil {
		return nil, err
	}
	if err := checkIdentifier(op, "redirectUri", app.RedirectURI); err != nil {
		return nil, err
	}
	if u, err := url.Parse(app.RedirectURI); err != nil || u.Scheme == "" {
		return nil, invalid(op, "redirectUri", "is not an absolute URI")
	}
	if err := checkScopes(op, "scopes", app.Scopes); err != nil {
		return nil, err
	}
	form := struct {
		Name        string   `url:"name"`
		RedirectURI string   `url:"redirectUri"`
		Scopes      []string `url:"scopes,comma"`
	}{app.Name, app.RedirectURI, app.Scopes}
	cmd, err := s.client.command(ctx, op, params{form: form})
	if err != nil {
		return nil, err
	}
	return &PendingApplication{Command: cmd}, nil
}

func checkScopes(op *operation.Operation, field string, scopes []string) error {
	if len(scopes) == 0 {
		return invalid(op, field, "is empty")
	}
	for i, scope := range scopes {
		name := fmt.Sprintf("%s[%d]", field, i)
		if err := checkIdentifier(op, name, scope); err != nil {
			return err
		}
		if strings.ContainsAny(scope, ", ") {
			return invalid(op, name, fmt.Sprintf("is %q; a scope has no comma and no space in it", scope))
		}
	}
	return nil
}

// TakeConfiguration retrieves the configuration of an application: "Retrieve OAuth
// app configuration". It works once; after that the error matches
// ErrValidation and says oauth.already_retrieved. For that reason a call that
// has been sent is seen through, for up to 30 seconds, even if ctx ends
// meanwhile; and an answer that cannot be read is in APIError.Response.
func (s *OAuthService) TakeConfiguration(ctx context.Context, applicationID string) (*OAuthConfiguration, error) {
	op := operation.OAuthTakeConfiguration
	if err := checkIdentifier(op, "applicationId", applicationID); err != nil {
		return nil, err
	}
	form := struct {
		ApplicationID string `url:"applicationId"`
	}{applicationID}
	return valueOnce[OAuthConfiguration](ctx, s.client, op, params{form: form})
}

// AuthorizationRequest asks for an authorization code.
type AuthorizationRequest struct {
	ClientID string // of the application
	Scopes   []string
	// Nonce ties the code to this request and must never be used again. If it
	// is empty, one is made; an application that lets another program ask for
	// the code makes it itself.
	Nonce string
}

// PendingAuthorizationCode is a code that has been asked for. An application
// that is another program is told ID and Nonce, and retrieves the code with
// OAuthService.TakeAuthorizationCode.
type PendingAuthorizationCode struct {
	ID       string // under which the code is retrieved
	ClientID string
	Nonce    string

	command *Command
}

// RequestAuthorizationCode asks, in the name of the profile, for a code with
// which an application can get an access token: "Request authorization code".
func (s *OAuthService) RequestAuthorizationCode(ctx context.Context, r AuthorizationRequest) (*PendingAuthorizationCode, error) {
	op := operation.OAuthRequestAuthorizationCode
	if err := checkIdentifier(op, "client_id", r.ClientID); err != nil {
		return nil, err
	}
	if err := checkScopes(op, "scope", r.Scopes); err != nil {
		return nil, err
	}
	if r.Nonce == "" {
		r.Nonce = rand.Text()
	} else if err := checkIdentifier(op, "nonce", r.Nonce); err != nil {
		return nil, err
	}
	form := struct {
		ClientID string   `url:"client_id"`
		Nonce    string   `url:"nonce"`
		Scope    []string `url:"scope,brackets"`
	}{r.ClientID, r.Nonce, r.Scopes}
	p := params{form: form}
	resp, err := s.client.send(ctx, op, &p, "")
	if err != nil {
		return nil, err
	}
	cmd, err := resp.Command()
	if err != nil {
		return nil, withoutID(op, &p, resp)
	}
	return &PendingAuthorizationCode{ID: cmd.ID, ClientID: r.ClientID, Nonce: r.Nonce, command: cmd}, nil
}

// withoutID is the error for a success that lacks the one thing it is for.
func withoutID(op *operation.Operation, p *params, resp *Response) error {
	if resp.StatusCode != http.StatusAccepted {
		return unreadable(op, p, resp, "the identifier is missing")
	}
	failure := newAPIError(op, p, resp)
	failure.err = ErrNoCommandID
	return failure
}

// Result waits until the code is there and retrieves it in the name of the
// application, for programs that hold its secret. Where the request is a
// command, and the server rejects it, the error is a *CommandError.
func (p *PendingAuthorizationCode) Result(ctx context.Context, clientSecret Secret) (*AuthorizationCode, error) {
	if p.command == nil {
		return nil, errNoClient
	}
	var code *AuthorizationCode
	c := p.command.client
	err := c.untilFound(ctx, func() (err error) {
		code, err = c.OAuth.TakeAuthorizationCode(ctx, p.ClientID, clientSecret, p.ID, p.Nonce)
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		// The id need not be that of a command, so this is asked and not
		// waited for.
		status, statusErr := p.command.Status(ctx)
		if statusErr == nil && status.Status == CommandRejected {
			_, err = status.orError()
		}
		return err
	})
	return code, err
}

// AuthorizationCode can be exchanged for an access token once.
type AuthorizationCode struct {
	answer
	ClientID  string    `json:"clientId"`
	Nonce     string    `json:"nonce"`
	Code      Secret    `json:"authorizationCode"`
	ExpiresAt time.Time `json:"expiresAt"`
}

func (c *AuthorizationCode) missing() string {
	if c.Code.IsZero() {
		return "authorizationCode"
	}
	return ""
}

// ErrNonce means that an authorization code was made for another request or
// another application than the one it was asked for.
var ErrNonce = errors.New("the authorization code answers another request")

// TakeAuthorizationCode fetches a code, in the name of the application, by
// the id and the nonce of its request: "Retrieve authorization code". A code
// with another nonce or client id is refused with ErrNonce. While the request
// is not carried out yet, the error matches ErrNotFound;
// PendingAuthorizationCode.Result allows for that. The call is seen through
// like TakeConfiguration.
func (s *OAuthService) TakeAuthorizationCode(ctx context.Context, clientID string, clientSecret Secret, id, nonce string) (*AuthorizationCode, error) {
	op := operation.OAuthTakeAuthorizationCode
	if err := checkClient(op, clientID, clientSecret); err != nil {
		return nil, err
	}
	if err := checkIdentifier(op, "id", id); err != nil {
		return nil, err
	}
	if err := checkIdentifier(op, "nonce", nonce); err != nil {
		return nil, err
	}
	form := struct {
		ID    string `url:"id"`
		Nonce string `url:"nonce"`
	}{id, nonce}
	code, err := valueOnce[AuthorizationCode](ctx, s.client, op, params{form: form, basic: &basicAuth{clientID, clientSecret}})
	switch {
	case err != nil:
		return nil, err
	case code.Nonce != nonce || code.ClientID != "" && code.ClientID != clientID:
		return nil, &callError{operation: op, err: ErrNonce}
	}
	return code, nil
}

func checkClient(op *operation.Operation, clientID string, clientSecret Secret) error {
	switch {
	case strings.Contains(clientID, ":"):
		return invalid(op, "clientId", "has a colon in it, which basic authentication cannot carry")
	case clientSecret.IsZero():
		return invalid(op, "clientSecret", "is empty")
	}
	return checkIdentifier(op, "clientId", clientID)
}

// AccessToken authorizes an application.
type AccessToken struct {
	answer
	ClientID              string    `json:"clientId"`
	Token                 Secret    `json:"token"`
	RefreshToken          Secret    `json:"refreshToken"`
	Type                  string    `json:"type"` // "bearer"
	Scope                 string    `json:"scope"`
	ExpiresAt             time.Time `json:"expiresAt"`
	RefreshTokenExpiresAt time.Time `json:"refreshTokenExpiresAt"`
}

func (t *AccessToken) missing() string {
	if t.Token.IsZero() {
		return "token"
	}
	return ""
}

// ObtainAccessToken exchanges a code for an access token, in the name of the
// application: "Obtain access token". The code is used up by it, so the call
// is seen through like TakeConfiguration. Servers were observed to want client id
// and secret as authorization; one that refuses them with 401 is shown the code
// itself, as the documentation has it.
func (s *OAuthService) ObtainAccessToken(ctx context.Context, clientID string, clientSecret, code Secret) (*AccessToken, error) {
	op := operation.OAuthObtainAccessToken
	if err := checkClient(op, clientID, clientSecret); err != nil {
		return nil, err
	}
	if code.IsZero() {
		return nil, invalid(op, "authorization_code", "is empty")
	}
	form := struct {
		Code string `url:"authorization_code"`
	}{code.Reveal()}
	token, refused := valueOnce[AccessToken](ctx, s.client, op, params{form: form, basic: &basicAuth{clientID, clientSecret}})
	if !errors.Is(refused, ErrUnauthorized) {
		return token, refused
	}
	documented := *op
	documented.Auth = operation.Raw
	token, err := valueOnce[AccessToken](ctx, s.client, &documented, params{form: form, raw: code})
	switch {
	case errors.Is(err, ErrUnauthorized):
		return nil, refused // the server wants neither
	case err != nil:
		return nil, fmt.Errorf("%w; with the code as authorization: %w", refused, err)
	}
	return token, nil
}

// Authorize goes the whole way from an application to its access token, for
// programs that hold both the profile's token and the application's secret: it
// requests a code, waits until it can be retrieved, checks that it answers the
// request, and exchanges it.
func (s *OAuthService) Authorize(ctx context.Context, clientID string, clientSecret Secret, scopes []string) (*AccessToken, error) {
	if err := checkClient(operation.OAuthTakeAuthorizationCode, clientID, clientSecret); err != nil {
		return nil, err
	}
	pending, err := s.RequestAuthorizationCode(ctx, AuthorizationRequest{ClientID: clientID, Scopes: scopes})
	if err != nil {
		return nil, err
	}
	code, err := pending.Result(ctx, clientSecret)
	if err != nil {
		return nil, err
	}
	return s.ObtainAccessToken(ctx, clientID, clientSecret, code.Code)
}

// List returns the applications of the profile: "OAuth application list". The
// fields of an entry are inferred; RawJSON has what the server sent.
func (s *OAuthService) List(ctx context.Context) ([]OAuthApplication, error) {
	return list[OAuthApplication](ctx, s.client, operation.OAuthList)
}

// OAuthScope is what an access token allows. How it looks is not known; RawJSON
// has it.
type OAuthScope struct {
	answer
}

// UnmarshalJSON takes any JSON.
func (*OAuthScope) UnmarshalJSON([]byte) error { return nil }

// Scope returns what an access token allows: "Retrieve OAuth application
// scope".
func (s *OAuthService) Scope(ctx context.Context, accessToken Secret) (*OAuthScope, error) {
	op := operation.OAuthScope
	if accessToken.IsZero() {
		return nil, invalid(op, "access token", "is empty")
	}
	return value[OAuthScope](ctx, s.client, op, params{raw: accessToken})
}

// RefreshAccessToken exchanges a refresh token for a new access token: "Refresh
// access token". The refresh token is used up by it, so the call is seen
// through like TakeConfiguration. OAuthService.TokenSource does this by itself.
func (s *OAuthService) RefreshAccessToken(ctx context.Context, accessToken, refreshToken Secret) (*AccessToken, error) {
	op := operation.OAuthRefreshAccessToken
	switch {
	case accessToken.IsZero():
		return nil, invalid(op, "access token", "is empty")
	case refreshToken.IsZero():
		return nil, invalid(op, "refresh_token", "is empty")
	}
	return valueOnce[AccessToken](ctx, s.client, op, refreshParams(accessToken, refreshToken))
}

func refreshParams(accessToken, refreshToken Secret) params {
	form := struct {
		RefreshToken string `url:"refresh_token"`
	}{refreshToken.Reveal()}
	return params{form: form, raw: accessToken}
}

// OAuthTokenSource is a TokenSource that refreshes an access token. It is safe
// for concurrent use, and several clients may share it; each that begins to use
// it later than the first causes a refresh.
type OAuthTokenSource struct {
	// Refreshed, if it is set before first use, is called with each new token
	// before anyone gets it, so that it can be kept: the old refresh token is
	// used up.
	Refreshed func(*AccessToken) `json:"-"`

	service *OAuthService
	flight  singleflight.Group

	mu      sync.Mutex
	current AccessToken
	given   bool      // the token that the source began with has been handed out
	came    time.Time // when current was refreshed
}

// sharedFor is how long a refreshed token is handed out again. Clients that
// share a source ask at about the same time; with a token for each of them they
// could take turns at making each other's useless.
const sharedFor = 2 * time.Second

// TokenSource returns a source that begins with token, of which it needs
// Token, RefreshToken and ExpiresAt, and refreshes it through this client,
// which must stay open. Give it to another client with WithTokenSource.
func (s *OAuthService) TokenSource(token *AccessToken) *OAuthTokenSource {
	source := &OAuthTokenSource{service: s}
	if token != nil {
		source.current = *token
	}
	return source
}

// Format keeps the tokens out of what fmt prints.
func (s *OAuthTokenSource) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "OAuthTokenSource") }

// Token implements TokenSource. The first call returns the token that the
// source began with, if it has not expired; every other refreshes, unless that
// was done in the last two seconds. If ctx ends first, the refreshed token is
// kept for the next call. A refresh that the server refuses is ErrUnauthorized.
func (s *OAuthTokenSource) Token(ctx context.Context) (*AuthorizationToken, error) {
	if s.service == nil {
		return nil, fmt.Errorf("%w: the token source does not come from OAuthService.TokenSource", ErrUnauthorized)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if token := s.held(); token != nil {
		return token, nil
	}
	result := s.flight.DoChan("", func() (any, error) {
		if token := s.held(); token != nil {
			return token, nil // it came after this call had looked
		}
		return s.refresh(ctx)
	})
	select {
	case r := <-result:
		token, _ := r.Val.(*AuthorizationToken)
		return token, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// held returns the current token if it may be handed out as it is.
func (s *OAuthTokenSource) held() *AuthorizationToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	left, age := time.Until(s.current.ExpiresAt), time.Since(s.came)
	forever := s.current.ExpiresAt.IsZero()
	switch {
	case s.current.Token.IsZero():
		return nil
	case s.came.IsZero() && !s.given && (forever || left > 0):
		s.given = true
	case s.came.IsZero() || age > sharedFor || !forever && age > left:
		return nil
	}
	return &AuthorizationToken{Token: s.current.Token, ExpiresAt: s.current.ExpiresAt}
}

// refresh runs once at a time. It goes on when the context of the one that
// asked has ended, but not when the client is closed.
func (s *OAuthTokenSource) refresh(ctx context.Context) (*AuthorizationToken, error) {
	s.mu.Lock()
	old := s.current
	s.mu.Unlock()
	if old.Token.IsZero() || old.RefreshToken.IsZero() {
		return nil, fmt.Errorf("%w: the access token is dead, and there is no refresh token", ErrUnauthorized)
	}
	c := s.service.client
	if !c.begin() {
		return nil, ErrClosed
	}
	defer c.background.Done()
	ctx, cancel := context.WithTimeout(withoutCapture(context.WithoutCancel(ctx)), singleUseTimeout)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()

	token, err := value[AccessToken](ctx, c, operation.OAuthRefreshAccessToken, refreshParams(old.Token, old.RefreshToken))
	switch {
	case err != nil && c.life.Err() != nil:
		return nil, ErrClosed
	case err != nil:
		return nil, refusedRefresh(err)
	}
	if token.RefreshToken.IsZero() {
		token.RefreshToken = old.RefreshToken // a server that does not rotate
	}
	s.mu.Lock()
	s.current, s.came = *token, time.Now()
	s.mu.Unlock()
	fresh := &AuthorizationToken{Token: token.Token, ExpiresAt: token.ExpiresAt}
	if s.Refreshed != nil {
		s.Refreshed(token)
	}
	return fresh, nil
}

// Statuses with which servers refuse a refresh token.
var refusals = []int{
	http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound,
	http.StatusConflict, http.StatusGone, http.StatusUnprocessableEntity,
}

// refusedRefresh makes every refusal of a refresh token match ErrUnauthorized.
func refusedRefresh(err error) error {
	e, ok := errors.AsType[*APIError](err)
	if ok && slices.Contains(refusals, e.StatusCode) {
		return fmt.Errorf("%w: %w", ErrUnauthorized, err)
	}
	return err
}

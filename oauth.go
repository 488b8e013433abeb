package privicore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// OAuthService is the section "OAuth application" of the API: applications
// that act for a profile with a token of their own. The access token authorizes
// calls like any other; OAuthService.TokenSource keeps it fresh.
type OAuthService service

// singleUseTimeout bounds a call whose answer is given only once. It is not
// broken off when the caller's context ends.
const singleUseTimeout = 30 * time.Second

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

// OAuthConfiguration is the configuration of a registered application.
type OAuthConfiguration struct {
	answer
	ApplicationID string   `json:"applicationId"`
	ClientID      string   `json:"clientId"`
	ClientSecret  Secret   `json:"clientSecret"`
	RedirectURI   string   `json:"redirectUri"`
	Scopes        []string `json:"scopes"`
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
	mu            sync.Mutex
	configuration *OAuthConfiguration
}

// Result waits until the application is registered and retrieves its
// configuration, which the server gives out once. Later calls return the same
// again.
func (p *PendingApplication) Result(ctx context.Context) (*OAuthConfiguration, error) {
	if _, err := p.Wait(ctx); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.configuration == nil {
		configuration, err := p.client.OAuth.Configuration(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		p.configuration = configuration
	}
	return p.configuration, nil
}

// Register registers an application by its name, redirect URI and scopes:
// "Register OAuth application".
func (s *OAuthService) Register(ctx context.Context, app OAuthApplication) (*PendingApplication, error) {
	op := operation.OAuthRegister
	if err := checkText(op, "name", app.Name); err != nil {
		return nil, err
	}
	if err := checkIdentifier(op, "redirectUri", app.RedirectURI); err != nil {
		return nil, err
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
	for _, scope := range scopes {
		if scope == "" || strings.ContainsAny(scope, ", \t\r\n") {
			return invalid(op, field, fmt.Sprintf("has the scope %q, which is empty or has a comma or white space in it", scope))
		}
	}
	return nil
}

// Configuration retrieves the configuration of an application: "Retrieve OAuth
// app configuration". It works once; after that the error matches
// ErrValidation and says oauth.already_retrieved. For that reason a call that
// has been sent is seen through even if ctx ends meanwhile, and an answer that
// cannot be read is in the *APIError.
func (s *OAuthService) Configuration(ctx context.Context, applicationID string) (*OAuthConfiguration, error) {
	op := operation.OAuthConfiguration
	if err := checkIdentifier(op, "applicationId", applicationID); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, &callError{operation: op, err: err}
	}
	form := struct {
		ApplicationID string `url:"applicationId"`
	}{applicationID}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), singleUseTimeout)
	defer cancel()
	return value[OAuthConfiguration](ctx, s.client, op, params{form: form})
}

// AuthorizationCodeRequest is a code that has been asked for.
type AuthorizationCodeRequest struct {
	ID    string // under which the code is retrieved
	Nonce string
}

// RequestAuthorizationCode asks, in the name of the profile, for a code with
// which an application can get an access token: "Request authorization code".
// The nonce must never be used again; if it is empty, one is made.
func (s *OAuthService) RequestAuthorizationCode(ctx context.Context, clientID, nonce string, scopes []string) (*AuthorizationCodeRequest, error) {
	op := operation.OAuthRequestAuthorizationCode
	if err := checkIdentifier(op, "client_id", clientID); err != nil {
		return nil, err
	}
	if err := checkScopes(op, "scope", scopes); err != nil {
		return nil, err
	}
	if nonce == "" {
		nonce = rand.Text()
	}
	form := struct {
		ClientID string   `url:"client_id"`
		Nonce    string   `url:"nonce"`
		Scope    []string `url:"scope,brackets"`
	}{clientID, nonce, scopes}
	cmd, err := s.client.command(ctx, op, params{form: form})
	if err != nil {
		return nil, err
	}
	return &AuthorizationCodeRequest{ID: cmd.ID, Nonce: nonce}, nil
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

// RetrieveAuthorizationCode fetches a code, in the name of the application:
// "Retrieve authorization code". A code with another nonce or client id than
// asked for is refused with ErrNonce. The call is seen through like
// Configuration.
func (s *OAuthService) RetrieveAuthorizationCode(ctx context.Context, clientID string, clientSecret Secret, r AuthorizationCodeRequest) (*AuthorizationCode, error) {
	op := operation.OAuthRetrieveAuthorizationCode
	if err := checkClient(op, clientID, clientSecret); err != nil {
		return nil, err
	}
	if err := checkIdentifier(op, "id", r.ID); err != nil {
		return nil, err
	}
	if r.Nonce == "" {
		return nil, invalid(op, "nonce", "is empty")
	}
	if err := ctx.Err(); err != nil {
		return nil, &callError{operation: op, err: err}
	}
	form := struct {
		ID    string `url:"id"`
		Nonce string `url:"nonce"`
	}{r.ID, r.Nonce}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), singleUseTimeout)
	defer cancel()
	code, err := value[AuthorizationCode](ctx, s.client, op, params{form: form, basic: &basicAuth{clientID, clientSecret}})
	switch {
	case err != nil:
		return nil, err
	case code.Nonce != r.Nonce || code.ClientID != "" && code.ClientID != clientID:
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
// application: "Obtain access token". The code is used up by it. Servers were
// observed to want client id and secret as authorization; one that refuses
// them with 401 is shown the code itself, as the documentation has it.
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
	token, err := value[AccessToken](ctx, s.client, op, params{form: form, basic: &basicAuth{clientID, clientSecret}})
	if !errors.Is(err, ErrUnauthorized) {
		return token, err
	}
	documented := *op
	documented.Auth = operation.Raw
	token, second := value[AccessToken](ctx, s.client, &documented, params{form: form, raw: code})
	if second != nil {
		return nil, err // the first answer is about the credentials
	}
	return token, nil
}

// Authorize goes the whole way from an application to its access token, for
// programs that hold both the profile's token and the application's secret: it
// requests a code, waits until it can be retrieved, checks the nonce, and
// exchanges the code.
func (s *OAuthService) Authorize(ctx context.Context, clientID string, clientSecret Secret, scopes []string) (*AccessToken, error) {
	if err := checkClient(operation.OAuthRetrieveAuthorizationCode, clientID, clientSecret); err != nil {
		return nil, err
	}
	request, err := s.RequestAuthorizationCode(ctx, clientID, "", scopes)
	if err != nil {
		return nil, err
	}
	var code *AuthorizationCode
	err = untilFound(ctx, func() error {
		code, err = s.RetrieveAuthorizationCode(ctx, clientID, clientSecret, *request)
		return err
	})
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

// OAuthScope is what an access token allows. Its fields are not known; RawJSON
// has them.
type OAuthScope struct {
	answer
}

// UnmarshalJSON takes whatever the server sends.
func (*OAuthScope) UnmarshalJSON(data []byte) error {
	if !json.Valid(data) {
		return errors.New("not JSON")
	}
	return nil
}

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
// access token". Both old tokens are used up by it. The call is seen through
// like Configuration.
func (s *OAuthService) RefreshAccessToken(ctx context.Context, accessToken, refreshToken Secret) (*AccessToken, error) {
	op := operation.OAuthRefreshAccessToken
	switch {
	case accessToken.IsZero():
		return nil, invalid(op, "access token", "is empty")
	case refreshToken.IsZero():
		return nil, invalid(op, "refresh_token", "is empty")
	}
	if err := ctx.Err(); err != nil {
		return nil, &callError{operation: op, err: err}
	}
	form := struct {
		RefreshToken string `url:"refresh_token"`
	}{refreshToken.Reveal()}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), singleUseTimeout)
	defer cancel()
	return value[AccessToken](ctx, s.client, op, params{form: form, raw: accessToken})
}

// OAuthTokenSource is a TokenSource that refreshes an access token. It is safe
// for concurrent use.
type OAuthTokenSource struct {
	service *OAuthService
	// Refreshed, if it is set before first use, is called with each new token,
	// so that it can be kept: the refresh token before it is used up.
	Refreshed func(*AccessToken)

	mu      sync.Mutex
	current AccessToken
	given   bool // current has been handed out
}

// TokenSource returns a source that begins with token and refreshes it through
// this client, which must stay open. Give it to another client with
// WithTokenSource.
func (s *OAuthService) TokenSource(token *AccessToken) *OAuthTokenSource {
	return &OAuthTokenSource{service: s, current: *token}
}

// Format keeps the tokens out of what fmt prints.
func (s *OAuthTokenSource) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("OAuthTokenSource")) }

// Token implements TokenSource. The first call returns the token that the
// source began with, if it has not expired; every other refreshes. A refresh
// that the server refuses is ErrUnauthorized.
func (s *OAuthTokenSource) Token(ctx context.Context) (*AuthorizationToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := s.current.ExpiresAt.IsZero() || time.Now().Before(s.current.ExpiresAt)
	if s.given || !fresh {
		token, err := s.service.RefreshAccessToken(ctx, s.current.Token, s.current.RefreshToken)
		if err != nil {
			return nil, refusedRefresh(err)
		}
		if token.RefreshToken.IsZero() {
			token.RefreshToken = s.current.RefreshToken // a server that does not rotate
		}
		s.current = *token
		if s.Refreshed != nil {
			s.Refreshed(token)
		}
	}
	s.given = true
	return &AuthorizationToken{Token: s.current.Token, ExpiresAt: s.current.ExpiresAt}, nil
}

// refusedRefresh makes every refusal of a refresh token match ErrUnauthorized:
// servers also say 403, 404 or 422.
func refusedRefresh(err error) error {
	e, ok := errors.AsType[*APIError](err)
	if ok && e.StatusCode >= 400 && e.StatusCode < 500 && e.StatusCode != http.StatusTooManyRequests && e.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("%w: %w", ErrUnauthorized, err)
	}
	return err
}

package privicore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/wire"
)

// OAuthService is the section "OAuth application" of the API: applications that act
// for a profile with an access token. An access token authorizes calls like any
// other token. TokenSource refreshes it before it expires.
type OAuthService service

// singleUseTimeout bounds a call whose answer is given only once.
const singleUseTimeout = 30 * time.Second

// valueOnce does what value does, for an answer that the server gives only once. It
// does not break off a call when ctx ends, because the answer would be lost.
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

// OAuthApplication is an entry in the list of applications.
type OAuthApplication struct {
	answer
	ApplicationID string   `json:"applicationId"`
	ClientID      string   `json:"clientId"`
	Name          string   `json:"name"`
	RedirectURI   string   `json:"redirectUri"`
	Scopes        []string `json:"scopes"`
}

// Format leaves out the raw JSON.
func (a OAuthApplication) Format(s fmt.State, verb rune) { format(s, verb, a) }

// UnmarshalJSON reads the scopes as a list, or as names between commas.
func (a *OAuthApplication) UnmarshalJSON(data []byte) error {
	type plain OAuthApplication
	var fields struct {
		plain
		Scopes json.RawMessage `json:"scopes"`
	}
	if err := wire.Decode(data, &fields); err != nil {
		return err
	}
	*a = OAuthApplication(fields.plain)
	a.Scopes = wire.Scopes(fields.Scopes)
	return nil
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

// Format leaves out the raw JSON.
func (c OAuthConfiguration) Format(s fmt.State, verb rune) { format(s, verb, c) }

// UnmarshalJSON reads the scopes as a list, or as names between commas.
func (c *OAuthConfiguration) UnmarshalJSON(data []byte) error {
	type plain OAuthConfiguration
	var fields struct {
		plain
		Scopes json.RawMessage `json:"scopes"`
	}
	if err := wire.Decode(data, &fields); err != nil {
		return err
	}
	*c = OAuthConfiguration(fields.plain)
	c.Scopes = wire.Scopes(fields.Scopes)
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

// RegisterApplicationRequest describes an application to register. All fields must
// be set.
type RegisterApplicationRequest struct {
	Name        string
	RedirectURI string // absolute
	Scopes      []string
}

// Register registers an application. It does not wait. Pending.Result waits until
// the application is registered, and returns its configuration, which the server
// gives out only once. The ID of the command is also the id of the application.
//
// To go on in another process, keep the ID: Command(id).Wait, and then
// TakeConfiguration with the same id.
//
// It is the operation [Register OAuth Application].
//
// [Register OAuth Application]: https://docs.privicore.com/register-oauth-application-14411421e0
func (s *OAuthService) Register(ctx context.Context, app RegisterApplicationRequest) (*Pending[*OAuthConfiguration], error) {
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
	return newPendingOnce(cmd, s.TakeConfiguration), nil
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

// TakeConfiguration returns the configuration of an application. The server gives
// it out only once. After that the error matches ErrValidation and
// KeyAlreadyRetrieved.
//
// If ctx ends after the call was sent, TakeConfiguration still waits for the answer,
// for up to 30 seconds, because it would be lost otherwise. If the answer cannot be
// read, APIError.Response has it.
//
// It is the operation [Retrieve OAuth app configuration].
//
// [Retrieve OAuth app configuration]: https://docs.privicore.com/retrieve-oauth-app-configuration-14411422e0
func (s *OAuthService) TakeConfiguration(ctx context.Context, applicationID string) (*OAuthConfiguration, error) {
	op := operation.OAuthTakeConfiguration
	if err := checkIdentifier(op, "applicationId", applicationID); err != nil {
		return nil, err
	}
	return valueOnce[OAuthConfiguration](ctx, s.client, op, params{values: url.Values{"applicationId": {applicationID}}})
}

// AuthorizationRequest asks for an authorization code.
type AuthorizationRequest struct {
	ClientID string // of the application
	Scopes   []string
	// Nonce ties the code to this request and must never be used again. If it is
	// empty, RequestAuthorizationCode makes one. An application for which another
	// program requests the code makes the nonce itself.
	Nonce string
}

// PendingAuthorizationCode is a code that was requested. Result takes it. If the
// application is another program, give it ID and Nonce; it takes the code with
// OAuthService.TakeAuthorizationCode.
type PendingAuthorizationCode struct {
	ID       string // of the request
	ClientID string
	Nonce    string

	command *Command
}

// RequestAuthorizationCode requests, in the name of the profile, a code with which an
// application can get an access token. It does not wait for the code;
// PendingAuthorizationCode.Result does.
//
// To go on in another process, keep ID and Nonce for TakeAuthorizationCode.
//
// It is the operation "Request authorization code": see [Request OAuth app authorization code].
//
// [Request OAuth app authorization code]: https://docs.privicore.com/request-oauth-app-authorization-code-14411423e0
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
	pending := &PendingAuthorizationCode{ClientID: r.ClientID, Nonce: r.Nonce}
	err := s.client.send(ctx, op, params{form: form}, func(sent *request, resp *Response) error {
		cmd, err := resp.Command()
		if err != nil {
			return withoutID(sent, resp)
		}
		pending.ID, pending.command = cmd.ID, cmd
		return nil
	})
	if err != nil {
		return nil, err
	}
	return pending, nil
}

// Result waits until the server has made the code, and takes it in the name of the
// application. The caller needs the application's secret. Result waits for up to 10
// seconds; then the error matches ErrNotFound. If the server rejects the request,
// the error is a *CommandError.
func (p *PendingAuthorizationCode) Result(ctx context.Context, clientSecret Secret) (*AuthorizationCode, error) {
	if p.command == nil {
		return nil, errNoClient
	}
	c := p.command.client
	request := TakeAuthorizationCodeRequest{ClientID: p.ClientID, ClientSecret: clientSecret, ID: p.ID, Nonce: p.Nonce}
	return untilFound(ctx, c, p.ID, operation.OAuthRequestAuthorizationCode.Name, func(ctx context.Context) (*AuthorizationCode, error) {
		code, err := c.OAuth.TakeAuthorizationCode(ctx, request)
		if !errors.Is(err, ErrNotFound) {
			return code, err
		}
		// Some servers have no command of this id, so a wait could fail for a code
		// that comes.
		status, statusErr := p.command.Status(ctx)
		if statusErr == nil && status.Status == CommandRejected {
			return nil, &CommandError{ID: p.ID, Operation: p.command.Operation(), Messages: status.Messages}
		}
		return nil, err
	})
}

// AuthorizationCode can be exchanged for an AccessToken once.
type AuthorizationCode struct {
	answer
	ClientID  string    `json:"clientId"`
	Nonce     string    `json:"nonce"`
	Code      Secret    `json:"authorizationCode"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// Format leaves out the raw JSON.
func (c AuthorizationCode) Format(s fmt.State, verb rune) { format(s, verb, c) }

func (c *AuthorizationCode) missing() string {
	if c.Code.IsZero() {
		return "authorizationCode"
	}
	return ""
}

// ErrNonce means that the server returned an authorization code of another request or
// another application.
var ErrNonce = errors.New("the authorization code answers another request")

// TakeAuthorizationCodeRequest names a code that was requested. All fields must be
// set.
type TakeAuthorizationCodeRequest struct {
	ClientID     string
	ClientSecret Secret
	ID           string // of the request
	Nonce        string // of the request
}

// TakeAuthorizationCode returns a code, in the name of the application. The server
// gives it out only once, so the call goes on after ctx ends, like TakeConfiguration.
// The error matches ErrNotFound if the server has not made the code yet;
// PendingAuthorizationCode.Result asks again in that case. It matches ErrNonce if
// the code has another nonce or client id.
//
// It is the operation "Retrieve authorization code": see [Retrieve OAuth app authorization code].
//
// [Retrieve OAuth app authorization code]: https://docs.privicore.com/retrieve-oauth-app-authorization-code-14411424e0
func (s *OAuthService) TakeAuthorizationCode(ctx context.Context, r TakeAuthorizationCodeRequest) (*AuthorizationCode, error) {
	op := operation.OAuthTakeAuthorizationCode
	if err := checkClient(op, r.ClientID, r.ClientSecret); err != nil {
		return nil, err
	}
	if err := checkIdentifier(op, "id", r.ID); err != nil {
		return nil, err
	}
	if err := checkIdentifier(op, "nonce", r.Nonce); err != nil {
		return nil, err
	}
	form := struct {
		ID    string `url:"id"`
		Nonce string `url:"nonce"`
	}{r.ID, r.Nonce}
	code, err := valueOnce[AuthorizationCode](ctx, s.client, op, params{form: form, basic: &basicAuth{r.ClientID, r.ClientSecret}})
	switch {
	case err != nil:
		return nil, err
	case code.Nonce != r.Nonce || code.ClientID != "" && code.ClientID != r.ClientID:
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

// AccessToken authorizes the calls of an application. WithToken or
// OAuthService.TokenSource makes a client use it.
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

// Format leaves out the raw JSON.
func (t AccessToken) Format(s fmt.State, verb rune) { format(s, verb, t) }

func (t *AccessToken) missing() string {
	if t.Token.IsZero() {
		return "token"
	}
	return ""
}

// ObtainAccessTokenRequest exchanges an authorization code. All fields must be set.
type ObtainAccessTokenRequest struct {
	ClientID     string
	ClientSecret Secret
	Code         Secret
}

// ObtainAccessToken exchanges a code for an access token, in the name of the
// application. The code can be used only once, so the call goes on after ctx ends,
// like TakeConfiguration.
//
// The call is authorized with client id and secret, as was observed. If the server
// answers 401, ObtainAccessToken tries again with the code as authorization, as the
// documentation has it.
//
// It is the operation "Obtain access token": see [Obtain OAuth app access token].
//
// [Obtain OAuth app access token]: https://docs.privicore.com/obtain-oauth-app-access-token-14411425e0
func (s *OAuthService) ObtainAccessToken(ctx context.Context, r ObtainAccessTokenRequest) (*AccessToken, error) {
	op := operation.OAuthObtainAccessToken
	if err := checkClient(op, r.ClientID, r.ClientSecret); err != nil {
		return nil, err
	}
	if r.Code.IsZero() {
		return nil, invalid(op, "authorization_code", "is empty")
	}
	form := url.Values{"authorization_code": {r.Code.Reveal()}}
	token, refused := valueOnce[AccessToken](ctx, s.client, op, params{values: form, basic: &basicAuth{r.ClientID, r.ClientSecret}})
	if !errors.Is(refused, ErrUnauthorized) {
		return token, refused
	}
	documented := *op
	documented.Auth = operation.Raw
	token, err := valueOnce[AccessToken](ctx, s.client, &documented, params{values: form, raw: r.Code})
	switch {
	case errors.Is(err, ErrUnauthorized):
		return nil, refused // the server wants neither
	case err != nil:
		return nil, fmt.Errorf("%w; with the code as authorization: %w", refused, err)
	}
	return token, nil
}

// AuthorizeRequest asks for the access token of an application. All fields must be
// set.
type AuthorizeRequest struct {
	ClientID     string
	ClientSecret Secret
	Scopes       []string
}

// Authorize returns an access token for an application. It requests a code, waits for
// it, and exchanges it. The client needs the token of the profile, and the caller the
// secret of the application.
func (s *OAuthService) Authorize(ctx context.Context, r AuthorizeRequest) (*AccessToken, error) {
	if err := checkClient(operation.OAuthTakeAuthorizationCode, r.ClientID, r.ClientSecret); err != nil {
		return nil, err
	}
	pending, err := s.RequestAuthorizationCode(ctx, AuthorizationRequest{ClientID: r.ClientID, Scopes: r.Scopes})
	if err != nil {
		return nil, err
	}
	code, err := pending.Result(ctx, r.ClientSecret)
	if err != nil {
		return nil, err
	}
	return s.ObtainAccessToken(ctx, ObtainAccessTokenRequest{ClientID: r.ClientID, ClientSecret: r.ClientSecret, Code: code.Code})
}

// List returns the applications of the profile. The fields of an entry are
// inferred. RawJSON has what the server sent.
//
// It is the operation "OAuth application list".
func (s *OAuthService) List(ctx context.Context) ([]OAuthApplication, error) {
	return list[OAuthApplication](ctx, s.client, operation.OAuthList, params{})
}

// OAuthScope is what an access token allows. Its fields are not known. RawJSON has
// what the server sent.
type OAuthScope struct {
	answer
}

// Format leaves out the raw JSON.
func (o OAuthScope) Format(s fmt.State, verb rune) { format(s, verb, o) }

// UnmarshalJSON takes any JSON.
func (*OAuthScope) UnmarshalJSON([]byte) error { return nil }

// Scope returns what an access token allows.
//
// It is the operation [Retrieve OAuth application scope].
//
// [Retrieve OAuth application scope]: https://docs.privicore.com/retrieve-oauth-application-scope-14411427e0
func (s *OAuthService) Scope(ctx context.Context, accessToken Secret) (*OAuthScope, error) {
	op := operation.OAuthScope
	if accessToken.IsZero() {
		return nil, invalid(op, "access token", "is empty")
	}
	return value[OAuthScope](ctx, s.client, op, params{raw: accessToken})
}

// RefreshAccessToken exchanges a refresh token for a new access token. The refresh
// token can be used only once, so the call goes on after ctx ends, like
// TakeConfiguration. A TokenSource refreshes by itself.
//
// It is the operation "Refresh access token": see [Refresh OAuth app access token].
//
// [Refresh OAuth app access token]: https://docs.privicore.com/refresh-oauth-app-access-token-14411428e0
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
	return params{values: url.Values{"refresh_token": {refreshToken.Reveal()}}, raw: accessToken}
}

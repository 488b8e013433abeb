package privicore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// ProfileService is the section "Profile" of the API: registration,
// authentication, and the life of authorization tokens.
type ProfileService service

type credentialsParams struct {
	Username string `url:"username"`
	Password string `url:"password"`
}

func (p credentialsParams) check(op *operation.Operation) error {
	switch {
	case p.Username == "":
		return invalid(op, "username", "is empty")
	case p.Password == "":
		return invalid(op, "password", "is empty")
	}
	return nil
}

// Register registers a new profile: "Register new profile". It needs no token.
// The profile becomes active once it has a public key; Provision does all of
// it. A taken username is ErrConflict here or, from a server that looks later,
// a *CommandError from Wait.
func (s *ProfileService) Register(ctx context.Context, username, password string) (*Command, error) {
	op, form := operation.ProfileRegister, credentialsParams{username, password}
	if err := form.check(op); err != nil {
		return nil, err
	}
	return s.client.command(ctx, op, params{form: form})
}

// Authenticate exchanges credentials for a token: "Authenticate". The client
// does not use the token for its own calls; give the credentials to NewClient
// for that. Wrong credentials are ErrUnauthorized.
func (s *ProfileService) Authenticate(ctx context.Context, username, password string) (*AuthorizationToken, error) {
	op, form := operation.ProfileAuthenticate, credentialsParams{username, password}
	if err := form.check(op); err != nil {
		return nil, err
	}
	return value[AuthorizationToken](ctx, s.client, op, params{form: form})
}

// Provision makes an active profile of the client's credentials and key: it
// registers the profile, waits, authenticates, registers the key, and waits. A
// call that was interrupted can be made again: a profile that exists already
// is taken up if the password is right.
func (s *ProfileService) Provision(ctx context.Context, key PublicKey) error {
	c := s.client
	auth := c.config.auth
	switch {
	case auth.username == "":
		return invalid(operation.ProfileRegister, "username", "is not known; give the client its credentials")
	case key.IsZero():
		return invalid(operation.PublicKeyRegister, "publicKey", "is empty")
	}
	registered := s.registerAndWait(ctx, auth.username, auth.password.Reveal())
	if registered != nil && !mayExist(registered) {
		return registered
	}
	token, err := s.Authenticate(ctx, auth.username, auth.password.Reveal())
	if err != nil {
		if registered != nil {
			return registered // the name is somebody else's
		}
		return err
	}
	c.tokens.set(token)
	cmd, err := c.PublicKey.Register(ctx, key)
	if err != nil {
		return err
	}
	_, err = cmd.Wait(ctx)
	c.channel.Retry() // a join may have been refused while the profile was not active
	return err
}

func (s *ProfileService) registerAndWait(ctx context.Context, username, password string) error {
	cmd, err := s.Register(ctx, username, password)
	if err != nil {
		return err
	}
	_, err = cmd.Wait(ctx)
	return err
}

// mayExist tells whether a failed registration can mean that the profile is
// there, from an earlier attempt.
func mayExist(err error) bool {
	_, rejected := errors.AsType[*CommandError](err)
	return rejected || errors.Is(err, ErrConflict)
}

type profileID struct {
	ProfileID string `json:"profileId"`
}

func (p *profileID) missing() string {
	if p.ProfileID == "" {
		return "profileId"
	}
	return ""
}

// ID returns the id of the profile: "Retrieve profile id".
func (s *ProfileService) ID(ctx context.Context) (string, error) {
	v, err := value[profileID](ctx, s.client, operation.ProfileID, params{})
	if err != nil {
		return "", err
	}
	return v.ProfileID, nil
}

// ChangePassword changes the password: "Change password". The server checks
// the entropy of the new one: a weak one is ErrValidation. Credentials that
// were given to NewClient stay as they are.
func (s *ProfileService) ChangePassword(ctx context.Context, current, next string) (*Command, error) {
	op := operation.ProfileChangePassword
	switch {
	case current == "":
		return nil, invalid(op, "currentPassword", "is empty")
	case next == "":
		return nil, invalid(op, "newPassword", "is empty")
	}
	form := struct {
		Current string `url:"currentPassword"`
		New     string `url:"newPassword"`
	}{current, next}
	return s.client.command(ctx, op, params{form: form})
}

// QRToken is a token to show as a QR code; it can be used once.
type QRToken struct {
	Token     Secret    `json:"qrToken"`
	ExpiresAt time.Time `json:"expiresAt"`
}

func (t *QRToken) missing() string {
	if t.Token.IsZero() {
		return "qrToken"
	}
	return ""
}

// GenerateQRToken makes a token with which a device can be authorized by
// scanning it: "Generate qr token for authorization".
func (s *ProfileService) GenerateQRToken(ctx context.Context) (*QRToken, error) {
	return value[QRToken](ctx, s.client, operation.ProfileGenerateQRToken, params{})
}

// Reauthorize gives the client's token a new lifetime, in whole seconds, and
// returns it: "Reauthorize authorization token". Some servers answer with a new
// token, which the client uses from then on. Others take it as a command; then
// Reauthorize waits for its outcome and asks for the new expiry.
func (s *ProfileService) Reauthorize(ctx context.Context, ttl time.Duration) (*AuthorizationToken, error) {
	c, op := s.client, operation.ProfileReauthorize
	seconds, err := wholeSeconds(op, "ttl", ttl)
	if err != nil {
		return nil, err
	}
	form := struct {
		TTL int64 `url:"ttl"`
	}{seconds}
	p := params{form: form}
	resp, err := c.send(ctx, op, &p, "")
	if err != nil {
		return nil, err
	}
	token := new(AuthorizationToken)
	if decode(resp.Body, token) == nil && token.missing() == "" {
		c.tokens.set(token)
		return token, nil
	}
	cmd, err := resp.Command()
	if err != nil {
		return nil, unreadable(op, &p, resp, "there is neither a token nor a command id")
	}
	if _, err := cmd.Wait(ctx); err != nil {
		return nil, err
	}
	expiry, err := s.TokenExpiry(ctx)
	if err != nil {
		return nil, err
	}
	token = &AuthorizationToken{Token: NewSecret(p.token), ExpiresAt: expiry}
	c.tokens.set(token)
	return token, nil
}

// RevokeToken kills the client's token: "Revoke authorization token". A client
// with credentials or a TokenSource gets itself a new one for its next call;
// without, its calls fail with ErrUnauthorized.
func (s *ProfileService) RevokeToken(ctx context.Context) error {
	op, p := operation.ProfileRevokeToken, params{}
	resp, err := s.client.send(ctx, op, &p, "")
	if err != nil {
		return err
	}
	if len(resp.Body) > 0 && !json.Valid(resp.Body) {
		// A proxy's page: the token may well be alive.
		return unreadable(op, &p, resp, describeBody(resp, nil))
	}
	s.client.tokens.drop(p.token)
	return nil
}

type tokenExpiry struct {
	ExpiresAt time.Time `json:"expiresAt"`
}

func (e *tokenExpiry) missing() string {
	if e.ExpiresAt.IsZero() {
		return "expiresAt"
	}
	return ""
}

// TokenExpiry returns when the client's token expires: "Retrieve token expiry".
func (s *ProfileService) TokenExpiry(ctx context.Context) (time.Time, error) {
	v, err := value[tokenExpiry](ctx, s.client, operation.ProfileTokenExpiry, params{})
	if err != nil {
		return time.Time{}, err
	}
	return v.ExpiresAt, nil
}

// wholeSeconds turns a duration into what the wire wants.
func wholeSeconds(op *operation.Operation, field string, d time.Duration) (int64, error) {
	switch {
	case d <= 0:
		return 0, invalid(op, field, fmt.Sprintf("is %s; it must be positive", d))
	case d%time.Second != 0:
		return 0, invalid(op, field, fmt.Sprintf("is %s; the server takes whole seconds", d))
	}
	return int64(d / time.Second), nil
}

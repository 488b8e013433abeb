package privicore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/wire"
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

// Register registers a new profile, and needs no token. The profile becomes active
// once it has a public key; Provision does both. Register returns the command and
// does not wait. If the username is taken, the error matches ErrConflict, or Wait
// returns a *CommandError, depending on the server.
//
// It is the operation [Register new profile].
//
// [Register new profile]: https://docs.privicore.com/register-new-profile-14411413e0
func (s *ProfileService) Register(ctx context.Context, username, password string) (*Command, error) {
	op, form := operation.ProfileRegister, credentialsParams{username, password}
	if err := form.check(op); err != nil {
		return nil, err
	}
	return s.client.command(ctx, op, params{form: form})
}

// Authenticate exchanges credentials for a token, and returns the token. The
// client does not use that token itself; WithCredentials makes a client
// authenticate for its own calls. If the credentials are wrong, the error matches
// ErrUnauthorized.
//
// It is the operation [Authenticate].
//
// [Authenticate]: https://docs.privicore.com/authenticate-14411414e0
func (s *ProfileService) Authenticate(ctx context.Context, username, password string) (*AuthorizationToken, error) {
	op, form := operation.ProfileAuthenticate, credentialsParams{username, password}
	if err := form.check(op); err != nil {
		return nil, err
	}
	return value[AuthorizationToken](ctx, s.client, op, params{form: form})
}

// Provision makes an active profile with the client's credentials, which
// WithCredentials sets, and the given key. It registers the profile, authenticates,
// registers the key, and waits for each step. Calling it again is safe: if the
// profile exists and the password is right, Provision does what is missing.
//
// Provision does not replace a key. If the profile has another key, the error
// matches ErrConflict; PublicKey.Register replaces the key. If the username is
// taken and the password is wrong, the error matches ErrConflict and
// ErrUnauthorized. If the server rejects the registration for another reason, the
// error is a *CommandError. If the client has no credentials, it is a
// *ValidationError.
func (s *ProfileService) Provision(ctx context.Context, key PublicKey) error {
	c := s.client
	auth := c.config.auth
	switch {
	case auth.username == "":
		return invalid(operation.ProfileRegister, "username", "is not known; give the client its credentials")
	case key.IsZero():
		return invalid(operation.PublicKeyRegister, "publicKey", "is empty")
	}
	refused := s.registerAndWait(ctx, auth.username, auth.password.Reveal())
	if refused != nil && !mayExist(refused) {
		return refused
	}
	token, err := s.Authenticate(ctx, auth.username, auth.password.Reveal())
	if err != nil {
		return provisionError(refused, err)
	}
	c.tokens.set(token)
	if err := s.registerFirstKey(ctx, key); err != nil {
		return err
	}
	c.channel.Retry() // a join may have been refused while the profile was not active
	return nil
}

func (s *ProfileService) registerAndWait(ctx context.Context, username, password string) error {
	cmd, err := s.Register(ctx, username, password)
	if err != nil {
		return err
	}
	_, err = cmd.Wait(ctx)
	return err
}

// mayExist reports whether a failed registration can mean that the profile
// exists, from an earlier attempt.
func mayExist(err error) bool {
	return errors.Is(err, ErrRejected) || errors.Is(err, ErrConflict)
}

// Parts of the messages with which servers refuse a username that is taken.
var takenWords = []string{"taken", "exist", "in_use", "in use", "duplicate", "conflict"}

// provisionError returns the error of Provision if authenticating failed with err.
// refused is why the registration before it failed, or nil.
func provisionError(refused, err error) error {
	if refused == nil || !errors.Is(err, ErrUnauthorized) {
		return err
	}
	taken := errors.Is(refused, ErrConflict)
	if rejected, ok := errors.AsType[*CommandError](refused); ok {
		taken = slices.ContainsFunc(rejected.Messages, func(message string) bool {
			message = strings.ToLower(message)
			return slices.ContainsFunc(takenWords, func(word string) bool { return strings.Contains(message, word) })
		})
	}
	if !taken {
		return refused
	}
	return fmt.Errorf("privicore: Profile.Provision: the username is taken, and the password is not that of its profile: %w, %w: %w",
		ErrConflict, ErrUnauthorized, refused)
}

// registerFirstKey registers the key of a profile that has none, and waits.
func (s *ProfileService) registerFirstKey(ctx context.Context, key PublicKey) error {
	keys := s.client.PublicKey
	have, err := keys.Retrieve(ctx)
	// The token is new, so a refusal means that the profile is not active. The
	// documentation does not say with which status.
	inactive := errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrForbidden) ||
		errors.Is(err, ErrNotFound) || errors.Is(err, ErrValidation)
	switch {
	case err == nil && have == key:
		return nil
	case err == nil:
		return fmt.Errorf("privicore: Profile.Provision: %w: the profile is active with another public key; PublicKey.Register replaces it", ErrConflict)
	case !inactive:
		return err
	}
	cmd, err := keys.Register(ctx, key)
	if err != nil {
		return err
	}
	_, err = cmd.Wait(ctx)
	return err
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

// ID returns the id of the profile.
//
// It is the operation "Retrieve profile id".
func (s *ProfileService) ID(ctx context.Context) (string, error) {
	v, err := value[profileID](ctx, s.client, operation.ProfileID, params{})
	if err != nil {
		return "", err
	}
	return v.ProfileID, nil
}

// ChangePassword changes the password of the profile. It returns the command and
// does not wait. If the new password is too weak, the error matches ErrValidation.
// If the current password is wrong, the command is rejected. The client keeps
// authenticating with the password that WithCredentials gave it. Clone makes a
// client with the new one.
//
// It is the operation [Change password].
//
// [Change password]: https://docs.privicore.com/change-password-14411416e0
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

// QRToken is a token to show as a QR code. It can be used once.
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

// GenerateQRToken returns a token for a QR code. It authorizes a device that scans
// the code.
//
// It is the operation "Generate qr token for authorization".
func (s *ProfileService) GenerateQRToken(ctx context.Context) (*QRToken, error) {
	return value[QRToken](ctx, s.client, operation.ProfileGenerateQRToken, params{})
}

// Reauthorize gives the client's token a new lifetime, in whole seconds. It returns
// the token with its new expiry. Some servers answer with a new token, which the
// client then uses. Others run a command; Reauthorize waits for it and asks for the
// new expiry.
//
// It is the operation [Reauthorize authorization token].
//
// [Reauthorize authorization token]: https://docs.privicore.com/reauthorize-authorization-token-14411418e0
func (s *ProfileService) Reauthorize(ctx context.Context, ttl time.Duration) (*AuthorizationToken, error) {
	c, op := s.client, operation.ProfileReauthorize
	seconds, err := wholeSeconds(op, "ttl", ttl)
	if err != nil {
		return nil, err
	}
	form := struct {
		TTL int64 `url:"ttl"`
	}{seconds}
	var cmd *Command // nil if the answer has the token
	token := new(AuthorizationToken)
	err = c.send(ctx, op, params{form: form}, func(r *request, resp *Response) (err error) {
		if decode(resp.Body, token) == nil && token.missing() == "" {
			return nil
		}
		token = &AuthorizationToken{Token: NewSecret(r.token)}
		if cmd, err = resp.Command(); err != nil {
			return unreadable(r, resp, "there is neither a token nor a command id")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if cmd != nil {
		if _, err := cmd.Wait(ctx); err != nil {
			return nil, err
		}
		if token.ExpiresAt, err = s.TokenExpiry(ctx); err != nil {
			return nil, err
		}
	}
	c.tokens.set(token)
	return token, nil
}

// RevokeToken revokes the client's token. A client with credentials or a
// TokenSource gets a new token for its next call. The later calls of any other
// client fail with ErrUnauthorized.
//
// It is the operation "Revoke authorization token".
func (s *ProfileService) RevokeToken(ctx context.Context) error {
	return s.client.send(ctx, operation.ProfileRevokeToken, params{}, func(r *request, resp *Response) error {
		switch {
		case len(resp.Body) > 0 && !wire.IsJSON(resp.Body):
			// A proxy answered. The token may still be good.
			return unreadable(r, resp, wire.Describe(resp.Body, nil))
		case wire.SpeaksOfError(resp.Body):
			return unreadable(r, resp, "the body speaks of an error")
		}
		s.client.tokens.drop(r.token)
		return nil
	})
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

// TokenExpiry asks when the client's token expires, and returns it.
//
// It is the operation "Retrieve token expiry".
func (s *ProfileService) TokenExpiry(ctx context.Context) (time.Time, error) {
	v, err := value[tokenExpiry](ctx, s.client, operation.ProfileTokenExpiry, params{})
	if err != nil {
		return time.Time{}, err
	}
	return v.ExpiresAt, nil
}

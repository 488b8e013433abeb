package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"github.com/tidwall/gjson"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/operation"
)

var (
	credential = object(has("authorizationToken", text), has("expiresAt", timestamp))
	signedKey  = object(has("publicKey", hexOf(200)))
)

func health(ctx context.Context, s *session, f *finding) bool {
	e := f.value(ctx, object(has("status", text)), func(ctx context.Context) error {
		_, err := s.nobody.Utility.Health(ctx)
		return err
	})
	if e != nil && e.json().Get("status").Str != "ok" {
		f.differs("the status in the body is not \"ok\"")
	}
	return true
}

func generateKeys(ctx context.Context, s *session, f *finding) bool {
	f.value(ctx, object(has("private", hexOf(64)), has("public", hexOf(200))), func(ctx context.Context) error {
		_, err := s.nobody.PublicKey.Generate(ctx)
		return err
	})
	return true
}

func authenticate(ctx context.Context, s *session, f *finding) bool {
	e := f.value(ctx, credential, func(ctx context.Context) error {
		_, err := s.nobody.Profile.Authenticate(ctx, s.settings.username, s.settings.password)
		s.refused = errors.Is(err, privicore.ErrUnauthorized) && s.settings.token == ""
		return err
	})
	if e == nil {
		return false
	}
	if s.own != nil {
		return true // with PRIVICORE_TOKEN
	}
	token := e.json().Get("authorizationToken").Str
	return token != "" && s.signIn(ctx, token)
}

func profileID(ctx context.Context, s *session, f *finding) bool {
	f.value(ctx, object(has("profileId", text)), func(ctx context.Context) error {
		_, err := s.own.client.Profile.ID(ctx)
		s.refused = errors.Is(err, privicore.ErrUnauthorized) && s.settings.username == ""
		return err
	})
	return true
}

func tokenExpiry(ctx context.Context, s *session, f *finding) bool {
	f.value(ctx, object(has("expiresAt", timestamp)), func(ctx context.Context) error {
		_, err := s.own.client.Profile.TokenExpiry(ctx)
		return err
	})
	return true
}

func generateQRToken(ctx context.Context, s *session, f *finding) bool {
	f.value(ctx, object(has("qrToken", text), has("expiresAt", timestamp)), func(ctx context.Context) error {
		_, err := s.own.client.Profile.GenerateQRToken(ctx)
		return err
	})
	return true
}

func retrieveKey(ctx context.Context, s *session, f *finding) bool {
	f.value(ctx, signedKey, func(ctx context.Context) error {
		_, err := s.own.client.PublicKey.Retrieve(ctx)
		return err
	})
	return true
}

func retrieveCABKey(ctx context.Context, s *session, f *finding) bool {
	f.value(ctx, signedKey, func(ctx context.Context) error {
		_, err := s.own.client.PublicKey.RetrieveCAB(ctx)
		return err
	})
	return true
}

// visit signs in a second time, for what changes or ends a token.
func (s *session) visit(ctx context.Context) bool {
	if s.visitor != nil {
		return true
	}
	token, err := s.nobody.Profile.Authenticate(ctx, s.settings.username, s.settings.password)
	if err != nil {
		return false
	}
	s.visitor, err = s.open(ctx, token.Token.Reveal())
	return err == nil
}

// newLifetime is the lifetime that Reauthorize asks for.
const newLifetime = 25 * time.Minute

func reauthorize(ctx context.Context, s *session, f *finding) bool {
	if !s.visit(ctx) {
		return f.stuck(operation.ProfileAuthenticate)
	}
	profile := s.visitor.client.Profile
	before, unknown := profile.TokenExpiry(ctx)
	var refused error
	e := f.send(ctx, func(ctx context.Context) error {
		_, refused = profile.Reauthorize(ctx, newLifetime)
		return refused
	})
	if e == nil {
		return false
	}
	f.status(e, http.StatusOK, http.StatusAccepted)
	s.dialect.see(rowReauthorize, choose(e.status == http.StatusOK, e.status == http.StatusAccepted), f.op)
	if commanded(e) {
		f.reauthorized(ctx, e, refused)
	} else {
		f.body(e, credential)
	}
	after, err := profile.TokenExpiry(ctx)
	if err != nil || unknown != nil {
		f.note("the effect could not be read back")
		return true
	}
	f.expect(!after.Equal(before), "the token expires when it did before")
	return true
}

// reauthorized judges a reauthorization by a command. The client has waited for it.
func (f *finding) reauthorized(ctx context.Context, e *exchange, err error) {
	id := f.commandID(e)
	switch {
	case id == "":
	case err != nil && waiting(err):
		f.differs("the command does not succeed: %s", cause(err))
	default:
		f.acknowledged(ctx, f.s.visitor, id, true)
	}
}

func revokeToken(ctx context.Context, s *session, f *finding) bool {
	if !s.visit(ctx) {
		return f.stuck(operation.ProfileAuthenticate)
	}
	profile := s.visitor.client.Profile
	e := f.send(ctx, profile.RevokeToken)
	if e == nil {
		return false
	}
	f.status(e, http.StatusOK)
	// The client forgets a token that it revoked, so another one asks.
	probe, err := s.client(privicore.WithToken(s.visitor.token))
	if err != nil {
		return false
	}
	switch _, err := probe.Profile.TokenExpiry(ctx); {
	case err == nil:
		f.differs("the token is still accepted")
	case !errors.Is(err, privicore.ErrUnauthorized):
		f.note("the effect could not be read back")
	}
	return true
}

// registerProfile registers the spare profile. On the way it learns when a new
// profile can authenticate, and how a username that is taken is refused.
func registerProfile(ctx context.Context, s *session, f *finding) bool {
	s.spareName, s.sparePassword = s.name, rand.Text()+"-aA1"
	s.secrets.add(s.sparePassword)
	var cmd *privicore.Command
	e := f.send(ctx, func(ctx context.Context) (err error) {
		cmd, err = s.nobody.Profile.Register(ctx, s.spareName, s.sparePassword)
		return err
	})
	if e == nil {
		return false
	}
	s.made("profile "+s.spareName, nil)
	_, early := s.nobody.Profile.Authenticate(ctx, s.spareName, s.sparePassword)
	s.dialect.see(rowNewProfile, choose(errors.Is(early, privicore.ErrUnauthorized), early == nil), f.op)
	f.status(e, http.StatusAccepted)
	// Nobody can have joined the channel of a new profile, so there is no
	// acknowledgement to look for.
	if _, ok := f.follow(ctx, &account{client: s.nobody}, e, cmd); !ok {
		return false
	}
	_, err := s.nobody.Profile.Authenticate(ctx, s.spareName, s.sparePassword)
	f.expect(err == nil || !s.sound(operation.ProfileAuthenticate), "the new profile cannot authenticate")
	again, err := s.nobody.Profile.Register(ctx, s.spareName, s.sparePassword)
	conflict := errors.Is(err, privicore.ErrConflict)
	err = wait(ctx, again, err)
	s.dialect.see(rowTaken, choose(errors.Is(err, privicore.ErrRejected), conflict), f.op)
	f.expect(err != nil, "a username that is taken can be registered again")
	return true
}

// registerKey activates the spare profile by a first key, and replaces that key.
func registerKey(ctx context.Context, s *session, f *finding) bool {
	token, err := s.nobody.Profile.Authenticate(ctx, s.spareName, s.sparePassword)
	if err != nil {
		return f.stuck(operation.ProfileAuthenticate)
	}
	client, err := s.client(privicore.WithToken(token.Token.Reveal()))
	if err != nil {
		return false
	}
	first, err := privicore.GenerateKey()
	second, err2 := privicore.GenerateKey()
	if err != nil || err2 != nil {
		return false
	}
	if _, ok := f.command(ctx, &account{client: client}, func(ctx context.Context) (*privicore.Command, error) {
		return client.PublicKey.Register(ctx, first.Public())
	}); !ok {
		return false
	}
	// An active profile can join its channel.
	if s.spare, err = s.open(ctx, token.Token.Reveal()); err != nil {
		return false
	}
	if _, ok := f.command(ctx, s.spare, func(ctx context.Context) (*privicore.Command, error) {
		return s.spare.client.PublicKey.Register(ctx, second.Public())
	}); !ok {
		return false
	}
	f.effect(ctx, "the key of the profile is not the one that was registered", func(ctx context.Context) error {
		_, err := s.spare.client.PublicKey.Retrieve(ctx)
		return err
	}, func(v gjson.Result) bool { return holds(v, second.Public().String()) })
	return true
}

func changePassword(ctx context.Context, s *session, f *finding) bool {
	next := rand.Text() + "-bB2"
	s.secrets.add(next)
	if _, ok := f.command(ctx, s.spare, func(ctx context.Context) (*privicore.Command, error) {
		return s.spare.client.Profile.ChangePassword(ctx, s.sparePassword, next)
	}); !ok {
		return false
	}
	_, err := s.nobody.Profile.Authenticate(ctx, s.spareName, next)
	f.expect(!errors.Is(err, privicore.ErrUnauthorized), "the new password is refused")
	_, err = s.nobody.Profile.Authenticate(ctx, s.spareName, s.sparePassword)
	f.expect(err != nil, "the old password is still accepted")
	s.sparePassword = next
	return true
}

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/privicore/privicore-go"
)

var (
	applicationForm = object(
		has("applicationId", text), has("clientId", text), has("clientSecret", text),
		has("redirectUri", text), has("scopes", list(text)),
	)
	// The fields of an entry are inferred.
	applicationEntry = object(
		has("applicationId", text), has("clientId", text), has("name", text), has("redirectUri", text), has("scopes", list(text)),
	)
	codeForm = object(
		has("clientId", text), has("nonce", text), has("authorizationCode", text), has("expiresAt", timestamp),
	)
	accessForm = object(
		has("clientId", text), has("token", text), has("refreshToken", text), has("type", text), has("scope", text),
		has("expiresAt", timestamp), has("refreshTokenExpiresAt", timestamp),
	)
)

// scope is what the application asks for.
const scope = "all"

func registerApplication(ctx context.Context, s *session, f *finding) bool {
	id, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		pending, err := s.own.client.OAuth.Register(ctx, privicore.RegisterApplicationRequest{
			Name: s.name, RedirectURI: "https://conformance.invalid/callback", Scopes: []string{scope},
		})
		if err != nil {
			return nil, err
		}
		return pending.Command, nil
	})
	s.applicationID = id
	if ok {
		s.made("OAuth application "+s.name, nil)
	}
	return ok
}

func takeConfiguration(ctx context.Context, s *session, f *finding) bool {
	take := func(ctx context.Context) error {
		_, err := s.own.client.OAuth.TakeConfiguration(ctx, s.applicationID)
		return err
	}
	e := f.value(ctx, applicationForm, take)
	if e == nil {
		return false
	}
	v := e.json()
	s.clientID, s.clientSecret = v.Get("clientId").Str, privicore.NewSecret(v.Get("clientSecret").Str)
	if id := v.Get("applicationId"); id.Exists() {
		f.expect(id.Str == s.applicationID, "applicationId is not the command id of the registration")
	}
	switch err := take(ctx); {
	case err == nil:
		f.differs("the configuration can be retrieved more than once")
	case !errors.Is(err, privicore.KeyAlreadyRetrieved):
		f.differs("the second call is refused without the key `%s`", privicore.KeyAlreadyRetrieved)
	}
	return s.clientID != "" && !s.clientSecret.IsZero()
}

func listApplications(ctx context.Context, s *session, f *finding) bool {
	e := f.value(ctx, object(has("items", list(applicationEntry)), has("meta", someObject)), func(ctx context.Context) error {
		_, err := s.own.client.OAuth.List(ctx)
		return err
	})
	if e != nil {
		f.expect(holds(e.json(), s.applicationID), "the application that was registered is not in the list")
	}
	return true
}

func requestCode(ctx context.Context, s *session, f *finding) bool {
	s.nonce = rand.Text()
	s.secrets.add(s.nonce)
	e := f.send(ctx, func(ctx context.Context) error {
		_, err := s.own.client.OAuth.RequestAuthorizationCode(ctx, privicore.AuthorizationRequest{
			ClientID: s.clientID, Scopes: []string{scope}, Nonce: s.nonce,
		})
		return err
	})
	if e == nil {
		return false
	}
	f.status(e, http.StatusOK, http.StatusAccepted)
	s.dialect.see(rowCode, choose(e.status == http.StatusOK, e.status == http.StatusAccepted), f.op)
	s.codeRequest = f.commandID(e)
	if s.codeRequest == "" {
		return false
	}
	if e.status == http.StatusAccepted {
		// That the id is that of a command is not certain, so only a rejection says
		// something.
		_, err := s.own.client.Command(s.codeRequest).Wait(ctx)
		f.expect(!errors.Is(err, privicore.ErrRejected), "the request is rejected")
	}
	return true
}

func takeCode(ctx context.Context, s *session, f *finding) bool {
	e := f.soon(ctx, codeForm, func(ctx context.Context) error {
		_, err := s.nobody.OAuth.TakeAuthorizationCode(ctx, privicore.TakeAuthorizationCodeRequest{
			ClientID: s.clientID, ClientSecret: s.clientSecret, ID: s.codeRequest, Nonce: s.nonce,
		})
		return err
	})
	if e == nil {
		return false
	}
	v := e.json()
	f.expect(!v.Get("nonce").Exists() || v.Get("nonce").Str == s.nonce, "the nonce is not that of the request")
	f.expect(!v.Get("clientId").Exists() || v.Get("clientId").Str == s.clientID, "clientId is not that of the application")
	s.code = privicore.NewSecret(v.Get("authorizationCode").Str)
	return !s.code.IsZero()
}

// granted takes the tokens of an answer.
func (s *session) granted(v gjson.Result) bool {
	access, refresh := v.Get("token").Str, v.Get("refreshToken").Str
	if access == "" || refresh == "" {
		return false
	}
	s.access, s.refresh = privicore.NewSecret(access), privicore.NewSecret(refresh)
	s.made("access token of the application", func(ctx context.Context) error {
		application, err := s.client(privicore.WithToken(access))
		if err != nil {
			return err
		}
		return application.Profile.RevokeToken(ctx)
	})
	return true
}

// bearer compares the type of a token.
func (f *finding) bearer(v gjson.Result) {
	if kind := v.Get("type"); kind.Exists() {
		f.expect(kind.Str == "bearer", "the type of the token is not \"bearer\"")
	}
}

func obtainAccess(ctx context.Context, s *session, f *finding) bool {
	e := f.value(ctx, accessForm, func(ctx context.Context) error {
		_, err := s.nobody.OAuth.ObtainAccessToken(ctx, privicore.ObtainAccessTokenRequest{
			ClientID: s.clientID, ClientSecret: s.clientSecret, Code: s.code,
		})
		return err
	})
	if e == nil {
		return false
	}
	f.bearer(e.json())
	return s.granted(e.json())
}

func accessScope(ctx context.Context, s *session, f *finding) bool {
	f.value(ctx, anything, func(ctx context.Context) error {
		_, err := s.nobody.OAuth.Scope(ctx, s.access)
		return err
	})
	return true
}

func refreshAccess(ctx context.Context, s *session, f *finding) bool {
	before := s.access.Reveal()
	e := f.value(ctx, accessForm, func(ctx context.Context) error {
		_, err := s.nobody.OAuth.RefreshAccessToken(ctx, s.access, s.refresh)
		return err
	})
	if e == nil {
		return false
	}
	f.bearer(e.json())
	f.expect(e.json().Get("token").Str != before, "the new access token is the old one")
	return s.granted(e.json())
}

package privicore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

const (
	clientID  = "019735a0-0c1d-7e2f-8a3b-4c5d6e7f8091"
	testNonce = "nonce-of-the-request"
	// base64 of clientID:cs-sent-secret.
	clientPair = "Basic MDE5NzM1YTAtMGMxZC03ZTJmLThhM2ItNGM1ZDZlN2Y4MDkxOmNzLXNlbnQtc2VjcmV0"
)

var (
	clientSecret = privicore.NewSecret("cs-sent-secret")
	shop         = privicore.RegisterApplicationRequest{Name: "Café & shop", RedirectURI: "https://shop.example/back?a=b", Scopes: []string{"read", "write"}}
)

var oauthCalls = []wireCall{
	{
		operation: "OAuth.Register",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.OAuth.Register(ctx, shop)
		},
		method: "POST", path: "/profile/oauth-application-register", token: true, contentType: formType,
		body:   "name=Caf%C3%A9+%26+shop&redirectUri=https%3A%2F%2Fshop.example%2Fback%3Fa%3Db&scopes=read%2Cwrite",
		answer: "oauth/register.accepted", parameter: "redirectUri",
	},
	{
		operation: "OAuth.TakeConfiguration",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.OAuth.TakeConfiguration(ctx, commandID)
		},
		method: "POST", path: "/profile/retrieve-oauth-application-configuration", token: true, contentType: formType,
		body:   "applicationId=0197358e-6c2b-7f40-9d1a-3e5b7c9d0f11",
		answer: "oauth/take_configuration.ok", parameter: "applicationId",
	},
	{
		operation: "OAuth.RequestAuthorizationCode",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.OAuth.RequestAuthorizationCode(ctx, privicore.AuthorizationRequest{
				ClientID: clientID, Scopes: []string{"read", "write"}, Nonce: testNonce,
			})
		},
		method: "GET", token: true,
		path: "/profile/oauth-application-request-authorization-code" +
			"?client_id=019735a0-0c1d-7e2f-8a3b-4c5d6e7f8091&nonce=nonce-of-the-request&scope%5B%5D=read&scope%5B%5D=write",
		answer: "oauth/request_authorization_code.ok", parameter: "client_id",
	},
	{
		operation: "OAuth.TakeAuthorizationCode",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.OAuth.TakeAuthorizationCode(ctx, privicore.TakeAuthorizationCodeRequest{ClientID: clientID, ClientSecret: clientSecret, ID: commandID, Nonce: testNonce})
		},
		method: "POST", path: "/oauth-application/retrieve-authorization-code", authorization: clientPair, contentType: formType,
		body:   "id=0197358e-6c2b-7f40-9d1a-3e5b7c9d0f11&nonce=nonce-of-the-request",
		answer: "oauth/take_authorization_code.ok", parameter: "nonce",
	},
	{
		operation: "OAuth.ObtainAccessToken",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.OAuth.ObtainAccessToken(ctx, privicore.ObtainAccessTokenRequest{ClientID: clientID, ClientSecret: clientSecret, Code: privicore.NewSecret("C-sent/code")})
		},
		method: "POST", path: "/oauth-application/obtain-access-token", authorization: clientPair, contentType: formType,
		body:   "authorization_code=C-sent%2Fcode",
		answer: "oauth/obtain_access_token.ok", parameter: "authorization_code",
	},
	{
		operation: "OAuth.List",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.OAuth.List(ctx)
		},
		method: "GET", path: "/profile/retrieve-oauth-application-list", token: true,
		answer: "oauth/list.ok",
	},
	{
		operation: "OAuth.Scope",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.OAuth.Scope(ctx, privicore.NewSecret("T-access"))
		},
		method: "GET", path: "/oauth-application/retrieve-oauth-application-scope", authorization: "Basic T-access",
		answer: "oauth/scope.ok",
	},
	{
		operation: "OAuth.RefreshAccessToken",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.OAuth.RefreshAccessToken(ctx, privicore.NewSecret("T-access"), privicore.NewSecret("R-refresh"))
		},
		method: "POST", path: "/oauth-application/refresh-access-token", authorization: "Basic T-access", contentType: formType,
		body:   "refresh_token=R-refresh",
		answer: "oauth/refresh_access_token.ok", parameter: "refresh_token",
	},
}

func TestOAuthRefuses(t *testing.T) {
	t.Parallel()
	const register, request = "OAuth.Register", "OAuth.RequestAuthorizationCode"
	const retrieve, obtain, refresh = "OAuth.TakeAuthorizationCode", "OAuth.ObtainAccessToken", "OAuth.RefreshAccessToken"
	registering := func(change func(*privicore.RegisterApplicationRequest)) func(context.Context, *privicore.Client) (any, error) {
		return func(ctx context.Context, c *privicore.Client) (any, error) {
			app := shop
			change(&app)
			return c.OAuth.Register(ctx, app)
		}
	}
	requesting := func(r privicore.AuthorizationRequest) func(context.Context, *privicore.Client) (any, error) {
		return func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.OAuth.RequestAuthorizationCode(ctx, r)
		}
	}
	retrieving := func(clientID string, secret privicore.Secret, id, nonce string) func(context.Context, *privicore.Client) (any, error) {
		return func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.OAuth.TakeAuthorizationCode(ctx, privicore.TakeAuthorizationCodeRequest{ClientID: clientID, ClientSecret: secret, ID: id, Nonce: nonce})
		}
	}
	one := []string{"read"}
	none, some := privicore.Secret{}, privicore.NewSecret("x-y-z")
	cases := []refused{
		{"no name", registering(func(a *privicore.RegisterApplicationRequest) { a.Name = " " }), register, "name", "is empty"},
		{"no URI", registering(func(a *privicore.RegisterApplicationRequest) { a.RedirectURI = "" }), register, "redirectUri", "is empty"},
		{"relative URI", registering(func(a *privicore.RegisterApplicationRequest) { a.RedirectURI = "/back" }), register, "redirectUri", "absolute"},
		{"malformed URI", registering(func(a *privicore.RegisterApplicationRequest) { a.RedirectURI = "https://[x" }), register, "redirectUri", "absolute"},
		{"no scopes", registering(func(a *privicore.RegisterApplicationRequest) { a.Scopes = nil }), register, "scopes", "is empty"},
		{"empty scopes", registering(func(a *privicore.RegisterApplicationRequest) { a.Scopes = []string{} }), register, "scopes", "is empty"},
		{"blank scope", registering(func(a *privicore.RegisterApplicationRequest) { a.Scopes = []string{"read", ""} }), register, "scopes[1]", "is empty"},
		{"scope with comma", registering(func(a *privicore.RegisterApplicationRequest) { a.Scopes = []string{"read,write"} }), register, "scopes[0]", "comma"},
		{"scope with space", registering(func(a *privicore.RegisterApplicationRequest) { a.Scopes = []string{"read write"} }), register, "scopes[0]", "space"},
		{"scope with a control character", registering(func(a *privicore.RegisterApplicationRequest) { a.Scopes = []string{"re\x00ad"} }), register, "scopes[0]", "control character"},

		{"no client", requesting(privicore.AuthorizationRequest{Scopes: one}), request, "client_id", "is empty"},
		{"no scopes", requesting(privicore.AuthorizationRequest{ClientID: clientID}), request, "scope", "is empty"},
		{"scope with comma", requesting(privicore.AuthorizationRequest{ClientID: clientID, Scopes: []string{"a,b"}}), request, "scope[0]", "comma"},
		{"blank nonce", requesting(privicore.AuthorizationRequest{ClientID: clientID, Scopes: one, Nonce: " "}), request, "nonce", "is empty"},

		{"no client", retrieving("", some, commandID, "n"), retrieve, "clientId", "is empty"},
		{"client with colon", retrieving("a:b", some, commandID, "n"), retrieve, "clientId", "colon"},
		{"no secret", retrieving(clientID, none, commandID, "n"), retrieve, "clientSecret", "is empty"},
		{"no id", retrieving(clientID, some, "", "n"), retrieve, "id", "is empty"},
		{"no nonce", retrieving(clientID, some, commandID, ""), retrieve, "nonce", "is empty"},

		{"client with colon", func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.OAuth.ObtainAccessToken(ctx, privicore.ObtainAccessTokenRequest{ClientID: "a:b", ClientSecret: some, Code: some})
		}, obtain, "clientId", "colon"},
		{"no code", func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.OAuth.ObtainAccessToken(ctx, privicore.ObtainAccessTokenRequest{ClientID: clientID, ClientSecret: some, Code: none})
		}, obtain, "authorization_code", "is empty"},
		{"no access token", func(ctx context.Context, c *privicore.Client) (any, error) { return c.OAuth.Scope(ctx, none) },
			"OAuth.Scope", "access token", "is empty"},
		{"no access token", func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.OAuth.RefreshAccessToken(ctx, none, some)
		}, refresh, "access token", "is empty"},
		{"no refresh token", func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.OAuth.RefreshAccessToken(ctx, some, none)
		}, refresh, "refresh_token", "is empty"},

		{"authorize without secret", func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.OAuth.Authorize(ctx, privicore.AuthorizeRequest{ClientID: clientID, ClientSecret: none, Scopes: one})
		}, retrieve, "clientSecret", "is empty"},
		{"authorize without scopes", func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.OAuth.Authorize(ctx, privicore.AuthorizeRequest{ClientID: clientID, ClientSecret: some, Scopes: nil})
		}, request, "scope", "is empty"},
	}
	assertRefused(t, cases)
	assertIdentifierChecked(t, "OAuth.TakeConfiguration", "applicationId", func(ctx context.Context, c *privicore.Client, id string) (any, error) {
		return c.OAuth.TakeConfiguration(ctx, id)
	})
}

func TestOAuthConfiguration(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"oauth/take_configuration.ok", "oauth/take_configuration.text_scopes"} {
		c, _ := replay(t, name)
		configuration, err := c.OAuth.TakeConfiguration(t.Context(), commandID)
		require.NoError(t, err)
		assert.Equal(t, commandID, configuration.ApplicationID)
		assert.Equal(t, clientID, configuration.ClientID)
		assert.Equal(t, "cs-application-secret", configuration.ClientSecret.Reveal())
		assert.Equal(t, "https://shop.example/back", configuration.RedirectURI)
		assert.Equal(t, []string{"read", "write"}, configuration.Scopes)
		assertHidden(t, configuration, "cs-application-secret")
		assertHidden(t, *configuration, "cs-application-secret")
		_, body := parsed(t, name)
		assert.JSONEq(t, string(body), string(configuration.RawJSON()))
	}
	c, _ := replay(t, "oauth/take_configuration.already_retrieved")
	_, err := c.OAuth.TakeConfiguration(t.Context(), commandID)
	assert.ErrorIs(t, err, privicore.ErrValidation)
	assert.ErrorIs(t, err, privicore.KeyAlreadyRetrieved)
}

func TestOAuthList(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "oauth/list.ok", "oauth/list.array")
	applications, err := c.OAuth.List(t.Context())
	require.NoError(t, err)
	require.Len(t, applications, 2)
	assert.Equal(t, "shop", applications[0].Name)
	assert.Equal(t, clientID, applications[0].ClientID)
	assert.Equal(t, []string{"read", "write"}, applications[0].Scopes)
	assert.Contains(t, string(applications[0].RawJSON()), "createdAt")
	assert.Equal(t, []string{"read", "write"}, applications[1].Scopes, "a text is taken for a list")
	applications, err = c.OAuth.List(t.Context())
	require.NoError(t, err)
	assert.Len(t, applications, 1)
}

func TestOAuthScope(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"oauth/scope.ok", "oauth/scope.array", "oauth/scope.text"} {
		c, _ := replay(t, name)
		scope, err := c.OAuth.Scope(t.Context(), privicore.NewSecret("T-access"))
		require.NoError(t, err)
		_, body := parsed(t, name)
		assert.JSONEq(t, string(body), string(scope.RawJSON()))
	}
	c, _ := replay(t, "unreadable/html")
	_, err := c.OAuth.Scope(t.Context(), privicore.NewSecret("T-access"))
	assert.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
}

// The configuration is retrieved once, whoever asks, and however often.
func TestPendingApplication(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := replay(t, "oauth/register.observed", "utility/request_status.pending", "utility/request_status.succeeded", "oauth/take_configuration.ok")
		pending, err := c.OAuth.Register(t.Context(), shop)
		require.NoError(t, err)
		assert.Equal(t, commandID, pending.ID)
		_, err = pending.Wait(t.Context())
		require.NoError(t, err)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				configuration, err := pending.Result(t.Context())
				if assert.NoError(t, err) {
					assert.Equal(t, "cs-application-secret", configuration.ClientSecret.Reveal())
				}
			})
		}
		all.Wait()
		require.Len(t, s.sent, 4)
		assert.Equal(t, "applicationId="+commandID, s.sent[3].body)
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			assert.NotContains(t, fmt.Sprintf(verb, pending), "cs-application-secret")
		}
	})
}

// An answer that cannot be read holds the secret. It stays where it can be
// reached, and is not printed.
func TestPendingApplicationUnreadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := replay(t, "oauth/register.accepted", "utility/request_status.succeeded", "oauth/take_configuration.unreadable")
		pending, err := c.OAuth.Register(t.Context(), shop)
		require.NoError(t, err)
		for range 2 {
			_, err = pending.Result(t.Context())
			require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
			apiErr, ok := errors.AsType[*privicore.APIError](err)
			require.True(t, ok)
			assert.Contains(t, string(apiErr.Response.Body), "cs-application-secret")
			assertHidden(t, err, "cs-application-secret")
		}
		assert.Len(t, s.sent, 3, "asking again would only meet oauth.already_retrieved")
	})
}

// A refusal is no answer: the next call asks again.
func TestPendingApplicationRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := replay(t, "oauth/register.accepted", "utility/request_status.succeeded", "errors/403.key", "oauth/take_configuration.ok")
		pending, err := c.OAuth.Register(t.Context(), shop)
		require.NoError(t, err)
		_, err = pending.Result(t.Context())
		require.ErrorIs(t, err, privicore.ErrForbidden)
		_, err = pending.Result(t.Context())
		require.NoError(t, err)
	})
}

// What is answered only once is not lost because the caller's context ends
// while the call is under way; before that, nothing is sent.
func TestSeenThrough(t *testing.T) {
	t.Parallel()
	secret := privicore.NewSecret("x-y-z")
	for answer, do := range map[string]func(context.Context, *privicore.Client) error{
		"oauth/take_configuration.ok": func(ctx context.Context, c *privicore.Client) error {
			_, err := c.OAuth.TakeConfiguration(ctx, commandID)
			return err
		},
		"oauth/take_authorization_code.ok": func(ctx context.Context, c *privicore.Client) error {
			_, err := c.OAuth.TakeAuthorizationCode(ctx, privicore.TakeAuthorizationCodeRequest{ClientID: clientID, ClientSecret: secret, ID: commandID, Nonce: testNonce})
			return err
		},
		"oauth/obtain_access_token.ok": func(ctx context.Context, c *privicore.Client) error {
			_, err := c.OAuth.ObtainAccessToken(ctx, privicore.ObtainAccessTokenRequest{ClientID: clientID, ClientSecret: secret, Code: secret})
			return err
		},
		"oauth/refresh_access_token.ok": func(ctx context.Context, c *privicore.Client) error {
			_, err := c.OAuth.RefreshAccessToken(ctx, secret, secret)
			return err
		},
	} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			_, body := parsed(t, answer)
			var sent atomic.Int32
			c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
				sent.Add(1)
				cancel()
				_, bounded := r.Context().Deadline()
				assert.True(t, bounded, "it is not waited for for ever")
				if err := r.Context().Err(); err != nil {
					return nil, err
				}
				return reply(200, string(body))
			})
			require.NoError(t, do(ctx, c))
			require.ErrorIs(t, do(ctx, c), context.Canceled)
			assert.EqualValues(t, 1, sent.Load())
		})
	}
}

// The server takes the client's id and secret, as observed, or the code itself,
// as documented.
func TestObtainAccessToken(t *testing.T) {
	t.Parallel()
	code := privicore.NewSecret("C-sent-code")
	_, ok := parsed(t, "oauth/obtain_access_token.ok")
	for name, test := range map[string]struct {
		wants      string // 401 for any other authorization
		status     int    // for that
		sent       int
		is, is2    error
		statusCode int // of the APIError
	}{
		"observed":              {clientPair, 200, 1, nil, nil, 0},
		"documented":            {"Basic C-sent-code", 200, 2, nil, nil, 0},
		"neither":               {"Bearer x", 200, 2, privicore.ErrUnauthorized, privicore.ErrUnauthorized, 401},
		"observed, not yours":   {clientPair, 403, 1, privicore.ErrForbidden, privicore.ErrForbidden, 403},
		"documented, expired":   {"Basic C-sent-code", 404, 2, privicore.ErrUnauthorized, privicore.ErrNotFound, 401},
		"documented, ambiguous": {"Basic C-sent-code", 502, 2, privicore.ErrUnauthorized, privicore.ErrAmbiguous, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int32
			c, _ := realServer(t, func(w http.ResponseWriter, r *http.Request) {
				sent.Add(1)
				assert.Equal(t, "C-sent-code", r.FormValue("authorization_code"))
				assert.Empty(t, r.Header.Values("X-DPT-AUTHORIZATION"))
				if r.Header.Get("Authorization") != test.wants {
					w.WriteHeader(401)
					return
				}
				w.WriteHeader(test.status)
				if test.status == 200 {
					w.Write(ok)
				}
			})
			token, err := c.OAuth.ObtainAccessToken(t.Context(), privicore.ObtainAccessTokenRequest{ClientID: clientID, ClientSecret: clientSecret, Code: code})
			assert.EqualValues(t, test.sent, sent.Load())
			if test.is != nil {
				assert.ErrorIs(t, err, test.is)
				assert.ErrorIs(t, err, test.is2)
				apiErr, ok := errors.AsType[*privicore.APIError](err)
				require.True(t, ok)
				assert.Equal(t, test.statusCode, apiErr.StatusCode)
				assertHidden(t, err, "cs-sent-secret", "C-sent-code")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, []string{"T-access-token", "R-refresh-token"}, []string{token.Token.Reveal(), token.RefreshToken.Reveal()})
			assert.Equal(t, []string{clientID, "bearer", "all"}, []string{token.ClientID, token.Type, token.Scope})
			assert.True(t, token.ExpiresAt.Equal(time.Date(2026, 2, 21, 16, 33, 44, 0, time.UTC)))
			assert.True(t, token.RefreshTokenExpiresAt.Equal(time.Date(2026, 3, 23, 15, 33, 44, 0, time.UTC)))
			assertHidden(t, *token, "T-access-token", "R-refresh-token")
		})
	}
}

// A time that cannot be read does not cost the token or the code.
func TestOAuthAnswersWithOddTimes(t *testing.T) {
	t.Parallel()
	_, s := replay(t)
	s.answers = [][]byte{
		[]byte("HTTP/1.1 200 OK\n\n" + `{"nonce":"` + testNonce + `","authorizationCode":"C-1","expiresAt":"soon"}`),
		[]byte("HTTP/1.1 200 OK\n\n" + `{"token":"T-1","refreshToken":"R-1","scope":["all"],"type":1,"expiresAt":{"date":"soon"},"refreshTokenExpiresAt":"2026-03-23 15:33:44"}`),
	}
	c := s.client()
	code, err := c.OAuth.TakeAuthorizationCode(t.Context(), privicore.TakeAuthorizationCodeRequest{ClientID: clientID, ClientSecret: clientSecret, ID: commandID, Nonce: testNonce})
	require.NoError(t, err)
	assert.Equal(t, "C-1", code.Code.Reveal())
	assert.True(t, code.ExpiresAt.IsZero())
	token, err := c.OAuth.ObtainAccessToken(t.Context(), privicore.ObtainAccessTokenRequest{ClientID: clientID, ClientSecret: clientSecret, Code: code.Code})
	require.NoError(t, err)
	assert.Equal(t, []string{"T-1", "R-1"}, []string{token.Token.Reveal(), token.RefreshToken.Reveal()})
	assert.True(t, token.ExpiresAt.IsZero())
	assert.True(t, token.RefreshTokenExpiresAt.Equal(time.Date(2026, 3, 23, 15, 33, 44, 0, time.UTC)))
}

func TestNonceOfTheAnswer(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "oauth/take_authorization_code.ok", "oauth/take_authorization_code.other_nonce", "oauth/take_authorization_code.other_client")
	retrieve := func() (*privicore.AuthorizationCode, error) {
		return c.OAuth.TakeAuthorizationCode(t.Context(), privicore.TakeAuthorizationCodeRequest{ClientID: clientID, ClientSecret: clientSecret, ID: commandID, Nonce: testNonce})
	}
	code, err := retrieve()
	require.NoError(t, err)
	assert.Equal(t, "C-recorded-code", code.Code.Reveal())
	assertHidden(t, *code, "C-recorded-code")
	for range 2 {
		code, err = retrieve()
		assert.ErrorIs(t, err, privicore.ErrNonce)
		assert.Nil(t, code)
		assert.ErrorContains(t, err, "OAuth.TakeAuthorizationCode")
		assertHidden(t, err, "C-recorded-code")
	}
}

// A nonce that the caller does not give is made, and never the same again.
func TestNoncesAreFresh(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
		nonce := r.URL.Query().Get("nonce")
		assert.GreaterOrEqual(t, len(nonce), 20)
		assert.False(t, seen[nonce])
		seen[nonce] = true
		return reply(200, `["`+commandID+`"]`)
	})
	for range 100 {
		pending, err := c.OAuth.RequestAuthorizationCode(t.Context(), privicore.AuthorizationRequest{ClientID: clientID, Scopes: []string{"a"}})
		require.NoError(t, err)
		assert.True(t, seen[pending.Nonce])
		assert.Equal(t, []string{commandID, clientID}, []string{pending.ID, pending.ClientID})
	}
	assert.Len(t, seen, 100)
}

// The request is not sent again when it may have been carried out: its nonce
// would be used twice.
func TestRequestOfACodeIsNotRepeated(t *testing.T) {
	t.Parallel()
	var sent atomic.Int32
	c, _ := realServer(t, func(w http.ResponseWriter, r *http.Request) {
		sent.Add(1)
		panic(http.ErrAbortHandler)
	})
	_, err := c.OAuth.RequestAuthorizationCode(t.Context(), privicore.AuthorizationRequest{ClientID: clientID, Scopes: []string{"a"}})
	assert.ErrorIs(t, err, privicore.ErrAmbiguous)
	assert.EqualValues(t, 1, sent.Load())
}

func TestRequestOfACodeAnswers(t *testing.T) {
	t.Parallel()
	request := privicore.AuthorizationRequest{ClientID: clientID, Scopes: []string{"a"}}
	for _, name := range append(recordings(t, "commands"), "oauth/request_authorization_code.array", "oauth/request_authorization_code.observed") {
		c, _ := replay(t, name)
		pending, err := c.OAuth.RequestAuthorizationCode(t.Context(), request)
		require.NoError(t, err, name)
		assert.Equal(t, commandID, pending.ID, name)
	}
	for _, name := range recordings(t, "no_command_id") {
		c, _ := replay(t, name)
		_, err := c.OAuth.RequestAuthorizationCode(t.Context(), request)
		assert.ErrorIs(t, err, privicore.ErrNoCommandID, name)
	}
}

func TestPendingAuthorizationCode(t *testing.T) {
	t.Parallel()
	const notYet = "oauth/take_authorization_code.not_found"
	retrievals := func(s *server) (n int) {
		for _, r := range s.requests() {
			if r == "POST /oauth-application/retrieve-authorization-code" {
				n++
			}
		}
		return n
	}
	ask := func(t *testing.T, answers ...string) (*privicore.PendingAuthorizationCode, *server) {
		c, s := replay(t, append([]string{"oauth/request_authorization_code.observed"}, answers...)...)
		pending, err := c.OAuth.RequestAuthorizationCode(t.Context(), privicore.AuthorizationRequest{
			ClientID: clientID, Scopes: []string{"a"}, Nonce: testNonce,
		})
		require.NoError(t, err)
		return pending, s
	}
	t.Run("late", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			pending, s := ask(t, notYet, "utility/request_status.pending", notYet, "utility/request_status.not_found", "oauth/take_authorization_code.ok")
			code, err := pending.Result(t.Context(), clientSecret)
			require.NoError(t, err)
			assert.Equal(t, "C-recorded-code", code.Code.Reveal())
			assert.Equal(t, 3, retrievals(s))
		})
	})
	t.Run("rejected", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			pending, _ := ask(t, notYet, "utility/request_status.rejected_array")
			_, err := pending.Result(t.Context(), clientSecret)
			rejected, ok := errors.AsType[*privicore.CommandError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, commandID, rejected.ID)
		})
	})
	t.Run("never", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			// That the command has ended is asked for once.
			answers := []string{notYet, "utility/request_status.succeeded"}
			for range 30 {
				answers = append(answers, notYet)
			}
			pending, _ := ask(t, answers...)
			began := time.Now()
			_, err := pending.Result(t.Context(), clientSecret)
			assert.ErrorIs(t, err, privicore.ErrNotFound)
			assert.InDelta(t, 10, time.Since(began).Seconds(), 2)
		})
	})
	_, err := new(privicore.PendingAuthorizationCode).Result(t.Context(), clientSecret)
	assert.Error(t, err)
}

// sandboxed starts a sandbox with a profile, and a client for it.
func sandboxed(t *testing.T, opts ...privicoretest.Option) (*privicore.Client, *privicoretest.Server) {
	t.Helper()
	opts = append([]privicoretest.Option{
		privicoretest.WithProfile("alice", "correct horse"),
		privicoretest.WithLatency(5 * time.Millisecond),
	}, opts...)
	s := privicoretest.NewServer(t, opts...)
	c, err := privicore.NewClient(
		privicore.WithBaseURL(s.URL), privicore.WithWebSocketURL(s.WebSocketURL), privicore.WithCredentials("alice", "correct horse"),
	)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c, s
}

// dialects runs a test against both kinds of server.
func dialects(t *testing.T, test func(*testing.T, privicoretest.Option)) {
	for name, dialect := range map[string]privicoretest.Dialect{"documented": privicoretest.Documented, "observed": privicoretest.Observed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, privicoretest.WithDialect(dialect))
		})
	}
}

// application registers one on a sandbox.
func application(t *testing.T, c *privicore.Client) *privicore.OAuthConfiguration {
	t.Helper()
	pending, err := c.OAuth.Register(t.Context(), shop)
	require.NoError(t, err)
	app, err := pending.Result(t.Context())
	require.NoError(t, err)
	return app
}

func TestOAuthFlow(t *testing.T) {
	t.Parallel()
	inBothDialects(t, func(t *testing.T, c *privicore.Client, _ *privicoretest.Server) {
		app := application(t, c)
		_, err := c.OAuth.TakeConfiguration(t.Context(), app.ApplicationID)
		require.ErrorIs(t, err, privicore.ErrValidation)
		assert.ErrorIs(t, err, privicore.KeyAlreadyRetrieved)
		applications, err := c.OAuth.List(t.Context())
		require.NoError(t, err)
		require.Len(t, applications, 1)
		assert.Equal(t, app.ClientID, applications[0].ClientID)

		// In one call.
		token, err := c.OAuth.Authorize(t.Context(), privicore.AuthorizeRequest{ClientID: app.ClientID, ClientSecret: app.ClientSecret, Scopes: []string{"read", "write"}})
		require.NoError(t, err)
		mine, err := c.Profile.ID(t.Context())
		require.NoError(t, err)
		of := func(token *privicore.AccessToken) string {
			granted, err := c.Clone(privicore.WithToken(token.Token.Reveal()))
			require.NoError(t, err)
			defer granted.Close()
			id, err := granted.Profile.ID(t.Context())
			require.NoError(t, err)
			return id
		}
		assert.Equal(t, mine, of(token))
		scope, err := c.OAuth.Scope(t.Context(), token.Token)
		require.NoError(t, err)
		assert.Contains(t, string(scope.RawJSON()), "read,write")

		// Step by step; the application's side has no token of the profile.
		server, err := c.Clone(privicore.WithToken("T-none"))
		require.NoError(t, err)
		defer server.Close()
		pending, err := c.OAuth.RequestAuthorizationCode(t.Context(), privicore.AuthorizationRequest{
			ClientID: app.ClientID, Scopes: []string{"read"}, Nonce: "made by the application",
		})
		require.NoError(t, err)
		take := privicore.TakeAuthorizationCodeRequest{ClientID: app.ClientID, ClientSecret: app.ClientSecret, ID: pending.ID, Nonce: pending.Nonce}
		time.Sleep(time.Second) // the application is told of the request
		code, err := server.OAuth.TakeAuthorizationCode(t.Context(), take)
		require.NoError(t, err)
		assert.Equal(t, "made by the application", code.Nonce)
		_, err = server.OAuth.TakeAuthorizationCode(t.Context(), take)
		assert.ErrorIs(t, err, privicore.ErrNotFound)
		_, err = server.OAuth.ObtainAccessToken(t.Context(), privicore.ObtainAccessTokenRequest{ClientID: app.ClientID, ClientSecret: privicore.NewSecret("wrong"), Code: privicore.NewSecret("C-x")})
		assert.ErrorIs(t, err, privicore.ErrUnauthorized)
		token, err = server.OAuth.ObtainAccessToken(t.Context(), privicore.ObtainAccessTokenRequest{ClientID: app.ClientID, ClientSecret: app.ClientSecret, Code: code.Code})
		require.NoError(t, err)
		assert.Equal(t, mine, of(token))
		next, err := server.OAuth.RefreshAccessToken(t.Context(), token.Token, token.RefreshToken)
		require.NoError(t, err)
		assert.NotEqual(t, token.RefreshToken.Reveal(), next.RefreshToken.Reveal())
		_, err = server.OAuth.RefreshAccessToken(t.Context(), token.Token, token.RefreshToken)
		assert.ErrorIs(t, err, privicore.ErrValidation, "used")

		_, err = c.OAuth.RequestAuthorizationCode(t.Context(), privicore.AuthorizationRequest{
			ClientID: app.ClientID, Scopes: []string{"read"}, Nonce: "made by the application",
		})
		assert.ErrorIs(t, err, privicore.ErrValidation, "a nonce twice")
		_, err = c.OAuth.Authorize(t.Context(), privicore.AuthorizeRequest{ClientID: app.ClientID, ClientSecret: app.ClientSecret, Scopes: []string{"delete"}})
		assert.ErrorIs(t, err, privicore.ErrValidation)
		_, err = c.OAuth.Authorize(t.Context(), privicore.AuthorizeRequest{ClientID: app.ClientID, ClientSecret: privicore.NewSecret("wrong"), Scopes: []string{"read"}})
		assert.ErrorIs(t, err, privicore.ErrUnauthorized)
	})
}

// The application is registered, and the caller gives up while the one answer
// with its secret is on its way.
func TestConfigurationIsNotLost(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		s.Next("OAuth.TakeConfiguration", privicoretest.Fault{Delay: 2 * time.Second})
		pending, err := c.OAuth.Register(t.Context(), shop)
		require.NoError(t, err)
		_, err = pending.Wait(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first, err := pending.Result(ctx)
		require.NoError(t, err)
		require.Error(t, ctx.Err())
		second, err := pending.Result(t.Context())
		require.NoError(t, err)
		assert.Same(t, first, second)
		_, err = c.OAuth.Authorize(t.Context(), privicore.AuthorizeRequest{ClientID: second.ClientID, ClientSecret: second.ClientSecret, Scopes: []string{"read"}})
		assert.NoError(t, err)
	})
}

func TestRejectedApplication(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		s.Next("OAuth.Register", privicoretest.Fault{Reject: []string{"oauth.name_taken"}})
		pending, err := c.OAuth.Register(t.Context(), shop)
		require.NoError(t, err)
		_, err = pending.Result(t.Context())
		assert.ErrorIs(t, err, privicore.MessageKey("oauth.name_taken"))
		assert.Zero(t, s.Calls("OAuth.TakeConfiguration"))
	})
}

// issuer refreshes access tokens: T-1 and R-1 become T-2 and R-2, and so on. A
// refresh token works once; the newest access token is the only one alive.
type issuer struct {
	mu        sync.Mutex
	newest    int
	dead      bool // the newest is dead too
	refuse    int  // status for every refresh
	hang      chan struct{}
	noRefresh bool // it does not rotate
	refreshes int
	life      time.Duration
}

func (i *issuer) serve(r *http.Request, form url.Values) (*http.Response, error) {
	if i.hang != nil {
		select {
		case <-i.hang:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if r.URL.Path != "/oauth-application/refresh-access-token" {
		if i.dead || r.Header.Get("X-DPT-AUTHORIZATION") != fmt.Sprint("T-", i.newest) {
			return reply(401, `{"message":"unauthorized"}`)
		}
		return reply(200, `{"profileId":"`+profile1+`"}`)
	}
	i.refreshes++
	if i.refuse != 0 {
		return reply(i.refuse, `"oauth.refused"`)
	}
	wantRefresh := fmt.Sprint("R-", i.newest)
	if i.noRefresh {
		wantRefresh = "R-1"
	}
	if form.Get("refresh_token") != wantRefresh || r.Header.Get("Authorization") != fmt.Sprint("Basic T-", i.newest) {
		return reply(422, `["refresh_token: used"]`)
	}
	i.newest++
	i.dead = false
	answer := fmt.Sprintf(`{"token":"T-%d","expiresAt":%q`, i.newest, time.Now().Add(i.life).Format(time.RFC3339Nano))
	if !i.noRefresh {
		answer += fmt.Sprintf(`,"refreshToken":"R-%d"`, i.newest)
	}
	return reply(200, answer+`}`)
}

// begin returns a source with the first token.
func (i *issuer) begin(t *testing.T) (*privicore.OAuthTokenSource, *privicore.Client) {
	return i.beginKeeping(t, nil)
}

// beginKeeping is begin with a function that is told each new token.
func (i *issuer) beginKeeping(t *testing.T, keep func(*privicore.AccessToken)) (*privicore.OAuthTokenSource, *privicore.Client) {
	i.newest, i.life = 1, time.Hour
	c := fakeClient(t, i.serve, privicore.WithMaxRetries(0))
	return c.OAuth.TokenSource(&privicore.AccessToken{
		Token: privicore.NewSecret("T-1"), RefreshToken: privicore.NewSecret("R-1"), ExpiresAt: time.Now().Add(time.Hour),
	}, keep), c
}

// client is one that takes its tokens from source.
func (i *issuer) client(t *testing.T, source privicore.TokenSource) *privicore.Client {
	return fakeClient(t, i.serve, privicore.WithTokenSource(source), privicore.WithMaxRetries(0))
}

func TestOAuthTokenSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var i issuer
		var kept []string
		source, _ := i.beginKeeping(t, func(token *privicore.AccessToken) {
			kept = append(kept, token.Token.Reveal()+" "+token.RefreshToken.Reveal())
			*token = privicore.AccessToken{} // theirs, not ours
		})
		c := i.client(t, source)
		call := func() {
			t.Helper()
			_, err := c.Profile.ID(t.Context())
			require.NoError(t, err)
		}
		call()
		assert.Empty(t, kept, "it begins with the token that it was given")
		time.Sleep(59*time.Minute + 30*time.Second)
		call()
		synctest.Wait() // the token is refreshed beside the call
		assert.Equal(t, []string{"T-2 R-2"}, kept, "ahead of the expiry")
		call()
		time.Sleep(2 * time.Hour)
		call()
		assert.Equal(t, []string{"T-2 R-2", "T-3 R-3"}, kept, "long after it")
		time.Sleep(time.Minute)
		i.dead = true
		call()
		assert.Equal(t, []string{"T-2 R-2", "T-3 R-3", "T-4 R-4"}, kept, "on a 401")
		synctest.Wait()
		assertHidden(t, source, "T-4", "R-4")
	})
}

// The first token may be refused or expired as well.
func TestOAuthTokenSourceBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var i issuer
		source, _ := i.begin(t)
		i.dead = true
		_, err := i.client(t, source).Profile.ID(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, i.refreshes)
	})
	synctest.Test(t, func(t *testing.T) {
		var i issuer
		_, c := i.begin(t)
		source := c.OAuth.TokenSource(&privicore.AccessToken{
			Token: privicore.NewSecret("T-1"), RefreshToken: privicore.NewSecret("R-1"), ExpiresAt: time.Now().Add(-time.Hour),
		}, nil)
		token, err := source.Token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "T-2", token.Token.Reveal())
	})
}

func TestOAuthTokenSourceOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var i issuer
		source, _ := i.begin(t)
		i.dead = true
		c := i.client(t, source)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				_, err := c.Profile.ID(t.Context())
				assert.NoError(t, err)
			})
		}
		all.Wait()
		assert.Equal(t, 1, i.refreshes, "through a client")

		time.Sleep(time.Minute)
		for range 100 {
			all.Go(func() {
				token, err := source.Token(t.Context())
				if assert.NoError(t, err) {
					assert.Equal(t, "T-3", token.Token.Reveal())
				}
			})
		}
		all.Wait()
		assert.Equal(t, 2, i.refreshes, "directly")
	})
}

// Clients that share a source do not make each other's token useless for ever.
func TestOAuthTokenSourceShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var i issuer
		source, _ := i.begin(t)
		a, b := i.client(t, source), i.client(t, source)
		for hour := range 3 {
			for range 20 {
				for _, c := range []*privicore.Client{a, b} {
					_, err := c.Profile.ID(t.Context())
					require.NoError(t, err)
					time.Sleep(10 * time.Millisecond)
				}
			}
			assert.LessOrEqual(t, i.refreshes, 1+hour)
			time.Sleep(time.Hour)
		}
	})
}

// A server that refuses ends it: no loop, and an error that can be told apart.
func TestOAuthTokenSourceRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 403, 404, 409, 410, 422} {
		synctest.Test(t, func(t *testing.T) {
			i := issuer{refuse: status, dead: true}
			source, _ := i.begin(t)
			c := i.client(t, source)
			for range 3 {
				_, err := c.Profile.ID(t.Context())
				require.ErrorIs(t, err, privicore.ErrUnauthorized, status)
				assertHidden(t, err, "T-1", "R-1")
			}
			assert.Equal(t, 1, i.refreshes, status)
			_, err := source.Token(t.Context())
			require.ErrorIs(t, err, privicore.ErrUnauthorized, status)
			assert.ErrorContains(t, err, "OAuth.RefreshAccessToken")
		})
	}
	for _, status := range []int{408, 429, 500, 503} {
		i := issuer{refuse: status, dead: true}
		source, _ := i.begin(t)
		_, err := source.Token(t.Context()) // the given one
		require.NoError(t, err)
		_, err = source.Token(t.Context())
		require.Error(t, err)
		assert.NotErrorIs(t, err, privicore.ErrUnauthorized, "it may work later")
	}
}

func TestOAuthTokenSourceWithout(t *testing.T) {
	t.Parallel()
	var i issuer
	_, c := i.begin(t)
	for name, source := range map[string]*privicore.OAuthTokenSource{
		"no token":          c.OAuth.TokenSource(nil, nil),
		"no refresh token":  c.OAuth.TokenSource(&privicore.AccessToken{Token: privicore.NewSecret("T-1"), ExpiresAt: time.Now().Add(-time.Hour)}, nil),
		"nothing at all":    {},
		"an access token's": c.OAuth.TokenSource(&privicore.AccessToken{RefreshToken: privicore.NewSecret("R-1")}, nil),
	} {
		_, err := source.Token(t.Context())
		assert.ErrorIs(t, err, privicore.ErrUnauthorized, name)
	}
	assert.Zero(t, i.refreshes)
}

// A server that does not rotate refresh tokens keeps taking the first.
func TestOAuthTokenSourceNotRotated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := issuer{noRefresh: true}
		source, _ := i.begin(t)
		for _, want := range []string{"T-1", "T-2", "T-3"} {
			token, err := source.Token(t.Context())
			require.NoError(t, err)
			assert.Equal(t, want, token.Token.Reveal())
			time.Sleep(time.Minute)
		}
	})
}

// A refresh goes on when the one that asked gives up, and is not lost.
func TestOAuthTokenSourceGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := issuer{hang: make(chan struct{})}
		source, _ := i.begin(t)
		_, err := source.Token(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = source.Token(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = source.Token(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		close(i.hang)
		synctest.Wait()
		token, err := source.Token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "T-2", token.Token.Reveal())
		assert.Equal(t, 1, i.refreshes)
	})
}

// The client that refreshes can be closed at any time.
func TestOAuthTokenSourceClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := issuer{hang: make(chan struct{})}
		source, c := i.begin(t)
		_, err := source.Token(t.Context())
		require.NoError(t, err)
		failed := make(chan error)
		go func() {
			_, err := source.Token(t.Context())
			failed <- err
		}()
		synctest.Wait()
		require.NoError(t, c.Close())
		assert.ErrorIs(t, <-failed, privicore.ErrClosed)
		_, err = source.Token(t.Context())
		assert.ErrorIs(t, err, privicore.ErrClosed)
	})
}

// Against a sandbox whose access tokens die young.
func TestOAuthTokenSourceOnASandbox(t *testing.T) {
	t.Parallel()
	inBothDialects(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		app := application(t, c)
		token, err := c.OAuth.Authorize(t.Context(), privicore.AuthorizeRequest{ClientID: app.ClientID, ClientSecret: app.ClientSecret, Scopes: []string{"all"}})
		require.NoError(t, err)
		var kept []string
		source := c.OAuth.TokenSource(token, func(token *privicore.AccessToken) { kept = append(kept, token.RefreshToken.Reveal()) })
		granted, err := c.Clone(privicore.WithTokenSource(source))
		require.NoError(t, err)
		defer granted.Close()
		began := time.Now()
		for time.Since(began) < 10*time.Minute {
			_, err := granted.Profile.ID(t.Context())
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		assert.Len(t, slices.Compact(kept), 5, "ahead of every second minute")
		assert.Equal(t, 5, s.Calls("OAuth.RefreshAccessToken"))
	}, privicoretest.WithTokenLifetime(2*time.Minute))
}

// What a server quotes of the secrets it was sent, or puts where it does not
// belong, is not printed.
func TestOAuthSecretsAreNotQuoted(t *testing.T) {
	t.Parallel()
	sent := []string{"cs-sent-secret", clientPair[len("Basic "):], "C-sent/code", "R-refresh", "T-access", testNonce, testToken}
	for _, call := range oauthCalls {
		for _, status := range []int{400, 401, 422, 500} {
			var quoted string
			for _, secret := range sent {
				quoted += " " + secret
			}
			c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
				return reply(status, fmt.Sprintf(`{"message":%q}`, quoted))
			}, privicore.WithToken(testToken), privicore.WithMaxRetries(0))
			_, err := call.do(t.Context(), c)
			require.Error(t, err)
			for _, secret := range sent {
				// Only what this call sent can be known to it.
				form, _ := url.ParseQuery(call.body)
				_, query, _ := strings.Cut(call.path, "?")
				asked, _ := url.ParseQuery(query)
				ours := call.token && secret == testToken ||
					call.authorization == clientPair && slices.Contains(sent[:2], secret) ||
					call.authorization == "Basic "+secret ||
					slices.Contains([]string{form.Get("authorization_code"), form.Get("refresh_token"), form.Get("nonce"), asked.Get("nonce")}, secret)
				if ours {
					assert.NotContains(t, err.Error(), secret, "%s %d", call.operation, status)
				}
			}
		}
	}
	for name, do := range map[string]func(context.Context, *privicore.Client) error{
		`{"nonce":"nonce-of-the-request","authorizationCode":["s-answered"],"expiresAt":"soon"}`: func(ctx context.Context, c *privicore.Client) error {
			_, err := c.OAuth.TakeAuthorizationCode(ctx, privicore.TakeAuthorizationCodeRequest{ClientID: clientID, ClientSecret: clientSecret, ID: commandID, Nonce: testNonce})
			return err
		},
		`{"token":{"value":"s-answered"},"refreshToken":"s-answered","expiresAt":"soon"}`: func(ctx context.Context, c *privicore.Client) error {
			_, err := c.OAuth.ObtainAccessToken(ctx, privicore.ObtainAccessTokenRequest{ClientID: clientID, ClientSecret: clientSecret, Code: privicore.NewSecret("C-sent")})
			return err
		},
		`{"access_token":"s-answered","refreshToken":"s-answered"}`: func(ctx context.Context, c *privicore.Client) error {
			_, err := c.OAuth.RefreshAccessToken(ctx, privicore.NewSecret("T-access"), privicore.NewSecret("R-refresh"))
			return err
		},
	} {
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) { return reply(200, name) })
		err := do(t.Context(), c)
		require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
		assertHidden(t, err, "s-answered")
	}
}

package privicore_test

import (
	"context"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

const (
	username     = "alice"
	password     = "correct horse & battery"
	nextPassword = "staple=Zürich/9"
)

var profileCalls = []wireCall{
	{
		operation: "Profile.Register",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Profile.Register(ctx, username, password)
		},
		method: "POST", path: "/profile/register-profile", contentType: formType,
		body:   "password=correct+horse+%26+battery&username=alice",
		answer: "profile/register.accepted", parameter: "username",
	},
	{
		operation: "Profile.Authenticate",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Profile.Authenticate(ctx, username, password)
		},
		method: "POST", path: "/profile/authenticate", contentType: formType,
		body:   "password=correct+horse+%26+battery&username=alice",
		answer: "profile/authenticate.ok", parameter: "password",
	},
	{
		operation: "Profile.ID",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Profile.ID(ctx)
		},
		method: "GET", path: "/profile/retrieve-profile-id", token: true,
		answer: "profile/id.ok",
	},
	{
		operation: "Profile.ChangePassword",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Profile.ChangePassword(ctx, password, nextPassword)
		},
		method: "POST", path: "/profile/change-password", token: true, contentType: formType,
		body:   "currentPassword=correct+horse+%26+battery&newPassword=staple%3DZ%C3%BCrich%2F9",
		answer: "profile/change_password.accepted", parameter: "newPassword",
	},
	{
		operation: "Profile.GenerateQRToken",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Profile.GenerateQRToken(ctx)
		},
		method: "POST", path: "/profile/generate-token-qr", token: true, contentType: formType,
		answer: "profile/generate_qr_token.ok",
	},
	{
		operation: "Profile.Reauthorize",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Profile.Reauthorize(ctx, 2*time.Hour)
		},
		method: "POST", path: "/profile/reauthorize-authorization-token", token: true, contentType: formType,
		body:   "ttl=7200",
		answer: "profile/reauthorize.ok", parameter: "ttl",
	},
	{
		operation: "Profile.RevokeToken",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return nil, c.Profile.RevokeToken(ctx)
		},
		method: "POST", path: "/profile/revoke-authorization-token", token: true, contentType: formType,
		answer: "profile/revoke_token.ok",
	},
	{
		operation: "Profile.TokenExpiry",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Profile.TokenExpiry(ctx)
		},
		method: "POST", path: "/profile/authorization-token/expiry", token: true, contentType: formType,
		answer: "profile/token_expiry.ok",
	},
}

func TestAuthenticate(t *testing.T) {
	for _, name := range []string{"profile/authenticate.ok", "profile/authenticate.observed"} {
		c, s := replay(t, name)
		token, err := c.Profile.Authenticate(t.Context(), username, password)
		require.NoError(t, err)
		assert.Equal(t, "T-1f6c2b7e-recorded-token", token.Token.Reveal())
		assert.True(t, token.ExpiresAt.Equal(time.Date(2026, 2, 21, 15, 33, 44, 0, time.UTC)), "%s", token.ExpiresAt)
		assertHidden(t, token, "T-1f6c2b7e-recorded-token")
		assertHidden(t, *token, "T-1f6c2b7e-recorded-token")
		assert.Len(t, s.sent, 1)
	}
}

func TestAuthenticateWrongCredentials(t *testing.T) {
	c, s := replay(t, "profile/authenticate.unauthorized")
	_, err := c.Profile.Authenticate(t.Context(), username, password)
	assert.ErrorIs(t, err, privicore.ErrUnauthorized)
	assert.ErrorContains(t, err, "Wrong username or password.")
	assert.Len(t, s.sent, 1)
}

func TestProfileID(t *testing.T) {
	c, _ := replay(t, "profile/id.ok")
	id, err := c.Profile.ID(t.Context())
	require.NoError(t, err)
	assert.Equal(t, profile1, id)
}

func TestGenerateQRToken(t *testing.T) {
	c, _ := replay(t, "profile/generate_qr_token.ok")
	token, err := c.Profile.GenerateQRToken(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "QR-8c41-recorded-token", token.Token.Reveal())
	assert.True(t, token.ExpiresAt.Equal(time.Date(2026, 2, 21, 15, 33, 44, 0, time.UTC)))
	assertHidden(t, token, "QR-8c41-recorded-token")
	assertHidden(t, *token, "QR-8c41-recorded-token")
}

func TestTokenExpiry(t *testing.T) {
	c, _ := replay(t, "profile/token_expiry.ok")
	expiry, err := c.Profile.TokenExpiry(t.Context())
	require.NoError(t, err)
	assert.True(t, expiry.Equal(time.Date(2026, 2, 21, 15, 33, 44, 0, time.UTC)), "%s", expiry)
}

func TestRegisterConflict(t *testing.T) {
	c, _ := replay(t, "profile/register.conflict")
	_, err := c.Profile.Register(t.Context(), username, password)
	assert.ErrorIs(t, err, privicore.ErrConflict)
	assert.ErrorContains(t, err, "profile.username_taken")
}

func TestChangePasswordWeak(t *testing.T) {
	c, _ := replay(t, "profile/change_password.weak")
	_, err := c.Profile.ChangePassword(t.Context(), password, nextPassword)
	require.ErrorIs(t, err, privicore.ErrValidation)
	assert.ErrorContains(t, err, "newPassword: The password entropy is too low.")
	assertHidden(t, err, password, nextPassword)
}

// A password that begins with the other one is hidden to its end.
func TestChangePasswordHidesOverlappingPasswords(t *testing.T) {
	_, s := replay(t)
	s.answers = [][]byte{[]byte("HTTP/1.1 422 Unprocessable Content\n\n" +
		`{"errors":{"newPassword":["\"hunter2-and-more\" is weak"]}}`)}
	_, err := s.client(privicore.WithToken(testToken)).Profile.ChangePassword(t.Context(), "hunter2", "hunter2-and-more")
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "and-more")
}

// The token of an answer to Reauthorize is used from then on.
func TestReauthorizeWithToken(t *testing.T) {
	c, s := replay(t, "profile/reauthorize.ok", "profile/id.ok")
	token, err := c.Profile.Reauthorize(t.Context(), time.Hour)
	require.NoError(t, err)
	assert.Equal(t, "T-77aa-reauthorized-token", token.Token.Reveal())
	assert.True(t, token.ExpiresAt.Equal(time.Date(2026, 2, 21, 16, 33, 44, 0, time.UTC)))
	_, err = c.Profile.ID(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "T-77aa-reauthorized-token", s.sent[1].header.Get("X-DPT-AUTHORIZATION"))
}

// Where reauthorizing is a command, the token stays and its expiry is asked
// for.
func TestReauthorizeAsCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := replay(t, "profile/reauthorize.accepted", "utility/request_status.pending", "utility/request_status.succeeded", "profile/token_expiry.ok")
		token, err := c.Profile.Reauthorize(t.Context(), time.Hour)
		require.NoError(t, err)
		assert.Equal(t, testToken, token.Token.Reveal())
		assert.True(t, token.ExpiresAt.Equal(time.Date(2026, 2, 21, 15, 33, 44, 0, time.UTC)))
		assert.Equal(t, []string{
			"POST /profile/reauthorize-authorization-token",
			"GET /request-status/" + commandID,
			"GET /request-status/" + commandID,
			"POST /profile/authorization-token/expiry",
		}, s.requests())
	})
}

func TestReauthorizeRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := replay(t, "profile/reauthorize.accepted", "utility/request_status.rejected_array")
		_, err := c.Profile.Reauthorize(t.Context(), time.Hour)
		rejection := new(privicore.CommandError)
		require.ErrorAs(t, err, &rejection)
		assert.Equal(t, commandID, rejection.ID)
		assert.Contains(t, rejection.Messages, "profile.username_taken")
		assert.Len(t, s.sent, 2)
	})
}

// A client without credentials has nothing left to send after RevokeToken.
func TestRevokeToken(t *testing.T) {
	c, s := replay(t, "profile/revoke_token.ok")
	require.NoError(t, c.Profile.RevokeToken(t.Context()))
	_, err := c.Profile.ID(t.Context())
	assert.ErrorIs(t, err, privicore.ErrUnauthorized)
	assert.Len(t, s.sent, 1)
}

func TestRevokeTokenRenewsFromCredentials(t *testing.T) {
	_, s := replay(t, "profile/authenticate.ok", "profile/revoke_token.ok", "profile/authenticate.ok", "profile/id.ok")
	c := s.client(privicore.WithCredentials(username, password))
	require.NoError(t, c.Profile.RevokeToken(t.Context()))
	_, err := c.Profile.ID(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{
		"POST /profile/authenticate", "POST /profile/revoke-authorization-token",
		"POST /profile/authenticate", "GET /profile/retrieve-profile-id",
	}, s.requests())
}

// A token that the server failed to revoke is still the client's.
func TestRevokeTokenFailed(t *testing.T) {
	c, s := replay(t, "errors/403.message", "profile/id.ok")
	assert.ErrorIs(t, c.Profile.RevokeToken(t.Context()), privicore.ErrForbidden)
	_, err := c.Profile.ID(t.Context())
	require.NoError(t, err)
	assert.Equal(t, testToken, s.sent[1].header.Get("X-DPT-AUTHORIZATION"))
}

func TestProvision(t *testing.T) {
	provision := []string{
		"POST /profile/register-profile", "GET /request-status/" + commandID,
		"POST /profile/authenticate",
		"POST /public-key/register-public-key", "GET /request-status/" + commandID,
	}
	synctest.Test(t, func(t *testing.T) {
		_, s := replay(t, "profile/register.accepted", "utility/request_status.finished",
			"profile/authenticate.ok", "public_key/register.accepted", "utility/request_status.succeeded")
		c := s.client(privicore.WithCredentials(username, password))
		key, err := privicore.ParsePublicKey(signedKey)
		require.NoError(t, err)
		require.NoError(t, c.Profile.Provision(t.Context(), key))
		assert.Equal(t, provision, s.requests())
		assert.Equal(t, "T-1f6c2b7e-recorded-token", s.sent[3].header.Get("X-DPT-AUTHORIZATION"))
		form, err := url.ParseQuery(s.sent[3].body)
		require.NoError(t, err)
		assert.Equal(t, url.Values{"publicKey": {signedKey}}, form)
	})
}

// A profile that exists already is taken up, if the password is right.
func TestProvisionAgain(t *testing.T) {
	for _, taken := range [][]string{
		{"profile/register.conflict"},
		{"profile/register.accepted", "utility/request_status.rejected_array"},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, s := replay(t, append(taken, "profile/authenticate.ok", "public_key/register.observed", "utility/request_status.succeeded")...)
			c := s.client(privicore.WithCredentials(username, password))
			require.NoError(t, c.Profile.Provision(t.Context(), privicore.KeyFromSeed("privicore").Public()))
			assert.Empty(t, s.answers)
		})
	}
	c := func(s *server) *privicore.Client { return s.client(privicore.WithCredentials(username, password)) }
	_, s := replay(t, "profile/register.conflict", "profile/authenticate.unauthorized")
	err := c(s).Profile.Provision(t.Context(), privicore.KeyFromSeed("privicore").Public())
	assert.ErrorIs(t, err, privicore.ErrConflict, "the name is somebody else's")
	assert.Len(t, s.sent, 2)
}

func TestProfileRefusals(t *testing.T) {
	ttl := func(d time.Duration) func(context.Context, *privicore.Client) (any, error) {
		return func(ctx context.Context, c *privicore.Client) (any, error) { return c.Profile.Reauthorize(ctx, d) }
	}
	assertRefused(t, []refused{
		{
			why: "no username", operation: "Register new profile", field: "username", reason: "is empty",
			do: func(ctx context.Context, c *privicore.Client) (any, error) {
				return c.Profile.Register(ctx, "", password)
			},
		},
		{
			why: "no password", operation: "Register new profile", field: "password", reason: "is empty",
			do: func(ctx context.Context, c *privicore.Client) (any, error) {
				return c.Profile.Register(ctx, username, "")
			},
		},
		{
			why: "no username", operation: "Authenticate", field: "username", reason: "is empty",
			do: func(ctx context.Context, c *privicore.Client) (any, error) {
				return c.Profile.Authenticate(ctx, "", password)
			},
		},
		{
			why: "no password", operation: "Authenticate", field: "password", reason: "is empty",
			do: func(ctx context.Context, c *privicore.Client) (any, error) {
				return c.Profile.Authenticate(ctx, username, "")
			},
		},
		{
			why: "no current password", operation: "Change password", field: "currentPassword", reason: "is empty",
			do: func(ctx context.Context, c *privicore.Client) (any, error) {
				return c.Profile.ChangePassword(ctx, "", nextPassword)
			},
		},
		{
			why: "no new password", operation: "Change password", field: "newPassword", reason: "is empty",
			do: func(ctx context.Context, c *privicore.Client) (any, error) {
				return c.Profile.ChangePassword(ctx, password, "")
			},
		},
		{why: "zero", operation: "Reauthorize authorization token", field: "ttl", reason: "must be positive", do: ttl(0)},
		{why: "negative", operation: "Reauthorize authorization token", field: "ttl", reason: "must be positive", do: ttl(-time.Hour)},
		{why: "below a second", operation: "Reauthorize authorization token", field: "ttl", reason: "whole seconds", do: ttl(500 * time.Millisecond)},
		{why: "fraction", operation: "Reauthorize authorization token", field: "ttl", reason: "whole seconds", do: ttl(time.Minute + time.Nanosecond)},
		{
			why: "no credentials", operation: "Register new profile", field: "username", reason: "is not known",
			do: func(ctx context.Context, c *privicore.Client) (any, error) {
				return nil, c.Profile.Provision(ctx, privicore.KeyFromSeed("privicore").Public())
			},
		},
	})
}

func TestProvisionWithoutKey(t *testing.T) {
	_, s := replay(t)
	c := s.client(privicore.WithCredentials(username, password))
	err := c.Profile.Provision(t.Context(), privicore.PublicKey{})
	require.ErrorIs(t, err, privicore.ErrValidation)
	assert.ErrorContains(t, err, "publicKey is empty")
	assert.Empty(t, s.requests())
}

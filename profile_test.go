package privicore_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
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
	t.Parallel()
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
	t.Parallel()
	c, s := replay(t, "profile/authenticate.unauthorized")
	_, err := c.Profile.Authenticate(t.Context(), username, password)
	assert.ErrorIs(t, err, privicore.ErrUnauthorized)
	assert.ErrorContains(t, err, "Wrong username or password.")
	assert.Len(t, s.sent, 1)
}

func TestProfileID(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "profile/id.ok")
	id, err := c.Profile.ID(t.Context())
	require.NoError(t, err)
	assert.Equal(t, profile1, id)
}

func TestGenerateQRToken(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "profile/generate_qr_token.ok")
	token, err := c.Profile.GenerateQRToken(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "QR-8c41-recorded-token", token.Token.Reveal())
	assert.True(t, token.ExpiresAt.Equal(time.Date(2026, 2, 21, 15, 33, 44, 0, time.UTC)))
	assertHidden(t, token, "QR-8c41-recorded-token")
	assertHidden(t, *token, "QR-8c41-recorded-token")
}

func TestTokenExpiry(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "profile/token_expiry.ok")
	expiry, err := c.Profile.TokenExpiry(t.Context())
	require.NoError(t, err)
	assert.True(t, expiry.Equal(time.Date(2026, 2, 21, 15, 33, 44, 0, time.UTC)), "%s", expiry)
}

func TestRegisterConflict(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "profile/register.conflict")
	_, err := c.Profile.Register(t.Context(), username, password)
	assert.ErrorIs(t, err, privicore.ErrConflict)
	assert.ErrorContains(t, err, "profile.username_taken")
}

func TestChangePasswordWeak(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "profile/change_password.weak")
	_, err := c.Profile.ChangePassword(t.Context(), password, nextPassword)
	require.ErrorIs(t, err, privicore.ErrValidation)
	assert.ErrorContains(t, err, "newPassword: The password entropy is too low.")
	assertHidden(t, err, password, nextPassword)
}

// A password that begins with the other one is hidden to its end.
func TestChangePasswordHidesOverlappingPasswords(t *testing.T) {
	t.Parallel()
	_, s := replay(t)
	s.answers = [][]byte{[]byte("HTTP/1.1 422 Unprocessable Content\n\n" +
		`{"errors":{"newPassword":["\"hunter2-and-more\" is weak"]}}`)}
	_, err := s.client(privicore.WithToken(testToken)).Profile.ChangePassword(t.Context(), "hunter2", "hunter2-and-more")
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "and-more")
}

// The token of an answer to Reauthorize is used from then on.
func TestReauthorizeWithToken(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
	c, s := replay(t, "profile/revoke_token.ok")
	require.NoError(t, c.Profile.RevokeToken(t.Context()))
	_, err := c.Profile.ID(t.Context())
	assert.ErrorIs(t, err, privicore.ErrUnauthorized)
	assert.Len(t, s.sent, 1)
}

func TestRevokeTokenRenewsFromCredentials(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	c, s := replay(t, "errors/403.message", "profile/id.ok")
	assert.ErrorIs(t, c.Profile.RevokeToken(t.Context()), privicore.ErrForbidden)
	_, err := c.Profile.ID(t.Context())
	require.NoError(t, err)
	assert.Equal(t, testToken, s.sent[1].header.Get("X-DPT-AUTHORIZATION"))
}

// provisioning returns a client with credentials that gets these answers.
func provisioning(t *testing.T, answers ...string) (*privicore.Client, *server) {
	t.Helper()
	_, s := replay(t, answers...)
	return s.client(privicore.WithCredentials(username, password)), s
}

// aliceKey is the key in public_key/retrieve.ok.
func aliceKey() privicore.PublicKey { return privicore.KeyFromSeed("privicore").Public() }

func TestProvision(t *testing.T) {
	t.Parallel()
	// Before it has a key, a profile is refused what it asks for.
	for _, inactive := range []string{"errors/403.key", "errors/404.string", "errors/422.message"} {
		synctest.Test(t, func(t *testing.T) {
			c, s := provisioning(t, "profile/register.accepted", "utility/request_status.finished",
				"profile/authenticate.ok", inactive, "public_key/register.accepted", "utility/request_status.succeeded")
			require.NoError(t, c.Profile.Provision(t.Context(), aliceKey()))
			assert.Equal(t, []string{
				"POST /profile/register-profile", "GET /request-status/" + commandID,
				"POST /profile/authenticate", "GET /public-key/retrieve-public-key",
				"POST /public-key/register-public-key", "GET /request-status/" + commandID,
			}, s.requests())
			assert.Equal(t, "T-1f6c2b7e-recorded-token", s.sent[4].header.Get("X-DPT-AUTHORIZATION"))
			form, err := url.ParseQuery(s.sent[4].body)
			require.NoError(t, err)
			assert.Equal(t, url.Values{"publicKey": {signedKey}}, form)
		})
	}
}

// A server may refuse an inactive profile with 401, whatever token it has.
func TestProvisionUnauthorizedUntilActive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := provisioning(t, "profile/register.accepted", "utility/request_status.finished", "profile/authenticate.ok",
			"errors/401.empty", "profile/authenticate.observed", "public_key/register.accepted", "utility/request_status.succeeded")
		require.NoError(t, c.Profile.Provision(t.Context(), aliceKey()))
		assert.Empty(t, s.answers)
	})
	// A token that is dead after all is an error.
	c, _ := provisioning(t, "profile/register.conflict", "profile/authenticate.ok",
		"errors/401.empty", "profile/authenticate.unauthorized", "errors/401.empty", "profile/authenticate.unauthorized")
	assert.ErrorIs(t, c.Profile.Provision(t.Context(), aliceKey()), privicore.ErrUnauthorized)
}

// A profile that exists already is taken up, if the password is right. A key
// that it has is not sent again.
func TestProvisionAgain(t *testing.T) {
	t.Parallel()
	for _, taken := range [][]string{
		{"profile/register.conflict"},
		{"profile/register.accepted", "utility/request_status.rejected_array"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, s := provisioning(t, append(taken, "profile/authenticate.ok", "errors/403.key", "public_key/register.observed", "utility/request_status.succeeded")...)
			require.NoError(t, c.Profile.Provision(t.Context(), aliceKey()))
			assert.Empty(t, s.answers)
		})
		synctest.Test(t, func(t *testing.T) {
			c, s := provisioning(t, append(taken, "profile/authenticate.ok", "public_key/retrieve.ok")...)
			require.NoError(t, c.Profile.Provision(t.Context(), aliceKey()))
			assert.Empty(t, s.answers)
			assert.NotContains(t, s.requests(), "POST /public-key/register-public-key")
		})
	}
}

// A key is replaced only by a call that says so.
func TestProvisionWithAnotherKey(t *testing.T) {
	t.Parallel()
	c, s := provisioning(t, "profile/register.conflict", "profile/authenticate.ok", "public_key/retrieve.ok")
	err := c.Profile.Provision(t.Context(), privicore.KeyFromSeed("another").Public())
	require.ErrorIs(t, err, privicore.ErrConflict)
	assert.NotErrorIs(t, err, privicore.ErrUnauthorized)
	assert.ErrorContains(t, err, "another public key")
	assert.NotContains(t, s.requests(), "POST /public-key/register-public-key")
}

// A key that cannot be read is not taken for none.
func TestProvisionWithUnknownKey(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]error{
		"public_key/retrieve.wrong_hash": privicore.ErrUnexpectedAnswer,
		"unreadable/html":                privicore.ErrUnexpectedAnswer,
		"errors/429.empty":               privicore.ErrRateLimited,
	} {
		c, s := provisioning(t, "profile/register.conflict", "profile/authenticate.ok", answer)
		assert.ErrorIs(t, c.Profile.Provision(t.Context(), aliceKey()), want, answer)
		assert.NotContains(t, s.requests(), "POST /public-key/register-public-key", answer)
	}
}

// A taken username is somebody else's if the password is not right.
func TestProvisionTaken(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string][]string{
		"at once": {"profile/register.conflict"},
		"later":   {"profile/register.accepted", "utility/request_status.rejected_array"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, s := provisioning(t, append(refused, "profile/authenticate.unauthorized")...)
				err := c.Profile.Provision(t.Context(), aliceKey())
				require.ErrorIs(t, err, privicore.ErrConflict)
				assert.ErrorIs(t, err, privicore.ErrUnauthorized)
				assert.ErrorIs(t, err, privicore.MessageKey("profile.username_taken"))
				assertHidden(t, err, password)
				assert.Empty(t, s.answers)
				assert.NotContains(t, s.requests(), "GET /public-key/retrieve-public-key")
			})
		})
	}
}

// A registration that is rejected for another reason is that error. A profile
// that cannot authenticate for another reason than its password is that error.
func TestProvisionRejected(t *testing.T) {
	t.Parallel()
	provision := func(t *testing.T, c *privicore.Client) error {
		t.Helper()
		return c.Profile.Provision(t.Context(), aliceKey())
	}
	synctest.Test(t, func(t *testing.T) {
		c, s := provisioning(t, "profile/register.accepted", "utility/request_status.rejected", "profile/authenticate.unauthorized")
		err := provision(t, c)
		require.ErrorIs(t, err, privicore.ErrRejected)
		assert.NotErrorIs(t, err, privicore.ErrConflict)
		assert.NotErrorIs(t, err, privicore.ErrUnauthorized, "the password was not wrong")
		rejected, ok := errors.AsType[*privicore.CommandError](err)
		require.True(t, ok)
		assert.Equal(t, []string{commandID, "Profile.Register"}, []string{rejected.ID, rejected.Operation})
		assert.Empty(t, s.answers)
	})
	c, s := provisioning(t, "errors/422.message")
	assert.ErrorIs(t, provision(t, c), privicore.ErrValidation, "it was not sent on")
	assert.Len(t, s.sent, 1)
	c, s = provisioning(t, "profile/register.conflict", "errors/403.message")
	err := provision(t, c)
	require.ErrorIs(t, err, privicore.ErrForbidden)
	assert.NotErrorIs(t, err, privicore.ErrConflict)
	assert.Len(t, s.sent, 2)
}

// Provision works with both kinds of server, as often as it is called.
func TestProvisionOnASandbox(t *testing.T) {
	t.Parallel()
	inBothDialects(t, func(t *testing.T, _ *privicore.Client, s *privicoretest.Server) {
		const operation = "PublicKey.Register"
		bob := privicore.WithCredentials("bob", "Tr0ub4dor&3")
		c, key := alice(t, s, bob), aliceKey()
		for range 2 {
			require.NoError(t, c.Profile.Provision(t.Context(), key))
			assert.Equal(t, 1, s.Calls(operation), "the same key is not sent again")
			have, err := c.PublicKey.Retrieve(t.Context())
			require.NoError(t, err)
			assert.Equal(t, key, have)
		}
		device, err := c.Device.Onboard(t.Context(), "phone")
		require.NoError(t, err)
		assert.True(t, device.Approved)

		other := privicore.KeyFromSeed("another").Public()
		err = alice(t, s, bob).Profile.Provision(t.Context(), other)
		require.ErrorIs(t, err, privicore.ErrConflict)
		assert.NotErrorIs(t, err, privicore.ErrUnauthorized)
		assert.Equal(t, 1, s.Calls(operation))
		cmd, err := c.PublicKey.Register(t.Context(), other)
		done(t, cmd, err)
		require.NoError(t, c.Profile.Provision(t.Context(), other), "once it was replaced by hand")

		err = alice(t, s, privicore.WithCredentials("bob", "guessed")).Profile.Provision(t.Context(), other)
		require.ErrorIs(t, err, privicore.ErrConflict)
		assert.ErrorIs(t, err, privicore.ErrUnauthorized)

		s.Next("Profile.Register", privicoretest.Fault{Reject: []string{"profile.registration_closed"}})
		err = alice(t, s, privicore.WithCredentials("carol", "Tr0ub4dor&3")).Profile.Provision(t.Context(), key)
		require.ErrorIs(t, err, privicore.MessageKey("profile.registration_closed"))
		assert.ErrorIs(t, err, privicore.ErrRejected)
		assert.NotErrorIs(t, err, privicore.ErrConflict)
		assert.NotErrorIs(t, err, privicore.ErrUnauthorized)
	})
}

// A timeout says which command to wait for another time.
func TestProvisionTimesOut(t *testing.T) {
	t.Parallel()
	for stuck, operation := range map[string]string{"c-1": "Profile.Register", "c-2": "PublicKey.Register"} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, authenticated := parsed(t, "profile/authenticate.ok")
				c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
					switch r.URL.Path {
					case "/profile/register-profile":
						return reply(202, `["c-1"]`)
					case "/profile/authenticate":
						return reply(200, string(authenticated))
					case "/public-key/retrieve-public-key":
						return reply(403, `"profile.not_active"`)
					case "/public-key/register-public-key":
						return reply(202, `["c-2"]`)
					case "/request-status/" + stuck:
						return reply(202, `["started"]`)
					}
					return reply(200, `["succeeded"]`)
				}, privicore.WithCredentials(username, password))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				err := c.Profile.Provision(ctx, aliceKey())
				require.ErrorIs(t, err, context.DeadlineExceeded)
				waiting, ok := errors.AsType[*privicore.WaitError](err)
				require.True(t, ok, "%T", err)
				assert.Equal(t, []string{stuck, operation}, []string{waiting.ID, waiting.Operation})
			})
		})
	}
}

func TestProfileRefusals(t *testing.T) {
	t.Parallel()
	ttl := func(d time.Duration) func(context.Context, *privicore.Client) (any, error) {
		return func(ctx context.Context, c *privicore.Client) (any, error) { return c.Profile.Reauthorize(ctx, d) }
	}
	assertRefused(t, []refused{
		{
			why: "no username", operation: "Profile.Register", field: "username", reason: "is empty",
			do: func(ctx context.Context, c *privicore.Client) (any, error) {
				return c.Profile.Register(ctx, "", password)
			},
		},
		{
			why: "no password", operation: "Profile.Register", field: "password", reason: "is empty",
			do: func(ctx context.Context, c *privicore.Client) (any, error) {
				return c.Profile.Register(ctx, username, "")
			},
		},
		{
			why: "no username", operation: "Profile.Authenticate", field: "username", reason: "is empty",
			do: func(ctx context.Context, c *privicore.Client) (any, error) {
				return c.Profile.Authenticate(ctx, "", password)
			},
		},
		{
			why: "no password", operation: "Profile.Authenticate", field: "password", reason: "is empty",
			do: func(ctx context.Context, c *privicore.Client) (any, error) {
				return c.Profile.Authenticate(ctx, username, "")
			},
		},
		{
			why: "no current password", operation: "Profile.ChangePassword", field: "currentPassword", reason: "is empty",
			do: func(ctx context.Context, c *privicore.Client) (any, error) {
				return c.Profile.ChangePassword(ctx, "", nextPassword)
			},
		},
		{
			why: "no new password", operation: "Profile.ChangePassword", field: "newPassword", reason: "is empty",
			do: func(ctx context.Context, c *privicore.Client) (any, error) {
				return c.Profile.ChangePassword(ctx, password, "")
			},
		},
		{why: "zero", operation: "Profile.Reauthorize", field: "ttl", reason: "must be positive", do: ttl(0)},
		{why: "negative", operation: "Profile.Reauthorize", field: "ttl", reason: "must be positive", do: ttl(-time.Hour)},
		{why: "below a second", operation: "Profile.Reauthorize", field: "ttl", reason: "whole seconds", do: ttl(500 * time.Millisecond)},
		{why: "fraction", operation: "Profile.Reauthorize", field: "ttl", reason: "whole seconds", do: ttl(time.Minute + time.Nanosecond)},
		{
			why: "no credentials", operation: "Profile.Register", field: "username", reason: "is not known",
			do: func(ctx context.Context, c *privicore.Client) (any, error) {
				return nil, c.Profile.Provision(ctx, privicore.KeyFromSeed("privicore").Public())
			},
		},
	})
}

func TestProvisionWithoutKey(t *testing.T) {
	t.Parallel()
	_, s := replay(t)
	c := s.client(privicore.WithCredentials(username, password))
	err := c.Profile.Provision(t.Context(), privicore.PublicKey{})
	require.ErrorIs(t, err, privicore.ErrValidation)
	assert.ErrorContains(t, err, "publicKey is empty")
	assert.Empty(t, s.requests())
}

func TestRevokeTokenThatMayNotHaveHappened(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`<html>login</html>`, `{"error":"busy"}`, `{"success":false}`} {
		_, s := replay(t)
		s.answers = [][]byte{
			[]byte("HTTP/1.1 200 OK\n\n" + body),
			[]byte("HTTP/1.1 200 OK\n\n" + `{"profileId":"p-1"}`),
		}
		c := s.client(privicore.WithToken(testToken))
		err := c.Profile.RevokeToken(t.Context())
		require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer, body)
		require.ErrorIs(t, err, privicore.ErrAmbiguous, body)
		_, err = c.Profile.ID(t.Context())
		require.NoError(t, err, "the token is kept")
	}
}

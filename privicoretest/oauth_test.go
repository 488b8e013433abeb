package privicoretest_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/privicoretest"
)

// registered registers an application and returns its id.
func (c client) registered() string {
	c.t.Helper()
	a := c.post("/profile/oauth-application-register", "name", "shop", "redirectUri", "https://shop.test/back", "scopes", "read, write")
	require.Equal(c.t, `["oauth.application_registered"]`, c.outcome(a))
	return a.id(c.t)
}

// app is the application's side of OAuth.
type app struct {
	client
	id, secret string
}

// app registers an application and takes over its credentials.
func (c client) app() app {
	c.t.Helper()
	config := c.post("/profile/retrieve-oauth-application-configuration", "applicationId", c.registered())
	return app{client{t: c.t, via: c.via, base: c.base}, config.field(c.t, "clientId"), config.field(c.t, "clientSecret")}
}

// call posts a form with an Authorization header.
func (a app) call(method, path, authorization string, pairs ...string) answer {
	a.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	request, err := http.NewRequest(method, a.base+path, strings.NewReader(form.Encode()))
	require.NoError(a.t, err)
	if method == "POST" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if authorization == "" {
		request.SetBasicAuth(a.id, a.secret)
	} else {
		request.Header.Set("Authorization", authorization)
	}
	got, err := a.do(request)
	require.NoError(a.t, err)
	return got
}

func (a app) retrieve(id, nonce string) answer {
	a.t.Helper()
	return a.call("POST", "/oauth-application/retrieve-authorization-code", "", "id", id, "nonce", nonce)
}

func (a app) obtain(code string) answer {
	a.t.Helper()
	return a.call("POST", "/oauth-application/obtain-access-token", "", "authorization_code", code)
}

func (a app) refresh(token, refresh string) answer {
	a.t.Helper()
	return a.call("POST", "/oauth-application/refresh-access-token", "Basic "+token, "refresh_token", refresh)
}

// request asks a profile for a code.
func (c client) request(clientID, nonce string, scopes ...string) answer {
	c.t.Helper()
	query := url.Values{"client_id": {clientID}, "nonce": {nonce}, "scope[]": scopes}
	return c.get("/profile/oauth-application-request-authorization-code?" + query.Encode())
}

// code goes the way to an authorization code.
func (a app) code(c client, nonce string, scopes ...string) string {
	a.t.Helper()
	return a.retrieve(c.request(a.id, nonce, scopes...).id(a.t), nonce).field(a.t, "authorizationCode")
}

func TestOAuthApplication(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithProfile("bob", password))
	c, bob := login(t, s, "alice"), login(t, s, "bob")
	const list, path = "/profile/retrieve-oauth-application-list", "/profile/retrieve-oauth-application-configuration"
	assert.JSONEq(t, `{"items":[],"meta":{"count":0}}`, c.get(list).body)
	id := c.registered()
	assert.Equal(t, 404, bob.post(path, "applicationId", id).status)
	assert.Equal(t, 404, c.post(path, "applicationId", "019735db-0000-4000-8000-000000000000").status)
	assert.Equal(t, 422, c.post(path, "applicationId", "x").status)

	config := c.post(path, "applicationId", id)
	require.Equal(t, 200, config.status)
	fields := config.object(t)
	assert.Equal(t, []string{"applicationId", "clientId", "clientSecret", "redirectUri", "scopes"}, slices.Sorted(maps.Keys(fields)))
	assert.Equal(t, []any{id, "https://shop.test/back", []any{"read", "write"}}, []any{fields["applicationId"], fields["redirectUri"], fields["scopes"]})
	again := c.post(path, "applicationId", id)
	assert.Equal(t, 422, again.status)
	assert.Equal(t, `{"message":"oauth.already_retrieved"}`, again.body)

	items := c.get(list).object(t)["items"].([]any)
	require.Len(t, items, 1)
	assert.Equal(t, id, items[0].(map[string]any)["applicationId"])
	assert.NotContains(t, c.get(list).body, "ecret")
	assert.JSONEq(t, `{"items":[],"meta":{"count":0}}`, bob.get(list).body)

	for field, form := range map[string][]string{
		"name":        {"redirectUri", "https://shop.test", "scopes", "read"},
		"redirectUri": {"name", "x", "redirectUri", "shop", "scopes", "read"},
		"scopes":      {"name", "x", "redirectUri", "https://shop.test", "scopes", "read,,write"},
	} {
		a := c.post("/profile/oauth-application-register", form...)
		assert.Equal(t, 422, a.status)
		assert.Contains(t, a.object(t)["errors"], field)
	}
}

func TestOAuthFlow(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithProfile("bob", password))
	alice, bob := login(t, s, "alice"), login(t, s, "bob")
	a, other := alice.app(), alice.app()

	// Another profile than the application's owner gives access to itself.
	requested := bob.request(a.id, "n-1", "read", "write")
	assert.Equal(t, 200, requested.status)
	assert.Regexp(t, `^\["[0-9a-f-]{36}"\]$`, requested.body)
	id := requested.id(t)
	assert.Equal(t, 422, bob.request(a.id, "n-1", "read").status, "nonce")
	assert.Equal(t, 404, bob.request("x", "n-2", "read").status)
	assert.Equal(t, 422, bob.request(a.id, "n-2", "delete").status)
	assert.Equal(t, 422, bob.request(a.id, "n-2").status)
	assert.Equal(t, 422, bob.request(a.id, "n-2", "").status)

	assert.Equal(t, 401, app{a.client, a.id, "wrong"}.retrieve(id, "n-1").status)
	assert.Equal(t, 401, app{a.client, "wrong", a.secret}.retrieve(id, "n-1").status)
	assert.Equal(t, 404, other.retrieve(id, "n-1").status)
	assert.Equal(t, 422, a.retrieve(id, "n-0").status)
	assert.Equal(t, 404, a.retrieve("019735db-0000-4000-8000-000000000000", "n-1").status)
	retrieved := a.retrieve(id, "n-1")
	require.Equal(t, 200, retrieved.status)
	assert.Equal(t, []string{"authorizationCode", "clientId", "expiresAt", "nonce"}, slices.Sorted(maps.Keys(retrieved.object(t))))
	assert.Equal(t, a.id+"n-1", retrieved.field(t, "clientId")+retrieved.field(t, "nonce"))
	assert.Equal(t, 404, a.retrieve(id, "n-1").status, "used")
	code := retrieved.field(t, "authorizationCode")

	assert.Equal(t, 401, app{a.client, a.id, "wrong"}.obtain(code).status)
	assert.Equal(t, 403, other.obtain(code).status)
	assert.Equal(t, 404, a.obtain("x").status)
	obtained := a.obtain(code)
	require.Equal(t, 200, obtained.status)
	assert.Equal(t, []string{"clientId", "expiresAt", "refreshToken", "refreshTokenExpiresAt", "scope", "token", "type"},
		slices.Sorted(maps.Keys(obtained.object(t))))
	assert.Equal(t, "bearer read,write", obtained.field(t, "type")+" "+obtained.field(t, "scope"))
	assert.Equal(t, 404, a.obtain(code).status, "used")

	token, refresh := obtained.field(t, "token"), obtained.field(t, "refreshToken")
	asBob := anonymous(t, s)
	asBob.token = token
	assert.Equal(t, bob.get("/profile/retrieve-profile-id").body, asBob.get("/profile/retrieve-profile-id").body)
	const scope = "/oauth-application/retrieve-oauth-application-scope"
	assert.JSONEq(t, `{"clientId":"`+a.id+`","scope":"read,write"}`, a.call("GET", scope, "Basic "+token).body)
	for _, wrong := range []string{"", "Basic x", "Bearer " + token, token, "Basic", "Basic" + token, "Basic " + bob.token} {
		assert.Equal(t, 401, a.call("GET", scope, wrong).status, wrong)
	}

	assert.Equal(t, 200, a.call("GET", scope, "basic "+token).status)
	assert.Equal(t, 200, a.call("GET", scope, "BASIC "+token).status)

	assert.Equal(t, 422, a.refresh(token, "x").status)
	assert.Equal(t, 401, a.refresh(bob.token, refresh).status)
	refreshed := a.refresh(token, refresh)
	require.Equal(t, 200, refreshed.status)
	assert.Equal(t, slices.Sorted(maps.Keys(obtained.object(t))), slices.Sorted(maps.Keys(refreshed.object(t))))
	assert.NotEqual(t, token, refreshed.field(t, "token"))
	assert.Equal(t, 422, a.refresh(token, refresh).status, "used")
	assert.Equal(t, 200, a.refresh(refreshed.field(t, "token"), refreshed.field(t, "refreshToken")).status)
}

func TestOAuthCodeAlone(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	a := c.app()
	code := a.code(c, "n", "all")
	assert.Equal(t, 401, a.call("POST", "/oauth-application/obtain-access-token", code, "authorization_code", code).status)
	obtained := a.call("POST", "/oauth-application/obtain-access-token", "Basic "+code, "authorization_code", code)
	assert.Equal(t, 200, obtained.status)
	assert.Equal(t, "all", obtained.field(t, "scope"))
	assert.Equal(t, 401, a.call("POST", "/oauth-application/obtain-access-token", "Basic "+code, "authorization_code", code).status)
}

func TestOAuthExpiry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := login(t, serveInMemory(t), "alice")
		a, other := c.app(), c.app()
		code := a.code(c, "n", "all")
		time.Sleep(5*time.Minute - time.Second)
		// A code that lives is refused to others in another way.
		assert.Equal(t, 403, other.obtain(code).status)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, 404, other.obtain(code).status)
		assert.Equal(t, 404, a.obtain(code).status)
	})
}

func TestOAuthAccessTokenExpiry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, privicoretest.WithTokenLifetime(time.Minute))
		c := login(t, s, "alice")
		a := c.app()
		obtained := a.obtain(a.code(c, "n", "all"))
		token := obtained.field(t, "token")
		access := anonymous(t, s)
		access.token = token
		assert.Equal(t, 200, access.get("/profile/retrieve-profile-id").status)
		time.Sleep(time.Minute)
		assert.Equal(t, 401, access.get("/profile/retrieve-profile-id").status)
		assert.Equal(t, 401, a.call("GET", "/oauth-application/retrieve-oauth-application-scope", "Basic "+token).status)
		assert.Equal(t, 200, a.refresh(token, obtained.field(t, "refreshToken")).status, "an expired token can be refreshed")
	})
}

func TestOAuthRefreshTokenExpiry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := login(t, serveInMemory(t), "alice")
		a := c.app()
		obtained := a.obtain(a.code(c, "n", "all"))
		time.Sleep(30 * 24 * time.Hour)
		assert.Equal(t, 422, a.refresh(obtained.field(t, "token"), obtained.field(t, "refreshToken")).status)
	})
}

func TestOAuthObserved(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithDialect(privicoretest.Observed))
	c := login(t, s, "alice")
	registered := c.post("/profile/oauth-application-register", "name", "shop", "redirectUri", "app://back", "scopes", "read")
	c.outcome(registered)
	const path = "/profile/retrieve-oauth-application-configuration"
	config := c.post(path, "applicationId", registered.id(t))
	assert.Equal(t, `"oauth.already_retrieved"`, c.post(path, "applicationId", registered.id(t)).body)
	a := app{anonymous(t, s), config.field(t, "clientId"), config.field(t, "clientSecret")}
	requested := c.request(a.id, "n", "read")
	assert.Equal(t, 202, requested.status)
	assert.NotEmpty(t, requested.header.Get("X-DPT-CAB-ID"))
	c.outcome(requested)
	assert.Equal(t, 200, a.obtain(a.retrieve(requested.id(t), "n").field(t, "authorizationCode")).status)
}

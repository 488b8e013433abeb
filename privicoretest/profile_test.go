package privicoretest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/privicoretest"
)

// From an independent implementation of the format.
const goodKey = "314205002817c9ecb5b51eacbd0a0132f2901ad22e35129845faf3279de864e2fdfc1968f0320f5847070c6141773147eba9582aee0c6e5e9bf58185debe9f36d9097d9607860a210f85a5218d10d32bab562de01fed3c566a5e55cfb10318ffcdcb3308"

func TestHealth(t *testing.T) {
	t.Parallel()
	a := anonymous(t, serve(t)).get("/health")
	assert.Equal(t, 200, a.status)
	assert.Equal(t, `{"status":"ok"}`, a.body)
	assert.Equal(t, "application/json", a.header.Get("Content-Type"))
}

func TestRequestStatus(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := anonymous(t, s)
	malformed := c.get("/request-status/not-a-uuid")
	assert.Equal(t, 422, malformed.status)
	assert.JSONEq(t, `{"message":"validation failed","errors":{"commandId":["This is not a valid UUID."]}}`, malformed.body)
	assert.Equal(t, 404, c.get("/request-status/019735db-0000-4000-8000-000000000000").status)

	registered := c.post("/profile/register-profile", "username", "bob", "password", password)
	c.outcome(registered)
	path := "/request-status/" + registered.id(t)
	for name, a := range map[string]answer{
		"POST with an empty object": c.postJSON(path, "{}"),
		"POST with nothing":         c.send("POST", path, "", ""),
		"POST with null":            c.postJSON(path, "null"),
		"POST with an empty string": c.postJSON(path, `""`),
		"GET":                       c.get(path),
	} {
		assert.Equal(t, 200, a.status, name)
		assert.Equal(t, `["profile.profile_registered"]`, a.body, name)
	}
	assert.Equal(t, 422, c.postJSON(path, `{"x":1}`).status)
}

func TestRequestStatusLimit(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithStatusLimit(0.1, 2))
	c := anonymous(t, s)
	const path = "/request-status/019735db-0000-4000-8000-000000000000"
	assert.Equal(t, 404, c.get(path).status)
	assert.Equal(t, 404, c.get(path).status)
	for range 2 { // a refused call takes nothing from the limit
		a := c.get(path)
		assert.Equal(t, 429, a.status)
		assert.Equal(t, "10", a.header.Get("Retry-After"))
		assert.NotEmpty(t, a.field(t, "message"))
	}
	assert.Equal(t, 200, c.get("/health").status)
}

func TestRequestStatusObserved(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t, privicoretest.WithDialect(privicoretest.Observed)), "alice")
	assert.Equal(t, `["succeeded"]`, c.outcome(c.post("/device/request-unique-identifier", "deviceName", "x")))
	assert.Equal(t, `["rejected","device.not_found"]`, c.outcome(c.post("/device/remove", "deviceIdentifier", "x")))
}

func TestProvisioning(t *testing.T) {
	t.Parallel()
	c := anonymous(t, serve(t))
	registered := c.post("/profile/register-profile", "username", "bob", "password", password)
	assert.Equal(t, `["profile.profile_registered"]`, c.outcome(registered))

	login := c.post("/profile/authenticate", "username", "bob", "password", password)
	require.Equal(t, 200, login.status)
	c.token = login.field(t, "authorizationToken")
	assert.True(t, strings.HasPrefix(c.token, "T-"))
	assert.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$`, login.field(t, "expiresAt"))

	for _, path := range []string{"/profile/retrieve-profile-id", "/public-key/retrieve-public-key", "/device/retrieve-profile-devices"} {
		a := c.get(path)
		assert.Equal(t, 403, a.status, path)
		assert.NotEmpty(t, a.field(t, "message"))
	}
	assert.Equal(t, `["public_key.public_key_registered"]`, c.outcome(c.post("/public-key/register-public-key", "publicKey", goodKey)))
	assert.Equal(t, `{"publicKey":"`+goodKey+`"}`, c.get("/public-key/retrieve-public-key").body)
	assert.Regexp(t, uuid, c.get("/profile/retrieve-profile-id").field(t, "profileId"))
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	c := anonymous(t, serve(t))
	for name, test := range map[string]struct {
		form []string
		body string
	}{
		"nothing": {nil, `{"username":["This field is missing."],"password":["This field is missing."]}`},
		"blank":   {[]string{"username", " ", "password", ""}, `{"username":["This value should not be blank."],"password":["This value should not be blank."]}`},
	} {
		a := c.post("/profile/register-profile", test.form...)
		assert.Equal(t, 422, a.status, name)
		assert.JSONEq(t, `{"message":"validation failed","errors":`+test.body+`}`, a.body, name)
	}
}

func TestTakenUsername(t *testing.T) {
	bubble(t, testTakenUsername)
}

func testTakenUsername(t *testing.T) {
	s := serveInMemory(t)
	c := anonymous(t, s)
	assert.Equal(t, `["rejected","profile.username_taken"]`, c.outcome(c.post("/profile/register-profile", "username", "alice", "password", password)))

	// A registration under way holds the name, a failed one gives it back.
	s.Next("Profile.Register", privicoretest.Fault{Latency: 20 * time.Millisecond, Reject: []string{"profile.no"}})
	first := c.post("/profile/register-profile", "username", "bob", "password", password)
	second := c.post("/profile/register-profile", "username", "bob", "password", password)
	assert.Equal(t, `["rejected","profile.username_taken"]`, c.outcome(second))
	assert.Equal(t, 401, c.post("/profile/authenticate", "username", "bob", "password", password).status)
	assert.Equal(t, `["rejected","profile.no"]`, c.outcome(first))
	assert.Equal(t, `["profile.profile_registered"]`, c.outcome(c.post("/profile/register-profile", "username", "bob", "password", password)))
}

func TestTakenUsernameObserved(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithDialect(privicoretest.Observed))
	c := anonymous(t, s)
	a := c.post("/profile/register-profile", "username", "alice", "password", password)
	assert.Equal(t, 409, a.status)
	assert.Equal(t, `"profile.username_taken"`, a.body)
	s.Next("Profile.Register", privicoretest.Fault{Latency: time.Hour})
	assert.Equal(t, 202, c.post("/profile/register-profile", "username", "bob", "password", password).status)
	assert.Equal(t, 409, c.post("/profile/register-profile", "username", "bob", "password", password).status)
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := anonymous(t, s)
	for _, form := range [][]string{{"alice", "wrong"}, {"nobody", password}} {
		a := c.post("/profile/authenticate", "username", form[0], "password", form[1])
		assert.Equal(t, 401, a.status)
		assert.NotEmpty(t, a.field(t, "message"))
	}
	assert.Equal(t, 422, c.post("/profile/authenticate", "username", "alice").status)
	first, second := login(t, s, "alice").token, login(t, s, "alice").token
	assert.NotEqual(t, first, second)
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	change := func(current, next string) answer {
		return c.post("/profile/change-password", "currentPassword", current, "newPassword", next)
	}
	weak := change(password, "short")
	assert.Equal(t, 422, weak.status)
	assert.Contains(t, weak.object(t)["errors"], "newPassword")
	assert.Equal(t, `["rejected","profile.wrong_current_password"]`, c.outcome(change("wrong", "battery staple")))
	assert.Equal(t, `["profile.password_changed"]`, c.outcome(change(password, "battery staple")))
	assert.Equal(t, 401, c.post("/profile/authenticate", "username", "alice", "password", password).status)
	assert.Equal(t, 200, c.post("/profile/authenticate", "username", "alice", "password", "battery staple").status)
}

func TestQRToken(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	a, b := c.post("/profile/generate-token-qr"), c.send("POST", "/profile/generate-token-qr", "", "")
	require.Equal(t, 200, a.status)
	assert.NotEqual(t, a.field(t, "qrToken"), b.field(t, "qrToken"))
	assert.WithinDuration(t, time.Now().Add(5*time.Minute), instant(t, a), 2*time.Second)
}

func TestReauthorize(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	a := c.post("/profile/reauthorize-authorization-token", "ttl", "7200")
	require.Equal(t, 200, a.status)
	assert.Equal(t, c.token, a.field(t, "authorizationToken"))
	assert.WithinDuration(t, time.Now().Add(2*time.Hour), instant(t, a), 2*time.Second)
	assert.WithinDuration(t, time.Now().Add(2*time.Hour), instant(t, c.post("/profile/authorization-token/expiry")), 2*time.Second)
	for _, ttl := range []string{"", "0", "-1", "1.5", "1h", "99999999999"} {
		assert.Equal(t, 422, c.post("/profile/reauthorize-authorization-token", "ttl", ttl).status, ttl)
	}
}

func TestReauthorizeObserved(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithDialect(privicoretest.Observed))
	c := login(t, s, "alice")
	assert.Equal(t, `["succeeded"]`, c.outcome(c.post("/profile/reauthorize-authorization-token", "ttl", "7200")))
	expiry := c.post("/profile/authorization-token/expiry")
	assert.Regexp(t, `Z$`, expiry.field(t, "expiresAt"))
	assert.WithinDuration(t, time.Now().Add(2*time.Hour), instant(t, expiry), 2*time.Second)
}

func TestRevokeToken(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, other := login(t, s, "alice"), login(t, s, "alice")
	a := c.post("/profile/revoke-authorization-token")
	assert.Equal(t, 200, a.status)
	assert.Empty(t, a.body)
	assert.Equal(t, 401, c.get("/profile/retrieve-profile-id").status)
	assert.Equal(t, 200, other.get("/profile/retrieve-profile-id").status)
}

func TestGenerateKeys(t *testing.T) {
	t.Parallel()
	s := serve(t)
	a, b := anonymous(t, s).get("/generate-keys"), anonymous(t, s).get("/generate-keys")
	assert.Regexp(t, `^[0-9a-f]{64}$`, a.field(t, "private"))
	assert.Regexp(t, `^31420500[0-9a-f]{192}$`, a.field(t, "public"))
	assert.NotEqual(t, a.field(t, "private"), b.field(t, "private"))
	c := login(t, s, "alice")
	assert.NotContains(t, c.outcome(c.post("/public-key/register-public-key", "publicKey", a.field(t, "public"))), "rejected")
	assert.Equal(t, a.field(t, "public"), c.get("/public-key/retrieve-public-key").field(t, "publicKey"))
}

func TestPublicKeyRefuses(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	for name, key := range map[string]string{
		"blank":      "",
		"short":      goodKey[:198],
		"long":       goodKey + "00",
		"not hex":    "xx" + goodKey[2:],
		"wrong tag":  "31420501" + goodKey[8:],
		"wrong hash": goodKey[:198] + "09",
		"wrong key":  goodKey[:8] + "00" + goodKey[10:],
	} {
		a := c.post("/public-key/register-public-key", "publicKey", key)
		assert.Equal(t, 422, a.status, name)
		assert.Contains(t, a.object(t)["errors"], "publicKey", name)
	}
}

func TestCABPublicKey(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithProfile("bob", password))
	key := login(t, s, "alice").get("/dptcab/public-key").field(t, "publicKey")
	assert.Regexp(t, `^31420500[0-9a-f]{192}$`, key)
	assert.Equal(t, key, login(t, s, "bob").get("/dptcab/public-key").field(t, "publicKey"))
}

// instant is the time at which what an answer gave expires.
func instant(t *testing.T, a answer) time.Time {
	t.Helper()
	expires, err := time.Parse(time.RFC3339, a.field(t, "expiresAt"))
	require.NoError(t, err)
	return expires
}

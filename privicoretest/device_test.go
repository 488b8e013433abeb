package privicoretest_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/privicoretest"
)

func TestDeviceRegistration(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	assert.Equal(t, "[]", c.get("/device/retrieve-profile-devices").body)
	requested := c.post("/device/request-unique-identifier", "deviceName", "Ada's phone & co")
	assert.Equal(t, `["device.device_registered"]`, c.outcome(requested))

	retrieved := c.post("/device/retrieve-unique-identifier", "id", requested.id(t))
	require.Equal(t, 200, retrieved.status)
	fields := retrieved.object(t)
	assert.Equal(t, []string{"approved", "createdAt", "deviceIdentifier", "profileId"}, slices.Sorted(maps.Keys(fields)))
	assert.Equal(t, false, fields["approved"])
	assert.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$`, fields["createdAt"])
	assert.Regexp(t, uuid, fields["deviceIdentifier"])
	assert.NotEqual(t, c.get("/profile/retrieve-profile-id").field(t, "profileId"), fields["profileId"], "a device has a profile of its own")

	var list []map[string]any
	require.NoError(t, json.Unmarshal([]byte(c.get("/device/retrieve-profile-devices").body), &list))
	fields["deviceName"], fields["status"] = "Ada's phone & co", "pending"
	assert.Equal(t, []map[string]any{fields}, list)
}

func TestRetrieveIdentifierRefuses(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithProfile("bob", password))
	c := login(t, s, "alice")
	s.Next("Device.RequestIdentifier", privicoretest.Fault{Latency: 1 << 60})
	running := c.post("/device/request-unique-identifier", "deviceName", "x").id(t)
	finished := c.post("/device/request-unique-identifier", "deviceName", "x")
	c.outcome(finished)
	other := c.post("/verified-authenticator/set-quorum-size", "quorumSize", "2")
	c.outcome(other)

	retrieve := func(c client, id string) int {
		a := c.post("/device/retrieve-unique-identifier", "id", id)
		if a.status != 200 {
			assert.Contains(t, a.object(t)["errors"], "id")
		}
		return a.status
	}
	assert.Equal(t, 422, retrieve(c, ""))
	assert.Equal(t, 422, retrieve(c, "nonsense"))
	assert.Equal(t, 422, retrieve(c, "019735db-0000-4000-8000-000000000000"))
	assert.Equal(t, 422, retrieve(c, running))
	assert.Equal(t, 422, retrieve(c, other.id(t)))
	assert.Equal(t, 422, retrieve(login(t, s, "bob"), finished.id(t)))
	assert.Equal(t, 200, retrieve(c, finished.id(t)))
}

func TestDeviceLife(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	id := c.device("phone")
	run := func(path string) string { return c.outcome(c.post(path, "deviceIdentifier", id)) }

	assert.Equal(t, 404, c.get("/device/retrieve-device-configuration/"+id).status, "not approved yet")
	assert.Equal(t, `["device.device_approved"]`, run("/device/approve-device"))
	assert.Equal(t, `["device.device_approved"]`, run("/device/approve-device"), "again")
	assert.Equal(t, `["rejected","device.already_approved"]`, run("/device/reject-device"))
	assert.Equal(t, `["device.meta_configured"]`, run("/device/configure-meta"), "without a name")
	assert.Equal(t, `["device.meta_configured"]`, c.outcome(c.post("/device/configure-meta", "deviceIdentifier", id, "name", "tablet")))
	assert.Contains(t, c.get("/device/retrieve-profile-devices").body, `"approved":true`)
	assert.Contains(t, c.get("/device/retrieve-profile-devices").body, `"deviceName":"tablet","status":"approved"`)
	assert.Equal(t, `["verified_authenticator.authenticator_registered"]`, run("/verified-authenticator/register"))

	removal := c.post("/device/remove", "deviceIdentifier", id)
	assert.Empty(t, removal.body)
	assert.Regexp(t, uuid, removal.header.Get("X-DPT-CAB-ID"))
	assert.Equal(t, `["device.device_removed"]`, c.outcome(removal))
	assert.Equal(t, "[]", c.get("/device/retrieve-profile-devices").body)
	assert.Equal(t, "[]", c.get("/verified-authenticator/list-verified-authenticators").body)
	assert.Equal(t, 404, c.get("/device/retrieve-device-configuration/"+id).status)
	assert.Equal(t, `["rejected","verified_authenticator.not_registered"]`, run("/verified-authenticator/remove"))
	for _, path := range []string{"/device/approve-device", "/device/reject-device", "/device/configure-meta", "/device/remove", "/verified-authenticator/register"} {
		assert.Equal(t, `["rejected","device.already_removed"]`, run(path), path)
	}
}

func TestRejectedDevice(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	id := c.device("phone")
	run := func(path string) string { return c.outcome(c.post(path, "deviceIdentifier", id)) }
	assert.Equal(t, `["device.device_rejected"]`, run("/device/reject-device"))
	assert.Equal(t, `["device.device_rejected"]`, run("/device/reject-device"), "again")
	assert.Equal(t, `["rejected","device.already_rejected"]`, run("/device/approve-device"))
	assert.Equal(t, `["rejected","verified_authenticator.device_not_approved"]`, run("/verified-authenticator/register"))
	assert.Contains(t, c.get("/device/retrieve-profile-devices").body, `"status":"rejected"`)
}

func TestDeviceConfiguration(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	id := c.approved("phone")
	a := c.get("/device/retrieve-device-configuration/" + id)
	require.Equal(t, 200, a.status)
	fields := a.object(t)
	assert.Equal(t, []string{"client-id", "client-secret", "device-identifier", "rabbit-host", "rabbit-pass", "rabbit-port", "rabbit-user"},
		slices.Sorted(maps.Keys(fields)))
	assert.Equal(t, id, fields["device-identifier"])
	assert.IsType(t, float64(0), fields["rabbit-port"])
	assert.Equal(t, a.body, c.post("/device/download-device-configuration", "deviceIdentifier", id).body)
}

func TestDeviceIdentifierIsChecked(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithProfile("bob", password))
	alice, bob := login(t, s, "alice"), login(t, s, "bob")
	id := alice.approved("phone")
	for _, path := range []string{
		"/device/configure-meta", "/device/approve-device", "/device/reject-device", "/device/download-device-configuration",
		"/device/remove", "/verified-authenticator/register", "/verified-authenticator/remove",
	} {
		for _, form := range [][]string{nil, {"deviceIdentifier", ""}} {
			a := alice.post(path, form...)
			assert.Equal(t, 422, a.status, path)
			assert.Contains(t, a.object(t)["errors"], "deviceIdentifier", path)
		}
		// What does not exist and what is another's look the same.
		for _, a := range []answer{bob.post(path, "deviceIdentifier", id), alice.post(path, "deviceIdentifier", "unknown")} {
			if path == "/device/remove" || path == "/verified-authenticator/remove" {
				assert.Equal(t, `["rejected","device.not_found"]`, alice.outcome(a), path)
			} else {
				assert.Equal(t, 404, a.status, path)
			}
		}
	}
	assert.Equal(t, 404, bob.get("/device/retrieve-device-configuration/"+id).status)
	assert.Equal(t, "[]", bob.get("/device/retrieve-profile-devices").body)
	assert.Equal(t, 422, alice.post("/device/configure-meta", "deviceIdentifier", id, "name", " ").status)
	assert.Equal(t, 200, alice.get("/device/retrieve-device-configuration/"+id).status, "still there")
}

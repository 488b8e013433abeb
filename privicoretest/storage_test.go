package privicoretest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/privicore/privicore-go/privicoretest"
)

func TestStorageDevices(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithProfile("bob", password))
	c := login(t, s, "alice")
	const list = "/storage/list-storage-devices"
	assert.Equal(t, "[]", c.get(list).body)
	pending, id := c.device("watch"), c.approved("server")
	run := func(path, id string) string { return c.outcome(c.post(path, "deviceIdentifier", id)) }

	assert.Equal(t, `["rejected","storage.device_not_approved"]`, run("/storage/register", pending))
	assert.Equal(t, `["rejected","storage.not_registered"]`, run("/storage/sync-device", id))
	for range 2 {
		assert.Equal(t, `["storage.storage_registered"]`, run("/storage/register", id))
	}
	assert.Equal(t, 1, strings.Count(c.get(list).body, `"deviceIdentifier":"`+id))
	assert.Equal(t, `["storage.device_synchronized"]`, run("/storage/sync-device", id))
	assert.Equal(t, "[]", login(t, s, "bob").get(list).body)
	assert.Equal(t, `["storage.storage_removed"]`, run("/storage/remove", id))
	assert.Equal(t, `["rejected","storage.not_registered"]`, run("/storage/remove", id))
	assert.Equal(t, "[]", c.get(list).body)
	assert.Contains(t, c.get("/device/retrieve-profile-devices").body, id, "the device stays")

	bob := login(t, s, "bob")
	for _, path := range []string{"/storage/register", "/storage/sync-device", "/storage/remove"} {
		assert.Equal(t, 404, bob.post(path, "deviceIdentifier", id).status, path)
		assert.Equal(t, 422, c.post(path).status, path)
		run("/storage/register", id)
	}
	c.outcome(c.post("/device/remove", "deviceIdentifier", id))
	assert.Equal(t, "[]", c.get(list).body, "a removed device stores nothing")
	assert.Equal(t, `["rejected","device.already_removed"]`, run("/storage/register", id))
}

func TestStorageDevicesOfTheStart(t *testing.T) {
	t.Parallel()
	s := privicoretest.NewServer(t, privicoretest.WithProfile("alice", password), privicoretest.WithProfile("bob", password))
	c := login(t, s, "alice")
	for _, path := range []string{"/storage/list-storage-devices", "/device/retrieve-profile-devices"} {
		body := c.get(path).body
		assert.Equal(t, 3, strings.Count(body, `"deviceIdentifier"`), path)
		assert.Equal(t, 3, strings.Count(body, `"status":"approved"`), path)
	}
	assert.NotEqual(t, c.get("/storage/list-storage-devices").body, login(t, s, "bob").get("/storage/list-storage-devices").body)
}

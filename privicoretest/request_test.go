package privicoretest_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/privicoretest"
)

func TestRequests(t *testing.T) { bubble(t, testRequests) }

func testRequests(t *testing.T) {
	s := serveInMemory(t, privicoretest.WithLatency(time.Second))
	start := time.Now()
	c := login(t, s, "alice")
	id := command(c).id(t)
	c.get("/request-status/" + id)
	s.Next("Device.Remove", privicoretest.Fault{Status: 502, AfterEffect: true, Reject: []string{"device.in_use"}})
	c.post("/device/remove", "deviceIdentifier", "d")
	s.Next("Device.List", privicoretest.Fault{Drop: true})
	_, err := c.try("GET", "/device/retrieve-profile-devices", "", "")
	require.ErrorIs(t, err, io.EOF)
	c.post("/profile/change-password", "currentPassword", password, "newPassword", "weak")

	want := []privicoretest.Request{
		{Operation: "Profile.Authenticate", Parameters: map[string]any{"username": "alice", "password": "***"}, Executed: true, Status: 200},
		{Operation: "Device.RequestIdentifier", Username: "alice", Parameters: map[string]any{"deviceName": "x"}, Executed: true, Status: 202, Outcome: "pending"},
		{Operation: "Utility.RequestStatus", Username: "alice", Parameters: map[string]any{"commandId": id}, Executed: true, Status: 202},
		{Operation: "Device.Remove", Username: "alice", Parameters: map[string]any{"deviceIdentifier": "d"}, Executed: true, Status: 502, Outcome: "pending"},
		{Operation: "Device.List", Username: "alice"},
		{Operation: "Profile.ChangePassword", Username: "alice", Parameters: map[string]any{"currentPassword": "***", "newPassword": "***"}, Status: 422},
	}
	got := s.Requests()
	require.Len(t, got, len(want))
	for i := range got {
		assert.WithinDuration(t, start, got[i].Received, time.Second)
		want[i].Received = got[i].Received
		if want[i].Outcome != "" {
			assert.Len(t, got[i].CommandID, 36)
			want[i].CommandID = got[i].CommandID
		}
	}
	assert.Equal(t, want, got)
	assert.Equal(t, id, got[1].CommandID)

	time.Sleep(2 * time.Second)
	synctest.Wait()
	got = s.Requests()
	assert.Equal(t, privicoretest.Succeeded, got[1].Outcome)
	assert.Equal(t, []string{"device.device_registered"}, got[1].Messages)
	assert.Equal(t, privicoretest.Rejected, got[3].Outcome)
	assert.Equal(t, []string{"device.in_use"}, got[3].Messages)
}

func TestRequestLogIsBounded(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]int{0: 0, 3: 3, -1: 8} {
		s := serve(t, privicoretest.WithRequestLog(limit))
		c := anonymous(t, s)
		for range 5 {
			c.get("/health")
		}
		for range 3 {
			c.get("/generate-keys")
		}
		all := s.Requests()
		require.Len(t, all, want)
		for i, r := range all {
			if i >= len(all)-3 {
				assert.Equal(t, "PublicKey.Generate", r.Operation, "the latest are kept")
			}
		}
	}
}

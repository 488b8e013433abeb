package privicoretest_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/privicoretest"
)

// recorded is the client that was recorded against a live server. It sends no
// correlation ids, takes the first message about a command for its end, polls
// with POST and does not wait between its registration and its first token.
type recorded struct {
	client
	socket  socket
	channel string // its id
}

// register registers a profile, authenticates at once, and joins the channel.
func register(t *testing.T, s *privicoretest.Server, username string) (r recorded, registration answer) {
	t.Helper()
	c := anonymous(t, s)
	registration = c.post("/profile/register-profile", "username", username, "password", password)
	require.Equal(t, 202, registration.status)
	r = recorded{client: login(t, s, username), socket: dial(t, s)}
	r.socket.send(`{"action":"joinChannel","data":{"authorizationToken":"` + r.token + `"}}`)
	var joined struct {
		Status int
		Data   struct{ ChannelID string }
	}
	require.NoError(t, json.Unmarshal([]byte(r.socket.read()), &joined))
	require.Equal(t, 200, joined.Status)
	r.channel = joined.Data.ChannelID
	return r, registration
}

// poll asks for a command as an older client does.
func (r recorded) poll(id string) string {
	r.t.Helper()
	a := r.postJSON("/request-status/"+id, "{}")
	require.Contains(r.t, []int{200, 202}, a.status)
	return a.body
}

// run posts a form and checks that the first message is the end of the command.
func (r recorded) run(path string, pairs ...string) (id string) {
	r.t.Helper()
	accepted := r.post(path, pairs...)
	require.Equal(r.t, 202, accepted.status, accepted.body)
	id = accepted.field(r.t, "commandId")
	require.Equal(r.t, id, accepted.header.Get("X-DPT-CAB-ID"))
	first := r.socket.ack()
	require.Equal(r.t, id, first.ID)
	require.Equal(r.t, 2, first.Status, string(first.Body))
	require.Equal(r.t, `["succeeded"]`, r.poll(id))
	return id
}

func TestRecordedClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, privicoretest.WithDialect(privicoretest.Observed), privicoretest.WithLatency(time.Second))
		r, registration := register(t, s, "carol")
		assert.Equal(t, `["started"]`, r.poll(registration.id(t)), "authenticated before the outcome")
		assert.Equal(t, `["succeeded"]`, r.wait(registration.id(t)))

		r.run("/public-key/register-public-key", "publicKey", r.get("/generate-keys").field(t, "public"))
		request := r.run("/device/request-unique-identifier", "deviceName", "phone")
		device := r.post("/device/retrieve-unique-identifier", "id", request).field(t, "deviceIdentifier")
		for _, path := range []string{
			"/device/approve-device", "/verified-authenticator/register", "/verified-authenticator/remove", "/device/remove",
		} {
			r.run(path, "deviceIdentifier", device)
		}

		r.socket.send(`{"action":"leaveChannel","data":{"channelId":"` + r.channel + `"}}`)
		assert.JSONEq(t, `{"status":200,"data":{"channelId":"`+r.channel+`","message":"Successfully left profile channel."}}`, r.socket.read())
	})
}

// A profile whose registration is rejected is gone, and so are its tokens.
func TestRejectedRegistrationObserved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, privicoretest.WithDialect(privicoretest.Observed))
		other := login(t, s, "alice")
		s.Next("Profile.Register", privicoretest.Fault{Latency: time.Minute, Reject: []string{"profile.no"}})
		r, registration := register(t, s, "carol")
		authenticate := func() int {
			return r.post("/profile/authenticate", "username", "carol", "password", password).status
		}
		keys := r.get("/generate-keys").field(t, "public")
		assert.Equal(t, 202, r.post("/public-key/register-public-key", "publicKey", keys).status)
		assert.Equal(t, 409, r.post("/profile/register-profile", "username", "carol", "password", password).status)

		time.Sleep(time.Minute)
		assert.Equal(t, `["rejected","profile.no"]`, r.wait(registration.id(t)))
		assert.Equal(t, 401, authenticate())
		assert.Equal(t, 401, r.get("/profile/retrieve-profile-id").status)
		assert.Equal(t, 200, other.get("/profile/retrieve-profile-id").status, "of another profile")
		r.outcome(r.post("/profile/register-profile", "username", "carol", "password", password))
		assert.Equal(t, 200, authenticate(), "the name is free again")
	})
}

// As documented, a profile exists once its registration has succeeded.
func TestRegistrationLastsDocumented(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := anonymous(t, serveInMemory(t, privicoretest.WithLatency(time.Minute)))
		c.post("/profile/register-profile", "username", "carol", "password", password)
		authenticate := func() int {
			return c.post("/profile/authenticate", "username", "carol", "password", password).status
		}
		assert.Equal(t, 401, authenticate())
		time.Sleep(time.Minute)
		assert.Equal(t, 200, authenticate())
	})
}

// An observed server says that a command has started if it lasts: by its
// latency, or because it waits for a vote.
func TestProgressObserved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, privicoretest.WithDialect(privicoretest.Observed), privicoretest.WithoutVoter(), withoutLag())
		c := login(t, s, "alice")
		authenticator := c.authenticators(1)[0]
		c.activate(c.policy("guard", "Remove device", ""))
		ws := joined(t, s, c)
		expect := func(a answer, statuses ...int) {
			t.Helper()
			for _, status := range statuses {
				got := ws.ack()
				assert.Equal(t, []any{a.id(t), status}, []any{got.ID, got.Status})
			}
		}

		s.Next("Device.RequestIdentifier", privicoretest.Fault{Latency: time.Second})
		expect(command(c), 2)
		s.Next("Device.RequestIdentifier", privicoretest.Fault{Latency: 2 * time.Second})
		expect(command(c), 1, 2)
		s.Next("Device.RequestIdentifier", privicoretest.Fault{Ack: privicoretest.Ack{Pending: 2}})
		expect(command(c), 1, 1, 2)
		s.Next("Device.RequestIdentifier", privicoretest.Fault{Latency: 2 * time.Second, Ack: privicoretest.Ack{Pending: -1}})
		expect(command(c), 2)

		for _, latency := range []time.Duration{0, 2 * time.Second} {
			victim := c.approved("phone")
			ws.skip(2)
			s.Next("Device.Remove", privicoretest.Fault{Latency: latency})
			removal := c.post("/device/remove", "deviceIdentifier", victim)
			expect(removal, 1)
			polls := s.Polls("alice")
			for len(polls) == 0 || polls[len(polls)-1].Status != privicoretest.PollOpen {
				time.Sleep(time.Second)
				polls = s.Polls("alice")
			}
			require.NoError(t, s.Vote(polls[len(polls)-1].ID, authenticator, true))
			expect(removal, 2)
		}
		s.Push("alice", "last")
		assert.Equal(t, `"last"`, ws.read(), "started only once")
	})
}

// skip reads messages that a test does not look at.
func (ws socket) skip(n int) {
	ws.t.Helper()
	for range n {
		ws.read()
	}
}

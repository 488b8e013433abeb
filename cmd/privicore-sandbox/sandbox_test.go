package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// free are flags that take free ports.
var free = []string{"-addr", "127.0.0.1:0", "-ws-addr", "127.0.0.1:0", "-admin-addr", "127.0.0.1:0", "-latency", "1ms"}

// sandbox is a running program with an admin address.
type sandbox struct {
	t       *testing.T
	printed map[string]string
	http    *http.Client
}

func begin(t *testing.T, args ...string) *sandbox {
	t.Helper()
	printed, stop := start(t, append(slices.Clip(free), args...)...)
	client := &http.Client{}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		assert.Equal(t, 0, stop())
	})
	return &sandbox{t, printed, client}
}

// client is a client for a profile.
func (s *sandbox) client(username, password string) *privicore.Client {
	s.t.Helper()
	c, err := privicore.NewClient(
		privicore.WithBaseURL(s.printed["PRIVICORE_API_URL"]),
		privicore.WithWebSocketURL(s.printed["PRIVICORE_WS_URL"]),
		privicore.WithCredentials(username, password),
		privicore.WithMaxRetries(0),
	)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *sandbox) demo() *privicore.Client { return s.client("demo", "demo-password") }

// send makes a request of the admin address and returns status and body.
func (s *sandbox) send(method, path, body string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.printed["PRIVICORE_ADMIN_URL"]+path, strings.NewReader(body))
	require.NoError(s.t, err)
	answer, err := s.http.Do(r)
	require.NoError(s.t, err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	return answer.StatusCode, string(data)
}

// do makes a request that succeeds, and reads the answer into v unless v is nil.
func (s *sandbox) do(method, path, body string, v any) {
	s.t.Helper()
	status, answer := s.send(method, path, body)
	require.Equal(s.t, 200, status, answer)
	if v != nil {
		require.NoError(s.t, json.Unmarshal([]byte(answer), v), answer)
	}
}

// refused makes a request that is refused, and returns why.
func (s *sandbox) refused(method, path, body string) string {
	s.t.Helper()
	status, answer := s.send(method, path, body)
	require.Equal(s.t, 400, status, answer)
	var refusal struct{ Error string }
	require.NoError(s.t, json.Unmarshal([]byte(answer), &refusal))
	return refusal.Error
}

const seed = `{"profiles":[{
	"username":"bob", "password":"battery-staple",
	"devices":[{"name":"phone","status":"approved","authenticator":true},{"name":"tablet","status":"pending"}],
	"votingSettings":{"quorumSize":1,"strategy":"unanimous"},
	"votingConfigurations":[{"name":"owners","timeLimit":90,"deviceIdentifiers":["phone"]}],
	"policies":[{"name":"gate","events":["Device.Remove"],"votingConfiguration":"owners","active":true}],
	"dataTokens":[{"context":"invoices","fileName":"may.pdf","data":"aGVsbG8="}]
}]}`

func TestAdminSeedAndState(t *testing.T) {
	s := begin(t)
	var ids struct{ Profiles []addedIDs }
	s.do("POST", "/seed", seed, &ids)
	require.Len(t, ids.Profiles, 1)
	bob := ids.Profiles[0]
	require.Len(t, bob.Devices, 2)

	listed, err := s.client("bob", "battery-staple").Device.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, bob.Devices[1], listed[len(listed)-1].Identifier)

	var state struct{ Profiles []profile }
	s.do("GET", "/state?profile=bob", "", &state)
	require.Len(t, state.Profiles, 1)
	got := state.Profiles[0]
	assert.Equal(t, bob.ID, got.ID)
	assert.Empty(t, got.Password)
	phone := got.Devices[len(got.Devices)-2]
	assert.Equal(t, bob.Devices[0], phone.Identifier)
	assert.True(t, phone.Authenticator)
	assert.Equal(t, votingSettings{1, privicore.Unanimous, 100, 60, 1}, got.VotingSettings)
	assert.Equal(t, []votingConfiguration{{bob.VotingConfigurations[0], "owners", 90, privicore.Consensus, 0, bob.Devices[:1]}}, got.VotingConfigurations)
	require.Len(t, got.Policies, 1)
	assert.Equal(t, "owners", got.Policies[0].VotingConfiguration)
	assert.Equal(t, []string{"Remove device"}, got.Policies[0].Events)
	require.Len(t, got.DataTokens, 1)
	assert.EqualValues(t, 5, got.DataTokens[0].StoredSize)
	status, data := s.send("GET", "/data/"+bob.DataTokens[0], "")
	assert.Equal(t, 200, status)
	assert.Equal(t, "hello", data)

	s.do("GET", "/state", "", &state)
	assert.Len(t, state.Profiles, 2)

	// More for a profile that is there.
	s.do("POST", "/seed", `{"profiles":[{"username":"demo","devices":[{"name":"door"}]}]}`, nil)
	for body, want := range map[string]string{
		`{"profiles":[{"username":"nobody"}]}`:                                                 `no profile "nobody"`,
		`{"profiles":[{"username":"demo","password":"x"}]}`:                                    `is there twice`,
		`{"profiles":[{"username":"demo","devices":[{"name":""}]}]}`:                           `deviceName`,
		`{"profiles":[{"username":"demo","policies":[{"name":"x","events":["Device.Fly"]}]}]}`: `Device.Fly`,
		`{"profiles":[{"username":"demo","colour":"red"}]}`:                                    `colour`,
		`{`: `the body`,
	} {
		assert.Contains(t, s.refused("POST", "/seed", body), want)
	}
	assert.Contains(t, s.refused("GET", "/state?profile=nobody", ""), "nobody")
	assert.Contains(t, s.refused("GET", "/data/dtk-x", ""), "dtk-x")
	status, _ = s.send("GET", "/nothing", "")
	assert.Equal(t, 404, status)
}

func TestAdminRequests(t *testing.T) {
	s := begin(t)
	_, err := s.demo().Device.Onboard(t.Context(), "tablet")
	require.NoError(t, err)
	var log struct{ Requests []request }
	s.do("GET", "/requests", "", &log)
	operations := make([]string, len(log.Requests))
	for i, r := range log.Requests {
		operations[i] = r.Operation
	}
	assert.Contains(t, operations, "Profile.Authenticate")
	assert.Contains(t, operations, "Device.Approve")
	_, text := s.send("GET", "/requests", "")
	assert.NotContains(t, text, "demo-password")
}

func TestAdminFaults(t *testing.T) {
	s := begin(t, "-fault", "Device.List=status:503,body:busy, very", "-fault", "Device.Approve=reject:device.blocked,once")
	client := s.demo()
	list := func() error {
		_, err := client.Device.List(t.Context())
		return err
	}
	for range 2 {
		var refused *privicore.APIError
		require.ErrorAs(t, list(), &refused)
		assert.Equal(t, 503, refused.StatusCode)
		assert.Equal(t, "busy, very", string(refused.Response.Body))
	}
	_, err := client.Device.Onboard(t.Context(), "tablet")
	require.ErrorIs(t, err, privicore.MessageKey("device.blocked"))
	_, err = client.Device.Onboard(t.Context(), "tablet")
	require.NoError(t, err, "once")

	s.do("DELETE", "/faults", "", nil)
	require.NoError(t, list())
	s.do("POST", "/faults", `{"operation":"Device.List","status":429,"retry-after":"3600","once":true}`, nil)
	require.ErrorIs(t, list(), privicore.ErrRateLimited)
	require.NoError(t, list())
	s.do("POST", "/faults", `{"operation":"*","delay":"1ms","drop":true}`, nil)
	require.Error(t, list())
	_, err = client.Utility.Health(t.Context())
	require.Error(t, err)
	s.do("DELETE", "/faults", "", nil)
	require.NoError(t, list())

	s.do("PUT", "/fault-rate", `{"rate":1}`, nil)
	for range 20 {
		if err = list(); err != nil {
			break
		}
	}
	require.Error(t, err)
	s.do("PUT", "/fault-rate", `{"rate":0}`, nil)
	require.NoError(t, list())
	for body, want := range map[string]string{
		`{"operation":"Device.Fly","status":500}`:    "Device.Fly",
		`{"operation":"Device.List","status":7}`:     "7",
		`{"operation":"Device.List","delay":"long"}`: "long",
	} {
		assert.Contains(t, s.refused("POST", "/faults", body), want)
	}
	assert.Contains(t, s.refused("PUT", "/fault-rate", `{"rate":-1}`), "from 0 to 1")
}

// remove removes a new device of the profile demo, on which a policy holds a poll.
func (s *sandbox) remove() *privicore.Command {
	s.t.Helper()
	var ids struct{ Profiles []addedIDs }
	s.do("POST", "/seed", `{"profiles":[{"username":"demo","devices":[{"name":"door"}]}]}`, &ids)
	cmd, err := s.demo().Device.Remove(s.t.Context(), ids.Profiles[0].Devices[0])
	require.NoError(s.t, err)
	return cmd
}

func TestVotes(t *testing.T) {
	s := begin(t, "-vote", "Device.Remove=no")
	gate := `{"profiles":[{"username":"demo","devices":[{"name":"phone","authenticator":true}],
		"policies":[{"name":"gate","events":["Device.Remove","Device.Approve"],"active":true}]}]}`
	var ids struct{ Profiles []addedIDs }
	s.do("POST", "/seed", gate, &ids)
	phone := ids.Profiles[0].Devices[0]

	_, err := s.remove().Wait(t.Context())
	require.ErrorIs(t, err, privicore.MessageKey("voting.denied"))
	_, err = s.demo().Device.Onboard(t.Context(), "tablet")
	require.NoError(t, err, "yes to all else")

	s.do("PUT", "/votes", `{"vote":"no"}`, nil)
	_, err = s.demo().Device.Onboard(t.Context(), "tablet")
	require.ErrorIs(t, err, privicore.ErrRejected)
	s.do("PUT", "/votes", `{"operation":"Device.Remove","vote":"yes"}`, nil)
	_, err = s.remove().Wait(t.Context())
	require.NoError(t, err)

	s.do("PUT", "/votes", `{"vote":"none"}`, nil)
	cmd := s.remove()
	var open poll
	require.Eventually(t, func() bool {
		var held struct{ Polls []poll }
		s.do("GET", "/polls?profile=demo", "", &held)
		open = held.Polls[len(held.Polls)-1]
		return open.Status == "open"
	}, 10*time.Second, 5*time.Millisecond)
	s.do("POST", "/polls/"+open.ID+"/votes", `{"device":"`+phone+`","yes":true}`, nil)
	_, err = cmd.Wait(t.Context())
	require.NoError(t, err)
	assert.Contains(t, s.refused("POST", "/polls/"+open.ID+"/votes", `{"device":"x","yes":true}`), "over")
	assert.Contains(t, s.refused("POST", "/polls/"+open.ID+"/votes", `{"device":"x"}`), "yes")
	assert.Contains(t, s.refused("PUT", "/votes", `{"vote":"maybe"}`), "maybe")
	assert.Contains(t, s.refused("PUT", "/votes", `{"operation":"Device.Fly","vote":"no"}`), "Device.Fly")
}

func TestProfiles(t *testing.T) {
	s := begin(t, "-profile", "bob:battery:staple", "-profile", "carol:x")
	for username, password := range map[string]string{"demo": "demo-password", "bob": "battery:staple", "carol": "x"} {
		_, err := s.client(username, password).Profile.ID(t.Context())
		require.NoError(t, err, username)
	}
}

// The admin address refuses what a page of another origin sends from a browser.
func TestAdminOtherOrigin(t *testing.T) {
	s := begin(t)
	r, err := http.NewRequest("POST", s.printed["PRIVICORE_ADMIN_URL"]+"/seed", strings.NewReader(seed))
	require.NoError(t, err)
	r.Header.Set("Origin", "https://example.com")
	answer, err := s.http.Do(r)
	require.NoError(t, err)
	answer.Body.Close()
	assert.Equal(t, 403, answer.StatusCode)
}

func TestLog(t *testing.T) {
	var stderr bytes.Buffer
	printed, stop := startWith(t, &stderr, append(slices.Clip(free), "-log")...)
	s := &sandbox{t, printed, nil}
	client := s.demo()
	_, err := client.Device.Onboard(t.Context(), "tablet")
	require.NoError(t, err)
	require.NoError(t, client.Close())
	require.Equal(t, 0, stop())
	assert.Contains(t, stderr.String(), "operation=Device.RequestIdentifier username=demo")
	assert.Contains(t, stderr.String(), "outcome=succeeded")
	assert.NotContains(t, stderr.String(), "demo-password")
}

func TestFaultFlag(t *testing.T) {
	t.Parallel()
	f, err := parseFault("Device.Approve=status:503,retry-after:2,delay:1s,latency:2ms,reject:a,reject:b,after,no-id,lose-ack,once,body:x,y")
	require.NoError(t, err)
	assert.Equal(t, fault{
		Operation: "Device.Approve", Once: true, Status: 503, Body: "x,y", RetryAfter: "2", Delay: duration(time.Second),
		Latency: duration(2 * time.Millisecond), Reject: []string{"a", "b"}, After: true, NoID: true, LoseAck: true,
	}, f)
	of := f.fault()
	assert.Equal(t, "2", of.Header.Get("Retry-After"))
	assert.Equal(t, time.Second, of.Delay)
	assert.Equal(t, 2*time.Millisecond, of.Latency)
	assert.True(t, of.AfterEffect && of.NoID && of.Ack.Lose)
}

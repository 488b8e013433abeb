package privicoretest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/privicore/privicore-go/privicoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const password = "correct horse"

// client is a foreign client: it knows net/http and the contract.
type client struct {
	t     *testing.T
	via   http.RoundTripper
	base  string
	token string
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// serve starts a fast server with the profile alice.
func serve(t *testing.T, opts ...privicoretest.Option) *privicoretest.Server {
	t.Helper()
	opts = append([]privicoretest.Option{
		privicoretest.WithProfile("alice", password),
		privicoretest.WithLatency(time.Millisecond),
		privicoretest.WithStatusLimit(0, 0),
		privicoretest.WithStorageDevices(0),
	}, opts...)
	return privicoretest.NewServer(t, opts...)
}

// bubble runs a test where time passes at once. It runs in parallel to others.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Parallel()
	synctest.Test(t, test)
}

// serveInMemory is serve for a test in a bubble.
func serveInMemory(t *testing.T, opts ...privicoretest.Option) *privicoretest.Server {
	t.Helper()
	return serve(t, append(opts, privicoretest.WithMemoryNetwork())...)
}

// anonymous is a client without a token. Each of its requests goes over a
// connection of its own, so that none is sent again by net/http.
func anonymous(t *testing.T, s *privicoretest.Server) client {
	transport := s.Client().Transport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	return client{t: t, via: transport, base: s.URL}
}

// login is a client with a fresh token.
func login(t *testing.T, s *privicoretest.Server, username string) client {
	t.Helper()
	c := anonymous(t, s)
	c.token = c.post("/profile/authenticate", "username", username, "password", password).field(t, "authorizationToken")
	return c
}

func (c client) try(method, path, contentType, body string) (answer, error) {
	request, err := http.NewRequest(method, c.base+path, strings.NewReader(body))
	require.NoError(c.t, err)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		request.Header.Set("X-DPT-AUTHORIZATION", c.token)
	}
	return c.do(request)
}

func (c client) do(request *http.Request) (answer, error) {
	response, err := c.via.RoundTrip(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(data)}, err
}

func (c client) send(method, path, contentType, body string) answer {
	c.t.Helper()
	a, err := c.try(method, path, contentType, body)
	require.NoError(c.t, err)
	return a
}

func (c client) get(path string) answer {
	c.t.Helper()
	return c.send("GET", path, "", "")
}

// post sends a form of names and values.
func (c client) post(path string, pairs ...string) answer {
	c.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return c.send("POST", path, "application/x-www-form-urlencoded", form.Encode())
}

func (c client) postJSON(path, body string) answer {
	c.t.Helper()
	return c.send("POST", path, "application/json", body)
}

// outcome polls a command until it has ended.
func (c client) outcome(a answer) string {
	c.t.Helper()
	require.Equal(c.t, 202, a.status, a.body)
	return c.wait(a.id(c.t))
}

func (c client) wait(id string) string {
	c.t.Helper()
	var last answer
	require.Eventually(c.t, func() bool {
		last = c.get("/request-status/" + id)
		return last.status != 202
	}, 5*time.Second, time.Millisecond)
	require.Equal(c.t, 200, last.status, last.body)
	return last.body
}

// device registers a device and returns its identifier.
func (c client) device(name string) string {
	c.t.Helper()
	requested := c.post("/device/request-unique-identifier", "deviceName", name)
	require.NotContains(c.t, c.outcome(requested), "rejected")
	return c.post("/device/retrieve-unique-identifier", "id", requested.id(c.t)).field(c.t, "deviceIdentifier")
}

// approved registers and approves a device.
func (c client) approved(name string) string {
	c.t.Helper()
	id := c.device(name)
	require.NotContains(c.t, c.outcome(c.post("/device/approve-device", "deviceIdentifier", id)), "rejected")
	return id
}

// id finds the command id in any of its places.
func (a answer) id(t *testing.T) string {
	t.Helper()
	if id := a.header.Get("X-DPT-CAB-ID"); id != "" {
		return id
	}
	var list []string
	if json.Unmarshal([]byte(a.body), &list) == nil && len(list) == 1 {
		return list[0]
	}
	var one string
	if json.Unmarshal([]byte(a.body), &one) == nil {
		return one
	}
	return a.field(t, "commandId")
}

func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &object), a.body)
	return object
}

// field is a string in the answer's object.
func (a answer) field(t *testing.T, name string) string {
	t.Helper()
	value, ok := a.object(t)[name].(string)
	require.True(t, ok, "%s in %s", name, a.body)
	return value
}

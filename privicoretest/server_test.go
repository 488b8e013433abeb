package privicoretest_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/privicoretest"
)

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func TestOperationsOfTheTable(t *testing.T) {
	t.Parallel()
	served := privicoretest.Operations()
	for _, op := range operation.All {
		assert.Contains(t, served, op.Name)
	}
}

func TestEveryPathRefusesWrongMethods(t *testing.T) {
	t.Parallel()
	c := anonymous(t, serve(t))
	for _, call := range []struct{ method, path, allow string }{
		{"POST", "/health", "GET"},
		{"GET", "/device/remove", "POST"},
		{"DELETE", "/request-status/x", "GET, POST"},
		{"PUT", "/verified-authenticator/voting-configuration/retrieve/x", "GET"},
	} {
		a := c.send(call.method, call.path, "", "")
		assert.Equal(t, 405, a.status, call)
		assert.Equal(t, call.allow, a.header.Get("Allow"), call)
		assert.NotEmpty(t, a.field(t, "message"))
	}
}

func TestUnknownPath(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	for _, path := range []string{"/", "/device", "/device/approve-device/x", "/request-status/"} {
		a := c.get(path)
		assert.Equal(t, 404, a.status, path)
		assert.NotEmpty(t, a.field(t, "message"))
	}
}

func TestEveryProtectedOperationWantsALivingToken(t *testing.T) {
	t.Parallel()
	s := serve(t)
	dead := login(t, s, "alice")
	require.Equal(t, 200, dead.post("/profile/revoke-authorization-token").status)
	unknown, none := dead, dead
	unknown.token, none.token = "T-0", ""
	for _, op := range operation.All {
		if op.Auth != operation.Token || !slices.Contains(privicoretest.Operations(), op.Name) {
			continue
		}
		for _, c := range []client{dead, unknown, none} {
			a := c.send(op.Method, op.Prefix()+op.PathParameter(), "", "")
			assert.Equal(t, 401, a.status, op.Name)
			assert.Equal(t, "Unauthorized.", a.field(t, "message"), op.Name)
		}
	}
}

func TestTokensExpire(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t, privicoretest.WithTokenLifetime(-time.Second)), "alice")
	assert.Equal(t, 401, c.get("/profile/retrieve-profile-id").status)
}

func TestWrongEncodingIsRefused(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	for name, a := range map[string]answer{
		"JSON for a form":        c.postJSON("/device/request-unique-identifier", `{"deviceName":"x"}`),
		"JSON for an empty form": c.postJSON("/profile/generate-token-qr", `{}`),
		"form without a type":    c.send("POST", "/device/request-unique-identifier", "", "deviceName=x"),
		"broken form":            c.send("POST", "/device/request-unique-identifier", "application/x-www-form-urlencoded", "deviceName=%zz"),
		"multipart":              c.send("POST", "/device/request-unique-identifier", "multipart/form-data; boundary=x", "--x--"),
		"form for JSON":          c.post("/verified-authenticator/voting-configuration/register", "name", "x"),
		"not an object":          c.postJSON("/verified-authenticator/voting-configuration/register", `["x"]`),
		"null":                   c.postJSON("/verified-authenticator/voting-configuration/register", `null`),
		"two objects":            c.postJSON("/verified-authenticator/voting-configuration/register", `{} {}`),
		"nothing":                c.postJSON("/verified-authenticator/voting-configuration/register", ``),
	} {
		assert.Equal(t, 422, a.status, name)
		assert.NotEqual(t, "validation failed", a.field(t, "message"), name)
	}
}

func TestNoBodyIsAnEmptyForm(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	for _, contentType := range []string{"", "application/json", "text/plain", "nonsense"} {
		assert.Equal(t, 200, c.send("POST", "/profile/generate-token-qr", contentType, "").status, contentType)
	}
}

func TestUncleanPaths(t *testing.T) {
	t.Parallel()
	for dialect, body := range map[privicoretest.Dialect]string{
		privicoretest.Documented: `{"message":"There is nothing at this path."}`,
		privicoretest.Observed:   `"request.not_found"`,
	} {
		s := serve(t, privicoretest.WithDialect(dialect))
		c := login(t, s, "alice")
		for _, base := range []string{s.URL, s.UploadURL, s.DownloadURL} {
			c.base = base
			for _, path := range []string{"//health", "/./health", "/x/../health", "/health/.", "/health//", "/device//remove", "/.."} {
				a := c.get(path)
				assert.Equal(t, 404, a.status, path)
				assert.Equal(t, body, a.body, path)
			}
		}
	}
}

func TestIDsInUpperCase(t *testing.T) {
	t.Parallel()
	s := serve(t, withStorage(), privicoretest.WithPolicyLag(0))
	c := login(t, s, "alice")
	up := strings.ToUpper
	requested := c.post("/device/request-unique-identifier", "deviceName", "x")
	c.wait(up(requested.id(t)))
	device := c.post("/device/retrieve-unique-identifier", "id", up(requested.id(t))).field(t, "deviceIdentifier")
	for _, path := range []string{"/device/approve-device", "/verified-authenticator/register"} {
		assert.NotContains(t, c.outcome(c.post(path, "deviceIdentifier", up(device))), "rejected", path)
	}
	assert.Equal(t, 200, c.get("/device/retrieve-device-configuration/"+up(device)).status)
	c.authenticators(2)

	const configurations = "/verified-authenticator/voting-configuration"
	assert.NotContains(t, c.outcome(c.postJSON(configurations+"/register",
		`{"name":"x","timeLimit":60,"strategy":"unanimous","deviceIdentifiers":["`+up(device)+`"]}`)), "rejected")
	configuration := c.get(configurations+"/retrieve/x").field(t, "id")
	c.configured("all", `"timeLimit":60,"strategy":"unanimous"`)
	poll := c.poll(up(configuration), "")
	assert.Equal(t, 200, c.get("/voting/check-pool-status/"+up(poll)).status)
	c.poll("all", `,"skipAuthenticatorDevices":["`+up(device)+`"]`)
	polls := s.Polls("alice")
	assert.Equal(t, []string{device}, polls[0].Devices)
	assert.Len(t, polls[1].Devices, 2)
	assert.NotContains(t, polls[1].Devices, device)

	template, event := c.event("Remove device")
	assert.NotContains(t, c.outcome(c.postJSON("/policy/register", `{"policyTemplateId":"`+up(template)+`","applyingEventIds":["`+up(event)+`"],"name":"guard"}`)), "rejected")
	policy := c.get("/policy/retrieve-policy/guard").field(t, "id")
	c.activate(up(policy))
	c.outcome(c.post("/device/remove", "deviceIdentifier", up(device)))
	assert.Len(t, s.Polls("alice"), 3, "the policy knows its event")

	reservation := c.post("/data-token/reserve-token-space", "context", "x")
	c.outcome(reservation)
	assert.Equal(t, 200, c.get("/data-token/retrieve-temporary-data-token/"+up(reservation.id(t))).status)

	id := c.registered()
	config := c.post("/profile/retrieve-oauth-application-configuration", "applicationId", up(id))
	a := app{anonymous(t, s), up(config.field(t, "clientId")), config.field(t, "clientSecret")}
	assert.Equal(t, 200, a.retrieve(up(c.request(a.id, "n", "read").id(t)), "n").status)
}

func TestUnexpectedParametersAreRefused(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	a := c.post("/device/request-unique-identifier", "deviceName", "x", "colour", "red")
	assert.Equal(t, 422, a.status)
	assert.JSONEq(t, `{"message":"validation failed","errors":{"colour":["This field was not expected."]}}`, a.body)
	twice := c.post("/device/request-unique-identifier", "deviceName", "x", "deviceName", "y")
	assert.JSONEq(t, `{"message":"validation failed","errors":{"deviceName":["This value should be a single string."]}}`, twice.body)
}

func TestLargeBody(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t), "alice")
	a := c.post("/device/request-unique-identifier", "deviceName", strings.Repeat("x", 1<<20))
	assert.Equal(t, 413, a.status)
}

func TestCommandIDShapes(t *testing.T) {
	t.Parallel()
	const (
		inHeader = `^$`
		asString = `^"[0-9a-f-]{36}"$`
		asArray  = `^\["[0-9a-f-]{36}"\]$`
		asObject = `^\{"commandId":"[0-9a-f-]{36}"\}$`
	)
	documented := privicoretest.WithDialect(privicoretest.Documented)
	observed := privicoretest.WithDialect(privicoretest.Observed)
	shape := privicoretest.WithIDShape
	for name, test := range map[string]struct {
		opt           privicoretest.Option
		header        bool
		body          string
		removalHeader bool
		removalBody   string
	}{
		"documented": {documented, false, asArray, true, inHeader},
		"observed":   {observed, true, asObject, true, asObject},
		"header":     {shape(privicoretest.HeaderID), true, inHeader, true, inHeader},
		"string":     {shape(privicoretest.StringID), false, asString, false, asString},
		"array":      {shape(privicoretest.ArrayID), false, asArray, false, asArray},
		"object":     {shape(privicoretest.ObjectID), false, asObject, false, asObject},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := login(t, serve(t, observed, test.opt), "alice")
			requested := c.post("/device/request-unique-identifier", "deviceName", "x")
			assert.Equal(t, test.header, requested.header.Get("X-DPT-CAB-ID") != "")
			assert.Regexp(t, test.body, requested.body)
			c.outcome(requested)
			removal := c.post("/device/remove", "deviceIdentifier", "x")
			assert.Equal(t, test.removalHeader, removal.header.Get("X-DPT-CAB-ID") != "")
			assert.Regexp(t, test.removalBody, removal.body)
			c.outcome(removal)
		})
	}
}

func TestObservedRefusals(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t, privicoretest.WithDialect(privicoretest.Observed)), "alice")
	assert.Equal(t, `["deviceIdentifier: This value should not be blank."]`, c.post("/device/remove", "deviceIdentifier", " ").body)
	assert.Equal(t, `"device.not_found"`, c.get("/device/retrieve-device-configuration/x").body)
	assert.Equal(t, `"request.not_found"`, c.get("/nowhere").body)
	c.token = ""
	assert.Equal(t, `"profile.unauthorized"`, c.post("/device/remove", "deviceIdentifier", "x").body)
}

func TestFaultStatus(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := login(t, s, "alice")
	s.Next("Device.RequestIdentifier", privicoretest.Fault{
		Status: 503, Header: http.Header{"Retry-After": {"7"}, "Content-Type": {"text/html"}}, Body: "<html>",
	})
	s.Next("Device.RequestIdentifier", privicoretest.Fault{Status: 500, Body: `"server.error"`, AfterEffect: true, Latency: -1})

	first := c.post("/device/request-unique-identifier", "deviceName", "first")
	assert.Equal(t, 503, first.status)
	assert.Equal(t, "7", first.header.Get("Retry-After"))
	assert.Equal(t, "text/html", first.header.Get("Content-Type"))
	assert.Equal(t, "<html>", first.body)

	second := c.post("/device/request-unique-identifier", "deviceName", "second")
	assert.Equal(t, 500, second.status)
	assert.Equal(t, `"server.error"`, second.body)
	assert.Equal(t, "application/json", second.header.Get("Content-Type"))

	c.device("third")
	list := c.get("/device/retrieve-profile-devices").body
	assert.NotContains(t, list, "first")
	assert.Contains(t, list, "second")
	assert.Contains(t, list, "third")
	assert.Equal(t, 3, s.Calls("Device.RequestIdentifier"))
	assert.Equal(t, 0, s.Calls("Device.Remove"))
}

func TestFaultDrop(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := login(t, s, "alice")
	s.Next("Profile.RevokeToken", privicoretest.Fault{Drop: true})
	s.Next("Profile.RevokeToken", privicoretest.Fault{Drop: true, AfterEffect: true})
	_, err := c.try("POST", "/profile/revoke-authorization-token", "", "")
	require.ErrorIs(t, err, io.EOF)
	assert.Equal(t, 200, c.get("/profile/retrieve-profile-id").status, "not carried out")
	_, err = c.try("POST", "/profile/revoke-authorization-token", "", "")
	require.ErrorIs(t, err, io.EOF)
	assert.Equal(t, 401, c.get("/profile/retrieve-profile-id").status, "carried out")
}

func TestFaultsOfCommands(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := login(t, s, "alice")
	s.Next("Device.RequestIdentifier", privicoretest.Fault{Reject: []string{"device.no_room", "device.sorry"}})
	s.Next("Device.RequestIdentifier", privicoretest.Fault{NoID: true})
	s.Next("Device.RequestIdentifier", privicoretest.Fault{IDShape: privicoretest.StringID, Latency: -1})
	s.Next("Device.RequestIdentifier", privicoretest.Fault{Latency: time.Hour})

	request := func() answer { return c.post("/device/request-unique-identifier", "deviceName", "x") }
	assert.Equal(t, `["rejected","device.no_room","device.sorry"]`, c.outcome(request()))
	assert.Equal(t, "[]", c.get("/device/retrieve-profile-devices").body)

	noID := request()
	assert.Equal(t, 202, noID.status)
	assert.Empty(t, noID.body)
	assert.Empty(t, noID.header.Get("X-DPT-CAB-ID"))

	early := request()
	assert.Regexp(t, `^"[0-9a-f-]{36}"$`, early.body)
	assert.Equal(t, 200, c.get("/request-status/"+early.id(t)).status, "ended before the 202")

	late := c.get("/request-status/" + request().id(t))
	assert.Equal(t, 202, late.status)
	assert.Equal(t, `["started"]`, late.body)
}

func TestFaultDelay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t)
		s.Next("Utility.Health", privicoretest.Fault{Delay: time.Hour})
		began := time.Now()
		assert.Equal(t, 200, anonymous(t, s).get("/health").status)
		assert.Equal(t, time.Hour, time.Since(began))
	})
}

func TestUnknownOperationFailsTheTest(t *testing.T) {
	t.Parallel()
	failed := &recorder{TB: t}
	s := privicoretest.NewServer(failed)
	s.Next("Device.Explode", privicoretest.Fault{})
	assert.Zero(t, s.Calls("Device.Implode"))
	assert.Equal(t, []string{
		`privicoretest: no operation "Device.Explode": privicoretest.Operations() lists the names`,
		`privicoretest: no operation "Device.Implode": privicoretest.Operations() lists the names`,
	}, failed.messages)
	// Only then is the failure reported at the line of the caller.
	for _, method := range []string{"Next", "Calls"} {
		assert.Contains(t, failed.helpers, "github.com/privicore/privicore-go/privicoretest.(*Server)."+method)
	}
}

// recorder takes down what would fail a test.
type recorder struct {
	testing.TB
	messages []string
	helpers  []string // functions that are not where a failure is
}

func (r *recorder) Helper() {
	pc, _, _, _ := runtime.Caller(1)
	r.helpers = append(r.helpers, runtime.FuncForPC(pc).Name())
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.messages = append(r.messages, fmt.Sprintf(format, args...))
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for name, opt := range map[string]privicoretest.Option{
		"busy address":      privicoretest.WithAddr(taken.Addr().String()),
		"no password":       privicoretest.WithProfile("bob", ""),
		"no storage at all": privicoretest.WithStorageDevices(-1),
		"slow motion":       privicoretest.WithSpeed(0.5),
		"a profile thrice":  privicoretest.WithProfile("alice", "other"),
	} {
		_, err := privicoretest.Start(privicoretest.WithProfile("alice", password), opt)
		assert.Error(t, err, name)
	}
}

func TestCloseEndsWhatRuns(t *testing.T) {
	t.Parallel()
	s, err := privicoretest.Start(privicoretest.WithProfile("alice", password), privicoretest.WithLatency(time.Hour))
	require.NoError(t, err)
	c := login(t, s, "alice")
	assert.Equal(t, 202, c.post("/device/request-unique-identifier", "deviceName", "x").status)

	s.Next("Utility.Health", privicoretest.Fault{Delay: time.Hour})
	var hanging sync.WaitGroup
	hanging.Go(func() {
		_, err := c.try("GET", "/health", "", "")
		assert.Error(t, err)
	})
	require.Eventually(t, func() bool { return s.Calls("Utility.Health") == 1 }, time.Second, time.Millisecond)
	s.Close()
	s.Close()
	hanging.Wait()
	_, err = c.try("GET", "/health", "", "")
	assert.Error(t, err)
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	s := serve(t)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			c := login(t, s, "alice")
			id := c.approved(fmt.Sprint("device ", i))
			assert.Contains(t, c.outcome(c.post("/verified-authenticator/register", "deviceIdentifier", id)), "registered")
			c.get("/device/retrieve-profile-devices")
			s.Calls("Device.List")
		})
	}
	all.Wait()
	assert.Equal(t, 20, strings.Count(login(t, s, "alice").get("/verified-authenticator/list-verified-authenticators").body, "deviceIdentifier"))
	assert.Equal(t, 20, s.Calls("Device.List"))
}

package privicoretest_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/privicoretest"
)

const maxDelay = 80 * time.Millisecond

// describe makes a call and describes what came, and how long it took.
func (c client) describe(method, path string, within time.Duration) (what string, took time.Duration) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	start := time.Now()
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, http.NoBody)
	require.NoError(c.t, err)
	request.Header.Set("X-DPT-AUTHORIZATION", c.token)
	response, err := c.via.RoundTrip(request)
	if err != nil {
		return "no answer", time.Since(start)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	end := "whole"
	switch {
	case err != nil:
		end = "broken off"
	case len(body) == 1<<20:
		end = "endless"
	}
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	if response.StatusCode >= 300 {
		kind = ""
	}
	return strings.TrimSpace(fmt.Sprintln(response.StatusCode, kind, end)), time.Since(start)
}

func TestFaultsOfCallsAtRandom(t *testing.T) {
	const ok = "200 application/json whole"
	for name, tc := range map[string]struct {
		rates    privicoretest.FaultRates
		want     string // what every call gets
		executed bool
		slow     bool
	}{
		"no fault":        {privicoretest.FaultRates{}, ok, true, false},
		"delay":           {privicoretest.FaultRates{Delay: 1}, ok, true, true},
		"reset before":    {privicoretest.FaultRates{ResetBefore: 1}, "no answer", false, false},
		"reset after":     {privicoretest.FaultRates{ResetAfter: 1}, "no answer", true, false},
		"truncated":       {privicoretest.FaultRates{Truncated: 1}, "200 application/json broken off", true, false},
		"endless":         {privicoretest.FaultRates{Endless: 1}, "200 application/json endless", true, false},
		"slow":            {privicoretest.FaultRates{Slow: 1}, ok, true, true},
		"frozen":          {privicoretest.FaultRates{Frozen: 1}, "200 application/json broken off", true, false},
		"content type":    {privicoretest.FaultRates{ContentType: 1}, "200 text/html whole", true, false},
		"client error":    {privicoretest.FaultRates{ClientError: 1}, "4.. +whole", false, false},
		"rate limited":    {privicoretest.FaultRates{RateLimited: 1}, "429 +whole", false, false},
		"page":            {privicoretest.FaultRates{Page: 1}, "... (text/html|application/json)? ?whole", false, false},
		"redirect":        {privicoretest.FaultRates{Redirect: 1}, "30. +whole", false, false},
		"token expired":   {privicoretest.FaultRates{TokenExpired: 1}, "401 +whole", false, false},
		"does not fit it": {privicoretest.FaultRates{AuthenticationFailed: 1}, ok, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := serveInMemory(t, privicoretest.WithRandomFaults(7, privicoretest.FaultRates{}))
				c := login(t, s, "alice")
				tc.rates.MaxDelay = maxDelay
				s.SetFaultRates(tc.rates)
				for range 10 {
					what, took := c.describe("GET", "/profile/retrieve-profile-id", time.Minute)
					assert.Regexp(t, "^"+tc.want+"$", what)
					if tc.slow {
						assert.Positive(t, took)
						assert.LessOrEqual(t, took, 2*maxDelay)
					}
					if name == "frozen" {
						assert.Equal(t, time.Minute, took, "until the caller hangs up")
					}
				}
				for _, r := range s.Requests()[1:] {
					assert.Equal(t, tc.executed, r.Executed)
				}
			})
		})
	}
}

func TestServerErrorsAtRandom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, privicoretest.WithRandomFaults(1, privicoretest.FaultRates{}))
		c := login(t, s, "alice")
		s.SetFaultRates(privicoretest.FaultRates{ServerError: 1})
		for range 50 {
			what, _ := c.describe("POST", "/profile/generate-token-qr", time.Minute)
			assert.Regexp(t, `^5.. +whole$`, what)
		}
		executed := 0
		for _, r := range s.Requests()[1:] {
			if r.Executed {
				executed++
				assert.NotEqual(t, 501, r.Status, "says that the call was not carried out")
			}
		}
		assert.Greater(t, executed, 5, "after the effect")
		assert.Less(t, executed, 45, "before the effect")
	})
}

func TestRandomAnswers(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithRandomFaults(1, privicoretest.FaultRates{}))
	c := login(t, s, "alice")
	s.SetFaultRates(privicoretest.FaultRates{Redirect: 1})
	a := c.get("/device/retrieve-profile-devices?x=1")
	assert.Equal(t, s.DownloadURL+"/device/retrieve-profile-devices?x=1", a.header.Get("Location"))

	s.SetFaultRates(privicoretest.FaultRates{RateLimited: 1})
	waits := make(map[string]bool)
	for range 50 {
		waits[c.get("/health").header.Get("Retry-After")] = true
	}
	assert.True(t, waits[""] && waits["1"] && waits["3600"], "%v", waits)

	s.SetFaultRates(privicoretest.FaultRates{Page: 1})
	quoted := 0
	for range 50 {
		a := c.post("/device/request-unique-identifier", "deviceName", "a<b")
		assert.True(t, strings.HasPrefix(a.body, "<"), a.body)
		if strings.Contains(a.body, c.token) {
			quoted++
			assert.Contains(t, a.body, "deviceName=a%3Cb")
		}
	}
	assert.Positive(t, quoted, "pages that quote the request")

	s.SetFaultRates(privicoretest.FaultRates{AuthenticationFailed: 1})
	assert.Equal(t, 401, c.post("/profile/authenticate", "username", "alice", "password", password).status)
}

func TestFaultsOfCommandsAtRandom(t *testing.T) {
	for name, tc := range map[string]struct {
		rates privicoretest.FaultRates
		check func(t *testing.T, s *privicoretest.Server, c client, ws socket)
	}{
		"id shape": {privicoretest.FaultRates{IDShape: 1}, func(t *testing.T, _ *privicoretest.Server, c client, _ socket) {
			shapes := make(map[string]bool)
			for range 50 {
				a := command(c)
				shapes[fmt.Sprintf("%.1s", a.body)] = true
				assert.Len(t, a.id(t), 36)
			}
			assert.Len(t, shapes, 4, "%v", shapes)
		}},
		"no id": {privicoretest.FaultRates{NoID: 1}, func(t *testing.T, _ *privicoretest.Server, c client, _ socket) {
			a := command(c)
			assert.Equal(t, 202, a.status)
			assert.Empty(t, a.body)
			assert.Empty(t, a.header.Get("X-DPT-CAB-ID"))
		}},
		"ack early": {privicoretest.FaultRates{AckEarly: 1}, func(t *testing.T, s *privicoretest.Server, c client, _ socket) {
			command(c)
			assert.Equal(t, privicoretest.Succeeded, last(s).Outcome, "by the time of the answer")
		}},
		"ack lost": {privicoretest.FaultRates{AckLost: 1}, func(t *testing.T, s *privicoretest.Server, c client, ws socket) {
			command(c)
			assert.Equal(t, 1, ws.ack().Status)
			time.Sleep(time.Second)
			s.Push("alice", "next")
			assert.Equal(t, `"next"`, ws.read())
		}},
		"ack twice": {privicoretest.FaultRates{AckTwice: 1}, func(t *testing.T, _ *privicoretest.Server, c client, ws socket) {
			id := command(c).id(t)
			for _, status := range []int{1, 2, 2} {
				assert.Equal(t, status, ws.ack().Status, id)
			}
		}},
		"ack late": {privicoretest.FaultRates{AckLate: 1, MaxDelay: time.Hour}, func(t *testing.T, _ *privicoretest.Server, c client, ws socket) {
			start := time.Now()
			command(c)
			assert.Equal(t, 1, ws.ack().Status)
			assert.Less(t, time.Since(start), time.Second)
			ws = socket{t, context.Background(), ws.conn}
			assert.Equal(t, 2, ws.ack().Status)
			assert.Greater(t, time.Since(start), time.Second)
		}},
		"out of order": {privicoretest.FaultRates{AckOutOfOrder: 1}, func(t *testing.T, s *privicoretest.Server, c client, ws socket) {
			first := command(c).id(t)
			assert.Equal(t, 1, ws.ack().Status)
			s.Next("Device.RequestIdentifier", privicoretest.Fault{}) // in order
			second := command(c).id(t)
			assert.Equal(t, 1, ws.ack().Status)
			assert.Equal(t, second, ws.ack().ID)
			assert.Equal(t, first, ws.ack().ID, "overtaken")
			third := command(c).id(t)
			assert.Equal(t, 1, ws.ack().Status)
			assert.Equal(t, third, ws.ack().ID, "sent although none follows")
		}},
		"socket dropped": {privicoretest.FaultRates{SocketDropped: 1}, func(t *testing.T, s *privicoretest.Server, c client, ws socket) {
			command(c)
			assert.ErrorIs(t, ws.ended(), io.EOF)
			assert.Zero(t, s.Connections())
		}},
		"socket frozen": {privicoretest.FaultRates{SocketFrozen: 1}, func(t *testing.T, s *privicoretest.Server, c client, ws socket) {
			command(c)
			assert.Equal(t, 1, ws.ack().Status)
			time.Sleep(time.Second)
			s.Push("alice", "lost")
			assert.Equal(t, 1, s.Connections())
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_, _, err := ws.conn.Read(ctx)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := serveInMemory(t, privicoretest.WithRandomFaults(3, privicoretest.FaultRates{}))
				c := login(t, s, "alice")
				ws := joined(t, s, c)
				s.SetFaultRates(tc.rates)
				tc.check(t, s, c, ws)
			})
		})
	}
}

func last(s *privicoretest.Server) privicoretest.Request {
	all := s.Requests()
	return all[len(all)-1]
}

func TestFaultsOfTheProxyAtRandom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, privicoretest.WithRandomFaults(3, privicoretest.FaultRates{}))
		c := login(t, s, "alice")
		s.SetFaultRates(privicoretest.FaultRates{SocketRefused: 1})
		_, response, err := websocket.Dial(t.Context(), s.WebSocketURL, &websocket.DialOptions{HTTPClient: s.Client()})
		require.Error(t, err)
		assert.GreaterOrEqual(t, response.StatusCode, 429)

		s.SetFaultRates(privicoretest.FaultRates{JoinRefused: 1})
		ws := dial(t, s)
		join := `{"action":"joinChannel","correlationId":"1","data":{"authorizationToken":"` + c.token + `"}}`
		ws.send(join)
		assert.Regexp(t, `"correlationId":"1","status":50[03]`, ws.read())

		s.SetFaultRates(privicoretest.FaultRates{JoinIgnored: 1})
		ws.send(join)
		time.Sleep(time.Second)
		s.SetFaultRates(privicoretest.FaultRates{})
		ws.send(strings.Replace(join, `"1"`, `"2"`, 1))
		assert.Contains(t, ws.read(), `"correlationId":"2","status":200`)
		assert.Equal(t, 3, s.Joins())
	})
}

func TestFaultsOfFileServersAtRandom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, withStorage(), privicoretest.WithRandomFaults(3, privicoretest.FaultRates{}))
		c := login(t, s, "alice")
		ws := joined(t, s, c)
		try := func(rates privicoretest.FaultRates, method, target string) (answer, error) {
			s.SetFaultRates(rates)
			defer s.SetFaultRates(privicoretest.FaultRates{})
			return c.fetch(method, target, "application/octet-stream", strings.NewReader(strings.Repeat("x", 100)))
		}
		token, stream := c.reserved()
		_, err := try(privicoretest.FaultRates{ResetBefore: 1}, "POST", stream)
		require.ErrorIs(t, err, io.EOF)
		assert.False(t, last(s).Executed)
		_, err = try(privicoretest.FaultRates{ResetAfter: 1}, "POST", stream)
		require.ErrorIs(t, err, io.EOF)
		r := last(s)
		assert.Equal(t, "DataToken.Upload", r.Operation)
		assert.True(t, r.Executed)
		assert.Equal(t, map[string]any{"token": token}, r.Parameters)

		data := c.commit(token, "f", "bin", 100).field(t, "token")
		_, err = try(privicoretest.FaultRates{Truncated: 1}, "GET", c.downloadURL(ws, data))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.True(t, last(s).Executed)
		a, err := try(privicoretest.FaultRates{Slow: 1}, "GET", c.downloadURL(ws, data))
		require.NoError(t, err)
		assert.Len(t, a.body, 100)
	})
}

// history returns what some calls get from a server with random faults.
func history(t *testing.T, seed uint64, between func(c client)) []string {
	t.Helper()
	var all []string
	synctest.Test(t, func(t *testing.T) {
		s := serveInMemory(t, privicoretest.WithRandomFaults(seed, privicoretest.FaultRates{}))
		c := login(t, s, "alice")
		s.SetFaultRates(privicoretest.UniformFaults(0.7))
		for range 40 {
			what, took := c.describe("POST", "/device/request-unique-identifier?deviceName=x", time.Second)
			all = append(all, fmt.Sprint(what, took))
			between(c)
		}
	})
	return all
}

func TestTheSeedDecides(t *testing.T) {
	t.Parallel()
	alone := func(client) {}
	first := history(t, 1, alone)
	assert.Equal(t, first, history(t, 1, alone))
	assert.Equal(t, first, history(t, 1, func(c client) { c.describe("GET", "/health", time.Second) }),
		"calls of other operations change nothing")
	assert.NotEqual(t, first, history(t, 2, alone))
}

func TestRandomFaultsEnd(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithRandomFaults(1, privicoretest.FaultRates{ResetBefore: 1}))
	c := anonymous(t, s)
	_, err := c.try("GET", "/health", "", "")
	require.ErrorIs(t, err, io.EOF)
	s.Next("Utility.Health", privicoretest.Fault{})
	assert.Equal(t, 200, c.get("/health").status, "a fault of Next comes instead")
	s.SetFaultRates(privicoretest.FaultRates{})
	for range 20 {
		assert.Equal(t, 200, c.get("/health").status)
	}
}

func TestFaultRates(t *testing.T) {
	t.Parallel()
	r := privicoretest.UniformFaults(0.3)
	assert.InDelta(t, 0.02, r.Delay, 1e-9)
	assert.InDelta(t, 0.3/9, r.AckLost, 1e-9)
	assert.InDelta(t, 0.3, r.SocketRefused, 1e-9)
	assert.InDelta(t, 0.15, r.JoinIgnored, 1e-9)
	half := r.Scale(0.5)
	assert.InDelta(t, 0.01, half.Delay, 1e-9)
	assert.InDelta(t, 0.02, r.Delay, 1e-9, "the receiver stays as it was")
	assert.Equal(t, privicoretest.FaultRates{}, privicoretest.UniformFaults(0))

	// Of many calls about the rate fails.
	s := serve(t, privicoretest.WithRandomFaults(1, privicoretest.FaultRates{ResetBefore: 0.25}), privicoretest.WithRequestLog(-1))
	c := anonymous(t, s)
	failed := 0
	for range 400 {
		if _, err := c.try("GET", "/health", "", ""); err != nil {
			failed++
		}
	}
	assert.InDelta(t, 100, failed, 35)
}

func TestWrongFaultRates(t *testing.T) {
	t.Parallel()
	failed := &recorder{TB: t}
	s := privicoretest.NewServer(failed)
	for _, wrong := range []privicoretest.FaultRates{
		{Delay: -0.1}, {Delay: math.NaN()}, {Delay: 0.6, Slow: 0.6}, {MaxDelay: -1},
	} {
		_, err := privicoretest.Start(privicoretest.WithRandomFaults(1, wrong))
		require.ErrorContains(t, err, "fault rates")
		s.SetFaultRates(wrong)
	}
	assert.Len(t, failed.messages, 4)
	s.SetFaultRates(privicoretest.UniformFaults(1))
	assert.Len(t, failed.messages, 4)
}

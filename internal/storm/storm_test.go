package storm

import (
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

var (
	stormTime    = flag.Duration("storm.time", time.Second, "how long the storm on the plain path lasts; the others last a tenth of it, and half a second at least")
	stormSeed    = flag.Uint64("storm.seed", 1, "seed of the calls and faults; 0 draws one")
	stormRate    = flag.Float64("storm.rate", 0.1, "how likely a call, a command, a connection and a join meet a fault")
	stormWorkers = flag.Int("storm.workers", 40, "goroutines that make calls")
)

var paths = []path{
	{name: "plain"},
	{name: "observed", dialect: privicoretest.Observed},
	{name: "TLS and HTTP2", tls: true},
	{name: "redirects", redirects: true},
	{name: "forward proxy", proxied: true},
	{name: "CONNECT proxy", tls: true, proxied: true},
}

// The storms do not run in parallel, because each counts goroutines and sockets.
func TestStorm(t *testing.T) {
	seed := *stormSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	for i, p := range paths {
		t.Run(p.name, func(t *testing.T) {
			lasts := *stormTime
			if i > 0 {
				lasts = max(lasts/10, time.Second/2)
			}
			storm(t, p, seed, lasts)
		})
	}
}

// storm runs a storm, the calm after it, and the comparison.
func storm(t *testing.T, p path, seed uint64, lasts time.Duration) {
	t.Logf("go test ./internal/storm -run '^TestStorm$/^%s$' -storm.seed=%d -storm.rate=%v -storm.time=%v",
		strings.ReplaceAll(p.name, " ", "_"), seed, *stormRate, *stormTime)
	before, open := goleak.IgnoreCurrent(), sockets()
	l := newLedger()
	l.terse = p.dialect == privicoretest.Observed
	t.Run("blows", func(t *testing.T) { blow(t, p, seed, lasts, l) })
	// What the subtest has closed must be gone.
	if err := goleak.Find(before); err != nil {
		l.violated("nothing is left after Close", "goroutines: %v", err)
	}
	if !settled(func() bool { return sockets() <= open }) {
		l.violated("nothing is left after Close", "%d sockets, %d before", sockets(), open)
	}
	text, broken := l.summary()
	t.Log("\n" + text)
	assert.False(t, broken, "an invariant is broken; the seed is %d", seed)
	assert.Positive(t, l.counts["outcomes"], "nothing was learned")
}

// blow does the part of a storm for which a server runs.
func blow(t *testing.T, p path, seed uint64, lasts time.Duration, l *ledger) {
	server := privicoretest.NewServer(t, append(serverOptions(p),
		privicoretest.WithRequestLog(-1), privicoretest.WithRandomFaults(seed, faults(*stormRate)))...)
	r := newRig(t, p, addresses{server.URL, server.WebSocketURL}, pool(server), l)
	open := sockets()
	crews := newCrews(t, r)
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	rage(ctx, t, crews, server, seed)
	l.add("joins", server.Joins())

	if lasts >= time.Second {
		crews[0].worker(t, "endless", seed).unending(t.Context(), server)
	}
	calmed := crews
	if lasts < 10*time.Second {
		calmed = crews[:1] // a short storm should not be followed by a long calm
	}
	server.SetFaultRates(privicoretest.FaultRates{})
	server.DropConnections() // frozen ones too
	for _, c := range calmed {
		calm(t, c, server)
	}
	for _, c := range crews {
		c.close()
	}
	if !settled(func() bool { return server.Connections() == 0 }) {
		l.violated("nothing is left after Close", "%d WebSocket connections", server.Connections())
	}
	// net/http may finish a dial for a call that has ended, and keep the connection.
	// Those of the test's own transports are not the business of a client.
	if !settled(func() bool { r.closeIdle(); return sockets() <= open }) {
		l.violated("nothing is left after Close", "%d sockets while the server runs, %d before", sockets(), open)
	}
	requests := server.Requests()
	l.add("requests", len(requests))
	l.compare(requests)
	for i := range profiles {
		for _, poll := range server.Polls(username(i)) {
			if got, ok := l.polls[poll.ID]; ok && got != string(poll.Status) {
				l.violated("every outcome is true", "poll %s: reported %s, is %s", poll.ID, got, poll.Status)
			}
		}
	}
}

// faults returns the rates of a storm.
func faults(rate float64) privicoretest.FaultRates {
	rates := privicoretest.UniformFaults(rate)
	rates.MaxDelay = 50 * time.Millisecond
	// A frozen connection is noticed only after seconds, by a ping.
	rates.SocketFrozen /= 10
	// Of all faults a page is most like an answer.
	rates.Page *= 3
	rates.Delay /= 3
	return rates
}

// rage makes calls until ctx ends.
func rage(ctx context.Context, t *testing.T, crews []*crew, server *privicoretest.Server, seed uint64) {
	var running sync.WaitGroup
	for i := range *stormWorkers {
		w := crews[i%len(crews)].worker(t, fmt.Sprint("worker ", i), seed)
		running.Go(func() { w.run(ctx) })
	}
	closer, listener := crews[0].worker(t, "closer", seed), crews[1].worker(t, "listener", seed)
	running.Go(func() { closer.closing(ctx, server) })
	running.Go(func() { listener.events(ctx, crews[1].pushed) })
	<-ctx.Done()
	if !awaited(&running, time.Minute) {
		stacks := make([]byte, 1<<20)
		t.Fatalf("a call hangs:\n%s", stacks[:runtime.Stack(stacks, true)])
	}
}

// unending checks that a call ends by itself if its answer does not.
func (w *worker) unending(ctx context.Context, server *privicoretest.Server) {
	// The client needs a good token, or it would first ask for one in the same way.
	server.SetFaultRates(privicoretest.FaultRates{})
	settled(func() bool { _, err := w.crew.patient.Profile.ID(ctx); return err == nil })
	for what, rates := range map[string]privicoretest.FaultRates{"stops": {Frozen: 1}, "never ends": {Endless: 1}} {
		server.SetFaultRates(rates)
		ctx, cancel := context.WithTimeout(ctx, 2*prompt)
		start := time.Now()
		_, err := w.crew.patient.Profile.GenerateQRToken(ctx)
		if took := time.Since(start); err == nil || took > prompt {
			w.ledger.violated("every call ends in time", "a body %s: %v after %v", what, err, took)
		}
		cancel()
	}
}

// crew is the clients of a profile.
type crew struct {
	rig     *rig
	profile string
	pushed  *privicore.Client // asks soon if the channel does not bring an outcome
	patient *privicore.Client // relies on the channel
	clone   *privicore.Client // of patient
	polling *privicore.Client // has no channel
}

// newCrews returns the clients of all profiles.
func newCrews(t *testing.T, r *rig) []*crew {
	crews := make([]*crew, profiles)
	for i := range crews {
		crews[i] = newCrew(t, r, username(i))
	}
	return crews
}

func newCrew(t *testing.T, r *rig, profile string) *crew {
	channel := privicore.WithWebSocketURL(r.addr.WebSocketURL)
	c := &crew{rig: r, profile: profile}
	c.pushed = c.client(t, false, channel, privicore.WithFallbackPoll(200*time.Millisecond))
	c.patient = c.client(t, true, channel, privicore.WithFallbackPoll(time.Second))
	c.polling = c.client(t, true)
	var err error
	c.clone, err = c.patient.Clone()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.clone.Close()) })
	return c
}

func (c *crew) all() []*privicore.Client {
	return []*privicore.Client{c.pushed, c.patient, c.clone, c.polling}
}

// client returns a further client of the profile.
func (c *crew) client(t *testing.T, ownPool bool, opts ...privicore.Option) *privicore.Client {
	return c.rig.client(t, c.profile, ownPool, opts...)
}

// close closes the clients.
func (c *crew) close() {
	for _, client := range c.all() {
		start := time.Now()
		_ = client.Close()
		if took := time.Since(start); took > prompt {
			c.rig.ledger.violated("Close is prompt", "it took %v", took)
		}
	}
}

func (c *crew) worker(t *testing.T, name string, seed uint64) *worker {
	w, err := newWorker(c, name, seed)
	assert.NoError(t, err)
	return w
}

// calm checks that everything works once the faults have ended.
func calm(t *testing.T, c *crew, server *privicoretest.Server) {
	w := c.worker(t, "calm", 1)
	if w.ledger.isBroken() {
		return
	}
	fresh := c.client(t, true, privicore.WithWebSocketURL(c.rig.addr.WebSocketURL))
	defer func() { assert.NoError(t, fresh.Close()) }()
	w.recovers(t, fresh, server)
	for i, client := range append(c.all(), fresh) {
		if w.ledger.isBroken() {
			return // what is broken would only be waited for again
		}
		ctx, cancel := context.WithTimeout(t.Context(), recovery)
		start := time.Now()
		// A refusal to renew the token is remembered for a moment.
		settled(func() bool { _, err := client.Profile.ID(ctx); return err == nil })
		if client != c.polling {
			w.works("Connect", connect(ctx, client))
			w.pushes(ctx, client, server, client == fresh)
		}
		if client == c.pushed { // its polls come before soon has passed
			w.ends(ctx, client, afterPause, server, privicoretest.Fault{Ack: privicoretest.Ack{Lose: true}}, nil)
		}
		w.everything(ctx, client, client != c.polling)
		cancel()
		t.Logf("client %d works again after %v", i, time.Since(start).Round(time.Millisecond))
	}
}

// recovery is how long a client may take until all works again, once the faults
// have ended. It covers the pause after a 429, and a channel that has to be joined
// anew.
const recovery = 20 * time.Second

// connect joins the channel. An attempt that was in progress when the test dropped
// the connections fails, and the next one has to succeed.
func connect(ctx context.Context, c *privicore.Client) (err error) {
	settled(func() bool { err = c.Connect(ctx); return err == nil })
	return err
}

// recovers checks that a client joins again by itself after it has lost the
// channel, and then asks for the outcome that was sent meanwhile.
func (w *worker) recovers(t *testing.T, c *privicore.Client, server *privicoretest.Server) {
	ctx, cancel := context.WithTimeout(t.Context(), recovery)
	defer cancel()
	if !w.works("Connect", connect(ctx, c)) {
		return
	}
	joins := server.Joins()
	w.ends(ctx, c, soon, server, privicoretest.Fault{Latency: 20 * time.Millisecond}, server.DropConnections)
	if !settled(func() bool { return server.Joins() > joins && server.Connections() > 0 }) {
		w.ledger.violated("a lost channel is joined again", "%d connections, %d joins", server.Connections(), server.Joins()-joins)
	}
}

const (
	// soon is how soon the outcome of a short command has to be known.
	soon = 3 * time.Second
	// afterPause is how soon it has to be known if it takes a poll. After a 429 all
	// polls pause for up to 5 s.
	afterPause = soon + 5*time.Second
)

// pushes checks that the channel brings outcomes, also those that come before the
// answer to the call. It checks that nobody polls if unasked is set.
func (w *worker) pushes(ctx context.Context, c *privicore.Client, server *privicoretest.Server, unasked bool) {
	for _, latency := range []time.Duration{-1, 10 * time.Millisecond} {
		asked := server.Calls("Utility.RequestStatus")
		w.ends(ctx, c, soon, server, privicoretest.Fault{Latency: latency}, nil)
		if polls := server.Calls("Utility.RequestStatus") - asked; unasked && polls > 0 {
			w.ledger.violated("outcomes are pushed", "an outcome %v after the acceptance took %d polls", latency, polls)
		}
	}
}

// ends checks that a command with a fault ends soon all the same. It calls
// meanwhile, if that is not nil, while the command runs.
func (w *worker) ends(ctx context.Context, c *privicore.Client, within time.Duration, server *privicoretest.Server, f privicoretest.Fault, meanwhile func()) {
	server.Next("Device.RequestIdentifier", f)
	name := w.unique("device")
	pending, err := c.Device.RequestIdentifier(ctx, name)
	w.ledger.called(key{"Device.RequestIdentifier", name}, err, true)
	if !w.works("Device.RequestIdentifier", err) {
		return
	}
	if meanwhile != nil {
		meanwhile()
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if _, err = pending.Wait(ctx); w.works("a wait", err) {
		w.ledger.succeeded(pending.ID)
	}
}

// works checks that a call succeeds when nothing is wrong.
func (w *worker) works(what string, err error) bool {
	if err != nil {
		w.ledger.violated("after the storm everything works", "%s: %v", what, err)
	}
	return err == nil
}

// everything makes calls that have to succeed.
func (w *worker) everything(ctx context.Context, c *privicore.Client, channel bool) {
	l := w.ledger
	device, err := c.Device.Onboard(ctx, w.unique("device"))
	if w.works("Device.Onboard", err) {
		devices, err := c.Device.List(ctx)
		w.works("Device.List", err)
		found := 0
		for _, d := range devices {
			if d.Identifier == device.Identifier {
				found++
			}
		}
		if found != 1 {
			l.violated("every value is true", "a new device is in the list %d times", found)
		}
	}
	data := w.payload()
	token, err := c.DataToken.Store(ctx, privicore.Payload{Data: strings.NewReader(data), Cipher: w.cipher, Context: w.unique("data")})
	if !w.works("DataToken.Store", err) || !channel {
		return
	}
	got, err := w.read(ctx, c, token)
	if w.works("DataToken.Retrieve", err) && got != data {
		l.violated("data comes back as it was", "%d bytes became %d", len(data), len(got))
	}
}

// pool returns what a client of the server has to trust, or nil without TLS.
func pool(s *privicoretest.Server) *x509.CertPool {
	if s.Certificate() == nil {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

// polled records the end of a poll as it was reported.
func (l *ledger) polled(id, status string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts["polls"]++
	if !l.forget {
		l.polls[id] = status
	}
}

// pollEnding checks the error of a poll.
func (w *worker) pollEnding(ctx context.Context, start time.Time, err error) {
	if _, ok := errors.AsType[*privicore.TokenError](err); !ok {
		w.ending(ctx, start, err)
	}
}

// awaited waits for a group, and reports whether it ended in time.
func awaited(group *sync.WaitGroup, within time.Duration) bool {
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	select {
	case <-done:
		return true
	case <-time.After(within):
		return false
	}
}

// settled waits for a condition, and reports whether it came true.
func settled(condition func() bool) bool {
	deadline := time.Now().Add(5 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			return false
		}
		pause(context.Background(), 10*time.Millisecond)
	}
	return true
}

// sockets returns how many sockets the process has open, or 0 where that cannot
// be asked.
func sockets() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	n := 0
	for _, entry := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

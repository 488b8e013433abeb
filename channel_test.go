package privicore_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/proxytest"
)

// channelBackend is a server with a WebSocket proxy, both in memory, for
// synctest bubbles. Commands end when the test says so; tokens live for an hour.
type channelBackend struct {
	*proxytest.Proxy
	// accepted is called before the 202 for a command is answered, if it is not
	// nil. poll replaces the answers about commands, if it is not nil and
	// returns one. Both have to be set before the first call.
	accepted func(id string)
	poll     func(id string) *http.Response

	t      *testing.T
	client *privicore.Client
	log    lockedBuffer
	unwell atomic.Bool // nobody can authenticate
	hung   atomic.Bool // handshakes are not answered, nor is authenticating
	// tokenSuffix ends each token. It has to be set before the first call.
	tokenSuffix string

	mu     sync.Mutex
	status map[string]string // of commands, as /request-status tells it
	polls  []time.Time
	tokens int
}

// newChannelBackend returns a backend with a client that has credentials and the
// address of the proxy.
func newChannelBackend(t *testing.T, opts ...privicore.Option) *channelBackend {
	t.Helper()
	b := &channelBackend{Proxy: proxytest.New(t), t: t, status: make(map[string]string)}
	dialer := &http.Transport{DialContext: b.DialContext, DialTLSContext: b.DialContext}
	logger := slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.client = fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
		switch upgrade := r.Header.Get("Upgrade") != ""; {
		case b.hung.Load() && (upgrade || r.URL.Path == "/profile/authenticate"):
			<-r.Context().Done()
			return nil, r.Context().Err()
		case upgrade:
			return dialer.RoundTrip(r)
		}
		return b.call(r)
	}, append([]privicore.Option{
		privicore.WithWebSocketURL("wss://proxy.test"), privicore.WithCredentials("alice", "correct horse"),
		privicore.WithLogger(logger),
	}, opts...)...)
	return b
}

func (b *channelBackend) call(r *http.Request) (*http.Response, error) {
	if id, ok := strings.CutPrefix(r.URL.Path, "/request-status/"); ok {
		return b.answerPoll(id)
	}
	if r.URL.Path == "/profile/authenticate" {
		if b.unwell.Load() {
			return reply(503, "")
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.tokens++
		return reply(200, fmt.Sprintf(`{"authorizationToken":"T-%d%s","expiresAt":"%s"}`,
			b.tokens, b.tokenSuffix, time.Now().Add(time.Hour).Format(time.RFC3339)))
	}
	b.mu.Lock()
	id := fmt.Sprintf("01973590-11aa-7c3e-8f00-%012d", len(b.status))
	b.status[id] = ""
	b.mu.Unlock()
	if b.accepted != nil {
		b.accepted(id)
	}
	return reply(202, "", "X-DPT-CAB-ID", id)
}

func (b *channelBackend) answerPoll(id string) (*http.Response, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.polls = append(b.polls, time.Now())
	if b.poll != nil {
		if resp := b.poll(id); resp != nil {
			return resp, nil
		}
	}
	status, ok := b.status[id]
	switch {
	case !ok:
		return reply(404, "")
	case status == "":
		return reply(202, `["started"]`)
	}
	return reply(200, `["`+status+`"]`)
}

// remove returns a new command.
func (b *channelBackend) remove() *privicore.Command {
	b.t.Helper()
	cmd, err := b.client.Device.Remove(b.t.Context(), device1)
	require.NoError(b.t, err)
	return cmd
}

// resumed returns a command from before, which is running.
func (b *channelBackend) resumed() *privicore.Command {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := fmt.Sprintf("01973590-22bb-7c3e-8f00-%012d", len(b.status))
	b.status[id] = ""
	return b.client.Command(id)
}

// finish ends a command; told says whether the channel hears of it.
func (b *channelBackend) finish(cmd *privicore.Command, told bool) {
	b.t.Helper()
	b.mu.Lock()
	b.status[cmd.ID] = "device.removed"
	b.mu.Unlock()
	if told {
		b.Push(proxytest.Ack(cmd.ID, 2))
	}
}

func (b *channelBackend) pollTimes() []time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.polls)
}

// authenticated returns how many tokens were given out.
func (b *channelBackend) authenticated() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tokens
}

// logged returns the lines of the log that have all the parts.
func (b *channelBackend) logged(parts ...string) []string {
	var lines []string
	for line := range strings.Lines(b.log.String()) {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			lines = append(lines, line)
		}
	}
	return lines
}

func (b *channelBackend) warnings() int { return len(b.logged("level=WARN")) }

// lockedBuffer is written to by one goroutine and read by another.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// waitAside waits in a goroutine.
func waitAside(ctx context.Context, cmd *privicore.Command) <-chan error {
	ended := make(chan error, 1)
	go func() {
		result, err := cmd.Wait(ctx)
		if err == nil && (result.ID != cmd.ID || result.Status != privicore.CommandSucceeded) {
			err = fmt.Errorf("unexpected result %+v", result)
		}
		ended <- err
	}()
	return ended
}

// endsSoon requires that a wait ends with success within a second.
func endsSoon(t *testing.T, ended <-chan error) {
	t.Helper()
	start := time.Now()
	require.NoError(t, <-ended)
	assert.Less(t, time.Since(start), time.Second)
}

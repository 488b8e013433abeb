package realtime

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/privicore/privicore-go/internal/proxytest"
)

// rig is a proxy and the log of a channel to it.
type rig struct {
	*proxytest.Proxy
	log   lockedBuffer
	level slog.LevelVar // Warn at first
}

// newRig starts a proxy and a channel to it. Both end with the test.
func newRig(t *testing.T, change ...func(*rig, *Config)) (*rig, *Channel) {
	t.Helper()
	p := &rig{Proxy: proxytest.New(t)}
	p.level.Set(slog.LevelWarn)
	config := Config{
		URL:        "ws://proxy.test/secret-path?key=secret-query",
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: p.DialContext}},
		Token: func(_ context.Context, refused string) (string, error) {
			if refused != "" {
				return refused, nil
			}
			return "T-first", nil
		},
		Logger:  slog.New(slog.NewTextHandler(&p.log, &slog.HandlerOptions{Level: &p.level})),
		Keep:    100,
		KeepFor: time.Minute,
	}
	for _, change := range change {
		change(p, &config)
	}
	c := New(config)
	t.Cleanup(c.Close)
	return p, c
}

func (p *rig) warnings() int { return strings.Count(p.log.String(), "level=WARN") }

// state returns the state of c without the channel.
func (c *Channel) stateNow() State {
	state, _ := c.State()
	return state
}

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

// silence is a host that swallows connections.
type silence struct{}

func (silence) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

//go:build !js

package realtime

import (
	"crypto/fips140"
	"net/http"
	"sync"
)

// handshake calls dial, which uses capture. In a program that runs with
// GODEBUG=fips140=only, dial runs without that enforcement. A WebSocket handshake
// has a SHA-1 in it, which protects nothing and would end the program. The requests
// of dial, and TLS with them, stay enforced.
func handshake(capture *streamCapture, dial func()) {
	if !fips140.Enforced() {
		dial()
		return
	}
	enforced := &enforcedTransport{next: capture.next, calls: make(chan func())}
	capture.next = enforced
	var worker sync.WaitGroup
	// Enforcement belongs to a goroutine, and this one keeps it.
	worker.Go(func() {
		for call := range enforced.calls {
			call()
		}
	})
	fips140.WithoutEnforcement(dial)
	close(enforced.calls)
	worker.Wait()
}

// enforcedTransport is a RoundTripper that sends requests in the goroutine that runs
// calls.
type enforcedTransport struct {
	next  http.RoundTripper
	calls chan func()
}

func (t *enforcedTransport) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	done := make(chan struct{})
	t.calls <- func() {
		defer close(done)
		resp, err = t.next.RoundTrip(req)
	}
	<-done
	return resp, err
}

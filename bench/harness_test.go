package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

const (
	ours     = "ours"
	bare     = "bare"
	password = "correct horse battery staple"
)

// harness is a server whose commands never end by themselves, and a client.
type harness struct {
	b      *testing.B
	server *privicoretest.Server
	client *privicore.Client
}

func newHarness(b *testing.B) *harness {
	b.Helper()
	h := &harness{b: b, server: privicoretest.NewServer(b,
		privicoretest.WithProfile(ours, password),
		privicoretest.WithProfile(bare, password),
		privicoretest.WithLatency(24*time.Hour),
	)}
	h.client = h.newClient(ours)
	return h
}

func (h *harness) newClient(profile string) *privicore.Client {
	client, err := privicore.NewClient(
		privicore.WithBaseURL(h.server.URL),
		privicore.WithWebSocketURL(h.server.WebSocketURL),
		privicore.WithCredentials(profile, password),
		privicore.WithOutcomeBuffer(1<<20, time.Hour),
	)
	if err != nil {
		h.b.Fatal(err)
	}
	h.b.Cleanup(func() { _ = client.Close() })
	return client
}

// commands gives n commands, of which nothing is heard before the benchmark
// says so.
func (h *harness) commands(n int) []*privicore.Command {
	for range n {
		h.server.Next("Device.Remove", privicoretest.Fault{Ack: privicoretest.Ack{Pending: -1}})
	}
	cmds := make([]*privicore.Command, n)
	var all sync.WaitGroup
	const callers = 8
	for caller := range callers {
		all.Go(func() {
			for i := caller; i < n; i += callers {
				cmd, err := h.client.Device.Remove(context.Background(), "01973590-11aa-7c3e-8f00-a1b2c3d4e5f6")
				if err != nil {
					h.b.Error(err)
					return
				}
				cmds[i] = cmd
			}
		})
	}
	all.Wait()
	if h.b.Failed() {
		h.b.FailNow()
	}
	return cmds
}

// check fails the benchmark if outcomes came any other way than over one
// connection.
func (h *harness) check(joins int) {
	if n := h.server.Joins(); n != joins {
		h.b.Errorf("%d joins, not %d", n, joins)
	}
	if n := h.server.Calls("Utility.RequestStatus"); n != 0 {
		h.b.Errorf("%d polls", n)
	}
}

const (
	pending   = 1
	succeeded = 2
)

// frames are WebSocket frames with a message on each id, in one piece: what
// the server does while a benchmark runs should be next to nothing.
func frames(ids []string, status int) []byte {
	var all []byte
	for _, id := range ids {
		message := fmt.Sprintf(`{"data":{"type":"X-DPT-CAB-ID","id":"%s","command_status":%d,"body":"device.device_removed"}}`, id, status)
		all = append(all, 0x81)
		if len(message) < 126 {
			all = append(all, byte(len(message)))
		} else {
			all = append(all, 126)
			all = binary.BigEndian.AppendUint16(all, uint16(len(message)))
		}
		all = append(all, message...)
	}
	return all
}

func idsOf(cmds []*privicore.Command) []string {
	ids := make([]string, len(cmds))
	for i, cmd := range cmds {
		ids[i] = cmd.ID
	}
	return ids
}

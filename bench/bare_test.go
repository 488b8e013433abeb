package bench

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// dispatcher is the least that gets outcomes from a connection to those who
// wait: read, decode, a map of channels. It does not survive anything.
type dispatcher struct {
	mu      sync.Mutex
	waiting map[string]chan int
}

func (d *dispatcher) watch(id string) <-chan int {
	ch := make(chan int, 1)
	d.mu.Lock()
	d.waiting[id] = ch
	d.mu.Unlock()
	return ch
}

func (d *dispatcher) run(conn *websocket.Conn) {
	for {
		_, data, err := conn.Read(context.Background())
		if err != nil {
			return
		}
		var message struct {
			Data struct {
				ID            string `json:"id"`
				CommandStatus int    `json:"command_status"`
			} `json:"data"`
		}
		if json.Unmarshal(data, &message) != nil {
			continue
		}
		d.mu.Lock()
		ch := d.waiting[message.Data.ID]
		delete(d.waiting, message.Data.ID)
		d.mu.Unlock()
		if ch != nil {
			ch <- message.Data.CommandStatus
		}
	}
}

// joinBare joins the channel of a profile of its own.
func joinBare(b *testing.B, h *harness) *dispatcher {
	b.Helper()
	ctx := context.Background()
	token, err := h.newClient(bare).Profile.Authenticate(ctx, bare, password)
	if err != nil {
		b.Fatal(err)
	}
	conn, _, err := websocket.Dial(ctx, h.server.WebSocketURL, nil)
	if err != nil {
		b.Fatal(err)
	}
	join := `{"action":"joinChannel","correlationId":"1","data":{"authorizationToken":"` + token.Token.Reveal() + `"}}`
	if err := conn.Write(ctx, websocket.MessageText, []byte(join)); err != nil {
		b.Fatal(err)
	}
	if _, _, err := conn.Read(ctx); err != nil {
		b.Fatal(err)
	}
	d := &dispatcher{waiting: make(map[string]chan int)}
	var running sync.WaitGroup
	running.Go(func() { d.run(conn) })
	b.Cleanup(func() { _ = conn.CloseNow(); running.Wait() })
	return d
}

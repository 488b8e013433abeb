package main

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/coder/websocket"

	"github.com/privicore/privicore-go"
)

// dispatcher is the least that gets outcomes from a connection to those who
// wait: read, decode, a map of channels. It does not survive anything.
type dispatcher struct {
	mu      sync.Mutex
	waiting map[string]chan int
	conn    *websocket.Conn
	running sync.WaitGroup
}

// newDispatcher joins the channel of a profile.
func newDispatcher(ctx context.Context, client *privicore.Client, webSocketURL string) (*dispatcher, error) {
	token, err := client.Profile.Authenticate(ctx, bare, password)
	if err != nil {
		return nil, err
	}
	conn, _, err := websocket.Dial(ctx, webSocketURL, nil) //nolint:bodyclose // websocket.Dial says that it never has to be closed
	if err != nil {
		return nil, err
	}
	join := `{"action":"joinChannel","correlationId":"1","data":{"authorizationToken":"` + token.Token.Reveal() + `"}}`
	if err := conn.Write(ctx, websocket.MessageText, []byte(join)); err != nil {
		return nil, err
	}
	if _, _, err := conn.Read(ctx); err != nil {
		return nil, err
	}
	d := &dispatcher{waiting: make(map[string]chan int), conn: conn}
	d.running.Go(d.run)
	return d, nil
}

func (d *dispatcher) subscribe(id string) <-chan int {
	ch := make(chan int, 1)
	d.mu.Lock()
	d.waiting[id] = ch
	d.mu.Unlock()
	return ch
}

func (d *dispatcher) run() {
	for {
		_, data, err := d.conn.Read(context.Background())
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

func (d *dispatcher) close() {
	_ = d.conn.CloseNow()
	d.running.Wait()
}

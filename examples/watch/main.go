// Everything that Privicore pushes about a profile, printed as it comes: how far
// its commands are, whoever sent them, and data that becomes ready.
//
// It runs for two seconds on a sandbox in this process, where a device is
// registered and removed so that there is something to see. With PRIVICORE_API_URL,
// PRIVICORE_WS_URL and credentials set it follows that server until it is
// interrupted.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/examples/internal/server"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	client, where, stop, err := server.Connect(true)
	if err != nil {
		return err
	}
	defer stop()

	// Events connects by itself. Connect is here for the line that follows it.
	if err := client.Connect(ctx); err != nil {
		return err
	}
	fmt.Println("watching Privicore on", where)

	if os.Getenv("PRIVICORE_API_URL") == "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		worked := make(chan error, 1)
		go func() { worked <- work(ctx, client) }()
		defer func() {
			if err := <-worked; err != nil {
				fmt.Println("the work failed:", err)
			}
		}()
	}

	for event, err := range client.Events(ctx) {
		if err != nil {
			return err
		}
		show(event)
	}
	return nil
}

// show prints one line. The raw message is not for printing: it may hold
// payloads and tokens.
func show(event privicore.Event) {
	now := time.Now().Format("15:04:05.000")
	switch e := event.(type) {
	case *privicore.CommandEvent:
		fmt.Println(now, "command", e.ID, e.Status, strings.Join(e.Messages, ", "))
	case *privicore.DataReadyEvent:
		fmt.Println(now, "data   ", e.RequestID, "ready or on its way", e.Context)
	case *privicore.StreamReadyEvent:
		fmt.Println(now, "stream ", e.RequestID, "ready")
	case *privicore.DisconnectedEvent:
		fmt.Println(now, "the channel is lost; the client tries to join it again")
	case *privicore.ReconnectedEvent:
		fmt.Println(now, "the channel is back; what happened meanwhile was not pushed")
	case *privicore.DroppedEvent:
		fmt.Println(now, "too slow,", e.Count, "events missed")
	case *privicore.UnknownEvent:
		fmt.Printf("%s unknown %q, %d bytes\n", now, e.Type, len(e.RawJSON()))
	}
}

// work is what there is to see on an embedded sandbox.
func work(ctx context.Context, client *privicore.Client) error {
	device, err := client.Device.Onboard(ctx, "kitchen tablet")
	if err != nil {
		return err
	}
	// The device is removed twice. A rejected command is an event like any other.
	var cmds []*privicore.Command
	for range 2 {
		cmd, err := client.Device.Remove(ctx, device.Identifier)
		if err != nil {
			return err
		}
		cmds = append(cmds, cmd)
	}
	_, _ = privicore.WaitAll(ctx, cmds...) // the second is rejected
	return nil
}

// The life of a device: registered, approved, named, configured, removed.
//
// It runs on a sandbox in this process. With PRIVICORE_API_URL and credentials
// set it runs on that server.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/examples/internal/server"
)

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
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
	fmt.Println("Privicore on", where)

	// Onboard requests an identifier, waits, approves, and waits.
	device, err := client.Device.Onboard(ctx, "kitchen tablet")
	if err != nil {
		return err
	}
	fmt.Println("onboarded", device.Identifier)

	renamed, err := client.Device.ConfigureMeta(ctx, device.Identifier, privicore.DeviceMeta{Name: "hall tablet"})
	if err != nil {
		return err
	}
	if _, err := renamed.Wait(ctx); err != nil {
		return err
	}

	// The configuration is what the device itself needs to connect. All of it is
	// secret: fmt shows none of it, and Reveal returns a field.
	configuration, err := client.Device.Configuration(ctx, device.Identifier)
	if err != nil {
		return err
	}
	fmt.Printf("configuration: client id %v, %d characters long\n",
		configuration.ClientID, len(configuration.ClientID.Reveal()))

	devices, err := client.Device.List(ctx)
	if err != nil {
		return err
	}
	for _, d := range devices {
		fmt.Printf("  %s %q, made %s, approved: %t\n", d.Identifier, d.Name, d.CreatedAt.Format(time.DateTime), d.Approved)
	}

	removed, err := client.Device.Remove(ctx, device.Identifier)
	if err != nil {
		return err
	}
	if _, err := removed.Wait(ctx); err != nil {
		return err
	}
	fmt.Println("removed", device.Identifier)
	return nil
}

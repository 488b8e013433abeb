// The quickstart: a profile and a device that votes. Each step is a command, and
// its outcome is waited for. In the end the device is removed.
//
// It runs on a sandbox in this process. With PRIVICORE_API_URL,
// PRIVICORE_USERNAME and PRIVICORE_PASSWORD set it runs against that server
// (and PRIVICORE_WS_URL, if it has one).
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
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
	client, where, stop, err := server.Connect(false)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Println("Privicore on", where)

	// Provision registers a profile with the client's credentials and makes it
	// active with a public key. It can be called again after a failure. A real
	// program keeps the private key.
	key, err := privicore.GenerateKey()
	if err != nil {
		return err
	}
	if err := client.Profile.Provision(ctx, key.Public()); err != nil {
		return err
	}
	id, err := client.Profile.ID(ctx)
	if err != nil {
		return err
	}
	fmt.Println("✓ profile registered, authenticated and active; id", id)

	// With a WebSocket URL outcomes are pushed over the channel. Connect is
	// optional: a wait opens the channel by itself.
	switch err := client.Connect(ctx); {
	case err == nil:
		fmt.Println("✓ channel joined; outcomes are pushed")
	case errors.Is(err, privicore.ErrValidation):
		fmt.Println("· no WebSocket URL; outcomes are polled for")
	default:
		return err
	}

	pending, err := client.Device.RequestIdentifier(ctx, "quickstart phone")
	if err != nil {
		return err
	}
	device, err := pending.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println("✓ device registered; identifier", device.Identifier)

	steps := []struct {
		done string
		send func() (*privicore.Command, error)
	}{
		{"device approved", func() (*privicore.Command, error) {
			return client.Device.Approve(ctx, device.Identifier)
		}},
		{"device is an authenticator", func() (*privicore.Command, error) {
			return client.VerifiedAuthenticator.Register(ctx, device.Identifier)
		}},
		{"one vote is a quorum", func() (*privicore.Command, error) {
			return client.VerifiedAuthenticator.SetQuorumSize(ctx, 1)
		}},
		{"all votes must be yes", func() (*privicore.Command, error) {
			return client.VerifiedAuthenticator.SetQuorumStrategy(ctx, privicore.Unanimous, 0)
		}},
		{"authenticator removed", func() (*privicore.Command, error) {
			return client.VerifiedAuthenticator.Remove(ctx, device.Identifier)
		}},
		{"device removed", func() (*privicore.Command, error) {
			return client.Device.Remove(ctx, device.Identifier)
		}},
	}
	for _, step := range steps {
		started := time.Now()
		command, err := step.send()
		if err != nil {
			return err
		}
		result, err := command.Wait(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("✓ %s; waited %s for %s\n", step.done,
			time.Since(started).Round(time.Millisecond), strings.Join(result.Messages, ", "))
	}
	return nil
}

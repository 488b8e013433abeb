// The quickstart: a profile, a device that votes, and both removed again, with
// the outcome of every step waited for.
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

	// A profile is registered with the client's credentials and becomes active
	// with a public key. The private key stays here.
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

	// From here on there is a token, and with a WebSocket URL the outcomes
	// come over the channel.
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

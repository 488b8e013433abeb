// Three devices that vote, and the rules by which they do.
//
// It runs on a sandbox in this process; with PRIVICORE_API_URL and credentials
// set, on that server.
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

	// Commands need not be waited for one by one: send all, then wait for all.
	var authenticators []string
	var sent []*privicore.Command
	for _, name := range []string{"Ada's phone", "Ben's phone", "Cem's phone"} {
		device, err := client.Device.Onboard(ctx, name)
		if err != nil {
			return err
		}
		command, err := client.VerifiedAuthenticator.Register(ctx, device.Identifier)
		if err != nil {
			return err
		}
		authenticators = append(authenticators, device.Identifier)
		sent = append(sent, command)
	}
	if _, err := privicore.WaitAll(ctx, sent...); err != nil {
		return err
	}
	fmt.Println(len(authenticators), "authenticators")

	voters := client.VerifiedAuthenticator
	rules := []func() (*privicore.Command, error){
		func() (*privicore.Command, error) { return voters.SetQuorumSize(ctx, 2) },
		func() (*privicore.Command, error) {
			return voters.SetQuorumStrategy(ctx, privicore.MinimumPercentage, 75)
		},
		func() (*privicore.Command, error) { return voters.SetVotingTimeLimit(ctx, 2*time.Minute) },
		func() (*privicore.Command, error) { return voters.SetMaximumVotingAttempts(ctx, 3) },
		func() (*privicore.Command, error) {
			return voters.RegisterVotingConfiguration(ctx, privicore.VotingConfiguration{
				Name:              "owner decides",
				TimeLimit:         time.Minute,
				Strategy:          privicore.Affirmative,
				DeviceIdentifiers: authenticators[:1],
			})
		},
	}
	sent = nil
	for _, rule := range rules {
		command, err := rule()
		if err != nil {
			return err
		}
		sent = append(sent, command)
	}
	results, err := privicore.WaitAll(ctx, sent...)
	if err != nil {
		return err
	}
	for _, result := range results {
		fmt.Println(" ", result.Messages)
	}

	strategy, err := voters.Strategy(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("the profile's strategy is %s: %s\n", strategy.Strategy, strategy.RawJSON())
	return nil
}

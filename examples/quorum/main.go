// Three devices that vote, and the rules by which they do.
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

	// WaitAll waits for commands that were sent before, all at the same time.
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
	fmt.Printf("a poll of the profile takes %d votes, %d %% yes, within %s, %d times at most\n",
		strategy.QuorumSize, strategy.Percentage, strategy.TimeLimit, strategy.MaximumAttempts)
	return nil
}

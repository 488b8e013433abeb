// Data that is handed out only after a vote. The first vote says no, the second
// one yes. Then a poll is held that nothing depends on.
//
// It runs on a sandbox in this process. With PRIVICORE_API_URL and credentials
// set it runs on that server, and the authenticators of the profile have to vote.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/examples/internal/server"
	"github.com/privicore/privicore-go/privicoretest"
)

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// timeLimit is how long a vote runs.
const timeLimit = time.Minute

func run(ctx context.Context) error {
	// On the sandbox the phones vote by themselves, all as agree says.
	var agree atomic.Bool
	client, where, stop, err := server.Connect(true, privicoretest.WithVoter(func(privicoretest.Poll) bool { return agree.Load() }))
	if err != nil {
		return err
	}
	defer stop()
	fmt.Println("Privicore on", where)
	if os.Getenv("PRIVICORE_API_URL") == "" {
		if err := register(ctx, client, "Ada's phone", "Ben's phone"); err != nil {
			return err
		}
	}

	name := "owners " + time.Now().Format("20060102-150405")
	command, err := client.VerifiedAuthenticator.RegisterVotingConfiguration(ctx, privicore.VotingConfiguration{
		Name:      name,
		TimeLimit: timeLimit,
		Strategy:  privicore.Unanimous,
	})
	if err := finish(ctx, command, err); err != nil {
		return err
	}
	fmt.Printf("voting configuration %q: unanimous, within %s\n", name, timeLimit)

	cipher, err := privicore.NewAESGCM(make([]byte, 32)) // a real program keeps a real key
	if err != nil {
		return err
	}
	token, err := client.DataToken.Store(ctx, privicore.Payload{
		Data: strings.NewReader("the combination is 4711"), Cipher: cipher, Context: "safe",
	})
	if err != nil {
		return err
	}
	fmt.Println("stored something that deserves a vote")

	policy, err := client.Policy.Gate(ctx, privicore.GateRequest{
		Name:                name,
		Template:            "Data access",
		Events:              []string{"Retrieve data"},
		VotingConfiguration: name,
	})
	if policy != nil {
		defer lift(ctx, client, policy)
	}
	if err != nil {
		return err // a server with other templates: the error lists them
	}
	fmt.Println("retrieving data takes a vote now")

	for _, yes := range []bool{false, true} {
		agree.Store(yes)
		fmt.Println("retrieving...")
		text, err := retrieve(ctx, client, token, cipher)
		if rejected, ok := errors.AsType[*privicore.CommandError](err); ok {
			fmt.Println("  voted down:", strings.Join(rejected.Messages, ", "))
			continue
		}
		if err != nil {
			return err
		}
		fmt.Println("  approved:", text)
	}

	poll, err := client.Voting.Create(ctx, privicore.CreatePollRequest{
		VotingConfiguration: name,
		Title:               "Friday",
		Question:            "Shall we close early?",
	})
	if err != nil {
		return err
	}
	fmt.Println("a poll by hand: shall we close early?")
	for status, err := range client.Voting.Watch(ctx, poll.ID) {
		if err != nil {
			return err
		}
		fmt.Printf("  %s  %s\n", status.Status, status.RawJSON())
	}
	return nil
}

// register makes devices of these names authenticators.
func register(ctx context.Context, client *privicore.Client, names ...string) error {
	for _, name := range names {
		device, err := client.Device.Onboard(ctx, name)
		if err != nil {
			return err
		}
		command, err := client.VerifiedAuthenticator.Register(ctx, device.Identifier)
		if err := finish(ctx, command, err); err != nil {
			return err
		}
		fmt.Println(name, "votes")
	}
	return nil
}

func retrieve(ctx context.Context, client *privicore.Client, token string, cipher privicore.Cipher) (string, error) {
	plaintext, err := client.DataToken.Retrieve(ctx, token, privicore.Retrieval{Cipher: cipher})
	if err != nil {
		return "", err
	}
	defer plaintext.Close()
	text, err := io.ReadAll(plaintext)
	return string(text), err
}

// lift puts a policy out of force, also after ctx has ended.
func lift(ctx context.Context, client *privicore.Client, policy *privicore.Policy) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	command, err := client.Policy.Deactivate(ctx, policy.ID)
	if err := finish(ctx, command, err); err != nil {
		log.Print(err)
		return
	}
	fmt.Println("the policy is out of force")
}

// finish waits for a command that has just been sent.
func finish(ctx context.Context, command *privicore.Command, err error) error {
	if err != nil {
		return err
	}
	_, err = command.Wait(ctx)
	return err
}

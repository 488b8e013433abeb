package privicore_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// sandbox returns a client for an active profile on a Privicore in this
// process, and what closes both.
func sandbox(opts ...privicore.Option) (*privicore.Client, func()) {
	server, err := privicoretest.Start(privicoretest.WithProfile("alice", "correct horse"))
	if err != nil {
		log.Fatal(err)
	}
	client, err := privicore.NewClient(append([]privicore.Option{
		privicore.WithBaseURL(server.URL),
		privicore.WithWebSocketURL(server.WebSocketURL),
		privicore.WithCredentials("alice", "correct horse"),
	}, opts...)...)
	if err != nil {
		log.Fatal(err)
	}
	return client, func() {
		_ = client.Close()
		server.Close()
	}
}

func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, stop := sandbox() // or privicore.NewClient(privicore.FromEnv())
	defer stop()

	device, err := client.Device.Onboard(ctx, "kitchen tablet")
	if err != nil {
		log.Fatal(err)
	}
	command, err := client.VerifiedAuthenticator.Register(ctx, device.Identifier)
	if err != nil {
		log.Fatal(err)
	}
	result, err := command.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Status)
	// Output: succeeded
}

func ExampleNewClient() {
	client, err := privicore.NewClient(
		privicore.WithBaseURL("https://stage.privicore.com:9009"),
		privicore.WithCredentials("alice", "correct horse"),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	_, err = privicore.NewClient(privicore.WithBaseURL("http://stage.privicore.com:9009"))
	fmt.Println(err)
	// Output: privicore: NewClient: base URL is plain http to another host; use https or WithInsecureHTTP
}

// One process that serves many profiles shares connections between them.
func ExampleClient_Clone() {
	client, stop := sandbox()
	defer stop()

	bob, err := client.Clone(privicore.WithCredentials("bob", "battery staple"))
	if err != nil {
		log.Fatal(err)
	}
	defer bob.Close()
	key, err := privicore.GenerateKey()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(bob.Profile.Provision(context.Background(), key.Public()))
	// Output: <nil>
}

// Do reaches what the typed API lacks.
func ExampleClient_Do() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	response, err := client.Do(ctx, "POST", "/device/request-unique-identifier", url.Values{"deviceName": {"door"}})
	if err != nil {
		log.Fatal(err)
	}
	command, err := response.Command()
	if err != nil {
		log.Fatal(err)
	}
	result, err := command.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.StatusCode, result.Messages)
	// Output: 202 [device.device_registered]
}

// The answer of any typed call can be had as it came.
func ExampleCaptureResponse() {
	client, stop := sandbox()
	defer stop()

	var response privicore.Response
	ctx := privicore.CaptureResponse(context.Background(), &response)
	if _, err := client.Utility.Health(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.StatusCode, response.Header.Get("Content-Type"), strings.TrimSpace(string(response.Body)))
	// Output: 200 application/json {"status":"ok"}
}

// The parts of a wait: the command as accepted, and its outcome.
func ExampleCommand_Wait() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	run := func() error {
		pending, err := client.Device.RequestIdentifier(ctx, "kitchen tablet")
		if err != nil {
			return err
		}
		device, err := pending.Result(ctx)
		if err != nil {
			return err
		}

		command, err := client.Device.Remove(ctx, device.Identifier)
		if err != nil {
			return err
		}
		result, err := command.Wait(ctx)
		if err != nil {
			return err
		}
		fmt.Println(result.Status, result.Messages)

		// It can be removed once.
		command, err = client.Device.Remove(ctx, device.Identifier)
		if err != nil {
			return err
		}
		_, err = command.Wait(ctx)
		return err
	}
	err := run()
	if rejected, ok := errors.AsType[*privicore.CommandError](err); ok {
		fmt.Println("rejected:", rejected.Messages)
	}
	// Output:
	// succeeded [device.device_removed]
	// rejected: [device.already_removed]
}

// A command can be waited for by another process, from its id.
func ExampleClient_Command() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	pending, err := client.Device.RequestIdentifier(ctx, "kitchen tablet")
	if err != nil {
		log.Fatal(err)
	}
	id := pending.ID // kept somewhere

	run := func() error {
		_, err := client.Command(id).Wait(ctx)
		if err != nil {
			return err
		}
		device, err := client.Device.RetrieveIdentifier(ctx, id)
		if err != nil {
			return err
		}
		fmt.Println(device.Identifier != "", device.Approved)
		return nil
	}
	if err := run(); err != nil {
		log.Fatal(err)
	}
	// Output: true false
}

// Watch also yields what the server reports while the command runs.
func ExampleCommand_Watch() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	command, err := client.Device.RequestIdentifier(ctx, "kitchen tablet")
	if err != nil {
		log.Fatal(err)
	}
	var last *privicore.CommandResult
	for result, err := range command.Watch(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		last = result // first pending, then the outcome
	}
	fmt.Println(last)
	// Output: succeeded device.device_registered
}

// A device whose registration another process asked for.
func ExamplePending() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	pending, err := client.Device.RequestIdentifier(ctx, "kitchen tablet")
	if err != nil {
		log.Fatal(err)
	}
	id := pending.ID // kept somewhere; the process may end here

	if _, err := client.Command(id).Wait(ctx); err != nil {
		log.Fatal(err)
	}
	device, err := client.Device.RetrieveIdentifier(ctx, id)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(device.Approved)
	// Output: false
}

// An operation that is reached with Do can return a Pending too.
func ExampleNewPending() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	response, err := client.Do(ctx, "POST", "/device/request-unique-identifier", url.Values{"deviceName": {"door"}})
	if err != nil {
		log.Fatal(err)
	}
	command, err := response.Command()
	if err != nil {
		log.Fatal(err)
	}
	pending := privicore.NewPending(command, client.Device.RetrieveIdentifier)
	device, err := pending.Result(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(device.Approved)
	// Output: false
}

// Room for a payload that another process reserved.
func ExampleDataTokenService_Reserve() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	pending, err := client.DataToken.Reserve(ctx, privicore.ReserveRequest{Context: "invoices"})
	if err != nil {
		log.Fatal(err)
	}
	id := pending.ID // kept somewhere; the process may end here

	if _, err := client.Command(id).Wait(ctx); err != nil {
		log.Fatal(err)
	}
	temporary, err := client.DataToken.RetrieveTemporary(ctx, id)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.HasPrefix(temporary.Token, "tmp-"))
	// Output: true
}

// Data that another process requested. It keeps two ids.
func ExamplePendingData() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()
	cipher, err := privicore.NewAESGCM(make([]byte, 32))
	if err != nil {
		log.Fatal(err)
	}
	token, err := client.DataToken.Store(ctx, privicore.Payload{
		Data: strings.NewReader("the plaintext"), Cipher: cipher, Context: "invoices",
	})
	if err != nil {
		log.Fatal(err)
	}

	pending, err := client.DataToken.Request(ctx, token)
	if err != nil {
		log.Fatal(err)
	}
	id, requestID := pending.ID, pending.RequestID // kept somewhere

	resumed := &privicore.PendingData{Command: client.Command(id), RequestID: requestID}
	ciphertext, err := resumed.Result(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer ciphertext.Close()
	sealed, err := io.ReadAll(ciphertext)
	if err != nil {
		log.Fatal(err)
	}
	plaintext, err := cipher.Open(sealed)
	fmt.Printf("%s %v\n", plaintext, err)
	// Output: the plaintext <nil>
}

// An application that another process registered. Its configuration can be taken
// once.
func ExampleOAuthService_TakeConfiguration() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	pending, err := client.OAuth.Register(ctx, privicore.RegisterApplicationRequest{
		Name: "reports", RedirectURI: "https://reports.example.com/callback", Scopes: []string{"read"},
	})
	if err != nil {
		log.Fatal(err)
	}
	id := pending.ID // kept somewhere; the process may end here

	if _, err := client.Command(id).Wait(ctx); err != nil {
		log.Fatal(err)
	}
	app, err := client.OAuth.TakeConfiguration(ctx, id)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(app.Scopes, app.ClientSecret)

	_, err = client.OAuth.TakeConfiguration(ctx, id)
	switch {
	case errors.Is(err, privicore.KeyAlreadyRetrieved):
		fmt.Println("the secret was given out before")
	case errors.Is(err, privicore.ErrRejected):
		fmt.Println("rejected:", err)
	case errors.Is(err, privicore.ErrAmbiguous):
		fmt.Println("the server may have carried it out")
	}
	// Output:
	// [read] [redacted]
	// the secret was given out before
}

// A policy that another process registered. It keeps the name too.
func ExamplePolicyService_Register() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()
	templates, err := client.Policy.ListTemplates(ctx)
	if err != nil {
		log.Fatal(err)
	}

	pending, err := client.Policy.Register(ctx, privicore.RegisterPolicyRequest{
		TemplateID: templates[0].ID,
		EventIDs:   []string{templates[0].Events[0].ID},
		Name:       "four eyes",
	})
	if err != nil {
		log.Fatal(err)
	}
	id, name := pending.ID, "four eyes" // kept somewhere; the process may end here

	if _, err := client.Command(id).Wait(ctx); err != nil {
		log.Fatal(err)
	}
	// The policy is found a moment after the end of its command.
	var policy *privicore.Policy
	for policy == nil {
		policy, err = client.Policy.Retrieve(ctx, name)
		if err != nil && !errors.Is(err, privicore.ErrNotFound) {
			log.Fatal(err)
		}
	}
	fmt.Println(policy.Name)
	// Output: four eyes
}

// Store can be called again unless it may have made a token already.
func ExampleStepError() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()
	cipher, err := privicore.NewAESGCM(make([]byte, 32))
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.DataToken.Store(ctx, privicore.Payload{
		Data: iotest.ErrReader(errors.New("disk on fire")), Cipher: cipher, Context: "invoices",
	})
	if failed, ok := errors.AsType[*privicore.StepError](err); ok {
		fmt.Println(failed, "- again:", failed.Repeatable())
	}
	// Output: privicore: store, step 2 (encrypt): disk on fire - again: true
}

// A server with a certificate of a private CA.
func ExampleNewTransport() {
	roots := x509.NewCertPool() // with roots.AppendCertsFromPEM
	transport := privicore.NewTransport()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	client, err := privicore.NewClient(
		privicore.WithBaseURL("https://privicore.internal:9009"),
		privicore.WithHTTPClient(&http.Client{Transport: transport}),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}

func ExampleWaitAll() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	var commands []*privicore.Command
	for _, name := range []string{"door", "window", "roof"} {
		pending, err := client.Device.RequestIdentifier(ctx, name)
		if err != nil {
			log.Fatal(err)
		}
		commands = append(commands, pending.Command)
	}
	results, err := privicore.WaitAll(ctx, commands...)
	fmt.Println(len(results), err)
	// Output: 3 <nil>
}

// Events lists what the proxy pushes, for tools that watch a profile.
func ExampleClient_Events() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, stop := sandbox()
	defer stop()

	if err := client.Connect(ctx); err != nil {
		log.Fatal(err)
	}
	go func() {
		// Some other part of the program gives a command.
		for ctx.Err() == nil {
			pending, err := client.Device.RequestIdentifier(ctx, "door")
			if err == nil {
				_, _ = pending.Wait(ctx)
			}
		}
	}()
	for event, err := range client.Events(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if e, ok := event.(*privicore.CommandEvent); ok && e.Status == privicore.CommandSucceeded {
			fmt.Println(e.Messages)
			cancel()
			break
		}
	}
	// Output: [device.device_registered]
}

func ExampleClient_Connect() {
	client, stop := sandbox()
	defer stop()
	fmt.Println(client.Connect(context.Background()))
	// Output: <nil>
}

// A service answers health checks with what Ready returns.
func ExampleClient_Ready() {
	client, stop := sandbox()
	defer stop()
	healthy := func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		if err := client.Ready(ctx); err != nil {
			http.Error(w, "Privicore cannot be used", http.StatusServiceUnavailable)
			log.Print(err)
			return
		}
		fmt.Fprintln(w, "ok")
	}

	w := httptest.NewRecorder()
	healthy(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
	fmt.Println(w.Code, client.ChannelState())
	// Output: 200 joined
}

// Hooks see each operation and each wait, for example to count them by name.
func ExampleWithHooks() {
	var mu sync.Mutex
	counts := make(map[string]int)
	count := func(name string) {
		mu.Lock()
		defer mu.Unlock()
		counts[name]++
	}
	hooks := privicore.Hooks{
		Call: func(ctx context.Context, operation string) (context.Context, func(privicore.CallReport)) {
			return ctx, func(report privicore.CallReport) {
				count(fmt.Sprintf("%s %d", operation, report.StatusCode))
			}
		},
		Wait: func(ctx context.Context, operation, _ string) (context.Context, func(privicore.WaitReport)) {
			return ctx, func(report privicore.WaitReport) {
				count(fmt.Sprintf("wait %s %s", operation, report.Status))
			}
		},
	}

	client, stop := sandbox(privicore.WithHooks(hooks))
	defer stop()
	command, err := client.Device.RequestIdentifier(context.Background(), "kitchen tablet")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := command.Wait(context.Background()); err != nil {
		log.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Println(name, counts[name])
	}
	// Output:
	// Device.RequestIdentifier 202 1
	// Profile.Authenticate 200 1
	// wait Device.RequestIdentifier succeeded 1
}

// A profile becomes active with a public key.
func ExampleProfileService_Provision() {
	server, err := privicoretest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	baseURL := server.URL

	ctx := context.Background()
	run := func() error {
		client, err := privicore.NewClient(
			privicore.WithBaseURL(baseURL),
			privicore.WithCredentials("carol", "correct horse battery staple"),
		)
		if err != nil {
			return err
		}
		defer client.Close()
		key, err := privicore.GenerateKey() // keep key.Reveal() somewhere safe
		if err != nil {
			return err
		}
		if err := client.Profile.Provision(ctx, key.Public()); err != nil {
			return err
		}
		device, err := client.Device.Onboard(ctx, "cellar server")
		if err != nil {
			return err
		}
		command, err := client.Storage.Register(ctx, device.Identifier)
		if err != nil {
			return err
		}
		_, err = command.Wait(ctx)
		if err != nil {
			return err
		}
		registered, err := client.PublicKey.Retrieve(ctx)
		fmt.Println(registered == key.Public())
		return err
	}
	fmt.Println(run())
	// Output:
	// true
	// <nil>
}

func ExampleParsePublicKey() {
	key := privicore.KeyFromSeed("privicore").Public()
	signed := key.String()
	fmt.Println(len(signed), signed[:16])

	same, err := privicore.ParsePublicKey(signed)
	fmt.Println(same == key, err)

	_, err = privicore.ParsePublicKey(signed[:198] + "00")
	fmt.Println(err)
	// Output:
	// 200 314205002817c9ec
	// true <nil>
	// invalid key: signed public key has a wrong hash
}

func ExampleSecret() {
	password := privicore.NewSecret("correct horse")
	fmt.Println(password)
	fmt.Printf("%+v\n", struct{ Password privicore.Secret }{password})
	fmt.Println(len(password.Reveal()))
	// Output:
	// [redacted]
	// {Password:[redacted]}
	// 13
}

func ExampleDeviceService_Onboard() {
	client, stop := sandbox()
	defer stop()

	device, err := client.Device.Onboard(context.Background(), "kitchen tablet")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(device.Approved)
	// Output: true
}

func ExampleUtilityService_Health() {
	client, stop := sandbox()
	defer stop()

	health, err := client.Utility.Health(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(health.Status)
	// Output: ok
}

func ExampleVerifiedAuthenticatorService_SetQuorumStrategy() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	command, err := client.VerifiedAuthenticator.SetQuorumStrategy(ctx, privicore.MinimumPercentage, 75)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := command.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	strategy, err := client.VerifiedAuthenticator.Strategy(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strategy.Strategy)

	_, err = client.VerifiedAuthenticator.SetQuorumStrategy(ctx, privicore.MinimumPercentage, 140)
	fmt.Println(err)
	// Output:
	// minimum_percentage
	// privicore: VerifiedAuthenticator.SetQuorumStrategy: strategy_params is 140; a percentage is between 0 and 100
}

func ExampleStorageService_Register() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	device, err := client.Device.Onboard(ctx, "cellar server")
	if err != nil {
		log.Fatal(err)
	}
	command, err := client.Storage.Register(ctx, device.Identifier)
	if err != nil {
		log.Fatal(err)
	}
	result, err := command.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Status)
	// Output: succeeded
}

func ExampleDataTokenService_Store() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	dataKey := make([]byte, 32) // from where the application keeps its keys
	run := func() error {
		cipher, err := privicore.NewBoundAESGCM(dataKey) // 32 random bytes, not the profile's key
		if err != nil {
			return err
		}
		token, err := client.DataToken.Store(ctx, privicore.Payload{
			Data:    strings.NewReader("the plaintext"),
			Cipher:  cipher,
			Context: "invoices",
		})
		if err != nil {
			return err
		}
		plaintext, err := client.DataToken.Retrieve(ctx, token, privicore.Retrieval{Cipher: cipher, Context: "invoices"})
		if err != nil {
			return err
		}
		defer plaintext.Close()
		data, err := io.ReadAll(plaintext)
		fmt.Printf("%s\n", data)
		return err
	}
	if err := run(); err != nil {
		log.Fatal(err)
	}
	// Output: the plaintext
}

func ExampleDataTokenService_All() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	for token, err := range client.DataToken.All(ctx, privicore.DataTokenFilter{Context: "invoices"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(token.Token, token.FileName, token.Size)
	}
	// Output:
}

// An application with an access token of its own, which a second client uses
// and refreshes.
func ExampleOAuthService_Authorize() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	pending, err := client.OAuth.Register(ctx, privicore.RegisterApplicationRequest{
		Name:        "reports",
		RedirectURI: "https://reports.example.com/callback",
		Scopes:      []string{"read"},
	})
	if err != nil {
		log.Fatal(err)
	}
	app, err := pending.Result(ctx)
	if err != nil {
		log.Fatal(err)
	}
	access, err := client.OAuth.Authorize(ctx, privicore.AuthorizeRequest{ClientID: app.ClientID, ClientSecret: app.ClientSecret, Scopes: []string{"read"}})
	if err != nil {
		log.Fatal(err)
	}
	reports, err := client.Clone(privicore.WithTokenSource(client.OAuth.TokenSource(access, nil)))
	if err != nil {
		log.Fatal(err)
	}
	defer reports.Close()

	mine, err := client.Profile.ID(ctx)
	if err != nil {
		log.Fatal(err)
	}
	theirs, err := reports.Profile.ID(ctx)
	fmt.Println(mine == theirs, err)
	// Output: true <nil>
}

// vault is a TokenSource: tokens come from somewhere else.
type vault struct{ client *http.Client }

func (v vault) Token(ctx context.Context) (*privicore.AuthorizationToken, error) {
	return &privicore.AuthorizationToken{
		Token:     privicore.NewSecret("T-from-the-vault"),
		ExpiresAt: time.Now().Add(time.Hour),
	}, nil
}

func ExampleTokenSource() {
	client, err := privicore.NewClient(privicore.WithTokenSource(vault{http.DefaultClient}))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}

// From here on, deleting data takes a vote.
func ExamplePolicyService_Gate() {
	ctx := context.Background()
	client, stop := sandbox()
	defer stop()

	policy, err := client.Policy.Gate(ctx, privicore.GateRequest{
		Name:     "four eyes",
		Template: "Data access",
		Events:   []string{"Delete data"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(policy.Name)

	_, err = client.Policy.Gate(ctx, privicore.GateRequest{
		Name:     "six eyes",
		Template: "Data access",
		Events:   []string{"Frame data"},
	})
	fmt.Println(errors.Is(err, privicore.ErrValidation))
	// Output:
	// four eyes
	// true
}

// TestOnboarding is the README's example of a user's own test.
func TestOnboarding(t *testing.T) {
	server := privicoretest.NewServer(t, privicoretest.WithProfile("alice", "correct horse"))
	client := server.NewClient(t)

	alice := server.Profile("alice")
	alice.AddDevice("phone", privicoretest.DeviceApproved, privicoretest.Authenticator)
	alice.AddPolicy(privicoretest.Policy{Name: "gate", Events: []string{"Device.Approve"}, Active: true})
	server.SetVoter(privicoretest.VoteNo)

	_, err := client.Device.Onboard(t.Context(), "kitchen tablet")
	if !errors.Is(err, privicore.ErrRejected) {
		t.Fatalf("got %v, want a rejection", err)
	}
	for _, device := range alice.Devices() {
		if device.Name == "kitchen tablet" && device.Status != privicoretest.DevicePending {
			t.Fatalf("the tablet is %s", device.Status)
		}
	}
}

// TestOnboardingFake is the README's example of commands without a server.
func TestOnboardingFake(t *testing.T) {
	ctx := t.Context()
	pending := privicore.NewPending(privicoretest.FinishedCommand("command-1"),
		func(ctx context.Context, commandID string) (*privicore.Device, error) {
			return &privicore.Device{Identifier: "device-1"}, nil
		})
	denied := privicoretest.RejectedCommand("command-2", "voting.denied")

	device, err := pending.Result(ctx)
	if err != nil || device.Identifier != "device-1" {
		t.Fatal(device, err)
	}
	if _, err := denied.Wait(ctx); !errors.Is(err, privicore.MessageKey("voting.denied")) {
		t.Fatal(err)
	}
}

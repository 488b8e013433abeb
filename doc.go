// Package privicore is a client for the Privicore tokenization vault.
//
// A Client has one service for each section of the vendor's documentation, and
// each method names the operation it stands for:
//
//	client, err := privicore.NewClient(privicore.FromEnv())
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	device, err := client.Device.Onboard(ctx, "kitchen tablet")
//
// # Waiting
//
// Most writes are accepted first and finish later. Their methods return a
// *Command at once, and Command.Wait returns the outcome: pushed over the
// WebSocket channel if the client has one (WithWebSocketURL), by polling if not.
// Where an operation yields a value, the method returns a handle whose Result
// waits and fetches it. A few methods wait for several steps and say so:
// ProfileService.Provision, DeviceService.Onboard, DataTokenService.Store and
// Retrieve, OAuthService.Authorize, PolicyService.Gate.
//
// # Errors
//
// A *ValidationError means that a parameter cannot be right and nothing was sent.
// An *APIError is an answer that reports a failure or cannot be read. A
// *CommandError is the rejection of a command that had been accepted. All of them
// match sentinel errors such as ErrNotFound with errors.Is.
//
// Any other error means that no answer came. It wraps the error of the network,
// or that of the context, and matches ErrAmbiguous if the call was a command that
// the server may have carried out all the same.
//
// # Secrets
//
// Tokens, passwords, keys and the like are of type Secret, which fmt, log/slog and
// encoding/json do not show. Errors and logs do not either. Response bodies and
// RawJSON are what the server sent, secrets and all.
//
// # What is known
//
// Where the vendor's documentation and recordings of a live server differ, both
// are served. What is inferred from the names of sibling operations says so in its
// comment; see docs/coverage.md. Package privicoretest is a Privicore for tests.
package privicore

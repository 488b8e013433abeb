// Package privicore is a client for the Privicore tokenization vault. An
// application encrypts a payload with its own key, exchanges it for an opaque data
// token, and gets it back by that token.
//
// A [Client] has one service for each section of the vendor's documentation, and
// one method for each operation:
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
// The server accepts most writes at once and finishes them later. Their methods
// return a *[Command] and do not wait; [Command.Wait] waits and returns the outcome.
// With [WithWebSocketURL] the server pushes outcomes over one connection. Without it
// the client polls. If an operation yields a value, its method returns a *[Pending],
// whose Result waits and fetches the value.
//
// A few methods combine several steps and wait for each: [ProfileService.Provision],
// [DeviceService.Onboard], [DataTokenService.Store], [DataTokenService.Retrieve],
// [OAuthService.Authorize] and [PolicyService.Gate].
//
// A program that keeps the ID of a command can wait for it after a restart, with
// [Client.Command].
//
// # Errors
//
// A *[ValidationError] means that a parameter cannot be right, and that nothing was
// sent. An *[APIError] is an answer that reports a failure or cannot be used. A
// *[CommandError] means that the server accepted a command and then rejected it. A
// *[WaitError] means that a wait ended before its command did. A *[TokenError] means
// that the client could not get a token for the call. errors.Is finds sentinels such
// as [ErrNotFound] and [ErrRejected], and each [MessageKey] that a server sent.
//
// If the error of a call matches [ErrAmbiguous], the server may have carried out the
// call. Otherwise it did not. The client sends a call again only if that is safe.
//
// # Time
//
// A context without deadline is safe to use. [WithStallTimeout] ends a call over which
// no byte moves. [WithMaxPause] bounds the pauses of a call that is sent again. A wait
// ends when its command ends, when the server keeps refusing to answer, or when it
// cannot be reached for as long as [WithMaxOutage] allows. A command itself may run
// for any time, so a wait that must end needs a deadline.
//
// # Secrets
//
// Tokens, passwords and keys are of type [Secret], which fmt, log/slog and
// encoding/json do not show. Errors and logs do not show them either. Response bodies
// and RawJSON are what the server sent, with its secrets.
//
// # What is known
//
// The client works with servers that follow the vendor's documentation and with those
// that differ from it as recorded. Some operations are inferred from the names of
// similar ones; their comments say so, and docs/coverage.md lists them. Package
// privicoretest is a Privicore for tests.
package privicore

// Privicore-conformance calls every operation of the Privicore API on a server,
// compares the answers with what is known of the API, and reports where they
// differ. It settles what the documentation leaves open: which dialect a server
// speaks, and what it answers to operations that were only inferred.
//
//	privicore-conformance [-destructive] [-timeout 1m] [-insecure] > report.md
//
// The settings come from the environment, as for [privicore.FromEnv]:
//
//	PRIVICORE_API_URL    the server, https://sandbox.privicore.com:9009 by default
//	PRIVICORE_WS_URL     the WebSocket proxy; without it acknowledgements are not
//	                     checked and data is not requested
//	PRIVICORE_USERNAME   the profile to work with, which must be active
//	PRIVICORE_PASSWORD
//	PRIVICORE_TOKEN      a token of the profile, in place of the password; what
//	                     needs the password is then not tried
//
// # What it does to the profile
//
// The program registers devices, an OAuth application, a voting configuration,
// policies, a poll and data. All names begin with "privicore-conformance-". It
// never changes the password, the key, the voting settings or the data of the
// profile, and activates no policy of it.
//
// While the program runs, a device that does not exist stores data and votes for
// the profile. Use a profile for tests, and store no other data meanwhile.
//
// With -destructive the program also registers a profile of its own, and changes
// the password, the key and the settings of that profile. No operation removes a
// profile, so it stays on the server.
//
// At the end the program removes what it made, also after a failure or after
// SIGINT and SIGTERM. A second signal ends it at once. The report lists what is
// left. No operation removes an OAuth application, a voting configuration or a
// poll, so those are always left.
//
// # The report
//
// The report on standard output is in Markdown and can be sent to someone. It has
// names of fields and types in place of values, and holds no secret and no
// identifier. Progress goes to standard error. An operation is
//
//   - confirmed if the answer, the outcome and the effect are as they are known,
//   - different if one of them is not; the report says which,
//   - not reachable if the server has nothing at its path, or if an operation that
//     it depends on failed,
//   - not tried if the settings do not allow it.
//
// The last line is "confirmed N of M". M counts all operations but those that were
// not tried.
//
// # Exit status
//
//	0  everything that was tried is confirmed
//	1  something differs, is not reachable or could not be removed, or the run was
//	   interrupted
//	2  the program could not run: wrong flags or settings, a server that does not
//	   answer, or one that refuses the credentials; there is no report
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/privicore/privicore-go"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// The exit statuses.
const (
	exitConfirmed = iota
	exitDiffers
	exitCannotRun
)

// settings are what flags and environment say.
type settings struct {
	apiURL, wsURL      string
	username, password string
	token              string

	destructive bool
	insecure    bool
	timeout     time.Duration // of a step
	ackGrace    time.Duration // how long an acknowledgement may come after its outcome
	ackPoll     time.Duration // after which the client polls if no acknowledgement came
	breakGrace  time.Duration // how long a step may go on after an interrupt
	network     http.RoundTripper
}

// errHelp means that the user asked for the flags only.
var errHelp = errors.New("help was asked for")

// parse reads flags and environment.
func parse(args []string, getenv func(string) string, stderr io.Writer) (*settings, error) {
	s := &settings{
		ackGrace: 3 * time.Second, ackPoll: 5 * time.Second, breakGrace: 5 * time.Second,
		network: privicore.NewTransport(),
	}
	flags := flag.NewFlagSet("privicore-conformance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&s.destructive, "destructive", false, "also register a profile, which stays on the server, and change its password, key and settings")
	flags.BoolVar(&s.insecure, "insecure", false, "allow http and ws to other machines")
	flags.DurationVar(&s.timeout, "timeout", time.Minute, "how long one step may take")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil, errHelp
	case err != nil:
		return nil, errors.New("run with -h for the flags")
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case s.timeout <= 0:
		return nil, errors.New("-timeout must be positive")
	}
	s.apiURL, s.wsURL = getenv("PRIVICORE_API_URL"), getenv("PRIVICORE_WS_URL")
	s.username, s.password = getenv("PRIVICORE_USERNAME"), getenv("PRIVICORE_PASSWORD")
	s.token = getenv("PRIVICORE_TOKEN")
	if s.apiURL == "" {
		s.apiURL = privicore.DefaultBaseURL
	}
	switch {
	case (s.username == "") != (s.password == ""):
		return nil, errors.New("set both PRIVICORE_USERNAME and PRIVICORE_PASSWORD, or neither")
	case s.username == "" && s.token == "":
		return nil, errors.New("set PRIVICORE_USERNAME and PRIVICORE_PASSWORD, or PRIVICORE_TOKEN")
	}
	return s, nil
}

// run is the program. It returns the exit status.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	settings, err := parse(args, getenv, stderr)
	if errors.Is(err, errHelp) {
		return exitConfirmed
	}
	if err != nil {
		fmt.Fprintln(stderr, "privicore-conformance:", err)
		return exitCannotRun
	}
	return conform(ctx, settings, stdout, stderr)
}

// conform runs the plan and writes the report.
func conform(ctx context.Context, settings *settings, stdout, stderr io.Writer) int {
	s, err := newSession(settings, stderr)
	if err == nil {
		defer s.close()
		s.run(ctx, plan)
		err = s.cannotRun()
	}
	if err != nil {
		fmt.Fprintln(stderr, "privicore-conformance:", err)
		return exitCannotRun
	}
	report := s.report()
	if _, err := io.WriteString(stdout, report.text); err != nil {
		fmt.Fprintln(stderr, "privicore-conformance: the report cannot be written:", err)
		return exitCannotRun
	}
	if !report.good {
		return exitDiffers
	}
	return exitConfirmed
}

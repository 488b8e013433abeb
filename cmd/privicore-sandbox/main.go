// Privicore-sandbox is a Privicore for local use and for tests in any language. It
// starts with one active profile and, once it serves, prints how to reach it:
//
//	$ privicore-sandbox
//	PRIVICORE_API_URL=http://127.0.0.1:8009
//	PRIVICORE_WS_URL=ws://127.0.0.1:8083
//	PRIVICORE_USERNAME=demo
//	PRIVICORE_PASSWORD=demo-password
//
// The lines are shell assignments and, on standard output, the only ones. The
// program ends with exit code 0 on SIGINT, SIGTERM or SIGHUP, 1 if it cannot
// start and 2 for wrong flags. Nothing is kept when it ends.
//
// # Profiles, votes, faults and logs
//
// These flags can be given more than once:
//
//	-profile bob:battery-staple
//	-vote no
//	-vote Device.Remove=no
//	-fault Device.Approve=status:503
//	-fault 'Device.Approve=reject:device.blocked,once'
//	-fault '*=delay:200ms'
//
// A vote is yes, no or none. None leaves all polls to their time limits and to
// votes by the admin address. With the name of an operation it is for the polls that
// a policy holds on that operation.
//
// A fault is for an operation, or for all of them (*). It lasts until it is lifted,
// or is for one call (once). Its parts, between commas, are status:CODE,
// retry-after:SECONDS, delay:TIME, latency:TIME, reject:REASON, drop, after, no-id,
// lose-ack, once, and as the last one body:TEXT. They mean what the fields of
// privicoretest.Fault mean; after is AfterEffect. With -fault-rate, calls, commands
// and connections fail at random, and the same -fault-seed brings the same faults
// again. With -log the program writes each request and each outcome to standard
// error, without secrets.
//
// # The admin address
//
// With -admin-addr the program also serves an address that changes and shows its
// state, and prints it as PRIVICORE_ADMIN_URL. It speaks JSON over HTTP, asks for
// no credentials, and therefore has to be on loopback.
//
//	GET    /state                what is stored, by profile
//	GET    /data/{token}         the bytes that are stored for a data token
//	POST   /seed                 adds profiles and what they have
//	GET    /requests             the requests that came, without secrets
//	POST   /faults               adds a fault
//	DELETE /faults               lifts all faults that last, also those of flags
//	PUT    /fault-rate           {"rate":0.1} sets how often random faults occur
//	PUT    /votes                {"vote":"no","operation":"Device.Remove"}; operation is optional
//	GET    /polls                the polls, by profile
//	POST   /polls/{id}/votes     {"device":"…","yes":true} votes for a device
//
// The query profile=NAME limits /state and /polls to one profile. The body of /seed
// has the shape of the answer to /state. Its answer has the ids of what was added:
//
//	{"profiles":[{
//	  "username":"bob", "password":"battery-staple",
//	  "devices":[{"name":"phone","status":"approved","authenticator":true}],
//	  "votingSettings":{"quorumSize":1,"strategy":"unanimous"},
//	  "votingConfigurations":[{"name":"owners","timeLimit":60,"deviceIdentifiers":["phone"]}],
//	  "policies":[{"name":"gate","events":["Device.Remove"],"active":true}],
//	  "dataTokens":[{"context":"invoices","data":"aGVsbG8="}]
//	}]}
//
// A profile without a password has to be there already. deviceIdentifiers may name
// devices of the same body. The data of a data token is stored as it is. What cannot
// be right is answered with 400 and {"error":"…"}; what came before it stays. The
// body of /faults has the parts of a fault by the names of the flag:
//
//	{"operation":"Device.Approve","status":503,"body":"busy","once":true}
//
// # What it lacks
//
// The program has no counterpart to these parts of package privicoretest: a network
// in memory, TLS, faults of the WebSocket channel other than lost outcomes and random
// ones, messages that are pushed by hand, voters that look at the poll, rates for each
// kind of random fault, places of the command id, rate limits, and lifetimes of tokens.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/privicore/privicore-go/privicoretest"
)

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	const hangup = syscall.Signal(1) // SIGHUP, which not every platform defines
	if !signal.Ignored(hangup) {     // nohup ignores it
		signals = append(signals, hangup)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run serves until ctx ends and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, code := parse(args, stderr)
	if code >= 0 {
		return code
	}
	admin := &admin{votes: s.votes}
	server, err := privicoretest.Start(append(s.options(stderr), privicoretest.WithErrorHandler(admin.report))...)
	if err != nil {
		fmt.Fprintf(stderr, "privicore-sandbox: %v\n", err)
		return 1
	}
	defer server.Close()
	admin.server = server
	for _, f := range s.faults {
		admin.add(f)
	}
	adminURL := ""
	if s.adminAddr != "" {
		url, stop, err := admin.serve(ctx, s.adminAddr)
		if err != nil {
			fmt.Fprintf(stderr, "privicore-sandbox: %v\n", err)
			return 1
		}
		defer stop()
		adminURL = url
	}

	assign(stdout, "PRIVICORE_API_URL", server.URL)
	assign(stdout, "PRIVICORE_WS_URL", server.WebSocketURL)
	if adminURL != "" {
		assign(stdout, "PRIVICORE_ADMIN_URL", adminURL)
	}
	assign(stdout, "PRIVICORE_USERNAME", s.profiles[0].username)
	assign(stdout, "PRIVICORE_PASSWORD", s.profiles[0].password)
	<-ctx.Done()
	return 0
}

// options returns the options of the server.
func (s *settings) options(stderr io.Writer) []privicoretest.Option {
	dialect := privicoretest.Documented
	if s.observed {
		dialect = privicoretest.Observed
	}
	opts := []privicoretest.Option{
		privicoretest.WithAddr(s.addr),
		privicoretest.WithWebSocketAddr(s.wsAddr),
		privicoretest.WithLatency(s.latency),
		privicoretest.WithDialect(dialect),
		privicoretest.WithStorageDevices(s.storage),
		privicoretest.WithVoter(s.votes.voter()),
		privicoretest.WithRandomFaults(s.faultSeed, privicoretest.UniformFaults(s.faultRate)),
	}
	for _, p := range s.profiles {
		opts = append(opts, privicoretest.WithProfile(p.username, p.password))
	}
	if s.log {
		opts = append(opts, privicoretest.WithLogger(slog.New(slog.NewTextHandler(stderr, nil))))
	}
	return opts
}

// assign prints a line that a shell can evaluate. The value is quoted only if
// a shell would take it for something else.
func assign(w io.Writer, name, value string) {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.:/@%+,", r)
	}
	if strings.ContainsFunc(value, func(r rune) bool { return !plain(r) }) {
		value = "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
	}
	fmt.Fprintf(w, "%s=%s\n", name, value)
}

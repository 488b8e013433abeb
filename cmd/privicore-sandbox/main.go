// Privicore-sandbox is a Privicore for local use. It starts with one active
// profile and, once it serves, prints how to reach it:
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
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/privicore/privicore-go/privicoretest"
)

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup asks for
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run serves until ctx ends and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("privicore-sandbox", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:8009", "`host:port` of the REST API")
	wsAddr := flags.String("ws-addr", "127.0.0.1:8083", "`host:port` of the WebSocket proxy")
	username := flags.String("username", "demo", "of the profile to start with")
	password := flags.String("password", "demo-password", "of the profile to start with")
	latency := flags.Duration("latency", 20*time.Millisecond, "time from accepting a command to its outcome")
	observed := flags.Bool("observed", false, "answer like a recorded live server instead of the vendor's documentation")
	storage := flags.Int("storage-devices", 3, "how many the profile starts with")
	noVoter := flags.Bool("no-voter", false, "leave polls to their time limits instead of voting yes")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "privicore-sandbox: unexpected argument %q\n", flags.Arg(0))
		return 2
	case *username == "" || *password == "":
		fmt.Fprintln(stderr, "privicore-sandbox: -username and -password must not be empty")
		return 2
	case *latency < 0:
		fmt.Fprintln(stderr, "privicore-sandbox: -latency must not be negative")
		return 2
	case *storage < 0:
		fmt.Fprintln(stderr, "privicore-sandbox: -storage-devices must not be negative")
		return 2
	}

	dialect := privicoretest.Documented
	if *observed {
		dialect = privicoretest.Observed
	}
	voter := func(privicoretest.Poll) bool { return true }
	if *noVoter {
		voter = nil
	}
	server, err := privicoretest.Start(
		privicoretest.WithAddr(*addr),
		privicoretest.WithWebSocketAddr(*wsAddr),
		privicoretest.WithProfile(*username, *password),
		privicoretest.WithLatency(*latency),
		privicoretest.WithDialect(dialect),
		privicoretest.WithStorageDevices(*storage),
		privicoretest.WithVoter(voter),
	)
	if err != nil {
		fmt.Fprintf(stderr, "privicore-sandbox: %v\n", err)
		return 1
	}
	defer server.Close()

	assign(stdout, "PRIVICORE_API_URL", server.URL)
	assign(stdout, "PRIVICORE_WS_URL", server.WebSocketURL)
	assign(stdout, "PRIVICORE_USERNAME", *username)
	assign(stdout, "PRIVICORE_PASSWORD", *password)
	<-ctx.Done()
	return 0
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

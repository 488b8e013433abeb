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
	const hangup = syscall.Signal(1) // SIGHUP, which not every platform defines
	if !signal.Ignored(hangup) {     // nohup ignores it
		signals = append(signals, hangup)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// settings are what the flags set.
type settings struct {
	addr, wsAddr       string
	username, password string
	latency            time.Duration
	observed           bool
	storage            int
	noVoter            bool
}

// parse reads the flags. It returns an exit code, or -1 to go on.
func parse(args []string, stderr io.Writer) (s settings, code int) {
	flags := flag.NewFlagSet("privicore-sandbox", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.addr, "addr", "127.0.0.1:8009", "`host:port` of the REST API")
	flags.StringVar(&s.wsAddr, "ws-addr", "127.0.0.1:8083", "`host:port` of the WebSocket proxy")
	flags.StringVar(&s.username, "username", "demo", "of the profile to start with")
	flags.StringVar(&s.password, "password", "demo-password", "of the profile to start with")
	flags.DurationVar(&s.latency, "latency", 20*time.Millisecond, "time from accepting a command to its outcome")
	flags.BoolVar(&s.observed, "observed", false, "answer like a recorded live server instead of the vendor's documentation")
	flags.IntVar(&s.storage, "storage-devices", 3, "how many the profile starts with")
	flags.BoolVar(&s.noVoter, "no-voter", false, "leave polls to their time limits instead of voting yes")
	var problem string
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return s, 0
	case err != nil:
		return s, 2
	case flags.NArg() > 0:
		problem = fmt.Sprintf("unexpected argument %q", flags.Arg(0))
	case s.username == "" || s.password == "":
		problem = "-username and -password must not be empty"
	case s.latency < 0:
		problem = "-latency must not be negative"
	case s.storage < 0:
		problem = "-storage-devices must not be negative"
	default:
		return s, -1
	}
	fmt.Fprintln(stderr, "privicore-sandbox:", problem)
	return s, 2
}

// run serves until ctx ends and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, code := parse(args, stderr)
	if code >= 0 {
		return code
	}
	dialect := privicoretest.Documented
	if s.observed {
		dialect = privicoretest.Observed
	}
	voter := func(privicoretest.Poll) bool { return true }
	if s.noVoter {
		voter = nil
	}
	server, err := privicoretest.Start(
		privicoretest.WithAddr(s.addr),
		privicoretest.WithWebSocketAddr(s.wsAddr),
		privicoretest.WithProfile(s.username, s.password),
		privicoretest.WithLatency(s.latency),
		privicoretest.WithDialect(dialect),
		privicoretest.WithStorageDevices(s.storage),
		privicoretest.WithVoter(voter),
	)
	if err != nil {
		fmt.Fprintf(stderr, "privicore-sandbox: %v\n", err)
		return 1
	}
	defer server.Close()

	assign(stdout, "PRIVICORE_API_URL", server.URL)
	assign(stdout, "PRIVICORE_WS_URL", server.WebSocketURL)
	assign(stdout, "PRIVICORE_USERNAME", s.username)
	assign(stdout, "PRIVICORE_PASSWORD", s.password)
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

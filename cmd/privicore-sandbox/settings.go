package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// settings are what the flags set.
type settings struct {
	addr, wsAddr, adminAddr string

	profiles []credentials // the first one is printed
	latency  time.Duration
	observed bool
	storage  int
	log      bool

	votes     *votes
	faults    []fault
	faultSeed uint64
	faultRate float64
}

type credentials struct{ username, password string }

// parse reads the flags. It returns an exit code, or -1 to go on.
func parse(args []string, stderr io.Writer) (s settings, code int) {
	s.votes = new(votes)
	first := credentials{"demo", "demo-password"}
	noVoter := false
	flags := flag.NewFlagSet("privicore-sandbox", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.addr, "addr", "127.0.0.1:8009", "`host:port` of the REST API")
	flags.StringVar(&s.wsAddr, "ws-addr", "127.0.0.1:8083", "`host:port` of the WebSocket proxy")
	flags.StringVar(&s.adminAddr, "admin-addr", "", "`host:port` on loopback to seed, inspect and disturb the sandbox; empty for none")
	flags.StringVar(&first.username, "username", first.username, "of the profile to start with")
	flags.StringVar(&first.password, "password", first.password, "of the profile to start with")
	flags.Func("profile", "`user:password` of one more profile", s.addProfile)
	flags.DurationVar(&s.latency, "latency", 20*time.Millisecond, "time from accepting a command to its outcome")
	flags.BoolVar(&s.observed, "observed", false, "answer like a recorded live server instead of the vendor's documentation")
	flags.IntVar(&s.storage, "storage-devices", 3, "how many each profile starts with")
	flags.Func("vote", "`[Operation=]yes|no|none`: how authenticators vote; the default is yes", s.votes.parse)
	flags.BoolVar(&noVoter, "no-voter", false, "the same as -vote none")
	flags.Func("fault", "`Operation=part,part…`, such as Device.Approve=status:503; * is every operation", s.addFault)
	flags.Uint64Var(&s.faultSeed, "fault-seed", 1, "of the random faults")
	flags.Float64Var(&s.faultRate, "fault-rate", 0, "how often random faults occur, from 0 to 1")
	flags.BoolVar(&s.log, "log", false, "write requests and outcomes to standard error")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return s, 0
	case err != nil:
		return s, 2
	}
	s.profiles = append([]credentials{first}, s.profiles...)
	if noVoter {
		s.votes.otherwise = none
	}
	if problem := s.problem(flags.Args()); problem != "" {
		fmt.Fprintln(stderr, "privicore-sandbox:", problem)
		return s, 2
	}
	return s, -1
}

// problem returns what is wrong with the flags, or "".
func (s *settings) problem(rest []string) string {
	usernames := make(map[string]bool)
	for _, p := range s.profiles {
		switch {
		case p.username == "" || p.password == "":
			return "username and password must not be empty"
		case usernames[p.username]:
			return fmt.Sprintf("profile %q is there twice", p.username)
		}
		usernames[p.username] = true
	}
	switch {
	case len(rest) > 0:
		return fmt.Sprintf("unexpected argument %q", rest[0])
	case s.latency < 0:
		return "-latency must not be negative"
	case s.storage < 0:
		return "-storage-devices must not be negative"
	case !isRate(s.faultRate):
		return "-fault-rate must be from 0 to 1"
	case s.adminAddr != "" && !isLoopback(s.adminAddr):
		return "-admin-addr must be on loopback, such as 127.0.0.1:8010"
	}
	return s.votes.problem()
}

func (s *settings) addProfile(text string) error {
	username, password, ok := strings.Cut(text, ":")
	if !ok {
		return errors.New("there is no colon between user and password")
	}
	s.profiles = append(s.profiles, credentials{username, password})
	return nil
}

func (s *settings) addFault(text string) error {
	f, err := parseFault(text)
	if err != nil {
		return err
	}
	s.faults = append(s.faults, f)
	return nil
}

// isRate reports whether a number can be a rate. It refuses NaN too.
func isRate(r float64) bool { return r >= 0 && r <= 1 }

// isLoopback reports whether only this machine can reach an address.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

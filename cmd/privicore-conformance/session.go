package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/operation"
)

// prefix begins the name of everything that the program makes.
const prefix = "privicore-conformance-"

// account is a profile with which the program works, under one token.
type account struct {
	client  *privicore.Client
	token   string
	channel *channel // nil if there is no proxy, or if it cannot be joined
}

// session is one run of the program.
type session struct {
	settings *settings
	progress io.Writer
	name     string // begins with prefix and is new in each run
	started  time.Time

	secrets  *secrets
	recorder *recorder
	http     *http.Client
	clients  []*privicore.Client

	nobody  *privicore.Client // has no token
	own     *account          // of the profile in the environment
	visitor *account          // the same profile under another token
	spare   *account          // of the profile that -destructive registers

	findings map[*operation.Operation]*finding
	socket   *finding // of the WebSocket channel
	places   map[*operation.Operation]place
	dialect  dialect

	left        map[what]bool // what the steps so far have left for later ones
	things      []*thing
	remains     []string // what is left on the server
	refused     bool     // the server refuses the credentials or the token
	interrupted bool
	unclean     bool // something could not be removed
	deaf        bool // no channel can be joined

	results
}

// newSession returns a session. Nothing is sent yet.
func newSession(settings *settings, progress io.Writer) (*session, error) {
	base, err := url.Parse(settings.apiURL)
	if err != nil {
		return nil, errors.New("PRIVICORE_API_URL is malformed")
	}
	name := prefix + strings.ToLower(rand.Text()[:8])
	hidden := newSecrets(name, settings.username, settings.password, settings.token)
	rec := &recorder{base: settings.network, basePath: strings.TrimSuffix(base.Path, "/"), secrets: hidden}
	s := &session{
		settings: settings,
		progress: progress,
		name:     name,
		started:  time.Now(),
		secrets:  hidden,
		recorder: rec,
		http:     &http.Client{Transport: rec},
		findings: make(map[*operation.Operation]*finding),
		places:   make(map[*operation.Operation]place),
		left:     make(map[what]bool),
	}
	s.socket = &finding{s: s}
	s.nobody, err = s.client()
	return s, err
}

// client returns a client for the server, which ends with the session.
func (s *session) client(opts ...privicore.Option) (*privicore.Client, error) {
	patience := s.settings.timeout
	all := []privicore.Option{
		privicore.WithBaseURL(s.settings.apiURL),
		privicore.WithHTTPClient(s.http),
		privicore.WithApplication("privicore-conformance", privicore.Version),
		privicore.WithStallTimeout(patience / 2),
		privicore.WithMaxPause(patience / 2),
		privicore.WithMaxRetries(2),
		privicore.WithFallbackPoll(s.settings.ackPoll),
	}
	if s.settings.wsURL != "" {
		all = append(all, privicore.WithWebSocketURL(s.settings.wsURL))
	}
	if s.settings.insecure {
		all = append(all, privicore.WithInsecureHTTP())
	}
	c, err := privicore.NewClient(append(all, opts...)...)
	if err == nil {
		s.clients = append(s.clients, c)
	}
	return c, err
}

// open returns an account for a token, and joins its channel.
func (s *session) open(ctx context.Context, token string, opts ...privicore.Option) (*account, error) {
	s.secrets.add(token)
	client, err := s.client(append(opts, privicore.WithToken(token))...)
	if err != nil {
		return nil, err
	}
	a := &account{client: client, token: token}
	s.listen(ctx, a)
	return a, nil
}

// signIn opens the account of the profile in the environment.
func (s *session) signIn(ctx context.Context, token string) bool {
	var opts []privicore.Option
	if s.settings.username != "" {
		opts = append(opts, privicore.WithCredentials(s.settings.username, s.settings.password))
	}
	own, err := s.open(ctx, token, opts...)
	if err != nil {
		return false
	}
	s.own = own
	s.left[aToken] = true
	return true
}

// close ends the connections.
func (s *session) close() {
	for _, c := range s.clients {
		_ = c.Close()
	}
	s.http.CloseIdleConnections()
}

// finding returns what was learned about an operation.
func (s *session) finding(op *operation.Operation) *finding {
	f := s.findings[op]
	if f == nil {
		f = &finding{op: op, s: s}
		s.findings[op] = f
	}
	return f
}

// silence is after how many steps without any answer the server is given up.
const silence = 3

// run carries out the steps, then cleans up. An interrupt ends it after the step
// that is running.
func (s *session) run(ctx context.Context, steps []step) {
	if s.settings.token != "" {
		joining, cancel := s.bounded(ctx)
		s.signIn(joining, s.settings.token)
		cancel()
	}
	silent := 0
	for i := range steps {
		f, answers := s.finding(steps[i].op), s.recorder.answers()
		switch reason := s.blocked(steps, &steps[i]); {
		case !steps[i].allowed(s, f):
		case ctx.Err() != nil:
			f.untried, s.interrupted = "the run was interrupted", true
		case s.refused || silent >= silence:
			f.unreachable = "the server no longer answers"
		case reason != "":
			f.unreachable = reason
		default:
			s.carryOut(ctx, &steps[i], f)
			silent++
			if s.recorder.answers() > answers {
				silent = 0
			}
		}
		fmt.Fprintf(s.progress, "%s: %s\n", f.op.Name, f.verdict())
	}
	s.interrupted = s.interrupted || ctx.Err() != nil
	s.judgePlaces()
	s.cleanUp(context.WithoutCancel(ctx))
}

// carryOut carries out one step.
func (s *session) carryOut(ctx context.Context, st *step, f *finding) {
	bounded, cancel := s.bounded(ctx)
	defer cancel()
	if s.own != nil {
		s.listen(bounded, s.own) // the proxy may have closed the connection
	}
	if !st.do(bounded, s, f) {
		return
	}
	for _, w := range st.leaves {
		s.left[w] = true
	}
}

// bounded returns a context for one step. It goes on for a moment after an
// interrupt, so that what the step makes is known and can be removed.
func (s *session) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.settings.timeout)
	unhook := context.AfterFunc(ctx, func() { time.AfterFunc(s.settings.breakGrace, cancel) })
	return bounded, func() {
		unhook()
		cancel()
	}
}

// blocked returns why a step has not what it needs, or "".
func (s *session) blocked(steps []step, st *step) string {
	for _, need := range st.needs {
		if s.left[need] {
			continue
		}
		for i := range steps {
			if leaves(&steps[i], need) {
				return fmt.Sprintf("needs %s, which %s did not leave", need, steps[i].op.Name)
			}
		}
	}
	return ""
}

// cannotRun returns an error if the server could not be tried at all.
func (s *session) cannotRun() error {
	switch {
	case s.recorder.answers() == 0 && s.interrupted:
		return errors.New("the run was interrupted before the server answered")
	case s.recorder.answers() == 0:
		return errors.New("the server does not answer")
	case s.refused:
		return errors.New("the server refuses the credentials or the token")
	}
	return nil
}

// wait waits for a command that a step needs and does not look at.
func wait(ctx context.Context, cmd *privicore.Command, err error) error {
	if err != nil {
		return err
	}
	_, err = cmd.Wait(ctx)
	return err
}

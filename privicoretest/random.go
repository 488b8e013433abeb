package privicoretest

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// FaultRates says how often each kind of random fault occurs: 0 is never and 1
// is always. The zero value has no faults.
//
// The rates are in four groups. Of a group, one call, command, connection or join
// meets at most one fault, so the rates of a group add up to 1 or less. A fault
// that does not fit the call, such as an expired token where none is needed,
// changes nothing.
type FaultRates struct {
	// Faults of a call, also of an upload or a download. "Before" and "after"
	// mean before or after the call is carried out.
	Delay                float64 // the call is carried out late
	ResetBefore          float64 // the connection is closed before
	ResetAfter           float64 // the connection is closed after, without an answer
	Truncated            float64 // the body of the answer breaks off
	Endless              float64 // the body never ends
	Slow                 float64 // the body comes in small pieces
	Frozen               float64 // the body stops and the connection stays open
	ContentType          float64 // the Content-Type is wrong
	ClientError          float64 // a 4xx, before
	ServerError          float64 // a 5xx, before or after
	RateLimited          float64 // a 429, before, with or without Retry-After
	Page                 float64 // a proxy's page in HTML, with 200 or a failure, before
	Redirect             float64 // a redirect to another origin, before
	TokenExpired         float64 // the token of the call expires, before
	AuthenticationFailed float64 // Profile.Authenticate answers 401, before

	// Faults of a command that was accepted. They are for the 202 and for the
	// messages on the WebSocket channel.
	IDShape       float64 // the id is in another place of the 202
	NoID          float64 // there is no id in the 202
	AckEarly      float64 // the command ends before the 202 is sent
	AckLost       float64 // the outcome is not sent
	AckTwice      float64 // the outcome is sent two times
	AckLate       float64 // the outcome is sent some time after the end
	AckOutOfOrder float64 // the outcome is sent after the next one of the profile
	SocketDropped float64 // the profile's connections are closed instead of the outcome
	SocketFrozen  float64 // the profile's connections freeze instead, as by Server.Freeze

	// Faults of the WebSocket proxy.
	SocketRefused float64 // the handshake is answered with a failure and a page

	JoinRefused float64 // the join is answered with 500 or 503
	JoinIgnored float64 // the join is not answered

	// MaxDelay bounds Delay, AckLate and the time that a body of Slow takes. 0
	// means 100 ms.
	MaxDelay time.Duration
}

// UniformFaults returns rates at which a call, a command, a connection and a
// join each meet a fault with that probability, all kinds of it equally often.
func UniformFaults(rate float64) FaultRates {
	var r FaultRates
	for _, group := range r.groups() {
		for _, kind := range group {
			*kind = rate / float64(len(group))
		}
	}
	return r
}

// Scale returns the rates, each multiplied by factor.
func (r FaultRates) Scale(factor float64) FaultRates {
	for _, group := range r.groups() {
		for _, kind := range group {
			*kind *= factor
		}
	}
	return r
}

// groups returns the rates by group, in the order of the constants below.
func (r *FaultRates) groups() [4][]*float64 {
	return [...][]*float64{
		{
			&r.Delay, &r.ResetBefore, &r.ResetAfter, &r.Truncated, &r.Endless, &r.Slow, &r.Frozen,
			&r.ContentType, &r.ClientError, &r.ServerError, &r.RateLimited, &r.Page, &r.Redirect,
			&r.TokenExpired, &r.AuthenticationFailed,
		},
		{
			&r.IDShape, &r.NoID, &r.AckEarly, &r.AckLost, &r.AckTwice, &r.AckLate, &r.AckOutOfOrder,
			&r.SocketDropped, &r.SocketFrozen,
		},
		{&r.SocketRefused},
		{&r.JoinRefused, &r.JoinIgnored},
	}
}

// kind is a kind of random fault. The kinds of a group are in the order of
// groups.
type kind int

const noFault kind = -1

// Faults of a call.
const (
	delayed kind = iota
	resetBefore
	resetAfter
	truncated
	endless
	slow
	frozen
	contentType
	clientError
	serverError
	rateLimited
	proxyPage
	redirected
	tokenExpired
	authenticationFailed
)

// Faults of a command.
const (
	idShape kind = iota
	noID
	ackEarly
	ackLost
	ackTwice
	ackLate
	ackOutOfOrder
	socketDropped
	socketFrozen
)

// Faults of a join.
const (
	joinRefused kind = iota
	joinIgnored
)

const (
	callGroup = iota
	commandGroup
	handshakeGroup
	joinGroup
)

// check returns what is wrong with the rates.
func (r FaultRates) check() error {
	if r.MaxDelay < 0 {
		return fmt.Errorf("fault rates: a longest delay of %v", r.MaxDelay)
	}
	for _, group := range r.groups() {
		sum := 0.0
		for _, rate := range group {
			if !(*rate >= 0) { // refuses NaN too
				return fmt.Errorf("fault rates: a rate of %v", *rate)
			}
			sum += *rate
		}
		const rounding = 1e-9
		if sum > 1+rounding {
			return fmt.Errorf("fault rates: the rates of a group add up to %v", sum)
		}
	}
	return nil
}

// draw returns a kind of fault of a group, or noFault.
func (r *FaultRates) draw(group int, dice *rand.Rand) kind {
	chance := dice.Float64()
	for i, rate := range r.groups()[group] {
		if chance < *rate {
			return kind(i)
		}
		chance -= *rate
	}
	return noFault
}

// delay returns a time of at most MaxDelay.
func (r *FaultRates) delay(dice *rand.Rand) time.Duration {
	longest := r.MaxDelay
	if longest == 0 {
		longest = 100 * time.Millisecond
	}
	return 1 + time.Duration(dice.Int64N(int64(longest)))
}

// WithRandomFaults makes calls, commands, connections and joins fail at random.
// See [FaultRates] for the kinds. A call that takes a fault from [Server.Next]
// meets no random one.
//
// What a call meets depends on the seed, on its operation, and on how many calls
// of that operation came before it, but not on the calls of other operations.
// The same calls in the same order therefore meet the same faults.
func WithRandomFaults(seed uint64, rates FaultRates) Option {
	return func(c *config) { c.seed, c.rates = seed, rates }
}

// SetFaultRates replaces the rates of random faults. The zero value ends random
// faults. Those that have begun go on: a frozen connection stays frozen. Rates
// that cannot be right fail the test; outside a test they are logged as an error.
func (s *Server) SetFaultRates(rates FaultRates) {
	s.helper()
	if err := rates.check(); err != nil {
		s.complain("%v", err)
		return
	}
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.random.rates = rates
}

// random is the part of the state for random faults.
type random struct {
	seed       uint64
	rates      FaultRates
	handshakes int
}

// dice returns the source of randomness for the nth of something.
func (f *random) dice(what string, n int) *rand.Rand {
	hash := fnv.New64a()
	hash.Write([]byte(what))
	return rand.New(rand.NewPCG(f.seed^hash.Sum64(), uint64(n))) //nolint:gosec // the same seed has to give the same faults
}

// mishap is what a call meets. It is a Fault, and what only random faults do.
type mishap struct {
	Fault
	expires   bool // the token expires before the call is carried out
	elsewhere bool // the answer leads to another origin
	quotes    bool // the answer quotes the request
	body      *bodyFault
	command   kind // of a command, or noFault
}

// mishap returns the random faults of the nth call of an operation.
func (f *random) mishap(op *operation.Operation, n int) mishap {
	m := mishap{command: noFault}
	if f.rates == (FaultRates{}) {
		return m
	}
	dice := f.dice(op.Name, n)
	f.drawCall(&m, op, dice)
	f.drawCommand(&m, dice)
	return m
}

// drawCall draws the fault of a call.
func (f *random) drawCall(m *mishap, op *operation.Operation, dice *rand.Rand) {
	switch k := f.rates.draw(callGroup, dice); k {
	case noFault:
	case delayed:
		m.Delay = f.rates.delay(dice)
	case resetBefore, resetAfter:
		m.Drop, m.AfterEffect = true, k == resetAfter
	case truncated, endless, slow, frozen, contentType:
		m.body = &bodyFault{kind: k, share: dice.Float64(), lasts: f.rates.delay(dice)}
	case tokenExpired:
		m.expires = true
	case authenticationFailed:
		if op == operation.ProfileAuthenticate {
			m.Fault = authenticationFault()
		}
	default:
		m.drawAnswer(k, dice)
	}
}

// drawAnswer draws the answer that replaces the call's own.
func (m *mishap) drawAnswer(k kind, dice *rand.Rand) {
	switch k {
	case clientError:
		m.Fault, m.quotes = clientFault(dice), true
	case serverError:
		m.Fault, m.quotes = serverFault(dice), true
	case rateLimited:
		m.Fault = rateLimitFault(dice)
	case proxyPage:
		m.Fault, m.quotes = pageFault(dice), true
	case redirected:
		m.Fault, m.elsewhere = redirectFault(dice), true
	}
}

// drawCommand draws the fault of the command that a call begins.
func (f *random) drawCommand(m *mishap, dice *rand.Rand) {
	m.command = f.rates.draw(commandGroup, dice)
	switch m.command {
	case idShape:
		m.IDShape = pick(dice, HeaderID, StringID, ArrayID, ObjectID)
	case noID:
		m.NoID = true
	case ackEarly:
		m.Latency = -1
	case ackLost:
		m.Ack.Lose = true
	case ackTwice:
		m.Ack.Twice = true
	case ackLate:
		m.Ack.Delay = f.rates.delay(dice)
	}
}

// handshakeStatus returns the status to refuse a handshake with, or 0.
func (f *random) handshakeStatus() int {
	f.handshakes++
	if f.rates == (FaultRates{}) {
		return 0
	}
	dice := f.dice("handshake", f.handshakes)
	if f.rates.draw(handshakeGroup, dice) == noFault {
		return 0
	}
	return pick(dice, 429, 500, 502, 503)
}

// join returns the fault of the nth join, and the status to refuse it with.
func (f *random) join(n int) (k kind, status int) {
	if f.rates == (FaultRates{}) {
		return noFault, 0
	}
	dice := f.dice("join", n)
	return f.rates.draw(joinGroup, dice), pick(dice, 500, 503)
}

// pick returns one of several values.
func pick[T any](dice *rand.Rand, values ...T) T { return values[dice.IntN(len(values))] }

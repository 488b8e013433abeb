package privicoretest

import (
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/privicore/privicore-go/internal/operation"
)

// state is everything that a server knows. One lock guards it. Operations and
// the effects of commands run under it.
type state struct {
	config config // never changes
	cabKey string // never changes

	mu       sync.Mutex
	profiles map[string]*profile // by username
	first    *profile            // that did not register itself, or nil
	names    map[string]*command // the registration that holds a username
	tokens   map[string]*token
	devices  map[string]*device
	commands map[string]*command
	status   *rate.Limiter // of /request-status; nil if there is no limit

	calls    map[*operation.Operation]int
	faults   map[*operation.Operation][]Fault
	always   map[*operation.Operation][]*Fault
	random   random
	requests requestLog

	proxy proxy
	vault vault
	oauth oauth
	polls map[string]*poll
	voter func(Poll) bool // nil means none

	closed bool
	timers map[*time.Timer]struct{}
	firing sync.WaitGroup // pending timers and running voters
}

func newState(cfg config) (*state, error) {
	switch {
	case cfg.storageDevices < 0:
		return nil, fmt.Errorf("%d storage devices", cfg.storageDevices)
	case !(cfg.speed >= 1): // refuses NaN too
		return nil, fmt.Errorf("a speed of %v", cfg.speed)
	}
	if err := cfg.rates.check(); err != nil {
		return nil, err
	}
	_, cab, err := keyPair()
	if err != nil {
		return nil, err
	}
	s := &state{
		config:   cfg,
		cabKey:   cab,
		profiles: make(map[string]*profile),
		names:    make(map[string]*command),
		tokens:   make(map[string]*token),
		devices:  make(map[string]*device),
		commands: make(map[string]*command),
		calls:    make(map[*operation.Operation]int),
		faults:   make(map[*operation.Operation][]Fault),
		always:   make(map[*operation.Operation][]*Fault),
		random:   random{seed: cfg.seed, rates: cfg.rates},
		requests: requestLog{limit: cfg.requestLog},
		timers:   make(map[*time.Timer]struct{}),
		proxy:    newProxy(),
		vault:    newVault(),
		oauth:    newOAuth(),
		polls:    make(map[string]*poll),
		voter:    cfg.voter,
	}
	if cfg.statusRate > 0 {
		s.status = rate.NewLimiter(rate.Limit(cfg.statusRate), max(cfg.statusBurst, 1))
	}
	for _, who := range cfg.profiles {
		if _, err := s.addProfile(who.username, who.password); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// later runs f under the lock after d, unless the server closes first. The
// caller holds the lock.
func (s *state) later(d time.Duration, f func()) {
	if s.closed {
		return
	}
	s.firing.Add(1)
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		defer s.firing.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.timers, timer)
		if !s.closed {
			f()
		}
	})
	s.timers[timer] = struct{}{}
}

// close stops every timer and waits for those that fire now.
func (s *state) close() {
	s.mu.Lock()
	s.closed = true
	for timer := range s.timers {
		if timer.Stop() {
			s.firing.Done()
		}
	}
	clear(s.timers)
	s.mu.Unlock()
	s.firing.Wait()
}

// newID returns a random UUID.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

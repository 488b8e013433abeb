package storm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// ledger has what the clients were told, to be compared with what the server did.
// It also collects the violations of all invariants.
type ledger struct {
	forget bool // keeps no calls, for a storm without a comparison
	terse  bool // polls bring no message with a success

	mu       sync.Mutex
	calls    map[key]*bounds
	commands map[string]key // by command id, those that a client got
	outcomes map[string][]reported
	polls    map[string]string // status by id
	counts   map[string]int
	broken   map[string][]string // details of violations by invariant
	errors   map[string]int
}

// key identifies a call by its operation and a parameter that no other call has.
type key struct{ operation, value string }

// bounds is how often a call may have been carried out, by what was reported.
type bounds struct{ least, most int }

// reported is the outcome of a command, as a client reported it.
type reported struct {
	outcome  privicoretest.Outcome
	messages []string
	unsaid   bool // nothing was reported but that it succeeded
}

func newLedger() *ledger {
	return &ledger{
		calls:    make(map[key]*bounds),
		commands: make(map[string]key),
		outcomes: make(map[string][]reported),
		polls:    make(map[string]string),
		counts:   make(map[string]int),
		broken:   make(map[string][]string),
		errors:   make(map[string]int),
	}
}

// identifying has the parameter that identifies a call, by operation.
var identifying = map[string]string{
	"Device.RequestIdentifier":       "deviceName",
	"Device.Approve":                 "deviceIdentifier",
	"Device.Reject":                  "deviceIdentifier",
	"Device.Remove":                  "deviceIdentifier",
	"Device.ConfigureMeta":           "name",
	"Storage.Register":               "deviceIdentifier",
	"Storage.Synchronize":            "deviceIdentifier",
	"Storage.Remove":                 "deviceIdentifier",
	"VerifiedAuthenticator.Register": "deviceIdentifier",
	"VerifiedAuthenticator.Remove":   "deviceIdentifier",
	"VerifiedAuthenticator.RegisterVotingConfiguration": "name",
	"VerifiedAuthenticator.SetQuorumSize":               "quorumSize",
	"DataToken.Reserve":                                 "context",
	"DataToken.Exchange":                                "temporaryTokenSpace",
	"DataToken.ConfigureFileMeta":                       "context",
	"DataToken.Upload":                                  "token",
	"DataToken.Request":                                 "token",
	"DataToken.Delete":                                  "token",
	"OAuth.Register":                                    "name",
	"OAuth.TakeConfiguration":                           "applicationId",
	"OAuth.RequestAuthorizationCode":                    "nonce",
	"OAuth.TakeAuthorizationCode":                       "nonce",
	"Policy.Register":                                   "name",
	"Policy.Activate":                                   "policyId",
	"Policy.Deactivate":                                 "policyId",
	"Policy.Delete":                                     "policyId",
	"Voting.Create":                                     "question",
}

// called records a call that was made once. The ambiguous ones may have been
// carried out, the failed ones not, the others were.
func (l *ledger) called(k key, err error, ambiguous bool) {
	switch {
	case err == nil:
		l.made(k, 1, 1)
	case ambiguous:
		l.made(k, 0, 1)
	default:
		l.made(k, 0, 0)
	}
}

// made records that a call was carried out at least and at most that often.
func (l *ledger) made(k key, least, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts["calls"]++
	if l.forget {
		return
	}
	b := l.calls[k]
	if b == nil {
		b = new(bounds)
		l.calls[k] = b
	}
	b.least += least
	b.most += most
}

// accepted records the command that a call began.
func (l *ledger) accepted(id string, k key) {
	if l.forget {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.commands[id] = k
}

// ended records the outcome of a command as it was reported.
func (l *ledger) ended(r *privicore.CommandResult) {
	l.report(r.ID, reported{outcome: privicoretest.Succeeded, messages: r.Messages})
}

// succeeded records that a command has succeeded, of which nothing else was told.
func (l *ledger) succeeded(id string) {
	l.report(id, reported{outcome: privicoretest.Succeeded, unsaid: true})
}

func (l *ledger) rejected(e *privicore.CommandError) {
	l.report(e.ID, reported{outcome: privicoretest.Rejected, messages: e.Messages})
}

func (l *ledger) report(id string, r reported) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts["outcomes"]++
	if !l.forget {
		l.outcomes[id] = append(l.outcomes[id], r)
	}
}

// count counts something for the summary.
func (l *ledger) count(what string) { l.add(what, 1) }

func (l *ledger) add(what string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[what] += n
}

// violated records that an invariant is broken.
func (l *ledger) violated(invariant, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken[invariant] = append(l.broken[invariant], fmt.Sprintf(format, args...))
}

// isBroken reports whether an invariant is broken.
func (l *ledger) isBroken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.broken) > 0
}

// compare compares the ledger with the requests that the server has received.
func (l *ledger) compare(requests []privicoretest.Request) {
	executed := make(map[key]int)
	commands := make(map[string]*privicoretest.Request)
	for i := range requests {
		r := &requests[i]
		if r.CommandID != "" {
			commands[r.CommandID] = r
		}
		if name := identifying[r.Operation]; name != "" && r.Executed {
			executed[key{r.Operation, fmt.Sprint(r.Parameters[name])}]++
		}
	}
	for k, times := range executed {
		b := l.bounds(k)
		if times > b.most {
			l.violated("at most once, and not after an error that is not ambiguous",
				"%s %s: carried out %d times, %d at most", k.operation, k.value, times, b.most)
		}
	}
	for k, b := range l.calls {
		if executed[k] < b.least {
			l.violated("a success is true", "%s %s: carried out %d times, reported %d times", k.operation, k.value, executed[k], b.least)
		}
	}
	for id, k := range l.commands {
		if r := commands[id]; r == nil || r.Operation != k.operation {
			l.violated("a command id is that of the call", "%s %s: command %s", k.operation, k.value, id)
		}
	}
	for id, reports := range l.outcomes {
		for _, r := range reports {
			l.compareOutcome(id, r, commands[id])
		}
	}
}

// bounds returns what the ledger says about a call. A call that it does not know
// was made by a method that makes several, and only once.
func (l *ledger) bounds(k key) bounds {
	if b := l.calls[k]; b != nil {
		return *b
	}
	return bounds{0, 1}
}

func (l *ledger) compareOutcome(id string, r reported, truth *privicoretest.Request) {
	const invariant = "every outcome is true"
	switch {
	case truth == nil:
		l.violated(invariant, "command %s is not known", id)
	case truth.Outcome != r.outcome:
		l.violated(invariant, "%s %s: reported %s %q, is %s %q", truth.Operation, id, r.outcome, r.messages, truth.Outcome, truth.Messages)
	case !l.sameMessages(r, truth.Messages):
		l.violated(invariant, "%s %s: reported %q, is %q", truth.Operation, id, r.messages, truth.Messages)
	}
}

// sameMessages compares messages without the words that only polls have.
func (l *ledger) sameMessages(r reported, truth []string) bool {
	got := slices.DeleteFunc(slices.Clone(r.messages), func(m string) bool { return m == "rejected" || m == "succeeded" })
	return slices.Equal(got, truth) || r.unsaid || l.terse && len(got) == 0
}

// summary returns the counts and the violations as a text. It reports whether
// there are violations.
func (l *ledger) summary() (text string, broken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(l.counts)) {
		fmt.Fprintf(&b, "  %8d %s\n", l.counts[what], what)
	}
	kinds := slices.SortedFunc(maps.Keys(l.errors), func(x, y string) int { return cmp.Compare(l.errors[y], l.errors[x]) })
	for _, kind := range kinds {
		fmt.Fprintf(&b, "  %8d errors: %s\n", l.errors[kind], kind)
	}
	for _, invariant := range slices.Sorted(maps.Keys(l.broken)) {
		details := l.broken[invariant]
		fmt.Fprintf(&b, "BROKEN %d times: %s\n", len(details), invariant)
		const shown = 5
		for _, detail := range details[:min(len(details), shown)] {
			fmt.Fprintf(&b, "    %s\n", detail)
		}
	}
	return b.String(), len(l.broken) > 0
}

package storm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/privicoretest"
)

var soakTime = flag.Duration("storm.soak", 0, "how long the soak lasts; 0 skips it")

// soakEvery is the time between two samples.
const soakEvery = 10 * time.Second

// serveVariable has a process of this test be the server of a soak. Its value is
// the seed.
const serveVariable = "PRIVICORE_STORM_SERVE"

// soakFaults returns the rates of a soak. An endless body takes up to 64 MiB until
// it is given up, which would hide a leak if it was frequent.
func soakFaults() privicoretest.FaultRates {
	rates := faults(0.05)
	rates.Endless /= 20
	return rates
}

func TestMain(m *testing.M) {
	if seed := os.Getenv(serveVariable); seed != "" {
		os.Exit(serve(seed))
	}
	os.Exit(m.Run())
}

// serve runs a server until standard input ends.
func serve(seed string) (code int) {
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return 2
	}
	server, err := privicoretest.Start(append(serverOptions(path{}), privicoretest.WithRandomFaults(n, soakFaults()))...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Close()
	if err := json.NewEncoder(os.Stdout).Encode(addresses{server.URL, server.WebSocketURL}); err != nil {
		return 1
	}
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	return 0
}

// soakServer starts a server in a process of its own, so that the memory of this
// one is that of the clients.
func soakServer(t *testing.T, seed uint64) (a addresses) {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), serveVariable+"="+strconv.FormatUint(seed, 10))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		assert.NoError(t, stdin.Close())
		assert.NoError(t, cmd.Wait())
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(line, &a))
	return a
}

// sample is the state of the process at one time.
type sample struct {
	at         time.Duration
	calls      int
	heap       uint64 // bytes in use after a garbage collection
	resident   uint64 // bytes, or 0 where it cannot be asked
	goroutines int
	sockets    int
}

func take(start time.Time, l *ledger) sample {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	l.mu.Lock()
	calls := l.counts["calls"]
	l.mu.Unlock()
	return sample{time.Since(start).Round(time.Second), calls, m.HeapAlloc, resident(), runtime.NumGoroutine(), sockets()}
}

// resident returns the resident memory of the process, or 0 where it cannot be
// asked.
func resident() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			kib, _ := strconv.ParseUint(strings.Fields(string(rest))[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// TestSoak makes calls for minutes and prints a table of what the clients use.
func TestSoak(t *testing.T) {
	if *soakTime == 0 {
		t.Skip("-storm.soak says how long")
	}
	seed := max(*stormSeed, 1)
	l := newLedger()
	l.forget = true
	r := newRig(t, path{}, soakServer(t, seed), nil, l)
	crews := newCrews(t, r)
	ctx, cancel := context.WithTimeout(t.Context(), *soakTime)
	defer cancel()
	start := time.Now()
	samples := make(chan []sample)
	go func() { samples <- watch(ctx, start, l) }()
	rage(ctx, t, crews, nil, seed)
	all := <-samples
	t.Log("\n" + table(all))
	text, broken := l.summary()
	t.Log("\n" + text)
	assert.False(t, broken, "an invariant is broken")
	assertFlat(t, all)
}

// watch takes samples until ctx ends.
func watch(ctx context.Context, start time.Time, l *ledger) []sample {
	var all []sample
	for pause(ctx, soakEvery); ctx.Err() == nil; pause(ctx, soakEvery) {
		all = append(all, take(start, l))
	}
	return all
}

// table returns samples as a table in Markdown.
func table(samples []sample) string {
	var b strings.Builder
	b.WriteString("| time | calls | heap MiB | resident MiB | goroutines | sockets |\n|---:|---:|---:|---:|---:|---:|\n")
	mib := func(bytes uint64) float64 { return float64(bytes) / (1 << 20) }
	for _, s := range samples {
		fmt.Fprintf(&b, "| %v | %d | %.1f | %.1f | %d | %d |\n", s.at, s.calls, mib(s.heap), mib(s.resident), s.goroutines, s.sockets)
	}
	return b.String()
}

// assertFlat compares the last third of the samples with the second one. The first
// one is left out, because caches and pools fill up in it.
func assertFlat(t *testing.T, samples []sample) {
	t.Helper()
	third := len(samples) / 3
	if third < 3 {
		return
	}
	least := func(of []sample, what func(sample) uint64) uint64 {
		low := what(of[0])
		for _, s := range of {
			low = min(low, what(s))
		}
		return low
	}
	for what, get := range map[string]func(sample) uint64{
		"heap":       func(s sample) uint64 { return s.heap },
		"goroutines": func(s sample) uint64 { return uint64(s.goroutines) },
		"sockets":    func(s sample) uint64 { return uint64(s.sockets) },
	} {
		// What grows has a greater minimum; a call in progress does not matter.
		before, after := least(samples[third:2*third], get), least(samples[2*third:], get)
		assert.LessOrEqual(t, after, before+before/4, "%s grows", what)
	}
}

// Command bench measures what the client costs, beside the same work done by hand and
// by other libraries. All that is compared runs in one process, in alternating rounds,
// against servers in a process of their own where that is possible.
//
//	go run .                    # everything but the largest sizes: a few minutes
//	go run . -quick             # every measurement once, to see that it works
//	go run . -only calls,lists  # some of it
//	go run . -large             # with transfers of a gigabyte and 100,000 waits
//	go run . -large -docs ../docs/performance.md -svg ../docs
//
// It prints one table. With -docs it replaces the table of that page, and with -svg it
// draws how each cost grows with its size.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"
)

// settings are what the flags set.
type settings struct {
	quick bool
	large bool
	only  string
	docs  string
	svg   string
	scale float64
	serve bool
}

// part is one of the measurements that -only names.
type part struct {
	name string
	run  func(ctx context.Context, b *bench) error
}

// Those that measure memory come first: what the others leave on the heap lets it grow
// further before it is collected.
var parts = []part{
	{"transfers", transfers}, {"bulk", bulk}, {"many", many}, {"clones", clones},
	{"calls", calls}, {"lists", lists}, {"waits", waits}, {"polls", polls},
}

func main() {
	var s settings
	flag.BoolVar(&s.quick, "quick", false, "measure everything once, and only small sizes")
	flag.BoolVar(&s.large, "large", false, "measure a gigabyte and 100,000 waits, too")
	flag.StringVar(&s.only, "only", "", "measure only these `parts`, separated by commas: "+names())
	flag.StringVar(&s.docs, "docs", "", "replace the table in this `page`")
	flag.StringVar(&s.svg, "svg", "", "draw the plots into this `directory`")
	flag.Float64Var(&s.scale, "scale", 1, "multiply the number of rounds")
	flag.BoolVar(&s.serve, "serve", false, "be the servers, for another process")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, &s)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func names() string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}

// run measures, prints the table, and writes what the flags ask for.
func run(ctx context.Context, s *settings) error {
	if s.serve {
		return serve(ctx)
	}
	servers, err := startServers(ctx)
	if err != nil {
		return err
	}
	defer servers.stop()
	b := &bench{settings: s, servers: servers}
	only := strings.FieldsFunc(s.only, func(r rune) bool { return r == ',' })
	for _, p := range parts {
		if len(only) > 0 && !slices.Contains(only, p.name) {
			continue
		}
		started := time.Now()
		if err := p.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %.1f s\n", p.name, time.Since(started).Seconds())
	}
	fmt.Print(table(b.rows))
	if s.docs != "" {
		if err := writeTable(s.docs, b.rows); err != nil {
			return err
		}
	}
	if s.svg != "" {
		return draw(s.svg, b.rows)
	}
	return nil
}

// bench is one run of the command.
type bench struct {
	*settings
	servers *servers
	rows    []row
}

// rounds returns how often something is measured that usually is n times.
func (b *bench) rounds(n int) int {
	if b.quick {
		return 1
	}
	return max(1, int(float64(n)*b.scale))
}

// contender is one way to do what is measured.
type contender struct {
	name string
	do   func(ctx context.Context) error
}

// compare measures contenders in alternating rounds. In a round each contender runs
// its do a number of times in goroutines. The first contender is what the others are
// compared with.
func (b *bench) compare(ctx context.Context, m measured, rounds, times, goroutines int, contenders []contender) error {
	samples := make([]sample, len(contenders))
	order := make([]int, len(contenders))
	for i := range order {
		order[i] = i
	}
	for round := -1; round < rounds; round++ { // the first round warms up
		for _, i := range order {
			cost, err := measure(ctx, times, goroutines, contenders[i].do)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", m.what, contenders[i].name, err)
			}
			if round >= 0 {
				samples[i].add(cost)
			}
		}
		slices.Reverse(order)
		order = append(order[1:], order[0])
	}
	for i, c := range contenders {
		b.add(m, c.name, &samples[i], &samples[0], "")
	}
	return nil
}

// add adds a row to the table. s is compared with base.
func (b *bench) add(m measured, who string, s, base *sample, note string) {
	b.rows = append(b.rows, row{
		measured: m, who: who, cost: s.median(), note: note,
		ratio: s.against(base, seconds), cpuRatio: s.against(base, cpuSeconds),
	})
}

// measure runs do a number of times in goroutines and returns what one run costs.
func measure(ctx context.Context, times, goroutines int, do func(context.Context) error) (cost, error) {
	runtime.GC()
	m := startMeter()
	err := inParallel(times, goroutines, func(int) error { return do(ctx) })
	return m.stop().per(times), err
}

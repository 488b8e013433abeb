package main

import (
	"fmt"
	"os"
	"strings"
)

// progress is a bar on a terminal, and a line at the end elsewhere.
type progress struct {
	verb     string
	total    int64
	now      int64
	terminal bool
	shown    int64 // percent
}

func newProgress(verb string, total int64) *progress {
	info, err := os.Stdout.Stat()
	return &progress{verb: verb, total: total, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0, shown: -1}
}

// show is called for every piece of the data, and draws once per percent.
func (p *progress) show(n int64) {
	p.now = n
	percent := int64(100)
	if p.total > 0 {
		percent = min(100*n/p.total, 100) // ciphertext is a little longer
	}
	if !p.terminal || percent == p.shown {
		return
	}
	p.shown = percent
	const width = 40
	full := int(percent) * width / 100
	fmt.Printf("\r%-10s [%s%s] %3d%% of %s", p.verb, strings.Repeat("#", full), strings.Repeat(" ", width-full), percent, size(p.total))
}

func (p *progress) done() {
	if p.terminal {
		fmt.Println()
		return
	}
	fmt.Println(p.verb+":", size(p.now))
}

func size(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

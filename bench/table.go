package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// measured is what several contenders do.
type measured struct {
	what string // such as "list"
	size int64  // how large it is, or 0 if it has only one size
	unit string // of size
	plot string // name of the plot that shows it, or ""
}

func (m measured) String() string {
	switch {
	case m.size == 0:
		return m.what
	case m.unit == "B":
		return m.what + ", " + bytesText(float64(m.size))
	}
	return fmt.Sprintf("%s, %s %s", m.what, thousands(m.size), m.unit)
}

// row is one line of the table.
type row struct {
	measured
	who      string
	cost     cost
	ratio    float64 // of the times of who and of the first contender
	cpuRatio float64
	note     string
}

// table returns the rows as Markdown.
func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| | | time | ratio | CPU | ratio | allocations | allocated | held | |\n|---|---|--:|--:|--:|--:|--:|--:|--:|---|\n")
	last := ""
	for _, r := range rows {
		what := r.String()
		if what == last {
			what = ""
		} else {
			last = what
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", what, r.who, secondsText(r.cost.seconds),
			number(r.ratio, "%.2f"), secondsText(r.cost.cpu), number(r.cpuRatio, "%.2f"), number(r.cost.allocs, "%.0f"), bytesText(r.cost.bytes), bytesText(r.cost.held), r.note)
	}
	return b.String()
}

func number(n float64, format string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}

func secondsText(s float64) string {
	switch {
	case s == 0:
		return ""
	case s < 1e-3:
		return fmt.Sprintf("%.1f µs", s*1e6)
	case s < 1:
		return fmt.Sprintf("%.2f ms", s*1e3)
	}
	return fmt.Sprintf("%.2f s", s)
}

func bytesText(n float64) string {
	switch {
	case n == 0:
		return ""
	case n < 0:
		return "−" + bytesText(-n)
	case n < 1<<10:
		return fmt.Sprintf("%.0f B", n)
	case n < 1<<20:
		return trimmed(n/(1<<10)) + " KiB"
	case n < 1<<30:
		return trimmed(n/(1<<20)) + " MiB"
	}
	return trimmed(n/(1<<30)) + " GiB"
}

func trimmed(n float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", n), ".0") }

func thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

const (
	beginTable = "<!-- bench: begin -->\n"
	endTable   = "<!-- bench: end -->\n"
)

// writeTable replaces what stands between the two markers of a page.
func writeTable(page string, rows []row) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), beginTable)
	_, after, ended := strings.Cut(rest, endTable)
	if !ok || !ended {
		return errors.New(page + " has no markers")
	}
	machine := fmt.Sprintf("Measured on %s: %s, %s/%s, %d cores%s.\n\n", time.Now().Format("2 January 2006"),
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), processor())
	return os.WriteFile(page, []byte(before+beginTable+machine+table(rows)+endTable+after), 0o600)
}

// processor returns the name of the processor after a comma, where Linux tells it.
func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return ", " + strings.TrimSpace(value)
		}
	}
	return ""
}

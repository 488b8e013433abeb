package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/operation"
)

func (v verdict) String() string {
	return [...]string{"confirmed", "differs", "not reachable", "not tried"}[v]
}

// report is the report in Markdown.
type report struct {
	text string
	good bool // everything that was tried is confirmed
}

// page is a report that is being written.
type page struct {
	strings.Builder
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// heading begins a section.
func (p *page) heading(format string, args ...any) { p.line("\n## "+format+"\n", args...) }

// report returns the report of a session that has run.
func (s *session) report() report {
	count := make(map[verdict]int)
	for _, op := range operation.All {
		count[s.finding(op).verdict()]++
	}
	p := new(page)
	s.writeHead(p, count)
	s.writeDialect(p)
	s.writeProblems(p, "Differs", differs)
	s.writeProblems(p, "Not reachable", notReachable)
	s.writeTable(p, "Confirmed", func(f *finding) bool { return f.verdict() == confirmed })
	s.writeInferred(p)
	s.writeChannel(p)
	s.writeProblems(p, "Not tried", notTried)
	writeUnknown(p)
	s.writeRemains(p)
	tried := len(operation.All) - count[notTried]
	good := count[confirmed] == tried && s.socket.verdict() == confirmed && !s.interrupted && !s.unclean
	text := s.secrets.scrub(p.String()) + fmt.Sprintf("\nconfirmed %d of %d\n", count[confirmed], tried)
	return report{text: text, good: good}
}

func (s *session) writeHead(p *page, count map[verdict]int) {
	p.line("# Privicore conformance\n")
	p.line("- Server: %s", s.settings.apiURL)
	if s.settings.wsURL == "" {
		p.line("- WebSocket: PRIVICORE_WS_URL is not set, so acknowledgements were not checked")
	}
	p.line("- Run: `%s` on %s, %s", s.name, s.started.UTC().Format("2006-01-02 15:04 MST"), time.Since(s.started).Round(time.Second))
	p.line("- Mode: -destructive=%t", s.settings.destructive)
	p.line("- Client: privicore-go %s", privicore.Version)
	if s.interrupted {
		p.line("- The run was interrupted.")
	}
	p.line("\nValues are replaced by their types. Sources: S and D are the documentation, L is a recording, I is inferred.\n")
	p.line("| Verdict | Operations |")
	p.line("|---|---|")
	for v := confirmed; v <= notTried; v++ {
		p.line("| %s | %d |", v, count[v])
	}
}

func (s *session) writeDialect(p *page) {
	p.heading("Dialect")
	p.line("The server behaves %s. Of the places where the sources differ it has the documented form at %d, the observed form at %d and another at %d; %d were not seen.\n",
		s.dialect.kind(), s.dialect.count(documented), s.dialect.count(observed), s.dialect.count(another), s.dialect.count(unseen))
	p.line("| Place | Documented | Observed | Seen |")
	p.line("|---|---|---|---|")
	for row := range rows {
		about := dialectRows[row]
		p.line("| %s | %s | %s | %s |", about.place, about.documented, about.observed, s.dialect.describe(row))
	}
}

// describe returns the forms that were seen at a place. If there is more than one,
// it says where the rare ones were seen.
func (d *dialect) describe(row int) string {
	usual := d.of(row)
	forms := []string{"**" + usual.String() + "**"}
	for _, f := range slices.Sorted(maps.Keys(d.seen[row])) {
		if names := d.seen[row][f]; f != usual && len(names) > 0 {
			forms = append(forms, f.String()+": "+strings.Join(names, ", "))
		}
	}
	return strings.Join(forms, "; ")
}

// call returns how the report names the request of an operation.
func call(op *operation.Operation) string {
	if op.OnFileServer() {
		return op.Method + " {URL of an earlier answer}"
	}
	return op.Method + " " + op.Path
}

// writeProblems lists the operations with a verdict other than confirmed.
func (s *session) writeProblems(p *page, title string, v verdict) {
	first := true
	for _, op := range operation.All {
		f := s.finding(op)
		if f.verdict() != v {
			continue
		}
		if first {
			p.heading("%s", title)
			first = false
		}
		switch v {
		case notTried:
			p.line("- `%s`: %s", op.Name, f.untried)
		case notReachable:
			p.line("- `%s` (`%s`, source %s): %s%s", op.Name, call(op), op.Source, f.unreachable, f.answered())
		default:
			s.writeDifference(p, f)
		}
	}
}

// answered returns the answer, for the end of a sentence.
func (f *finding) answered() string {
	if f.answer == "" {
		return ""
	}
	return "; answer: " + f.answer
}

func (s *session) writeDifference(p *page, f *finding) {
	p.line("### %s\n", f.op.Name)
	p.line("`%s`, source %s\n", call(f.op), f.op.Source)
	for _, difference := range f.differences {
		p.line("- %s", difference)
	}
	if f.answer != "" {
		p.line("- Answer: %s", f.answer)
	}
	for _, note := range f.notes {
		p.line("- Note: %s", note)
	}
	p.line("")
}

// writeTable lists operations with what the server answered.
func (s *session) writeTable(p *page, title string, include func(*finding) bool) {
	p.heading("%s", title)
	p.line("| Operation | Source | Answer | Notes |")
	p.line("|---|---|---|---|")
	for _, op := range operation.All {
		if f := s.finding(op); include(f) {
			p.line("| `%s` | %s | %s | %s |", op.Name, op.Source, cell(f.answer), cell(strings.Join(f.notes, "; ")))
		}
	}
}

// cell returns a text that does not end a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// writeInferred tells what the server really answers to inferred operations.
func (s *session) writeInferred(p *page) {
	p.heading("Inferred operations")
	for _, op := range operation.All {
		if !op.Inferred() {
			continue
		}
		f := s.finding(op)
		answer := f.answer
		if answer == "" {
			answer = "no answer"
		}
		p.line("- `%s`, `%s`: %s; %s", op.Name, call(op), f.verdict(), answer)
	}
}

func (s *session) writeChannel(p *page) {
	if s.settings.wsURL == "" {
		return
	}
	p.heading("WebSocket channel")
	p.line("Joining and leaving: %s.\n", s.socket.verdict())
	if s.socket.unreachable != "" {
		p.line("- %s", s.socket.unreachable)
	}
	for _, text := range slices.Concat(s.socket.differences, s.socket.notes) {
		p.line("- %s", text)
	}
}

// writeUnknown lists the operations of which no path is known.
func writeUnknown(p *page) {
	p.heading("No path is known")
	for _, section := range slices.Sorted(maps.Keys(operation.Unreachable)) {
		p.line("- %s: %s", section, strings.Join(operation.Unreachable[section], ", "))
	}
}

func (s *session) writeRemains(p *page) {
	p.heading("Left on the server")
	if len(s.remains) == 0 {
		p.line("Nothing.")
	}
	for _, remains := range s.remains {
		p.line("- %s", remains)
	}
}

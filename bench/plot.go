package main

import (
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// chart is one plot: how a field of the cost grows with the size.
type chart struct {
	of    string // measured.plot
	file  string
	title string
	x, y  string
	value func(cost) float64
	who   []string // whose lines are drawn; nil means everybody's
}

var charts = []chart{
	{"lists", "list-time.svg", "A list", "entries", "µs", micros, []string{hand, ours, "resty v2", "resty v3"}},
	{"lists", "list-allocations.svg", "A list", "entries", "allocations", func(c cost) float64 { return c.allocs }, []string{hand, ours, "resty v2", "resty v3"}},
	{"calls", "post-time.svg", "A small post", "goroutines", "µs", micros, []string{hand, ours, "resty v2", "resty v3"}},
	{"waits", "wait-time.svg", "Outcomes over the channel, for each", "waits", "µs", micros, nil},
	{"waits", "wait-memory.svg", "Outcomes over the channel, all waits", "waits", "MiB", func(c cost) float64 { return c.held / megabyte }, nil},
	{"polls", "poll-time.svg", "Waits for commands that have ended, for each", "waits", "µs", micros, nil},
	{"store", "store-time.svg", "Store", "bytes", "ms", millis, nil},
	{"retrieve", "retrieve-time.svg", "Retrieve", "bytes", "ms", millis, nil},
	{"store", "store-memory.svg", "Store, memory above idle", "bytes", "MiB", func(c cost) float64 { return c.held / megabyte }, nil},
	{"clones", "clone-memory.svg", "Connected clones, for each", "clones", "KiB", func(c cost) float64 { return c.held / kilobyte }, nil},
}

func micros(c cost) float64 { return c.seconds * 1e6 }
func millis(c cost) float64 { return c.seconds * 1e3 }

// draw writes the plots of all that was measured at more than one size.
func draw(dir string, rows []row) error {
	for _, c := range charts {
		lines := c.lines(rows)
		if len(lines) == 0 {
			continue
		}
		p := plot.New()
		p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.title, c.x, c.y
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
		p.Legend.Top, p.Legend.Left = true, true
		p.Add(plotter.NewGrid())
		if err := plotutil.AddLinePoints(p, lines...); err != nil {
			return err
		}
		if err := p.Save(6*vg.Inch, 4*vg.Inch, filepath.Join(dir, c.file)); err != nil {
			return err
		}
	}
	return nil
}

// lines returns the names and the points of the lines, as plotutil takes them.
func (c *chart) lines(rows []row) []any {
	points := make(map[string]plotter.XYs)
	var names []string
	for _, r := range rows {
		if r.plot != c.of || c.who != nil && !slices.Contains(c.who, r.who) || c.value(r.cost) <= 0 {
			continue
		}
		name := r.who
		if c.who == nil || c.of == "calls" {
			name = r.what + ": " + r.who
		}
		if points[name] == nil {
			names = append(names, name)
		}
		points[name] = append(points[name], plotter.XY{X: float64(r.size), Y: c.value(r.cost)})
	}
	var lines []any
	for _, name := range names {
		if len(points[name]) > 1 {
			lines = append(lines, name, points[name])
		}
	}
	return lines
}

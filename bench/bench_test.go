package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func list(size int64, who string, seconds float64) row {
	return row{measured: measured{what: "list", size: size, unit: "entries", plot: "lists"}, who: who, ratio: 1.25, cost: cost{seconds: seconds, allocs: 1234}}
}

func TestTable(t *testing.T) {
	t.Parallel()
	rows := []row{list(10, hand, 1e-5), list(10, ours, 2e-3), {measured: measured{what: "store", size: 48 << 10, unit: "B"}, who: ours, cost: cost{seconds: 1.5, held: 3 << 19}}}
	assert.Equal(t, `| | | time | ratio | CPU | ratio | allocations | allocated | held | |
|---|---|--:|--:|--:|--:|--:|--:|--:|---|
| list, 10 entries | by hand | 10.0 µs | 1.25 |  |  | 1234 |  |  |  |
|  | privicore-go | 2.00 ms | 1.25 |  |  | 1234 |  |  |  |
| store, 48 KiB | privicore-go | 1.50 s |  |  |  |  |  | 1.5 MiB |  |
`, table(rows))
}

func TestTableOfAPageIsReplaced(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "page.md")
	rows := []row{list(1000, hand, 1)}
	require.NoError(t, os.WriteFile(page, []byte("# Page\n"), 0o600))
	require.ErrorContains(t, writeTable(page, rows), "no markers")

	require.NoError(t, os.WriteFile(page, []byte("before\n"+beginTable+"old\n"+endTable+"after\n"), 0o600))
	for range 2 {
		require.NoError(t, writeTable(page, rows))
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		assert.Regexp(t, `(?s)^before\n<!-- bench: begin -->\nMeasured on .*list, 1,000 entries \| by hand.*<!-- bench: end -->\nafter\n$`, string(text))
		assert.NotContains(t, string(text), "old")
	}
}

func TestMedians(t *testing.T) {
	t.Parallel()
	assert.InDelta(t, 2, median([]float64{3, 1, 2}), 0)
	assert.InDelta(t, 2.5, median([]float64{4, 1, 2, 3}), 0)
	assert.Zero(t, median(nil))
	// The ratio is that of rounds, not that of the medians.
	s, base := sample{{seconds: 1}, {seconds: 20}, {seconds: 3}}, sample{{seconds: 1}, {seconds: 10}, {seconds: 1}}
	assert.InDelta(t, 2, s.against(&base, seconds), 0)
	assert.Zero(t, s.against(nil, seconds))
	assert.InDelta(t, 3, s.median().seconds, 0)
}

func TestEveryRoundRunsEveryContender(t *testing.T) {
	t.Parallel()
	b := &bench{settings: &settings{scale: 1}}
	ran := map[string]int{}
	count := func(name string) contender {
		return contender{name, func(context.Context) error { ran[name]++; return nil }}
	}
	require.NoError(t, b.compare(t.Context(), measured{what: "nothing"}, 5, 2, 1, []contender{count("a"), count("b"), count("c")}))
	assert.Equal(t, map[string]int{"a": 12, "b": 12, "c": 12}, ran, "five rounds and one to warm up")
	require.Len(t, b.rows, 3)
	assert.Equal(t, "a", b.rows[0].who)

	broken := errors.New("broken")
	fails := contender{"a", func(context.Context) error { return broken }}
	require.ErrorIs(t, b.compare(t.Context(), measured{}, 1, 1, 4, []contender{fails}), broken)
}

func TestPlots(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rows := []row{list(10, hand, 1e-5), list(100, hand, 1e-4), list(10, ours, 1e-5), list(100, ours, 1e-4), list(10, "resty v2", 1)}
	require.NoError(t, draw(dir, rows))
	text, err := os.ReadFile(filepath.Join(dir, "list-time.svg"))
	require.NoError(t, err)
	assert.Contains(t, string(text), hand)
	assert.Contains(t, string(text), ours)
	assert.NotContains(t, string(text), "resty", "one point is no line")
	assert.NoFileExists(t, filepath.Join(dir, "post-time.svg"))
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	from, to := newBlocks(3<<20+5), newBlocks(3<<20+5)
	buf := make([]byte, 70_001)
	for from.left > 0 {
		n, err := from.Read(buf)
		require.NoError(t, err)
		_, err = to.Write(buf[:n])
		require.NoError(t, err)
	}
	assert.Zero(t, to.left)
	_, err := newBlocks(10).Write([]byte{1, 2, 3})
	assert.Error(t, err)
}

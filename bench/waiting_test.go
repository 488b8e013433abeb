// Package bench measures what waiting for commands costs. It is a module of its
// own, so that what only benchmarks need stays out of the client's go.mod.
package bench

import (
	"context"
	"crypto/rand"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/privicore/privicore-go"
)

// BenchmarkDispatch measures how fast outcomes reach goroutines that wait for
// them: 10,000 commands on one client and one connection, against the barest
// dispatcher that one could write by hand, which gets the same messages from
// the same server in the same run.
func BenchmarkDispatch(b *testing.B) {
	const n = 10_000
	h := newHarness(b)
	peer := joinBare(b, h)
	var oursTook, bareTook []time.Duration
	for b.Loop() {
		b.StopTimer()
		if len(oursTook)%2 == 0 { // neither always has the heap that the other left
			oursTook = append(oursTook, h.timeOurs(n))
			bareTook = append(bareTook, h.timeBare(peer, n))
		} else {
			bareTook = append(bareTook, h.timeBare(peer, n))
			oursTook = append(oursTook, h.timeOurs(n))
		}
		b.StartTimer()
	}
	h.check(2)
	ours, bare := median(oursTook), median(bareTook)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(n/ours.Seconds(), "outcomes/s")
	b.ReportMetric(n/bare.Seconds(), "bare-outcomes/s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "ratio")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func (h *harness) timeOurs(n int) time.Duration {
	cmds := h.commands(n)
	data := frames(idsOf(cmds), succeeded)
	done := h.waitEach(cmds)
	runtime.GC()
	start := time.Now()
	h.server.PushUnframed(ours, data)
	done.Wait()
	return time.Since(start)
}

// waitEach waits for each command in a goroutine of its own, and returns when
// all of them wait.
func (h *harness) waitEach(cmds []*privicore.Command) *sync.WaitGroup {
	var waiting, done sync.WaitGroup
	waiting.Add(len(cmds))
	for _, cmd := range cmds {
		done.Go(func() {
			for result, err := range cmd.Watch(context.Background()) {
				if err != nil {
					h.b.Error(err)
				} else if result.Status == privicore.CommandPending {
					waiting.Done()
				}
			}
		})
	}
	h.server.PushUnframed(ours, frames(idsOf(cmds), pending))
	waiting.Wait()
	return &done
}

func (h *harness) timeBare(d *dispatcher, n int) time.Duration {
	ids := make([]string, n)
	var waiting, done sync.WaitGroup
	waiting.Add(n)
	for i := range ids {
		ids[i] = rand.Text()[:12] + "-" + rand.Text()[:23] // as long as a UUID
		done.Go(func() {
			ch := d.watch(ids[i])
			waiting.Done()
			if status := <-ch; status != succeeded {
				h.b.Error(status)
			}
		})
	}
	waiting.Wait()
	data := frames(ids, succeeded)
	runtime.GC()
	start := time.Now()
	h.server.PushUnframed(bare, data)
	done.Wait()
	return time.Since(start)
}

// BenchmarkMemory measures what 100,000 commands that are waited for hold in
// memory, each in a goroutine of its own and all in one WaitAll, and that they
// end.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	for _, how := range []struct {
		name string
		wait func(h *harness, cmds []*privicore.Command) *sync.WaitGroup
	}{
		{"goroutines", (*harness).waitEach},
		{"WaitAll", (*harness).waitAll},
	} {
		b.Run(how.name, func(b *testing.B) {
			h := newHarness(b)
			var held float64
			var took time.Duration
			rounds := 0
			for b.Loop() {
				b.StopTimer()
				cmds := h.commands(n)
				data := frames(idsOf(cmds), succeeded)
				before := memory()
				done := how.wait(h, cmds)
				held += float64(memory()) - float64(before)
				start := time.Now()
				h.server.PushUnframed(ours, data)
				done.Wait()
				took += time.Since(start)
				rounds++
				b.StartTimer()
			}
			h.check(1)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(held/float64(rounds)/n, "B/wait")
			b.ReportMetric(float64(n*rounds)/took.Seconds(), "outcomes/s")
		})
	}
}

// waitAll waits for all commands in one goroutine, and returns when it does.
func (h *harness) waitAll(cmds []*privicore.Command) *sync.WaitGroup {
	before := runtime.NumGoroutine()
	var done sync.WaitGroup
	done.Go(func() {
		if _, err := privicore.WaitAll(context.Background(), cmds...); err != nil {
			h.b.Error(err)
		}
	})
	// WaitAll starts its goroutines when it has subscribed to all commands.
	for runtime.NumGoroutine() < before+2 {
		runtime.Gosched()
	}
	return &done
}

// memory is what the heap and the stacks hold.
func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

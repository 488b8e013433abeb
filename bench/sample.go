package main

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// cost is what one run of something takes. A field that is not measured is zero.
type cost struct {
	seconds float64
	cpu     float64 // seconds of this process, in all of its threads
	allocs  float64
	bytes   float64 // allocated
	held    float64 // bytes, at the peak or while it waits
}

// per returns the cost of one of n things that were done together.
func (c cost) per(n int) cost {
	return cost{
		seconds: c.seconds / float64(n), cpu: c.cpu / float64(n),
		allocs: c.allocs / float64(n), bytes: c.bytes / float64(n), held: c.held,
	}
}

// sample is the costs of all rounds.
type sample []cost

func (s *sample) add(c cost) { *s = append(*s, c) }

// median returns the median of each field.
func (s *sample) median() cost {
	of := func(field func(cost) float64) float64 {
		values := make([]float64, len(*s))
		for i, c := range *s {
			values[i] = field(c)
		}
		return median(values)
	}
	return cost{
		seconds: of(seconds),
		cpu:     of(cpuSeconds),
		allocs:  of(func(c cost) float64 { return c.allocs }),
		bytes:   of(func(c cost) float64 { return c.bytes }),
		held:    of(func(c cost) float64 { return c.held }),
	}
}

func seconds(c cost) float64    { return c.seconds }
func cpuSeconds(c cost) float64 { return c.cpu }

// against returns the median of the ratios of a field in s and in base, round by
// round: what slows the machine down for a while slows both.
func (s *sample) against(base *sample, field func(cost) float64) float64 {
	var ratios []float64
	if base == nil {
		return 0
	}
	for i := range min(len(*s), len(*base)) {
		if b := field((*base)[i]); b > 0 {
			ratios = append(ratios, field((*s)[i])/b)
		}
	}
	return median(ratios)
}

// meter measures what happens from its start to its stop.
type meter struct {
	memory runtime.MemStats
	cpu    float64
	start  time.Time
}

func startMeter() *meter {
	m := new(meter)
	runtime.ReadMemStats(&m.memory)
	m.cpu, m.start = cpuTime(), time.Now()
	return m
}

// stop returns what has happened since the start.
func (m *meter) stop() cost {
	c := cost{seconds: time.Since(m.start).Seconds(), cpu: cpuTime() - m.cpu}
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	c.allocs = float64(after.Mallocs - m.memory.Mallocs)
	c.bytes = float64(after.TotalAlloc - m.memory.TotalAlloc)
	return c
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// inParallel calls do for 0 to n-1 in goroutines, and returns the first error.
func inParallel(n, goroutines int, do func(i int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var running sync.WaitGroup
	for range min(n, goroutines) {
		running.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && failed.Load() == nil; i = next.Add(1) - 1 {
				if err := do(int(i)); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	running.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// memory returns what the heap and the stacks hold.
func memory() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

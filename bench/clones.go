package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/privicore/privicore-go"
)

// clones measures clients of as many profiles in one process, each with a channel that
// is joined. What is held is the heap and the stacks of one clone.
func clones(ctx context.Context, b *bench) error {
	sizes := []int{1, 100, profiles}
	if b.quick {
		sizes = []int{10}
	}
	for _, n := range sizes {
		var s sample
		note := ""
		for round := -1; round < b.rounds(3); round++ {
			c, goroutines, err := connectClones(ctx, b, n)
			if err != nil {
				return err
			}
			if round >= 0 {
				s.add(c)
				note = fmt.Sprintf("%.1f goroutines", goroutines)
			}
		}
		b.add(measured{what: "connected clones, for each", size: int64(n), unit: "clones", plot: "clones"}, ours, &s, nil, note)
	}
	return nil
}

// connectClones returns what one of n clones costs, and how many goroutines it has.
func connectClones(ctx context.Context, b *bench, n int) (c cost, goroutines float64, err error) {
	parent, err := privicore.NewClient(privicore.WithBaseURL(b.servers.sandbox), privicore.WithWebSocketURL(b.servers.proxy))
	if err != nil {
		return cost{}, 0, err
	}
	defer parent.Close()
	all := make([]*privicore.Client, n)
	held, running := memory(), runtime.NumGoroutine()
	c, err = measure(ctx, 1, 1, func(ctx context.Context) error {
		return inParallel(n, 16, func(i int) (err error) {
			if all[i], err = parent.Clone(privicore.WithCredentials(username(i), password)); err != nil {
				return err
			}
			return all[i].Connect(ctx)
		})
	})
	defer func() {
		for _, clone := range all {
			if clone != nil {
				_ = clone.Close()
			}
		}
	}()
	if err != nil {
		return cost{}, 0, err
	}
	// The connections for the calls are idle now and shared by all clones. They are
	// no part of a clone.
	if err := parent.Close(); err != nil {
		return cost{}, 0, err
	}
	time.Sleep(100 * time.Millisecond)
	c = c.per(n)
	c.held = (memory() - held) / float64(n)
	return c, float64(runtime.NumGoroutine()-running) / float64(n), nil
}

package wait

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// workers is how many goroutines All has for tasks whose answers are pushed.
	workers = 32
	// lookEvery is how often All looks for tasks whose answers are pushed no
	// longer.
	lookEvery = time.Second
)

// All runs n tasks and returns when all have ended. Tasks whose answers are
// pushed share a few goroutines, because it does not matter who takes an answer
// first. Each of the others has one of its own, because it has to ask; so has a
// task whose answer is pushed no longer before its turn has come. All calls
// pushed from one goroutine only.
func All(n int, pushed func(i int) bool, run func(i int)) {
	var pool, own sync.WaitGroup
	var shared []int
	for i := range n {
		if pushed(i) {
			shared = append(shared, i)
		} else {
			own.Go(func() { run(i) })
		}
	}
	begun := make([]atomic.Bool, n)
	once := func(i int) {
		if begun[i].CompareAndSwap(false, true) {
			run(i)
		}
	}
	var next atomic.Int64
	for range min(workers, len(shared)) {
		pool.Go(func() {
			for i := next.Add(1); i <= int64(len(shared)); i = next.Add(1) {
				once(shared[i-1])
			}
		})
	}
	if len(shared) > workers {
		each(lookEvery, &pool, func() {
			for _, i := range shared {
				if !begun[i].Load() && !pushed(i) {
					own.Go(func() { once(i) })
				}
			}
		})
	}
	pool.Wait()
	own.Wait()
}

// each calls f at an interval until running has ended.
func each(interval time.Duration, running *sync.WaitGroup, f func()) {
	ended := make(chan struct{})
	go func() {
		running.Wait()
		close(ended)
	}()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f()
		case <-ended:
			return
		}
	}
}

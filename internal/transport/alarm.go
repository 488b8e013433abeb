package transport

import (
	"sync"
	"sync/atomic"
	"time"
)

// alarm is a timer that rings for one watchdog after the other. It is not stopped in
// between: a timer that rings for nobody once in a while costs less than one that is
// made and stopped for each call.
type alarm struct {
	timer    *time.Timer
	armed    atomic.Bool // the timer is running
	watchdog atomic.Pointer[watchdog]
}

// set makes the alarm ring after d, unless it is going to ring anyway. The watchdog
// then finds that its deadline has not passed, and sets the alarm again.
func (a *alarm) set(d time.Duration) {
	if a.armed.CompareAndSwap(false, true) {
		a.timer.Reset(d)
	}
}

// ring is called by the timer.
func (a *alarm) ring() {
	a.armed.Store(false)
	if w := a.watchdog.Load(); w != nil {
		w.bite()
	}
}

// alarms keeps the alarms that are not in use.
type alarms struct {
	// reuse reports whether alarms are used again. A timer that was made in a bubble of
	// testing/synctest cannot be used outside of it. The idle connections of net/http
	// cannot either, so reusing alarms takes nothing away where net/http sends.
	reuse bool
	pool  sync.Pool
}

// take returns an alarm for w, which is not running.
func (p *alarms) take(w *watchdog) *alarm {
	a, ok := p.pool.Get().(*alarm)
	if !ok {
		a = new(alarm)
		a.timer = time.AfterFunc(w.limit, a.ring)
		a.armed.Store(true)
	}
	a.watchdog.Store(w)
	return a
}

// put takes an alarm back.
func (p *alarms) put(a *alarm) {
	a.watchdog.Store(nil)
	if p.reuse {
		p.pool.Put(a)
		return
	}
	a.timer.Stop()
}

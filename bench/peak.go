package main

import (
	"errors"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// weigh measures one run of do, with the peak of this process' memory over what it is
// before. The peak is the kernel's, of Linux, and zero elsewhere.
func weigh(do func() error) (cost, error) {
	idle := resetPeak()
	m := startMeter()
	err := do()
	c := m.stop()
	if idle > 0 {
		if peak, err := status("VmHWM"); err == nil {
			c.held = max(0, peak-idle)
		}
	}
	return c, err
}

// resetPeak begins a new peak and returns what the process has now, or 0 if the
// kernel does not tell.
func resetPeak() float64 {
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600); err != nil {
		return 0
	}
	now, err := status("VmRSS")
	if err != nil {
		return 0
	}
	return now
}

// status returns an amount of memory of this process.
func status(name string) (float64, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kilobytes, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kilobytes * kilobyte, err
		}
	}
	return 0, errors.New("no " + name)
}

// cpuTime returns the seconds that this process has run, in all of its threads.
func cpuTime() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

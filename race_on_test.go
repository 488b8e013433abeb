//go:build race

package privicore_test

// underRace reports whether the race detector is on. Payloads of 64 MiB take it long,
// and tests of limits and of memory have nothing for it to find.
const underRace = true

//go:build !race

package privicore_test

const underRace = false

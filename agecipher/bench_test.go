//go:build unix

package agecipher_test

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/agecipher"
)

// BenchmarkGigabyte encrypts and decrypts a gigabyte with age and with an envelope,
// in turns. It reports the throughput of each by the time that the
// processor took, because the machine may be busy with something else. envelope/age
// is how the two relate, and peak-MiB is the most that the heap held.
func BenchmarkGigabyte(b *testing.B) {
	id, err := age.GenerateX25519Identity()
	require.NoError(b, err)
	var peak uint64
	run := func(c privicore.Cipher) time.Duration {
		start := cpuTime(b)
		stream(b, c, 1<<30, func() {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
		})
		return cpuTime(b) - start
	}
	plain, envelope := agecipher.New(id), agecipher.NewEnvelope(keyring(b, "1"))
	var byAge, byEnvelope time.Duration
	for b.Loop() {
		byAge += run(plain)
		byEnvelope += run(envelope)
	}
	throughput := func(took time.Duration) float64 { return 1024 * float64(b.N) / took.Seconds() }
	b.ReportMetric(throughput(byAge), "age-MiB/cpu-s")
	b.ReportMetric(throughput(byEnvelope), "envelope-MiB/cpu-s")
	b.ReportMetric(byAge.Seconds()/byEnvelope.Seconds(), "envelope/age")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
}

// cpuTime returns how long the processor has worked for this process.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

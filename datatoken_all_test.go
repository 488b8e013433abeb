package privicore_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

var (
	bulkPayloads = flag.Int("bulk.payloads", 200, "payloads that TestStoreAllUnderFaults stores; 10000 take a minute")
	bulkSeed     = flag.Uint64("bulk.seed", 1, "seed of its faults")
)

// lot makes payloads and counts those that are in progress: that were read from the
// sequence and whose result the loop does not have yet.
type lot struct {
	cipher         privicore.Cipher
	running, peak  int
	open, openPeak atomic.Int64 // readers that were not closed
	read           int
}

// openReader is a reader that must be closed once.
type openReader struct {
	io.Reader
	t    *testing.T
	lot  *lot
	once atomic.Bool
}

func (r *openReader) Close() error {
	assert.True(r.t, r.once.CompareAndSwap(false, true), "it is closed twice")
	r.lot.open.Add(-1)
	return nil
}

// text is the plaintext of a payload.
func (l *lot) text(i int) string { return fmt.Sprint("plaintext ", i) }

// payloads yields the payloads with these numbers.
func (l *lot) payloads(t *testing.T, numbers iter.Seq[int]) iter.Seq[privicore.Payload] {
	return func(yield func(privicore.Payload) bool) {
		for i := range numbers {
			l.read++
			l.running++
			l.peak = max(l.peak, l.running)
			l.openPeak.Store(max(l.openPeak.Load(), l.open.Add(1)))
			data := &openReader{Reader: strings.NewReader(l.text(i)), t: t, lot: l}
			if !yield(privicore.Payload{Data: data, Cipher: l.cipher, Context: "bulk", Name: fmt.Sprint("p-", i)}) {
				return
			}
		}
	}
}

// count yields the numbers from 0 to n.
func count(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func newLot(t *testing.T) *lot {
	t.Helper()
	return &lot{cipher: newAESGCM(t, make([]byte, 32))}
}

// storeLot stores n payloads, which must work, and returns their tokens in order.
func storeLot(t *testing.T, c *privicore.Client, n int) []string {
	t.Helper()
	tokens := make([]string, n)
	for stored, err := range c.DataToken.StoreAll(t.Context(), newLot(t).payloads(t, count(n)), privicore.BulkOptions{}) {
		require.NoError(t, err)
		tokens[stored.Index] = stored.Token
	}
	return tokens
}

// tokensByName lists what the server has.
func tokensByName(t *testing.T, c *privicore.Client) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	for token, err := range c.DataToken.All(t.Context(), privicore.DataTokenFilter{}) {
		require.NoError(t, err)
		found[token.FileName] = append(found[token.FileName], token.Token)
	}
	return found
}

// With faults everywhere, each payload has one result. What is repeatable is given in
// again until it is stored, and in the end no payload is stored twice. The only ones
// that are not accounted for are those whose error said so.
func TestStoreAllUnderFaults(t *testing.T) {
	t.Parallel()
	const concurrency = 24
	n := *bulkPayloads
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		single, err := c.Clone(privicore.WithMaxRetries(0))
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, single.Close()) })
		l := newLot(t)
		stored, unsure := make(map[int]string), make(map[int]error)
		left := slices.Collect(count(n))
		rounds, failures := 0, 0
		for ; len(left) > 0; rounds++ {
			require.Less(t, rounds, 30)
			given := left
			left = nil
			seen := make([]bool, len(given))
			var last privicore.BulkProgress
			opts := privicore.BulkOptions{Concurrency: concurrency, Progress: func(p privicore.BulkProgress) {
				assert.LessOrEqual(t, p.Running, concurrency)
				assert.GreaterOrEqual(t, p.Bytes, last.Bytes)
				last = p
			}}
			for result, err := range single.DataToken.StoreAll(t.Context(), l.payloads(t, slices.Values(given)), opts) {
				l.running--
				require.False(t, seen[result.Index], "two results")
				seen[result.Index] = true
				i := given[result.Index]
				require.Equal(t, fmt.Sprint("p-", i), result.Payload.Name)
				switch {
				case err == nil:
					stored[i] = result.Token
				case privicore.Repeatable(err):
					left = append(left, i)
					failures++
				default:
					requireStep(t, privicore.StepCommit, err)
					require.ErrorIs(t, err, privicore.ErrAmbiguous)
					unsure[i] = err
				}
			}
			assert.NotContains(t, seen, false, "a payload has no result")
			assert.Equal(t, len(given), last.Succeeded+last.Failed)
			assert.Zero(t, last.Running)
		}
		s.SetFaultRates(privicoretest.FaultRates{})
		s.DropConnections()
		assert.Equal(t, n, len(stored)+len(unsure))
		assert.Greater(t, failures, n/20, "there were faults")
		assert.NotEmpty(t, unsure)
		assert.Equal(t, concurrency, l.peak)
		assert.LessOrEqual(t, l.openPeak.Load(), int64(concurrency))
		assert.Zero(t, l.open.Load(), "readers are left open")

		found := tokensByName(t, c)
		made := 0
		for i := range n {
			tokens := found[fmt.Sprint("p-", i)]
			if token, ok := stored[i]; ok {
				assert.Equal(t, []string{token}, tokens)
				continue
			}
			assert.LessOrEqual(t, len(tokens), 1, "%d is stored twice, although %v", i, unsure[i])
			made += len(tokens)
		}
		t.Logf("%d payloads in %d rounds: %d stored, %d failures to repeat, %d ambiguous of which %d were stored",
			n, rounds, len(stored), failures, len(unsure), made)
	}, privicoretest.WithRandomFaults(*bulkSeed, privicoretest.UniformFaults(0.05)), privicoretest.WithStatusLimit(0, 0))
}

// The same items come back from RetrieveAll, and are gone after DeleteAll.
func TestRetrieveAllAndDeleteAll(t *testing.T) {
	t.Parallel()
	const n, concurrency = 60, 5
	inBothDialects(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		l := newLot(t)
		tokens := storeLot(t, c, n)
		gone := "dtk-not-there"
		asked := slices.Insert(slices.Clone(tokens), 7, gone)
		running, peak := 0, 0
		items := func(yield func(privicore.RetrieveRequest) bool) {
			for _, token := range asked {
				running++
				peak = max(peak, running)
				if !yield(privicore.RetrieveRequest{Token: token, To: new(bytes.Buffer), Retrieval: privicore.Retrieval{Cipher: l.cipher}}) {
					return
				}
			}
		}
		var last privicore.BulkProgress
		opts := privicore.BulkOptions{Concurrency: concurrency, Progress: func(p privicore.BulkProgress) { last = p }}
		seen, size := make([]bool, n+1), int64(0)
		for got, err := range c.DataToken.RetrieveAll(t.Context(), items, opts) {
			running--
			require.False(t, seen[got.Index])
			seen[got.Index] = true
			require.Equal(t, asked[got.Index], got.Request.Token)
			if got.Request.Token == gone {
				requireStep(t, privicore.StepRequest, err)
				require.ErrorIs(t, err, privicore.ErrNotFound)
				assert.True(t, privicore.Repeatable(err))
				continue
			}
			require.NoError(t, err)
			text := l.text(slices.Index(tokens, got.Request.Token))
			assert.Equal(t, text, got.Request.To.(*bytes.Buffer).String())
			assert.Equal(t, int64(len(text)), got.Size)
			size += got.Size + 12 + 16
		}
		assert.NotContains(t, seen, false)
		assert.Equal(t, concurrency, peak)
		assert.Equal(t, privicore.BulkProgress{Succeeded: n, Failed: 1, Bytes: size}, last)

		deleted := make([]bool, n+1)
		for result, err := range c.DataToken.DeleteAll(t.Context(), slices.Values(asked), privicore.BulkOptions{}) {
			require.Equal(t, asked[result.Index], result.Token)
			require.False(t, deleted[result.Index])
			deleted[result.Index] = true
			assert.Equal(t, result.Token == gone, err != nil, "%v", err)
		}
		assert.NotContains(t, deleted, false)
		assert.Empty(t, tokensByName(t, c))
		assert.Equal(t, n+1, s.Calls("DataToken.Delete"))
	})
}

// A writer that fails is an error of its own item only, also if it fails when it is
// closed.
func TestRetrieveAllWriters(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, _ *privicoretest.Server) {
		tokens := storeLot(t, c, 4)
		full := errors.New("no space is left")
		var closed atomic.Int32
		closing := func(err error) func() error { return func() error { closed.Add(1); return err } }
		writers := []io.Writer{
			writeCloserFuncs{new(bytes.Buffer).Write, closing(nil)},
			writeCloserFuncs{func([]byte) (int, error) { return 0, full }, closing(nil)},
			writeCloserFuncs{new(bytes.Buffer).Write, closing(full)},
			nil,
		}
		items := func(yield func(privicore.RetrieveRequest) bool) {
			for i, token := range tokens {
				if !yield(privicore.RetrieveRequest{Token: token, To: writers[i], Retrieval: privicore.Retrieval{Cipher: newLot(t).cipher}}) {
					return
				}
			}
		}
		results := 0
		for got, err := range c.DataToken.RetrieveAll(t.Context(), items, privicore.BulkOptions{}) {
			results++
			switch got.Index {
			case 0:
				require.NoError(t, err)
			case 3:
				require.ErrorIs(t, err, privicore.ErrValidation)
			default:
				requireStep(t, privicore.StepWrite, err)
				require.ErrorIs(t, err, full)
				assert.True(t, privicore.Repeatable(err))
			}
		}
		assert.Equal(t, 4, results)
		assert.Equal(t, int32(3), closed.Load())
	})
}

type writeCloserFuncs struct {
	write func([]byte) (int, error)
	close func() error
}

func (w writeCloserFuncs) Write(p []byte) (int, error) { return w.write(p) }
func (w writeCloserFuncs) Close() error                { return w.close() }

// When ctx ends, every payload still has its one result, and those that were not begun
// are not sent.
func TestStoreAllCancelled(t *testing.T) {
	t.Parallel()
	const n, concurrency = 200, 4
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		ctx, cancel := context.WithCancel(t.Context())
		l := newLot(t)
		seen, stored := make([]bool, n), 0
		reserved := 0
		for result, err := range c.DataToken.StoreAll(ctx, l.payloads(t, count(n)), privicore.BulkOptions{Concurrency: concurrency}) {
			require.False(t, seen[result.Index])
			seen[result.Index] = true
			if err == nil {
				stored++
			} else {
				require.ErrorIs(t, err, context.Canceled)
			}
			if stored == 10 && reserved == 0 {
				cancel()
				synctest.Wait()
				reserved = s.Calls("DataToken.Reserve")
			}
		}
		cancel()
		assert.NotContains(t, seen, false)
		assert.Equal(t, reserved, s.Calls("DataToken.Reserve"), "nothing begins after ctx has ended")
		assert.LessOrEqual(t, reserved, 10+concurrency)
		assert.Zero(t, l.open.Load())
		assert.GreaterOrEqual(t, len(tokensByName(t, c)), stored)
	})
}

// Leaving the loop ends what is in progress and reads no more of the sequence. TestMain
// finds what would be left.
func TestStoreAllLeftEarly(t *testing.T) {
	t.Parallel()
	const concurrency = 6
	for how, leave := range map[string]func(loop func() bool){
		"break": func(loop func() bool) { loop() },
		"panic": func(loop func() bool) {
			defer func() { _ = recover() }()
			loop()
			panic("in the loop")
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
				l := newLot(t)
				finished := false
				endless := func(yield func(privicore.Payload) bool) {
					defer func() { finished = true }()
					l.payloads(t, count(1<<30))(yield)
				}
				results := 0
				leave(func() bool {
					for range c.DataToken.StoreAll(t.Context(), endless, privicore.BulkOptions{Concurrency: concurrency}) {
						if results++; results == 10 {
							break
						}
					}
					return true
				})
				assert.True(t, finished, "the sequence has ended")
				assert.LessOrEqual(t, l.read, 10+concurrency-1)
				assert.Zero(t, l.open.Load(), "a reader is left open")
				calls := len(s.Requests())
				time.Sleep(time.Minute)
				assert.Len(t, s.Requests(), calls, "nothing goes on")
			})
		})
	}
}

// A sequence that takes its time does not hold back results, except while it is asked
// for the next item, and its items begin at once.
func TestStoreAllSlowSequence(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, _ *privicoretest.Server) {
		l := newLot(t)
		results := 0
		slow := func(yield func(privicore.Payload) bool) {
			for p := range l.payloads(t, count(10)) {
				time.Sleep(time.Minute)
				assert.GreaterOrEqual(t, results, l.read-2, "a result waits for more than one item")
				if !yield(p) {
					return
				}
			}
		}
		for _, err := range c.DataToken.StoreAll(t.Context(), slow, privicore.BulkOptions{}) {
			require.NoError(t, err)
			results++
		}
		assert.Equal(t, 10, results)
	})
}

// Payloads that cannot be right, a closed client and a nil sequence.
func TestBulkRefusals(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		results := 0
		for result, err := range c.DataToken.StoreAll(t.Context(), slices.Values([]privicore.Payload{{}, {Context: "c"}}), privicore.BulkOptions{Concurrency: -1}) {
			require.ErrorIs(t, err, privicore.ErrValidation)
			assert.Empty(t, result.Token)
			results++
		}
		for _, err := range c.DataToken.DeleteAll(t.Context(), slices.Values([]string{"", ".."}), privicore.BulkOptions{}) {
			require.ErrorIs(t, err, privicore.ErrValidation)
			results++
		}
		for range c.DataToken.StoreAll(t.Context(), nil, privicore.BulkOptions{}) {
			results++
		}
		assert.Empty(t, s.Requests())
		require.NoError(t, c.Close())
		for _, err := range c.DataToken.DeleteAll(t.Context(), slices.Values([]string{"dtk-1", "dtk-2"}), privicore.BulkOptions{}) {
			require.ErrorIs(t, err, privicore.ErrClosed)
			results++
		}
		assert.Equal(t, 6, results)
	})
}

// What Repeatable says of each kind of error.
func TestRepeatable(t *testing.T) {
	t.Parallel()
	ambiguous := fmt.Errorf("broken: %w", privicore.ErrAmbiguous)
	for _, tc := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("a failure"), true},
		{context.Canceled, true},
		{ambiguous, false},
		{&privicore.StepError{Step: privicore.StepReserve, Err: ambiguous}, true},
		{&privicore.StepError{Step: privicore.StepCommit, Err: ambiguous}, false},
		{&privicore.StepError{Step: privicore.StepCommit, Err: errors.New("refused")}, true},
		{&privicore.StepError{Step: privicore.StepSend, Err: &privicore.WaitError{ID: "1", Err: context.Canceled}}, true},
		{&privicore.StepError{Step: privicore.StepWrite, Err: io.ErrShortWrite}, true},
		{&privicore.WaitError{ID: "1", Err: context.DeadlineExceeded}, false},
		{&privicore.CommandError{ID: "1"}, true},
		{&privicore.TokenError{Err: ambiguous}, true},
	} {
		assert.Equal(t, tc.want, privicore.Repeatable(tc.err), "%v", tc.err)
	}
}

// A deletion whose outcome is not known is not repeatable.
func TestDeleteAllAmbiguous(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault privicoretest.Fault
		want  bool
	}{
		"refused":  {privicoretest.Fault{Status: 403}, true},
		"rejected": {privicoretest.Fault{Reject: []string{"no"}}, true},
		"lost":     {privicoretest.Fault{Status: 502, AfterEffect: true}, false},
		"slow":     {privicoretest.Fault{Latency: time.Hour}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
				tokens := storeLot(t, c, 1)
				s.Next("DataToken.Delete", tc.fault)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				for _, err := range c.DataToken.DeleteAll(ctx, slices.Values(tokens), privicore.BulkOptions{}) {
					require.Error(t, err)
					assert.Equal(t, tc.want, privicore.Repeatable(err), "%v", err)
				}
			})
		})
	}
}

// All payloads together poll no faster than the client may.
func TestStoreAllSharesLimits(t *testing.T) {
	t.Parallel()
	const n, rate = 40, 5
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		polling, err := c.Clone(privicore.WithWebSocketURL(""), privicore.WithPollRate(rate))
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, polling.Close()) })
		started := time.Now()
		for _, err := range polling.DataToken.StoreAll(t.Context(), newLot(t).payloads(t, count(n)), privicore.BulkOptions{Concurrency: 20}) {
			require.NoError(t, err)
		}
		polls := s.Calls("Utility.RequestStatus")
		assert.GreaterOrEqual(t, polls, n)
		assert.GreaterOrEqual(t, time.Since(started), time.Duration(polls-rate)*time.Second/rate)
	})
}

// bareVault is a server that takes payloads and forgets them.
func bareVault(r *http.Request, form url.Values) (*http.Response, error) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/request-status/"):
		return reply(200, `["succeeded"]`)
	case strings.HasPrefix(r.URL.Path, "/data-token/retrieve-temporary-data-token/"):
		return reply(200, `{"token":"tmp-1","stream":"https://files.test/?auth=1"}`)
	case r.URL.Path == "/data-token/configure-file-meta":
		return reply(200, `{"token":"dtk-`+form.Get("fileName")+`"}`)
	}
	return reply(202, `["`+commandID+`"]`)
}

// Memory use depends on the concurrency and not on the number of payloads.
func TestStoreAllMemory(t *testing.T) { // not in parallel, because others use memory too
	notUnderRace(t)
	synctest.Test(t, func(t *testing.T) {
		const n, size, concurrency = 1500, 40 << 10, 8
		cipher := newAESGCM(t, make([]byte, 32))
		c := fakeClient(t, bareVault, privicore.WithToken(fakeToken), privicore.WithPollRate(1e6))
		payloads := func(yield func(privicore.Payload) bool) {
			for i := range n {
				data := bytes.NewReader(make([]byte, size))
				if !yield(privicore.Payload{Data: data, Cipher: cipher, Context: "bulk", Name: fmt.Sprint(i)}) {
					return
				}
			}
		}
		used := func() uint64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before, peak, results := used(), uint64(0), 0
		for stored, err := range c.DataToken.StoreAll(t.Context(), payloads, privicore.BulkOptions{Concurrency: concurrency}) {
			require.NoError(t, err)
			require.Equal(t, "dtk-"+stored.Payload.Name, stored.Token)
			if results++; results%100 == 0 {
				peak = max(peak, used())
			}
		}
		assert.Equal(t, n, results)
		assert.Less(t, int64(peak)-int64(before), int64(concurrency*16*size), "all of them have %d", n*size)
	})
}

// A result that the loop does not fetch does not keep other items from going on.
func TestStoreAllSlowLoop(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		var all sync.Once
		for _, err := range c.DataToken.StoreAll(t.Context(), newLot(t).payloads(t, count(12)), privicore.BulkOptions{Concurrency: 4}) {
			require.NoError(t, err)
			all.Do(func() {
				time.Sleep(time.Hour)
				assert.Equal(t, 4, s.Calls("DataToken.ConfigureFileMeta"), "those that were begun end while the loop is busy")
			})
		}
	})
}

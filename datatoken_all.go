package privicore

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
)

// defaultConcurrency is how many items are in progress at a time by default.
const defaultConcurrency = 8

// BulkOptions are the options of StoreAll, RetrieveAll and DeleteAll. The zero value
// has the defaults.
type BulkOptions struct {
	// Concurrency is how many items are in progress at a time. An item is in
	// progress from when it is read from the sequence until the loop gets its
	// result, so memory use is bounded too. Zero and less mean 8.
	Concurrency int
	// Progress is called when an item begins or ends and when data moves. Calls
	// come from several goroutines, one call at a time. It may be nil. It must not
	// block.
	Progress func(BulkProgress)
}

// limit returns how many items may be in progress.
func (o *BulkOptions) limit() int {
	if o.Concurrency < 1 {
		return defaultConcurrency
	}
	return o.Concurrency
}

// BulkProgress is how far StoreAll, RetrieveAll or DeleteAll is.
type BulkProgress struct {
	Running   int // items in progress
	Succeeded int
	Failed    int
	// Bytes is the number of bytes of all items so far: of the plaintext that was
	// encrypted, or of the ciphertext that arrived.
	Bytes int64
}

// Stored is the result of one payload of StoreAll.
type Stored struct {
	Index   int     // position of the payload in the sequence, from 0
	Payload Payload // as it came from the sequence; Data has been used
	Token   string  // the permanent token, or "" if the payload was not stored
}

// A RetrieveRequest is one item of RetrieveAll. Token, To and Cipher must be set.
type RetrieveRequest struct {
	Retrieval
	Token string
	// To is where the plaintext is written. What is written was authenticated,
	// but it is complete only if there is no error.
	To io.Writer
}

// Retrieved is the result of one item of RetrieveAll.
type Retrieved struct {
	Index   int // position of the item in the sequence, from 0
	Request RetrieveRequest
	Size    int64 // number of bytes written to Request.To
}

// Deleted is the result of one token of DeleteAll.
type Deleted struct {
	Index int // position of the token in the sequence, from 0
	Token string
}

// StepWrite is the last step of RetrieveAll and RetrieveFile, which write what
// Retrieve returns.
const StepWrite Step = "retrieve, step 5 (write)"

// Repeatable reports whether the call that returned err can be made again without
// any risk that something is done twice. It says nothing about the chances of the
// second call. It returns false if err is nil, if err matches ErrAmbiguous, and for a
// *WaitError, because that command may still be running. For a *StepError it returns
// StepError.Repeatable.
func Repeatable(err error) bool {
	if err == nil {
		return false
	}
	if step, ok := errors.AsType[*StepError](err); ok {
		return step.Repeatable()
	}
	_, running := errors.AsType[*WaitError](err)
	return !running && !errors.Is(err, ErrAmbiguous)
}

// StoreAll stores many payloads at the same time. It yields one result for each
// payload: Stored.Token if it was stored, and otherwise the error that Store
// returned. Stored.Index and Stored.Payload are set in both cases. Results come in
// the order in which payloads end, which is not that of the sequence.
//
// Nothing is sent again by StoreAll. Repeatable reports whether a payload that
// failed can be given to StoreAll again, with a new Data. A program that does so pauses
// first, because what made one payload fail may still be there. If Repeatable reports
// false, the server may have made a token; List shows whether it did.
//
// StoreAll reads a payload from the sequence when it can begin with it, in the
// goroutine of the loop. It never has more than BulkOptions.Concurrency payloads. All
// of them share the limits of the client, such as WithPollRate. If Data is an
// io.Closer, StoreAll closes it when the payload ends.
//
// If ctx ends, the payloads in progress fail, and so does each one that is still in
// the sequence, unread. If the loop is left early, the payloads in progress are
// cancelled and waited for. Their results are lost, so a program that wants to know
// all tokens cancels ctx instead and goes on to the end of the loop.
func (s *DataTokenService) StoreAll(ctx context.Context, payloads iter.Seq[Payload], opts BulkOptions) iter.Seq2[Stored, error] {
	return inBulk(ctx, payloads, opts, func(ctx context.Context, index int, given Payload, m *meter) (Stored, error) {
		p := given
		p.Progress = m.stored(given.Progress)
		token, err := s.Store(ctx, p)
		_ = closeIfCloser(given.Data) // it was read to its end, or is of no more use
		return Stored{Index: index, Payload: given, Token: token}, err
	})
}

// RetrieveAll retrieves many payloads at the same time and writes each one to its
// RetrieveRequest.To. It yields one result for each item, with the error of Retrieve,
// of reading, or of writing, which is a *StepError with StepWrite. Retrieved.Index
// and Retrieved.Request are set in both cases. Results come in the order in which
// items end. Retrieving again is always safe, but To has to be a new writer.
//
// Items are read from the sequence, bounded and cancelled as StoreAll does it. If To
// is an io.Closer, RetrieveAll closes it when the item ends, and an error of Close
// is an error of writing.
func (s *DataTokenService) RetrieveAll(ctx context.Context, items iter.Seq[RetrieveRequest], opts BulkOptions) iter.Seq2[Retrieved, error] {
	return inBulk(ctx, items, opts, func(ctx context.Context, index int, given RetrieveRequest, m *meter) (Retrieved, error) {
		r := given.Retrieval
		r.Progress = m.retrieved(given.Progress)
		size, err := s.retrieveTo(ctx, given.Token, given.To, r)
		if closing := closeIfCloser(given.To); closing != nil && err == nil {
			err = &StepError{Step: StepWrite, Err: closing}
		}
		return Retrieved{Index: index, Request: given, Size: size}, err
	})
}

// DeleteAll deletes the data of many tokens at the same time, and waits for each. It
// yields one result for each token, with the error of Delete or of Command.Wait.
// Deleted.Index and Deleted.Token are set in both cases. Results come in the order in
// which deletions end. Repeatable reports whether a deletion certainly did not
// happen; deleting a token that is gone already is an error, but does no harm.
//
// Tokens are read from the sequence, bounded and cancelled as StoreAll does it.
func (s *DataTokenService) DeleteAll(ctx context.Context, tokens iter.Seq[string], opts BulkOptions) iter.Seq2[Deleted, error] {
	return inBulk(ctx, tokens, opts, func(ctx context.Context, index int, token string, _ *meter) (Deleted, error) {
		cmd, err := s.Delete(ctx, token)
		if err == nil {
			_, err = cmd.Wait(ctx)
		}
		return Deleted{Index: index, Token: token}, err
	})
}

// retrieveTo writes the plaintext of a token to a writer, and returns how many bytes
// it has written.
func (s *DataTokenService) retrieveTo(ctx context.Context, token string, to io.Writer, r Retrieval) (int64, error) {
	if err := s.checkRetrieval(token, to != nil, &r); err != nil {
		return 0, err
	}
	plaintext, err := s.Retrieve(ctx, token, r)
	if err != nil {
		return 0, err
	}
	defer plaintext.Close()
	n, err := io.Copy(to, plaintext)
	if err == nil {
		return n, nil
	}
	if _, reading := errors.AsType[*StepError](err); !reading {
		err = &StepError{Step: StepWrite, Err: err}
	}
	return n, err
}

func closeIfCloser(v any) error {
	if closer, ok := v.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

// outcome is what came of an item.
type outcome[T any] struct {
	result T
	err    error
}

// inBulk does the same with all items of a sequence, several at a time, and yields
// what comes of each.
func inBulk[In, Out any](
	ctx context.Context, items iter.Seq[In], opts BulkOptions,
	do func(ctx context.Context, index int, item In, m *meter) (Out, error),
) iter.Seq2[Out, error] {
	limit := opts.limit()
	return func(yield func(Out, error) bool) {
		if items == nil {
			return
		}
		// The sequence runs in this goroutine, so that it can use what the loop
		// uses without a lock, and ends with the loop.
		next, stop := iter.Pull(items)
		defer stop()
		var workers sync.WaitGroup
		defer workers.Wait()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()

		m := &meter{report: opts.Progress}
		ended := make(chan outcome[Out], limit) // no worker waits for the loop
		begin := func(index int, item In) {
			m.begin()
			workers.Go(func() {
				result, err := do(ctx, index, item, m)
				m.end(err)
				ended <- outcome[Out]{result, err}
			})
		}
		running, more := 0, true
		for index := 0; ; {
			// A result goes first, because the sequence may take long to yield.
			if o, ok := takeOutcome(ended, running, limit, more); ok {
				running--
				if !yield(o.result, o.err) {
					return
				}
				continue
			}
			if !more {
				return
			}
			var item In
			if item, more = next(); more {
				begin(index, item)
				index++
				running++
			}
		}
	}
}

// takeOutcome returns the outcome of an item. It waits for one only if no other item
// can begin.
func takeOutcome[T any](ended <-chan outcome[T], running, limit int, more bool) (outcome[T], bool) {
	if running == 0 {
		return outcome[T]{}, false
	}
	if running == limit || !more {
		return <-ended, true
	}
	select {
	case o := <-ended:
		return o, true
	default:
		return outcome[T]{}, false
	}
}

// meter counts for BulkOptions.Progress.
type meter struct {
	report func(BulkProgress)

	mu  sync.Mutex
	now BulkProgress
}

// change changes the counts and reports them.
func (m *meter) change(change func(*BulkProgress)) {
	if m.report == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.now)
	m.report(m.now)
}

func (m *meter) begin() { m.change(func(p *BulkProgress) { p.Running++ }) }

func (m *meter) end(err error) {
	m.change(func(p *BulkProgress) {
		p.Running--
		if err != nil {
			p.Failed++
		} else {
			p.Succeeded++
		}
	})
}

// moved returns a function that is told how many bytes of an item have moved so far.
func (m *meter) moved() func(bytes int64) {
	var last int64
	return func(bytes int64) {
		m.change(func(p *BulkProgress) { p.Bytes += bytes - last })
		last = bytes
	}
}

// stored returns the Progress of a payload whose own one is also.
func (m *meter) stored(also func(bytes int64)) func(bytes int64) {
	if m.report == nil {
		return also
	}
	moved := m.moved()
	return func(bytes int64) {
		moved(bytes)
		if also != nil {
			also(bytes)
		}
	}
}

// retrieved returns the Progress of a retrieval whose own one is also.
func (m *meter) retrieved(also func(bytes, total int64)) func(bytes, total int64) {
	if m.report == nil {
		return also
	}
	moved := m.moved()
	return func(bytes, total int64) {
		moved(bytes)
		if also != nil {
			also(bytes, total)
		}
	}
}

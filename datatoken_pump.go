package privicore

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/privicore/privicore-go/internal/lifecycle"
)

// readGrace is how long a call that failed waits for a Read of the caller's reader
// to return. Without it a caller that rewinds a file to try again could lose the part
// that this Read takes. It is bounded because a Read of a terminal may never return.
const readGrace = time.Second

// pump reads from the caller's reader in a goroutine of its own, and hands out the
// ciphertext through a pipe. The goroutine is needed because a Cipher writes what
// HTTP wants to read. It also keeps a Read that blocks from blocking the call:
// net/http waits for the Read of a body even after its context has ended.
type pump struct {
	*io.PipeReader
	size      atomic.Int64 // read so far
	abandoned atomic.Bool
	done      chan struct{} // closed when nothing is read any more
	failure   error         // why the data is not whole; read after done, nil if abandoned
}

// errBroken takes the place of the pump's error in the pipe, because that error could
// be io.EOF, which readers take for the end of the data.
var errBroken = errors.New("the data could not be read or encrypted")

// errNoWriter and errNoReader mean that a Cipher returned neither a result nor an
// error.
var (
	errNoWriter = errors.New("the cipher returned no writer")
	errNoReader = errors.New("the cipher returned no reader")
)

// startPump begins to read. The caller calls stop. The cipher gets ctx and binding.
func startPump(ctx context.Context, from io.Reader, cipher Cipher, binding Binding, progress func(int64)) *pump {
	r, w := io.Pipe()
	p := &pump{PipeReader: r, done: make(chan struct{})}
	go func() {
		err := p.run(ctx, from, cipher, binding, w, progress)
		if err != nil && !p.abandoned.Load() {
			p.failure = err
		}
		close(p.done)
		if err != nil {
			err = errBroken
		}
		_ = w.CloseWithError(err) // nil is the end
	}()
	return p
}

func (p *pump) run(ctx context.Context, from io.Reader, cipher Cipher, binding Binding, to io.Writer, progress func(int64)) error {
	enc, err := cipher.Encrypt(ctx, to, binding)
	if err != nil {
		return err
	}
	if enc == nil {
		return errNoWriter
	}
	buf := make([]byte, 64<<10)
	for !p.abandoned.Load() {
		n, err := from.Read(buf)
		if n > 0 {
			if err := writeAll(enc, buf[:n]); err != nil {
				return err
			}
			size := p.size.Add(int64(n))
			if progress != nil {
				progress(size)
			}
		}
		if err == io.EOF {
			return enc.Close()
		}
		if err != nil {
			return err
		}
	}
	return errBroken
}

// writeAll writes p. A Cipher that takes only a part of it and reports no error must
// not lose the rest.
func writeAll(to io.Writer, p []byte) error {
	n, err := to.Write(p)
	if err == nil && n < len(p) {
		return io.ErrShortWrite
	}
	return err
}

// abandon ends the readers of the pump at once, and the pump as soon as it can.
func (p *pump) abandon() {
	p.abandoned.Store(true)
	_ = p.Close()
}

// abandonWith abandons the pump when ctx or scope ends, until release is called.
func (p *pump) abandonWith(ctx context.Context, scope *lifecycle.Scope) (release func()) {
	stopCtx := context.AfterFunc(ctx, p.abandon)
	stopScope := scope.AfterEnd(p.abandon)
	return func() { stopCtx(); stopScope() }
}

// stop ends the pump. It returns how much the pump has read, and the error of the
// source or the cipher if that ended it.
func (p *pump) stop() (size int64, failure error) {
	p.abandon()
	select {
	case <-p.done:
		failure = p.failure
	case <-time.After(readGrace):
	}
	return p.size.Load(), failure
}

// passthrough is the Cipher for what is encrypted already.
type passthrough struct{}

// Encrypt writes what it is given.
func (passthrough) Encrypt(_ context.Context, dst io.Writer, _ Binding) (io.WriteCloser, error) {
	return writeCloser{dst}, nil
}

// Decrypt reads what there is.
func (passthrough) Decrypt(_ context.Context, src io.Reader, _ Binding) (io.Reader, error) {
	return src, nil
}

// Binds returns false.
func (passthrough) Binds() bool { return false }

type writeCloser struct{ io.Writer }

// Close does nothing: the writer is not its own.
func (writeCloser) Close() error { return nil }

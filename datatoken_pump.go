package privicore

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// readGrace is how long a call that failed waits for a Read of the caller's
// reader to return: after that it may be a terminal. Until then the reader is
// in use, and a caller who rewinds a file to try again would lose a part of it.
const readGrace = time.Second

// pump reads from a reader of the caller's in a goroutine of its own, and has
// the ciphertext read from it through a pipe. A Cipher wants to write where HTTP
// wants to read, and a Read may block for as long as it likes: net/http does not
// return before a body does, even if its context has ended.
type pump struct {
	*io.PipeReader
	size      atomic.Int64 // read so far
	abandoned atomic.Bool
	done      chan struct{} // closed when nothing is read any more
	failure   error         // why it is not whole, unless it was abandoned; read it after done
}

// errBroken stands in the pipe for the error of a pump, which may be one that
// readers take for an end.
var errBroken = errors.New("the data could not be read or encrypted")

// startPump begins to read. The caller calls stop.
func startPump(from io.Reader, cipher Cipher, progress func(int64)) *pump {
	r, w := io.Pipe()
	p := &pump{PipeReader: r, done: make(chan struct{})}
	go func() {
		err := p.run(from, cipher, w, progress)
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

func (p *pump) run(from io.Reader, cipher Cipher, to io.Writer, progress func(int64)) error {
	enc, err := cipher.Encrypt(to)
	if err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for !p.abandoned.Load() {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := enc.Write(buf[:n]); err != nil {
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

// abandon has the pump end as soon as it can, and its readers at once.
func (p *pump) abandon() {
	p.abandoned.Store(true)
	_ = p.Close()
}

// abandonWith has ctx or the client abandon the pump when they end, until
// release is called.
func (p *pump) abandonWith(ctx context.Context, c *Client) (release func()) {
	stopCtx := context.AfterFunc(ctx, p.abandon)
	stopLife := context.AfterFunc(c.life, p.abandon)
	return func() { stopCtx(); stopLife() }
}

// stop ends the pump, and returns how much it has read and how it failed by
// itself.
func (p *pump) stop() (size int64, failure error) {
	p.abandon()
	select {
	case <-p.done:
		failure = p.failure
	case <-time.After(readGrace):
	}
	return p.size.Load(), failure
}

// asItIs is the Cipher for what is encrypted already.
type asItIs struct{}

// Encrypt writes what it is given.
func (asItIs) Encrypt(dst io.Writer) (io.WriteCloser, error) { return writeCloser{dst}, nil }

// Decrypt reads what there is.
func (asItIs) Decrypt(src io.Reader) (io.Reader, error) { return src, nil }

type writeCloser struct{ io.Writer }

// Close does nothing: the writer is not its own.
func (writeCloser) Close() error { return nil }

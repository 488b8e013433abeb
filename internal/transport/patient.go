package transport

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// answerGrace is how long a connection that takes no more data is read for the
// answer that explains why.
const answerGrace = time.Second

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// patiently returns dial with connections that report a broken Write late.
func patiently(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &patientConn{Conn: conn, closed: make(chan struct{})}, nil
	}
}

// patientConn is a connection whose Write returns an error only when the answer
// has had time to be read. A server that refuses an upload in its middle answers
// and closes. net/http would drop the answer because of the Write that fails.
type patientConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *patientConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err == nil || errors.Is(err, net.ErrClosed) || isTimeout(err) {
		return n, err
	}
	timer := time.NewTimer(answerGrace)
	defer timer.Stop()
	select {
	case <-c.closed: // net/http closes when there is nothing more to read
	case <-timer.C:
	}
	return n, err
}

func (c *patientConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

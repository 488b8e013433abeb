package storm

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// prompt is how soon Close and what it ends have to return. A call whose answer is
// on its way may take as long as the stall timeout.
const prompt = stall + 3*time.Second

// events records the outcomes that the loop over Events yields.
func (w *worker) events(ctx context.Context, c *privicore.Client) {
	for ctx.Err() == nil {
		for event, err := range c.Events(ctx) {
			if err != nil {
				w.judge(ctx, "Events", err)
				break
			}
			w.rig.secrets.scanValue("an event", event)
			command, ok := event.(*privicore.CommandEvent)
			switch {
			case !ok:
			case command.Status == privicore.CommandSucceeded:
				w.ledger.ended(&command.CommandResult)
			case command.Status == privicore.CommandRejected:
				w.ledger.rejected(&privicore.CommandError{ID: command.ID, Messages: command.Messages})
			}
		}
		pause(ctx, 50*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// closing closes clients in the middle of what they do. If server is not nil, the
// commands that they wait for last longer than the storm.
func (w *worker) closing(ctx context.Context, server *privicoretest.Server) {
	for n := 2; ctx.Err() == nil; n++ {
		opts := []privicore.Option{privicore.WithWebSocketURL(w.rig.addr.WebSocketURL)}
		if n%3 == 0 {
			opts = nil
		}
		c, err := w.rig.newClient(w.crew.profile, true, opts...)
		if !w.judge(ctx, "NewClient", err) {
			return
		}
		w.closeOne(ctx, c, server, n)
		pause(ctx, 100*time.Millisecond)
	}
}

// lasting begins a command that ends in an hour if server is not nil.
func (w *worker) lasting(ctx context.Context, c *privicore.Client, server *privicoretest.Server, n int) (*privicore.Command, error) {
	if server == nil {
		pending, err := c.Device.RequestIdentifier(ctx, w.unique("device"))
		if err != nil {
			return nil, err
		}
		return pending.Command, nil
	}
	const operation = "VerifiedAuthenticator.SetQuorumSize"
	server.Next(operation, privicoretest.Fault{Latency: time.Hour})
	cmd, err := c.VerifiedAuthenticator.SetQuorumSize(ctx, n)
	w.ledger.made(key{operation, strconv.Itoa(n)}, 0, 1)
	return cmd, err
}

// closeOne closes a client whose waits and calls are in progress.
func (w *worker) closeOne(ctx context.Context, c *privicore.Client, server *privicoretest.Server, n int) {
	cmd, err := w.lasting(ctx, c, server, n)
	var running sync.WaitGroup
	ended := make(chan error, 8)
	if w.judge(ctx, "a command of a client that is closed", err) {
		running.Go(func() { _, err := cmd.Wait(ctx); ended <- err })
		running.Go(func() { _, err := privicore.WaitAll(ctx, cmd); ended <- err })
		running.Go(func() { _, err := c.Command(cmd.ID).Wait(ctx); ended <- err })
	}
	running.Go(func() { _, _ = c.Device.List(ctx) })
	running.Go(func() { _ = c.Connect(ctx) })
	pause(ctx, time.Duration(w.dice.Int64N(int64(200*time.Millisecond))))

	start := time.Now()
	_ = c.Close()
	if took := time.Since(start); took > prompt {
		w.ledger.violated("Close is prompt", "it took %v", took)
	}
	w.ledger.count("clients closed")
	w.afterClose(ctx, c)
	all := make(chan struct{})
	go func() { running.Wait(); close(all) }()
	select {
	case <-all:
	case <-time.After(prompt):
		w.ledger.violated("Close ends every wait", "some go on %v after it", prompt)
		return
	}
	close(ended)
	for err := range ended {
		w.endedByClose(ctx, err, server == nil)
	}
}

// afterClose checks that a closed client sends nothing.
func (w *worker) afterClose(ctx context.Context, c *privicore.Client) {
	name := w.unique("device of a closed client")
	_, err := c.Device.RequestIdentifier(ctx, name)
	w.ledger.made(key{"Device.RequestIdentifier", name}, 0, 0)
	if !errors.Is(err, privicore.ErrClosed) && (err == nil || ctx.Err() == nil) {
		w.ledger.violated("a closed client sends nothing", "the error is %v", err)
	}
	w.rig.secrets.scanError("after Close", err)
}

// endedByClose checks the error of a wait that Close has ended. The command may
// have ended before if mayEnd is set.
func (w *worker) endedByClose(ctx context.Context, err error, mayEnd bool) {
	if mayEnd && (err == nil || errors.Is(err, privicore.ErrRejected)) {
		return
	}
	w.rig.secrets.scanError("a wait that Close ended", err)
	switch {
	case errors.Is(err, privicore.ErrClosed):
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
	case errors.Is(err, privicore.ErrValidation), errors.Is(err, privicore.ErrRateLimited): // a poll before
	default:
		w.ledger.violated("Close ends every wait", "with ErrClosed, not with %v", err)
	}
}

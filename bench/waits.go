package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

const (
	waiter = "waiter"
	bare   = "bare"

	pending   = 1
	succeeded = 2

	// pollRate is near what the machine can do. Without a limit WaitAll would open a
	// connection for each command.
	pollRate = 10_000
)

// hall is a server in this process whose commands never end by themselves, a client,
// and the barest dispatcher.
type hall struct {
	server *privicoretest.Server
	client *privicore.Client
	bare   *dispatcher
}

func newHall(ctx context.Context) (*hall, error) {
	server, err := privicoretest.Start(
		privicoretest.WithProfile(waiter, password),
		privicoretest.WithProfile(bare, password),
		privicoretest.WithLatency(24*time.Hour),
	)
	if err != nil {
		return nil, err
	}
	h := &hall{server: server}
	h.client, err = privicore.NewClient(
		privicore.WithBaseURL(server.URL),
		privicore.WithWebSocketURL(server.WebSocketURL),
		privicore.WithCredentials(waiter, password),
		privicore.WithOutcomeBuffer(1<<20, time.Hour),
		// On a slow machine the outcomes take longer than the default.
		privicore.WithFallbackPoll(time.Hour),
	)
	if err == nil {
		h.bare, err = newDispatcher(ctx, h.client, server.WebSocketURL)
	}
	if err == nil {
		err = h.client.Connect(ctx)
	}
	return h, err
}

func (h *hall) close() {
	if h.bare != nil {
		h.bare.close()
	}
	if h.client != nil {
		_ = h.client.Close()
	}
	h.server.Close()
}

// waits compares waiting for outcomes that are pushed. The time is from the first
// byte that the server sends to the end of the last wait. What is held is the heap and
// the stacks while all wait, without what they are before.
func waits(ctx context.Context, b *bench) error {
	for _, n := range b.waitSizes() {
		h, err := newHall(ctx)
		if err != nil {
			return err
		}
		err = b.waitsOf(ctx, h, n)
		h.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// waitSizes returns how many commands are waited for at a time.
func (b *bench) waitSizes() []int {
	switch {
	case b.quick:
		return []int{1, 100}
	case b.large:
		return []int{1, 100, 10_000, 100_000}
	}
	return []int{1, 100, 10_000}
}

func (b *bench) waitsOf(ctx context.Context, h *hall, n int) error {
	ways := []struct {
		name string
		wait func(ctx context.Context, h *hall, n int) (cost, error)
	}{
		{"barest dispatcher", waitBare}, {ours + ", a Wait each", waitEach}, {ours + ", one WaitAll", waitAll},
	}
	samples := make([]sample, len(ways))
	rounds, first := b.rounds(map[int]int{1: 41, 100: 41, 10_000: 11, 100_000: 2}[n]), -1
	if n == 100_000 {
		first = 0 // making the commands takes too long to do it only to warm up
	}
	for round := first; round < rounds; round++ {
		for turn := range ways {
			i := (turn + round + 1) % len(ways) // nobody always has the heap that another left
			cost, err := ways[i].wait(ctx, h, n)
			if err != nil {
				return fmt.Errorf("%s: %w", ways[i].name, err)
			}
			if round >= 0 {
				samples[i].add(cost)
			}
		}
	}
	note := fmt.Sprintf("%d polls", h.server.Calls("Utility.RequestStatus"))
	for i, way := range ways {
		b.add(measured{what: "outcomes over the channel", size: int64(n), unit: "waits", plot: "waits"}, way.name, &samples[i], &samples[0], note)
	}
	return nil
}

// commands returns n commands, of which nothing is heard before it is pushed.
func (h *hall) commands(ctx context.Context, n int) ([]*privicore.Command, error) {
	for range n {
		h.server.Next("Device.Remove", privicoretest.Fault{Ack: privicoretest.Ack{Pending: -1}})
	}
	cmds := make([]*privicore.Command, n)
	return cmds, inParallel(n, 8, func(i int) (err error) {
		cmds[i], err = h.client.Device.Remove(ctx, anID)
		return err
	})
}

// finish pushes what is in data and waits until done is.
func (h *hall) finish(profile string, data []byte, n int, held float64, done *sync.WaitGroup) cost {
	m := startMeter()
	h.server.PushUnframed(profile, data)
	done.Wait()
	c := m.stop().per(n)
	c.held = held
	return c
}

// waitEach waits for each command in a goroutine of its own.
func waitEach(ctx context.Context, h *hall, n int) (cost, error) {
	cmds, err := h.commands(ctx, n)
	if err != nil {
		return cost{}, err
	}
	data := frames(idsOf(cmds), succeeded)
	before := memory()
	var waiting, done sync.WaitGroup
	var failed atomic.Pointer[error]
	waiting.Add(n)
	for _, cmd := range cmds {
		done.Go(func() {
			for result, err := range cmd.Watch(ctx) {
				switch {
				case err != nil:
					failed.Store(&err)
				case result.Status == privicore.CommandPending:
					waiting.Done()
				}
			}
		})
	}
	h.server.PushUnframed(waiter, frames(idsOf(cmds), pending))
	waiting.Wait()
	c := h.finish(waiter, data, n, memory()-before, &done)
	if err := failed.Load(); err != nil {
		return cost{}, *err
	}
	return c, nil
}

// waitAll waits for all commands in one call.
func waitAll(ctx context.Context, h *hall, n int) (cost, error) {
	cmds, err := h.commands(ctx, n)
	if err != nil {
		return cost{}, err
	}
	data := frames(idsOf(cmds), succeeded)
	before, goroutines := memory(), runtime.NumGoroutine()
	var done sync.WaitGroup
	done.Go(func() { _, err = privicore.WaitAll(ctx, cmds...) })
	// WaitAll starts its goroutines when it has subscribed to all commands.
	for runtime.NumGoroutine() < goroutines+2 {
		runtime.Gosched()
	}
	c := h.finish(waiter, data, n, memory()-before, &done)
	return c, err
}

// waitBare waits with the barest dispatcher.
func waitBare(_ context.Context, h *hall, n int) (cost, error) {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = rand.Text()[:12] + "-" + rand.Text()[:23] // as long as a UUID
	}
	data := frames(ids, succeeded)
	before := memory()
	var waiting, done sync.WaitGroup
	var failed atomic.Bool
	waiting.Add(n)
	for _, id := range ids {
		done.Go(func() {
			outcome := h.bare.subscribe(id)
			waiting.Done()
			if <-outcome != succeeded {
				failed.Store(true)
			}
		})
	}
	waiting.Wait()
	c := h.finish(bare, data, n, memory()-before, &done)
	if failed.Load() {
		return cost{}, errors.New("another outcome")
	}
	return c, nil
}

// frames returns WebSocket frames with a message on each id, in one piece: what the
// server does while it is measured should be next to nothing.
func frames(ids []string, status int) []byte {
	var all []byte
	for _, id := range ids {
		message := fmt.Sprintf(`{"data":{"type":"X-DPT-CAB-ID","id":"%s","command_status":%d,"body":"device.device_removed"}}`, id, status)
		all = append(all, 0x81)
		if length := uint16(len(message)); length < 126 { //nolint:gosec // it is about a hundred
			all = append(all, byte(length))
		} else {
			all = append(all, 126)
			all = binary.BigEndian.AppendUint16(all, length)
		}
		all = append(all, message...)
	}
	return all
}

func idsOf(cmds []*privicore.Command) []string {
	ids := make([]string, len(cmds))
	for i, cmd := range cmds {
		ids[i] = cmd.ID
	}
	return ids
}

// polls compares waiting for commands that have ended, by asking for each of them: by
// polling, and over a channel that was not open when they were sent.
func polls(ctx context.Context, b *bench) error {
	polling, err := privicore.NewClient(privicore.WithBaseURL(b.servers.canned), privicore.WithToken(token), privicore.WithPollRate(pollRate))
	if err != nil {
		return err
	}
	defer polling.Close()
	resuming, err := privicore.NewClient(
		privicore.WithBaseURL(b.servers.canned), privicore.WithWebSocketURL(b.servers.proxy), privicore.WithPollRate(pollRate),
		privicore.WithTokenSource(sandboxTokens{b.servers.sandbox}),
	)
	if err != nil {
		return err
	}
	defer resuming.Close()
	if err := resuming.Connect(ctx); err != nil {
		return err
	}
	asker := &handCaller{base: b.servers.canned, do: tunedClient().Do}
	for _, n := range b.waitSizes() {
		ways := []contender{
			{hand + ", a GET each", func(ctx context.Context) error {
				return inParallel(n, 64, func(i int) error { return asker.status(ctx, fmt.Sprint(anID, i)) })
			}},
			{ours + ", polling", waitForKnown(polling, n)},
			{ours + ", resumed on the channel", waitForKnown(resuming, n)},
		}
		m := measured{what: "waits for commands that have ended", size: int64(n), unit: "waits", plot: "polls"}
		first := len(b.rows)
		if err := b.compare(ctx, m, b.rounds(map[int]int{1: 15, 100: 15, 10_000: 5, 100_000: 1}[n]), 1, 1, ways); err != nil {
			return err
		}
		for i := range b.rows[first:] {
			b.rows[first+i].cost = b.rows[first+i].cost.per(n)
		}
	}
	return nil
}

// waitForKnown waits for n commands by their ids.
func waitForKnown(client *privicore.Client, n int) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		cmds := make([]*privicore.Command, n)
		for i := range cmds {
			cmds[i] = client.Command(fmt.Sprint(anID, i))
		}
		_, err := privicore.WaitAll(ctx, cmds...)
		return err
	}
}

// sandboxTokens gets tokens from the sandbox for a client of another server.
type sandboxTokens struct{ sandbox string }

func (s sandboxTokens) Token(ctx context.Context) (*privicore.AuthorizationToken, error) {
	client, err := privicore.NewClient(privicore.WithBaseURL(s.sandbox))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return client.Profile.Authenticate(ctx, username(0), password)
}

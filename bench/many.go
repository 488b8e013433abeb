package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// many compares StoreAll with a loop of Store, over the same small payloads. Commands end
// at once on the one server, which shows what StoreAll itself costs, and take 20 ms on
// the other, as on a real one.
func many(ctx context.Context, b *bench) error {
	client, err := sandboxClient(ctx, b, 0)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := b.manyOf(ctx, client, b.times(200), "at once"); err != nil {
		return err
	}
	server, err := privicoretest.Start(privicoretest.WithProfile(username(0), password), privicoretest.WithLatency(20*time.Millisecond))
	if err != nil {
		return err
	}
	defer server.Close()
	slow, err := client.Clone(
		privicore.WithBaseURL(server.URL), privicore.WithWebSocketURL(server.WebSocketURL),
		privicore.WithCredentials(username(0), password),
	)
	if err != nil {
		return err
	}
	defer slow.Close()
	if err := slow.Connect(ctx); err != nil {
		return err
	}
	return b.manyOf(ctx, slow, b.times(60), "in 20 ms")
}

// manyOf compares with n payloads on one server.
func (b *bench) manyOf(ctx context.Context, client *privicore.Client, n int, commands string) error {
	all, err := pairsOf(ctx, client, client)
	if err != nil {
		return err
	}
	for _, p := range all {
		contenders := []contender{{"a loop of Store", func(ctx context.Context) error {
			for i := range n {
				if _, err := client.DataToken.Store(ctx, smallPayload(p, i)); err != nil {
					return err
				}
			}
			return nil
		}}}
		for _, concurrency := range []int{8, 32} {
			name := fmt.Sprintf("StoreAll, %d at a time", concurrency)
			contenders = append(contenders, contender{name, func(ctx context.Context) error {
				return storeAll(ctx, client, p, n, concurrency)
			}})
		}
		what := fmt.Sprintf("store %d payloads, %s, commands end %s", n, p.cipher, commands)
		if err := b.compare(ctx, measured{what: what, size: kilobyte, unit: "B"}, b.rounds(5), 1, 1, contenders); err != nil {
			return err
		}
	}
	return nil
}

// smallPayload returns one of the payloads.
func smallPayload(p pair, i int) privicore.Payload {
	mover, ok := p.ours.mover.(*clientMover)
	if !ok {
		return privicore.Payload{}
	}
	return privicore.Payload{Data: newBlocks(kilobyte), Cipher: mover.cipher, Context: "bench", Name: strconv.Itoa(i)}
}

// storeAll stores n payloads with StoreAll.
func storeAll(ctx context.Context, client *privicore.Client, p pair, n, concurrency int) error {
	payloads := func(yield func(privicore.Payload) bool) {
		for i := range n {
			if !yield(smallPayload(p, i)) {
				return
			}
		}
	}
	for _, err := range client.DataToken.StoreAll(ctx, payloads, privicore.BulkOptions{Concurrency: concurrency}) {
		if err != nil {
			return err
		}
	}
	return nil
}

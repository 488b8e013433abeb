package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/agecipher"
)

const (
	kilobyte = 1 << 10
	megabyte = 1 << 20
	gigabyte = 1 << 30
)

// mover is a way to store data and to get it back.
type mover interface {
	store(ctx context.Context, data io.Reader, size int64) (token string, err error)
	retrieve(ctx context.Context, token string, to io.Writer) error
}

// namedMover is a mover with its name and its client, and the largest size it is
// measured with.
type namedMover struct {
	mover
	name    string
	client  *privicore.Client
	largest int64
}

// pair is the client and the same by hand, with the same cipher and key.
type pair struct {
	cipher     string
	hand, ours namedMover
}

// sandboxClient returns a client of a profile of the sandbox. It is connected.
func sandboxClient(ctx context.Context, b *bench, profile int) (*privicore.Client, error) {
	client, err := privicore.NewClient(
		privicore.WithBaseURL(b.servers.sandbox), privicore.WithWebSocketURL(b.servers.proxy),
		privicore.WithCredentials(username(profile), password),
	)
	if err != nil {
		return nil, err
	}
	return client, client.Connect(ctx)
}

// pairs returns what is compared for each cipher. By hand has a client of its own, for
// the calls around the data, because it listens to everything that is pushed.
func pairs(ctx context.Context, b *bench) (all []pair, stop func(), err error) {
	client, err := sandboxClient(ctx, b, 0)
	if err != nil {
		return nil, nil, err
	}
	other, err := sandboxClient(ctx, b, 1)
	if err != nil {
		_ = client.Close()
		return nil, nil, err
	}
	all, err = pairsOf(ctx, client, other)
	stop = func() {
		_ = client.Close()
		_ = other.Close()
	}
	return all, stop, err
}

func pairsOf(ctx context.Context, client, other *privicore.Client) ([]pair, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	gcm, err := privicore.NewAESGCM(key)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	byHand := handMover{other, &http.Client{Transport: defaults()}, announcements(ctx, other)}
	return []pair{
		{
			"age",
			namedMover{&handAge{byHand, identity}, hand, other, gigabyte},
			namedMover{&clientMover{client, agecipher.New(identity)}, ours, client, gigabyte},
		},
		{
			"AES-GCM",
			namedMover{&handGCM{byHand, aead}, hand, other, 64 * megabyte},
			namedMover{&clientMover{client, gcm}, ours, client, 64 * megabyte},
		},
	}, nil
}

// transfers compares storing and retrieving, with the reservation, the encryption and
// all. What is held is the peak of the resident memory over what it is before.
func transfers(ctx context.Context, b *bench) error {
	all, stop, err := pairs(ctx, b)
	if err != nil {
		return err
	}
	defer stop()
	sizes := []int64{kilobyte, 48 * kilobyte, megabyte, 64 * megabyte}
	if b.quick {
		sizes = sizes[:3]
	}
	if b.large {
		sizes = append(sizes, gigabyte)
	}
	for _, p := range all {
		for _, size := range sizes {
			if size > p.ours.largest {
				continue
			}
			rounds := b.rounds(map[int64]int{kilobyte: 61, 48 * kilobyte: 61, megabyte: 31, 64 * megabyte: 7, gigabyte: 3}[size])
			if err := b.transfer(ctx, p, size, rounds); err != nil {
				return fmt.Errorf("%s: %w", p.cipher, err)
			}
		}
	}
	return nil
}

// transfer compares a pair at one size.
func (b *bench) transfer(ctx context.Context, p pair, size int64, rounds int) error {
	movers := []namedMover{p.hand, p.ours}
	var stored, retrieved [2]sample
	for round := -1; round < rounds; round++ {
		for turn := range movers {
			i := (turn + round + 1) % 2
			up, down, err := roundTrip(ctx, movers[i], size)
			if err != nil {
				return fmt.Errorf("%s, %d bytes: %w", movers[i].name, size, err)
			}
			if round >= 0 {
				stored[i].add(up)
				retrieved[i].add(down)
			}
		}
	}
	for way, samples := range []*[2]sample{&stored, &retrieved} {
		what := [...]string{"store", "retrieve"}[way]
		for i, m := range movers {
			b.add(measured{what: what + ", " + p.cipher, size: size, unit: "B", plot: what}, m.name, &samples[i], &samples[0], "")
		}
	}
	return nil
}

// roundTrip stores data, retrieves it, and deletes it.
func roundTrip(ctx context.Context, m namedMover, size int64) (up, down cost, err error) {
	var id string
	up, err = weigh(func() (err error) {
		id, err = m.store(ctx, newBlocks(size), size)
		return err
	})
	if err != nil {
		return up, down, err
	}
	got := newBlocks(size)
	down, err = weigh(func() error { return m.retrieve(ctx, id, got) })
	if err == nil && got.left != 0 {
		err = fmt.Errorf("%d bytes are missing", got.left)
	}
	if err != nil {
		return up, down, err
	}
	cmd, err := m.client.DataToken.Delete(ctx, id)
	if err == nil {
		_, err = cmd.Wait(ctx)
	}
	return up, down, err
}

// clientMover is the client's way.
type clientMover struct {
	client *privicore.Client
	cipher privicore.Cipher
}

func (m *clientMover) store(ctx context.Context, data io.Reader, _ int64) (string, error) {
	return m.client.DataToken.Store(ctx, privicore.Payload{Data: data, Cipher: m.cipher, Context: "bench"})
}

func (m *clientMover) retrieve(ctx context.Context, token string, to io.Writer) error {
	plaintext, err := m.client.DataToken.Retrieve(ctx, token, privicore.Retrieval{Cipher: m.cipher})
	if err != nil {
		return err
	}
	defer plaintext.Close()
	_, err = io.Copy(to, plaintext)
	return err
}

// handMover moves ciphertext with net/http. The calls around it are the client's.
type handMover struct {
	client    *privicore.Client
	http      *http.Client
	announced <-chan announcement
}

// upload stores a ciphertext. It always streams.
func (m *handMover) upload(ctx context.Context, ciphertext io.Reader, size int64) (string, error) {
	pending, err := m.client.DataToken.Reserve(ctx, privicore.ReserveRequest{Context: "bench"})
	if err != nil {
		return "", err
	}
	temporary, err := pending.Result(ctx)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, withScheme(temporary.Stream.Reveal()), ciphertext)
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := m.http.Do(req)
	if err != nil {
		return "", err
	}
	_ = resp.Body.Close()
	if resp.StatusCode > 299 {
		return "", errors.New(resp.Status)
	}
	return m.client.DataToken.ConfigureFileMeta(ctx, temporary.Token,
		privicore.FileMeta{FileName: "payload", Extension: "bin", Context: "bench", Size: size, Path: "/"})
}

// download returns the ciphertext of a token. The caller closes it.
func (m *handMover) download(ctx context.Context, token string) (io.ReadCloser, error) {
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	url, err := m.request(limited, token)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, withScheme(url), nil)
	if err != nil {
		return nil, err
	}
	resp, err := m.http.Do(req) //nolint:bodyclose // the caller closes it
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// request returns where the data can be downloaded.
func (m *handMover) request(ctx context.Context, token string) (string, error) {
	requested, err := m.client.DataToken.Request(ctx, token)
	if err != nil {
		return "", err
	}
	for {
		select {
		case news := <-m.announced:
			if news.Data.ID == requested.RequestID {
				return news.Data.Body, nil
			}
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// announcement is a message about data that can be downloaded.
type announcement struct {
	Data struct {
		ID         string `json:"id"`
		OutputType int    `json:"output_type"`
		Body       string `json:"body"`
	} `json:"data"`
}

// announcements returns the announcements for all requests, until ctx ends.
func announcements(ctx context.Context, client *privicore.Client) <-chan announcement {
	announced := make(chan announcement, 1024)
	go func() {
		for event, err := range client.Events(ctx) {
			if err != nil {
				return
			}
			ready, ok := event.(*privicore.DataReadyEvent)
			if !ok {
				continue
			}
			var news announcement
			if json.Unmarshal(ready.RawJSON(), &news) == nil && news.Data.OutputType == 1 {
				announced <- news
			}
		}
	}()
	time.Sleep(100 * time.Millisecond) // until it listens
	return announced
}

// handAge encrypts with age from a pipe, as one writes it by hand.
type handAge struct {
	handMover
	identity *age.X25519Identity
}

func (m *handAge) store(ctx context.Context, data io.Reader, size int64) (string, error) {
	r, w := io.Pipe()
	go func() {
		encrypted, err := age.Encrypt(w, m.identity.Recipient())
		if err == nil {
			_, err = io.Copy(encrypted, data)
		}
		if err == nil {
			err = encrypted.Close()
		}
		_ = w.CloseWithError(err)
	}()
	return m.upload(ctx, r, size)
}

func (m *handAge) retrieve(ctx context.Context, token string, to io.Writer) error {
	body, err := m.download(ctx, token)
	if err != nil {
		return err
	}
	defer body.Close()
	plaintext, err := age.Decrypt(body, m.identity)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, plaintext)
	return err
}

// handGCM encrypts in memory, as one writes it by hand.
type handGCM struct {
	handMover
	aead cipher.AEAD
}

func (m *handGCM) store(ctx context.Context, data io.Reader, size int64) (string, error) {
	plaintext, err := io.ReadAll(data)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, m.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	return m.upload(ctx, bytes.NewReader(m.aead.Seal(nonce, nonce, plaintext, nil)), size)
}

func (m *handGCM) retrieve(ctx context.Context, token string, to io.Writer) error {
	body, err := m.download(ctx, token)
	if err != nil {
		return err
	}
	defer body.Close()
	ciphertext, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	n := m.aead.NonceSize()
	if len(ciphertext) < n {
		return io.ErrUnexpectedEOF
	}
	plaintext, err := m.aead.Open(nil, ciphertext[:n], ciphertext[n:], nil)
	if err == nil {
		_, err = to.Write(plaintext)
	}
	return err
}

// withScheme completes an address that a documented server gives.
func withScheme(address string) string {
	if strings.Contains(address, "://") {
		return address
	}
	return "http://" + address
}

// bulk compares storing many small payloads from several goroutines.
func bulk(ctx context.Context, b *bench) error {
	all, stop, err := pairs(ctx, b)
	if err != nil {
		return err
	}
	defer stop()
	for _, p := range all {
		var contenders []contender
		for _, m := range []namedMover{p.hand, p.ours} {
			contenders = append(contenders, contender{m.name, func(ctx context.Context) error {
				_, err := m.store(ctx, newBlocks(kilobyte), kilobyte)
				return err
			}})
		}
		m := measured{what: "bulk store, " + p.cipher + ", 16 goroutines", size: kilobyte, unit: "B"}
		if err := b.compare(ctx, m, b.rounds(15), b.times(200), 16, contenders); err != nil {
			return err
		}
	}
	return nil
}

package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/agecipher"
)

const gigabyte = 1 << 30

// BenchmarkGigabyte stores a gigabyte and retrieves it, encrypted by agecipher,
// against the same bytes encrypted by the same age and moved by hand with
// net/http, over the same server in the same run. The server is a process of its
// own, so the memory is that of the client: how far it rose above idle at most.
func BenchmarkGigabyte(b *testing.B) {
	client := sandbox(b)
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		b.Fatal(err)
	}
	movers := map[string]mover{
		ours: &store{client, agecipher.New(identity)},
		bare: &byHand{client, &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}, identity},
	}
	order := []string{ours, bare}
	up, down := make(map[string][]time.Duration), make(map[string][]time.Duration)
	var peak int64
	for b.Loop() {
		for _, name := range order {
			idle := resetPeak(b)
			start := time.Now()
			token, err := movers[name].store(newBlocks(gigabyte))
			if err != nil {
				b.Fatal(name, err)
			}
			up[name] = append(up[name], time.Since(start))

			start = time.Now()
			got := newBlocks(gigabyte)
			if err := movers[name].retrieve(token, got); err != nil {
				b.Fatal(name, err)
			}
			down[name] = append(down[name], time.Since(start))
			if got.left != 0 {
				b.Fatalf("%s: %d bytes are missing", name, got.left)
			}
			if name == ours {
				peak = max(peak, peakMemory(b)-idle)
			}
			if err := remove(client, token); err != nil {
				b.Fatal(err)
			}
		}
		order[0], order[1] = order[1], order[0]
	}
	b.ReportMetric(0, "ns/op")
	for way, took := range map[string]map[string][]time.Duration{"up": up, "down": down} {
		mine, hand := median(took[ours]), median(took[bare])
		b.ReportMetric(gigabyte/1e6/mine.Seconds(), way+"-MB/s")
		b.ReportMetric(gigabyte/1e6/hand.Seconds(), "bare-"+way+"-MB/s")
		b.ReportMetric(hand.Seconds()/mine.Seconds(), way+"-ratio")
	}
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	if peak > 64<<20 {
		b.Errorf("%d MiB above idle", peak>>20)
	}
}

// mover is a way to move data.
type mover interface {
	store(data io.Reader) (token string, err error)
	retrieve(token string, to io.Writer) error
}

// store is the client's.
type store struct {
	client *privicore.Client
	cipher privicore.Cipher
}

func (m *store) store(data io.Reader) (string, error) {
	return m.client.DataToken.Store(context.Background(), privicore.Payload{Data: data, Cipher: m.cipher, Context: "bench"})
}

func (m *store) retrieve(token string, to io.Writer) error {
	plaintext, err := m.client.DataToken.Retrieve(context.Background(), token, privicore.Retrieval{Cipher: m.cipher})
	if err != nil {
		return err
	}
	defer plaintext.Close()
	_, err = io.Copy(to, plaintext)
	return err
}

// byHand moves the data itself; the calls around it are the same.
type byHand struct {
	client   *privicore.Client
	http     *http.Client
	identity *age.X25519Identity
}

func (m *byHand) store(data io.Reader) (string, error) {
	ctx := context.Background()
	pending, err := m.client.DataToken.Reserve(ctx, privicore.ReserveRequest{Context: "bench"})
	if err != nil {
		return "", err
	}
	temporary, err := pending.Result(ctx)
	if err != nil {
		return "", err
	}
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
	resp, err := m.http.Post(withScheme(temporary.Stream.Reveal()), "application/octet-stream", r)
	if err != nil {
		return "", err
	}
	_ = resp.Body.Close()
	if resp.StatusCode > 299 {
		return "", errors.New(resp.Status)
	}
	return m.client.DataToken.ConfigureFileMeta(ctx, temporary.Token,
		privicore.FileMeta{FileName: "payload", Extension: "bin", Context: "bench", Size: gigabyte, Path: "/"})
}

func (m *byHand) retrieve(token string, to io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	url, err := m.request(ctx, token)
	if err != nil {
		return err
	}
	resp, err := m.http.Get(withScheme(url))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	plaintext, err := age.Decrypt(resp.Body, m.identity)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, plaintext)
	return err
}

// request returns where the data can be downloaded.
func (m *byHand) request(ctx context.Context, token string) (string, error) {
	// Its command takes a while, and nothing is announced before it has ended.
	requested := make(chan error, 1)
	go func() {
		_, err := m.client.DataToken.Request(ctx, token)
		requested <- err
	}()
	for event, err := range m.client.Events(ctx) {
		if err != nil {
			return "", err
		}
		ready, ok := event.(*privicore.DataReadyEvent)
		if !ok {
			continue
		}
		var message struct {
			Data struct {
				OutputType int    `json:"output_type"`
				Body       string `json:"body"`
			} `json:"data"`
		}
		if json.Unmarshal(ready.RawJSON(), &message) == nil && message.Data.OutputType == 1 {
			return message.Data.Body, <-requested
		}
	}
	return "", ctx.Err()
}

func remove(client *privicore.Client, token string) error {
	cmd, err := client.DataToken.Delete(context.Background(), token)
	if err == nil {
		_, err = cmd.Wait(context.Background())
	}
	return err
}

// block repeats in the data. Making data must not be what is measured.
var block = func() []byte {
	b := make([]byte, 1<<20)
	_, _ = rand.Read(b)
	return b
}()

// blocks is a stream of data to read, and the check of one that is written.
type blocks struct {
	left int64
	at   int
}

func newBlocks(n int64) *blocks { return &blocks{left: n} }

func (s *blocks) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), s.left)], block[s.at:])
	s.move(n)
	return n, nil
}

func (s *blocks) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), len(block)-s.at)
		if int64(n) > s.left || !bytes.Equal(rest[:n], block[s.at:s.at+n]) {
			return 0, errors.New("other bytes than were stored")
		}
		s.move(n)
		rest = rest[n:]
	}
	return len(p), nil
}

func (s *blocks) move(n int) {
	s.left -= int64(n)
	s.at = (s.at + n) % len(block)
}

// sandbox starts one in a process of its own.
func sandbox(b *testing.B) *privicore.Client {
	b.Helper()
	program := filepath.Join(b.TempDir(), "privicore-sandbox")
	build := exec.Command("go", "build", "-o", program, "./cmd/privicore-sandbox")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	server := exec.Command(program, "-addr", "127.0.0.1:0", "-ws-addr", "127.0.0.1:0", "-username", ours, "-password", password)
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		_ = server.Wait()
	})
	says := make(map[string]string)
	for lines := bufio.NewScanner(out); says["PRIVICORE_PASSWORD"] == "" && lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "=")
		says[name] = value
	}
	client, err := privicore.NewClient(
		privicore.WithBaseURL(says["PRIVICORE_API_URL"]),
		privicore.WithWebSocketURL(says["PRIVICORE_WS_URL"]),
		privicore.WithCredentials(ours, password),
	)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Close() })
	if err := client.Connect(context.Background()); err != nil {
		b.Fatal(err)
	}
	return client
}

// resetPeak begins a new peak of this process' memory and returns what it has
// now. The numbers are the kernel's, of Linux.
func resetPeak(b *testing.B) int64 {
	b.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Log("memory is not measured: ", err)
		return 0
	}
	return status(b, "VmRSS")
}

func peakMemory(b *testing.B) int64 {
	b.Helper()
	if _, err := os.Stat("/proc/self/clear_refs"); err != nil {
		return 0
	}
	return status(b, "VmHWM")
}

func status(b *testing.B, name string) int64 {
	b.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	b.Fatal(fmt.Errorf("no %s", name))
	return 0
}

// withScheme completes an address that a documented server gives.
func withScheme(address string) string {
	if strings.Contains(address, "://") {
		return address
	}
	return "http://" + address
}

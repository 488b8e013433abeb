package privicore_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/privicore/privicore-go"
)

// sealedSandbox returns a client on a Privicore in this process, a Cipher, and what closes the
// client.
func sealedSandbox(opts ...privicore.Option) (*privicore.Client, privicore.Cipher, func()) {
	cipher, err := privicore.NewAESGCM(make([]byte, 32)) // in truth: from a key store
	if err != nil {
		log.Fatal(err)
	}
	client, stop := sandbox(opts...)
	return client, cipher, stop
}

// Payloads that failed and are safe to repeat are collected for another try. The others
// may have been stored.
func ExampleDataTokenService_StoreAll() {
	ctx := context.Background()
	client, cipher, stop := sealedSandbox()
	defer stop()

	names := []string{"alice", "bob", "carol"}
	payloads := func(yield func(privicore.Payload) bool) {
		for _, name := range names {
			p := privicore.Payload{Data: strings.NewReader("card of " + name), Cipher: cipher, Context: "cards", Name: name}
			if !yield(p) {
				return
			}
		}
	}
	tokens := make(map[string]string)
	var again, unsure []string
	for stored, err := range client.DataToken.StoreAll(ctx, payloads, privicore.BulkOptions{Concurrency: 4}) {
		name := names[stored.Index]
		switch {
		case err == nil:
			tokens[name] = stored.Token
		case privicore.Repeatable(err):
			again = append(again, name)
		default:
			unsure = append(unsure, name) // look for it with DataToken.List
		}
	}
	fmt.Println(len(tokens), "stored,", len(again), "to repeat,", len(unsure), "unsure")
	// Output: 3 stored, 0 to repeat, 0 unsure
}

func ExampleDataTokenService_RetrieveAll() {
	ctx := context.Background()
	client, cipher, stop := sealedSandbox()
	defer stop()
	var tokens []string
	for _, text := range []string{"one", "two", "three"} {
		token, err := client.DataToken.Store(ctx, privicore.Payload{Data: strings.NewReader(text), Cipher: cipher, Context: "examples"})
		if err != nil {
			log.Fatal(err)
		}
		tokens = append(tokens, token)
	}

	requests := func(yield func(privicore.RetrieveRequest) bool) {
		for _, token := range tokens {
			r := privicore.RetrieveRequest{Token: token, To: new(bytes.Buffer), Retrieval: privicore.Retrieval{Cipher: cipher}}
			if !yield(r) {
				return
			}
		}
	}
	texts := make([]string, len(tokens))
	for got, err := range client.DataToken.RetrieveAll(ctx, requests, privicore.BulkOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		texts[got.Index] = fmt.Sprint(got.Request.To)
	}
	fmt.Println(texts)
	// Output: [one two three]
}

func ExampleDataTokenService_DeleteAll() {
	ctx := context.Background()
	client, cipher, stop := sealedSandbox()
	defer stop()
	token, err := client.DataToken.Store(ctx, privicore.Payload{Data: strings.NewReader("old"), Cipher: cipher, Context: "examples"})
	if err != nil {
		log.Fatal(err)
	}

	for deleted, err := range client.DataToken.DeleteAll(ctx, slices.Values([]string{token, "dtk-unknown"}), privicore.BulkOptions{Concurrency: 1}) {
		fmt.Println(deleted.Index, err == nil)
	}
	// Output:
	// 0 true
	// 1 false
}

// A program that has to stop cancels the context and goes on to the end of the loop. So
// it learns what became of every payload.
func ExampleBulkOptions() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	client, cipher, stop := sealedSandbox()
	defer stop()

	payloads := func(yield func(privicore.Payload) bool) {
		for range 100 {
			if !yield(privicore.Payload{Data: strings.NewReader("text"), Cipher: cipher, Context: "examples"}) {
				return
			}
		}
	}
	var last privicore.BulkProgress
	opts := privicore.BulkOptions{Concurrency: 2, Progress: func(p privicore.BulkProgress) { last = p }}
	for _, err := range client.DataToken.StoreAll(ctx, payloads, opts) {
		if err == nil {
			cancel()
		}
	}
	fmt.Println(last.Succeeded+last.Failed, last.Running, last.Succeeded < 100)
	// Output: 100 0 true
}

func ExampleRepeatable() {
	lost := &privicore.StepError{Step: privicore.StepCommit, Err: privicore.ErrAmbiguous}
	refused := &privicore.StepError{Step: privicore.StepCommit, Err: privicore.ErrForbidden}
	fmt.Println(privicore.Repeatable(lost), privicore.Repeatable(refused))
	// Output: false true
}

func ExampleDataTokenService_StoreFile() {
	ctx := context.Background()
	client, cipher, stop := sealedSandbox()
	defer stop()
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "report.txt")
	if err := os.WriteFile(path, []byte("the report"), 0o600); err != nil {
		log.Fatal(err)
	}

	token, err := client.DataToken.StoreFile(ctx, path, privicore.Payload{Cipher: cipher, Context: "reports"})
	if err != nil {
		log.Fatal(err)
	}
	found, err := client.DataToken.List(ctx, privicore.DataTokenFilter{Token: token})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(found[0].FileName, found[0].Extension, found[0].Size)
	// Output: report.txt txt 10
}

func ExampleDataTokenService_RetrieveFile() {
	ctx := context.Background()
	client, cipher, stop := sealedSandbox()
	defer stop()
	token, err := client.DataToken.Store(ctx, privicore.Payload{Data: strings.NewReader("the report"), Cipher: cipher, Context: "reports"})
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	path := filepath.Join(dir, "report.txt")
	if err := client.DataToken.RetrieveFile(ctx, token, path, privicore.Retrieval{Cipher: cipher}); err != nil {
		log.Fatal(err) // a file that was at path is as it was
	}
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", text)
	// Output: the report
}

// A command line tool that runs for a second authenticates only if the last token has
// expired.
func ExampleWithTokenCache() {
	dir, err := os.UserCacheDir()
	if err != nil {
		log.Fatal(err)
	}
	client, err := privicore.NewClient(
		privicore.FromEnv(),
		privicore.WithTokenCache(privicore.FileTokenCache(filepath.Join(dir, "my-tool", "privicore.json"))),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close() // the token stays good, for the next run
}

func ExampleFileTokenCache() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "tokens.json")
	client, stop := sandbox(privicore.WithTokenCache(privicore.FileTokenCache(path)))
	defer stop()
	if _, err := client.Profile.ID(context.Background()); err != nil {
		log.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Name(), info.Size() > 0)
	// Output: tokens.json true
}

// An access token that several processes refresh is kept where all of them find it.
func ExampleOAuthService_CachedTokenSource() {
	service, stop := sandbox()
	defer stop()
	first := &privicore.AccessToken{ // from OAuth.ObtainAccessToken, when the application was authorized
		Token: privicore.NewSecret("T-…"), RefreshToken: privicore.NewSecret("R-…"),
	}
	cache := privicore.FileTokenCache("/var/lib/billing/privicore.json")
	source, err := service.OAuth.CachedTokenSource(first, cache, "billing of alice")
	if err != nil {
		log.Fatal(err)
	}
	client, err := privicore.NewClient(privicore.FromEnv(), privicore.WithTokenSource(source))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}

// memoryCache shares tokens between the clients of one process.
type memoryCache struct {
	mu     sync.Mutex
	tokens map[string]privicore.CachedToken
}

// Update implements privicore.TokenCache.
func (c *memoryCache) Update(_ context.Context, key string, change func(privicore.CachedToken) (privicore.CachedToken, error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	token, err := change(c.tokens[key])
	if err != nil {
		return err
	}
	c.tokens[key] = token
	return nil
}

func ExampleTokenCache() {
	cache := &memoryCache{tokens: make(map[string]privicore.CachedToken)}
	client, stop := sandbox(privicore.WithTokenCache(cache))
	defer stop()
	if _, err := client.Profile.ID(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(cache.tokens), "token")
	// Output: 1 token
}

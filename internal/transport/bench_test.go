package transport

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// stub answers without a network, as cheaply as it can be done.
type stub struct{}

func (stub) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return &http.Response{
		StatusCode: 200, Header: http.Header{}, ContentLength: 2, Body: io.NopCloser(strings.NewReader("[]")),
	}, nil
}

func BenchmarkCall(b *testing.B) {
	b.Run("by hand", func(b *testing.B) {
		client := &http.Client{Transport: stub{}}
		b.ReportAllocs()
		for b.Loop() {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "https://api.test/path", strings.NewReader("a=b"))
			if err != nil {
				b.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				b.Fatal(err)
			}
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, stall := range map[string]time.Duration{"Do": time.Minute, "Do without stall timeout": 0} {
		b.Run(name, func(b *testing.B) {
			t := New(Config{Client: &http.Client{Transport: stub{}}, MaxRetries: 3, StallTimeout: stall})
			r := command("https://api.test/path")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := t.Do(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

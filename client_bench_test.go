package privicore_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/privicore/privicore-go"
)

// The two benchmarks do the same call, once through the client and once by
// hand, so that their difference is what the client costs: retry policy, token,
// checks, errors. "stub" answers without a network and shows allocations and
// time of the client's side alone, "server" is a real server in this process.

func BenchmarkTypedCall(b *testing.B) {
	benchmarkRemove(b, func(base string, hc *http.Client) func() (string, error) {
		c, err := privicore.NewClient(privicore.WithBaseURL(base), privicore.WithToken(fakeToken), privicore.WithHTTPClient(hc))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close() })
		return func() (string, error) {
			cmd, err := c.Device.Remove(context.Background(), "0197358e-6c2b-7f40-9d1a-3e5b7c9d0f11")
			if err != nil {
				return "", err
			}
			return cmd.ID, nil
		}
	})
}

func BenchmarkHandWritten(b *testing.B) {
	benchmarkRemove(b, func(base string, hc *http.Client) func() (string, error) {
		return func() (string, error) {
			form := url.Values{"deviceIdentifier": {"0197358e-6c2b-7f40-9d1a-3e5b7c9d0f11"}}
			req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, base+"/device/remove", strings.NewReader(form.Encode()))
			if err != nil {
				return "", err
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Accept", "application/json")
			req.Header.Set("X-DPT-AUTHORIZATION", fakeToken)
			resp, err := hc.Do(req)
			if err != nil {
				return "", err
			}
			defer resp.Body.Close()
			if _, err := io.ReadAll(resp.Body); err != nil {
				return "", err
			}
			if resp.StatusCode != http.StatusAccepted {
				return "", fmt.Errorf("status %d", resp.StatusCode)
			}
			return resp.Header.Get("X-DPT-CAB-ID"), nil
		}
	})
}

const benchID = "01973590-11aa-7c3e-8f00-a1b2c3d4e5f6"

// accepting is the smallest RoundTripper there can be.
type accepting struct{ header http.Header }

func (a accepting) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusAccepted, Header: a.header, Body: http.NoBody, Request: r}, r.Body.Close()
}

func benchmarkRemove(b *testing.B, remover func(base string, hc *http.Client) func() (string, error)) {
	b.Run("stub", func(b *testing.B) {
		run(b, remover(fakeURL, &http.Client{Transport: accepting{http.Header{"X-Dpt-Cab-Id": {benchID}}}}))
	})
	b.Run("server", func(b *testing.B) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-DPT-CAB-ID", benchID)
			w.WriteHeader(http.StatusAccepted)
		}))
		defer server.Close()
		pool := new(http.Transport)
		defer pool.CloseIdleConnections()
		run(b, remover(server.URL, &http.Client{Transport: pool}))
	})
}

func run(b *testing.B, remove func() (string, error)) {
	b.ReportAllocs()
	for b.Loop() {
		id, err := remove()
		if err != nil || id != benchID {
			b.Fatal(id, err)
		}
	}
}

// Metrics of a Privicore client for Prometheus. The program works on a sandbox in
// this process, and prints what it serves under /metrics. With -addr it goes on
// serving:
//
//	go run . -addr 127.0.0.1:9464
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/contrib/otelprivicore"
	"github.com/privicore/privicore-go/privicoretest"
)

func main() {
	log.SetFlags(0)
	addr := flag.String("addr", "", "where to serve /metrics after the work; nowhere by default")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	metrics, err := run(ctx, os.Stdout)
	if err != nil {
		log.Fatal(err)
	}
	if *addr != "" {
		log.Fatal(http.ListenAndServe(*addr, metrics)) //nolint:gosec // an example on loopback
	}
}

// run does some work, prints its metrics and returns the handler that serves them.
func run(ctx context.Context, out io.Writer) (http.Handler, error) {
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		return nil, err
	}
	hooks, err := otelprivicore.Hooks(otelprivicore.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(exporter))))
	if err != nil {
		return nil, err
	}
	if err := work(ctx, hooks); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux, printCounts(ctx, mux, out)
}

// work onboards a device.
func work(ctx context.Context, hooks privicore.Hooks) error {
	server, err := privicoretest.Start(privicoretest.WithProfile("alice", "correct horse"))
	if err != nil {
		return err
	}
	defer server.Close()
	client, err := privicore.NewClient(
		privicore.WithBaseURL(server.URL),
		privicore.WithWebSocketURL(server.WebSocketURL),
		privicore.WithCredentials("alice", "correct horse"),
		privicore.WithHooks(hooks),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = client.Device.Onboard(ctx, "kitchen tablet")
	return err
}

// printCounts prints how often each operation was called and each wait ended.
func printCounts(ctx context.Context, metrics http.Handler, out io.Writer) error {
	answer := httptest.NewRecorder()
	metrics.ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil))
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, _, _ := strings.Cut(lines.Text(), "{")
		if strings.HasPrefix(name, "privicore_") && strings.HasSuffix(name, "_count") {
			fmt.Fprintln(out, lines.Text())
		}
	}
	return lines.Err()
}

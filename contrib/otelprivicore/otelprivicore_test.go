package otelprivicore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/contrib/otelprivicore"
	"github.com/privicore/privicore-go/privicoretest"
)

const password = "planted-password"

// rig is a client whose spans and metrics are kept in memory.
type rig struct {
	*privicore.Client
	server *privicoretest.Server
	spans  *tracetest.SpanRecorder
	reader *metric.ManualReader
	sent   *sentTokens
}

// sentTokens notes the tokens that a client sends.
type sentTokens struct {
	mu     sync.Mutex
	tokens []string
}

func (s *sentTokens) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.tokens = append(s.tokens, r.Header.Values("X-DPT-AUTHORIZATION")...)
	s.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}

func newRig(t *testing.T, opts ...privicore.Option) *rig {
	t.Helper()
	r := &rig{
		server: privicoretest.NewServer(t, privicoretest.WithProfile("alice", password)),
		spans:  tracetest.NewSpanRecorder(),
		reader: metric.NewManualReader(),
		sent:   new(sentTokens),
	}
	hooks, err := otelprivicore.Hooks(
		otelprivicore.WithTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(r.spans))),
		otelprivicore.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(r.reader))),
	)
	require.NoError(t, err)
	r.Client, err = privicore.NewClient(append([]privicore.Option{
		privicore.WithBaseURL(r.server.URL),
		privicore.WithWebSocketURL(r.server.WebSocketURL),
		privicore.WithCredentials("alice", password),
		privicore.WithHooks(hooks),
		privicore.WithHTTPClient(&http.Client{Transport: r.sent}),
	}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, r.Close()) })
	return r
}

// span returns the only span of a name.
func (r *rig) span(t *testing.T, name string) trace.ReadOnlySpan {
	t.Helper()
	var found []trace.ReadOnlySpan
	for _, span := range r.spans.Ended() {
		if span.Name() == name {
			found = append(found, span)
		}
	}
	require.Len(t, found, 1, name)
	return found[0]
}

// attributes returns the attributes of a span as "key=value".
func attributes(span trace.ReadOnlySpan, keys ...string) []string {
	var texts []string
	for _, a := range span.Attributes() {
		if slices.Contains(keys, string(a.Key)) {
			texts = append(texts, string(a.Key)+"="+a.Value.String())
		}
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// counts returns how often a histogram or a counter has something under each set of
// attributes.
func (r *rig) counts(t *testing.T, metric string) map[string]int {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, r.reader.Collect(t.Context(), &all))
	counts := make(map[string]int)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != metric {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, point := range data.DataPoints {
					counts[label(point.Attributes)] += int(point.Count)
				}
			case metricdata.Sum[int64]:
				for _, point := range data.DataPoints {
					counts[label(point.Attributes)] += int(point.Value)
				}
			}
		}
	}
	return counts
}

func label(set attribute.Set) string {
	var texts []string
	for _, a := range set.ToSlice() {
		texts = append(texts, a.Value.String())
	}
	return strings.Join(texts, " ")
}

func TestOperations(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()

	cmd, err := r.Device.RequestIdentifier(ctx, "tablet") // accepted
	require.NoError(t, err)
	r.server.Next("Utility.Health", privicoretest.Fault{Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"0"}}})
	_, err = r.Utility.Health(ctx) // repeated
	require.NoError(t, err)
	_, err = r.Device.Configuration(ctx, "019735db-0000-7000-8000-00000000dead") // refused
	require.ErrorIs(t, err, privicore.ErrNotFound)
	r.server.Next("Storage.Register", privicoretest.Fault{Status: http.StatusBadGateway})
	_, err = r.Storage.Register(ctx, "019735db-0000-7000-8000-00000000dead") // ambiguous
	require.ErrorIs(t, err, privicore.ErrAmbiguous)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = r.Device.List(ended) // canceled
	require.ErrorIs(t, err, context.Canceled)
	_, err = cmd.Wait(ctx) // pushed
	require.NoError(t, err)

	span := r.span(t, "Device.RequestIdentifier")
	assert.Equal(t, codes.Unset, span.Status().Code)
	assert.Contains(t, attributes(span, "privicore.command.id"), "privicore.command.id="+cmd.ID)
	assert.Equal(t, []string{"http.response.status_code=202"}, attributes(span, "http.response.status_code", "error.type"))

	span = r.span(t, "Utility.Health")
	assert.Equal(t, []string{"http.request.resend_count=1", "http.response.status_code=200"}, attributes(span, "http.request.resend_count", "http.response.status_code"))
	require.Len(t, span.Events(), 1)
	assert.Contains(t, fmt.Sprint(span.Events()[0].Attributes), "503")

	for name, want := range map[string][]string{
		"Device.Configuration": {"error.type=not_found", "http.response.status_code=404"},
		"Storage.Register":     {"error.type=502", "http.response.status_code=502", "privicore.ambiguous=true"},
		"Device.List":          {"error.type=canceled"},
	} {
		span := r.span(t, name)
		assert.Equal(t, codes.Error, span.Status().Code)
		assert.Equal(t, want, attributes(span, "error.type", "http.response.status_code", "privicore.ambiguous"))
	}

	span = r.span(t, "wait Device.RequestIdentifier")
	assert.Equal(t, []string{"privicore.outcome=succeeded", "privicore.polls=0", "privicore.pushed=true"}, attributes(span, "privicore.outcome", "privicore.pushed", "privicore.polls", "error.type"))

	assert.Equal(t, map[string]int{
		"202 Device.RequestIdentifier": 1, "200 Utility.Health": 1, "200 Profile.Authenticate": 1,
		"not_found 404 Device.Configuration": 1, "502 502 true Storage.Register": 1, "canceled Device.List": 1,
	}, r.counts(t, "privicore.client.operation.duration"))
	assert.Equal(t, map[string]int{"Utility.Health": 1}, r.counts(t, "privicore.client.operation.retries"))
	assert.Equal(t, map[string]int{"Device.RequestIdentifier succeeded true": 1}, r.counts(t, "privicore.client.wait.duration"))
	r.assertNoSecrets(t)
}

// Every operation has one span and one count under its name. That the client calls
// the hooks once for each is tested in its own package.
func TestEveryOperation(t *testing.T) {
	t.Parallel()
	spans, reader := tracetest.NewSpanRecorder(), metric.NewManualReader()
	hooks, err := otelprivicore.Hooks(
		otelprivicore.WithTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(spans))),
		otelprivicore.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))),
	)
	require.NoError(t, err)
	r := &rig{spans: spans, reader: reader}
	for _, operation := range privicoretest.Operations() {
		ctx, end := hooks.Call(t.Context(), operation)
		end(privicore.CallReport{Attempts: 1, StatusCode: 200})
		span := r.span(t, operation)
		assert.Equal(t, span.SpanContext(), oteltrace.SpanContextFromContext(ctx), "what is done for it is below it")
		assert.Equal(t, oteltrace.SpanKindClient, span.SpanKind())
		assert.Equal(t, 1, r.counts(t, "privicore.client.operation.duration")["200 "+operation])
	}
}

// A wait that polls has the polls as children.
func TestPollsAreChildren(t *testing.T) {
	t.Parallel()
	r := newRig(t, privicore.WithWebSocketURL(""))
	cmd, err := r.Device.RequestIdentifier(t.Context(), "tablet")
	require.NoError(t, err)
	_, err = r.Command(cmd.ID).Wait(t.Context())
	require.NoError(t, err)
	wait := r.span(t, "wait Command")
	polls := 0
	for _, span := range r.spans.Ended() {
		if span.Name() == "Utility.RequestStatus" {
			polls++
			assert.Equal(t, wait.SpanContext().SpanID(), span.Parent().SpanID())
		}
	}
	assert.Positive(t, polls)
	assert.Equal(t, []string{fmt.Sprintf("privicore.polls=%d", polls), "privicore.pushed=false"}, attributes(wait, "privicore.polls", "privicore.pushed"))
}

func TestRejected(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.server.Next("Device.RequestIdentifier", privicoretest.Fault{Reject: []string{"device.blocked"}})
	_, err := r.Device.Onboard(t.Context(), "tablet")
	require.ErrorIs(t, err, privicore.ErrRejected)
	span := r.span(t, "wait Device.RequestIdentifier")
	assert.Equal(t, []string{"error.type=rejected", "privicore.outcome=rejected"}, attributes(span, "error.type", "privicore.outcome"))
	assert.Equal(t, map[string]int{"rejected Device.RequestIdentifier rejected true": 1}, r.counts(t, "privicore.client.wait.duration"))
}

// assertNoSecrets looks for what a client keeps to itself in all that was reported.
func (r *rig) assertNoSecrets(t *testing.T) {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, r.reader.Collect(t.Context(), &all))
	text := fmt.Sprintf("%+v", all)
	for _, stub := range tracetest.SpanStubsFromReadOnlySpans(r.spans.Ended()) {
		text += fmt.Sprintf("%+v", stub)
	}
	assert.NotContains(t, text, password)
	assert.NotRegexp(t, `auth=\w`, text)
	require.NotEmpty(t, r.sent.tokens)
	for _, token := range r.sent.tokens {
		assert.NotContains(t, text, token)
	}
}

// Errors have one of a few names, so that metrics stay small.
func TestErrorTypes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for status, want := range map[int]string{401: "unauthorized", 403: "forbidden", 404: "not_found", 409: "conflict", 418: "418", 422: "validation", 500: "500"} {
		attempts := map[int]int{401: 2, 500: 4}[status]
		for range max(attempts, 1) {
			r.server.Next("PublicKey.Retrieve", privicoretest.Fault{Status: status})
		}
		_, err := r.PublicKey.Retrieve(t.Context())
		require.Error(t, err)
		assert.Positive(t, r.counts(t, "privicore.client.operation.duration")[fmt.Sprintf("%s %d PublicKey.Retrieve", want, status)], "%d", status)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Nanosecond, errors.New("a cause"))
	defer cancel()
	_, err := r.Utility.Health(ctx)
	require.Error(t, err)
	assert.Equal(t, 1, r.counts(t, "privicore.client.operation.duration")["timeout Utility.Health"])
	require.NoError(t, r.Close())
	_, err = r.Utility.Health(t.Context())
	require.ErrorIs(t, err, privicore.ErrClosed)
	assert.Equal(t, 1, r.counts(t, "privicore.client.operation.duration")["closed Utility.Health"])
}

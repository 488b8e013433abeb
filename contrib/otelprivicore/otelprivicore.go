// Package otelprivicore reports what a Privicore client does to OpenTelemetry, as
// spans and metrics.
//
//	hooks, err := otelprivicore.Hooks()
//	if err != nil {
//		return err
//	}
//	client, err := privicore.NewClient(privicore.FromEnv(), privicore.WithHooks(hooks))
//
// Each operation is a span of kind client with the name of the operation, such as
// "Device.Approve". Each wait is a span of kind internal whose name has "wait "
// before that of the operation. A wait that polls has the polls as children. The
// spans of an instrumented RoundTripper are children too.
//
// # Attributes
//
//	privicore.operation           such as "Device.Approve"
//	privicore.command.id          of a command or a poll; on spans only
//	privicore.outcome             of a wait: "succeeded", "rejected", or "none"
//	privicore.pushed              of a wait: the end came over the WebSocket channel
//	privicore.polls               of a wait: how often the server was asked; on spans only
//	http.response.status_code     of the last answer
//	http.request.resend_count     how often the operation was sent again; on spans only
//	http.request.body.size        in bytes; on spans only
//	http.response.body.size       in bytes; on spans only
//	error.type                    of a failure; see below
//
// Why an operation was sent again is an event "retry" on its span.
//
// error.type is one of: "validation", "unauthorized", "forbidden", "not_found",
// "conflict", "rate_limited", "rejected", "no_command_id", "unexpected_answer",
// "token", "closed", "timeout", "canceled", a status code such as "502", or
// "_OTHER". An error after which the server may have carried out the operation
// has the attribute privicore.ambiguous as well.
//
// # Metrics
//
//	privicore.client.operation.duration   histogram of seconds
//	privicore.client.operation.retries    counter
//	privicore.client.wait.duration        histogram of seconds
//
// The histograms count the operations and the waits. No attribute of a metric
// holds an id.
package otelprivicore

import (
	"context"
	"errors"
	"net"
	"strconv"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/privicore/privicore-go"
)

const scope = "github.com/privicore/privicore-go/contrib/otelprivicore"

// An Option changes where Hooks reports to.
type Option func(*config)

type config struct {
	tracers trace.TracerProvider
	meters  metric.MeterProvider
}

// WithTracerProvider sets where spans go. The default is the global provider.
func WithTracerProvider(p trace.TracerProvider) Option {
	return func(c *config) { c.tracers = p }
}

// WithMeterProvider sets where metrics go. The default is the global provider.
func WithMeterProvider(p metric.MeterProvider) Option {
	return func(c *config) { c.meters = p }
}

// Hooks returns hooks for privicore.WithHooks. Several clients may use them. The
// error is that of the MeterProvider.
func Hooks(opts ...Option) (privicore.Hooks, error) {
	c := config{tracers: otel.GetTracerProvider(), meters: otel.GetMeterProvider()}
	for _, opt := range opts {
		opt(&c)
	}
	r := recorder{tracer: c.tracers.Tracer(scope, trace.WithInstrumentationVersion(privicore.Version))}
	if err := r.makeInstruments(c.meters.Meter(scope, metric.WithInstrumentationVersion(privicore.Version))); err != nil {
		return privicore.Hooks{}, err
	}
	return privicore.Hooks{Call: r.call, Wait: r.wait}, nil
}

// recorder makes spans and records metrics.
type recorder struct {
	tracer  trace.Tracer
	calls   metric.Float64Histogram
	retries metric.Int64Counter
	waits   metric.Float64Histogram
}

// The bounds that OpenTelemetry advises for the duration of HTTP requests, and
// longer ones for votes.
var (
	callBounds = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	waitBounds = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}
)

func (r *recorder) makeInstruments(meter metric.Meter) error {
	var errs [3]error
	r.calls, errs[0] = meter.Float64Histogram("privicore.client.operation.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of operations, with all attempts."), metric.WithExplicitBucketBoundaries(callBounds...))
	r.retries, errs[1] = meter.Int64Counter("privicore.client.operation.retries", metric.WithUnit("{retry}"),
		metric.WithDescription("Number of times that an operation was sent again."))
	r.waits, errs[2] = meter.Float64Histogram("privicore.client.wait.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of waits for commands, data and polls."), metric.WithExplicitBucketBoundaries(waitBounds...))
	return errors.Join(errs[:]...)
}

const (
	operationKey = attribute.Key("privicore.operation")
	commandKey   = attribute.Key("privicore.command.id")
	outcomeKey   = attribute.Key("privicore.outcome")
	pushedKey    = attribute.Key("privicore.pushed")
	pollsKey     = attribute.Key("privicore.polls")
	ambiguousKey = attribute.Key("privicore.ambiguous")

	statusKey   = attribute.Key("http.response.status_code")
	resendKey   = attribute.Key("http.request.resend_count")
	sentKey     = attribute.Key("http.request.body.size")
	receivedKey = attribute.Key("http.response.body.size")
	errorKey    = attribute.Key("error.type")
)

func (r *recorder) call(ctx context.Context, operation string) (context.Context, func(privicore.CallReport)) {
	ctx, span := r.tracer.Start(ctx, operation, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(operationKey.String(operation)))
	return ctx, func(report privicore.CallReport) {
		shared := []attribute.KeyValue{operationKey.String(operation)}
		if report.StatusCode != 0 {
			shared = append(shared, statusKey.Int(report.StatusCode))
		}
		shared = append(shared, failure(report.Err)...)
		if n := len(report.Retries); n > 0 {
			r.retries.Add(ctx, int64(n), metric.WithAttributes(operationKey.String(operation)))
			span.SetAttributes(resendKey.Int(n))
		}
		r.calls.Record(ctx, report.Duration.Seconds(), metric.WithAttributes(shared...))

		for _, retry := range report.Retries {
			span.AddEvent("retry", trace.WithAttributes(because(retry)...))
		}
		if report.CommandID != "" {
			span.SetAttributes(commandKey.String(report.CommandID))
		}
		span.SetAttributes(sentKey.Int64(report.Sent), receivedKey.Int64(report.Received))
		end(span, shared, report.Err)
	}
}

// because returns why an operation was sent again.
func because(retry privicore.Retry) []attribute.KeyValue {
	attributes := []attribute.KeyValue{attribute.Float64("privicore.pause", retry.Pause.Seconds())}
	if retry.Err != nil {
		return append(attributes, errorKey.String(errorType(retry.Err)))
	}
	return append(attributes, statusKey.Int(retry.StatusCode))
}

func (r *recorder) wait(ctx context.Context, operation, id string) (context.Context, func(privicore.WaitReport)) {
	if operation == "" {
		operation = "Command" // made by Client.Command from its id
	}
	ctx, span := r.tracer.Start(ctx, "wait "+operation, trace.WithAttributes(operationKey.String(operation), commandKey.String(id)))
	return ctx, func(report privicore.WaitReport) {
		outcome := string(report.Status)
		if outcome == "" {
			outcome = "none"
		}
		shared := append([]attribute.KeyValue{
			operationKey.String(operation), outcomeKey.String(outcome), pushedKey.Bool(report.Pushed),
		}, failure(report.Err)...)
		r.waits.Record(ctx, report.Duration.Seconds(), metric.WithAttributes(shared...))
		span.SetAttributes(pollsKey.Int(report.Polls))
		end(span, shared, report.Err)
	}
}

// end ends a span. The text of the errors of package privicore holds no secrets.
func end(span trace.Span, attributes []attribute.KeyValue, err error) {
	span.SetAttributes(attributes...)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// failure returns the attributes that describe an error, or none for nil.
func failure(err error) []attribute.KeyValue {
	if err == nil {
		return nil
	}
	attributes := []attribute.KeyValue{errorKey.String(errorType(err))}
	if errors.Is(err, privicore.ErrAmbiguous) {
		attributes = append(attributes, ambiguousKey.Bool(true))
	}
	return attributes
}

// errorTypes are the names of errors. The first that matches counts.
var errorTypes = []struct {
	err  error
	name string
}{
	{privicore.ErrClosed, "closed"},
	{context.DeadlineExceeded, "timeout"},
	{context.Canceled, "canceled"},
	{privicore.ErrRejected, "rejected"},
	{privicore.ErrNoCommandID, "no_command_id"},
	{privicore.ErrUnexpectedAnswer, "unexpected_answer"},
	{privicore.ErrValidation, "validation"},
	{privicore.ErrUnauthorized, "unauthorized"},
	{privicore.ErrForbidden, "forbidden"},
	{privicore.ErrNotFound, "not_found"},
	{privicore.ErrConflict, "conflict"},
	{privicore.ErrRateLimited, "rate_limited"},
}

// errorType returns a name of an error that is one of a few.
func errorType(err error) string {
	for _, known := range errorTypes {
		if errors.Is(err, known.err) {
			return known.name
		}
	}
	if _, ok := errors.AsType[*privicore.TokenError](err); ok {
		return "token"
	}
	if answer, ok := errors.AsType[*privicore.APIError](err); ok {
		return strconv.Itoa(answer.StatusCode)
	}
	if failed, ok := errors.AsType[net.Error](err); ok && failed.Timeout() {
		return "timeout"
	}
	return "_OTHER"
}

package transport

import (
	"log/slog"
	"time"
)

// log writes the line of a call or a stream that has ended. It keeps to the
// path, because queries and bodies hold secrets.
func (c *call) log(status int, bytes int64, err error) {
	if c.started.IsZero() {
		return
	}
	path := c.path
	if c.Redact != nil {
		path = c.Redact(path)
	}
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs,
		slog.String("operation", c.Operation), slog.String("method", c.Method),
		slog.String("path", path), slog.Int("attempts", c.attempts))
	if status != 0 {
		attrs = append(attrs, slog.Int("status", status))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	attrs = append(attrs, slog.Int64("bytes", bytes), slog.Duration("took", time.Since(c.started)))
	c.t.logger.LogAttrs(c.ctx, slog.LevelDebug, "privicore: call", attrs...)
}

// logPause writes the line of a pause that begins.
func (c *call) logPause() {
	if c.started.IsZero() {
		return
	}
	reason := slog.Int("status", c.retry.status)
	if c.retry.err != nil {
		reason = slog.String("error", c.redact(explain(c.ctx, c.retry.err)).Error())
	}
	c.t.logger.LogAttrs(c.ctx, slog.LevelDebug, "privicore: pause before another attempt",
		slog.String("operation", c.Operation), slog.Int("attempt", c.attempts), reason, slog.Duration("pause", c.retry.pause))
}

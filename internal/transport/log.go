package transport

import (
	"log/slog"
	"time"
)

// done reports and logs a call or a download that has ended.
func (c *call) done(status int, received int64, err error) {
	c.report(status, int64(len(c.Body)), received, err)
	c.log(status, received, err)
}

// sent reports and logs an upload that has ended.
func (c *call) sent(status int, sent, received int64, err error) {
	c.report(status, sent, received, err)
	c.log(status, sent, err)
}

func (c *call) report(status int, sent, received int64, err error) {
	if c.Report != nil {
		c.Report(Report{Attempts: c.attempts, Retries: c.retries, StatusCode: status, Sent: sent, Received: received, Err: err})
	}
}

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

// pauses notes why the call is sent again, and logs the pause that begins.
func (c *call) pauses() {
	if c.Report == nil && c.started.IsZero() {
		return
	}
	retry := Retry{StatusCode: c.retry.status, Pause: c.retry.pause}
	reason := slog.Int("status", c.retry.status)
	if c.retry.err != nil {
		retry.Err = c.redact(explain(c.ctx, c.retry.err))
		reason = slog.String("error", retry.Err.Error())
	}
	c.retries = append(c.retries, retry)
	if c.started.IsZero() {
		return
	}
	c.t.logger.LogAttrs(c.ctx, slog.LevelDebug, "privicore: pause before another attempt",
		slog.String("operation", c.Operation), slog.Int("attempt", c.attempts), reason, slog.Duration("pause", c.retry.pause))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/operation"
)

// verdict is what the report says about an operation.
type verdict int

// The verdicts.
const (
	confirmed verdict = iota
	differs
	notReachable
	notTried
)

// finding is what was learned about an operation. Its texts are written into the
// report as they are, so nothing in them may be a value that the server sent.
type finding struct {
	op *operation.Operation // nil for the WebSocket channel
	s  *session

	differences []string
	notes       []string
	unreachable string    // why the operation is not reachable, or ""
	untried     string    // why it was not tried, or ""
	answer      string    // status and shape of the answer, or ""
	began       time.Time // of the last call
}

func (f *finding) verdict() verdict {
	switch {
	case f.untried != "":
		return notTried
	case len(f.differences) > 0:
		return differs
	case f.unreachable != "":
		return notReachable
	}
	return confirmed
}

// differs adds a difference.
func (f *finding) differs(format string, args ...any) {
	f.differences = appendOnce(f.differences, fmt.Sprintf(format, args...))
}

// note adds something that is worth knowing and no difference.
func (f *finding) note(format string, args ...any) {
	f.notes = appendOnce(f.notes, fmt.Sprintf(format, args...))
}

func appendOnce(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

// expect adds a difference unless the condition holds.
func (f *finding) expect(holds bool, otherwise string) {
	if !holds {
		f.differs("%s", otherwise)
	}
}

// stuck says that the operation could not be tried, because a call of another
// operation failed that prepares it.
func (f *finding) stuck(op *operation.Operation) bool {
	f.unreachable = fmt.Sprintf("needs %s, which did not do what it should", op.Name)
	return false
}

// send carries out a call of the operation and returns the last answer. It returns
// nil if the answer is no success; the finding then says what it is.
func (f *finding) send(ctx context.Context, call func(ctx context.Context) error) *exchange {
	ctx, tape := record(ctx, f.op)
	f.began = time.Now()
	err := call(ctx)
	answers := tape.all()
	if len(answers) == 0 {
		f.unreachable = "no request was sent: " + cause(err)
		return nil
	}
	last := &answers[len(answers)-1]
	for i := range answers[:len(answers)-1] {
		f.detour(&answers[i])
	}
	if !f.success(last, err) {
		return nil
	}
	switch {
	case err == nil || waiting(err):
	case f.elsewhere(err):
		f.note("another call that belongs to it failed")
	default:
		f.differs("the client cannot use the answer: %s", cause(err))
	}
	return last
}

// detour judges an answer after which the request was sent again.
func (f *finding) detour(e *exchange) {
	switch {
	case e.status >= 300 && e.status < 400:
		f.differs("the request is redirected (%d) to %s", e.status, f.target(e))
	case e.status == http.StatusUnauthorized && f.op.Auth == operation.Token:
		f.differs("the token is refused (401), and a new one is accepted")
	case e.status == http.StatusUnauthorized:
		f.note("a first way to authorize was refused (401)")
	case e.status == http.StatusNotFound:
		f.note("it was not visible at first (404)")
	case e.status == 0:
		f.note("a first attempt had no answer")
	default:
		f.note("a first attempt was answered with %d", e.status)
	}
}

// target returns where a redirect leads.
func (f *finding) target(e *exchange) string {
	u, err := url.Parse(e.header.Get("Location"))
	switch {
	case err != nil || e.header.Get("Location") == "":
		return "an address that cannot be read"
	case u.Host != "" && !strings.HasSuffix(f.s.settings.apiURL, "://"+u.Host):
		return "another server"
	}
	return "`" + f.s.secrets.path(u.Path) + "`"
}

// success reports whether an answer is a success. It describes one that is not.
func (f *finding) success(e *exchange, err error) bool {
	if e.status == 0 {
		f.unreachable = "no answer: " + cause(err)
		return false
	}
	f.answer = f.s.secrets.answer(e)
	switch {
	case e.status >= 300 && e.status < 400:
		f.differs("the request is redirected (%d) to %s", e.status, f.target(e))
	case e.status == http.StatusNotFound, e.status == http.StatusMethodNotAllowed, e.status == http.StatusNotImplemented:
		f.unreachable = fmt.Sprintf("the server answers %d", e.status) + f.reasons(e)
	case e.page():
		f.unreachable = fmt.Sprintf("a page in HTML comes back, with status %d", e.status)
	case e.status < 200 || e.status > 299:
		f.differs("the call is refused with %d%s", e.status, f.reasons(e))
	default:
		return true
	}
	return false
}

// reasons returns the keys in an answer, for the end of a sentence.
func (f *finding) reasons(e *exchange) string {
	return f.named(f.s.secrets.keys(e.json()))
}

func (f *finding) named(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return ": `" + strings.Join(keys, "`, `") + "`"
}

// value carries out a call that returns a value, and compares the answer with the
// form that is known. It returns nil if the call is no success.
func (f *finding) value(ctx context.Context, form check, call func(ctx context.Context) error) *exchange {
	e := f.send(ctx, call)
	if e == nil {
		return nil
	}
	f.status(e, http.StatusOK)
	f.body(e, form)
	return e
}

// soon does what value does. It repeats the call while the server answers 404,
// for a few seconds, because what was just made may not be visible yet.
func (f *finding) soon(ctx context.Context, form check, call func(ctx context.Context) error) *exchange {
	return f.value(ctx, form, func(ctx context.Context) error {
		return eventually(ctx, func() error { return call(ctx) })
	})
}

// settling is how long eventually goes on.
const settling = 5 * time.Second

// eventually repeats a call while it is not found.
func eventually(ctx context.Context, call func() error) error {
	pause := 100 * time.Millisecond
	for deadline := time.Now().Add(settling); ; pause *= 2 {
		err := call()
		if !errors.Is(err, privicore.ErrNotFound) || time.Now().Add(pause).After(deadline) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// status compares the status of a success.
func (f *finding) status(e *exchange, want ...int) {
	if slices.Contains(want, e.status) {
		return
	}
	known := make([]string, 0, len(want))
	for _, status := range want {
		known = append(known, fmt.Sprint(status))
	}
	f.differs("the status is %d, not %s", e.status, strings.Join(known, " or "))
}

// body compares the body of an answer.
func (f *finding) body(e *exchange, form check) {
	v := e.json()
	if !v.Exists() {
		f.differs("the body is not JSON")
		return
	}
	p := &probe{secrets: f.s.secrets}
	form(p, "the body", v)
	for _, problem := range p.problems {
		f.differs("%s", problem)
	}
	if len(p.extra) > 0 {
		slices.Sort(p.extra)
		f.note("not known so far: %s", strings.Join(slices.Compact(p.extra), ", "))
	}
	if media := e.mediaType(); media != "application/json" && !strings.HasSuffix(media, "+json") {
		f.note("the Content-Type is not that of JSON")
	}
	f.s.dialect.times(f.op, v)
}

// waiting reports whether an error comes from the wait for a command and not from
// the call that started it.
func waiting(err error) bool {
	_, wait := errors.AsType[*privicore.WaitError](err)
	return wait || errors.Is(err, privicore.ErrRejected)
}

// elsewhere reports whether an error is the answer to a call of another operation.
func (f *finding) elsewhere(err error) bool {
	refused, ok := errors.AsType[*privicore.APIError](err)
	return ok && refused.Operation != f.op.Name
}

// sound reports whether nothing wrong is known of an operation.
func (s *session) sound(op *operation.Operation) bool {
	v := s.finding(op).verdict()
	return v == confirmed || v == notTried
}

// cause returns what an error is about. The text of an error may quote the
// server, so it is not shown.
func cause(err error) string {
	_, invalid := errors.AsType[*privicore.ValidationError](err)
	refused, answered := errors.AsType[*privicore.APIError](err)
	_, noToken := errors.AsType[*privicore.TokenError](err)
	switch {
	case err == nil:
		return "no error"
	case errors.Is(err, context.DeadlineExceeded):
		return "the time was over"
	case errors.Is(err, context.Canceled):
		return "the run was interrupted"
	case errors.Is(err, privicore.ErrClosed):
		return "the client was closed"
	case noToken:
		return "there is no token"
	case invalid:
		return "the client finds a parameter that cannot be right"
	case errors.Is(err, privicore.ErrNoCommandID):
		return "there is no command id where it looks"
	case errors.Is(err, privicore.ErrUnexpectedAnswer):
		return "it lacks what the call is for, or cannot be read"
	case errors.Is(err, privicore.ErrNonce):
		return "it answers another request"
	case errors.Is(err, privicore.ErrRejected):
		return "the command was rejected"
	case answered:
		return fmt.Sprintf("a call is answered with %d", refused.StatusCode)
	}
	return "the connection failed or stalled"
}

// holds reports whether a text is somewhere in a JSON value.
func holds(v gjson.Result, text string) bool {
	if !v.IsObject() && !v.IsArray() {
		return text != "" && v.Type == gjson.String && strings.EqualFold(v.Str, text)
	}
	found := false
	v.ForEach(func(_, member gjson.Result) bool {
		found = holds(member, text)
		return !found
	})
	return found
}

// entry returns the element of an array that has a text in it.
func entry(v gjson.Result, text string) gjson.Result {
	for _, e := range v.Array() {
		if holds(e, text) {
			return e
		}
	}
	return gjson.Result{}
}

package privicore

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/transport"
	"github.com/privicore/privicore-go/internal/wait"
	"github.com/privicore/privicore-go/internal/wire"
)

// Sentinel errors, for errors.Is. They describe the call that returned the error,
// not a call that the client made for it, such as fetching a token.
var (
	// ErrUnauthorized means that there is no token, that the token has expired or
	// was revoked, or that credentials are wrong (401).
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden means that the token is good and the operation is not
	// allowed (403), for example before the profile has a public key.
	ErrForbidden = errors.New("forbidden")
	// ErrNotFound means that what the call names does not exist (404).
	ErrNotFound = errors.New("not found")
	// ErrConflict means that something exists already (409), for example a
	// username.
	ErrConflict = errors.New("conflict")
	// ErrValidation means that a parameter was refused: by this package, with a
	// *ValidationError, or by the server (422).
	ErrValidation = errors.New("validation failed")
	// ErrRateLimited means that there were too many calls (429), and that trying
	// again did not help or would have taken too long. APIError.RetryAfter is the
	// pause that the server asks for.
	ErrRateLimited = errors.New("rate limited")
	// ErrRejected means that the server accepted a command and then rejected
	// it. The error is a *CommandError.
	ErrRejected = errors.New("command was rejected")
	// ErrNoCommandID means that the server accepted a command and sent no id
	// for it. The command may be running, so ErrAmbiguous matches too.
	ErrNoCommandID = errors.New("answer carries no command id")
	// ErrUnexpectedAnswer means that the answer reports success and cannot be
	// read, or that it is a redirect that the client does not follow.
	ErrUnexpectedAnswer = errors.New("unexpected answer")
	// ErrAmbiguous means that the server may have carried out the call. The
	// client did not send it again for that reason. An error of a call that does
	// not match ErrAmbiguous means that the server did not carry it out.
	ErrAmbiguous = errors.New("the server may have carried out the call")
	// ErrClosed means that the client was closed.
	ErrClosed = errors.New("client is closed")
)

// callSentinels describe the caller's own call. A TokenError does not match them.
var callSentinels = []error{
	ErrForbidden, ErrNotFound, ErrConflict, ErrValidation, ErrRateLimited, ErrRejected,
	ErrNoCommandID, ErrUnexpectedAnswer, ErrAmbiguous,
}

// A MessageKey is a machine-readable reason that servers give, such as
// "oauth.already_retrieved". It is an error, so that errors.Is finds it in an
// *APIError and in a *CommandError:
//
//	if errors.Is(err, privicore.KeyAlreadyRetrieved) { … }
//
// Servers may send keys that have no constant here. Any string can be converted.
type MessageKey string

// The keys that are known.
const (
	// KeyProfileRegistered is the outcome of Profile.Register.
	KeyProfileRegistered MessageKey = "profile.profile_registered"
	// KeyNotAnOwner refuses what only the owner of a profile may do.
	KeyNotAnOwner MessageKey = "profile.not_an_owner"
	// KeyAlreadyRetrieved refuses the second OAuth.TakeConfiguration.
	KeyAlreadyRetrieved MessageKey = "oauth.already_retrieved"
)

// Error returns the key.
func (k MessageKey) Error() string { return string(k) }

// isKey reports whether target is a MessageKey among messages.
func isKey(target error, messages []string) bool {
	key, ok := target.(MessageKey)
	return ok && slices.Contains(messages, string(key))
}

// A FieldError is one parameter and what is wrong with it.
type FieldError struct {
	Field   string // the parameter's name on the wire
	Message string
}

// String returns the field and the message.
func (e FieldError) String() string { return e.Field + ": " + e.Message }

// A ValidationError means that a parameter cannot be right and that nothing was
// sent. It matches ErrValidation.
type ValidationError struct {
	Operation string // such as "Device.Approve"
	Field     string // the parameter's name on the wire
	Reason    string
}

// Error returns the operation, the field and the reason.
func (e *ValidationError) Error() string {
	return fmt.Sprintf("privicore: %s: %s %s", e.Operation, e.Field, e.Reason)
}

// Is reports whether target is ErrValidation.
func (e *ValidationError) Is(target error) bool { return target == ErrValidation }

// An APIError is an answer that reports a failure or that cannot be used. It
// matches the sentinel error of its status code, and the MessageKeys among its
// Messages. An answer that cannot be used matches ErrUnexpectedAnswer or
// ErrNoCommandID.
type APIError struct {
	Operation  string // such as "Device.Approve"
	Method     string
	Path       string
	StatusCode int
	// Messages is what the server said: sentences, or keys such as
	// "oauth.already_retrieved". Secrets that were sent are taken out.
	Messages []string
	// Fields are the parameters that the server refused. If a 422 names none and
	// the call has only one parameter, Fields holds that parameter.
	Fields []FieldError
	// Parameters are the names of the parameters that were sent.
	Parameters []string
	// RetryAfter is the pause that the server asks for, or 0.
	RetryAfter time.Duration
	// Response is the answer as it came. Secrets in it are not taken out.
	Response *Response

	err       error // why the answer cannot be used
	ambiguous bool
}

// Error returns the operation, the call and what the server said.
func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "privicore: %s: %s %s: %d %s", e.Operation, e.Method, e.Path, e.StatusCode, http.StatusText(e.StatusCode))
	if e.err != nil {
		b.WriteString(": " + e.err.Error())
	}
	for _, f := range e.Fields {
		b.WriteString(": " + f.String())
	}
	for _, message := range e.Messages {
		if !slices.ContainsFunc(e.Fields, func(f FieldError) bool { return f.Message == message }) {
			b.WriteString(": " + message)
		}
	}
	if e.StatusCode == http.StatusUnprocessableEntity && len(e.Fields) == 0 && len(e.Parameters) > 0 {
		fmt.Fprintf(&b, " (sent: %s)", strings.Join(e.Parameters, ", "))
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, " (retry after %s)", e.RetryAfter)
	}
	return b.String()
}

// statusSentinels are the sentinel errors of status codes.
var statusSentinels = map[error]int{
	ErrUnauthorized: http.StatusUnauthorized,
	ErrForbidden:    http.StatusForbidden,
	ErrNotFound:     http.StatusNotFound,
	ErrConflict:     http.StatusConflict,
	ErrValidation:   http.StatusUnprocessableEntity,
	ErrRateLimited:  http.StatusTooManyRequests,
}

// Is reports whether target is the sentinel error of the status code or one of
// the messages. It also reports true for ErrAmbiguous if the server may have
// carried out the call.
func (e *APIError) Is(target error) bool {
	if target == ErrAmbiguous {
		return e.ambiguous
	}
	if isKey(target, e.Messages) {
		return true
	}
	for sentinel, status := range statusSentinels {
		if target == sentinel {
			return e.StatusCode == status
		}
	}
	return false
}

// Unwrap returns why the answer cannot be used. It returns nil if the server
// reported a failure.
func (e *APIError) Unwrap() error { return e.err }

// A CommandError is the outcome of a command that the server accepted and then
// rejected. It matches ErrRejected, and the MessageKeys among its Messages.
type CommandError struct {
	ID string
	// Operation is what the command was for, such as "Device.Approve". It is
	// empty for a command that was made by Client.Command.
	Operation string
	Messages  []string // the reasons that the server gave, without secrets that were sent
}

// Error returns the command and the reasons.
func (e *CommandError) Error() string {
	reason := strings.Join(e.Messages, "; ")
	if reason == "" {
		reason = "no reason given"
	}
	return fmt.Sprintf("privicore: %scommand %s was rejected: %s", prefix(e.Operation), e.ID, reason)
}

// Is reports whether target is ErrRejected or one of the messages.
func (e *CommandError) Is(target error) bool {
	return target == ErrRejected || isKey(target, e.Messages)
}

// prefix returns the beginning of an error of an operation, which may be unknown.
func prefix(operation string) string {
	if operation == "" {
		return ""
	}
	return operation + ": "
}

// A WaitError means that a wait ended, and that its command or poll may still be
// running. A program can wait for the same ID again, also in another process. A
// WaitError matches the error that ended the wait: ctx.Err(), ErrClosed, or the
// last of the failures that lasted too long.
type WaitError struct {
	ID string // of the command or the poll
	// Operation is what the command was for, such as "Device.Approve". It is
	// empty for a command that was made by Client.Command.
	Operation string
	Err       error // why the wait ended
	// LastPoll is the error of the last poll, or nil. errors.Is does not look at
	// it.
	LastPoll error
}

// Error returns what was waited for and why the wait ended.
func (e *WaitError) Error() string {
	text := fmt.Sprintf("privicore: %swait for %s: %s", prefix(e.Operation), e.ID, unprefixed(e.Err))
	if e.LastPoll != nil {
		text += " (last poll: " + unprefixed(e.LastPoll) + ")"
	}
	return text
}

// Unwrap returns why the wait ended.
func (e *WaitError) Unwrap() error { return e.Err }

// unprefixed returns the text of err without the name of the package, for use
// inside another error.
func unprefixed(err error) string { return strings.TrimPrefix(err.Error(), "privicore: ") }

// A TokenError means that the client could not get a token for a call. The call
// was not made, or was answered with 401 and not made again.
//
// A TokenError matches ErrUnauthorized, ErrClosed and ctx.Err() if Err does. It
// matches neither the other sentinel errors nor a MessageKey, because they describe
// the call that was to fetch the token. To ask for those, use Err:
// errors.Is(tokenError.Err, ErrRateLimited). errors.As finds the *APIError of
// Profile.Authenticate in it.
type TokenError struct {
	Err error // why there is no token
}

// Error returns why there is no token.
func (e *TokenError) Error() string { return "privicore: no token: " + unprefixed(e.Err) }

// Is reports whether Err matches target, unless target is a sentinel error or a key
// that describes the call that was to fetch the token.
func (e *TokenError) Is(target error) bool {
	if _, ok := target.(MessageKey); ok || slices.Contains(callSentinels, target) {
		return false
	}
	return errors.Is(e.Err, target)
}

// As finds the first error in Err that matches target.
func (e *TokenError) As(target any) bool { return errors.As(e.Err, target) }

// renewalError is the error of a call whose token was refused and could not be
// renewed.
type renewalError struct {
	refusal *APIError // matches ErrUnauthorized
	err     error
}

func (e *renewalError) Error() string {
	return e.refusal.Error() + "; the token could not be renewed: " + unprefixed(e.err)
}

func (e *renewalError) Unwrap() []error { return []error{e.refusal, e.err} }

// callError is a call without an answer.
type callError struct {
	operation *operation.Operation
	err       error
	ambiguous bool
}

func (e *callError) Error() string {
	note := ""
	if e.ambiguous {
		note = " (" + ErrAmbiguous.Error() + ")"
	}
	return fmt.Sprintf("privicore: %s: %s %s: %s%s", e.operation.Name, e.operation.Method, e.operation.Path, unprefixed(e.err), note)
}

func (e *callError) Unwrap() error        { return e.err }
func (e *callError) Is(target error) bool { return target == ErrAmbiguous && e.ambiguous }

// newCallError returns the error of a call that the transport got no answer to.
func newCallError(op *operation.Operation, err error) error {
	failed, ok := errors.AsType[*transport.Error](err)
	return &callError{operation: op, err: err, ambiguous: ok && failed.Ambiguous}
}

// newAPIError returns the error for an answer to r that is no success.
func newAPIError(r *request, resp *Response) *APIError {
	op := r.op
	e := &APIError{
		Operation:  op.Name,
		Method:     op.Method,
		Path:       op.Path,
		StatusCode: resp.StatusCode,
		Parameters: r.names(),
		Response:   resp,
		ambiguous:  !op.Idempotent && mayHaveRun(resp),
	}
	e.RetryAfter, _ = transport.RetryAfter(resp.Header)
	messages, fields := wire.ErrorBody(resp.Body, e.Parameters...)
	if resp.StatusCode == http.StatusUnprocessableEntity && len(fields) == 0 {
		said := messages
		if !wire.IsJSON(resp.Body) {
			said = nil // the message is this package's own
		}
		fields = wire.GuessFields(said, e.Parameters)
	}
	clean := r.redactor()
	e.Path = clean(op.Path) // the caller of Do chose it
	for _, message := range messages {
		e.Messages = append(e.Messages, clean(message))
	}
	for _, f := range fields {
		e.Fields = append(e.Fields, FieldError{clean(f.Field), clean(f.Message)})
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		e.err = fmt.Errorf("%w: a redirect that leaves the server or changes the method is not followed", ErrUnexpectedAnswer)
	}
	return e
}

// mayHaveRun reports whether the server may have carried out a call that it
// answered with this failure. A refusal means that it did not.
func mayHaveRun(resp *Response) bool {
	switch resp.StatusCode {
	case http.StatusFound, http.StatusSeeOther:
		return true // web servers answer a form with these once they have processed it
	case http.StatusRequestTimeout:
		return true
	case http.StatusNotImplemented:
		return false
	case http.StatusServiceUnavailable:
		_, said := transport.RetryAfter(resp.Header)
		return !said
	}
	return resp.StatusCode >= 500
}

// unreadable returns the error for a success whose body cannot be read.
func unreadable(r *request, resp *Response, why string) error {
	return unusable(r, resp, fmt.Errorf("%w: %s", ErrUnexpectedAnswer, why))
}

// unusable returns the error for a success that lacks what the caller asked for.
func unusable(r *request, resp *Response, why error) error {
	e := newAPIError(r, resp)
	e.Messages, e.Fields = nil, nil // they would be parts of a value
	e.err = why
	e.ambiguous = !r.op.Idempotent
	return e
}

// classify returns what a failure means for a wait, and the pause that the server
// asks for.
func classify(err error) (wait.Class, time.Duration) {
	if token, ok := errors.AsType[*TokenError](err); ok {
		// The 401 of the call itself, beside it, only says that a token is needed.
		switch {
		case errors.Is(token.Err, ErrRateLimited):
			return wait.Limited, retryAfter(token.Err)
		case errors.Is(token, ErrUnauthorized), errors.Is(token, ErrClosed):
			return wait.Final, 0
		}
		return wait.Passing, 0
	}
	if e, ok := errors.AsType[*APIError](err); ok {
		return classOf(e), e.RetryAfter
	}
	switch {
	case errors.Is(err, ErrRateLimited):
		return wait.Limited, 0
	case errors.Is(err, ErrClosed), errors.Is(err, ErrValidation):
		return wait.Final, 0
	}
	return wait.Passing, 0
}

// retryAfter returns the pause that an answer asks for, or 0 if err is no answer.
func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*APIError](err); ok {
		return e.RetryAfter
	}
	return 0
}

func classOf(e *APIError) wait.Class {
	switch e.StatusCode {
	case http.StatusNotFound:
		return wait.NotFound
	case http.StatusTooManyRequests:
		return wait.Limited
	case http.StatusUnprocessableEntity:
		return wait.Final
	case http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly:
		return wait.Passing
	}
	if e.StatusCode >= 400 && e.StatusCode < 500 {
		return wait.Refused
	}
	return wait.Passing
}

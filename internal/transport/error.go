package transport

import (
	"context"
	"errors"
	"fmt"
	"net/url"
)

var (
	errMalformedURL  = errors.New("malformed URL")
	errAnsweredEarly = errors.New("the server answered before it had all of the data")
)

// Error is a call or a stream without a usable answer.
type Error struct {
	// Err says what went wrong. Its chain holds no secret.
	Err error
	// Ambiguous means that the server may have carried out a request that must
	// not be sent again blindly.
	Ambiguous bool
	// Attempts is how often the request was sent, as far as it got.
	Attempts int
}

// Error returns the text of Err.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether the error is a timeout. Together with Temporary it makes
// Error a net.Error, which is what programs ask for.
func (e *Error) Timeout() bool { return isTimeout(e.Err) }

// Temporary returns what Timeout returns. net.Error requires it.
func (e *Error) Temporary() bool { return e.Timeout() }

func isTimeout(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}

// redacted takes the place of an error that shows a secret, in its own text or in
// its chain. It matches what that error matches, but does not unwrap to it. It holds
// the error in functions, because %#v shows fields.
type redacted struct {
	text    string
	matches func(target error) bool
	timeout bool
}

func (e *redacted) Error() string        { return e.text }
func (e *redacted) Is(target error) bool { return e.matches(target) }
func (e *redacted) Timeout() bool        { return e.timeout }

// redact returns err, or an error in its place that shows no secret.
func (r *Request) redact(err error) error {
	if r.Redact == nil || r.clean(err) {
		return err
	}
	return &redacted{
		text:    r.Redact(err.Error()),
		matches: func(target error) bool { return errors.Is(err, target) },
		timeout: isTimeout(err),
	}
}

// clean reports whether no text in the chain of err shows a secret.
func (r *Request) clean(err error) bool {
	if text := err.Error(); r.Redact(text) != text {
		return false
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		inner := e.Unwrap()
		return inner == nil || r.clean(inner)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if inner != nil && !r.clean(inner) {
				return false
			}
		}
	}
	return true
}

// explain removes the URL from an error. If ctx has ended, it makes the error match
// ctx.Err(), because net/http reports the cause of a context in its place.
func explain(ctx context.Context, err error) error {
	err = withoutURL(err)
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w", ended, err)
	}
	return err
}

// withoutURL takes the URL out of an error of net/http, because it may hold a
// token.
func withoutURL(err error) error {
	outer, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err
	}
	inner := outer.Err
	for e, ok := errors.AsType[*url.Error](inner); ok; e, ok = errors.AsType[*url.Error](inner) {
		inner = e.Err // a RoundTripper that is a client itself
	}
	if !outer.Timeout() || errors.Is(inner, context.DeadlineExceeded) || errors.Is(inner, ErrStalled) {
		return inner
	}
	return fmt.Errorf("timeout: %w", inner)
}

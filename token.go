package privicore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/privicore/privicore-go/internal/lifecycle"
	"github.com/privicore/privicore-go/internal/operation"
)

// An AuthorizationToken authorizes calls in the name of a profile.
type AuthorizationToken struct {
	Token Secret `json:"authorizationToken"`
	// ExpiresAt is when the server stops accepting the token. It is zero if that
	// is not known.
	ExpiresAt time.Time `json:"expiresAt"`
}

func (t *AuthorizationToken) missing() string {
	if t.Token.IsZero() {
		return "authorizationToken"
	}
	return ""
}

// A TokenSource supplies authorization tokens, for example from a vault or from
// another process.
type TokenSource interface {
	// Token returns a new token. The client keeps the token. It calls Token
	// again when the token is about to expire or was refused, once for all
	// goroutines, so Token need not cache.
	//
	// ctx has the values of the context of the call that needs the token. It
	// does not end with that call, but with the client or after 30 seconds. The
	// client waits 2 seconds more for Token to return, and then goes on without it.
	// An error that matches ErrUnauthorized means that asking again cannot help.
	Token(ctx context.Context) (*AuthorizationToken, error)
}

const (
	// renewAhead is how long before its expiry a token is renewed, at most. A
	// token with a short life is renewed when a tenth of it is left.
	renewAhead = time.Minute
	// renewTimeout bounds one renewal.
	renewTimeout = 30 * time.Second
	// fetchGrace is how long a TokenSource may take to return after its context
	// has ended.
	fetchGrace = 2 * time.Second
	// refusalLasts is how long a failed renewal is the answer to all who ask to
	// renew the same token.
	refusalLasts = time.Second
	// renewPause is the pause after a renewal that failed, while the token is
	// still good.
	renewPause = 5 * time.Second
)

var errNoToken = fmt.Errorf("%w: the client has no token; use WithToken, WithCredentials or WithTokenSource", ErrUnauthorized)

// tokens holds the token of a client and renews it.
type tokens struct {
	scope *lifecycle.Scope
	fetch func(context.Context) (*AuthorizationToken, error) // nil if there is nothing but the token
	// forget takes a token that was revoked out of the cache. It is nil if there is
	// no cache.
	forget func(value string)

	mu      sync.Mutex
	current *heldToken
	running *renewal
	refused refusal   // the last renewal that failed
	retryAt time.Time // when to try again to renew a token that is still good
}

// heldToken is a token and what is known of its life.
type heldToken struct {
	AuthorizationToken
	value   string
	renewAt time.Time // zero if it is kept until it is refused
}

// renewal is the fetching of a token, once for all that wait for it.
type renewal struct {
	done  chan struct{} // closed when value and err are set
	value string
	err   error
}

// refusal is a renewal that failed.
type refusal struct {
	token string // the expired token
	err   error
	until time.Time
}

// newTokens returns the tokens for a. authenticate gets one for credentials.
func newTokens(a auth, scope *lifecycle.Scope, authenticate func(ctx context.Context, username string, password Secret) (*AuthorizationToken, error)) *tokens {
	t := &tokens{scope: scope}
	switch {
	case a.source != nil:
		t.fetch = a.source.Token
	case a.username != "":
		t.fetch = func(ctx context.Context) (*AuthorizationToken, error) {
			return authenticate(ctx, a.username, a.password)
		}
	}
	if a.token != nil {
		t.set(a.token)
	}
	return t
}

// authenticate does what Profile.Authenticate does, for the client itself. It may
// be sent again like a read, because a second token leaves the first one good.
func (c *Client) authenticate(ctx context.Context, username string, password Secret) (*AuthorizationToken, error) {
	op := *operation.ProfileAuthenticate
	op.Idempotent = true
	return value[AuthorizationToken](ctx, c, &op, params{form: credentialsParams{username, password.Reveal()}})
}

// any reports whether there is a token or a way to one.
func (t *tokens) any() bool { return t.fetch != nil || t.held() != nil }

// held returns the current token, or nil.
func (t *tokens) held() *AuthorizationToken {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == nil {
		return nil
	}
	return &t.current.AuthorizationToken
}

// set replaces the current token.
func (t *tokens) set(token *AuthorizationToken) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.setLocked(token)
}

func (t *tokens) setLocked(token *AuthorizationToken) {
	h := &heldToken{AuthorizationToken: *token, value: token.Token.Reveal()}
	// A new token that seems to have expired was made by a clock that differs.
	// It is kept until the server refuses it.
	if life := time.Until(token.ExpiresAt); life > 0 {
		h.renewAt = token.ExpiresAt.Add(-min(renewAhead, life/10))
	}
	t.current, t.retryAt = h, time.Time{}
}

// drop forgets a token that was revoked.
func (t *tokens) drop(value string) {
	t.mu.Lock()
	if t.current != nil && t.current.value == value {
		t.current = nil
	}
	t.mu.Unlock()
	if t.forget != nil {
		t.forget(value)
	}
}

// get returns a token that has not expired, as far as is known. It renews a token
// that will soon expire in the background, and does not wait for that.
func (t *tokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	h, now := t.current, time.Now()
	switch {
	case h == nil && t.fetch == nil:
		t.mu.Unlock()
		return "", &TokenError{errNoToken}
	case h != nil && (t.fetch == nil || h.renewAt.IsZero() || now.Before(h.renewAt)):
		t.mu.Unlock()
		return h.value, nil
	case h != nil && now.Before(h.ExpiresAt):
		if now.After(t.retryAt) {
			t.start(ctx)
		}
		t.mu.Unlock()
		return h.value, nil
	}
	r := t.start(ctx)
	t.mu.Unlock()
	return t.await(ctx, r)
}

// renew returns a token other than the refused one. Without a way to get another
// it returns the refused one.
func (t *tokens) renew(ctx context.Context, refused string) (string, error) {
	t.mu.Lock()
	h := t.current
	switch {
	case t.fetch == nil:
		t.mu.Unlock()
		return refused, nil
	case h != nil && h.value != refused:
		t.mu.Unlock()
		return h.value, nil
	case t.refused.token == refused && time.Now().Before(t.refused.until):
		err := t.refused.err
		t.mu.Unlock()
		return "", err
	}
	r := t.start(ctx)
	t.mu.Unlock()
	return t.await(ctx, r)
}

// start begins a renewal, or returns the one in progress. The renewal has the
// values of ctx and does not end with it, because others wait for it too. The
// caller holds the lock.
func (t *tokens) start(ctx context.Context) *renewal {
	if t.running != nil {
		return t.running
	}
	r := &renewal{done: make(chan struct{})}
	t.running = r
	started := t.scope.Go(func() {
		ctx, cancel := t.scope.Detach(withoutCapture(ctx), renewTimeout)
		defer cancel()
		token, err := t.fetchBounded(ctx)
		t.finish(r, token, err)
	})
	if !started {
		t.running = nil
		r.err = ErrClosed
		close(r.done)
	}
	return r
}

// errSourceHangs means that a TokenSource did not return.
var errSourceHangs = errors.New("the token source did not return in time")

// fetchBounded calls fetch, and gives it up if it does not return when ctx has
// ended. A TokenSource that hangs must hold up neither the calls nor Close.
func (t *tokens) fetchBounded(ctx context.Context) (*AuthorizationToken, error) {
	type result struct {
		token *AuthorizationToken
		err   error
	}
	fetched := make(chan result, 1)
	go func() {
		token, err := t.fetch(ctx)
		fetched <- result{token, err}
	}()
	select {
	case r := <-fetched:
		return r.token, r.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(fetchGrace)
	defer timer.Stop()
	select {
	case r := <-fetched:
		return r.token, r.err
	case <-timer.C:
		return nil, fmt.Errorf("%w: %w", errSourceHangs, ctx.Err())
	}
}

// finish ends a renewal.
func (t *tokens) finish(r *renewal, token *AuthorizationToken, err error) {
	if err == nil {
		err = tokenUsable(token)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running = nil
	switch {
	case t.scope.Err() != nil:
		r.err = ErrClosed
	case err != nil:
		r.err = &TokenError{err}
		t.retryAt = time.Now().Add(renewPause)
		if t.current != nil {
			t.refused = refusal{t.current.value, r.err, time.Now().Add(refusalLasts)}
		}
	default:
		t.setLocked(token)
		r.value = t.current.value
	}
	close(r.done)
}

// tokenUsable returns why a token that a source returned cannot be used.
func tokenUsable(token *AuthorizationToken) error {
	if token == nil {
		return errors.New("the token source returned no token")
	}
	if problem := tokenProblem(token.Token.Reveal()); problem != "" {
		return fmt.Errorf("the token of the token source %s", problem)
	}
	return nil
}

// await waits for a renewal and returns its result.
func (t *tokens) await(ctx context.Context, r *renewal) (string, error) {
	select {
	case <-r.done:
		return r.value, r.err
	case <-ctx.Done():
		return "", &TokenError{ctx.Err()}
	case <-t.scope.Done():
		return "", ErrClosed
	}
}

package privicore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// An AuthorizationToken authorizes calls in the name of a profile.
type AuthorizationToken struct {
	Token Secret `json:"authorizationToken"`
	// ExpiresAt is when the server stops accepting the token; zero if that is
	// not known.
	ExpiresAt time.Time `json:"expiresAt"`
}

func (t *AuthorizationToken) missing() string {
	if t.Token.IsZero() {
		return "authorizationToken"
	}
	return ""
}

// A TokenSource supplies authorization tokens, for example from a vault or
// another process. The client keeps what it got and asks again when the token
// is about to expire or was refused, once for all goroutines; so Token should
// fetch anew each time.
//
// The context ends with the client, not with the call that needs the token.
type TokenSource interface {
	Token(ctx context.Context) (*AuthorizationToken, error)
}

const (
	// renewAhead is how long before its expiry a token is renewed, at most; a
	// token that lives shortly is renewed when a tenth of its life is left.
	renewAhead = time.Minute
	// renewTimeout bounds one renewal.
	renewTimeout = 30 * time.Second
	// refusalHolds is how long goroutines that hold the same dead token share
	// the refusal that one of them met.
	refusalHolds = time.Second
)

var errNoToken = fmt.Errorf("%w: the client has no token; use WithToken, WithCredentials or WithTokenSource", ErrUnauthorized)

// tokens holds the token of a client and renews it.
type tokens struct {
	client  *Client
	source  TokenSource // nil if there is nothing but the token
	current atomic.Pointer[heldToken]
	refused atomic.Pointer[refusal]
	flight  singleflight.Group
}

type heldToken struct {
	AuthorizationToken
	value   string
	renewAt time.Time // zero: not ahead of a refusal
}

// refusal is a renewal that failed.
type refusal struct {
	token string // the dead token
	err   error
	until time.Time
}

func newTokens(c *Client, a auth) *tokens {
	t := &tokens{client: c, source: a.source}
	if a.username != "" {
		t.source = credentials{c, a.username, a.password}
	}
	if a.token != nil {
		t.set(a.token)
	}
	return t
}

// credentials is the TokenSource of WithCredentials.
type credentials struct {
	client   *Client
	username string
	password Secret
}

func (c credentials) Token(ctx context.Context) (*AuthorizationToken, error) {
	return c.client.Profile.Authenticate(ctx, c.username, c.password.Reveal())
}

// any tells whether there is a token or a way to one.
func (t *tokens) any() bool { return t.source != nil || t.current.Load() != nil }

// held returns the current token, or nil.
func (t *tokens) held() *AuthorizationToken {
	if h := t.current.Load(); h != nil {
		return &h.AuthorizationToken
	}
	return nil
}

func (t *tokens) set(token *AuthorizationToken) *heldToken {
	h := &heldToken{AuthorizationToken: *token, value: token.Token.Reveal()}
	// A token that comes expired was made by a clock that is not ours; the
	// server will say when it is dead.
	if life := time.Until(token.ExpiresAt); life > 0 {
		h.renewAt = token.ExpiresAt.Add(-min(renewAhead, life/10))
	}
	t.current.Store(h)
	return h
}

// drop forgets a token that was revoked.
func (t *tokens) drop(value string) {
	if h := t.current.Load(); h != nil && h.value == value {
		t.current.CompareAndSwap(h, nil)
	}
}

// get returns a token that has not expired as far as is known.
func (t *tokens) get(ctx context.Context) (string, error) {
	h := t.current.Load()
	switch {
	case h == nil && t.source == nil:
		return "", errNoToken
	case h != nil && (t.source == nil || h.renewAt.IsZero() || time.Now().Before(h.renewAt)):
		return h.value, nil
	}
	value, err := t.fetch(ctx, h)
	if err != nil && h != nil && ctx.Err() == nil && time.Now().Before(h.ExpiresAt) {
		return h.value, nil // still good; the next call tries again
	}
	return value, err
}

// renew returns a token other than the refused one, or the refused one if
// there is no other to be had.
func (t *tokens) renew(ctx context.Context, refused string) (string, error) {
	h := t.current.Load()
	switch {
	case t.source == nil:
		return refused, nil
	case h != nil && h.value != refused:
		return h.value, nil
	}
	if r := t.refused.Load(); r != nil && r.token == refused && time.Now().Before(r.until) {
		return "", r.err
	}
	value, err := t.fetch(ctx, h)
	if err != nil && ctx.Err() == nil {
		t.refused.Store(&refusal{refused, err, time.Now().Add(refusalHolds)})
	}
	return value, err
}

// fetch replaces old, once for all goroutines that ask meanwhile. It is not
// bound to the context of the one that happens to be first.
func (t *tokens) fetch(ctx context.Context, old *heldToken) (string, error) {
	result := t.flight.DoChan("", func() (any, error) {
		if h := t.current.Load(); h != nil && h != old {
			return h.value, nil // another goroutine was faster
		}
		if !t.client.begin() {
			return "", ErrClosed
		}
		defer t.client.background.Done()
		ctx, cancel := context.WithTimeout(withoutCapture(context.WithoutCancel(ctx)), renewTimeout)
		defer cancel()
		defer context.AfterFunc(t.client.life, cancel)()

		token, err := t.source.Token(ctx)
		switch {
		case t.client.life.Err() != nil:
			return "", ErrClosed
		case err != nil:
			return "", err
		case token == nil || token.Token.IsZero():
			return "", errors.New("the token source returned no token")
		}
		return t.set(token).value, nil
	})
	select {
	case r := <-result:
		value, _ := r.Val.(string)
		return value, r.Err
	case <-ctx.Done():
		return "", ctx.Err()
	case <-t.client.life.Done():
		return "", ErrClosed
	}
}

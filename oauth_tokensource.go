package privicore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/privicore/privicore-go/internal/operation"
)

// OAuthTokenSource is a TokenSource that refreshes an access token. Make one with
// OAuthService.TokenSource, or with OAuthService.CachedTokenSource if other processes
// refresh the same token. It is safe for concurrent use, and several clients may
// share it. The first use by each further client causes a refresh.
type OAuthTokenSource struct {
	service *OAuthService
	keep    func(*AccessToken)
	flight  singleflight.Group
	shared  *sharedToken // nil if there is no cache

	mu      sync.Mutex
	current AccessToken
	given   bool      // the first token was handed out
	came    time.Time // when current was refreshed; zero for the first token
}

// sharedFor is how long a refreshed token is handed out again. Clients that share
// a source ask at about the same time. If each got a token of its own, each token
// would make the one before it useless.
const sharedFor = 2 * time.Second

// TokenSource returns a source that begins with token. It uses the fields Token,
// RefreshToken and ExpiresAt. It refreshes the token through this client, which must
// stay open. WithTokenSource gives the source to another client.
//
// The source calls keep, if it is not nil, with each new token before any client uses
// it. A program that needs access after a restart must store that token, because the
// refresh token before it was used up.
func (s *OAuthService) TokenSource(token *AccessToken, keep func(*AccessToken)) *OAuthTokenSource {
	source := &OAuthTokenSource{service: s, keep: keep}
	if token != nil {
		source.current = *token
	}
	return source
}

// Format keeps the tokens out of what fmt prints.
func (s *OAuthTokenSource) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "OAuthTokenSource") }

// Token implements TokenSource. The first call returns the token that the source
// began with, unless it has expired. A later call refreshes the token, unless that
// was done in the last two seconds. If ctx ends, the refresh still goes on, and a
// call soon after returns its token. If the server refuses the refresh, the error
// matches ErrUnauthorized.
func (s *OAuthTokenSource) Token(ctx context.Context) (*AuthorizationToken, error) {
	if s.service == nil {
		return nil, fmt.Errorf("%w: the token source does not come from OAuthService.TokenSource", ErrUnauthorized)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if token := s.held(); token != nil {
		return token, nil
	}
	result := s.flight.DoChan("", func() (any, error) {
		if token := s.held(); token != nil {
			return token, nil // it came after this call had looked
		}
		if s.shared != nil {
			return s.tokenFromCache(ctx)
		}
		return s.refresh(ctx)
	})
	select {
	case r := <-result:
		token, _ := r.Val.(*AuthorizationToken)
		return token, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// held returns the current token if it may be handed out as it is.
func (s *OAuthTokenSource) held() *AuthorizationToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	left, age := time.Until(s.current.ExpiresAt), time.Since(s.came)
	forever := s.current.ExpiresAt.IsZero()
	switch {
	case s.current.Token.IsZero():
		return nil
	case s.came.IsZero() && !s.given && s.shared == nil && (forever || left > 0):
		s.given = true
	case s.came.IsZero() || age > sharedFor || !forever && age > left:
		return nil // a token with a short life is shared for half of it
	}
	return &AuthorizationToken{Token: s.current.Token, ExpiresAt: s.current.ExpiresAt}
}

// refresh refreshes the token. It goes on after ctx ends, but ends when the client is
// closed. Only one call runs at a time.
func (s *OAuthTokenSource) refresh(ctx context.Context) (*AuthorizationToken, error) {
	s.mu.Lock()
	old := s.current
	s.mu.Unlock()
	if old.Token.IsZero() || old.RefreshToken.IsZero() {
		return nil, fmt.Errorf("%w: the access token is dead, and there is no refresh token", ErrUnauthorized)
	}
	c := s.service.client
	var token *AccessToken
	var err error
	done := make(chan struct{})
	started := c.scope.Go(func() {
		defer close(done)
		ctx, cancel := c.scope.Detach(withoutCapture(ctx), singleUseTimeout)
		defer cancel()
		token, err = value[AccessToken](ctx, c, operation.OAuthRefreshAccessToken, refreshParams(old.Token, old.RefreshToken))
	})
	if !started {
		return nil, ErrClosed
	}
	<-done
	switch {
	case err != nil && c.scope.Err() != nil:
		return nil, ErrClosed
	case err != nil:
		return nil, refusedRefresh(err)
	}
	if token.RefreshToken.IsZero() {
		token.RefreshToken = old.RefreshToken // a server that does not rotate
	}
	s.mu.Lock()
	s.current, s.came = *token, time.Now()
	s.mu.Unlock()
	fresh := &AuthorizationToken{Token: token.Token, ExpiresAt: token.ExpiresAt}
	if s.keep != nil {
		s.keep(token)
	}
	return fresh, nil
}

// refusals are the statuses, besides 401, with which servers refuse a refresh token.
var refusals = []int{
	http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound,
	http.StatusConflict, http.StatusGone, http.StatusUnprocessableEntity,
}

// refusedRefresh makes each refusal of a refresh token match ErrUnauthorized.
func refusedRefresh(err error) error {
	e, ok := errors.AsType[*APIError](err)
	if ok && slices.Contains(refusals, e.StatusCode) {
		return fmt.Errorf("%w: %w", ErrUnauthorized, err)
	}
	return err
}

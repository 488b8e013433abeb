package privicore

import (
	"cmp"
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A TokenCache keeps tokens so that several clients share them, also in different
// processes. FileTokenCache is one in a file. A cache in a database or a key store
// implements the same method.
type TokenCache interface {
	// Update calls change with the token under key, or with the zero CachedToken
	// if there is none. It keeps the token that change returns in its place; the
	// zero CachedToken removes it. If change returns an error, Update keeps what
	// was there and returns that error.
	//
	// While change runs, no other Update of the same key begins, in no process.
	// That is what makes processes authenticate once and refresh one after the
	// other. change calls the server, so it may take half a minute.
	//
	// ctx bounds how long Update waits until it can call change. Update calls
	// change at most once, and not after it has returned. An error of the cache
	// itself must not show a token. A key is a text of 64 hexadecimal digits that
	// reveals neither username nor password.
	Update(ctx context.Context, key string, change func(old CachedToken) (CachedToken, error)) error
}

// A CachedToken is a token in a TokenCache. A cache that writes it uses Secret.Reveal,
// because encoding/json does not show a Secret.
type CachedToken struct {
	Token Secret
	// RefreshToken is set for the token of an OAuthTokenSource.
	RefreshToken Secret
	// ExpiresAt is when the server stops accepting Token. It is zero if that is
	// not known.
	ExpiresAt time.Time
	// ObtainedAt is when the server gave the token.
	ObtainedAt time.Time
}

// IsZero reports whether there is no token.
func (t CachedToken) IsZero() bool { return t.Token.IsZero() && t.RefreshToken.IsZero() }

// usable reports whether the token is good as far as is known. refused is one that is
// not good any more.
func (t CachedToken) usable(refused string) bool {
	value := t.Token.Reveal()
	if value == refused || tokenProblem(value) != "" {
		return false
	}
	life := t.ExpiresAt.Sub(t.ObtainedAt)
	if t.ExpiresAt.IsZero() || life <= 0 {
		return true // the life is not known, or was measured by clocks that differ
	}
	return time.Now().Before(t.ExpiresAt.Add(-min(renewAhead, life/10)))
}

// newerThan reports whether the token was made after other, as far as is known.
func (t CachedToken) newerThan(other CachedToken) bool {
	switch {
	case t.IsZero() || other.IsZero():
		return other.IsZero()
	case !t.ExpiresAt.IsZero() && !other.ExpiresAt.IsZero():
		return t.ExpiresAt.After(other.ExpiresAt)
	}
	return t.ObtainedAt.After(other.ObtainedAt)
}

func (t CachedToken) authorization() *AuthorizationToken {
	return &AuthorizationToken{Token: t.Token, ExpiresAt: t.ExpiresAt}
}

const (
	// cacheTimeout bounds the wait for a cache that another process holds. It is
	// shorter than renewTimeout, so that there is time left to authenticate
	// without the cache.
	cacheTimeout = 15 * time.Second
	// keyRounds makes it slow to find a password by its key. A client needs the
	// key once.
	keyRounds = 100_000
)

// credentialsKey returns the key of credentials. It depends on the password, so that a
// client with a wrong password does not get the token of one with the right one.
func credentialsKey(baseURL, username string, password Secret) (string, error) {
	salt := sha256.Sum256([]byte("privicore credentials\x00" + baseURL + "\x00" + username))
	key, err := pbkdf2.Key(sha256.New, password.Reveal(), salt[:], keyRounds, sha256.Size)
	return hex.EncodeToString(key), err
}

// tokenKeeper gets the token of credentials through a cache.
type tokenKeeper struct {
	client *Client
	cache  TokenCache
	key    func() (string, error)
	fetch  func(context.Context) (*AuthorizationToken, error)
}

// cacheTokens puts the cache between the client and the authentication with its
// credentials. It is called before the client is used.
func (c *Client) cacheTokens() {
	auth := c.config.auth
	if c.config.tokenCache == nil || auth.username == "" {
		return
	}
	k := &tokenKeeper{client: c, cache: c.config.tokenCache, fetch: c.tokens.fetch}
	k.key = sync.OnceValues(func() (string, error) {
		return credentialsKey(c.config.baseURL, auth.username, auth.password)
	})
	c.tokens.fetch, c.tokens.forget = k.token, k.forget
}

// token returns the token in the cache, or authenticates and puts the new token
// there. It authenticates without the cache if the cache fails.
func (k *tokenKeeper) token(ctx context.Context) (*AuthorizationToken, error) {
	var refused string
	if held := k.client.tokens.held(); held != nil {
		refused = held.Token.Reveal()
	}
	var token *AuthorizationToken
	var refusal error // of the server
	err := k.update(ctx, func(old CachedToken) (CachedToken, error) {
		if old.usable(refused) {
			token = old.authorization()
			return old, nil
		}
		if token, refusal = k.fetch(ctx); refusal == nil {
			refusal = tokenUsable(token)
		}
		if refusal != nil {
			return CachedToken{}, refusal
		}
		return CachedToken{Token: token.Token, ExpiresAt: token.ExpiresAt, ObtainedAt: time.Now()}, nil
	})
	if refusal != nil {
		return nil, refusal
	}
	if err != nil {
		k.client.cacheFailed(ctx, err)
	}
	if token == nil {
		return k.fetch(ctx)
	}
	return token, nil
}

// forget removes a token that was revoked, unless another one is in its place.
func (k *tokenKeeper) forget(revoked string) {
	ctx := k.client.scope.Context()
	err := k.update(ctx, func(old CachedToken) (CachedToken, error) {
		if old.Token.Reveal() == revoked {
			return CachedToken{}, nil
		}
		return old, nil
	})
	if err != nil {
		k.client.cacheFailed(ctx, err)
	}
}

func (k *tokenKeeper) update(ctx context.Context, change func(CachedToken) (CachedToken, error)) error {
	key, err := k.key()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	return k.cache.Update(ctx, key, change)
}

// cacheFailed logs that a token was not shared.
func (c *Client) cacheFailed(ctx context.Context, err error) {
	c.config.logger.WarnContext(ctx, "privicore: the token cache failed", "error", err)
}

// CachedTokenSource returns a source like that of TokenSource, whose token is kept in
// cache under name. All sources with the same cache, name and base URL, also in other
// processes, refresh one after the other and use each other's tokens. That is needed
// where a refresh makes the old refresh token useless.
//
// name says whose token it is, for example "billing of alice". Sources of different
// profiles or applications must have different names. token is what the source begins
// with if nothing newer is in the cache; it may be nil. Of two tokens, the one that
// expires later is the newer one.
//
// If the cache fails before a refresh, the source does not refresh, because another
// process might do so too, and Token returns the error. If only the new token could
// not be written, the source uses it and the client of the service logs that with
// level Warn. A process that is killed during a refresh may lose the refresh token; the
// application then has to be authorized again.
func (s *OAuthService) CachedTokenSource(token *AccessToken, cache TokenCache, name string) (*OAuthTokenSource, error) {
	switch {
	case cache == nil:
		return nil, &ValidationError{Operation: "OAuth.CachedTokenSource", Field: "cache", Reason: "is nil"}
	case name == "":
		return nil, &ValidationError{Operation: "OAuth.CachedTokenSource", Field: "name", Reason: "is empty"}
	}
	key := sha256.Sum256([]byte("privicore access token\x00" + s.client.config.baseURL + "\x00" + name))
	source := s.TokenSource(token, nil)
	source.shared = &sharedToken{cache: cache, key: hex.EncodeToString(key[:])}
	return source, nil
}

// sharedToken is what an OAuthTokenSource knows of its token in a cache. Only one call
// of tokenFromCache runs at a time, and only that uses it.
type sharedToken struct {
	cache    TokenCache
	key      string
	given    string    // the token that the source handed out last
	obtained time.Time // when the server gave the current token; zero for the first one
}

// tokenFromCache returns the token in the cache, or refreshes it and puts the new one
// there. Only one call runs at a time.
func (s *OAuthTokenSource) tokenFromCache(ctx context.Context) (*AuthorizationToken, error) {
	c := s.service.client
	var token *AuthorizationToken
	var refusal error // of the server
	ctx, cancel := c.scope.Detach(ctx, singleUseTimeout)
	defer cancel()
	err := s.shared.cache.Update(ctx, s.shared.key, func(old CachedToken) (CachedToken, error) {
		newest := s.cached()
		if !newest.newerThan(old) {
			newest = old
		}
		s.take(newest)
		if newest.usable(s.shared.given) {
			token = newest.authorization()
			return newest, nil
		}
		if token, refusal = s.refresh(ctx); refusal != nil {
			return CachedToken{}, refusal
		}
		s.shared.obtained = time.Now()
		return s.cached(), nil
	})
	switch {
	case refusal != nil:
		return nil, refusal
	case token == nil && c.scope.Err() != nil:
		return nil, ErrClosed
	case token == nil:
		return nil, fmt.Errorf("privicore: the token cache failed: %w", cmp.Or(err, errNotCalled))
	case err != nil:
		c.cacheFailed(ctx, err)
	}
	s.shared.given = token.Token.Reveal()
	return token, nil
}

// errNotCalled is for a cache that does not keep to what TokenCache says.
var errNotCalled = errors.New("it did not call its function")

// cached returns the current token as it is kept in the cache.
func (s *OAuthTokenSource) cached() CachedToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return CachedToken{
		Token: s.current.Token, RefreshToken: s.current.RefreshToken,
		ExpiresAt: s.current.ExpiresAt, ObtainedAt: s.shared.obtained,
	}
}

// take makes a token the current one. It is not shared like one that was refreshed just
// now, because it may have been refused at another place already.
func (s *OAuthTokenSource) take(token CachedToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current.Token, s.current.RefreshToken, s.current.ExpiresAt = token.Token, token.RefreshToken, token.ExpiresAt
	s.shared.obtained, s.came = token.ObtainedAt, time.Time{}
}

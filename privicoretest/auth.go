package privicoretest

import (
	"net/http"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// authorize sets who calls, or returns why the call is refused.
func (s *state) authorize(c *call) *answer {
	switch c.op.Auth {
	case operation.Token:
		return s.authorizeToken(c)
	case operation.Basic:
		return s.authorizeBasic(c)
	case operation.Raw:
		return s.authorizeRaw(c)
	}
	return nil
}

func (s *state) authorizeToken(c *call) *answer {
	t := s.tokens[c.request.Header.Get("X-DPT-AUTHORIZATION")]
	if t == nil || !time.Now().Before(t.expires) {
		return unauthorized()
	}
	if t.profile.key == "" && c.op != operation.PublicKeyRegister {
		a := refuse(http.StatusForbidden, "profile.not_active", "The profile has no public key yet.")
		return &a
	}
	c.token, c.profile = t, t.profile
	return nil
}

func unauthorized() *answer {
	return new(refuse(http.StatusUnauthorized, "profile.unauthorized", "Unauthorized."))
}

// authorizeBasic accepts the id and secret of an application. The operation that
// obtains an access token accepts the authorization code alone too, as
// documented.
func (s *state) authorizeBasic(c *call) *answer {
	if id, secret, ok := c.request.BasicAuth(); ok {
		if app := s.oauth.applications[strings.ToLower(id)]; app != nil && app.secret == secret {
			c.application = app
			return nil
		}
	}
	if c.op == operation.OAuthObtainAccessToken {
		if g := s.oauth.codes[c.rawAuthorization()]; g != nil {
			c.application = g.application
			return nil
		}
	}
	return unauthorized()
}

// authorizeRaw accepts an access token that an application obtained. Refreshing
// accepts an expired one too.
func (s *state) authorizeRaw(c *call) *answer {
	t := s.tokens[c.rawAuthorization()]
	if t == nil || t.grant == nil {
		return unauthorized()
	}
	if c.op != operation.OAuthRefreshAccessToken && !time.Now().Before(t.expires) {
		return unauthorized()
	}
	c.token, c.profile = t, t.profile
	return nil
}

// rawAuthorization returns what follows "Basic" in Authorization, or "".
func (c *call) rawAuthorization() string {
	scheme, value, _ := strings.Cut(c.request.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Basic") {
		return ""
	}
	return value
}

package privicoretest

import (
	"net/http"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// authorize finds out who calls, or why the call is refused.
func (s *state) authorize(c *call) *answer {
	switch c.op.Auth {
	case operation.Token:
		return s.authorizeToken(c)
	}
	return nil
}

func (s *state) authorizeToken(c *call) *answer {
	t := s.tokens[c.request.Header.Get("X-DPT-AUTHORIZATION")]
	if t == nil || !time.Now().Before(t.expires) {
		a := refuse(http.StatusUnauthorized, "profile.unauthorized", "Unauthorized.")
		return &a
	}
	if t.profile.key == "" && c.op != operation.PublicKeyRegister {
		a := refuse(http.StatusForbidden, "profile.not_active", "The profile has no public key yet.")
		return &a
	}
	c.token, c.profile = t, t.profile
	return nil
}

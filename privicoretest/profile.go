package privicoretest

import (
	"crypto/rand"
	"maps"
	"net/http"
	"time"
)

// profile is an account.
type profile struct {
	username, password string
	id                 string
	key                string // signed public key; "" until one is registered
	devices            []*device
	voting             voting
	configurations     []*votingConfiguration
	dataTokens         []*dataToken
	applications       []*application
	policies           []*policy
	polls              []*poll
}

func newProfile(username, password string) *profile {
	return &profile{username: username, password: password, id: newID(), voting: defaultVoting}
}

// token is an authorization. Revoking it removes it from the state.
type token struct {
	secret  string
	profile *profile
	expires time.Time
	grant   *grant // nil unless an application obtained it
}

func (s *state) issue(p *profile) *token {
	t := &token{secret: "T-" + rand.Text(), profile: p, expires: time.Now().Add(s.config.tokenLifetime)}
	s.tokens[t.secret] = t
	return t
}

// credential answers with a token and its end.
func (s *state) credential(t *token) answer {
	return value(map[string]string{"authorizationToken": t.secret, "expiresAt": s.timestamp(t.expires)})
}

// taken reports whether a profile has the username, or a registration that
// still runs will give it to one.
func (s *state) taken(username string) bool {
	registration := s.names[username]
	return s.profiles[username] != nil || registration != nil && !registration.finished
}

func registerProfile(s *state, c *call) answer {
	username, password := c.text("username"), c.text("password")
	taken := s.taken(username)
	if taken && s.config.dialect == Observed {
		return refuse(http.StatusConflict, "profile.username_taken", "The username is taken.")
	}
	p := newProfile(username, password)
	if s.config.dialect == Observed {
		// The profile can authenticate as soon as its registration is accepted.
		s.profiles[username] = p
		c.undo = func() { s.withdraw(p) }
	}
	a := s.accept(c, func(*command) outcome {
		if taken {
			return rejected("profile.username_taken")
		}
		s.profiles[username] = p
		return succeeded("profile.profile_registered")
	})
	if !taken {
		s.names[username] = s.commands[a.command.id]
	}
	return a
}

// withdraw removes a profile whose registration was rejected, and its tokens.
func (s *state) withdraw(p *profile) {
	delete(s.profiles, p.username)
	maps.DeleteFunc(s.tokens, func(_ string, t *token) bool { return t.profile == p })
}

func authenticate(s *state, c *call) answer {
	p := s.profiles[c.text("username")]
	if p == nil || p.password != c.text("password") {
		return refuse(http.StatusUnauthorized, "profile.invalid_credentials", "Wrong username or password.")
	}
	return s.credential(s.issue(p))
}

func profileID(s *state, c *call) answer {
	return value(map[string]string{"profileId": c.profile.id})
}

func changePassword(s *state, c *call) answer {
	return s.accept(c, func(*command) outcome {
		if c.profile.password != c.text("currentPassword") {
			return rejected("profile.wrong_current_password")
		}
		c.profile.password = c.text("newPassword")
		return succeeded("profile.password_changed")
	})
}

const qrLifetime = 5 * time.Minute

func generateQRToken(s *state, c *call) answer {
	return value(map[string]string{"qrToken": "Q-" + rand.Text(), "expiresAt": s.timestamp(time.Now().Add(qrLifetime))})
}

func reauthorize(s *state, c *call) answer {
	extend := func() { c.token.expires = time.Now().Add(time.Duration(c.number("ttl")) * time.Second) }
	if s.config.dialect == Observed {
		return s.accept(c, func(*command) outcome {
			if s.tokens[c.token.secret] == nil {
				return rejected("profile.token_revoked")
			}
			extend()
			return succeeded("profile.authorization_token_reauthorized")
		})
	}
	extend()
	return s.credential(c.token)
}

func revokeToken(s *state, c *call) answer {
	delete(s.tokens, c.token.secret)
	return done()
}

func tokenExpiry(s *state, c *call) answer {
	return value(map[string]string{"expiresAt": s.timestamp(c.token.expires)})
}

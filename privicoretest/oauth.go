package privicoretest

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	codeLifetime    = 5 * time.Minute
	refreshLifetime = 30 * 24 * time.Hour

	allScopes = "all" // stands for every scope of an application
)

// oauth is the part of the state for applications.
type oauth struct {
	applications map[string]*application // by client id
	codes        map[string]*grant       // by authorization code
}

func newOAuth() oauth {
	return oauth{applications: make(map[string]*application), codes: make(map[string]*grant)}
}

// application is a program that asks profiles for access.
type application struct {
	id               string // of the command that registered it
	owner            *profile
	name             string
	clientID, secret string
	redirectURI      string
	scopes           []string
	retrieved        bool
	nonces           map[string]bool
	created          time.Time
}

// grant is the access of an application to a profile. It begins with a code,
// which is exchanged for a token, which is refreshed.
type grant struct {
	application    *application
	profile        *profile
	scope          string
	nonce          string
	taken          bool // the code was retrieved
	refresh        string
	refreshExpires time.Time
}

// applicationRecord is an application in a list.
type applicationRecord struct {
	ApplicationID string   `json:"applicationId"`
	Name          string   `json:"name"`
	ClientID      string   `json:"clientId"`
	RedirectURI   string   `json:"redirectUri"`
	Scopes        []string `json:"scopes"`
	CreatedAt     string   `json:"createdAt"`
}

// absoluteURL is a rule for a URI with scheme and host.
func absoluteURL(value any, given bool) string {
	if why := text(value, given); why != "" {
		return why
	}
	if u, err := url.Parse(value.(string)); err != nil || u.Scheme == "" || u.Host == "" {
		return "This value is not a valid URL."
	}
	return ""
}

// commaList is a rule for names between commas, none of them blank.
func commaList(value any, given bool) string {
	if why := text(value, given); why != "" {
		return why
	}
	if slices.Contains(split(value.(string)), "") {
		return "This value should be a list of names between commas."
	}
	return ""
}

func split(list string) []string {
	names := strings.Split(list, ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return names
}

func registerApplication(s *state, c *call) answer {
	return s.accept(c, func(cmd *command) outcome {
		app := &application{
			id:          cmd.id,
			owner:       c.profile,
			name:        c.text("name"),
			clientID:    newID(),
			secret:      rand.Text(),
			redirectURI: c.text("redirectUri"),
			scopes:      split(c.text("scopes")),
			nonces:      make(map[string]bool),
			created:     time.Now(),
		}
		s.oauth.applications[app.clientID] = app
		c.profile.applications = append(c.profile.applications, app)
		cmd.made = app
		return succeeded("oauth.application_registered")
	})
}

func noApplication() answer {
	return refuse(http.StatusNotFound, "oauth.application_not_found", "The application was not found.")
}

func applicationConfiguration(s *state, c *call) answer {
	cmd := s.command(c.text("applicationId"))
	if cmd == nil || cmd.owner != c.profile {
		return noApplication()
	}
	app, ok := cmd.made.(*application)
	if !ok {
		return noApplication()
	}
	if app.retrieved {
		// Clients look for this key, so it replaces the sentence in both dialects.
		const key = "oauth.already_retrieved"
		return refuse(http.StatusUnprocessableEntity, key, key)
	}
	app.retrieved = true
	return value(map[string]any{
		"applicationId": app.id,
		"clientId":      app.clientID,
		"clientSecret":  app.secret,
		"redirectUri":   app.redirectURI,
		"scopes":        app.scopes,
	})
}

func listApplications(s *state, c *call) answer {
	items := []applicationRecord{}
	for _, app := range c.profile.applications {
		items = append(items, applicationRecord{app.id, app.name, app.clientID, app.redirectURI, app.scopes, s.timestamp(app.created)})
	}
	return value(map[string]any{"items": items, "meta": map[string]int{"count": len(items)}})
}

// requestCode begins a grant. The answer has a command id in both dialects. As
// documented its status is 200, and the command has finished by then.
func requestCode(s *state, c *call) answer {
	app := s.oauth.applications[strings.ToLower(c.text("client_id"))]
	if app == nil {
		return noApplication()
	}
	nonce, scopes := c.text("nonce"), c.texts("scope[]")
	if app.nonces[nonce] {
		return invalid(problem{"nonce", "This nonce was used before."})
	}
	if len(scopes) == 0 {
		return invalid(problem{"scope[]", blank})
	}
	for _, scope := range scopes {
		if scope != allScopes && !slices.Contains(app.scopes, scope) {
			return invalid(problem{"scope[]", "The application has no such scope."})
		}
	}
	app.nonces[nonce] = true
	if s.config.dialect == Documented && c.fault.Latency == 0 {
		c.fault.Latency = -1
	}
	a := s.accept(c, func(cmd *command) outcome {
		cmd.made = &grant{application: app, profile: c.profile, scope: strings.Join(scopes, ","), nonce: nonce}
		return succeeded("oauth.authorization_code_requested")
	})
	if s.config.dialect == Documented {
		a.status = http.StatusOK
	}
	return a
}

func retrieveCode(s *state, c *call) answer {
	notFound := refuse(http.StatusNotFound, "oauth.authorization_code_not_found", "The authorization code was not found.")
	cmd := s.command(c.text("id"))
	if cmd == nil {
		return notFound
	}
	g, ok := cmd.made.(*grant)
	switch {
	case !ok || g.application != c.application || g.taken:
		return notFound
	case g.nonce != c.text("nonce"):
		return invalid(problem{"nonce", "This is not the nonce of the request."})
	}
	g.taken = true
	code := "C-" + rand.Text()
	lifetime := s.lasting(codeLifetime)
	s.oauth.codes[code] = g
	s.later(lifetime, func() { delete(s.oauth.codes, code) })
	return value(map[string]string{
		"clientId":          g.application.clientID,
		"nonce":             g.nonce,
		"authorizationCode": code,
		"expiresAt":         s.timestamp(time.Now().Add(lifetime)),
	})
}

func obtainAccessToken(s *state, c *call) answer {
	code := c.text("authorization_code")
	g := s.oauth.codes[code]
	switch {
	case g == nil:
		return refuse(http.StatusNotFound, "oauth.authorization_code_not_found", "The authorization code is unknown, was used or has expired.")
	case g.application != c.application:
		return refuse(http.StatusForbidden, "oauth.not_your_code", "The authorization code belongs to another application.")
	}
	delete(s.oauth.codes, code)
	return s.issueAccess(g)
}

func refreshAccessToken(s *state, c *call) answer {
	g := c.token.grant
	if c.text("refresh_token") != g.refresh || !time.Now().Before(g.refreshExpires) {
		return invalid(problem{"refresh_token", "The refresh token is unknown, was used or has expired."})
	}
	return s.issueAccess(g)
}

// issueAccess answers with the next pair of tokens of a grant. It replaces the
// refresh token. Earlier access tokens live until they expire.
func (s *state) issueAccess(g *grant) answer {
	t := s.issue(g.profile)
	t.grant = g
	g.refresh = "R-" + rand.Text()
	g.refreshExpires = time.Now().Add(s.lasting(refreshLifetime))
	return value(map[string]string{
		"clientId":              g.application.clientID,
		"token":                 t.secret,
		"refreshToken":          g.refresh,
		"type":                  "bearer",
		"scope":                 g.scope,
		"expiresAt":             s.timestamp(t.expires),
		"refreshTokenExpiresAt": s.timestamp(g.refreshExpires),
	})
}

func applicationScope(s *state, c *call) answer {
	g := c.token.grant
	return value(map[string]string{"clientId": g.application.clientID, "scope": g.scope})
}

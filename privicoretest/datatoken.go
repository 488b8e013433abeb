package privicoretest

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

const (
	defaultTTL  = 5   // minutes
	maxTTL      = 240 // minutes
	inlineLimit = 50 << 10
)

// vault is the part of the state for data.
type vault struct {
	spaces    map[string]*space     // by temporary token
	streams   map[string]*space     // by upload token
	tokens    map[string]*dataToken // by permanent token
	downloads map[string]*payload   // by download token

	uploadURL, downloadURL string // set before anything is served
	directory              string // of payloads; "" until there is one
}

func newVault() vault {
	return vault{
		spaces:    make(map[string]*space),
		streams:   make(map[string]*space),
		tokens:    make(map[string]*dataToken),
		downloads: make(map[string]*payload),
	}
}

// space is a reservation for data. A temporary token stands for it.
type space struct {
	token, stream string
	owner         *profile
	context       string
	meta          map[string]string // as in dataToken
	payload       *payload          // nil until the data is complete
}

// dataToken stands for data that is stored.
type dataToken struct {
	token     string
	owner     *profile
	context   string
	fileName  string
	extension string
	path      string
	size      int64 // of the plaintext, as its owner gave it
	created   time.Time
	meta      map[string]string // "data.type" and the like
	payload   *payload
}

// lasting returns how long d lasts at the speed of the server.
func (s *state) lasting(d time.Duration) time.Duration {
	return time.Duration(float64(d) / s.config.speed)
}

func reserve(s *state, c *call) answer {
	minutes := defaultTTL
	if c.has("ttl") {
		minutes = c.number("ttl")
	}
	return s.accept(c, func(cmd *command) outcome {
		if !c.profile.hasStorage() {
			return rejected(noStorage)
		}
		sp := &space{
			token:   "tmp-" + newID(),
			stream:  rand.Text(),
			owner:   c.profile,
			context: c.text("context"),
			meta:    freeMeta(c.params),
		}
		s.vault.spaces[sp.token] = sp
		s.vault.streams[sp.stream] = sp
		s.later(s.lasting(time.Duration(minutes)*time.Minute), func() { s.release(sp) })
		cmd.made = sp
		return succeeded("data_token.token_space_reserved")
	})
}

// release ends a temporary token and removes data that was not committed.
func (s *state) release(sp *space) {
	delete(s.vault.spaces, sp.token)
	delete(s.vault.streams, sp.stream)
	if sp.payload != nil {
		sp.payload.remove()
		sp.payload = nil
	}
}

// space returns the space of a profile's temporary token, or nil. A profile
// cannot see the tokens of others.
func (s *state) space(p *profile, token string) *space {
	sp := s.vault.spaces[token]
	if sp == nil || sp.owner != p {
		return nil
	}
	return sp
}

// dataToken returns a profile's permanent token, or nil.
func (s *state) dataToken(p *profile, token string) *dataToken {
	t := s.vault.tokens[token]
	if t == nil || t.owner != p {
		return nil
	}
	return t
}

func noToken() answer {
	return refuse(http.StatusNotFound, "data_token.not_found", "The token was not found.")
}

func retrieveTemporary(s *state, c *call) answer {
	id := c.path()
	if why := uuid(id, true); why != "" {
		return invalid(problem{c.op.PathParameter(), why})
	}
	cmd := s.command(id)
	if cmd == nil || cmd.owner != c.profile {
		return noToken()
	}
	sp, ok := cmd.made.(*space)
	if !ok || s.vault.spaces[sp.token] != sp {
		return noToken()
	}
	return value(map[string]string{"token": sp.token, "stream": s.streamAddress(sp)})
}

func exchange(s *state, c *call) answer {
	sp := s.space(c.profile, c.text("temporaryTokenSpace"))
	if sp == nil {
		return noToken()
	}
	data, _ := base64.StdEncoding.DecodeString(c.text("data"))
	return s.accept(c, func(*command) outcome {
		switch {
		case s.vault.spaces[sp.token] != sp:
			return rejected("data_token.expired")
		case !c.profile.hasStorage():
			return rejected(noStorage)
		case s.vault.streams[sp.stream] != sp:
			return rejected("data_token.already_exchanged")
		}
		delete(s.vault.streams, sp.stream)
		sp.payload = &payload{size: int64(len(data)), data: data}
		return succeeded("data_token.data_exchanged")
	})
}

func configureFileMeta(s *state, c *call) answer {
	sp := s.space(c.profile, c.text("token"))
	switch {
	case sp == nil:
		return noToken()
	case sp.payload == nil:
		return invalid(problem{"token", "No data has arrived for this token yet."})
	}
	t := &dataToken{
		token:     "dtk-" + newID(),
		owner:     c.profile,
		context:   c.text("context"),
		fileName:  c.text("fileName"),
		extension: c.text("extension"),
		path:      c.text("path"),
		created:   time.Now(),
		meta:      sp.meta,
		payload:   sp.payload,
	}
	t.size, _ = strconv.ParseInt(c.text("size"), 10, 64)
	sp.payload = nil
	s.release(sp)
	s.vault.tokens[t.token] = t
	c.profile.dataTokens = append(c.profile.dataTokens, t)
	if s.config.dialect == Observed {
		return value(t.token)
	}
	return value(map[string]string{"token": t.token})
}

// onDataToken accepts a command about the permanent token in that parameter,
// or answers 404. The effect does not run if the token is deleted in the
// meantime.
func (s *state) onDataToken(c *call, parameter string, effect func(*dataToken) outcome) answer {
	t := s.dataToken(c.profile, c.text(parameter))
	if t == nil {
		return noToken()
	}
	return s.accept(c, func(*command) outcome {
		if s.vault.tokens[t.token] != t {
			return rejected("data_token.not_found")
		}
		return effect(t)
	})
}

func configureRiskMeta(s *state, c *call) answer {
	if len(c.params) == 1 {
		return *malformed("At least one field besides the token is needed.")
	}
	return s.onDataToken(c, "token", func(t *dataToken) outcome {
		for name, v := range c.params {
			if name != "token" {
				t.meta["information_security_risk."+name] = fmt.Sprint(v)
			}
		}
		return succeeded("data_token.information_security_risk_meta_configured")
	})
}

func updateData(s *state, c *call) answer {
	data, _ := base64.StdEncoding.DecodeString(c.text("data"))
	return s.onDataToken(c, "dataToken", func(t *dataToken) outcome {
		if !c.profile.hasStorage() {
			return rejected(noStorage)
		}
		t.payload.remove()
		t.payload = &payload{size: int64(len(data)), data: data}
		t.size = t.payload.size
		meta, _ := object(c.params["meta"])
		changes := make(map[string]string)
		flatten(changes, "", meta)
		t.describe(changes)
		return succeeded("data_token.data_updated")
	})
}

func updateDataToken(s *state, c *call) answer {
	return s.onDataToken(c, "token", func(t *dataToken) outcome {
		if c.has("context") {
			t.context = c.text("context")
		}
		changes := make(map[string]string)
		for _, name := range []string{"fileName", "extension"} {
			if c.has(name) {
				changes["file."+name] = c.text(name)
			}
		}
		t.describe(changes)
		return succeeded("data_token.data_token_updated")
	})
}

// describe applies changes to the meta of a token and to the fields that depend
// on it.
func (t *dataToken) describe(changes map[string]string) {
	maps.Copy(t.meta, changes)
	if name, ok := changes["file.fileName"]; ok {
		t.fileName = name
	}
	if extension, ok := changes["file.extension"]; ok {
		t.extension = extension
	}
	if size, err := strconv.ParseInt(changes["file.size"], 10, 64); err == nil && size >= 0 {
		t.size = size
	}
}

func deleteData(s *state, c *call) answer {
	return s.onDataToken(c, "token", func(t *dataToken) outcome {
		delete(s.vault.tokens, t.token)
		c.profile.dataTokens = slices.DeleteFunc(c.profile.dataTokens, func(other *dataToken) bool { return other == t })
		t.payload.remove()
		return succeeded("data_token.data_deleted")
	})
}

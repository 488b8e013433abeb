package main

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/tidwall/gjson"
)

// secrets are the values that must not be in the report: what is secret, and what
// identifies something. A report is made of fixed text and of names that the
// server chose, so a name is checked before it is written.
type secrets struct {
	run string // name of the run, which is no secret

	mu     sync.Mutex
	values map[string]bool
}

func newSecrets(run string, values ...string) *secrets {
	s := &secrets{run: run, values: make(map[string]bool)}
	s.add(values...)
	return s
}

// shortest is the length of the shortest value that is looked for. A shorter one
// is a part of ordinary words.
const shortest = 4

func (s *secrets) add(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, value := range values {
		if len(value) >= shortest {
			s.values[value] = true
		}
	}
}

// sent adds what authorizes a request.
func (s *secrets) sent(req *http.Request) {
	s.add(req.Header.Get("X-DPT-AUTHORIZATION"), req.URL.Query().Get("auth"))
	_, value, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	s.add(value)
	if pair, err := base64.StdEncoding.DecodeString(value); err == nil {
		_, secret, _ := strings.Cut(string(pair), ":")
		s.add(secret)
	}
}

// received adds the values in JSON that can be a secret or an identifier.
func (s *secrets) received(v gjson.Result) {
	if v.IsObject() || v.IsArray() {
		v.ForEach(func(_, member gjson.Result) bool {
			s.received(member)
			return true
		})
		return
	}
	if v.Type != gjson.String || !telling(v.Str) || s.ours(v.Str) {
		return
	}
	s.add(v.Str)
	if u, err := url.Parse(v.Str); err == nil {
		s.add(u.Query().Get("auth"))
	}
}

// ours reports whether a text is a name that the program chose.
func (s *secrets) ours(text string) bool { return strings.Contains(text, s.run) }

// telling reports whether a text can be more than a word such as "approved", a key
// or a sentence.
func telling(text string) bool {
	if strings.Contains(text, " ") || machineKey.MatchString(text) && len(text) < 20 || messageKey.MatchString(text) {
		return false
	}
	return len(text) >= 20 || len(text) >= 6 && strings.ContainsAny(text, "0123456789")
}

// longPart is the length from which a part of a value is kept out as well.
const longPart = 16

// hides reports whether a text holds a secret or is a part of one.
func (s *secrets) hides(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for value := range s.values {
		if strings.Contains(text, value) || len(text) >= longPart && strings.Contains(value, text) {
			return true
		}
	}
	return false
}

// scrubbed is the length from which any value is taken out of the report.
const scrubbed = 8

// scrub returns a text without the values that are long enough not to be ordinary
// words. It is the last guard: a report should hold none.
func (s *secrets) scrub(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for value := range s.values {
		if len(value) >= scrubbed || telling(value) {
			text = strings.ReplaceAll(text, value, hidden)
		}
	}
	return text
}

// hidden stands for a name that may be a value.
const hidden = "‹hidden›"

var (
	plainName  = regexp.MustCompile(`^[A-Za-z][A-Za-z_.-]*[0-9]{0,2}$`)
	messageKey = regexp.MustCompile(`^[a-z][a-z_]*(\.[a-z][a-z_]*)+$`)
	machineKey = regexp.MustCompile(`^[a-z][a-z_]*(\.[a-z][a-z_]*)*$`)
)

// The longest texts of a server that are shown.
const (
	maxName = 60
	maxKey  = 80
)

// name returns the name of a field or a header as the report shows it.
func (s *secrets) name(name string) string {
	shouted := len(name) > 12 && name == strings.ToUpper(name) && !strings.Contains(name, "-")
	if len(name) > maxName || !plainName.MatchString(name) || shouted || s.hides(name) {
		return hidden
	}
	return name
}

// path returns the path of a URL as the report shows it.
func (s *secrets) path(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if segment != "" {
			segments[i] = s.name(segment)
		}
	}
	return strings.Join(segments, "/")
}

// keys returns the messages in JSON that are keys for machines, such as
// "oauth.already_retrieved". A sentence may quote anything, so it is left out.
func (s *secrets) keys(v gjson.Result) []string {
	var keys []string
	if v.IsObject() || v.IsArray() {
		v.ForEach(func(_, member gjson.Result) bool {
			keys = append(keys, s.keys(member)...)
			return true
		})
		return keys
	}
	if v.Type == gjson.String && len(v.Str) <= maxKey && machineKey.MatchString(v.Str) && !s.hides(v.Str) {
		return []string{v.Str}
	}
	return nil
}

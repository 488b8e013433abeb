package storm

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

const (
	// password has the characters that quoting changes.
	password = `pa"ss&wörd <of> \alice`
	// marker is in every payload and in no ciphertext.
	marker = "PLAINTEXT-OF-ALICE"
)

// serverSecret matches every token, code and secret that the server makes. No
// identifier looks like that.
var serverSecret = regexp.MustCompile(`[A-Z2-7]{26}`)

// enough is how many secrets a storm looks for that keeps nothing.
const enough = 100

// secrets looks for secrets in texts.
type secrets struct {
	ledger *ledger

	mu      sync.Mutex
	planted []string
}

func newSecrets(l *ledger) *secrets {
	s := &secrets{ledger: l, planted: []string{marker}}
	quoted, _ := json.Marshal(password)
	for _, form := range []string{
		password, strconv.Quote(password), strconv.QuoteToASCII(password), string(quoted),
		url.QueryEscape(password), url.PathEscape(password), base64.StdEncoding.EncodeToString([]byte(password)),
	} {
		s.plant(strings.Trim(form, `"`))
	}
	return s
}

// plant adds a secret to look for.
func (s *secrets) plant(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ledger.forget && len(s.planted) > enough {
		return
	}
	s.planted = append(s.planted, secret)
}

// scan looks for secrets in a text.
func (s *secrets) scan(where, text string) {
	if found := serverSecret.FindString(text); found != "" {
		s.ledger.violated("no secret is shown", "%s shows %s: %.400s", where, found, text)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.planted {
		if strings.Contains(text, secret) {
			s.ledger.violated("no secret is shown", "%s shows %s: %.400s", where, secret, text)
			return
		}
	}
}

// scanValue looks for secrets in the ways in which a value is shown.
func (s *secrets) scanValue(where string, v any) {
	s.scan(where+" %v", fmt.Sprintf("%v", v))
	s.scan(where+" %+v", fmt.Sprintf("%+v", v))
	s.scan(where+" %#v", fmt.Sprintf("%#v", v))
}

// scanError is scanValue for an error and all that it wraps.
func (s *secrets) scanError(where string, err error) {
	if err == nil {
		return
	}
	s.scanValue(where, err)
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		s.scanError(where, e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			s.scanError(where, inner)
		}
	}
}

// logger returns a logger at the lowest level, whose lines are scanned.
func (s *secrets) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(lines{s}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// lines is where the log is written to.
type lines struct{ secrets *secrets }

func (l lines) Write(line []byte) (int, error) {
	l.secrets.ledger.count("lines of the log")
	l.secrets.scan("the log", string(line))
	return len(line), nil
}

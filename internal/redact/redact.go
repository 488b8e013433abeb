// Package redact takes secrets out of texts that are shown: messages of servers,
// errors, and lines of a log.
//
// Such texts quote what was sent, and each one in its own way. New returns a
// function that finds a secret as it is, and as Go, JSON, PHP, HTML and URLs
// write it, in either case and also if one of them quotes the other.
package redact

import (
	"regexp"
	"slices"
	"unicode/utf8"
)

// Mark stands in a text in place of a secret.
const Mark = "[redacted]"

const (
	// minSecret is the length of the shortest secret that is looked for, in
	// bytes. A shorter text is also a part of ordinary words.
	minSecret = 4
	// beginning is how much of a long secret is enough to find it, in
	// characters. Servers cut off what they quote. The bound also keeps the
	// search linear in the length of the text.
	beginning = 32
)

// authInURL finds the token in the address of a file server, also if the address
// is quoted or escaped.
var authInURL = regexp.MustCompile(`(?i)(` +
	`(?:[?&]|%(?:25)*(?:3f|26)|(?:\\|%(?:25)*5c)+u00(?:3f|26))` +
	`(?:amp(?:;|%(?:25)*3b))*` +
	`auth` +
	`(?:=|%(?:25)*3d|(?:\\|%(?:25)*5c)+u003d)` +
	`)(?:[^&\s"'<>\\]|\\+(?:/|u[0-9a-f]{4}))+`)

// New returns a function that replaces each of the secrets in a text by Mark. It
// also replaces the tokens in addresses of file servers, which are secret whatever
// they are. A secret of less than four bytes is not looked for.
//
// The function is safe for concurrent use.
func New(secrets ...string) func(text string) string {
	var forms []string
	for _, secret := range secrets {
		if len(secret) >= minSecret {
			forms = append(forms, quotedForms(secret)...)
		}
	}
	slices.Sort(forms)
	forms = slices.Compact(forms)
	return func(text string) string {
		return authInURL.ReplaceAllString(replace(text, forms), "${1}"+Mark)
	}
}

// replace replaces the secrets in text by Mark. One secret may contain another, or
// may be found in several forms. The longest one is replaced.
func replace(text string, secrets []string) string {
	var out []byte
	copied := 0
	for i := 0; i < len(text); {
		end := 0
		for _, secret := range secrets {
			end = max(end, match(text, i, secret))
		}
		if end == 0 {
			i++
			continue
		}
		out = append(append(out, text[copied:i]...), Mark...)
		i, copied = end, end
	}
	if copied == 0 {
		return text
	}
	return string(append(out, text[copied:]...))
}

// match returns where the secret ends that begins at text[at], or 0 if none
// begins there. One text can be read in several ways: "%25" is a percent sign in a
// URL, and otherwise three characters. So match keeps all the places at which the
// next character of the secret may begin.
func match(text string, at int, secret string) int {
	if text[at] != secret[0] && !beginsEscape(text[at]) {
		return 0 // the usual case, without the work below
	}
	var here, next [16]int
	places, spare := append(here[:0], at), next[:0]
	for count, rest := 0, secret; rest != ""; count++ {
		r, size := utf8.DecodeRuneInString(rest)
		c := character{r, rest[:size]}
		ends := spare[:0]
		for _, place := range places {
			ends = c.appendEnds(ends, text, place)
		}
		if len(ends) == 0 {
			if count >= beginning {
				break
			}
			return 0
		}
		slices.Sort(ends)
		places, spare = slices.Compact(ends), places
		rest = rest[size:]
	}
	return slices.Max(places)
}

// beginsEscape reports whether an escaped character may begin with c.
func beginsEscape(c byte) bool { return c == '\\' || c == '%' || c == '&' || c == '+' }

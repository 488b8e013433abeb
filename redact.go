package privicore

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// redacted stands for a secret wherever one would be shown.
const redacted = "[redacted]"

// secretParameters are the parameters whose values a server may quote in an
// error.
var secretParameters = []string{
	"password", "currentPassword", "newPassword", "authorization_code", "refresh_token", "nonce", "data",
}

// authInURL finds the token in the address of a file server, also if the address
// is quoted or escaped.
var authInURL = regexp.MustCompile(`(?i)((?:[?&]|%3f|%26|\\u0026)auth(?:=|%3d))[^&\s"'<>\\%]+(?:%[0-9a-f]{2}[^&\s"'<>\\%]*)*`)

// redactor returns a function that replaces secrets in a text. Errors of net/http
// and answers of servers quote what was sent, so it looks for each secret in the
// forms that quoting gives it.
func redactor(secrets []string) func(string) string {
	// One secret may contain another. The longest are replaced first.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, secret := range secrets {
		if len(secret) < 4 {
			continue // so short a text is also a part of ordinary words
		}
		for _, form := range quotedForms(secret) {
			pairs = append(pairs, form, redacted)
		}
	}
	replacer := strings.NewReplacer(pairs...)
	return func(text string) string {
		return authInURL.ReplaceAllString(replacer.Replace(text), "${1}"+redacted)
	}
}

// quotedForms returns a secret as it is, and as Go, JSON, PHP and URLs write it.
func quotedForms(secret string) []string {
	forms := []string{secret}
	add := func(form string) {
		if !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	plain := inJSON(secret, false)
	for _, quoted := range []string{
		strconv.Quote(secret), strconv.QuoteToASCII(secret), inJSON(secret, true), plain, inASCII(plain),
	} {
		text := quoted[1 : len(quoted)-1]
		add(text)
		add(strings.ReplaceAll(text, "/", `\/`)) // PHP
	}
	escaped := url.QueryEscape(secret)
	add(escaped)
	add(strings.ReplaceAll(escaped, "+", "%20")) // a plus is %2B in it
	add(url.PathEscape(secret))
	return forms
}

// inJSON returns text as a JSON string.
func inJSON(text string, escapeHTML bool) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(escapeHTML)
	if err := encoder.Encode(text); err != nil {
		return strconv.Quote(text)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// inASCII returns JSON with escapes in place of what is not ASCII.
func inASCII(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// format writes the exported fields of a struct for any verb. Types that keep
// the JSON they were read from use it, because that JSON may hold secrets.
func format(s fmt.State, verb rune, v any) {
	value := reflect.ValueOf(v)
	if s.Flag('#') {
		_, _ = io.WriteString(s, value.Type().String())
	}
	separator := "{"
	for i := range value.NumField() {
		field := value.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		_, _ = io.WriteString(s, separator)
		if s.Flag('+') || s.Flag('#') {
			_, _ = io.WriteString(s, field.Name+":")
		}
		_, _ = fmt.Fprintf(s, fmt.FormatString(s, verb), value.Field(i).Interface())
		separator = " "
		if s.Flag('#') {
			separator = ", "
		}
	}
	if separator == "{" {
		_, _ = io.WriteString(s, "{")
	}
	_, _ = io.WriteString(s, "}")
}

package redact

import (
	"encoding/json"
	"fmt"
	"html"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// maxNesting bounds how often one escape is escaped again.
	maxNesting = 8
	// maxBackslashes bounds the backslashes in front of one character. Quoting
	// doubles them each time.
	maxBackslashes = 64
)

// quotedForms returns a secret as it is, and as Go, JSON, PHP and HTML write it.
// In each of these forms, match finds all escapes of a single character. A form is
// needed for what is escaped twice in different ways, such as JSON in a URL.
func quotedForms(secret string) []string {
	forms := []string{secret}
	add := func(form string) {
		if len(form) >= minSecret && !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	plain := inJSON(secret, false)
	for _, quoted := range []string{
		strconv.Quote(secret), strconv.QuoteToASCII(secret), inJSON(secret, true), plain,
		inASCII(plain, `\u%04x`), inASCII(plain, `\u%04X`),
	} {
		text := quoted[1 : len(quoted)-1]
		add(text)
		add(strings.ReplaceAll(text, "/", `\/`)) // PHP
	}
	add(html.EscapeString(secret))
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

// inASCII returns JSON with escapes of the given format in place of what is not
// ASCII.
func inASCII(text, format string) string {
	var b strings.Builder
	for _, r := range text {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, format, unit)
		}
	}
	return b.String()
}

// character is one character of a secret.
type character struct {
	r   rune
	raw string // its bytes; a single one if they are not UTF-8
}

// appendEnds appends to ends where the character ends that begins at text[at]. It
// appends nothing if another character begins there.
func (c character) appendEnds(ends []int, text string, at int) []int {
	if at == len(text) {
		return ends
	}
	if strings.HasPrefix(text[at:], c.raw) {
		ends = append(ends, at+len(c.raw))
	}
	switch text[at] {
	case '\\':
		ends = c.appendBackslash(ends, text, at)
	case '%':
		ends = c.appendPercent(ends, text, at)
		if c.r == ' ' { // a plus in a query that is escaped again
			ends = character{'+', "+"}.appendPercent(ends, text, at)
		}
	case '&':
		ends = c.appendEntity(ends, text, at)
	case '+':
		if c.r == ' ' {
			ends = append(ends, at+1)
		}
	}
	return ends
}

// letters are the characters that a letter after a backslash stands for.
var letters = map[byte]rune{
	'a': '\a', 'b': '\b', 'e': '\x1b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', '0': 0,
}

// appendBackslash does what appendEnds does for escapes with a backslash. There are
// several of them if the text was quoted more than once.
func (c character) appendBackslash(ends []int, text string, at int) []int {
	start := skipBackslashes(text, at)
	if c.r == '\\' {
		for end := at + 2; end <= min(start, at+maxNesting); end++ {
			ends = append(ends, end)
		}
	}
	if strings.HasPrefix(text[start:], c.raw) {
		ends = append(ends, start+len(c.raw))
	}
	if end := c.escapeEnd(text, at, start); end > 0 {
		ends = append(ends, end)
	}
	return ends
}

// escapeEnd returns where the escape ends whose backslashes begin at text[at] and end
// at text[start]. It returns 0 if the escape stands for another character.
func (c character) escapeEnd(text string, at, start int) int {
	if start == len(text) {
		return 0
	}
	switch letter := text[start]; letter {
	case 'u':
		return c.utf16End(text, at)
	case 'U':
		if isHex(text, start+1, 8, int64(c.r)) {
			return start + 9
		}
	case 'x':
		return c.bytesEnd(text, at)
	default:
		if r, ok := letters[letter]; ok && r == c.r {
			return start + 1
		}
	}
	return 0
}

// utf16End returns the end of \u00e9, or of \ud83d\ude00. It returns 0 if text[at:]
// begins with something else.
func (c character) utf16End(text string, at int) int {
	for _, unit := range utf16.AppendRune(nil, c.r) {
		start := skipBackslashes(text, at)
		if start == at || !strings.HasPrefix(text[start:], "u") || !isHex(text, start+1, 4, int64(unit)) {
			return 0
		}
		at = start + 5
	}
	return at
}

// bytesEnd returns the end of \xc3\xa9. It returns 0 if text[at:] begins with
// something else.
func (c character) bytesEnd(text string, at int) int {
	for _, b := range []byte(c.raw) {
		start := skipBackslashes(text, at)
		if start == at || !strings.HasPrefix(text[start:], "x") || !isHex(text, start+1, 2, int64(b)) {
			return 0
		}
		at = start + 3
	}
	return at
}

// appendPercent does what appendEnds does for %c3%a9, and for what is escaped again,
// as in %25c3%25a9.
func (c character) appendPercent(ends []int, text string, at int) []int {
	for i, b := range []byte(c.raw) {
		last := i == len(c.raw)-1
		if at == len(text) || text[at] != '%' {
			return ends
		}
		at++
		for range maxNesting {
			if isHex(text, at, 2, int64(b)) {
				if !last {
					break
				}
				ends = append(ends, at+2)
			}
			if !strings.HasPrefix(text[at:], "25") {
				break
			}
			at += 2
		}
		if last || !isHex(text, at, 2, int64(b)) {
			return ends
		}
		at += 2
	}
	return ends
}

// entities are the characters that have names in every HTML encoder.
var entities = map[string]rune{"amp": '&', "lt": '<', "gt": '>', "quot": '"', "apos": '\''}

// appendEntity does what appendEnds does for &lt; and &#60; and &#x3c;, and for what
// is escaped again, as in &amp;lt;.
func (c character) appendEntity(ends []int, text string, at int) []int {
	at++
	for range maxNesting {
		// The longest is &#1114111; with zeros in front of the number.
		length := strings.IndexByte(text[at:min(len(text), at+16)], ';')
		if length < 0 {
			return ends
		}
		name := text[at : at+length]
		at += length + 1
		if isEntity(name, c.r) {
			ends = append(ends, at)
		}
		if name != "amp" {
			return ends
		}
	}
	return ends
}

// isEntity reports whether the entity with the given name stands for r.
func isEntity(name string, r rune) bool {
	number, isNumber := strings.CutPrefix(name, "#")
	if !isNumber {
		named, ok := entities[name]
		return ok && named == r
	}
	base := 10
	if number != "" && (number[0] == 'x' || number[0] == 'X') {
		number, base = number[1:], 16
	}
	code, err := strconv.ParseInt(number, base, 32)
	return err == nil && code == int64(r)
}

// skipBackslashes returns the end of the backslashes at text[at], of which it counts
// at most so many as maxBackslashes.
func skipBackslashes(text string, at int) int {
	for range maxBackslashes {
		if at == len(text) || text[at] != '\\' {
			break
		}
		at++
	}
	return at
}

// isHex reports whether text[at:] begins with a number of so many hexadecimal
// digits, in either case, that has the given value.
func isHex(text string, at, digits int, value int64) bool {
	if at+digits > len(text) {
		return false
	}
	var got int64
	for _, c := range []byte(text[at : at+digits]) {
		digit := strings.IndexByte("0123456789abcdef", c|0x20) // in small letters
		if c < '0' || digit < 0 {
			return false
		}
		got = got<<4 | int64(digit)
	}
	return got == value
}

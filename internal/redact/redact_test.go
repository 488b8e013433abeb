package redact_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/internal/redact"
)

// awkward has a character for each escape.
const awkward = "😀pä\"ss é\\ <a>&b%+/=\t;'\u2028\x01"

// A quoting is a way in which a text may quote another one.
type quoting struct {
	name  string
	quote func(string) string
}

// quotings are those that texts use, also one inside the other.
var quotings = []quoting{
	{"plain", func(s string) string { return s }},
	{"%q", unquoted(strconv.Quote)},
	{"%+q", unquoted(strconv.QuoteToASCII)},
	{"JSON for HTML", unquoted(func(s string) string { return inJSON(s, true) })},
	{"JSON", unquoted(func(s string) string { return inJSON(s, false) })},
	{"JSON of PHP", unquoted(func(s string) string { return strings.ReplaceAll(inASCII(inJSON(s, false)), "/", `\/`) })},
	{"HTML", html.EscapeString},
	{"a query", url.QueryEscape},
	{"a query with small letters", func(s string) string { return lowerEscapes(url.QueryEscape(s)) }},
	{"JavaScript", func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }}, // encodeURIComponent
	{"a path", url.PathEscape},
	{"a path with small letters", func(s string) string { return lowerEscapes(url.PathEscape(s)) }},
}

// odd are quotings that escape each character. They are found where nothing else
// is quoted.
var odd = []quoting{
	{"bytes", func(s string) string { return eachByte(s, `\x%02X`) }},
	{"percents", func(s string) string { return eachByte(s, "%%%02x") }},
	{"numbers", func(s string) string { return eachRune(s, "&#x%X;") }},
	{"code points", func(s string) string { return eachRune(s, `\U%08x`) }},
	{"decimals", func(s string) string { return eachRune(s, "&#%d;") }},
}

func unquoted(quote func(string) string) func(string) string {
	return func(s string) string { q := quote(s); return q[1 : len(q)-1] }
}

func inJSON(s string, escapeHTML bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	_ = e.Encode(s)
	return strings.TrimSpace(b.String())
}

func inASCII(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, `\u%04X`, unit)
		}
	}
	return b.String()
}

func lowerEscapes(s string) string {
	lower := []byte(s)
	for i := range lower {
		if i >= 2 && lower[i-2] == '%' {
			copy(lower[i-1:], strings.ToLower(s[i-1:i+1]))
		}
	}
	return string(lower)
}

func eachByte(s, format string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

func eachRune(s, format string) string {
	var b strings.Builder
	for _, r := range s {
		fmt.Fprintf(&b, format, r)
	}
	return b.String()
}

// survives reports whether text is in what Redact has left of it.
func survives(redacted, text string) bool {
	for part := range strings.SplitSeq(redacted, redact.Mark) {
		if strings.Contains(part, text) {
			return true
		}
	}
	return false
}

// A secret is found as each encoder writes it, and in a text that quotes a text
// that quotes it.
func TestSecretInEachForm(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"T-0123456789", awkward, `C:\temp\nothing`, "100%25 + 1", "a&amp;b&lt;", `\u0041\\x42`, "%%%%%%", `\\\\\\`, "ääää"} {
		clean := redact.New("another secret", secret)
		for _, inner := range quotings {
			for _, outer := range quotings {
				quoted := outer.quote(inner.quote(secret))
				got := clean("the value " + quoted + " was refused")
				assert.Equal(t, "the value "+redact.Mark+" was refused", got, "%q in %s in %s: %s", secret, inner.name, outer.name, quoted)
			}
		}
		for _, q := range odd {
			assert.Equal(t, redact.Mark+".", clean(q.quote(secret)+"."), "%q in %s", secret, q.name)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 10)
	for _, test := range []struct {
		secrets    []string
		text, want string
	}{
		{nil, "nothing", "nothing"},
		{[]string{"", "abc"}, "abc and no more", "abc and no more"},
		{[]string{"abcd"}, "abcdabcd, abc", "[redacted][redacted], abc"},
		{[]string{"abcd"}, "", ""},
		{[]string{"abcd", "abcdef", "abcd"}, "abcdef abcd", "[redacted] [redacted]"},
		{[]string{"abcd"}, "ABCD", "ABCD"},
		{[]string{"a+cd"}, "a%2Bcd a%2bcd a%252bcd a+cd a%20cd", "[redacted] [redacted] [redacted] [redacted] a%20cd"},
		{[]string{"a cd"}, "a%20cd a+cd a%2Bcd a cd", "[redacted] [redacted] [redacted] [redacted]"},
		{[]string{"abcd"}, `\abcd 100%abcd %2 \`, `[redacted] 100%[redacted] %2 \`},
		{[]string{"41ab"}, "%41ab %2541ab", "%[redacted] %25[redacted]"},
		{[]string{"ab%"}, "ab%41", "ab%41"},
		{[]string{"abc%"}, "abc%41 abc%2541", "[redacted]41 [redacted]41"},
		// What is cut off.
		{[]string{long}, long[:50] + "...", "[redacted]..."},
		{[]string{long}, long[:32] + "...", "[redacted]..."},
		{[]string{long}, long[:31] + "...", long[:31] + "..."},
		{[]string{long[:31]}, long[:30], long[:30]},
		{[]string{long}, long + long[:40] + "x" + long, "[redacted][redacted]x[redacted]"},
	} {
		assert.Equal(t, test.want, redact.New(test.secrets...)(test.text), "%q in %q", test.secrets, test.text)
	}
}

// The token in the address of a file server is a secret that nobody has to name.
func TestTokenInAddress(t *testing.T) {
	t.Parallel()
	clean := redact.New()
	for _, token := range []string{"x", "T-1+2/3=", "+abc", "%", "a/b/c", "é"} {
		for _, inner := range quotings {
			for _, outer := range quotings {
				quoted := outer.quote(inner.quote("https://files.test/up?b=1&auth=" + url.QueryEscape("core"+token+"core")))
				got := clean("see " + quoted + " there")
				assert.NotContains(t, got, "core", "%s in %s: %s", inner.name, outer.name, quoted)
				assert.Contains(t, got, redact.Mark+" there")
			}
		}
	}
	for text, want := range map[string]string{
		"h:1?auth=a&b=1":        "h:1?auth=[redacted]&b=1",
		`"h:1?auth=a\/b",`:      `"h:1?auth=[redacted]",`,
		"?auth=":                "?auth=",
		"?author=a":             "?author=a",
		"auth=a":                "auth=a",
		"?AUTH=a":               "?AUTH=[redacted]",
		"?auth=[redacted]":      "?auth=[redacted]",
		`<a href="?auth=a">b`:   `<a href="?auth=[redacted]">b`,
		`?x\u0026auth\u003da\"`: `?x\u0026auth\u003d[redacted]\"`,
	} {
		assert.Equal(t, want, clean(text))
	}
}

// A server that knows a long secret cannot make the search take long.
func TestSearchIsLinear(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("A", 50_000) + "B"
	got := redact.New(secret)(strings.Repeat(strings.Repeat("A", 31)+"C", 5_000))
	assert.NotContains(t, got, redact.Mark)
	for _, escape := range []string{`\`, "%", "%25", "&amp;", "&#", `\u`, `\x`, "+"} {
		text := strings.Repeat(escape, 1<<16)
		assert.Equal(t, text, redact.New(secret, "another one")(text))
	}
	got = redact.New(secret)(strings.Repeat(secret, 5))
	assert.Equal(t, strings.Repeat(redact.Mark, 5), got)
}

func FuzzRedact(f *testing.F) {
	for i, secret := range []string{"T-0123456789", awkward, `\\\\`, "%25%", "a&amp;", "\xff\xfe\xfd\xfc", "[redacted]", "????", "+ + +", `\u0041`} {
		f.Add("the value ", secret, " was refused", uint(i), uint(2*i))
		f.Add(`\`, secret, "41", uint(3*i), uint(i))
		f.Add("%25", secret, `\`, uint(7), uint(i))
		f.Add("&amp;", secret, ";", uint(0), uint(4))
	}
	f.Fuzz(func(t *testing.T, before, secret, after string, inner, outer uint) {
		if len(secret) < 4 {
			return
		}
		clean := redact.New(secret)
		first, second := quotings[inner%uint(len(quotings))], quotings[outer%uint(len(quotings))]
		if i := inner % uint(len(quotings)+len(odd)); i >= uint(len(quotings)) && utf8.ValidString(secret) {
			first, second = odd[i-uint(len(quotings))], quotings[0]
		}
		quoted := second.quote(first.quote(secret))
		if len(quoted) < 4 {
			return // %q of nothing but invalid bytes is longer; a rune as it is may be shorter
		}
		got := clean(before + quoted + after)
		require.False(t, survives(got, quoted), "%s in %s: %q in %q", first.name, second.name, quoted, got)
		require.Contains(t, got, redact.Mark)

		again := clean(got)
		require.False(t, survives(again, secret), "what is left stays clean")
		address := "https://files.test/?auth=" + url.QueryEscape("core"+secret) + " "
		require.NotContains(t, redact.New()(second.quote(address)), "core")
	})
}

package privicore_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// goodNames are names that people give, in any script.
var goodNames = map[string]string{
	"space":                      "My phone",
	"no-break space":             "Téléphone\u00a0: maison",
	"ideographic space":          "東京\u3000電話",
	"narrow space":               "12\u202f345",
	"zero width non-joiner":      "می\u200cخواهم",
	"joined emoji":               "👩\u200d💻 phone",
	"right to left":              "הטלפון שלי",
	"mark of a direction":        "abc\u200f (1)",
	"combining marks":            "e\u0301 n\u0303",
	"dots":                       "...",
	"dots in a word":             "v1..2",
	"hidden file":                ".profile",
	"path":                       "a/b\\c",
	"what a URL gives a meaning": "100% & <more>?x=1#y;z+{}",
	"quotes":                     `"it's"`,
	"1024 bytes":                 strings.Repeat("é", 512),
}

// badNames are refused as a free text and as an identifier, with part of the reason.
var badNames = map[string]struct{ name, reason string }{
	"empty":                {"", "is empty"},
	"spaces":               {" \t\u00a0\u3000", "is empty"},
	"line end":             {"a\nb", "has a control character or is not UTF-8"},
	"header":               {"a\r\nX-Injected: 1", "has a control character or is not UTF-8"},
	"null":                 {"a\x00", "has a control character or is not UTF-8"},
	"escape":               {"a\x1b[31m", "has a control character or is not UTF-8"},
	"delete":               {"a\x7fb", "has a control character or is not UTF-8"},
	"control of Latin-1":   {"a\u0085b", "has a control character or is not UTF-8"},
	"not UTF-8":            {"a\xffb", "has a control character or is not UTF-8"},
	"surrogate in UTF-8":   {"a\xed\xa0\x80", "has a control character or is not UTF-8"},
	"embedding":            {"a\u202ab", "changes the direction"},
	"override":             {"gpj\u202eexe", "changes the direction"},
	"end of an embedding":  {"a\u202cb", "changes the direction"},
	"isolate":              {"a\u2066b", "changes the direction"},
	"end of an isolate":    {"a\u2069b", "changes the direction"},
	"between the isolates": {"a\u2068b", "changes the direction"},
}

// badIdentifiers are refused as an identifier, with part of the reason.
var badIdentifiers = map[string]struct{ name, reason string }{
	"space in front":    {" a", "begins or ends with white space"},
	"space behind":      {"a\u00a0", "begins or ends with white space"},
	"line end behind":   {"a\n", "begins or ends with white space"},
	"1025 bytes":        {strings.Repeat("x", 1025), "is longer than 1024 bytes"},
	"dot":               {".", "has a dot segment"},
	"two dots":          {"..", "has a dot segment"},
	"upwards":           {"../a", "has a dot segment"},
	"up from within":    {"a/../b", "has a dot segment"},
	"backslash":         {`a\..\b`, "has a dot segment"},
	"dot at the end":    {"a/.", "has a dot segment"},
	"after two slashes": {"a//..", "has a dot segment"},
}

func TestNames(t *testing.T) {
	t.Parallel()
	var deviceName, policyPath string
	sent := 0
	c := fakeClient(t, func(r *http.Request, form url.Values) (*http.Response, error) {
		sent++
		if r.Method == http.MethodGet {
			policyPath = r.URL.Path
			return reply(200, `{"id":"p"}`)
		}
		deviceName = form.Get("deviceName")
		return reply(202, "", "X-DPT-CAB-ID", "c1")
	})
	asText := func(ctx context.Context, name string) error {
		_, err := c.Device.RequestIdentifier(ctx, name)
		return err
	}
	asIdentifier := func(ctx context.Context, name string) error {
		_, err := c.Policy.Retrieve(ctx, name)
		return err
	}
	for why, name := range goodNames {
		require.NoError(t, asText(t.Context(), name), why)
		assert.Equal(t, name, deviceName, why)
		require.NoError(t, asIdentifier(t.Context(), name), why)
		assert.Equal(t, "/policy/retrieve-policy/"+name, policyPath, why)
	}

	sent = 0
	refused := func(field string, do func(context.Context, string) error, why, name, reason string) {
		err := do(t.Context(), name)
		require.ErrorIs(t, err, privicore.ErrValidation, why)
		var invalid *privicore.ValidationError
		require.ErrorAs(t, err, &invalid, why)
		assert.Equal(t, field, invalid.Field, why)
		assert.Contains(t, invalid.Reason, reason, why)
	}
	for why, bad := range badNames {
		refused("deviceName", asText, why, bad.name, bad.reason)
		refused("name", asIdentifier, why, bad.name, bad.reason)
	}
	for why, bad := range badIdentifiers {
		refused("name", asIdentifier, why, bad.name, bad.reason)
	}
	assert.Zero(t, sent)
}

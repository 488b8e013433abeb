package privicore_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

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
	"slash":             {"/", "is nothing but slashes"},
	"slashes":           {`//\`, "is nothing but slashes"},
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

// overNetwork is what a net/http server makes of a request.
func overNetwork(r *http.Request) (*http.Request, error) {
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		return nil, err
	}
	return http.ReadRequest(bufio.NewReader(&wire))
}

// FuzzIdentifier is what a program gives for an identifier and for a name. What is
// not refused comes out at a server as it went in.
func FuzzIdentifier(f *testing.F) {
	for _, name := range goodNames {
		f.Add(name)
	}
	for _, bad := range badNames {
		f.Add(bad.name)
	}
	for _, bad := range badIdentifiers {
		f.Add(bad.name)
	}
	var got []string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /device/retrieve-device-configuration/{id}", func(_ http.ResponseWriter, r *http.Request) {
		got = append(got, r.PathValue("id"))
	})
	mux.HandleFunc("POST /device/", func(_ http.ResponseWriter, r *http.Request) {
		got = append(got, r.PostFormValue("deviceIdentifier")+r.PostFormValue("deviceName"))
		got = append(got, strings.Repeat("x", len(r.PostForm)-1)) // "" if there is one parameter
	})
	c := fakeClient(f, nil, privicore.WithToken(fakeToken), privicore.WithMaxRetries(0), privicore.WithHTTPClient(&http.Client{
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			received, err := overNetwork(r)
			if err != nil {
				return nil, err
			}
			recorder := httptest.NewRecorder()
			mux.ServeHTTP(recorder, received)
			if recorder.Code != http.StatusOK {
				return nil, fmt.Errorf("the server answered %d", recorder.Code)
			}
			if r.Method == http.MethodGet {
				return reply(200, `{}`)
			}
			return reply(202, `"c1"`)
		}),
	}))
	f.Fuzz(func(t *testing.T, name string) {
		for kind, do := range map[string]func() error{
			"path": func() error { _, err := c.Device.Configuration(t.Context(), name); return err },
			"form": func() error { _, err := c.Device.Remove(t.Context(), name); return err },
			"text": func() error { _, err := c.Device.RequestIdentifier(t.Context(), name); return err },
		} {
			got = nil
			err := do()
			if errors.Is(err, privicore.ErrValidation) {
				require.Empty(t, got, "nothing was sent")
				continue
			}
			require.NoError(t, err, kind)
			require.Equal(t, name, got[0], kind)
			require.Empty(t, strings.Join(got[1:], ""), kind)
			require.True(t, utf8.ValidString(name))
			require.False(t, strings.ContainsFunc(name, unicode.IsControl))
		}
	})
}

// FuzzPath is what a program gives to Do. What is not refused reaches the path that
// it names, at the server of the client, and no other.
func FuzzPath(f *testing.F) {
	for _, path := range []string{
		"/", "/a", "/a/b?c=d&e", "/a%2Fb", "/a%2fb", "/a b", "/é", "//evil.test/a", "/a//b", "/../b", "/a/%2e%2e/b", `/a\..\b`, "/a#b", "/a?b#c", "/a%zz",
		"/a?%zz", "/{id}", "/%7Bid%7D", "/a?{}", "a", "", "http://evil.test/", "@evil.test/", ":80/", "/:80", "/a;b", "/a?b;c", "/a\x00", "/a?\n", "/?a=?b", "/a/?",
		"/a?x y", "/*", "*", "/.", "/a/.", "/a/..", "/%", "/%25", "/?", "/??", "/a?é",
	} {
		f.Add(path)
	}
	var got []*http.Request
	c := fakeClient(f, nil, privicore.WithToken(fakeToken), privicore.WithMaxRetries(0), privicore.WithHTTPClient(&http.Client{
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			received, err := overNetwork(r)
			if err != nil {
				return nil, err
			}
			got = append(got, received)
			return reply(200, `{}`)
		}),
	}))
	f.Fuzz(func(t *testing.T, given string) {
		got = nil
		_, err := c.Do(t.Context(), http.MethodGet, given, nil)
		if errors.Is(err, privicore.ErrValidation) {
			require.Empty(t, got, "nothing was sent")
			return
		}
		require.NoError(t, err)
		require.Len(t, got, 1)
		require.Equal(t, "api.test:9009", got[0].Host)
		parsed, err := url.Parse(given)
		require.NoError(t, err)
		require.Equal(t, parsed.Path, got[0].URL.Path)
		require.Equal(t, parsed.Query(), got[0].URL.Query())
		require.Equal(t, strings.TrimSuffix(parsed.Path, "/"), strings.TrimSuffix(path.Clean(parsed.Path), "/"))
	})
}

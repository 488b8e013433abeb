package wire

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFileAddress(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		// complete
		"https://files.test/?auth=x":       "https://files.test/?auth=x",
		"http://127.0.0.1:1/up?auth=x&b=1": "http://127.0.0.1:1/up?auth=x&b=1",
		"https://files.test":               "https://files.test",
		" https://files.test/?auth=x\n":    "https://files.test/?auth=x",
		"ftp://files.test/?auth=x":         "ftp://files.test/?auth=x", // refused by who is to go there
		"://?auth=x":                       "://?auth=x",

		// without a scheme
		"files.test:8443?auth=x":          "https://files.test:8443/?auth=x",
		"files.test:8443/?auth=x":         "https://files.test:8443/?auth=x",
		"files.test:8443/a/b?auth=x":      "https://files.test:8443/a/b?auth=x",
		"files.test?auth=x":               "https://files.test/?auth=x",
		"127.0.0.1:8080?auth=x":           "https://127.0.0.1:8080/?auth=x",
		"localhost:8080?b=1&auth=x":       "https://localhost:8080/?b=1&auth=x",
		"[::1]:8080?auth=x":               "https://[::1]:8080/?auth=x",
		"files.test:1?auth=https://a.b/c": "https://files.test:1/?auth=https://a.b/c",
		"files.test:8443":                 "https://files.test:8443/",
		"file_server:8443/up":             "https://file_server:8443/up",
		"[::1]:8443":                      "https://[::1]:8443/",
		"//files.test?auth=x":             "https://files.test/?auth=x",
		"//files.test:8443/?auth=x":       "https://files.test:8443/?auth=x",
		"//files.test":                    "https://files.test/",
	} {
		address, bare := FileAddress(given, true)
		assert.False(t, bare, given)
		assert.Equal(t, want, address, given)
		_, err := url.Parse(address)
		if !strings.HasPrefix(given, ":") {
			require.NoError(t, err)
		}
		plain, bare := FileAddress(given, false)
		assert.False(t, bare)
		if hasScheme(strings.TrimSpace(given)) {
			assert.Equal(t, address, plain)
		} else {
			assert.Equal(t, strings.Replace(want, "https", "http", 1), plain)
		}
	}
	for _, token := range []string{
		"up-recorded-token", "dl+token/1", "a/b==", "T-1", "abc:def", "abc:0", "abc:70000", "abc:", ":80", "a+b:80", "eyJh.eyJi.c2ln", "a?b", "?auth=", "files.test/x",
	} {
		address, bare := FileAddress(token, true)
		assert.True(t, bare, token)
		assert.Equal(t, token, address)
	}
	address, bare := FileAddress(" ", true)
	assert.Empty(t, address)
	assert.False(t, bare)
}

func TestWithAuth(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]string{
		"https://files.test":           "https://files.test/?auth=a%2Bb%2F%26%3D",
		"https://files.test/":          "https://files.test/?auth=a%2Bb%2F%26%3D",
		"https://files.test:8443/up/":  "https://files.test:8443/up/?auth=a%2Bb%2F%26%3D",
		"https://files.test/?b=1":      "https://files.test/?auth=a%2Bb%2F%26%3D&b=1",
		"https://files.test/?auth=old": "https://files.test/?auth=a%2Bb%2F%26%3D",
		"files.test:8443":              "files.test:8443/?auth=a%2Bb%2F%26%3D",
		"127.0.0.1:8443":               "127.0.0.1:8443/?auth=a%2Bb%2F%26%3D",
		"//files.test":                 "//files.test/?auth=a%2Bb%2F%26%3D",
		"files.test/up":                "files.test/up?auth=a%2Bb%2F%26%3D",
		"https://files.test/%zz":       "https://files.test/%zz",
	} {
		address := WithAuth(server, "a+b/&=")
		assert.Equal(t, want, address)
		if address != server {
			assert.Equal(t, "a+b/&=", Auth(address))
		}
	}
}

func TestAuth(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://files.test/?auth=a%2Bb": "a+b", "files.test:1?auth=x": "x", "127.0.0.1:1/?b=1&auth=x": "x", "//h?auth=x#y": "x",
		"https://files.test/%zz?auth=x": "x", "h:1?%zz=1&auth=x": "x", "?auth=x": "x",
		"": "", "https://files.test/": "", "https://files.test/?auth=": "", "https://files.test/?author=x": "", "https://files.test/#?auth=x": "", "auth=x": "",
	} {
		assert.Equal(t, want, Auth(address), address)
	}
}

func FuzzFileAddress(f *testing.F) {
	for _, given := range []string{
		"https://files.test/?auth=x", "files.test:8443?auth=x", "h:1/?auth=x", "//h?auth=x", "dl+token/1", "", "h:1", "://", "?auth=x", "h:1?auth=a://b", "[::1]:1", "a#b?auth=c",
	} {
		f.Add(given, "token", true)
	}
	f.Fuzz(func(t *testing.T, given, token string, secure bool) {
		address, bare := FileAddress(given, secure)
		trimmed := strings.TrimSpace(given)
		if bare {
			assert.Equal(t, trimmed, address)
			assert.Empty(t, Auth(trimmed))
			assert.False(t, hasScheme(trimmed))
			return
		}
		assert.Equal(t, Auth(trimmed), Auth(address), "the token stays what it is")
		if address != "" {
			assert.True(t, hasScheme(address), address)
		}
		again, bare := FileAddress(address, !secure)
		assert.False(t, bare)
		assert.Equal(t, address, again)

		if with := WithAuth(given, token); with != given {
			assert.Equal(t, token, Auth(with))
			assert.Equal(t, with, WithAuth(with, token))
		}
	})
}

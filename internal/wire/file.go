package wire

import (
	"net/url"
	"strconv"
	"strings"
)

// FileAddress returns the URL of a payload on a file server, made of what the
// API gave for it, and reports whether that is only a token for a server that
// has to be known otherwise. A bare token is returned as it is.
//
// A complete URL is returned as it is, without a check of its scheme. An address
// without a scheme gets https, or http if secure is false, and the path "/" if
// it has none.
func FileAddress(given string, secure bool) (address string, bareToken bool) {
	given = strings.TrimSpace(given)
	if given == "" || hasScheme(given) {
		return given, false
	}
	rest, isAddress := strings.CutPrefix(given, "//")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host, tail := rest[:end], rest[end:]
	if !isAddress && !isHostPort(host) && Auth(given) == "" {
		return given, true
	}
	if !strings.HasPrefix(tail, "/") {
		tail = "/" + tail
	}
	scheme := "https://"
	if !secure {
		scheme = "http://"
	}
	return scheme + host + tail, false
}

// hasScheme reports whether address begins with a scheme. A "://" further on
// belongs to the path or the query.
func hasScheme(address string) bool {
	before, _, found := strings.Cut(address, "://")
	return found && !strings.ContainsAny(before, "/?#")
}

// isHostPort reports whether text is a host and a port, and not a token that
// happens to have a colon in it.
func isHostPort(text string) bool {
	colon := strings.LastIndexByte(text, ':')
	if colon <= 0 {
		return false
	}
	port, err := strconv.ParseUint(text[colon+1:], 10, 16)
	if err != nil || port == 0 {
		return false
	}
	host := text[:colon]
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		return true // an IPv6 address
	}
	return !strings.ContainsFunc(host, func(r rune) bool { return r != '.' && isNoKeyRune(r) })
}

// WithAuth returns the URL of a file server with a token in its query, and with
// the path "/" if it has none. The server may lack its scheme. A server that is
// no URL is returned as it is.
func WithAuth(server, token string) string {
	prefix := ""
	if !hasScheme(server) && !strings.HasPrefix(server, "//") {
		// With the host alone, its port would be taken for something else.
		prefix = "//"
	}
	u, err := url.Parse(prefix + server)
	if err != nil {
		return server
	}
	if u.Path == "" {
		u.Path = "/"
	}
	query := u.Query()
	query.Set("auth", token)
	u.RawQuery = query.Encode()
	return strings.TrimPrefix(u.String(), prefix)
}

// Auth returns the token in the query of an address, which may lack its scheme,
// or "" if there is none.
func Auth(address string) string {
	address, _, _ = strings.Cut(address, "#")
	_, query, _ := strings.Cut(address, "?")
	values, _ := url.ParseQuery(query) // what can be read is there despite an error
	return values.Get("auth")
}

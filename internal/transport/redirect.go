package transport

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
)

const maxRedirects = 5

// confine returns a copy of client that sends through trips and stays at the
// origin of a request. net/http keeps custom headers and, on a 307, the body
// across hosts, and turns a POST into a GET on a 302. A token or a password
// would travel, or a command would seem to have been given. Such a redirect is
// returned as the answer.
func confine(client *http.Client, trips *roundTripper) *http.Client {
	confined := *client
	confined.Transport = trips
	confined.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		first := via[0]
		if len(via) > maxRedirects || req.Method != first.Method || !sameOrigin(req.URL, first.URL) {
			return http.ErrUseLastResponse
		}
		if client.CheckRedirect != nil {
			return client.CheckRedirect(req, via)
		}
		return nil
	}
	return &confined
}

// sameOrigin reports whether two URLs lead to the same server. Servers write their
// own name in either case, and with or without the port of the scheme.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && portOf(a) == portOf(b)
}

// portOf returns the port of a URL, or that of its scheme.
func portOf(u *url.URL) string {
	return cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
}

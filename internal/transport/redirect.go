package transport

import (
	"net/http"
	"net/url"
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

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && a.Host == b.Host
}

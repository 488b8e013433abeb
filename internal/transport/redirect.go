package transport

import (
	"net/http"
	"net/url"
)

const maxRedirects = 5

// confine returns a copy of client that stays where it was sent. net/http
// keeps custom headers and, on a 307, the body across hosts, and turns a POST
// into a GET on a 302: a token or a password would travel, or a command would
// seem to have been given. Such redirects are handed out as the answer.
func confine(client *http.Client) *http.Client {
	confined := *client
	// An embedded interface hides CloseIdleConnections, which go-retryablehttp
	// calls after every failure: the pool may be the user's.
	confined.Transport = struct{ http.RoundTripper }{client.Transport}
	if client.Transport == nil {
		confined.Transport = struct{ http.RoundTripper }{http.DefaultTransport}
	}
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

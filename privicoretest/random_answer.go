package privicoretest

import (
	"encoding/json"
	"html"
	"math/rand/v2"
	"net/http"
	"strings"
)

// The bodies of random faults hold these words where they quote the request. A
// gateway that quotes a request shows its secrets.
const (
	quotedToken = "{token}"
	quotedBody  = "{body}"
)

// clientFault returns a 4xx. Those that a server sends after it has carried out
// the call are not among them.
func clientFault(dice *rand.Rand) Fault {
	status := pick(dice, 400, 401, 403, 404, 408, 409, 410, 413, 415, 421, 422, 425, 451)
	return Fault{Status: status, Body: pick(dice,
		"",
		`"request.refused"`,
		`{"message":"The request was refused."}`,
		`["The value {body} was refused."]`,
		`{"message":"The token {token} may not send {body}."}`,
		"refused",
	)}
}

// serverFault returns a 5xx, before or after the effect.
func serverFault(dice *rand.Rand) Fault {
	f := Fault{
		Status:      pick(dice, 500, 501, 502, 503, 503, 504, 520, 529),
		Body:        pick(dice, "", `"server.error"`, `{"message":"Something went wrong with {body}."}`, "<html><body>Bad gateway</body></html>\n"),
		AfterEffect: dice.IntN(2) == 0,
	}
	switch {
	case f.Status == http.StatusNotImplemented:
		f.AfterEffect = false // by its meaning
	case f.Status == http.StatusServiceUnavailable && dice.IntN(2) == 0:
		f.Header = retryAfter(dice)
		f.AfterEffect = false // who says when to come back has not run the call
	}
	return f
}

func rateLimitFault(dice *rand.Rand) Fault {
	f := Fault{Status: http.StatusTooManyRequests, Body: pick(dice, "", `"request.too_many"`)}
	if dice.IntN(2) == 0 {
		f.Header = retryAfter(dice)
	}
	return f
}

func retryAfter(dice *rand.Rand) http.Header {
	return http.Header{"Retry-After": {pick(dice, "0", "1", "1", "3600", "soon", "-1")}}
}

// pageFault returns a page that a proxy makes without asking the server. Its
// status may be that of a success. Some pages quote the request.
func pageFault(dice *rand.Rand) Fault {
	return Fault{
		Status: pick(dice, 200, 200, 202, 403, 404, 500, 502, 503),
		Header: http.Header{"Content-Type": {pick(dice, "text/html", "text/html; charset=utf-8", "application/json")}},
		Body: pick(dice,
			"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Sign in to the network</h1></body></html>\n",
			"<html><body><h1>502 Bad Gateway</h1><pre>X-DPT-AUTHORIZATION: {token}\n\n{body}</pre></body></html>\n",
		),
	}
}

// redirectFault returns a redirect to the download server, which is another
// origin. It comes before the effect, because 307 and 308 promise that.
func redirectFault(dice *rand.Rand) Fault {
	return Fault{Status: pick(dice, 301, 302, 303, 307, 308)}
}

func authenticationFault() Fault {
	return Fault{Status: http.StatusUnauthorized, Body: `{"message":"Wrong username or password."}`}
}

// address fills in what a random answer says about the request: where a redirect
// leads, and what a body quotes.
func (m *mishap) address(s *state, r *http.Request, body []byte) {
	if m.elsewhere {
		m.Header = http.Header{"Location": {s.vault.downloadURL + r.URL.RequestURI()}}
	}
	if !m.quotes {
		return
	}
	token, said := r.Header.Get("X-DPT-AUTHORIZATION"), string(body)
	escape := html.EscapeString
	if json.Valid([]byte(m.Body)) {
		escape = inJSON
	}
	m.Body = strings.NewReplacer(quotedToken, escape(token), quotedBody, escape(said)).Replace(m.Body)
}

// inJSON returns a text as it is written inside a JSON string.
func inJSON(text string) string {
	quoted, _ := json.Marshal(text)
	return string(quoted[1 : len(quoted)-1])
}

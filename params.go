package privicore

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-querystring/query"

	"github.com/privicore/privicore-go/internal/operation"
)

// params is what a call sends besides the token.
type params struct {
	path  string     // value of the {parameter} in the path
	form  any        // struct with url tags; a form or the query, as the operation says
	json  any        // body of an operation that wants JSON
	basic *basicAuth // for operation.Basic
	raw   Secret     // for operation.Raw

	values url.Values // form, encoded
	token  string     // the token that was sent
}

type basicAuth struct {
	user     string
	password Secret
}

func (a *basicAuth) header() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(a.user+":"+a.password.Reveal()))
}

// body encodes form or json and returns it with its content type. A form that
// belongs into the query is left in p.values.
func (p *params) body(op *operation.Operation) (body []byte, contentType string, err error) {
	if p.form != nil {
		if p.values, err = query.Values(p.form); err != nil {
			return nil, "", err
		}
	}
	switch op.Encoding {
	case operation.Form:
		return []byte(p.values.Encode()), "application/x-www-form-urlencoded", nil
	case operation.JSON:
		body, err = json.Marshal(p.json)
		return body, "application/json", err
	}
	return nil, "", nil
}

// names lists the parameters that were sent.
func (p *params) names() []string {
	var names []string
	for name := range p.values {
		names = append(names, name)
	}
	for name := range p.fields() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// fields are those of a JSON body that is an object.
func (p *params) fields() map[string]any {
	if p.json == nil {
		return nil
	}
	var fields map[string]any
	data, err := json.Marshal(p.json)
	if err != nil || json.Unmarshal(data, &fields) != nil {
		return nil
	}
	return fields
}

// secretParameters are those whose value a server may quote in an error.
var secretParameters = []string{
	"password", "currentPassword", "newPassword", "authorization_code", "refresh_token", "nonce", "data",
}

var authInURL = regexp.MustCompile(`([?&]auth=)[^&\s"'<>]+`)

func (p *params) redact(text string) string { return p.redactor()(text) }

// redactor returns a function that takes out of a text whatever secret was
// sent: servers quote what they refuse.
func (p *params) redactor() func(string) string {
	var secrets []string
	hide := func(value string) {
		// A very short one would tear holes into words.
		if len(value) >= 4 {
			secrets = append(secrets, value)
		}
	}
	hide(p.token)
	hide(p.raw.Reveal())
	if p.basic != nil {
		hide(p.basic.password.Reveal())
		hide(strings.TrimPrefix(p.basic.header(), "Basic "))
	}
	fields := p.fields()
	for _, name := range secretParameters {
		for _, value := range p.values[name] {
			hide(value)
		}
		if value, ok := fields[name].(string); ok {
			hide(value)
		}
	}
	// One may contain another, and be quoted as it was sent.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, secret := range secrets {
		pairs = append(pairs, secret, redacted, url.QueryEscape(secret), redacted)
	}
	replacer := strings.NewReplacer(pairs...)
	return func(text string) string {
		return authInURL.ReplaceAllString(replacer.Replace(text), "${1}"+redacted)
	}
}

// checkIdentifier refuses what cannot be an identifier, wherever it goes: what
// is empty or has characters that do not print, and what a server or a proxy
// could read as a way to another path.
func checkIdentifier(op *operation.Operation, field, value string) error {
	reason := ""
	switch {
	case strings.TrimSpace(value) == "":
		reason = "is empty"
	case value != strings.TrimSpace(value):
		reason = "begins or ends with white space"
	case len(value) > 1024:
		reason = "is longer than 1024 bytes"
	case strings.ContainsFunc(value, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }):
		reason = "has a character that does not print"
	case slices.ContainsFunc(strings.FieldsFunc(value, isSlash), isDots):
		reason = "has a dot segment"
	default:
		return nil
	}
	return invalid(op, field, reason)
}

// checkText refuses a text meant for people that is blank or has control
// characters.
func checkText(op *operation.Operation, field, text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return invalid(op, field, "is empty")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return invalid(op, field, "has a control character or is not UTF-8")
	}
	return nil
}

func isSlash(r rune) bool { return r == '/' || r == '\\' }

func isDots(segment string) bool { return segment == "." || segment == ".." }

func invalid(op *operation.Operation, field, reason string) error {
	return &ValidationError{Operation: op.Title, Field: field, Reason: reason}
}

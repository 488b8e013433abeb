// Package operation lists the operations of the Privicore API. The client reads
// methods, paths and retry safety from the list, and privicoretest its routes.
// The table in docs/coverage.md is generated from it.
package operation

import "strings"

// Auth says how a call is authorized.
type Auth uint8

// The ways to authorize a call.
const (
	None  Auth = iota // nothing is sent
	Token             // X-DPT-AUTHORIZATION: the profile's token
	Basic             // Authorization: Basic base64(clientId:clientSecret)
	Raw               // Authorization: Basic followed by a token as it is
	Query             // ?auth= in a URL from an earlier answer
)

// String returns the word for a in docs/coverage.md.
func (a Auth) String() string {
	return [...]string{"none", "token", "basic", "raw", "query"}[a]
}

// Encoding says where the parameters go, besides those in the path.
type Encoding uint8

// The places for parameters.
const (
	Nowhere Encoding = iota // there are none besides those in the path
	Form                    // application/x-www-form-urlencoded
	JSON                    // application/json
	URL                     // the query string
	Bytes                   // application/octet-stream
)

// String returns the word for e in docs/coverage.md. It is empty for Nowhere.
func (e Encoding) String() string {
	return [...]string{"", "form", "json", "query", "bytes"}[e]
}

// Answer says what a success carries.
type Answer uint8

// The kinds of answers.
const (
	Value     Answer = iota // 200 with a value
	Command                 // 202 with a command id somewhere in the answer
	BareID                  // 202 without a body: the id is in the header only
	Either                  // 200 with a value or 202 with a command id
	NoContent               // 2xx and nothing to read
)

// String returns the word for a in docs/coverage.md.
func (a Answer) String() string {
	return [...]string{"value", "command", "command, no body", "value or command", "nothing"}[a]
}

// Operation is one row of the table.
type Operation struct {
	// Name is Service.Method of the client. Errors, logs and metrics use it.
	Name string
	// Title is the operation's name in the vendor's documentation. It ends in
	// ", other form" if the documentation shows two calls under one name and
	// this is the second.
	Title string
	// Source says how far the row can be trusted: "S" is a page of the vendor's
	// documentation in full, "D" a page in part, "L" an observation on a live
	// server, and "I" a guess from the names of similar operations.
	Source string
	// Page is the address of the vendor's page below DocsURL. It is empty if the
	// address is not known.
	Page string

	Method   string // HTTP method
	Path     string // may end in one {parameter}; empty if OnFileServer
	Auth     Auth
	Encoding Encoding
	Answer   Answer
	// Idempotent reports whether sending the call twice has the effect of
	// sending it once. The HTTP method does not say so: some POSTs only read, and
	// some GETs use up what they return.
	Idempotent bool
}

// DocsURL is where the vendor's documentation begins.
const DocsURL = "https://docs.privicore.com/"

// Service returns the name of the client's service: "Device" for
// "Device.Approve".
func (o *Operation) Service() string {
	service, _, _ := strings.Cut(o.Name, ".")
	return service
}

// Section returns the section of the vendor's documentation that describes the
// operation.
func (o *Operation) Section() string {
	switch service := o.Service(); service {
	case "PublicKey":
		return "Public key"
	case "VerifiedAuthenticator":
		return "Verified authenticator"
	case "OAuth":
		return "OAuth application"
	case "DataToken":
		return "Data token"
	default:
		return service
	}
}

// Link returns the address of the vendor's page, or "" if it is not known.
func (o *Operation) Link() string {
	if o.Page == "" {
		return ""
	}
	return DocsURL + o.Page
}

// Inferred reports whether the row is a guess: neither a document nor a
// recording shows the operation.
func (o *Operation) Inferred() bool { return o.Source == "I" }

// Prefix returns the path up to its {parameter}, or the whole path if it has
// none.
func (o *Operation) Prefix() string {
	prefix, _, _ := strings.Cut(o.Path, "{")
	return prefix
}

// PathParameter returns the name of the {parameter} in the path, or "" if it
// has none.
func (o *Operation) PathParameter() string {
	_, rest, _ := strings.Cut(o.Path, "{")
	return strings.TrimSuffix(rest, "}")
}

// OnFileServer reports whether the call goes to a file server. Path is then
// empty, because the URL comes from an earlier answer.
func (o *Operation) OnFileServer() bool { return o.Auth == Query }

// Fixture returns where the operation's recorded answers are in testdata:
// "device/configure_meta" for "Device.ConfigureMeta", whose answers are in
// testdata/device/configure_meta.*.http.
func (o *Operation) Fixture() string {
	var b strings.Builder
	name := strings.ReplaceAll(o.Name, "OAuth", "Oauth") // one word
	for i, r := range name {
		switch upper := r >= 'A' && r <= 'Z'; {
		case r == '.':
			b.WriteByte('/')
			continue
		case upper && i > 0 && startsWord(name, i):
			b.WriteByte('_')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}

// startsWord reports whether the capital letter at s[i] begins a word. "QRToken"
// has two words, "QR" and "Token".
func startsWord(s string, i int) bool {
	lower := func(j int) bool { return j < len(s) && s[j] >= 'a' && s[j] <= 'z' }
	return s[i-1] != '.' && (lower(i-1) || lower(i+1))
}

// Unreachable lists, by section, the operations that the vendor's menu names
// but whose paths and parameters are not known.
var Unreachable = map[string][]string{
	"Data token": {"Get data token transaction count statistics"},
	"Directory": {
		"Register Directory", "Retrieve owned Directories", "Retrieve assigned directories",
		"Retrieve Directory", "Create Directory User", "Update user information", "Invite Profile",
		"Set profile password", "List Directory Invites", "Process Invitation",
		"Retrieve directory profile", "List directory users", "Directory profiles info",
		"Create profile device", "Add storage device to profile", "List directory devices",
		"Create directory voting pool", "Store directory meta information",
	},
}

// Package operation is the one list of what the Privicore API offers. The
// client reads methods, paths and retry safety from it, privicoretest its
// routes, and docs/coverage.md is generated from it.
package operation

import "strings"

// Auth says how a call is authorized.
type Auth uint8

const (
	None  Auth = iota // nothing is sent
	Token             // X-DPT-AUTHORIZATION: the profile's token
	Basic             // Authorization: Basic base64(clientId:clientSecret)
	Raw               // Authorization: Basic followed by a token as it is
	Query             // ?auth= in a URL that an earlier answer gave
)

func (a Auth) String() string {
	return [...]string{"none", "token", "basic", "raw", "query"}[a]
}

// Encoding says where the parameters go.
type Encoding uint8

const (
	Nowhere Encoding = iota // there are none, or they are in the path
	Form                    // application/x-www-form-urlencoded
	JSON                    // application/json
	URL                     // the query string
	Bytes                   // application/octet-stream
)

func (e Encoding) String() string {
	return [...]string{"", "form", "json", "query", "bytes"}[e]
}

// Answer says what a success carries.
type Answer uint8

const (
	Value     Answer = iota // 200 with a value
	Command                 // 202 with a command id somewhere in the answer
	BareID                  // 202 without a body: the id is in the header only
	Either                  // 200 with a value or 202 with a command id
	NoContent               // 2xx and nothing to read
)

func (a Answer) String() string {
	return [...]string{"value", "command", "command, no body", "value or command", "nothing"}[a]
}

// Operation is one row of the table.
type Operation struct {
	Section  string // section of the vendor's documentation
	Title    string // its name there
	Name     string // Service.Method of the client; its name everywhere else
	Method   string
	Path     string // a {parameter}, if there is one, is its last segment
	Auth     Auth
	Encoding Encoding
	Answer   Answer
	// Idempotent reports whether sending the call twice has the effect of
	// sending it once. It is about the effect, not about the HTTP method: some
	// POSTs only read, and some GETs consume what they return.
	Idempotent bool
	// Source says how far the row can be trusted: S a vendor's page in full,
	// D another vendor's page in part, L observed on a live server,
	// I inferred from the names of its siblings.
	Source string
	// Page is the address of the vendor's page below DocsURL, "" if the address
	// is not known.
	Page string
}

// DocsURL is where the vendor's documentation begins.
const DocsURL = "https://docs.privicore.com/"

// Link returns the address of the vendor's page, or "".
func (o *Operation) Link() string {
	if o.Page == "" {
		return ""
	}
	return DocsURL + o.Page
}

// Inferred reports whether the row is a guess: no document and no recording
// shows it.
func (o *Operation) Inferred() bool { return o.Source == "I" }

// Prefix is the path up to its {parameter}, or the whole path if it has none.
func (o *Operation) Prefix() string {
	prefix, _, _ := strings.Cut(o.Path, "{")
	return prefix
}

// PathParameter is the name of the {parameter} in the path, or "".
func (o *Operation) PathParameter() string {
	_, rest, _ := strings.Cut(o.Path, "{")
	return strings.TrimSuffix(rest, "}")
}

// OnFileServer reports whether the call goes to a file server, whose URL comes
// from an earlier answer. Path is then empty.
func (o *Operation) OnFileServer() bool { return o.Auth == Query }

// Fixture is the stem of the operation's recorded answers in testdata:
// "Device.ConfigureMeta" is in testdata/device/configure_meta.*.
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

// startsWord reports whether the capital at i begins a word: "QRToken" is two.
func startsWord(s string, i int) bool {
	lower := func(j int) bool { return j < len(s) && s[j] >= 'a' && s[j] <= 'z' }
	return s[i-1] != '.' && (lower(i-1) || lower(i+1))
}

// Unreachable are the operations that the vendor's menu names and of which
// neither path nor parameters are known.
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

package wire

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode"
)

// Announcement is what is known of where requested data is. The zero value
// knows nothing.
type Announcement struct {
	Context string // what the data belongs to, if the server says so
	Inline  []byte // the data itself
	Token   string // for the download server, of a stream that is not ready yet
	Server  string // the download server of that stream
	// Address is where the data can be downloaded, with its token. It is as the
	// server gave it, and may lack its scheme; see FileAddress.
	Address string
}

// Complete reports whether the data is there, or can be downloaded.
func (a *Announcement) Complete() bool { return a.Inline != nil || a.Address != "" }

// Take reads one message, in the documented or the observed meaning. Messages
// of other types, and those that come after the announcement is complete, change
// nothing.
func (a *Announcement) Take(m *Message) {
	if a.Complete() || m.Type != TypeAnswer && m.Type != TypeStream {
		return
	}
	if m.DataContext != "" {
		a.Context = m.DataContext
	}
	body, _ := stringIn(m.Body)
	switch {
	case m.Type == TypeStream:
		a.Server = cmp.Or(m.StreamURL, a.Server)
	case m.OutputType == 1 && isAddress(body):
		a.Address = body
	case m.OutputType == 1:
		a.Token = cmp.Or(body, a.Token)
	default:
		// Observed servers send the payload itself, documented ones a text that
		// says how far they are.
		a.Inline = payloadIn(body)
	}
	a.combine()
}

// isAddress reports whether text is an address, as opposed to a bare token.
func isAddress(text string) bool { return strings.Contains(text, "://") || Auth(text) != "" }

// combine makes the address of a server and a token that came apart.
func (a *Announcement) combine() {
	switch {
	case a.Complete() || a.Server == "":
	case Auth(a.Server) != "":
		a.Address = a.Server
	case a.Token != "":
		a.Address = WithAuth(a.Server, a.Token)
	}
}

// minPayload is the least that AES-256-GCM makes of anything: 12 bytes of IV and
// 16 of tag.
const minPayload = 28

// payloadIn decodes an inline payload, or returns nil. No payload is so short
// that a word such as "starting" could be taken for one.
func payloadIn(body string) []byte {
	data, err := base64.StdEncoding.Strict().DecodeString(body)
	if err != nil || len(data) < minPayload {
		return nil
	}
	return data
}

// tokenPrefix is what permanent tokens begin with.
const tokenPrefix = "dtk-"

// PermanentToken returns the token that an answer holds: in an object, as a
// JSON string, or as text without quotes. It returns "" if there is none. A
// sentence, a word that says a status and a machine key are no tokens, and
// neither is anything beside an error.
func PermanentToken(body []byte) string {
	var token string
	switch firstByte(body) {
	case '{':
		var object struct {
			Token string `json:"token"`
			complaint
		}
		if decodeAny(body, &object) != nil || object.made() {
			return ""
		}
		token = object.Token
	case '"':
		token, _ = stringIn(body)
		if !strings.HasPrefix(token, tokenPrefix) && isMachineKey(token) {
			return ""
		}
	default:
		token = strings.TrimSpace(string(body))
		if !strings.HasPrefix(token, tokenPrefix) {
			return ""
		}
	}
	if strings.ContainsFunc(token, unicode.IsSpace) || statusOf(token) != Unknown {
		return ""
	}
	return token
}

// PollID returns the identifier of a poll that an answer holds, or "" if there
// is none. Its field is not documented, so those that it may be in are looked at
// in turn. An object that reports an error holds none.
func PollID(body []byte) string {
	var fields map[string]json.RawMessage
	if firstByte(body) != '{' || json.Unmarshal(body, &fields) != nil || SpeaksOfError(body) {
		return ""
	}
	for _, name := range []string{"pollId", "poolId", "votingId", "pollIdentifier", "identifier", "id"} {
		if id := Word(fields[name]); id != "" {
			return id
		}
	}
	return ""
}

package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Status is how far a command is.
type Status uint8

// The states of a command. Unknown means that the server does not say.
const (
	Unknown Status = iota
	Pending
	Succeeded
	Rejected
)

// Outcome is what a server says about a command.
type Outcome struct {
	Status Status
	// Messages is what the server says about the command, usually machine keys
	// such as "profile.profile_registered". Words that only say the status are
	// left out if there are other messages.
	Messages []string
}

// CommandID returns the command id of an answer, or "" if it has none. The
// header X-DPT-CAB-ID wins. Otherwise the id is in the body: a string, an array
// of one string, or an object with commandId. An object that reports an error
// announces no command.
func CommandID(header string, body []byte) string {
	if id := strings.TrimSpace(header); id != "" {
		return id
	}
	var id string
	switch firstByte(body) {
	case '{':
		return idInObject(body)
	case '[':
		var ids []string
		if json.Unmarshal(body, &ids) == nil && len(ids) == 1 {
			id = ids[0]
		}
	case '"':
		id, _ = stringIn(body)
	}
	if !looksLikeID(id) {
		return ""
	}
	return id
}

// idInObject returns the commandId of an object that reports no error.
func idInObject(body []byte) string {
	var object struct {
		CommandID string `json:"commandId"`
		Error     any    `json:"error"`
		Errors    any    `json:"errors"`
	}
	if decodeAny(body, &object) != nil || says(object.Error) || says(object.Errors) {
		return ""
	}
	return strings.TrimSpace(object.CommandID)
}

// looksLikeID reports whether a bare text can be an id. A text such as "accepted"
// or "profile.registered" is a status or a message instead. All ids that were seen
// look like UUIDs, but not all were well-formed, so an id only needs a digit and
// must have no dot and no space.
func looksLikeID(text string) bool {
	notInID := func(r rune) bool { return r == '.' || unicode.IsSpace(r) }
	return strings.ContainsAny(text, "0123456789") && !strings.ContainsFunc(text, notInID)
}

// ReadStatus reads an answer of /request-status. The argument accepted reports
// whether the answer is a 202; otherwise it is a 200.
//
// A body that is a string or an array of strings is searched for words that say
// the status. An object says it in "status" or "state" only. Where nothing says
// it, a 202 means Pending. A 200 then means Succeeded if the body is of a known
// shape, and is an error otherwise, which describes the body without quoting
// it.
func ReadStatus(accepted bool, body []byte) (Outcome, error) {
	outcome, known := outcomeIn(body)
	switch {
	case outcome.Status != Unknown:
	case accepted:
		outcome.Status = Pending
	case known:
		outcome.Status = Succeeded
	default:
		return Outcome{}, errors.New(Describe(body, nil))
	}
	return outcome, nil
}

// outcomeIn returns what the body says by itself, and reports whether it has a
// shape in which a finished command is announced.
func outcomeIn(body []byte) (outcome Outcome, known bool) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return Outcome{}, true
	}
	var value any
	if decodeAny(body, &value) != nil {
		return bareOutcome(body)
	}
	switch value := value.(type) {
	case nil:
		return Outcome{}, true
	case map[string]any:
		return objectOutcome(value), false
	case string, []any:
		var w words
		w.add(value)
		return Outcome{w.status(), withoutStatusWords(textsOf(value))}, !w.mixed
	}
	return Outcome{}, false
}

// maxBareText is longer than every word and machine key. It keeps whole pages
// from being compared.
const maxBareText = 200

// bareOutcome reads a text without quotes: a word that says the status, or a
// machine key.
func bareOutcome(body []byte) (outcome Outcome, known bool) {
	if len(body) > maxBareText {
		return Outcome{}, false
	}
	text := string(body)
	status := statusOf(text)
	if status == Unknown && !isMachineKey(text) {
		return Outcome{}, false
	}
	return Outcome{status, []string{text}}, true
}

// objectOutcome reads an object. Its own status counts, unless the object
// reports an error beside a status that is no rejection.
func objectOutcome(object map[string]any) Outcome {
	status, key := ownStatus(object)
	if status == Unknown {
		return Outcome{Messages: textsOf(object)}
	}
	rest := maps.Clone(object)
	delete(rest, key)
	messages := withoutStatusWords(textsOf(rest))
	if len(messages) == 0 {
		messages = textsOf(object[key])
	}
	if status != Rejected && complaintOf(object).made() {
		status = Unknown
	}
	return Outcome{status, messages}
}

// ownStatus returns the status that an object gives, and the key it is under.
func ownStatus(object map[string]any) (Status, string) {
	for _, key := range []string{"status", "state"} {
		if word, ok := object[key].(string); ok && statusOf(word) != Unknown {
			return statusOf(word), key
		}
	}
	return Unknown, ""
}

// ReadAck reads a pushed message about a command. The number command_status gives
// the status. Words give it only if there is no number. The status is Unknown if
// neither does.
func ReadAck(m *Message) Outcome {
	outcome := Outcome{Messages: withoutStatusWords(Texts(m.Body))}
	switch m.CommandStatus {
	case StatusPending:
		outcome.Status = Pending
	case StatusSucceeded:
		outcome.Status = Succeeded
	case StatusFailed:
		outcome.Status = Rejected
	default:
		outcome.Status = statusInWords(m)
	}
	return outcome
}

// statusInWords returns the status of a message without a number.
func statusInWords(m *Message) Status {
	status := statusOf(m.StatusWord)
	if first := firstByte(m.Body); status == Unknown && (first == '"' || first == '[') {
		outcome, _ := outcomeIn(m.Body)
		status = outcome.Status
	}
	if status == Succeeded && SpeaksOfError(m.Body) {
		return Unknown
	}
	return status
}

// words collects the strings of a body that is a string or an array.
type words struct {
	texts    []string
	mixed    bool // the body also has something other than strings
	complain bool // an object in the body reports an error
}

func (w *words) add(value any) {
	switch value := value.(type) {
	case nil:
	case string:
		w.texts = append(w.texts, value)
	case []any:
		for _, element := range value {
			w.add(element)
		}
	case map[string]any:
		w.mixed = true
		w.complain = w.complain || complaintOf(value).made()
	default:
		w.mixed = true
	}
}

func (w *words) status() Status {
	status := statusOf(w.texts...)
	if status == Succeeded && w.complain {
		return Unknown
	}
	return status
}

// Words that say how far a command is, instead of what it did.
var statusWords = map[string]Status{
	"started": Pending, "pending": Pending, "running": Pending, "processing": Pending,
	"in_progress": Pending, "queued": Pending, "accepted": Pending, "waiting": Pending,

	"succeeded": Succeeded, "success": Succeeded, "finished": Succeeded,
	"completed": Succeeded, "done": Succeeded, "ok": Succeeded,

	"rejected": Rejected, "refused": Rejected, "declined": Rejected, "denied": Rejected,
	"failed": Rejected, "failure": Rejected, "error": Rejected, "aborted": Rejected,
	"cancelled": Rejected, "canceled": Rejected, "expired": Rejected,
}

// statusOf returns the status that texts say, or Unknown. A text counts if it
// is one of the words as a whole. A rejection counts wherever it stands, and a
// success before progress.
func statusOf(texts ...string) Status {
	status := Unknown
	for _, text := range texts {
		// The order of the constants is that of their weight.
		status = max(status, statusWords[spelling(text)])
	}
	return status
}

// spelling returns a word in lower case, with underscores between its parts.
func spelling(word string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return '_'
		}
		return unicode.ToLower(r)
	}, strings.TrimSpace(word))
}

// withoutStatusWords leaves out the words that only say the status, if there are
// other messages. A pushed message says the status in a number, and polling should
// return the same messages.
func withoutStatusWords(messages []string) []string {
	if len(messages) < 2 {
		return messages
	}
	isWord := func(message string) bool { return statusOf(message) != Unknown }
	if !slices.ContainsFunc(messages, func(message string) bool { return !isWord(message) }) {
		return messages
	}
	return slices.DeleteFunc(messages, isWord)
}

// isMachineKey reports whether text is a message such as
// profile.profile_registered: at least two names with dots between them.
func isMachineKey(text string) bool {
	names := strings.Split(text, ".")
	for _, name := range names {
		if name == "" || strings.ContainsFunc(name, isNoKeyRune) {
			return false
		}
	}
	return len(names) > 1
}

func isNoKeyRune(r rune) bool {
	isLetter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	isDigit := r >= '0' && r <= '9'
	return !isLetter && !isDigit && r != '_' && r != '-'
}

package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// byteOrderMark is U+FEFF, which JSON does not allow.
var byteOrderMark = []byte("\uFEFF")

// WithoutMark returns body without the byte order mark that some servers put in front.
func WithoutMark(body []byte) []byte { return bytes.TrimPrefix(body, byteOrderMark) }

// IsJSON reports whether body is well-formed JSON.
func IsJSON(body []byte) bool { return json.Valid(body) }

// Texts returns all texts in a JSON value: the string itself, those in an array
// in their order, those in an object in the order of its keys. Empty texts are
// left out. The result is nil if body is no JSON.
func Texts(body []byte) []string {
	if firstByte(body) == '"' { // the commonest, and the cheapest
		text, _ := stringIn(body)
		if text == "" {
			return nil
		}
		return []string{text}
	}
	var value any
	if decodeAny(body, &value) != nil {
		return nil
	}
	return textsOf(value)
}

// decodeAny decodes JSON like json.Unmarshal into a value that holds an any. A
// number that no float64 can hold, such as 1e999, becomes a json.Number, because
// one odd number must not hide the texts around it.
func decodeAny(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); !ok {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode(v)
}

// textsOf is Texts for a value that was decoded into an any.
func textsOf(value any) []string { return appendTexts(nil, value) }

func appendTexts(texts []string, value any) []string {
	switch value := value.(type) {
	case string:
		if value != "" {
			texts = append(texts, value)
		}
	case []any:
		for _, element := range value {
			texts = appendTexts(texts, element)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			texts = appendTexts(texts, value[key])
		}
	}
	return texts
}

// Word returns the text of JSON that is a string or a number, or an array of
// exactly one of them. It returns "" for anything else.
func Word(raw []byte) string {
	if firstByte(raw) == '[' {
		var several []json.RawMessage
		if json.Unmarshal(raw, &several) != nil || len(several) != 1 {
			return ""
		}
		raw = several[0]
	}
	if first := firstByte(raw); first == 't' || first == 'f' {
		return ""
	}
	text, _ := scalarText(raw)
	return text
}

// Scopes returns the names in JSON that is a list of names, or a text with
// names between commas or spaces.
func Scopes(raw []byte) []string {
	var scopes []string
	for _, text := range Texts(raw) {
		scopes = append(scopes, strings.FieldsFunc(text, func(r rune) bool {
			return r == ',' || unicode.IsSpace(r)
		})...)
	}
	return scopes
}

// Describe says what is in a body that should have been JSON of a certain
// shape, without quoting it. The argument err is what decoding it returned, or
// nil.
func Describe(body []byte, err error) string {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return "the body is empty"
	case body[0] == '<':
		return "the body is an HTML or XML page, not JSON; a proxy may have answered"
	case !json.Valid(body):
		return "the body is not JSON"
	case string(body) == "null":
		return "the body is null"
	case SpeaksOfError(body):
		return "the body is an object that reports an error"
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		// For a number that does not fit, Value has the number in it.
		kind, _, _ := strings.Cut(wrong.Value, " ")
		return fmt.Sprintf("field %s holds a %s", wrong.Field, kind)
	}
	return "the body is JSON of another shape than expected"
}

// firstByte returns the first byte of JSON that is no space, which shows its
// type. It returns 0 if there is none.
func firstByte(data []byte) byte {
	for _, c := range data {
		if !isSpace(c) {
			return c
		}
	}
	return 0
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// trimSpace removes the space around JSON. What bytes.TrimSpace removes beyond that
// is no JSON.
func trimSpace(data []byte) []byte { return bytes.Trim(data, " \t\r\n") }

// stringIn returns the text of a JSON string, and reports whether data is one.
func stringIn(data []byte) (string, bool) {
	data = trimSpace(data)
	if isPlainString(data) {
		return string(data[1 : len(data)-1]), true
	}
	var text *string
	if json.Unmarshal(data, &text) != nil || text == nil {
		return "", false
	}
	return *text, true
}

// isPlainString reports whether data is a JSON string in which nothing is
// escaped, so that it stands for itself.
func isPlainString(data []byte) bool {
	if len(data) < 2 || data[0] != '"' || data[len(data)-1] != '"' {
		return false
	}
	for _, c := range data[1 : len(data)-1] {
		if c < ' ' || c == '"' || c == '\\' {
			return false
		}
	}
	return utf8.Valid(data)
}

// scalarText returns the text of a JSON string, or a number or bool as it is
// written. It reports false for anything else.
func scalarText(raw []byte) (string, bool) {
	raw = trimSpace(raw)
	switch c := firstByte(raw); {
	case c == '"':
		return stringIn(raw)
	case string(raw) == "true", string(raw) == "false", isNumber(raw):
		return string(raw), true
	}
	return "", false
}

// isNumber reports whether raw is a JSON number.
func isNumber(raw []byte) bool {
	c := firstByte(raw)
	return (c == '-' || c >= '0' && c <= '9') && json.Valid(raw)
}

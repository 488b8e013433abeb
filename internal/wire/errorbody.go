package wire

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// FieldError is one parameter and what is wrong with it.
type FieldError struct {
	Field   string
	Message string
}

// ErrorBody reads an error body in any of the forms that occur: a string, an
// array of strings, an object with a message, an object that names fields. The
// parameters that were sent help to find what is a field. For a body that is not
// JSON the message describes it.
func ErrorBody(body []byte, parameters ...string) (messages []string, fields []FieldError) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	var value any
	if decodeAny(body, &value) != nil {
		return []string{Describe(body, nil)}, nil
	}
	c := collector{parameters: parameters}
	c.collect(value, "", 0)
	return c.messages, c.fields
}

// Keys whose value is about the whole call, and keys that wrap a list of
// fields. Any other key with text below it is a field.
var (
	messageKeys = []string{"message", "error", "detail", "title", "description", "error_description", "msg", "reason"}
	wrapperKeys = []string{"errors", "violations", "fields", "data", "children"}
	ignoredKeys = []string{"code", "status", "statusCode", "type", "trace", "success"}
	fieldKeys   = []string{"field", "propertyPath", "property", "parameter", "param", "name"}
)

// maxErrorDepth is how deep an error body may nest. No text further down is
// meant for a reader.
const maxErrorDepth = 8

// collector gathers the parts of an error body.
type collector struct {
	parameters []string // that were sent
	messages   []string
	fields     []FieldError
}

// collect takes in a value that is about a field, or about the whole call if
// the field is "".
func (c *collector) collect(value any, field string, depth int) {
	if depth > maxErrorDepth {
		return
	}
	switch value := value.(type) {
	case string:
		switch {
		case value == "":
		case field != "":
			c.fields = append(c.fields, FieldError{field, value})
		default:
			c.messages = append(c.messages, value)
		}
	case []any:
		for _, element := range value {
			c.collect(element, field, depth+1)
		}
	case map[string]any:
		c.object(value, field, depth)
	}
}

func (c *collector) object(object map[string]any, field string, depth int) {
	// A name beside a message is that of the field the message is about; alone
	// it is a field with its message.
	nameKey := ""
	if slices.ContainsFunc(messageKeys, func(key string) bool { return object[key] != nil }) {
		if name, key := c.nameIn(object); key != "" {
			field, nameKey = name, key
		}
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		switch {
		case slices.Contains(ignoredKeys, key) || key == nameKey:
		case slices.Contains(messageKeys, key), slices.Contains(wrapperKeys, key):
			c.collect(object[key], field, depth+1)
		case c.isParameter(field) && !c.isParameter(key):
			c.collectPart(object[key], field, key, depth+1)
		default:
			c.collect(object[key], key, depth+1)
		}
	}
}

// nameIn returns the field that the message in an object is about, and the key that
// it is under. It returns "" if there is none.
func (c *collector) nameIn(object map[string]any) (name, key string) {
	for _, k := range fieldKeys {
		if text, ok := object[k].(string); ok {
			name, key = text, k
		}
	}
	if key != "" {
		return name, key
	}
	// Under any other key a parameter can stand at the end of a path.
	for _, k := range slices.Sorted(maps.Keys(object)) {
		if slices.Contains(messageKeys, k) || slices.Contains(wrapperKeys, k) {
			continue
		}
		text := pathIn(object[k])
		if last := text[strings.LastIndexAny(text, "/.")+1:]; c.isParameter(last) {
			return last, k
		}
	}
	return "", ""
}

// pathIn returns a text that may be the path of a parameter: the value itself, the
// last element of an array, or the only member of an object.
func pathIn(value any) string {
	switch v := value.(type) {
	case []any:
		if len(v) > 0 {
			value = v[len(v)-1]
		}
	case map[string]any:
		for _, member := range v {
			if len(v) == 1 {
				value = member
			}
		}
	}
	text, _ := value.(string)
	return text
}

// collectPart takes in a value that is about a part of a parameter, or about a rule
// that the parameter breaks.
func (c *collector) collectPart(value any, parameter, part string, depth int) {
	before := len(c.fields)
	c.collect(value, parameter, depth)
	for i := before; i < len(c.fields); i++ {
		if f := &c.fields[i]; f.Field == parameter {
			f.Message = part + ": " + f.Message
		}
	}
}

// isParameter reports whether name is that of a parameter that was sent.
func (c *collector) isParameter(name string) bool {
	return slices.ContainsFunc(c.parameters, func(p string) bool { return strings.TrimSuffix(p, "[]") == name })
}

// SpeaksOfError reports whether body is a JSON object that reports an error: a
// non-empty error or errors, success:false or failed:true.
func SpeaksOfError(body []byte) bool {
	if firstByte(body) != '{' {
		return false
	}
	var c complaint
	return decodeAny(body, &c) == nil && c.made()
}

// complaint has the fields in which an object reports an error.
type complaint struct {
	Error   any `json:"error"`
	Errors  any `json:"errors"`
	Success any `json:"success"`
	Failed  any `json:"failed"`
}

func complaintOf(object map[string]any) complaint {
	return complaint{object["error"], object["errors"], object["success"], object["failed"]}
}

// made reports whether there is an error in the fields.
func (c complaint) made() bool {
	return says(c.Error) || says(c.Errors) || c.Success == false || c.Failed == true
}

// says reports whether a value holds anything. PHP servers send [], "" or false
// for no error.
func says(value any) bool {
	switch value := value.(type) {
	case nil:
		return false
	case string:
		return value != ""
	case bool:
		return value
	case float64:
		return value != 0
	case json.Number:
		number, err := value.Float64()
		return err != nil || number != 0
	case []any:
		return len(value) > 0
	case map[string]any:
		return len(value) > 0
	}
	return true
}

// GuessFields returns the parameters that messages speak of, each with its
// message. If none is spoken of and there is but one parameter, it is that.
func GuessFields(messages, parameters []string) []FieldError {
	var fields []FieldError
	for _, message := range messages {
		for _, name := range parameters {
			if mentions(message, name) {
				fields = append(fields, FieldError{name, message})
			}
		}
	}
	if len(fields) == 0 && len(parameters) == 1 {
		message := "refused by the server"
		if len(messages) > 0 {
			message = messages[0]
		}
		fields = []FieldError{{parameters[0], message}}
	}
	return fields
}

// mentions reports whether text speaks of a parameter. It does if one of its
// words is the parameter. If the name is long enough not to hide in another
// word, other spellings count too, such as "device identifier" for
// deviceIdentifier.
func mentions(text, parameter string) bool {
	parameter = strings.ToLower(strings.TrimSuffix(parameter, "[]"))
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	return slices.Contains(words, parameter) ||
		len(parameter) >= 6 && strings.Contains(strings.Join(words, ""), strings.ReplaceAll(parameter, "_", ""))
}

package privicoretest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

var reserveFields = []field{
	{"context", text},
	{"ttl", optional(between(1, maxTTL))},
	{"meta", optional(given)},
}

var fileMetaFields = []field{
	{"token", text},
	{"fileName", text},
	{"extension", given},
	{"context", text},
	{"size", byteCount},
	{"path", given},
}

// given is a rule for a required string that may be empty, such as the
// extension of a file.
func given(value any, given bool) string {
	if !given {
		return missing
	}
	if _, ok := value.(string); !ok {
		return "This value should be a single string."
	}
	return ""
}

// byteCount is a rule for a number of bytes, which may exceed 32 bits.
func byteCount(value any, given bool) string {
	if why := text(value, given); why != "" {
		return why
	}
	if n, err := strconv.ParseInt(value.(string), 10, 64); err != nil || n < 0 {
		return "This value should be a number of bytes."
	}
	return ""
}

// inline is a rule for a payload in base64. It may be empty.
func inline(value any, isGiven bool) string {
	if why := given(value, isGiven); why != "" {
		return why
	}
	data, err := base64.StdEncoding.DecodeString(value.(string))
	switch {
	case err != nil:
		return "This value is not valid base64."
	case len(data) > inlineLimit:
		return fmt.Sprintf("This value is too large: at most %d bytes before base64.", inlineLimit)
	}
	return ""
}

// metaObject is a rule for the meta of data in JSON: an object of up to three
// groups.
func metaObject(value any, given bool) string {
	groups, ok := object(value)
	if !ok {
		return "This value should be an object."
	}
	for name, group := range groups {
		switch name {
		case "information_security_risk", "file", "data":
		default:
			return "There is no " + name + " here."
		}
		if _, ok := object(group); !ok && group != nil {
			return name + " should be an object."
		}
	}
	return ""
}

// freeMeta returns the meta of data in a form, as "a.b". A form has it as JSON
// in meta, or as meta[a][b], which is how PHP writes it. Other text in meta is
// ignored.
func freeMeta(params map[string]any) map[string]string {
	meta := make(map[string]string)
	for name, v := range params {
		if path, ok := strings.CutPrefix(name, "meta["); ok {
			path = strings.TrimSuffix(strings.TrimSuffix(path, "[]"), "]")
			meta[strings.ReplaceAll(path, "][", ".")] = fmt.Sprint(v)
		}
	}
	if sent, ok := params["meta"].(string); ok {
		var groups map[string]any
		if json.Unmarshal([]byte(sent), &groups) == nil {
			flatten(meta, "", groups)
		}
	}
	return meta
}

// flatten copies nested objects under names like "a.b". It leaves out nulls.
func flatten(into map[string]string, prefix string, from map[string]any) {
	for name, v := range from {
		if v == nil {
			continue
		}
		if nested, ok := object(v); ok {
			flatten(into, prefix+name+".", nested)
			continue
		}
		if n, ok := wholeNumber(v); ok {
			v = n
		}
		into[prefix+name] = fmt.Sprint(v)
	}
}

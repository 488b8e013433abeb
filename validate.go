package privicore

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/privicore/privicore-go/internal/operation"
)

// invalid returns the error for a parameter that cannot be right.
func invalid(op *operation.Operation, field, reason string) error {
	return &ValidationError{Operation: op.Name, Field: field, Reason: reason}
}

// checkIdentifier refuses a text that cannot be an identifier or a name: one that
// is blank, that checkText refuses, or that a server or a proxy could read as a
// path. Routers of net/http do not match a segment that is a slash.
func checkIdentifier(op *operation.Operation, field, value string) error {
	switch {
	case value != "" && strings.Trim(value, `/\`) == "":
		return invalid(op, field, "is nothing but slashes")
	case value != "" && strings.TrimSpace(value) != "" && value != strings.TrimSpace(value):
		return invalid(op, field, "begins or ends with white space")
	case len(value) > 1024:
		return invalid(op, field, "is longer than 1024 bytes")
	case hasDotSegment(value):
		return invalid(op, field, "has a dot segment")
	}
	return checkText(op, field, value)
}

// checkIdentifiers checks each of several identifiers.
func checkIdentifiers(op *operation.Operation, field string, values []string) error {
	for i, value := range values {
		if err := checkIdentifier(op, fmt.Sprintf("%s[%d]", field, i), value); err != nil {
			return err
		}
	}
	return nil
}

// checkText refuses a text that is blank, or that would not be shown as it is.
func checkText(op *operation.Operation, field, text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return invalid(op, field, "is empty")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return invalid(op, field, "has a control character or is not UTF-8")
	case strings.ContainsFunc(text, isDeceptive):
		return invalid(op, field, "has a character that changes the direction of the text")
	}
	return nil
}

// isDeceptive reports whether r changes the direction of the text that follows,
// which can make an identifier look like another one.
func isDeceptive(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

func isSlash(r rune) bool { return r == '/' || r == '\\' }

// hasDotSegment reports whether value is a path with a segment that is "." or "..".
func hasDotSegment(value string) bool {
	for segment := range strings.FieldsFuncSeq(value, isSlash) {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// wholeSeconds returns a duration in seconds, and refuses one with a fraction.
func wholeSeconds(op *operation.Operation, field string, d time.Duration) (int64, error) {
	switch {
	case d <= 0:
		return 0, invalid(op, field, fmt.Sprintf("is %s; it must be positive", d))
	case d%time.Second != 0:
		return 0, invalid(op, field, fmt.Sprintf("is %s; the server takes whole seconds", d))
	}
	return int64(d / time.Second), nil
}

// tokenProblem returns why a header cannot carry a token, or "".
func tokenProblem(token string) string {
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "is empty or has characters that a header cannot carry"
	}
	return ""
}

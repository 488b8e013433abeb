package privicoretest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// field is a parameter and the rule for it.
type field struct {
	name string
	rule rule
}

// rule returns what is wrong with a value, or "".
type rule func(value any, given bool) string

// problem is what is wrong with one field.
type problem struct{ field, why string }

const (
	missing = "This field is missing."
	blank   = "This value should not be blank."
)

// optional returns a rule that accepts a parameter that is left out.
func optional(r rule) rule {
	return func(value any, given bool) string {
		if !given {
			return ""
		}
		return r(value, given)
	}
}

// text is a rule for a string that is not blank.
func text(value any, given bool) string {
	if !given {
		return missing
	}
	s, ok := value.(string)
	switch {
	case !ok:
		return "This value should be a single string."
	case strings.TrimSpace(s) == "":
		return blank
	}
	return ""
}

// strong is a rule for a password of some entropy.
func strong(value any, given bool) string {
	if why := text(value, given); why != "" {
		return why
	}
	password := value.(string)
	first, _ := utf8.DecodeRuneInString(password)
	if utf8.RuneCountInString(password) < 8 || strings.Trim(password, string(first)) == "" {
		return "The password is too weak: at least 8 characters, not all the same."
	}
	return ""
}

var uuidPattern = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// uuid is a rule for a UUID.
func uuid(value any, given bool) string {
	if why := text(value, given); why != "" {
		return why
	}
	if !uuidPattern.MatchString(value.(string)) {
		return "This is not a valid UUID."
	}
	return ""
}

// between returns a rule for a whole number in a form.
func between(least, most int) rule {
	return func(value any, given bool) string {
		if why := text(value, given); why != "" {
			return why
		}
		if n, ok := whole(value); !ok || n < least || n > most {
			return fmt.Sprintf("This value should be a whole number between %d and %d.", least, most)
		}
		return ""
	}
}

// numberBetween returns a rule for a whole number in JSON.
func numberBetween(least, most int) rule {
	return func(value any, given bool) string {
		if !given {
			return missing
		}
		_, number := value.(json.Number)
		if n, ok := whole(value); !number || !ok || n < least || n > most {
			return fmt.Sprintf("This value should be a whole number between %d and %d.", least, most)
		}
		return ""
	}
}

// object returns value as a JSON object. A client in PHP writes an empty one as
// [].
func object(value any) (map[string]any, bool) {
	if list, ok := value.([]any); ok && len(list) == 0 {
		return map[string]any{}, true
	}
	members, ok := value.(map[string]any)
	return members, ok
}

// limit is the largest number that a parameter may have. It fits into 32 bits in
// any language.
const limit = 1<<31 - 1

var (
	positive   = between(1, limit)
	percentage = between(0, 100)
)

// strategy is a rule for the name of a voting strategy.
func strategy(value any, given bool) string {
	if why := text(value, given); why != "" {
		return why
	}
	switch value {
	case "unanimous", "consensus", "affirmative", minimumPercentage:
		return ""
	}
	return "This is not a known strategy."
}

// textList is a rule for a list of strings, which may be empty: an array in
// JSON, or name[] in a form.
func textList(value any, given bool) string {
	if !given {
		return missing
	}
	list, ok := value.([]any)
	if !ok {
		return "This value should be a list of strings."
	}
	for _, item := range list {
		if text(item, true) != "" {
			return "This value should be a list of strings that are not blank."
		}
	}
	return ""
}

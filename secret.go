package privicore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// redacted stands for a secret wherever one would be shown.
const redacted = "[redacted]"

// Secret is a string that is not shown: fmt, log/slog and encoding/json all
// write "[redacted]", also where the Secret is a field of another type. Reveal
// gives the value to those who ask for it. The zero Secret is empty.
//
// Secrets must not be compared with ==; compare what Reveal returns.
type Secret struct {
	// A pointer, because fmt reads unexported fields of the user's structs by
	// reflection, where no method of Secret is asked.
	value *string
}

// NewSecret returns a Secret that holds value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{&value}
}

// Reveal returns the value.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether the Secret is empty.
func (s Secret) IsZero() bool { return s.value == nil }

// Format writes "[redacted]" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String returns "[redacted]".
func (s Secret) String() string { return redacted }

// LogValue returns "[redacted]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON writes "[redacted]": a program that keeps a secret does so on
// purpose, with Reveal.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// UnmarshalJSON reads a string. A number is kept as it is written, null is the
// empty Secret.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var value string
	switch {
	case bytes.Equal(data, []byte("null")):
	case len(data) > 0 && (data[0] == '-' || data[0] >= '0' && data[0] <= '9'):
		value = string(data)
	default:
		// The decoder's own error would quote the value.
		if json.Unmarshal(data, &value) != nil {
			return fmt.Errorf("secret is neither a string nor a number")
		}
	}
	*s = NewSecret(value)
	return nil
}

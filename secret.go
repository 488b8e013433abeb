package privicore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// A Secret is a string that must not be shown. fmt, log/slog and encoding/json
// write "[redacted]" in its place, also where it is a field of another type.
// Reveal returns the value. The zero Secret is empty.
//
// Two Secrets cannot be compared with ==. Compare what Reveal returns.
type Secret struct {
	// A pointer, because fmt does not call the methods of unexported fields. It
	// prints their strings, but only the address of a pointer.
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

// MarshalJSON writes "[redacted]". A program that wants to keep the value writes
// what Reveal returns.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// UnmarshalJSON reads a string. It keeps a number as it is written, and reads
// null as the empty Secret.
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

package privicore

import (
	"fmt"
	"io"
	"reflect"

	"github.com/privicore/privicore-go/internal/redact"
)

// redacted stands for a secret wherever one would be shown.
const redacted = redact.Mark

// secretParameters are the parameters whose values a server may quote in an
// error.
var secretParameters = []string{
	"password", "currentPassword", "newPassword", "authorization_code", "refresh_token", "nonce", "data",
}

// format writes the exported fields of a struct for any verb. Types that keep
// the JSON they were read from use it, because that JSON may hold secrets.
func format(s fmt.State, verb rune, v any) {
	value := reflect.ValueOf(v)
	if s.Flag('#') {
		_, _ = io.WriteString(s, value.Type().String())
	}
	separator := "{"
	for i := range value.NumField() {
		field := value.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		_, _ = io.WriteString(s, separator)
		if s.Flag('+') || s.Flag('#') {
			_, _ = io.WriteString(s, field.Name+":")
		}
		_, _ = fmt.Fprintf(s, fmt.FormatString(s, verb), value.Field(i).Interface())
		separator = " "
		if s.Flag('#') {
			separator = ", "
		}
	}
	if separator == "{" {
		_, _ = io.WriteString(s, "{")
	}
	_, _ = io.WriteString(s, "}")
}

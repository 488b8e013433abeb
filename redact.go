package privicore

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/redact"
)

// redacted stands for a secret wherever one would be shown.
const redacted = redact.Mark

// secretParameters are the parameters whose values a server may quote in an
// error.
var secretParameters = []string{
	"password", "currentPassword", "newPassword", "authorization_code", "refresh_token", "nonce", "data",
}

// shown returns the operation of r for errors. Its path is without secrets, because
// the caller of Do chose it.
func (r *request) shown() *operation.Operation {
	path := r.redact(r.op.Path)
	if path == r.op.Path {
		return r.op
	}
	op := *r.op
	op.Path = path
	return &op
}

// secretsOfOutcome returns a function that returns the secrets that a server may
// quote in the outcome of the command, such as a password that it finds too short.
// It returns nil if there are none. The payload is left out: the command keeps the
// secrets, and payloads are large.
func (r *request) secretsOfOutcome() func() []string {
	if r.op.Answer == operation.Value {
		return nil
	}
	var secrets []string
	for _, name := range secretParameters {
		if name != "data" {
			secrets = append(secrets, r.values[name]...)
		}
	}
	if len(secrets) == 0 {
		return nil
	}
	return func() []string { return secrets }
}

// redacted returns r without the secrets of the call that gave the command. A
// rejection is shown as an error, so the token is taken out of it too.
func (c *Command) redacted(r *CommandResult) *CommandResult {
	var secrets []string
	if c.sent.secrets != nil {
		secrets = slices.Clone(c.sent.secrets())
	}
	if token := c.client.tokens.held(); token != nil && r.Status == CommandRejected {
		secrets = append(secrets, token.Token.Reveal())
	}
	if len(secrets) == 0 {
		return r
	}
	clean := redact.New(secrets...)
	shown := *r
	shown.Messages = slices.Clone(r.Messages)
	for i, message := range shown.Messages {
		shown.Messages[i] = clean(message)
	}
	if body := clean(string(r.Body)); body != string(r.Body) {
		shown.Body = json.RawMessage(body)
	}
	return &shown
}

// Format writes "privicore.Client" for every verb. Without it, some verbs of fmt
// print what is behind the pointers in a Client, such as a TokenSource.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "privicore.Client") }

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

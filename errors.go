package privicore

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/transport"
)

// What can go wrong, for errors.Is.
var (
	// ErrUnauthorized: no token, a dead one, or wrong credentials (401). For
	// wrong credentials there is an *APIError whose Operation is "Authenticate".
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden: the token is good, and yet the operation is not allowed
	// (403), for example before the profile's public key is registered.
	ErrForbidden = errors.New("forbidden")
	// ErrNotFound: there is no such thing (404).
	ErrNotFound = errors.New("not found")
	// ErrConflict: it exists already, for example a username (409).
	ErrConflict = errors.New("conflict")
	// ErrValidation: a parameter was refused, here (*ValidationError) or by
	// the server (422).
	ErrValidation = errors.New("validation failed")
	// ErrRateLimited: too many calls (429), and waiting as long as the server
	// asks for would take too long. See APIError.RetryAfter.
	ErrRateLimited = errors.New("rate limited")
	// ErrNoCommandID: the server accepted a command without saying under which
	// id. The command may be running; its outcome cannot be learned.
	ErrNoCommandID = errors.New("answer carries no command id")
	// ErrUnexpectedAnswer: the answer reports success and cannot be read.
	ErrUnexpectedAnswer = errors.New("unexpected answer")
	// ErrAmbiguous: the server may or may not have carried out the call, which
	// was not sent again for that reason.
	ErrAmbiguous = errors.New("the server may have carried out the call")
	// ErrClosed: the client was closed.
	ErrClosed = errors.New("client is closed")
)

// A FieldError is one parameter and what is wrong with it.
type FieldError struct {
	Field   string
	Message string
}

// String returns both.
func (e FieldError) String() string { return e.Field + ": " + e.Message }

// A ValidationError means that nothing was sent, because a parameter cannot be
// right. It matches ErrValidation.
type ValidationError struct {
	Operation string // as the vendor's documentation calls it
	Field     string // the parameter, by its name on the wire
	Reason    string
}

// Error names the operation, the field and the reason.
func (e *ValidationError) Error() string {
	return fmt.Sprintf("privicore: %s: %s %s", e.Operation, e.Field, e.Reason)
}

// Is makes the error match ErrValidation.
func (e *ValidationError) Is(target error) bool { return target == ErrValidation }

// An APIError is an answer that reports a failure, or one that cannot be read
// (then it matches ErrUnexpectedAnswer). It matches the sentinel error of its
// status code.
type APIError struct {
	Operation  string // as the vendor's documentation calls it
	Method     string
	Path       string
	StatusCode int
	// Messages is what the server said: sentences or machine keys such as
	// "oauth.already_retrieved". Secrets that were sent are taken out.
	Messages []string
	// Fields names the parameters of a validation error, as far as the server
	// did. Where it did not and there is but one parameter, it is that.
	Fields []FieldError
	// Parameters are the names of what was sent.
	Parameters []string
	// RetryAfter is when the server wants to be asked again, or 0.
	RetryAfter time.Duration
	// Response is the answer as it came. It is not redacted.
	Response *Response

	err       error // what makes a success unusable
	ambiguous bool
}

// Error names the operation, the call and what the server said.
func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "privicore: %s: %s %s: %d %s", e.Operation, e.Method, e.Path, e.StatusCode, http.StatusText(e.StatusCode))
	if e.err != nil {
		b.WriteString(": " + e.err.Error())
	}
	for _, f := range e.Fields {
		b.WriteString(": " + f.String())
	}
	for _, message := range e.Messages {
		if !slices.ContainsFunc(e.Fields, func(f FieldError) bool { return f.Message == message }) {
			b.WriteString(": " + message)
		}
	}
	if e.StatusCode == http.StatusUnprocessableEntity && len(e.Fields) == 0 && len(e.Parameters) > 0 {
		fmt.Fprintf(&b, " (sent: %s)", strings.Join(e.Parameters, ", "))
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, " (retry after %s)", e.RetryAfter)
	}
	return b.String()
}

// Is matches the sentinel error of the status code.
func (e *APIError) Is(target error) bool {
	switch target {
	case ErrUnauthorized:
		return e.StatusCode == http.StatusUnauthorized
	case ErrForbidden:
		return e.StatusCode == http.StatusForbidden
	case ErrNotFound:
		return e.StatusCode == http.StatusNotFound
	case ErrConflict:
		return e.StatusCode == http.StatusConflict
	case ErrValidation:
		return e.StatusCode == http.StatusUnprocessableEntity
	case ErrRateLimited:
		return e.StatusCode == http.StatusTooManyRequests
	case ErrAmbiguous:
		return e.ambiguous
	}
	return false
}

// Unwrap returns what makes a success unusable, or nil.
func (e *APIError) Unwrap() error { return e.err }

// A CommandError is the outcome of a command that was accepted and then
// rejected.
type CommandError struct {
	ID       string
	Messages []string // the reasons, as the server gave them
}

// Error names the command and the reasons.
func (e *CommandError) Error() string {
	reason := strings.Join(e.Messages, "; ")
	if reason == "" {
		reason = "no reason given"
	}
	return fmt.Sprintf("privicore: command %s was rejected: %s", e.ID, reason)
}

// callError is a call without an answer.
type callError struct {
	operation *operation.Operation
	err       error
	text      string // of err, if secrets had to be taken out
	ambiguous bool
}

func (e *callError) Error() string {
	text, note := e.text, ""
	if text == "" {
		text = e.err.Error()
	}
	if e.ambiguous {
		note = " (" + ErrAmbiguous.Error() + ")"
	}
	return fmt.Sprintf("privicore: %s: %s %s: %s%s", e.operation.Title, e.operation.Method, e.operation.Path, text, note)
}

func (e *callError) Unwrap() error        { return e.err }
func (e *callError) Is(target error) bool { return target == ErrAmbiguous && e.ambiguous }

// newAPIError makes an error of an answer.
func newAPIError(op *operation.Operation, p *params, resp *Response) *APIError {
	e := &APIError{
		Operation:  op.Title,
		Method:     op.Method,
		Path:       op.Path,
		StatusCode: resp.StatusCode,
		Parameters: p.names(),
		Response:   resp,
		// A failure inside or in front of the server says nothing about how
		// far the command had come, a refusal does.
		ambiguous: !op.Idempotent && resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented,
	}
	if name := op.PathParameter(); name != "" {
		e.Parameters = append(e.Parameters, name)
	}
	after, said := transport.RetryAfter(resp.Header)
	e.RetryAfter = after
	if said && resp.StatusCode == http.StatusServiceUnavailable {
		e.ambiguous = false
	}
	clean := p.redactor()
	e.Messages, e.Fields = parseErrorBody(resp)
	for i := range e.Messages {
		e.Messages[i] = clean(e.Messages[i])
	}
	for i := range e.Fields {
		e.Fields[i] = FieldError{clean(e.Fields[i].Field), clean(e.Fields[i].Message)}
	}
	if resp.StatusCode == http.StatusUnprocessableEntity && len(e.Fields) == 0 {
		said := e.Messages
		if !json.Valid(resp.Body) {
			said = nil // the words are ours
		}
		e.Fields = guessFields(said, e.Parameters)
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		e.err = fmt.Errorf("%w: a redirect that leaves the server or changes the method is not followed", ErrUnexpectedAnswer)
	}
	return e
}

// parseErrorBody reads an error body in any of the forms that occur: a bare
// string, an array of strings, an object with a message, an object that names
// fields.
func parseErrorBody(resp *Response) (messages []string, fields []FieldError) {
	var body any
	if json.Unmarshal(resp.Body, &body) != nil {
		if len(resp.Body) == 0 {
			return nil, nil
		}
		return []string{describeBody(resp, nil)}, nil
	}
	collectErrors(body, "", &messages, &fields, 0)
	return messages, fields
}

// Keys whose value is about the whole call, and keys that wrap a list of
// fields. Any other key with text below it is a field.
var (
	messageKeys = []string{"message", "error", "detail", "title", "description", "error_description"}
	wrapperKeys = []string{"errors", "violations", "fields", "data", "children"}
	ignoredKeys = []string{"code", "status", "statusCode", "type", "trace", "success"}
	fieldKeys   = []string{"field", "propertyPath", "property", "parameter", "param", "name"}
)

func collectErrors(body any, field string, messages *[]string, fields *[]FieldError, depth int) {
	if depth > 8 {
		return
	}
	switch body := body.(type) {
	case string:
		switch {
		case body == "":
		case field != "":
			*fields = append(*fields, FieldError{field, body})
		default:
			*messages = append(*messages, body)
		}
	case []any:
		for _, element := range body {
			collectErrors(element, field, messages, fields, depth+1)
		}
	case map[string]any:
		// A name beside a message is that of the field the message is about;
		// alone it is a field with its message.
		named := slices.ContainsFunc(messageKeys, func(key string) bool { return body[key] != nil })
		for _, key := range fieldKeys {
			if name, ok := body[key].(string); ok && named {
				field = name
			}
		}
		keys := make([]string, 0, len(body))
		for key := range body {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			switch {
			case slices.Contains(ignoredKeys, key), named && slices.Contains(fieldKeys, key) && body[key] == any(field):
			case slices.Contains(messageKeys, key), slices.Contains(wrapperKeys, key):
				collectErrors(body[key], field, messages, fields, depth+1)
			default:
				collectErrors(body[key], key, messages, fields, depth+1)
			}
		}
	}
}

// guessFields finds the parameter that a message speaks of.
func guessFields(messages, parameters []string) []FieldError {
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

// mentions tells whether text speaks of a parameter: as a word, or, if the name
// is long enough not to hide in another word, spelled in any way
// ("device identifier" for deviceIdentifier).
func mentions(text, parameter string) bool {
	parameter = strings.ToLower(strings.TrimSuffix(parameter, "[]"))
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	return slices.Contains(words, parameter) ||
		len(parameter) >= 6 && strings.Contains(strings.Join(words, ""), strings.ReplaceAll(parameter, "_", ""))
}

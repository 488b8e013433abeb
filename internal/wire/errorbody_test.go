package wire

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestErrorBody(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		body     string
		messages []string
		fields   []FieldError
	}{
		{`"profile.not_an_owner"`, []string{"profile.not_an_owner"}, nil},
		{`["one","two"]`, []string{"one", "two"}, nil},
		{`["one","",["two"]]`, []string{"one", "two"}, nil},
		{`{"message":"no"}`, []string{"no"}, nil},
		{`{"error":"no","code":5,"status":"error"}`, []string{"no"}, nil},
		{`{"message":"no","errors":{"name":"is taken"}}`, []string{"no"}, []FieldError{{"name", "is taken"}}},
		{`{"errors":{"name":["is taken","is short"]}}`, nil, []FieldError{{"name", "is taken"}, {"name", "is short"}}},
		{`{"errors":[{"field":"name","message":"is taken"}]}`, nil, []FieldError{{"name", "is taken"}}},
		{`{"violations":[{"propertyPath":"name","title":"is taken"}]}`, nil, []FieldError{{"name", "is taken"}}},
		{`{"errors":{"name":"is taken"}}`, nil, []FieldError{{"name", "is taken"}}},
		{`{"name":["is taken"]}`, nil, []FieldError{{"name", "is taken"}}},
		{`{"field":"name","message":"is taken"}`, nil, []FieldError{{"name", "is taken"}}},
		{`{"children":{"b":"2","a":"1"}}`, nil, []FieldError{{"a", "1"}, {"b", "2"}}},
		{``, nil, nil},
		{" \n", nil, nil},
		{`null`, nil, nil},
		{`5`, nil, nil},
		{`{}`, nil, nil},
		{`1e999`, nil, nil}, // no float64 holds it
		{`{"message":"no","n":1e999,"errors":{"name":"is taken"}}`, []string{"no"}, []FieldError{{"name", "is taken"}}},
		{`<html>`, []string{"the body is an HTML or XML page, not JSON; a proxy may have answered"}, nil},
		{`plain text`, []string{"the body is not JSON"}, nil},
		{strings.Repeat(`{"a":`, 50) + `"deep"` + strings.Repeat(`}`, 50), nil, nil},
		{deepValid, nil, nil},
		{deep, []string{"the body is not JSON"}, nil},
	} {
		messages, fields := ErrorBody([]byte(test.body))
		assert.Equal(t, test.messages, messages, "%.80s", test.body)
		assert.Equal(t, test.fields, fields, "%.80s", test.body)
	}
}

// The parameters that were sent show what is a field.
func TestErrorBodyWithParameters(t *testing.T) {
	t.Parallel()
	limit := []FieldError{{"timeLimit", "is long"}}
	for _, test := range []struct {
		body   string
		fields []FieldError
	}{
		{`{"errors":[{"loc":["body","timeLimit"],"msg":"is long","type":"value_error"}]}`, limit},
		{`{"errors":[{"source":{"pointer":"/data/attributes/timeLimit"},"title":"is long"}]}`, limit},
		{`{"invalid-params":[{"name":"timeLimit","reason":"is long"}]}`, limit},
		{`{"title":"bad","invalid-params":[{"name":"timeLimit","reason":"is long"}]}`, limit},
		{`{"title":"bad","details":{"timeLimit":["is long"]}}`, limit},
		{`{"errors":[{"param":"timeLimit","msg":"is long"}]}`, limit},
		{`{"errors":[{"path":"timeLimit","message":"is long"}]}`, limit},
		{`{"errors":[{"path":"body.timeLimit","message":"is long"}]}`, limit},
		{`{"errors":{"timeLimit":"is long"}}`, limit},
		{`{"timeLimit":{"tooLong":"is long"}}`, []FieldError{{"timeLimit", "tooLong: is long"}}},
		{`{"deviceIdentifiers":{"1":["is unknown"]}}`, []FieldError{{"deviceIdentifiers", "1: is unknown"}}},
		{`{"scope":{"0":"is unknown"}}`, []FieldError{{"scope", "0: is unknown"}}},
		// A parameter below another one is a field of its own.
		{`{"timeLimit":{"deviceIdentifiers":"is unknown"}}`, []FieldError{{"deviceIdentifiers", "is unknown"}}},
		// What is no parameter is not taken for one.
		{`{"errors":[{"loc":["body","x"],"msg":"is long"}]}`, []FieldError{{"loc", "body"}, {"loc", "x"}}},
		{`{"other":{"tooLong":"is long"}}`, []FieldError{{"tooLong", "is long"}}},
	} {
		_, fields := ErrorBody([]byte(test.body), "deviceIdentifiers", "scope[]", "timeLimit")
		assert.Equal(t, test.fields, fields, test.body)
	}
}

// Whatever a server answers with a 422, the parameter is found.
func TestRecordedErrors(t *testing.T) {
	t.Parallel()
	for _, path := range recordings(t, "errors/*.http") {
		status, _, body := recorded(t, path)
		messages, fields := ErrorBody(body)
		if status != http.StatusUnprocessableEntity {
			assert.Empty(t, fields, path)
			continue
		}
		if len(fields) == 0 {
			fields = GuessFields(messages, []string{"deviceIdentifier"})
		}
		assert.NotEmpty(t, fields, path)
		for _, field := range fields {
			assert.Equal(t, "deviceIdentifier", field.Field, path)
			assert.NotEmpty(t, field.Message, path)
		}
	}
}

func TestSpeaksOfError(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"error":"no"}`, ` {"error":{"a":1}}`, `{"errors":["no"]}`, `{"errors":{"a":"b"}}`, `{"success":false}`, `{"failed":true}`,
		`{"error":true}`, `{"error":500}`, `{"status":"ok","error":"no"}`,
		`{"error":1e999}`, `{"errors":[1e999]}`,
	} {
		assert.True(t, SpeaksOfError([]byte(body)), body)
	}
	for _, body := range []string{
		``, `null`, `{}`, `[]`, `"error"`, `["error"]`, `[{"error":"no"}]`, `{"message":"error"}`, `{"a":{"error":"no"}}`,
		`{"error":null}`, `{"error":""}`, `{"error":false}`, `{"error":0}`, `{"errors":[]}`, `{"errors":{}}`, `{"success":true}`, `{"failed":false}`,
		`{"error":"no"`, `<html>`, deep, deepObject, `{"error":0,"errors":{},"n":1e999}`,
	} {
		assert.False(t, SpeaksOfError([]byte(body)), "%.80s", body)
	}
}

func TestGuessFields(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		messages, parameters []string
		want                 []FieldError
	}{
		{[]string{"deviceIdentifier is not a UUID"}, []string{"name", "deviceIdentifier"}, []FieldError{{"deviceIdentifier", "deviceIdentifier is not a UUID"}}},
		{[]string{"The device identifier is invalid"}, []string{"name", "deviceIdentifier"}, []FieldError{{"deviceIdentifier", "The device identifier is invalid"}}},
		{[]string{"device_identifier: wrong"}, []string{"name", "deviceIdentifier"}, []FieldError{{"deviceIdentifier", "device_identifier: wrong"}}},
		{[]string{"scope is empty"}, []string{"scope[]", "nonce"}, []FieldError{{"scope[]", "scope is empty"}}},
		{[]string{"the username is taken"}, []string{"name", "password"}, nil}, // a short name hides in other words
		{[]string{"name and password"}, []string{"name", "password"}, []FieldError{{"name", "name and password"}, {"password", "name and password"}}},
		{[]string{"invalid", "and more"}, []string{"name"}, []FieldError{{"name", "invalid"}}},
		{nil, []string{"name"}, []FieldError{{"name", "refused by the server"}}},
		{[]string{"invalid"}, []string{"a", "b"}, nil},
		{[]string{"invalid"}, nil, nil},
	} {
		assert.Equal(t, test.want, GuessFields(test.messages, test.parameters), test.messages)
	}
}

func FuzzErrorBody(f *testing.F) {
	for _, body := range []string{
		`"no"`, `["a","b"]`, `{"message":"no"}`, `{"errors":{"name":["a","b"]}}`, `{"violations":[{"propertyPath":"name","title":"a"}]}`,
		`<html>`, ``, `{"field":"name","message":"a"}`, `{"error":{"error":{"a":""}}}`, "{\"\xff\":\"\xfe\"}",
		`1e999`, `{"message":"no","n":1e999}`, `{"error":0,"errors":1e999}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		messages, fields := ErrorBody(body)
		if !json.Valid(body) {
			assert.Empty(t, fields)
			assert.LessOrEqual(t, len(messages), 1)
			return
		}
		texts := Texts(body)
		assert.LessOrEqual(t, len(messages)+len(fields), len(texts), "each text is used once at most")
		for _, message := range messages {
			assert.Contains(t, texts, message)
		}
		for _, field := range fields {
			assert.Contains(t, texts, field.Message)
			assert.NotEmpty(t, field.Field)
		}
	})
}

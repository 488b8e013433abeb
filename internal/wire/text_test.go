package wire

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{
		``:                                  nil,
		`null`:                              nil,
		`""`:                                nil,
		`"a"`:                               {"a"},
		` "a\u0062\n" `:                     {"ab\n"},
		"\"\xff\"":                          {"\ufffd"},
		`"a" "b"`:                           nil,
		`"a"b"`:                             nil,
		"\"a\nb\"":                          nil,
		`"a`:                                nil,
		`["b","","a",5,true,null,["c"]]`:    {"b", "a", "c"},
		`{"z":"1","a":{"y":"2","b":["3"]}}`: {"3", "2", "1"},
		`5`:                                 nil,
		`["a",1e999,{"b":"c"}]`:             {"a", "c"},
		`<html>`:                            nil,
		deep:                                nil,
		deepValid:                           nil,
		deepObject:                          nil,
	} {
		assert.Equal(t, want, Texts([]byte(body)), "%.80s", body)
	}
}

func TestWord(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`"a"`: "a", `["a"]`: "a", ` [ "a" ] `: "a", `5`: "5", `[17]`: "17", ` 1.50 `: "1.50", `-1e3`: "-1e3", `"\u0061"`: "a",
		``: "", `null`: "", `[null]`: "", `true`: "", `[false]`: "", `[]`: "", `["a","b"]`: "", `[["a"]]`: "", `{"a":"b"}`: "", `"a`: "", `5x`: "", deep: "",
		"\v5": "", "\u00a0\"a\"": "", // what is no JSON, though Unicode takes it for space
	} {
		assert.Equal(t, want, Word([]byte(body)), "%.80s", body)
	}
	assert.Empty(t, Word(nil))
}

func TestScopes(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{
		`["a","b"]`: {"a", "b"}, `"a,b c"`: {"a", "b", "c"}, `"a, b"`: {"a", "b"}, `["a,b","c"]`: {"a", "b", "c"}, `"a\tb"`: {"a", "b"},
		`{"0":"a","1":"b"}`: {"a", "b"},
		``:                  nil, `null`: nil, `""`: nil, `[]`: nil, `", "`: nil, `5`: nil,
	} {
		assert.Equal(t, want, Scopes([]byte(body)), body)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                   "the body is empty",
		" \n":                "the body is empty",
		`<html>secret`:       "the body is an HTML or XML page, not JSON; a proxy may have answered",
		`secret`:             "the body is not JSON",
		`{"a":"secret"`:      "the body is not JSON",
		`null`:               "the body is null",
		`{"error":"secret"}`: "the body is an object that reports an error",
		`{"a":"secret"}`:     "the body is JSON of another shape than expected",
		deep:                 "the body is not JSON",
	} {
		assert.Equal(t, want, Describe([]byte(body), nil), "%.80s", body)
	}
	var v struct {
		A struct{ B int8 } `json:"a"`
	}
	for body, want := range map[string]string{
		`{"a":{"b":"secret"}}`: "field a.B holds a string",
		`{"a":{"b":31337}}`:    "field a.B holds a number",
		`[1]`:                  "the body is JSON of another shape than expected",
	} {
		err := json.Unmarshal([]byte(body), &v)
		require.Error(t, err)
		assert.Equal(t, want, Describe([]byte(body), err))
	}
	assert.Equal(t, "the body is JSON of another shape than expected", Describe([]byte(`{}`), errors.New("secret")))
}

// FuzzTexts reads the texts, tokens and identifiers of an answer of any shape. They
// are in the answer, and none is beside an error. What is said of an answer does not
// quote it.
func FuzzTexts(f *testing.F) {
	for _, body := range []string{
		``, `null`, `"dtk-1"`, `dtk-1`, `{"token":"dtk-1"}`, `{"token":"dtk-1","error":"no"}`, `"a b"`, `"succeeded"`, `"a.b"`, `{"pollId":5}`, `{"id":["a"]}`,
		`{"poolId":"p","success":false}`, `["a, b",["c"]]`, `{"scopes":"a b"}`, `{"text":5}`, `{"map":{"hunter":{}}}`, `{"objects":[{"hunter":1}],"list":["hunter",1]}`,
		`<html>`, `1e999`, `{"int":"1e999"}`, "{\"\xff\":\"\xfe\"}", `{"int":99999999999999999999}`, `{"time":"hunter"}`, `{"sealed":{"hunter":[]}}`, `{"map":{"hunter":"x"}}`,
	} {
		f.Add([]byte(body), "name")
	}
	said := regexp.MustCompile(`^(the body is [A-Za-z ,;]+|field [A-Za-z.]+ holds a [a-z]+)$`)
	f.Fuzz(func(t *testing.T, body []byte, parameter string) {
		texts := Texts(body)
		require.False(t, slices.Contains(texts, ""))
		token := PermanentToken(body)
		if token != "" {
			require.False(t, SpeaksOfError(body))
			require.True(t, slices.Contains(texts, token) || strings.TrimSpace(string(body)) == token)
			require.False(t, strings.ContainsFunc(token, unicode.IsSpace))
		}
		id := PollID(body)
		if id != "" {
			require.True(t, json.Valid(body))
			require.False(t, SpeaksOfError(body))
		}
		for _, scope := range Scopes(body) {
			require.NotEmpty(t, scope)
			require.False(t, strings.ContainsFunc(scope, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }))
		}
		if word := Word(body); word != "" {
			require.True(t, json.Valid(body))
		}
		for _, field := range GuessFields(texts, []string{parameter}) {
			require.Equal(t, parameter, field.Field)
		}
		var v everything
		for _, err := range []error{nil, json.Unmarshal(body, &v), json.Unmarshal(body, new([]everything)), json.Unmarshal(body, new(map[string]everything))} {
			require.Regexp(t, said, Describe(body, err))
		}
	})
}

package wire

import (
	"encoding/json"
	"errors"
	"testing"

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

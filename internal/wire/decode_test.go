package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sealed reads strings and numbers itself, and refuses all else.
type sealed struct{ value string }

func (s *sealed) UnmarshalJSON(data []byte) error {
	switch c := data[0]; {
	case c == 'n':
		*s = sealed{}
	case c == '"':
		return json.Unmarshal(data, &s.value)
	case c == '-' || c >= '0' && c <= '9':
		s.value = string(data)
	default:
		s.value = "a part"
		return errors.New("neither a string nor a number")
	}
	return nil
}

// level reads text.
type level int

func (l *level) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "level %d", (*int)(l))
	if err != nil {
		_, err = fmt.Sscan(string(text), (*int)(l))
	}
	return err
}

// named takes a text for its name.
type named struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// hidden is embedded, so that its exported field is one of the outer struct.
type hidden struct {
	Inner string `json:"inner"`
}

type Base struct {
	ID      string    `json:"id"`
	Created time.Time `json:"createdAt"`
	Shadow  string    `json:"shadow"`
}

type everything struct {
	hidden
	Base
	*Extra
	Text    string             `json:"text"`
	Shadow  int                `json:"shadow"`
	Int     int64              `json:"int"`
	Small   int8               `json:"small"`
	Uint    uint16             `json:"uint"`
	Float   float64            `json:"float"`
	Bool    bool               `json:"bool"`
	Time    time.Time          `json:"time"`
	TimePtr *time.Time         `json:"timePtr"`
	List    []string           `json:"list"`
	Ints    []int              `json:"ints"`
	Objects []named            `json:"objects"`
	Bytes   []byte             `json:"bytes"`
	Map     map[string]int     `json:"map"`
	Object  named              `json:"object"`
	Plain   struct{ A, B int } `json:"plain"`
	Pointer *named             `json:"pointer"`
	Sealed  sealed             `json:"sealed"`
	Level   level              `json:"level"`
	Number  json.Number        `json:"number"`
	Any     any                `json:"any"`
	Raw     json.RawMessage    `json:"raw"`
	NoTag   string
	Not     string `json:"-"`
	private string

	// Broken is what makes json.Unmarshal fail.
	Broken int `json:"broken"`
}

type Extra struct {
	Label string `json:"label"`
}

// An odd field, read beside one that makes json.Unmarshal fail, becomes what is
// wanted, and the others are as they should be.
func TestDecodeOddFields(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 2, 21, 15, 33, 44, 0, time.UTC)
	for _, test := range []struct {
		field string
		want  func(*everything)
	}{
		{`"text":5`, func(e *everything) { e.Text = "5" }},
		{`"text":1.50`, func(e *everything) { e.Text = "1.50" }},
		{`"text":true`, func(e *everything) { e.Text = "true" }},
		{`"text":{}`, nil}, {`"text":["a"]`, nil}, {`"text":null`, nil},
		{`"TEXT":5`, func(e *everything) { e.Text = "5" }},
		{`"id":5`, func(e *everything) { e.ID = "5" }},
		{`"createdAt":"2026-02-21 15:33:44"`, func(e *everything) { e.Created = day }},
		{`"inner":5`, func(e *everything) { e.Inner = "5" }},
		{`"shadow":"5"`, func(e *everything) { e.Shadow = 5 }},
		{`"label":7`, func(e *everything) { e.Extra = &Extra{"7"} }},
		{`"int":"5"`, func(e *everything) { e.Int = 5 }},
		{`"int":" 5 "`, func(e *everything) { e.Int = 5 }},
		{`"int":5.0`, func(e *everything) { e.Int = 5 }},
		{`"int":"-1e3"`, func(e *everything) { e.Int = -1000 }},
		{`"int":9007199254740993`, func(e *everything) { e.Int = 9007199254740993 }},
		{`"int":5.5`, nil}, {`"int":"five"`, nil}, {`"int":""`, nil}, {`"int":"0x5"`, nil}, {`"int":1e300`, nil}, {`"int":true`, nil}, {`"int":[5]`, nil},
		{`"small":300`, nil}, {`"small":"-128"`, func(e *everything) { e.Small = -128 }},
		{`"uint":"65535"`, func(e *everything) { e.Uint = 65535 }}, {`"uint":3.0`, func(e *everything) { e.Uint = 3 }},
		{`"uint":-1`, nil}, {`"uint":"-1.0"`, nil}, {`"uint":65536`, nil},
		{`"float":"1.5"`, func(e *everything) { e.Float = 1.5 }}, {`"float":"NaN"`, nil}, {`"float":"1e999"`, nil}, {`"float":"Inf"`, nil},
		{`"bool":"true"`, func(e *everything) { e.Bool = true }}, {`"bool":1`, func(e *everything) { e.Bool = true }}, {`"bool":"True"`, func(e *everything) { e.Bool = true }},
		{`"bool":"false"`, nil}, {`"bool":0`, nil}, {`"bool":2`, nil}, {`"bool":"yes"`, nil}, {`"bool":{}`, nil},
		{`"time":"2026-02-21T15:33:44"`, func(e *everything) { e.Time = day }},
		{`"time":1771688024`, func(e *everything) { e.Time = day }},
		{`"time":""`, nil}, {`"time":5`, nil}, {`"time":"tomorrow"`, nil}, {`"time":{}`, nil}, {`"time":true`, nil},
		{`"timePtr":"2026-02-21 15:33:44"`, func(e *everything) { e.TimePtr = &day }}, {`"timePtr":""`, nil},
		{`"list":"a,b c"`, func(e *everything) { e.List = []string{"a,b c"} }},
		{`"list":["a",5,null,{}]`, func(e *everything) { e.List = []string{"a", "5", "", ""} }},
		{`"list":""`, nil}, {`"list":{}`, nil},
		{`"ints":["5","x",7]`, func(e *everything) { e.Ints = []int{5, 0, 7} }}, {`"ints":5`, nil}, {`"ints":"5"`, nil},
		{`"objects":["a",{"name":"b","size":"7"},5]`, func(e *everything) { e.Objects = []named{{Name: "a"}, {"b", 7}, {}} }},
		{`"bytes":"%%"`, nil},
		{`"map":{"a":"5","b":6}`, func(e *everything) { e.Map = map[string]int{"a": 5, "b": 6} }}, {`"map":[]`, nil}, {`"map":[1]`, nil}, {`"map":"a"`, nil},
		{`"object":"a"`, func(e *everything) { e.Object.Name = "a" }},
		{`"object":{"name":5,"size":{}}`, func(e *everything) { e.Object.Name = "5" }},
		{`"object":[]`, nil}, {`"object":[1]`, nil}, {`"object":5`, nil}, {`"object":true`, nil},
		{`"plain":"text"`, nil}, {`"plain":[ ]`, nil}, {`"plain":{"A":1,"B":"2"}`, func(e *everything) { e.Plain.A, e.Plain.B = 1, 2 }},
		{`"pointer":"a"`, func(e *everything) { e.Pointer = &named{Name: "a"} }}, {`"pointer":[5]`, nil},
		{`"sealed":5`, func(e *everything) { e.Sealed.value = "5" }}, {`"sealed":true`, nil}, {`"sealed":{}`, nil},
		{`"level":3`, func(e *everything) { e.Level = 3 }}, {`"level":"level 3"`, func(e *everything) { e.Level = 3 }}, {`"level":"x"`, nil}, {`"level":[]`, nil},
		{`"number":"x"`, nil}, {`"number":true`, nil}, {`"number":"5"`, func(e *everything) { e.Number = "5" }},
		{`"any":{"a":[1]}`, func(e *everything) { e.Any = map[string]any{"a": []any{1.0}} }},
		{`"raw":{"a":1}`, func(e *everything) { e.Raw = json.RawMessage(`{"a":1}`) }},
		{`"NoTag":5`, func(e *everything) { e.NoTag = "5" }},
		{`"Not":5`, nil}, {`"private":5`, nil}, {`"hidden":5`, nil}, {`"raw ":5`, nil},
	} {
		var got, want everything
		require.NoError(t, Decode([]byte(`{"broken":"x",`+test.field+`}`), &got), test.field)
		if test.want != nil {
			test.want(&want)
		}
		assert.Equal(t, want, got, test.field)
	}
}

func TestDecodeIsUnmarshalWhereThatWorks(t *testing.T) {
	t.Parallel()
	const body = `{"id":"a","createdAt":"2026-02-21T15:33:44+01:00","text":"b","Int":5,"list":["c"],"sealed":7,"timePtr":null,"label":"l","NoTag":"x"}`
	var got, want everything
	require.NoError(t, json.Unmarshal([]byte(body), &want))
	require.NoError(t, Decode([]byte(body), &got))
	assert.Equal(t, want, got)
	require.NotNil(t, got.Extra)
}

func TestDecodeWholeValues(t *testing.T) {
	t.Parallel()
	var n named
	for body, want := range map[string]named{
		`[]`: {}, ` [ ] `: {}, `{}`: {}, `{"name":5}`: {Name: "5"}, ` {"size":"7"} `: {Size: 7},
	} {
		n = named{}
		require.NoError(t, Decode([]byte(body), &n), body)
		assert.Equal(t, want, n, body)
	}
	n = named{Name: "old", Size: 9}
	require.NoError(t, Decode([]byte(`{"name":5}`), &n))
	assert.Equal(t, named{Name: "5"}, n, "what was there before is no part of the answer")

	var plain struct{ A int }
	require.NoError(t, decodeEntry([]byte(`"a"`), &plain), "its first field is no string")
	assert.Zero(t, plain)
	require.NoError(t, Decode([]byte(`null`), &plain))
	require.NoError(t, decodeEntry([]byte(`"a"`), &n))
	assert.Equal(t, named{Name: "a"}, n)

	for _, body := range []string{`"a"`, `""`, `[1]`, `["a"]`, `5`, `true`, ``, `{`, `{"name":5`, `{"name":5}}`, `<html>`, deep, deepValid, `"a`} {
		n = named{}
		require.Error(t, Decode([]byte(body), &n), "%.80s", body)
		assert.Zero(t, n)
	}
	var s sealed
	require.ErrorContains(t, Decode([]byte(`{}`), &s), "neither")
	assert.Zero(t, s)
	var when time.Time
	require.NoError(t, Decode([]byte(`"2026-02-21"`), &when))
	assert.Equal(t, 2026, when.Year())
	require.Error(t, Decode([]byte(`"soon"`), &when))
	require.Error(t, Decode([]byte(`{}`), named{}))
	require.Error(t, Decode([]byte(`[]`), (*named)(nil)))
	require.Error(t, Decode([]byte(`{}`), nil))
}

// A type that contains itself costs no time that grows with the depth.
func TestDecodeRecursiveType(t *testing.T) {
	t.Parallel()
	type node struct {
		Name  string `json:"name"`
		Child *node  `json:"child"`
	}
	// Reading each level again and again would take minutes.
	body := strings.Repeat(`{"child":`, 3_000) + `{"name":{}}` + strings.Repeat(`}`, 3_000)
	var n node
	require.NoError(t, Decode([]byte(body), &n))
	require.NotNil(t, n.Child)

	n = node{}
	require.NoError(t, Decode([]byte(`{"name":1,"child":{"name":2}}`), &n))
	assert.Equal(t, node{"1", &node{Name: "2"}}, n)
}

func TestTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2025-02-10T10:03:06+00:00":       "2025-02-10T10:03:06Z",
		"2026-02-21T15:33:44Z":            "2026-02-21T15:33:44Z",
		"2026-02-21T15:33:44.125Z":        "2026-02-21T15:33:44.125Z",
		" 2026-02-21T15:33:44Z ":          "2026-02-21T15:33:44Z",
		"2026-02-21t15:33:44z":            "2026-02-21T15:33:44Z",
		"2026-02-21T15:33:44+02:00":       "2026-02-21T13:33:44Z",
		"2026-02-21T15:33:44+0200":        "2026-02-21T13:33:44Z",
		"2026-02-21T15:33:44-02":          "2026-02-21T17:33:44Z",
		"2026-02-21T15:33:44.5+0000":      "2026-02-21T15:33:44.5Z",
		"2026-02-21T15:33:44":             "2026-02-21T15:33:44Z",
		"2026-02-21T15:33:44.123456":      "2026-02-21T15:33:44.123456Z",
		"2026-02-21 15:33:44":             "2026-02-21T15:33:44Z",
		"2026-02-21 15:33:44+00:00":       "2026-02-21T15:33:44Z",
		"2026-02-21 15:33:44 +0100":       "2026-02-21T14:33:44Z",
		"2026-02-21":                      "2026-02-21T00:00:00Z",
		"1771688024":                      "2026-02-21T15:33:44Z",
		"1771688024.5":                    "2026-02-21T15:33:44.5Z",
		"100000000":                       "1973-03-03T09:46:40Z",
		"253402300799":                    "9999-12-31T23:59:59Z",
		"2026-02-21T15:33:44.1234567891Z": "2026-02-21T15:33:44.123456789Z",
	} {
		got, ok := Time(text)
		require.True(t, ok, text)
		assert.Equal(t, want, got.UTC().Format(time.RFC3339Nano), text)
	}
	for _, text := range []string{
		"", " ", "0", "5", "-1", "-1771688024", "99999999", "253402300800", "1e300", "NaN", "Inf", "tomorrow", "15:33:44", "2026-02-30", "2026-13-01", "2026-02-21T25:00:00Z",
		"2026-02-21T", "2026-02-21T15", "21.02.2026", "null", "0x6567", "1_771_688_024",
	} {
		got, ok := Time(text)
		assert.False(t, ok, text)
		assert.True(t, got.IsZero(), text)
	}
}

func FuzzTime(f *testing.F) {
	for _, text := range []string{
		"2025-02-10T10:03:06+00:00", "2026-02-21 15:33:44", "2026-02-21", "1771688024.25", "2026-02-21T15:33:44.5+0000", "", "0", "2026-02-21t15:33:44 -01",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := Time(text)
		if strict, err := time.Parse(time.RFC3339, text); err == nil {
			require.True(t, ok)
			require.True(t, strict.Equal(got))
		}
		if !ok {
			require.True(t, got.IsZero())
			return
		}
		again, ok := Time(got.Format(time.RFC3339Nano))
		require.True(t, ok, "%q %v", text, got)
		require.True(t, got.Equal(again), "%q %v %v", text, got, again)
	})
}

func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		`{}`, `[]`, `null`, `"a"`, `5`, `{"text":5}`, `{"time":"2026-02-21 15:33:44","text":{}}`, `{"objects":["a",{"size":"5"}],"list":"x"}`,
		`{"map":[],"object":"n","sealed":true,"label":1}`, `{"id":1,"ID":2,"int":"5","uint":-1,"float":"1e999"}`, `{"text":"a"`, "{\"text\":\"\xff\",\"int\":\"1\"}",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got, want everything
		err := Decode(body, &got)
		strict := json.Unmarshal(body, &want)
		switch {
		case strict == nil:
			require.NoError(t, err)
			require.True(t, reflect.DeepEqual(want, got))
		case !json.Valid(body):
			require.Error(t, err)
			require.Zero(t, got)
		case firstByte(body) == '{':
			require.NoError(t, err)
			assert.Empty(t, got.Not)
			assert.Empty(t, got.private)
		case err != nil:
			require.Zero(t, got)
		}
	})
}

package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tidwall/gjson"
)

// DecodeList reads a list: an array, or an object with the array in items. It
// also returns where to find the raw JSON of the entries.
//
// An entry that does not fit is read with Decode, and a string is the first field
// of a struct. An entry that cannot be read at all is zero; the others keep their
// places. Null is an empty list. An object without items, an object that reports an
// error, and a list of which no entry can be read are errors.
func DecodeList[T any](body []byte) ([]T, *Entries, error) {
	if string(trimSpace(body)) == "null" {
		return nil, &Entries{}, nil
	}
	list, err := decodeList[T](body)
	entries := &Entries{body: &body, find: listSpans}
	if err == nil {
		return list, entries, nil
	}
	if !json.Valid(body) || SpeaksOfError(body) || itemsAt(body) < 0 {
		return nil, nil, err
	}
	list, ok := decodeEach[T](entries)
	if !ok {
		return nil, nil, err
	}
	return list, entries, nil
}

// decodeList reads a list whose entries all fit.
func decodeList[T any](body []byte) (list []T, err error) {
	switch firstByte(body) {
	case '[':
		err = json.Unmarshal(body, &list)
		return list, err
	case '{':
		var page struct {
			Items *[]T `json:"items"`
			complaint
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, err
		}
		if page.Items != nil && !page.made() {
			return *page.Items, nil
		}
	}
	return nil, unexpected(body)
}

// DecodeMap reads an object whose values are the entries and whose keys are
// their ids. It returns them in the order of the keys, and where to find their
// raw JSON. Both {} and [] are empty. An entry that does not fit is read as
// DecodeList does. Null, and an object that reports an error, are errors.
func DecodeMap[T any](body []byte) (keys []string, values []T, entries *Entries, err error) {
	if isEmptyArray(body) {
		return nil, []T{}, &Entries{}, nil
	}
	if firstByte(body) != '{' || SpeaksOfError(body) {
		return nil, nil, nil, unexpected(body)
	}
	var raws map[string]json.RawMessage
	if err := json.Unmarshal(body, &raws); err != nil {
		return nil, nil, nil, err
	}
	keys = slices.Sorted(maps.Keys(raws))
	entries = &Entries{body: &body, find: func(body []byte) []span { return memberSpans(body, keys) }}
	var object map[string]T
	if json.Unmarshal(body, &object) == nil {
		values = make([]T, 0, len(keys))
		for _, key := range keys {
			values = append(values, object[key])
		}
		return keys, values, entries, nil
	}
	values, ok := decodeEach[T](entries)
	if !ok {
		return nil, nil, nil, unexpected(body)
	}
	return keys, values, entries, nil
}

// decodeEach reads entries one by one. It reports whether it could read any.
func decodeEach[T any](entries *Entries) (list []T, ok bool) {
	list = make([]T, len(entries.all()))
	for i := range list {
		if decodeEntry(entries.Raw(i), &list[i]) == nil { // zero after an error
			ok = true
		}
	}
	return list, ok
}

func unexpected(body []byte) error { return errors.New(Describe(body, nil)) }

// Entries finds the raw JSON of the entries of a list. It looks for them when
// it is first asked. It is safe for concurrent use; the body that it was made of
// must not change.
type Entries struct {
	// The body may hold secrets. fmt prints the struct that a pointer leads to,
	// but a pointer in that struct as an address.
	body  *[]byte
	find  func(body []byte) []span
	once  sync.Once
	spans []span
}

// A span is where a value begins and where it has ended.
type span struct{ start, end int }

// Whole returns the Entries of a value that is no list: one entry, the body
// itself.
func Whole(body []byte) *Entries {
	return &Entries{body: &body, find: func(body []byte) []span { return []span{{0, len(body)}} }}
}

// Raw returns the JSON of an entry, or nil if there is none with that index. The
// result is a part of the body, not a copy. Appending to it does not change the
// body.
func (e *Entries) Raw(i int) json.RawMessage {
	if e == nil {
		return nil
	}
	spans := e.all()
	if i < 0 || i >= len(spans) {
		return nil
	}
	s := spans[i]
	return (*e.body)[s.start:s.end:s.end]
}

func (e *Entries) all() []span {
	e.once.Do(func() {
		if e.find != nil {
			e.spans = e.find(*e.body)
		}
	})
	return e.spans
}

// listSpans finds the entries in a list of either form.
func listSpans(body []byte) []span {
	i := itemsAt(body)
	if i < 0 {
		return nil
	}
	var spans []span
	for i = skipSpace(body, i+1); byteAt(body, i) != ']' && i < len(body); {
		end := valueEnd(body, i)
		spans = append(spans, span{i, end})
		i = nextValue(body, end)
	}
	return spans
}

// itemsAt returns where the array of a list begins, or -1 if there is none.
func itemsAt(body []byte) int {
	start := skipSpace(body, 0)
	if byteAt(body, start) == '[' {
		return start
	}
	at := -1
	for key, value := range members(body) {
		// Like encoding/json, which was asked first: any case, the last one.
		if strings.EqualFold(key, "items") {
			at = -1
			if byteAt(body, value.start) == '[' {
				at = value.start
			}
		}
	}
	return at
}

// memberSpans finds the values of an object in the order of keys.
func memberSpans(body []byte, keys []string) []span {
	found := maps.Collect(members(body))
	spans := make([]span, len(keys))
	for i, key := range keys {
		spans[i] = found[key]
	}
	return spans
}

// members returns the keys of an object and where their values are. The body is
// well-formed JSON.
func members(body []byte) iter.Seq2[string, span] {
	return func(yield func(string, span) bool) {
		i := skipSpace(body, 0)
		if byteAt(body, i) != '{' {
			return
		}
		for i = skipSpace(body, i+1); byteAt(body, i) == '"'; {
			keyEnd := stringEnd(body, i)
			key, _ := stringIn(body[i:keyEnd])
			start := skipSpace(body, skipSpace(body, keyEnd)+1) // past the colon
			end := valueEnd(body, start)
			if !yield(key, span{start, end}) {
				return
			}
			i = nextValue(body, end)
		}
	}
}

// nextValue returns where the value or the bracket after a value begins.
func nextValue(body []byte, end int) int {
	i := skipSpace(body, end)
	if byteAt(body, i) == ',' {
		i = skipSpace(body, i+1)
	}
	return i
}

// valueEnd returns where the value that begins at i has ended. It counts
// brackets instead of descending, so that nesting costs nothing.
func valueEnd(body []byte, i int) int {
	switch byteAt(body, i) {
	case '"':
		return stringEnd(body, i)
	case '{', '[':
		return bracketEnd(body, i)
	}
	for i < len(body) && bytes.IndexByte([]byte(",]} \t\r\n"), body[i]) < 0 {
		i++
	}
	return i
}

func bracketEnd(body []byte, i int) int {
	for depth := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			i = stringEnd(body, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(body)
}

func stringEnd(body []byte, i int) int {
	for i++; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(body)
}

func skipSpace(body []byte, i int) int {
	for i < len(body) && isSpace(body[i]) {
		i++
	}
	return min(i, len(body))
}

// byteAt returns the byte at i, or 0 behind the end.
func byteAt(body []byte, i int) byte {
	if i >= len(body) {
		return 0
	}
	return body[i]
}

// Page returns meta.perPage and meta.count of a list answer. Each is 0 if it is
// absent or no count.
func Page(body []byte) (perPage, count int) {
	if firstByte(body) != '{' {
		return 0, 0
	}
	meta := gjson.GetBytes(body, "meta")
	return countIn(meta.Get("perPage")), countIn(meta.Get("count"))
}

// countIn returns a count that is a number, or a string with a number in it.
func countIn(value gjson.Result) int {
	text := value.Str
	if value.Type == gjson.Number {
		text = value.Raw
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return max(n, 0)
}

package wire

import (
	"bytes"
	"encoding"
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Decode reads JSON into v, a pointer, like json.Unmarshal. If that fails on
// well-formed JSON, v is read field by field, so that one odd field does not
// spoil the value:
//
//   - a number or a bool for a string becomes its text
//   - a string with a number in it becomes that number
//   - "true", "false", 0, 1 become a bool
//   - a text or a number for a time.Time is read with Time
//   - a text for a []string becomes its one element
//   - [] for an object becomes the zero value
//
// A field that still does not fit, or whose own UnmarshalJSON fails, becomes
// zero. Malformed JSON is an error. So is a value that does not fit as a whole,
// such as a number for a struct.
func Decode(data []byte, v any) error { return decode(data, v, 0) }

// decodeEntry is Decode for an entry of a list, which may also be a string: the
// first field of a struct that has a string for it.
func decodeEntry(data []byte, v any) error { return decode(data, v, 1) }

func decode(data []byte, v any, depth int) error {
	err := json.Unmarshal(data, v)
	if err == nil {
		return nil
	}
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() || !json.Valid(data) {
		return err
	}
	target.Elem().SetZero()
	if !adapt(target.Elem(), bytes.TrimSpace(data), depth) {
		target.Elem().SetZero()
		return err
	}
	return nil
}

// maxDecodeDepth is how deep values are read field by field. It is more than
// any answer has, and keeps a type that contains itself from being read again
// at each of thousands of levels.
const maxDecodeDepth = 32

// fill stores raw in v, which is zero. If raw does not fit, v stays zero.
func fill(v reflect.Value, raw []byte, depth int) {
	if json.Unmarshal(raw, v.Addr().Interface()) == nil {
		return
	}
	v.SetZero() // json may have stored a part
	if depth > maxDecodeDepth || !adapt(v, bytes.TrimSpace(raw), depth) {
		v.SetZero()
	}
}

// adapt is fill for JSON that json.Unmarshal does not store in v.
func adapt(v reflect.Value, raw []byte, depth int) bool {
	if fits, known := adaptByMethod(v, raw); known {
		return fits
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return adapt(v.Elem(), raw, depth)
	case reflect.Struct:
		return setStruct(v, raw, depth)
	case reflect.Slice:
		return setSlice(v, raw, depth)
	case reflect.Map:
		return setMap(v, raw, depth)
	}
	text, ok := scalarText(raw)
	return ok && setScalar(v, text)
}

// adaptByMethod is adapt for types that read JSON in their own way. It reports
// in known whether v is of such a type.
func adaptByMethod(v reflect.Value, raw []byte) (fits, known bool) {
	target := v.Addr().Interface()
	text, isScalar := scalarText(raw)
	isString := firstByte(raw) == '"'
	if t, ok := target.(*time.Time); ok {
		*t, fits = Time(text)
		return fits, true
	}
	switch t := target.(type) {
	case json.Unmarshaler: // has refused already
		return false, true
	case encoding.TextUnmarshaler: // has seen strings only
		return isScalar && !isString && t.UnmarshalText([]byte(text)) == nil, true
	}
	return false, false
}

// setStruct fills the fields of v. In a list or an object, a string is the first of
// them: servers list identifiers or names in place of objects.
func setStruct(v reflect.Value, raw []byte, depth int) bool {
	fields := fieldsOf(v.Type())
	if text, ok := stringIn(raw); ok {
		if depth == 0 {
			return false
		}
		if len(fields) > 0 {
			if first := fieldAt(v, fields[0].index); first.Kind() == reflect.String {
				first.SetString(text)
			}
		}
		return true
	}
	if firstByte(raw) != '{' {
		return isEmptyArray(raw)
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil {
		return false
	}
	for _, f := range fields {
		if value, ok := lookUp(object, f.name); ok {
			fill(fieldAt(v, f.index), value, depth+1)
		}
	}
	return true
}

// isEmptyArray reports whether raw is [], which PHP servers send for an object
// without fields.
func isEmptyArray(raw []byte) bool {
	var elements []json.RawMessage
	return firstByte(raw) == '[' && json.Unmarshal(raw, &elements) == nil && len(elements) == 0
}

// lookUp finds a field by its name, or by the name in other case like
// encoding/json.
func lookUp(object map[string]json.RawMessage, name string) (json.RawMessage, bool) {
	if value, ok := object[name]; ok {
		return value, true
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if strings.EqualFold(key, name) {
			return object[key], true
		}
	}
	return nil, false
}

// A field is one that JSON is stored in, by its name in JSON and its place in
// the struct and those that are embedded in it.
type field struct {
	name  string
	index []int
}

// fieldsOf returns the fields of a struct type. Of those with the same name it
// returns the outermost.
func fieldsOf(t reflect.Type) []field {
	type level struct {
		t     reflect.Type
		index []int
	}
	var fields []field
	seen := map[string]bool{}
	visited := map[reflect.Type]bool{}
	for queue := []level{{t: t}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if visited[at.t] {
			continue
		}
		visited[at.t] = true
		for f := range at.t.Fields() {
			index := append(slices.Clone(at.index), f.Index...)
			tag := f.Tag.Get("json")
			name, _, _ := strings.Cut(tag, ",")
			embedded := embeddedStruct(f)
			switch {
			case tag == "-":
			case name == "" && embedded != nil:
				queue = append(queue, level{embedded, index})
			case f.IsExported():
				if name == "" {
					name = f.Name
				}
				if !seen[name] {
					seen[name] = true
					fields = append(fields, field{name, index})
				}
			}
		}
	}
	return fields
}

// embeddedStruct returns the type of a struct that f embeds and whose fields can
// be set, or nil.
func embeddedStruct(f reflect.StructField) reflect.Type {
	t := f.Type
	if t.Kind() == reflect.Pointer && f.IsExported() {
		t = t.Elem()
	}
	if !f.Anonymous || t.Kind() != reflect.Struct {
		return nil
	}
	return t
}

// fieldAt returns a field by its place. It makes the embedded structs that the
// field is in.
func fieldAt(v reflect.Value, index []int) reflect.Value {
	for _, i := range index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v
}

// setSlice fills v with the elements of an array. An element that does not fit
// stays zero, so that the others keep their places.
func setSlice(v reflect.Value, raw []byte, depth int) bool {
	if firstByte(raw) != '[' {
		text, ok := scalarText(raw)
		if !ok || v.Type().Elem().Kind() != reflect.String {
			return false
		}
		if text != "" { // an empty text names nothing
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			v.Index(0).SetString(text)
		}
		return true
	}
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil {
		return false
	}
	v.Set(reflect.MakeSlice(v.Type(), len(elements), len(elements)))
	for i, element := range elements {
		fill(v.Index(i), element, depth+1)
	}
	return true
}

// setMap fills v with the values of an object.
func setMap(v reflect.Value, raw []byte, depth int) bool {
	if isEmptyArray(raw) {
		return true
	}
	var object map[string]json.RawMessage
	if v.Type().Key().Kind() != reflect.String || json.Unmarshal(raw, &object) != nil {
		return false
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(object)))
	for key, value := range object {
		element := reflect.New(v.Type().Elem()).Elem()
		fill(element, value, depth+1)
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), element)
	}
	return true
}

// setScalar stores a text in v, which is no struct, slice or map.
func setScalar(v reflect.Value, text string) bool {
	switch {
	case v.Kind() == reflect.String:
		if v.Type() == reflect.TypeFor[json.Number]() && !isNumber([]byte(text)) {
			return false
		}
		v.SetString(text)
		return true
	case v.Kind() == reflect.Bool:
		text = strings.ToLower(text)
		v.SetBool(text == "true" || text == "1")
		return v.Bool() || text == "false" || text == "0"
	case isNumber([]byte(text)):
		return setNumber(v, text)
	}
	return false
}

// setNumber stores a number in v. A number with a fraction does not fit into an
// integer.
func setNumber(v reflect.Value, text string) bool {
	text = strings.TrimSpace(text)
	float, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return false
	}
	switch {
	case v.CanFloat():
		v.SetFloat(float)
		return !v.OverflowFloat(float)
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil && isExact(float) {
			n, err = int64(float), nil
		}
		v.SetInt(n)
		return err == nil && !v.OverflowInt(n)
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil && isExact(float) && float >= 0 {
			n, err = uint64(float), nil
		}
		v.SetUint(n)
		return err == nil && !v.OverflowUint(n)
	}
	return false
}

// isExact reports whether a float such as 5.0 or 1e3 is an integer that it holds
// exactly.
func isExact(float float64) bool {
	return float == math.Trunc(float) && math.Abs(float) < 1<<53
}

// Limits of a number that counts as a time: 1973, and the last year that can be
// written in RFC 3339. Smaller numbers are counts of something else; taken for a
// time they would mean that everything has expired.
const (
	minUnix = 1e8
	maxUnix = 253402300799
)

// Time reads a time in RFC 3339, and in the odd forms that occur: with an offset
// such as +0000, without an offset (then it is UTC), with a space for the T, a
// date alone, Unix seconds. It reports whether text is a time.
func Time(text string) (time.Time, bool) {
	text = strings.TrimSpace(text)
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, true
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && isNumber([]byte(text)) {
		if seconds < minUnix || seconds > maxUnix {
			return time.Time{}, false
		}
		whole, fraction := math.Modf(seconds)
		// A float has no more than microseconds to offer.
		return time.Unix(int64(whole), int64(fraction*1e6)*1e3).UTC(), true
	}
	const dateLength = len(time.DateOnly)
	if len(text) > dateLength && (text[dateLength] == ' ' || text[dateLength] == 't') {
		text = text[:dateLength] + "T" + strings.TrimLeft(text[dateLength+1:], " ")
	}
	text = strings.ToUpper(text)
	for _, layout := range []string{
		"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04:05",
		"2006-01-02T15:04:05 Z07:00", "2006-01-02T15:04:05 Z0700", time.DateOnly,
	} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

package main

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

var (
	uuidLike  = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{3,5}){3}-[0-9a-fA-F]{12}$`)
	dateLike  = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}`)
	streamURL = regexp.MustCompile(`^[^\s?]+\?(.*&)?auth=[^&\s]+`)
)

// The limits of a shape, which must stay readable.
const (
	maxDepth   = 5
	maxMembers = 25
)

// kind returns the type of a JSON value, and of a text what it looks like.
func kind(v gjson.Result) string {
	switch {
	case !v.Exists():
		return "nothing"
	case v.IsObject():
		return "object"
	case v.IsArray():
		return "array"
	}
	switch v.Type {
	case gjson.Null:
		return "null"
	case gjson.True, gjson.False:
		return "boolean"
	case gjson.Number:
		return "number"
	}
	return kindOfText(v.Str)
}

func kindOfText(text string) string {
	_, noHex := hex.DecodeString(text)
	switch {
	case text == "":
		return "empty text"
	case isTime(text):
		return "time (" + zone(text) + ")"
	case dateLike.MatchString(text):
		return "text like a date"
	case uuidLike.MatchString(text):
		return "UUID"
	case streamURL.MatchString(text):
		return "address with ?auth="
	case strings.Contains(text, "://"):
		return "URL"
	case noHex == nil && len(text) >= 32:
		return fmt.Sprintf("text of %d hex digits", len(text))
	}
	return "text"
}

func isTime(text string) bool {
	_, err := time.Parse(time.RFC3339, text)
	return err == nil
}

// zone returns how a time names its offset.
func zone(text string) string {
	if strings.HasSuffix(text, "Z") {
		return "Z"
	}
	return "offset"
}

// shape returns a JSON value with types in place of values.
func (s *secrets) shape(v gjson.Result) string { return s.shapeAt(v, 0) }

func (s *secrets) shapeAt(v gjson.Result, depth int) string {
	if !v.IsObject() && !v.IsArray() {
		return kind(v)
	}
	if depth == maxDepth {
		return kind(v)
	}
	if v.IsArray() {
		return s.shapeOfArray(v.Array(), depth)
	}
	var members []string
	v.ForEach(func(name, member gjson.Result) bool {
		entry := s.name(name.Str) + ": " + s.shapeAt(member, depth+1)
		if !slices.Contains(members, entry) {
			members = append(members, entry)
		}
		return len(members) <= maxMembers
	})
	if len(members) > maxMembers {
		members[maxMembers] = "…"
	}
	return "{" + strings.Join(members, ", ") + "}"
}

// shapeOfArray shows each shape of an element once.
func (s *secrets) shapeOfArray(elements []gjson.Result, depth int) string {
	var shapes []string
	for _, element := range elements[:min(len(elements), maxMembers)] {
		if shape := s.shapeAt(element, depth+1); !slices.Contains(shapes, shape) {
			shapes = append(shapes, shape)
		}
	}
	if len(elements) == 1 {
		return "[" + shapes[0] + "]"
	}
	if len(elements) > 0 {
		shapes = append(shapes, "…")
	}
	return "[" + strings.Join(shapes, ", ") + "]"
}

// answer returns the status and the shape of an answer.
func (s *secrets) answer(e *exchange) string {
	switch v := e.json(); {
	case len(e.body) == 0:
		return fmt.Sprintf("%d, no body", e.status)
	case e.page():
		return fmt.Sprintf("%d, a page in HTML", e.status)
	case !v.Exists():
		return fmt.Sprintf("%d, %d bytes that are not JSON", e.status, len(e.body))
	default:
		return fmt.Sprintf("%d, `%s`", e.status, s.shape(v))
	}
}

// probe collects what is wrong with a JSON value.
type probe struct {
	secrets  *secrets
	problems []string
	extra    []string // members that are not known
}

func (p *probe) say(format string, args ...any) {
	p.problems = append(p.problems, fmt.Sprintf(format, args...))
}

// A check tells a probe what is wrong with the value at a place.
type check func(p *probe, at string, v gjson.Result)

// of returns a check for the types for which is returns true.
func of(want string, is func(v gjson.Result) bool) check {
	return func(p *probe, at string, v gjson.Result) {
		if !is(v) {
			p.say("%s is %s, not %s", at, kind(v), want)
		}
	}
}

// The checks of single values.
var (
	text      = of("a text", func(v gjson.Result) bool { return v.Type == gjson.String && v.Str != "" })
	anyText   = of("a text", func(v gjson.Result) bool { return v.Type == gjson.String })
	number    = of("a number", func(v gjson.Result) bool { return v.Type == gjson.Number })
	boolean   = of("true or false", gjson.Result.IsBool)
	timestamp = of("a time with an offset", func(v gjson.Result) bool { return v.Type == gjson.String && isTime(v.Str) })
	anything  = of("a value", func(v gjson.Result) bool { return v.Exists() })

	someObject = of("an object", gjson.Result.IsObject)
)

// portLike is a check for a port, which may be a number or a text.
var portLike = of("a number or a text", func(v gjson.Result) bool {
	return v.Type == gjson.Number || v.Type == gjson.String && v.Str != ""
})

// hexOf returns a check for a number of hexadecimal digits.
func hexOf(digits int) check {
	return of(fmt.Sprintf("%d hex digits", digits), func(v gjson.Result) bool {
		_, err := hex.DecodeString(v.Str)
		return v.Type == gjson.String && len(v.Str) == digits && err == nil
	})
}

// list returns a check for an array.
func list(element check) check {
	return func(p *probe, at string, v gjson.Result) {
		if !v.IsArray() {
			p.say("%s is %s, not an array", at, kind(v))
			return
		}
		for _, e := range v.Array() {
			element(p, "an element of "+at, e)
		}
	}
}

// keyed returns a check for an object whose names are identifiers.
func keyed(element check) check {
	return func(p *probe, at string, v gjson.Result) {
		if !v.IsObject() {
			p.say("%s is %s, not an object", at, kind(v))
			return
		}
		v.ForEach(func(_, member gjson.Result) bool {
			element(p, "a member of "+at, member)
			return true
		})
	}
}

// member is a member of an object.
type member struct {
	name     string
	check    check
	optional bool
}

func has(name string, c check) member { return member{name: name, check: c} }

func may(name string, c check) member { return member{name: name, check: c, optional: true} }

// object returns a check for an object with these members. It notes other ones.
func object(members ...member) check {
	return func(p *probe, at string, v gjson.Result) {
		if !v.IsObject() {
			p.say("%s is %s, not an object", at, kind(v))
			return
		}
		values := make(map[string]gjson.Result)
		var unknown []string
		v.ForEach(func(name, value gjson.Result) bool {
			values[name.Str] = value
			if !slices.ContainsFunc(members, func(m member) bool { return m.name == name.Str }) {
				unknown = append(unknown, p.secrets.name(name.Str)+" ("+kind(value)+")")
			}
			return true
		})
		for _, m := range members {
			value, found := values[m.name]
			switch {
			case found:
				m.check(p, m.name, value)
			case !m.optional && len(unknown) > 0:
				p.say("%s of %s is missing; there is %s, which is not known", m.name, at, strings.Join(unknown, ", "))
			case !m.optional:
				p.say("%s of %s is missing", m.name, at)
			}
		}
		p.extra = append(p.extra, unknown...)
	}
}

// either returns a check for a value that may have one of several forms. It tells
// what is wrong by the form with the fewest problems.
func either(forms ...check) check {
	return func(p *probe, at string, v gjson.Result) {
		var best *probe
		for _, form := range forms {
			try := &probe{secrets: p.secrets}
			form(try, at, v)
			if best == nil || len(try.problems) < len(best.problems) {
				best = try
			}
		}
		p.problems = append(p.problems, best.problems...)
		p.extra = append(p.extra, best.extra...)
	}
}

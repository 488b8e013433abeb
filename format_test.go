package privicore_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// planted stands in every object of an answer, under a name that no type knows.
const planted = "hunter-planted-secret"

// address matches a pointer as fmt writes it. A byte is shorter.
var address = regexp.MustCompile(`0x[0-9a-f]{5,}`)

// plant puts planted into every object of a recorded answer.
func plant(answer []byte) []byte {
	head, body, _ := bytes.Cut(answer, []byte("\n\n"))
	body = regexp.MustCompile(`\{\s*`).ReplaceAll(body, []byte(`{"unknown":{"deeper":["`+planted+`"]},`))
	body = bytes.ReplaceAll(body, []byte(`,}`), []byte(`}`))
	head = regexp.MustCompile(`(?i)content-length: \d+\n`).ReplaceAll(head, nil)
	return slices.Concat(head, []byte("\n\n"), body)
}

// keepsAnswer reports whether a type embeds the JSON that it was read from.
func keepsAnswer(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || t.NumField() == 0 {
		return false
	}
	field := t.Field(0)
	return field.Anonymous && field.Name == "answer"
}

// kept returns the values in v whose types embed their JSON, by the names of the
// types.
func kept(v reflect.Value) map[string][]reflect.Value {
	found := make(map[string][]reflect.Value)
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Slice, reflect.Array:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Map:
			for _, key := range v.MapKeys() {
				walk(v.MapIndex(key))
			}
		case reflect.Struct:
			if keepsAnswer(v.Type()) {
				found[v.Type().Name()] = append(found[v.Type().Name()], v)
			}
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i))
				}
			}
		}
	}
	walk(v)
	return found
}

// secretsIn returns the values of the Secrets among the fields of v.
func secretsIn(v reflect.Value) []string {
	var found []string
	for i := range v.NumField() {
		if !v.Type().Field(i).IsExported() {
			continue
		}
		if secret, ok := reflect.TypeAssert[privicore.Secret](v.Field(i)); ok && !secret.IsZero() {
			found = append(found, secret.Reveal())
		}
	}
	return found
}

// assertPrintsFields asserts that v, which holds planted in its raw JSON, shows
// neither that nor a pointer.
func assertPrintsFields(t *testing.T, v reflect.Value) {
	t.Helper()
	name := v.Type().Name()
	raw, ok := reflect.TypeAssert[interface{ RawJSON() json.RawMessage }](v)
	require.True(t, ok, name)
	require.Contains(t, string(raw.RawJSON()), planted, "%s has lost its raw JSON", name)
	secrets := append(secretsIn(v), planted)

	pointer := reflect.New(v.Type())
	pointer.Elem().Set(v)
	list := reflect.Append(reflect.MakeSlice(reflect.SliceOf(v.Type()), 0, 1), v)
	for how, v := range map[string]any{
		"itself": v.Interface(), "a pointer": pointer.Interface(), "a list": list.Interface(), "a list of pointers": []any{pointer.Interface()},
		"a map": map[string]any{"k": v.Interface()}, "a field": struct{ Exported any }{v.Interface()},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%d", "%s", "%x"} {
			assert.NotRegexp(t, address, fmt.Sprintf(verb, v), "%s of a %s as %s", verb, name, how)
		}
		data, err := json.Marshal(v)
		require.NoError(t, err)
		assert.NotRegexp(t, address, string(data), name)
	}
	assertHidden(t, v.Interface(), secrets...)
	assertHidden(t, pointer.Interface(), secrets...)
}

// embedders returns the names of the exported types of the package that embed
// answer, from its source.
func embedders(t *testing.T) []string {
	t.Helper()
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	var names []string
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || !spec.Name.IsExported() {
				return true
			}
			structure, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range structure.Fields.List {
				if ident, ok := field.Type.(*ast.Ident); ok && len(field.Names) == 0 && ident.Name == "answer" {
					names = append(names, spec.Name.Name)
				}
			}
			return true
		})
	}
	return names
}

// withoutMessage are the events that stand for no message, and have no JSON.
var withoutMessage = []string{"DroppedEvent", "DisconnectedEvent", "ReconnectedEvent"}

// Types that keep the JSON they were read from show what they are for, and
// nothing of that JSON: it may hold anything.
func TestTypesWithRawJSONArePrinted(t *testing.T) {
	t.Parallel()
	seen := make(map[string][]reflect.Value)
	for _, call := range calls {
		if call.onFileServer() {
			continue
		}
		_, s := replay(t)
		s.answers = [][]byte{plant(recorded(t, call.answer))}
		result, err := call.do(t.Context(), s.client(privicore.WithToken(testToken)))
		require.NoError(t, err, call.operation)
		for name, values := range kept(reflect.ValueOf(result)) {
			seen[name] = append(seen[name], values...)
		}
	}
	for name, values := range pushedEvents(t) {
		seen[name] = append(seen[name], values...)
	}
	assert.ElementsMatch(t, embedders(t), append(slices.Collect(maps.Keys(seen)), withoutMessage...), "types that were printed")
	for name, values := range seen {
		t.Run(name, func(t *testing.T) { assertPrintsFields(t, values[0]) })
	}
	for _, event := range []any{privicore.DroppedEvent{Count: 3}, privicore.DisconnectedEvent{}, privicore.ReconnectedEvent{}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%d"} {
			assert.NotRegexp(t, address, fmt.Sprintf(verb, event))
			assert.NotContains(t, fmt.Sprintf(verb, event), "answer")
		}
	}
}

// pushedEvents returns an event for each kind of message.
func pushedEvents(t *testing.T) map[string][]reflect.Value {
	t.Helper()
	found := make(map[string][]reflect.Value)
	synctest.Test(t, func(t *testing.T) {
		b := newChannelBackend(t)
		require.NoError(t, b.client.Connect(t.Context()))
		unknown := `"unknown":{"deeper":["` + planted + `"]}`
		messages := []string{
			`{"data":{"type":"X-DPT-CAB-ID","id":"c-1","command_status":2,"body":"done",` + unknown + `}}`,
			`{"data":{"type":"X-DPT-CAB-REQUEST-ID","id":"r-1","data_context":"tests","output_type":1,"body":"https://files.test/?auth=` + planted + `"}}`,
			`{"data":{"type":"STREAM-READY","id":"r-1","streamUrl":"https://files.test/?auth=` + planted + `"}}`,
			`{"data":{"type":"telemetry",` + unknown + `}}`,
		}
		go func() {
			synctest.Wait()
			for _, message := range messages {
				b.Push(message)
			}
		}()
		for event, err := range b.client.Events(t.Context()) {
			require.NoError(t, err)
			v := reflect.ValueOf(event).Elem()
			found[v.Type().Name()] = append(found[v.Type().Name()], v)
			if len(found) == len(messages) {
				break
			}
		}
	})
	return found
}

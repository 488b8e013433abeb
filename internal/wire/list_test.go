package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDecodeList(t *testing.T) {
	t.Parallel()
	a, b := named{Name: "a"}, named{Name: "b", Size: 7}
	for _, test := range []struct {
		body string
		want []named
		raws []string
	}{
		{`[]`, []named{}, nil},
		{` [ ] `, []named{}, nil},
		{`{"items":[]}`, []named{}, nil},
		{`[{"name":"a"}]`, []named{a}, []string{`{"name":"a"}`}},
		{` [ {"name":"a"} , {"name":"b","size":7} ] `, []named{a, b}, []string{`{"name":"a"}`, `{"name":"b","size":7}`}},
		{`{"items":[{"name":"a"},{"name":"b","size":7}],"meta":{"count":2}}`, []named{a, b}, []string{`{"name":"a"}`, `{"name":"b","size":7}`}},
		{`{"meta":{"items":[1]}, "items" : [ {"name":"a"} ]}`, []named{a}, []string{`{"name":"a"}`}},
		{`{"error":null,"errors":[],"success":true,"items":[{"name":"a"}]}`, []named{a}, []string{`{"name":"a"}`}},
		{`{"Items":[{"name":"a"}]}`, []named{a}, []string{`{"name":"a"}`}},
		{`{"it\u0065ms":[{"name":"a"}]}`, []named{a}, []string{`{"name":"a"}`}},
		{`[{"name":"a","x":"]}\\\"[,"},{"name":"a"}]`, []named{a, a}, []string{`{"name":"a","x":"]}\\\"[,"}`, `{"name":"a"}`}},
		{`[null,{"name":"a"}]`, []named{{}, a}, []string{`null`, `{"name":"a"}`}},

		// One odd entry does not spoil the others.
		{`[{"name":"a"},{"name":"b","size":"7"}]`, []named{a, b}, []string{`{"name":"a"}`, `{"name":"b","size":"7"}`}},
		{`["a",{"name":"b","size":7}]`, []named{a, b}, []string{`"a"`, `{"name":"b","size":7}`}},
		{`[5, [1] ,true,{"name":"a"}]`, []named{{}, {}, {}, a}, []string{`5`, `[1]`, `true`, `{"name":"a"}`}},
		{`{"meta":{},"items":[5,{"name":"a"}]}`, []named{{}, a}, []string{`5`, `{"name":"a"}`}},
		{`{"items":1,"items":["a"]}`, []named{a}, []string{`"a"`}},
	} {
		list, entries, err := DecodeList[named]([]byte(test.body))
		require.NoError(t, err, test.body)
		assert.Equal(t, test.want, list, test.body)
		for i, raw := range test.raws {
			assert.Equal(t, raw, string(entries.Raw(i)), test.body)
		}
		assert.Nil(t, entries.Raw(len(test.raws)), test.body)
		assert.Nil(t, entries.Raw(-1), test.body)
	}
	for _, body := range []string{
		``, ` `, `{}`, `[5]`, `[[1],true]`, `{"items":1,"items":[5]}`, `"d"`, `5`, `true`, `<html>`, `{"items":5}`, `{"items":null}`, `{"items":{}}`, `{"items":"a"}`, `[`, `[1`, `[1,]`, `{"items":[1]`, `[]x`,
		`{"error":"no","items":[]}`, `{"items":[{"name":"a"}],"errors":["no"]}`, `{"items":[5],"success":false}`, `{"failed":true}`, `{"items":[5],"items":null}`,
		"\vnull", "\u00a0null",
		deep, deepObject, `[` + deep + `]`,
	} {
		list, entries, err := DecodeList[named]([]byte(body))
		require.Error(t, err, "%.80s", body)
		assert.Nil(t, list, "%.80s", body)
		assert.Nil(t, entries)
		assert.Nil(t, entries.Raw(0))
	}
}

func TestDecodeListOfOtherTypes(t *testing.T) {
	t.Parallel()
	texts, entries, err := DecodeList[string]([]byte(`["a",5,{}]`))
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "5", ""}, texts)
	assert.Equal(t, "{}", string(entries.Raw(2)))

	pointers, _, err := DecodeList[*named]([]byte(`[{"name":5},null,7]`))
	require.NoError(t, err)
	assert.Equal(t, []*named{{Name: "5"}, nil, nil}, pointers)
}

// A view is part of the body and cannot be used to change what follows it.
func TestRawIsAView(t *testing.T) {
	t.Parallel()
	body := []byte(`[{"name":"a"},{"name":"b"}]`)
	_, entries, err := DecodeList[named](body)
	require.NoError(t, err)
	raw := entries.Raw(0)
	assert.Same(t, unsafe.SliceData(body[1:]), unsafe.SliceData(raw))
	assert.Equal(t, len(raw), cap(raw))
	_ = append(raw, "overwritten"...)
	assert.Equal(t, `{"name":"b"}`, string(entries.Raw(1)))
}

func TestRawConcurrently(t *testing.T) {
	t.Parallel()
	_, entries, err := DecodeList[int]([]byte(`[0,1,2,3,4,5,6,7]`))
	require.NoError(t, err)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() { assert.Equal(t, fmt.Sprint(i), string(entries.Raw(i))) })
	}
	all.Wait()
}

func TestWhole(t *testing.T) {
	t.Parallel()
	entries := Whole([]byte(` {"a":1} `))
	assert.Equal(t, ` {"a":1} `, string(entries.Raw(0)))
	assert.Nil(t, entries.Raw(1))
	assert.Empty(t, Whole(nil).Raw(0))
}

func TestDecodeMap(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		body string
		keys []string
		want []named
		raws []string
	}{
		{`{}`, nil, []named{}, nil},
		{`[]`, nil, []named{}, nil},
		{` [ ] `, nil, []named{}, nil},
		{`{"z":{"name":"a"}, "b" : {"size":7}}`, []string{"b", "z"}, []named{{Size: 7}, {Name: "a"}}, []string{`{"size":7}`, `{"name":"a"}`}},
		{`{"z":{"name":5},"b":"text","c":7}`, []string{"b", "c", "z"}, []named{{Name: "text"}, {}, {Name: "5"}}, []string{`"text"`, `7`, `{"name":5}`}},
		{`{"\u0061":{"name":"a"}}`, []string{"a"}, []named{{Name: "a"}}, []string{`{"name":"a"}`}},
		{`{"a":{"name":"x"},"a":{"name":"a"}}`, []string{"a"}, []named{{Name: "a"}}, []string{`{"name":"a"}`}},
		{`{"a":{"error":"x"}}`, []string{"a"}, []named{{}}, []string{`{"error":"x"}`}},
	} {
		keys, values, entries, err := DecodeMap[named]([]byte(test.body))
		require.NoError(t, err, test.body)
		assert.Equal(t, test.keys, keys, test.body)
		assert.Equal(t, test.want, values, test.body)
		for i, raw := range test.raws {
			assert.Equal(t, raw, string(entries.Raw(i)), test.body)
		}
		assert.Nil(t, entries.Raw(len(test.raws)), test.body)
	}
	for _, body := range []string{``, `null`, `"a"`, `5`, `[1]`, `[{"name":"a"}]`, `{`, `{"a":5`, `{"error":"no"}`, `{"success":false}`, `<html>`, deep} {
		_, _, _, err := DecodeMap[named]([]byte(body))
		assert.Error(t, err, "%.80s", body)
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][2]int{
		`{"items":[{"meta":{"count":9}}],"meta":{"count":3,"page":1,"perPage":100}}`: {100, 3},
		`{"meta":{"count":"3","perPage":"100"},"items":[]}`:                          {100, 3},
		`{"meta":{"count":3}}`: {0, 3}, `{"meta":{"perPage":-1,"count":1.5}}`: {0, 0}, `{"meta":{"perPage":true,"count":[3]}}`: {0, 0},
		`{"meta":[]}`: {0, 0}, `{"meta":null}`: {0, 0}, `{"meta":5}`: {0, 0}, `{}`: {0, 0}, `[]`: {0, 0}, ``: {0, 0}, `{"meta":{"perPage":1e99}}`: {0, 0},
		`[{"meta":{"count":3}}]`: {0, 0}, deep: {0, 0}, `{"meta":` + deep: {0, 0}, deepObject: {0, 0}, `{"meta"`: {0, 0},
	} {
		perPage, count := Page([]byte(body))
		assert.Equal(t, want, [2]int{perPage, count}, "%.80s", body)
	}
}

func FuzzDecodeList(f *testing.F) {
	for _, body := range []string{
		`[]`, `[{"name":"a"}]`, ` [ 1 , "a\"]" , {"name":5} ] `, `{"items":[{"name":"a"},[]],"meta":{}}`, `{"Items":[1],"items":[null]}`, `{"error":"x","items":[]}`,
		`{"a":{"name":"a"},"b":5}`, `null`, `[1,`, "{\"\xff\":1,\"\xfe\":2}", `{"items":[{"name":"a"}],"items":[{"size":5}]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		kept := bytes.Clone(body)
		list, entries, err := DecodeList[named](body)
		if err == nil {
			var raws []json.RawMessage
			for i := range list {
				checkView(t, body, entries.Raw(i))
				raws = append(raws, entries.Raw(i))
			}
			require.Nil(t, entries.Raw(len(list)))
			var page struct{ Items []json.RawMessage }
			if firstByte(body) == '[' {
				require.NoError(t, json.Unmarshal(body, &page.Items))
			} else {
				require.NoError(t, json.Unmarshal(body, &page))
			}
			require.Len(t, raws, len(page.Items))
			for i := range raws {
				require.Equal(t, string(page.Items[i]), string(raws[i]))
			}
		}
		keys, values, entries, err := DecodeMap[named](body)
		if err == nil {
			require.Len(t, values, len(keys))
			var object map[string]json.RawMessage
			_ = json.Unmarshal(body, &object)
			require.Len(t, keys, len(object))
			for i, key := range keys {
				checkView(t, body, entries.Raw(i))
				require.Equal(t, string(object[key]), string(entries.Raw(i)))
			}
		}
		Page(body)
		require.Equal(t, kept, body)
	})
}

// checkView requires that raw is JSON and a part of body.
func checkView(t *testing.T, body, raw []byte) {
	t.Helper()
	require.True(t, json.Valid(raw), "%q", raw)
	require.Equal(t, len(raw), cap(raw))
	start := uintptr(unsafe.Pointer(unsafe.SliceData(raw))) - uintptr(unsafe.Pointer(unsafe.SliceData(body)))
	require.LessOrEqual(t, int(start)+len(raw), len(body))
	require.Equal(t, string(body[start:int(start)+len(raw)]), string(raw))
}

// benchEntry is like the entries of most lists.
type benchEntry struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Context  string    `json:"context"`
	Approved bool      `json:"approved"`
	Created  time.Time `json:"createdAt"`
}

func benchBody(n int) []byte {
	entry := `{"id":"0197358e-6c2b-7f40-9d1a-3e5b7c9d0f11","name":"a device","context":"tests","approved":true,"createdAt":"2026-02-21T15:33:44+00:00"}`
	return []byte(`[` + strings.TrimSuffix(strings.Repeat(entry+`,`, n), `,`) + `]`)
}

func BenchmarkDecodeList(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		array := benchBody(n)
		items := []byte(fmt.Sprintf(`{"items":%s,"meta":{"count":%d}}`, array, n))
		b.Run(fmt.Sprintf("json/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var list []benchEntry
				if err := json.Unmarshal(array, &list); err != nil {
					b.Fatal(err)
				}
			}
		})
		for name, body := range map[string][]byte{"array": array, "items": items} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := DecodeList[benchEntry](body); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("array and Raw/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, entries, err := DecodeList[benchEntry](array)
				if err != nil || entries.Raw(n-1) == nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Reading a list must cost what json costs, and no more for each entry.
func TestDecodeListAllocations(t *testing.T) {
	body := benchBody(100)
	plain := testing.AllocsPerRun(10, func() {
		var list []benchEntry
		_ = json.Unmarshal(body, &list)
	})
	ours := testing.AllocsPerRun(10, func() { _, _, _ = DecodeList[benchEntry](body) })
	assert.LessOrEqual(t, ours, plain+3)
}

package wire

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseMessage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		data   string
		want   Message
		answer bool // to a request with the correlation id c
		bad    bool
	}{
		"outcome": {
			data: `{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":2,"body":"device.removed"}}`,
			want: Message{Type: TypeCommand, ID: "a", CommandStatus: 2, Body: json.RawMessage(`"device.removed"`)},
		},
		"byte order mark": {
			data: "\uFEFF" + `{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":2}}`,
			want: Message{Type: TypeCommand, ID: "a", CommandStatus: 2},
		},
		"status that is a bool": {
			data: `{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":true}}`,
			want: Message{Type: TypeCommand, ID: "a"},
		},
		"body is null": {
			data: `{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":3,"body":null}}`,
			want: Message{Type: TypeCommand, ID: "a", CommandStatus: 3, Body: json.RawMessage(`null`)},
		},
		"body is an object": {
			data: `{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":3,"body":{"why":["x",1]}}}`,
			want: Message{Type: TypeCommand, ID: "a", CommandStatus: 3, Body: json.RawMessage(`{"why":["x",1]}`)},
		},
		"body is a number": {
			data: `{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":1,"body":0.5}}`,
			want: Message{Type: TypeCommand, ID: "a", CommandStatus: 1, Body: json.RawMessage(`0.5`)},
		},
		"status is text": {
			data: `{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":"2","body":true}}`,
			want: Message{Type: TypeCommand, ID: "a", CommandStatus: 2, Body: json.RawMessage(`true`)},
		},
		"status is a float": {
			data: `{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":2.0}}`,
			want: Message{Type: TypeCommand, ID: "a", CommandStatus: 2},
		},
		"status is absurd": {
			data: `{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":{"x":1e400}}}`,
			want: Message{Type: TypeCommand, ID: "a"},
		},
		"answer": {
			data: `{"data":{"type":"X-DPT-CAB-REQUEST-ID","id":"r","output_type":1,"data_context":"c","body":"https://x"}}`,
			want: Message{Type: TypeAnswer, ID: "r", OutputType: 1, DataContext: "c", Body: json.RawMessage(`"https://x"`)},
		},
		"stream, by id": {
			data: `{"data":{"type":"STREAM-READY","id":"r","streamUrl":"https://x"}}`,
			want: Message{Type: TypeStream, ID: "r", StreamURL: "https://x"},
		},
		"stream, by requestId": {
			data: `{"data":{"type":"STREAM-READY","id":"other","requestId":"r","streamUrl":"https://x"}}`,
			want: Message{Type: TypeStream, ID: "r", StreamURL: "https://x"},
		},
		"unknown":            {data: `{"data":{"type":"TELEMETRY","load":1}}`, want: Message{Type: "TELEMETRY"}},
		"nested without end": {data: `{"data":{"type":"X-DPT-CAB-ID","id":"a","body":` + strings.Repeat("[", 8<<20), bad: true},
		"status is a word": {
			data: `{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":"rejected"}}`,
			want: Message{Type: TypeCommand, ID: "a", StatusWord: "rejected"},
		},
		"no data":     {data: `{"type":"keepalive"}`},
		"data is odd": {data: `{"data":[1,2]}`},
		"spaced out": {
			data: "\n { \"x\" : [ {} , \"}\" ] ,\t\"data\" : { \"type\":\"STREAM-READY\" , \"id\" : \"r\\u0041\\\"\" , \"y\" : -1.5e3 } } ",
			want: Message{Type: TypeStream, ID: `rA"`},
		},
		"said twice":               {data: `{"data":{"id":"a"},"data":{"id":"b","type":"X"}}`, want: Message{Type: "X", ID: "b"}},
		"null":                     {data: `null`, bad: true},
		"to a join":                {data: `{"correlationId":"c","status":200,"data":{"channelId":"x"}}`, answer: true},
		"to nothing":               {data: `{"status":422}`},
		"without a correlation id": {data: `{"status":200,"data":{"channelId":"x"}}`, answer: true},
		"only a text":              {data: `{"status":422,"data":{"message":"no"}}`, answer: true},
		"to somebody else":         {data: `{"correlationId":"d","status":200,"data":{"channelId":"x"}}`},
		"without a status":         {data: `{"correlationId":"c","error":"no"}`, answer: true},
		"telemetry with a status":  {data: `{"status":200,"data":{"uptime":5}}`},
		"no status of HTTP":        {data: `{"status":1,"data":{"message":"up"}}`},
		"status too large":         {data: `{"status":600,"data":{"message":"up"}}`},
		"text and type": {
			data: `{"status":200,"data":{"type":"TELEMETRY","message":"up"}}`,
			want: Message{Type: "TELEMETRY"},
		},
		"unknown type, our id": {data: `{"correlationId":"c","status":200,"data":{"type":"JOINED"}}`, answer: true},
		"pushed, whatever stands beside it": {
			data: `{"correlationId":"c","status":401,"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":2,"message":"m","channelId":"x"}}`,
			want: Message{Type: TypeCommand, ID: "a", CommandStatus: 2},
		},
		"a string": {data: `"X-DPT-CAB-ID"`, bad: true},
		"an array": {data: `[{"data":{}}]`, bad: true},
		"cut off":  {data: `{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":2`, bad: true},
		"empty":    {data: ``, bad: true},
		"binary":   {data: "\x00\xff", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := Envelope{CorrelationID: "of the last message", Status: 7}
			ok := ParseMessage([]byte(test.data), &e)
			require.Equal(t, test.bad, !ok)
			if ok {
				assert.Equal(t, test.answer, e.IsAnswerTo("c"))
				if !test.answer {
					assert.Equal(t, test.want, e.Message)
				}
			}
		})
	}
}

// A field without memory of its own would keep the whole message alive.
func TestFieldsDoNotHoldTheMessage(t *testing.T) {
	filler := strings.Repeat("x", 1<<20)
	for _, field := range []string{
		`"correlationId":"v"`, `"data":{"id":"v"}`, `"data":{"requestId":"v"}`, `"data":{"type":"v"}`,
		`"data":{"type":"X-DPT-CAB-ID"}`, `"data":{"data_context":"v"}`, `"data":{"command_status":"v"}`,
		`"data":{"streamUrl":"v"}`, `"data":{"channelId":"v"}`, `"data":{"message":"v"}`, `"data":{"body":"v"}`,
	} {
		data := []byte(`{"filler":"` + filler + `",` + field + `}`)
		kept := make([]Envelope, 16)
		before := heap()
		for i := range kept {
			require.True(t, ParseMessage(data, &kept[i]))
		}
		assert.Less(t, heap()-before, int64(len(data)), field)
		runtime.KeepAlive(kept)
		runtime.KeepAlive(data)
	}
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestSize(t *testing.T) {
	t.Parallel()
	m := Message{"t", "id", 2, "wor", 1, "cont", "strea", json.RawMessage("bodyyy"), []byte("rawwwww")}
	assert.Equal(t, 1+2+3+4+5+6+7, m.Size())
}

func TestIsPending(t *testing.T) {
	t.Parallel()
	assert.True(t, (&Message{Type: TypeCommand, CommandStatus: StatusPending}).IsPending())
	assert.False(t, (&Message{Type: TypeCommand, CommandStatus: StatusFailed}).IsPending())
	assert.False(t, (&Message{Type: TypeAnswer, CommandStatus: StatusPending}).IsPending())
}

func FuzzParseMessage(f *testing.F) {
	for _, seed := range []string{
		`{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":2,"body":{"x":[null]}}}`,
		`{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":"1"}}`,
		`{"data":{"type":"X-DPT-CAB-REQUEST-ID","id":"a","output_type":0,"body":"aGVsbG8="}}`,
		`{"data":{"type":"STREAM-READY","requestId":"a","streamUrl":"x"}}`,
		`{"correlationId":"c","status":200,"data":{"channelId":"x"}}`,
		`{"status":"1e99","data":7}`, `null`, `[]`, ``, "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var e Envelope
		before := string(data)
		ok := ParseMessage(data, &e)
		require.Equal(t, before, string(data))
		require.Equal(t, ok, json.Valid(data) && strings.HasPrefix(strings.TrimSpace(before), "{"))
		require.True(t, e.Body == nil || json.Valid(e.Body))
		require.LessOrEqual(t, e.Size(), 4*len(data))
		require.False(t, e.IsKnown() && e.IsAnswerTo(e.CorrelationID))
	})
}

func BenchmarkParseMessage(b *testing.B) {
	for name, body := range map[string]string{"short": `"device.removed"`, "payload": `"` + strings.Repeat("A", 64<<10) + `"`} {
		b.Run(name, func(b *testing.B) {
			data := []byte(`{"data":{"type":"X-DPT-CAB-ID","id":"019735db-0000-7000-8000-000000000000","command_status":2,"body":` + body + `}}`)
			var e Envelope
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				ParseMessage(data, &e)
			}
		})
	}
}

package realtime

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for name, test := range map[string]struct {
		data   string
		want   Message
		answer bool
		bad    bool
	}{
		"outcome": {
			data: `{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":2,"body":"device.removed"}}`,
			want: Message{Type: TypeCommand, ID: "a", CommandStatus: 2, Body: json.RawMessage(`"device.removed"`)},
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
		"said twice": {data: `{"data":{"id":"a"},"data":{"id":"b","type":"X"}}`, want: Message{Type: "X", ID: "b"}},
		"null":       {data: `null`, bad: true},
		"to a join":  {data: `{"correlationId":"c","status":200,"data":{"channelId":"x"}}`, answer: true},
		"to nothing": {data: `{"status":422}`, answer: true},
		"a string":   {data: `"X-DPT-CAB-ID"`, bad: true},
		"an array":   {data: `[{"data":{}}]`, bad: true},
		"cut off":    {data: `{"data":{"type":"X-DPT-CAB-ID","id":"a","command_status":2`, bad: true},
		"empty":      {data: ``, bad: true},
		"binary":     {data: "\x00\xff", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			e := envelope{correlationID: "of the last message", status: 7}
			ok := parse([]byte(test.data), &e)
			require.Equal(t, test.bad, !ok)
			if ok {
				assert.Equal(t, test.answer, e.isAnswer())
				if !test.answer {
					assert.Equal(t, test.want, e.Message)
				}
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for status, refused := range map[int]bool{0: true, 401: true, 403: true, 422: true, 429: false, 500: false, 503: false} {
		assert.Equal(t, refused, errors.Is(&RefusedError{Status: status}, errRefused), status)
	}
}

// FuzzParse feeds what a server may send to the whole way of a message.
func FuzzParse(f *testing.F) {
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
		c := New(Config{Keep: 10, KeepFor: 1 << 40})
		defer c.Close()
		l := c.Listen()
		defer c.Unlisten(l)
		w := c.WatchCommand("a")
		var e envelope
		before := string(data)
		answer := c.dispatch(data, &e)
		require.Equal(t, before, string(data))

		queue, missed, _ := l.Take()
		require.Zero(t, missed)
		if answer {
			require.Empty(t, queue)
		} else {
			require.Len(t, queue, 1)
			require.Equal(t, before, string(queue[0].Raw))
		}
		for _, m := range w.Take() {
			require.Equal(t, "a", m.ID)
			require.Equal(t, TypeCommand, m.Type)
			require.True(t, m.Body == nil || json.Valid(m.Body))
		}
		w.Stop()
		require.Equal(t, len(c.inbox.commands)+len(c.inbox.requests), c.inbox.early.Len())

		// Nothing that came before spoils what follows.
		w = c.WatchCommand("next")
		defer w.Stop()
		c.dispatch([]byte(ack("next", Succeeded)), &e)
		require.Len(t, w.Take(), 1)
	})
}

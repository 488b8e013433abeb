package wire

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var payload = []byte("twenty-eight bytes, and then some")

// encode returns the JSON string of a payload.
func encode(data []byte) string { return `"` + base64.StdEncoding.EncodeToString(data) + `"` }

func answer(outputType int, body string) Message {
	return Message{Type: TypeAnswer, ID: "r1", OutputType: outputType, Body: json.RawMessage(body)}
}

func stream(url string) Message { return Message{Type: TypeStream, ID: "r1", StreamURL: url} }

func TestAnnouncement(t *testing.T) {
	t.Parallel()
	var (
		sentence = answer(0, `"The data is being prepared, see https://privicore.test/help."`)
		word     = answer(0, `"starting"`)
		empty    = answer(0, `""`)
		null     = answer(0, `null`)
		object   = answer(0, `{"progress":3}`)
		inline   = answer(0, encode(payload))
		link     = answer(1, `"https://files.test/?auth=dl%2Btoken%2F1"`)
		short    = answer(1, `"files.test:8443?auth=dl%2Btoken%2F1"`)
		bare     = answer(1, `"dl+token/1"`)
		nothing  = answer(1, `""`)
		ready    = stream("https://files.test")
		readyTo  = stream("files.test:8443")
		readyNot = stream("")
		full     = stream("https://files.test/?auth=other")
		ack      = Message{Type: TypeCommand, ID: "r1", CommandStatus: 2, Body: inline.Body}
		other    = Message{Type: "TELEMETRY", ID: "r1", Body: inline.Body, DataContext: "wrong"}
	)
	const address = "https://files.test/?auth=dl%2Btoken%2F1"
	for name, test := range map[string]struct {
		messages []Message
		inline   []byte
		address  string
	}{
		"documented":                   {[]Message{sentence, link}, nil, address},
		"documented, at once":          {[]Message{link}, nil, address},
		"documented, without scheme":   {[]Message{sentence, short}, nil, "files.test:8443?auth=dl%2Btoken%2F1"},
		"observed, inline":             {[]Message{inline}, payload, ""},
		"observed, stream":             {[]Message{bare, ready}, nil, address},
		"observed, stream first":       {[]Message{ready, bare}, nil, address},
		"observed, stream with token":  {[]Message{full}, nil, "https://files.test/?auth=other"},
		"observed, both tokens":        {[]Message{bare, full}, nil, "https://files.test/?auth=other"},
		"stream without scheme":        {[]Message{bare, readyTo}, nil, "files.test:8443/?auth=dl%2Btoken%2F1"},
		"texts before the payload":     {[]Message{sentence, word, empty, null, object, inline}, payload, ""},
		"texts before the stream":      {[]Message{sentence, word, bare, sentence, nothing, readyNot, word, ready}, nil, address},
		"an empty stream after it":     {[]Message{ready, readyNot, bare}, nil, address},
		"other messages":               {[]Message{ack, other, inline}, payload, ""},
		"a payload, and then rubbish":  {[]Message{inline, bare, full, link}, payload, ""},
		"a link, and then the payload": {[]Message{link, inline}, nil, address},
		"a link, and then another":     {[]Message{link, short, full}, nil, address},
		"nothing yet":                  {[]Message{sentence, word, empty, null, object, ack, other}, nil, ""},
		"half of it":                   {[]Message{bare, readyNot}, nil, ""},
		"the other half":               {[]Message{ready, nothing}, nil, ""},
	} {
		var a Announcement
		for i, m := range test.messages {
			m.Body = append(json.RawMessage(nil), m.Body...)
			a.Take(&m)
			clear(m.Body) // nothing may refer to the message
			assert.Equal(t, a.Inline != nil || a.Address != "", a.Complete(), "%s %d", name, i)
		}
		assert.Equal(t, test.inline, a.Inline, name)
		assert.Equal(t, test.address, a.Address, name)
		assert.Equal(t, test.inline != nil || test.address != "", a.Complete(), name)
		assert.Empty(t, a.Context, name)
	}
}

func TestAnnouncementContext(t *testing.T) {
	t.Parallel()
	var a Announcement
	first := answer(0, `"starting"`)
	first.DataContext = "tests"
	last := answer(0, encode(payload))
	a.Take(&first)
	a.Take(&last)
	assert.Equal(t, "tests", a.Context, "a later message without one leaves it")
	late := answer(0, `null`)
	late.DataContext = "late"
	a.Take(&late)
	assert.Equal(t, "tests", a.Context)
}

func TestInlinePayload(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		encode(make([]byte, 28)):                         true,
		encode(make([]byte, 27)):                         false,
		encode(make([]byte, 50_000)):                     true,
		strings.TrimRight(encode(payload), `="`):         false,
		`"` + strings.Repeat("-", 40) + `"`:              false,
		`["` + strings.Trim(encode(payload), `"`) + `"]`: false,
		`5`:  false,
		deep: false,
	} {
		var a Announcement
		m := answer(0, body)
		a.Take(&m)
		assert.Equal(t, want, a.Complete(), "%.80s", body)
	}
}

func TestPermanentToken(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"token":"dtk-1"}`:                 "dtk-1",
		`{"token":"other1","x":[1]}`:        "other1",
		`{"token":"dtk-1","errors":[]}`:     "dtk-1",
		`"dtk-1"`:                           "dtk-1",
		` "dtk-1" `:                         "dtk-1",
		`"0197-35"`:                         "0197-35",
		`"dtk-a.b"`:                         "dtk-a.b",
		"dtk-1\n":                           "dtk-1",
		"dtk-\v1":                           "",
		`"dtk-1\u00a0"`:                     "",
		``:                                  "",
		`null`:                              "",
		`{}`:                                "",
		`[]`:                                "",
		`{"token":""}`:                      "",
		`{"token":null}`:                    "",
		`{"token":5}`:                       "",
		`{"token":"ok"}`:                    "",
		`{"token":"a b"}`:                   "",
		`{"token":"dtk-1","error":"no"}`:    "",
		`{"token":"dtk-1","success":false}`: "",
		`"ok"`:                              "",
		`"Accepted"`:                        "",
		`"in_progress"`:                     "",
		`"The meta data was stored."`:       "",
		`"data_token.not_found"`:            "",
		`"dtk-1`:                            "",
		`dtk-1 dtk-2`:                       "",
		`token1`:                            "",
		`<html>`:                            "",
		`5`:                                 "",
		deep:                                "",
	} {
		assert.Equal(t, want, PermanentToken([]byte(body)), "%.80s", body)
	}
}

func TestPollID(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"pollId":"p-1"}`: "p-1",
		`{"id":"x","identifier":"x","pollIdentifier":"x","votingId":"x","poolId":"x","pollId":"p-1"}`: "p-1",
		`{"poolId":"p-1","id":"x-2"}`:         "p-1",
		`{"votingId":"p-1","identifier":"x"}`: "p-1",
		`{"pollIdentifier":"p-1","id":"x"}`:   "p-1",
		`{"identifier":["p-1"],"id":"x"}`:     "p-1",
		`{"id":17}`:                           "17",
		`{"pollId":null,"id":"p-1"}`:          "p-1",
		`{"commandId":"c-1","pollId":"p-1"}`:  "p-1",
		`{"commandId":"c-1"}`:                 "",
		`{"pollId":"p-1","error":"no"}`:       "",
		`{"poll":"x"}`:                        "",
		`{"id":{"a":1}}`:                      "",
		`"p-1"`:                               "",
		`["started"]`:                         "",
		``:                                    "",
		`{`:                                   "",
		deep:                                  "",
	} {
		assert.Equal(t, want, PollID([]byte(body)), "%.80s", body)
	}
}

func FuzzAnnouncement(f *testing.F) {
	f.Add(TypeAnswer, 0, "", "tests", []byte(encode(payload)), "https://files.test")
	f.Add(TypeAnswer, 1, "", "", []byte(`"dl+token/1"`), "files.test:8443")
	f.Add(TypeAnswer, 1, "", "", []byte(`"h:1?auth=x"`), "")
	f.Add(TypeStream, 0, "https://files.test/?auth=x", "", []byte(`null`), "://")
	f.Add("TELEMETRY", 0, "", "x", []byte(encode(payload)), "x")
	f.Fuzz(func(t *testing.T, kind string, output int, url, context string, body []byte, server string) {
		first := &Message{Type: kind, OutputType: output, StreamURL: url, DataContext: context, Body: body}
		var a Announcement
		a.Take(first)
		if kind != TypeAnswer && kind != TypeStream {
			require.Zero(t, a)
		}
		if a.Inline != nil {
			assert.GreaterOrEqual(t, len(a.Inline), minPayload)
			assert.Empty(t, a.Address)
		}
		before := a
		a.Take(first)
		if before.Complete() {
			assert.Equal(t, before, a)
		}
		a.Take(&Message{Type: TypeStream, StreamURL: server})
		if before.Complete() {
			assert.Equal(t, before, a, "what is complete stays as it is")
		} else if before.Token != "" && a.Address != "" && Auth(server) == "" && a.Address != server {
			assert.Equal(t, before.Token, Auth(a.Address))
		}
	})
}

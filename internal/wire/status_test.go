package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// deep is JSON that nests as deep as nothing that is meant.
var deep = strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)

// The nine thousand levels that encoding/json takes must not hurt either.
var (
	deepValid  = strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000)
	deepObject = strings.Repeat(`{"a":`, 9_000) + `1` + strings.Repeat("}", 9_000)
)

func TestCommandID(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ header, body, want string }{
		{"c1", ``, "c1"},
		{"c1", `"c2"`, "c1"},
		{"c1", `<html>`, "c1"},
		{"c1", `{"message":"accepted"}`, "c1"},
		{"accepted", ``, "accepted"},
		{" ", `"c1"`, "c1"},
		{"", `"c1"`, "c1"},
		{"", ` "c1" `, "c1"},
		{"", `"c\u0031"`, "c1"},
		{"", `["c1"]`, "c1"},
		{"", ` [ "c1" ] `, "c1"},
		{"", `{"commandId":"c1"}`, "c1"},
		{"", `{"commandId":"c1","unknown":{"x":[1]}}`, "c1"},
		{"", `{"commandId":"c1","status":"started"}`, "c1"},
		{"", `{"commandId":"c1","errors":[],"error":null}`, "c1"},
		{"", `"0197358e-6c2b-7f40-9d1a-3e5b7c9d0f1"`, "0197358e-6c2b-7f40-9d1a-3e5b7c9d0f1"},
		{"", `"0197358e-6c2-7f40-9d1a-3e5b7c9d0f11"`, "0197358e-6c2-7f40-9d1a-3e5b7c9d0f11"},
		{"", ``, ""},
		{"", ` `, ""},
		{"", `null`, ""},
		{"", `{}`, ""},
		{"", `[]`, ""},
		{"", `""`, ""},
		{"", `[""]`, ""},
		{"", `[null]`, ""},
		{"", `["c1","c2"]`, ""},
		{"", `[["c1"]]`, ""},
		{"", `["started"]`, ""},
		{"", `["profile.registered2"]`, ""},
		{"", `"Accepted"`, ""},
		{"", `"c1\f"`, ""},
		{"", `"c\u00a01"`, ""},
		{"", `"command 1 was accepted"`, ""},
		{"", `{"message":"accepted"}`, ""},
		{"", `{"commandId":null}`, ""},
		{"", `{"commandId":""}`, ""},
		{"", `{"commandId":" "}`, ""},
		{"", `{"commandId":7}`, ""},
		{"", `{"commandId":"c1","error":"no"}`, ""},
		{"", `{"commandId":"c1","errors":{"name":"no"}}`, ""},
		{"", `7`, ""},
		{"", `true`, ""},
		{"", `<html>proxy 1</html>`, ""},
		{"", `["c1`, ""},
		{"", `"c1`, ""},
		{"", deep, ""},
		{"", deepValid, ""},
	} {
		assert.Equal(t, test.want, CommandID(test.header, []byte(test.body)), "%q %.80q", test.header, test.body)
	}
}

// recorded returns header and body of an answer that was recorded.
func recorded(t *testing.T, path string) (status int, header http.Header, body []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	head, body, found := bytes.Cut(data, []byte("\n\n"))
	require.True(t, found)
	header = http.Header{}
	first, lines, _ := strings.Cut(string(head), "\n")
	_, err = fmt.Sscanf(first, "HTTP/1.1 %d", &status)
	require.NoError(t, err)
	for line := range strings.Lines(lines) {
		name, value, _ := strings.Cut(line, ":")
		header.Add(name, strings.TrimSpace(value))
	}
	return status, header, body
}

func recordings(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob("../../testdata/" + pattern)
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	return paths
}

func TestRecordedCommandIDs(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"commands/*.http":      "0197358e-6c2b-7f40-9d1a-3e5b7c9d0f11",
		"no_command_id/*.http": "",
	} {
		for _, path := range recordings(t, pattern) {
			_, header, body := recorded(t, path)
			assert.Equal(t, want, CommandID(header.Get(TypeCommand), body), path)
		}
	}
}

func TestReadStatus(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status   int
		body     string
		want     Status
		messages []string
	}{
		{202, ``, Pending, nil},
		{202, ` `, Pending, nil},
		{202, `["started"]`, Pending, []string{"started"}},
		{202, `"started"`, Pending, []string{"started"}},
		{202, `[]`, Pending, nil},
		{202, `null`, Pending, nil},
		{202, `{"progress":5}`, Pending, nil},
		{202, `["some.machine_key"]`, Pending, []string{"some.machine_key"}},
		{200, `["started"]`, Pending, []string{"started"}},
		{200, `"pending"`, Pending, []string{"pending"}},
		{200, `["profile.profile_registered"]`, Succeeded, []string{"profile.profile_registered"}},
		{200, `[]`, Succeeded, nil},
		{200, `[null]`, Succeeded, nil},
		{200, `null`, Succeeded, nil},
		{200, `""`, Succeeded, nil},
		{200, `"succeeded"`, Succeeded, []string{"succeeded"}},
		{200, `["succeeded"]`, Succeeded, []string{"succeeded"}},
		{200, `["Succeeded"]`, Succeeded, []string{"Succeeded"}},
		{202, `"succeeded"`, Succeeded, []string{"succeeded"}},
		{202, `["done"]`, Succeeded, []string{"done"}},
		{200, `["started","succeeded"]`, Succeeded, []string{"started", "succeeded"}},
		{200, `["succeeded","started"]`, Succeeded, []string{"succeeded", "started"}},
		{200, `["succeeded","profile.registered"]`, Succeeded, []string{"profile.registered"}},
		{200, `"rejected"`, Rejected, []string{"rejected"}},
		{200, `["rejected"]`, Rejected, []string{"rejected"}},
		{200, `["REJECTED"]`, Rejected, []string{"REJECTED"}},
		{202, `["rejected"]`, Rejected, []string{"rejected"}},
		{202, `"failed"`, Rejected, []string{"failed"}},
		{200, `"failed"`, Rejected, []string{"failed"}},
		{200, `["rejected","profile.username_taken"]`, Rejected, []string{"profile.username_taken"}},
		{200, `["profile.username_taken","rejected"]`, Rejected, []string{"profile.username_taken"}},
		{200, `["rejected","done"]`, Rejected, []string{"rejected", "done"}},
		{200, `["done","rejected"]`, Rejected, []string{"done", "rejected"}},
		{200, `[["rejected"]]`, Rejected, []string{"rejected"}},
		{200, `["a.b",["done"]]`, Succeeded, []string{"a.b"}},
		{200, `succeeded`, Succeeded, []string{"succeeded"}}, // text, not JSON
		{200, "rejected\n", Rejected, []string{"rejected"}},
		{202, `started`, Pending, []string{"started"}},
		{202, `rejected`, Rejected, []string{"rejected"}},
		{202, `<html>please wait</html>`, Pending, nil},
		{200, ``, Succeeded, nil}, // the body is documented as optional
		{200, "\n", Succeeded, nil},
		{200, `profile.profile_registered`, Succeeded, []string{"profile.profile_registered"}},
		{202, `profile.profile_registered`, Pending, []string{"profile.profile_registered"}},
		{200, `"in progress"`, Pending, []string{"in progress"}},
		{200, `"In-Progress"`, Pending, []string{"In-Progress"}},
		{200, `["canceled"]`, Rejected, []string{"canceled"}},
		{200, `[" rejected "]`, Rejected, []string{" rejected "}},
		{200, `"the command was not rejected"`, Succeeded, []string{"the command was not rejected"}},

		// An object says its status in one place only.
		{200, `{"status":"succeeded"}`, Succeeded, []string{"succeeded"}},
		{200, `{"state":"Done","message":"all.good"}`, Succeeded, []string{"all.good"}},
		{200, `{"status":"rejected","message":"no"}`, Rejected, []string{"no"}},
		{200, `{"status":"rejected","reason":"expired"}`, Rejected, []string{"expired"}},
		{200, `{"status":"rejected","error":"profile.username_taken"}`, Rejected, []string{"profile.username_taken"}},
		{200, `{"status":"pending","message":"rejected"}`, Pending, []string{"rejected"}},
		{200, `{"status":"Pool 7","state":"failed"}`, Rejected, []string{"Pool 7"}},
		{200, `{"status":"succeeded","errors":[],"success":true}`, Succeeded, []string{"succeeded"}},
		{202, `{"status":"succeeded"}`, Succeeded, []string{"succeeded"}},
		{202, `{"status":"rejected"}`, Rejected, []string{"rejected"}},
		{202, `{"message":"rejected"}`, Pending, []string{"rejected"}},
		{202, `{"data":{"status":"rejected"}}`, Pending, []string{"rejected"}},
		{202, `{"status":"succeeded","error":"no"}`, Pending, []string{"no"}},
		{202, `{"error":"no"}`, Pending, []string{"no"}},

		// Strings among other things.
		{200, `["rejected",{"reason":"taken"}]`, Rejected, []string{"taken"}},
		{200, `["succeeded",{"id":"x-1"}]`, Succeeded, []string{"x-1"}},
		{202, `["succeeded",{"error":"no"}]`, Pending, []string{"no"}},
		{202, `[{"status":"rejected"}]`, Pending, []string{"rejected"}},
		{202, `false`, Pending, nil},
		{202, `5`, Pending, nil},
		{202, deep, Pending, nil},
	} {
		outcome, err := ReadStatus(test.status == 202, []byte(test.body))
		require.NoError(t, err, "%d %.80s", test.status, test.body)
		assert.Equal(t, Outcome{test.want, test.messages}, outcome, "%d %.80s", test.status, test.body)
	}
}

// What comes with a 200 and is not what a finished command looks like must not
// be taken for a success.
func TestReadStatusRefuses(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`<html>done</html>`:                      "HTML",
		`plain text`:                             "not JSON",
		`"done`:                                  "not JSON",
		`{}`:                                     "another shape",
		`{"progress":100}`:                       "another shape",
		`{"message":"done"}`:                     "another shape",
		`{"data":{"status":"done"}}`:             "another shape",
		`{"status":200}`:                         "another shape",
		`{"status":["done"]}`:                    "another shape",
		`{"status":"tea time"}`:                  "another shape",
		`false`:                                  "another shape",
		`true`:                                   "another shape",
		`5`:                                      "another shape",
		`[5]`:                                    "another shape",
		`[{"status":"done"}]`:                    "another shape",
		`["succeeded",{"error":"no"}]`:           "another shape",
		`{"error":"no"}`:                         "reports an error",
		`{"errors":["no"]}`:                      "reports an error",
		`{"success":false}`:                      "reports an error",
		`{"failed":true}`:                        "reports an error",
		`{"status":"succeeded","error":"no"}`:    "reports an error",
		`{"status":"ok","success":false}`:        "reports an error",
		`{"status":"pending","errors":{"a":""}}`: "reports an error",
		strings.Repeat("a.", 10_000) + "a":       "not JSON",
		deep:                                     "not JSON",
		deepObject:                               "another shape",
	} {
		outcome, err := ReadStatus(false, []byte(body))
		require.ErrorContains(t, err, want, "%.80s", body)
		assert.Zero(t, outcome)
	}
}

func TestRecordedStatuses(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Outcome{
		"finished":        {Succeeded, []string{"profile.profile_registered"}},
		"succeeded":       {Succeeded, []string{"succeeded"}},
		"succeeded_array": {Succeeded, []string{"succeeded"}},
		"rejected":        {Rejected, []string{"rejected"}},
		"rejected_array":  {Rejected, []string{"profile.username_taken"}},
		"pending":         {Pending, []string{"started"}},
		"pending_empty":   {Pending, nil},
	} {
		status, _, body := recorded(t, "../../testdata/utility/request_status."+name+".http")
		outcome, err := ReadStatus(status == http.StatusAccepted, body)
		require.NoError(t, err, name)
		assert.Equal(t, want, outcome, name)
	}
	for _, name := range []string{"html", "truncated"} {
		_, _, body := recorded(t, "../../testdata/unreadable/"+name+".http")
		_, err := ReadStatus(false, body)
		assert.Error(t, err, name)
	}
}

func TestReadAck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		number   int
		word     string
		body     string
		want     Status
		messages []string
	}{
		{1, "", `"started"`, Pending, []string{"started"}},
		{1, "", `["rejected"]`, Pending, []string{"rejected"}},
		{2, "", `null`, Succeeded, nil},
		{2, "", ``, Succeeded, nil},
		{2, "", `"profile.profile_registered"`, Succeeded, []string{"profile.profile_registered"}},
		{2, "", `["done","a.b"]`, Succeeded, []string{"a.b"}},
		{2, "", `"rejected"`, Succeeded, []string{"rejected"}}, // the name of what succeeded, perhaps
		{2, "", `{"error":"no"}`, Succeeded, []string{"no"}},
		{2, "rejected", `null`, Succeeded, nil},
		{3, "", `"done"`, Rejected, []string{"done"}},
		{3, "", `{"message":"no","a":["b",7,{"c":"d"}]}`, Rejected, []string{"b", "d", "no"}},
		{3, "", `null`, Rejected, nil},

		{0, "succeeded", `null`, Succeeded, nil},
		{0, "SUCCEEDED", `"rejected"`, Succeeded, []string{"rejected"}},
		{0, "failed", `"succeeded"`, Rejected, []string{"succeeded"}},
		{0, "in progress", `"done"`, Pending, []string{"done"}},
		{9, "failed", ``, Rejected, nil},
		{-1, "", `"done"`, Succeeded, []string{"done"}},
		{0, "tea time", `"rejected"`, Rejected, []string{"rejected"}},
		{0, "succeeded", `{"error":"no"}`, Unknown, []string{"no"}},
		{0, "succeeded", `{"success":false}`, Unknown, nil},
		{0, "rejected", `{"error":"no"}`, Rejected, []string{"no"}},
		{0, "succeeded", `{"id":"x-1"}`, Succeeded, []string{"x-1"}},

		{0, "", `["started","rejected"]`, Rejected, []string{"started", "rejected"}},
		{0, "", `["done"]`, Succeeded, []string{"done"}},
		{0, "", `["done",1e999]`, Succeeded, []string{"done"}},
		{0, "", `["done",{"errors":["no"]}]`, Unknown, []string{"no"}},
		{0, "", `"a.b"`, Unknown, []string{"a.b"}},
		{0, "", `{"status":"done"}`, Unknown, []string{"done"}},
		{0, "", `{"error":"done"}`, Unknown, []string{"done"}},
		{0, "", `null`, Unknown, nil},
		{0, "", ``, Unknown, nil},
		{0, "", `5`, Unknown, nil},
		{0, "", `false`, Unknown, nil},
		{0, "", deep, Unknown, nil},
		{0, "", deepValid, Unknown, nil},
	} {
		m := &Message{Type: TypeCommand, ID: "c1", CommandStatus: test.number, StatusWord: test.word, Body: json.RawMessage(test.body)}
		assert.Equal(t, Outcome{test.want, test.messages}, ReadAck(m), "%d %q %.80s", test.number, test.word, test.body)
	}
}

func FuzzCommandID(f *testing.F) {
	for _, body := range []string{`"c1"`, `["c1"]`, `{"commandId":"c1"}`, `{"commandId":"c1","error":"no"}`, `"accepted"`, `["a.b1"]`, ``, `null`, `<html>1`, "\"c\xff1\"", `{"commandId":"c1","n":1e999}`, `{"commandId":"c1","error":1e999}`} {
		f.Add("", []byte(body))
	}
	f.Add("c1", []byte(`"c2"`))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		id := CommandID(header, body)
		if want := strings.TrimSpace(header); want != "" {
			assert.Equal(t, want, id)
			return
		}
		assert.Equal(t, strings.TrimSpace(id), id)
		if id != "" {
			assert.True(t, json.Valid(body), "an id stands in JSON only")
		}
		if id != "" && firstByte(body) != '{' {
			assert.Contains(t, Texts(body), id)
			assert.Equal(t, Unknown, statusOf(id))
			assert.False(t, isMachineKey(id))
		}
	})
}

var statusSeeds = []string{
	``, `null`, `[]`, `"succeeded"`, `["done",1e999]`, `{"error":1e999}`, `["rejected","a.b"]`, `[["done"],"started"]`, `{"status":"done","error":"x"}`, `{"state":"failed"}`,
	`succeeded`, `profile.registered`, `<html>`, `5`, `true`, `["done",{"success":false}]`, `{"message":"rejected"}`, "\"done\xff\"",
}

func FuzzReadStatus(f *testing.F) {
	for _, body := range statusSeeds {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		final, err := ReadStatus(false, body)
		early, earlyErr := ReadStatus(true, body)
		require.NoError(t, earlyErr, "a 202 is progress whatever is in it")
		assert.NotEqual(t, Unknown, early.Status)
		if err != nil {
			assert.Zero(t, final)
			assert.Equal(t, Pending, early.Status)
			return
		}
		assert.NotEqual(t, Unknown, final.Status)
		assert.Equal(t, final.Messages, early.Messages)
		if final.Status != early.Status {
			assert.Equal(t, Succeeded, final.Status, "only what nothing is said of depends on the code")
			assert.Equal(t, Pending, early.Status)
		}
		if SpeaksOfError(body) {
			assert.Equal(t, Rejected, final.Status)
		}
	})
}

func FuzzReadAck(f *testing.F) {
	for _, body := range statusSeeds {
		for number := range 4 {
			f.Add(number, "", []byte(body))
		}
		f.Add(0, "succeeded", []byte(body))
		f.Add(7, "word", []byte(body))
	}
	f.Fuzz(func(t *testing.T, number int, word string, body []byte) {
		outcome := ReadAck(&Message{Type: TypeCommand, CommandStatus: number, StatusWord: word, Body: body})
		if number >= 1 && number <= 3 {
			assert.Equal(t, Status(number), outcome.Status, "the number decides")
		} else if SpeaksOfError(body) {
			assert.NotEqual(t, Succeeded, outcome.Status)
		}
		if word == "" && number == 0 && firstByte(body) == '{' {
			assert.Equal(t, Unknown, outcome.Status)
		}
		for _, message := range outcome.Messages {
			assert.Contains(t, Texts(body), message)
		}
	})
}

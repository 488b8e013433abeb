package main

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/privicore/privicore-go/internal/operation"
)

// form is how a server does something.
type form int

// The forms. A server of the documented dialect has the documented form at each
// place, and one of the observed dialect the observed form.
const (
	unseen form = iota
	documented
	observed
	another
)

func (f form) String() string {
	return [...]string{"not seen", "documented", "observed", "another"}[f]
}

// The places at which the documentation and the recordings differ.
const (
	rowCommandID = iota
	rowRemoval
	rowStarted
	rowFinished
	rowNewProfile
	rowTaken
	rowReauthorize
	rowRefusal
	rowInvalid
	rowTimes
	rowStream
	rowCommitted
	rowData
	rowDownload
	rowCode
	rowConfiguration
	rowVoting
	rows
)

// dialectRows describes the places, in the order of the constants.
var dialectRows = [rows]struct{ place, documented, observed string }{
	{"command id in a 202", string(inArray), string(inBoth)},
	{"202 of a removal", string(inHeader), "like any other"},
	{"\"started\" on the WebSocket", "for every command", "for commands that last"},
	{"finished command", "a message key", "`[\"succeeded\"]`"},
	{"new profile can authenticate", "after its registration ended", "from the 202 on"},
	{"taken username", "the command is rejected", "409 at once"},
	{"reauthorize", "200 with the token", "202"},
	{"refusal", "`{\"message\":…}`", "a text"},
	{"422", "`{\"message\":…,\"errors\":{…}}`", "an array of texts"},
	{"timestamps", "`+00:00`", "`Z`"},
	{"stream address", "`{server}:{port}?auth=…`", "a complete URL"},
	{"committed data", "`{\"token\":…}`", "the token as a text"},
	{"requested data", "a text, then an address", "the payload in base64, or a token and STREAM-READY"},
	{"download address", "`{server}:{port}/?auth=…`", "a complete URL, the token apart"},
	{"authorization code", "200", "202"},
	{"policy without configuration", "is accepted", "is refused"},
	{"create voting", "200 with the poll's id", "202"},
}

// dialect is which forms were seen.
type dialect struct {
	seen [rows]map[form][]string // names of operations
}

// see notes the form that an operation had at a place.
func (d *dialect) see(row int, f form, op *operation.Operation) {
	if d.seen[row] == nil {
		d.seen[row] = make(map[form][]string)
	}
	d.seen[row][f] = appendOnce(d.seen[row][f], op.Name)
}

// of returns the form at a place that most operations have.
func (d *dialect) of(row int) form {
	best := unseen
	for f := documented; f <= another; f++ {
		if len(d.seen[row][f]) > len(d.seen[row][best]) {
			best = f
		}
	}
	return best
}

// count returns at how many places a form was seen.
func (d *dialect) count(want form) int {
	n := 0
	for row := range rows {
		if d.of(row) == want {
			n++
		}
	}
	return n
}

// choose returns documented or observed if its condition holds.
func choose(isDocumented, isObserved bool) form {
	switch {
	case isDocumented:
		return documented
	case isObserved:
		return observed
	}
	return another
}

func (d *dialect) seePlaces(usual place, places map[*operation.Operation]place) {
	for op, at := range places {
		if op.Answer == operation.BareID {
			d.see(rowRemoval, choose(at == inHeader, at == usual), op)
			continue
		}
		d.see(rowCommandID, choose(at == inArray, at == inBoth), op)
	}
}

// started notes whether a message said that a command runs. That is no difference:
// observed servers send it for commands that last.
func (d *dialect) started(op *operation.Operation, was bool) {
	d.see(rowStarted, choose(was, !was), op)
}

// times notes how the times in an answer are written.
func (d *dialect) times(op *operation.Operation, v gjson.Result) {
	if v.IsObject() || v.IsArray() {
		v.ForEach(func(_, member gjson.Result) bool {
			d.times(op, member)
			return true
		})
		return
	}
	if v.Type == gjson.String && isTime(v.Str) {
		d.see(rowTimes, choose(strings.HasSuffix(v.Str, "+00:00"), strings.HasSuffix(v.Str, "Z")), op)
	}
}

// refused notes the form of a refusal.
func (d *dialect) refused(op *operation.Operation, e *exchange) {
	v := e.json()
	if e.status != http.StatusUnprocessableEntity {
		d.see(rowRefusal, choose(v.Get("message").Type == gjson.String, v.Type == gjson.String), op)
		return
	}
	d.see(rowInvalid, choose(v.Get("message").Exists() && v.Get("errors").Exists(), v.IsArray()), op)
}

// stream notes the form of the address of an upload.
func (d *dialect) stream(op *operation.Operation, address string) {
	complete := strings.Contains(address, "://")
	d.see(rowStream, choose(!complete && strings.Contains(address, "?auth="), complete), op)
}

// announced notes how requested data was announced.
func (d *dialect) announced(op *operation.Operation, messages []gjson.Result) {
	stream := slices.ContainsFunc(messages, func(m gjson.Result) bool { return m.Get("data.type").Str == streamReady })
	for _, message := range messages {
		body, output := message.Get("data.body").Str, message.Get("data.output_type")
		switch {
		case !output.Exists():
		case output.Int() == 0:
			_, err := base64.StdEncoding.DecodeString(body)
			d.see(rowData, choose(err != nil, err == nil), op)
		default:
			address := strings.Contains(body, "auth=")
			d.see(rowData, choose(address, stream), op)
			d.see(rowDownload, choose(address && !strings.Contains(body, "://"), !address && stream), op)
		}
	}
}

// kind returns what kind of server it is.
func (d *dialect) kind() string {
	byDocument, byRecord, other := d.count(documented), d.count(observed), d.count(another)
	mostly := ""
	if other > 0 || byDocument > 0 && byRecord > 0 {
		mostly = "mostly "
	}
	switch {
	case byDocument > byRecord:
		return mostly + "as documented"
	case byRecord > 0:
		return mostly + "as observed"
	}
	return "in no way that is known"
}

package main

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/operation"
)

const (
	commandHeader = "X-Dpt-Cab-Id"
	requestHeader = "X-Dpt-Cab-Request-Id"
)

// place is where the command id of an answer is.
type place string

// The places that are known. A command of a server should have its id where the
// other commands have theirs.
const (
	inHeader  place = "`X-DPT-CAB-ID` and no body"
	inText    place = "`\"id\"`"
	inArray   place = "`[\"id\"]`"
	inObject  place = "`{\"commandId\":\"id\"}`"
	inBoth    place = "`X-DPT-CAB-ID` and `{\"commandId\":\"id\"}`"
	elsewhere place = "a place that is not known"
)

// begin is a call that starts a command.
type begin func(ctx context.Context) (*privicore.Command, error)

// command carries out a call that starts a command, and follows the command to
// its end. It returns the id, and whether the command succeeded.
func (f *finding) command(ctx context.Context, a *account, call begin) (id string, ok bool) {
	var cmd *privicore.Command
	e := f.send(ctx, func(ctx context.Context) (err error) {
		cmd, err = call(ctx)
		return err
	})
	if e == nil {
		return "", false
	}
	f.status(e, http.StatusAccepted)
	return f.follow(ctx, a, e, cmd)
}

// follow follows the command that an answer announces to its end.
func (f *finding) follow(ctx context.Context, a *account, e *exchange, cmd *privicore.Command) (id string, ok bool) {
	if id = f.commandID(e); id == "" {
		return "", false
	}
	if cmd == nil {
		cmd = a.client.Command(id)
	}
	return id, f.outcome(ctx, a, cmd)
}

// brief is how long a command takes at most of which an observed server does not say that
// it has started.
const brief = time.Second

// outcome waits for the end of a command and for its acknowledgement. It reports
// whether the command succeeded.
func (f *finding) outcome(ctx context.Context, a *account, cmd *privicore.Command) bool {
	_, err := cmd.Wait(ctx)
	rejected, ok := errors.AsType[*privicore.CommandError](err)
	switch {
	case ok:
		f.differs("the command is rejected%s", f.named(f.s.secrets.keys(texts(rejected.Messages))))
	case err != nil && a.channel == nil && !f.s.sound(operation.UtilityRequestStatus):
		return f.stuck(operation.UtilityRequestStatus)
	case err != nil:
		f.differs("the outcome of the command does not come: %s", cause(err))
		return false
	}
	f.acknowledged(ctx, a, cmd.ID, !ok)
	return !ok
}

// texts returns messages as a JSON value.
func texts(messages []string) gjson.Result {
	var list []byte
	for _, message := range messages {
		list = gjson.AppendJSONString(append(list, ','), message)
	}
	if len(list) == 0 {
		return gjson.Result{}
	}
	list[0] = '['
	return gjson.ParseBytes(append(list, ']'))
}

// known returns where the id of an answer is, if it is at a place that is known.
func known(e *exchange) (id string, at place) {
	header := e.header.Get(commandHeader)
	inBody, at := idInBody(e)
	switch {
	case header == "":
		return inBody, at
	case at == inObject:
		return header, inBoth
	case at != "":
		return header, at
	case len(e.body) == 0:
		return header, inHeader
	}
	return header, elsewhere
}

// commanded reports whether an answer that may be a value announces a command.
func commanded(e *exchange) bool {
	id, _ := known(e)
	return e.status == http.StatusAccepted || e.status != http.StatusOK && id != ""
}

// idInBody returns the command id in a body of a form that is known.
func idInBody(e *exchange) (id string, at place) {
	v := e.json()
	switch {
	case v.Type == gjson.String:
		return v.Str, inText
	case v.IsArray() && len(v.Array()) == 1 && v.Array()[0].Type == gjson.String:
		return v.Array()[0].Str, inArray
	case v.Get("commandId").Type == gjson.String:
		return v.Get("commandId").Str, inObject
	}
	return "", ""
}

// commandID returns the command id of an answer and notes its place. If the place
// is not known, it adds a difference and looks for the id anywhere.
func (f *finding) commandID(e *exchange) string {
	id, at := known(e)
	if id == "" {
		return f.strayID(e)
	}
	if inBody, _ := idInBody(e); inBody != "" && inBody != id {
		f.differs("the command id in the header is not the one in the body")
	}
	if at == elsewhere {
		f.differs("the command id is in `X-DPT-CAB-ID`, beside a body of a form that is not known")
	}
	if f.op == operation.DataTokenRequest && e.header.Get(commandHeader) == "" {
		f.differs("the header X-DPT-CAB-ID is missing; the command id is in the body only")
	}
	f.s.places[f.op] = at
	return id
}

var idLike = regexp.MustCompile(`^[0-9a-fA-F]{4,}(-[0-9a-fA-F]{3,}){3,}$`)

// strayID looks for something like an id in an answer without a known one.
func (f *finding) strayID(e *exchange) string {
	for name, values := range e.header {
		if name != http.CanonicalHeaderKey(requestHeader) && len(values) == 1 && idLike.MatchString(values[0]) {
			f.differs("the command id is in the header %s", f.s.secrets.name(name))
			return values[0]
		}
	}
	if plain := strings.TrimSpace(string(e.body)); idLike.MatchString(plain) {
		f.differs("the command id is the body as it is, not in JSON")
		return plain
	}
	if id, at := stray(e.json(), "the body"); id != "" {
		name := at
		if name != "the body" {
			name = f.s.secrets.name(at)
		}
		f.differs("the command id is in %s, which is not a known place", name)
		return id
	}
	f.differs("there is no command id in the answer")
	return ""
}

// stray returns the first text like an id in a JSON value, and its name.
func stray(v gjson.Result, at string) (id, found string) {
	if v.Type == gjson.String && idLike.MatchString(v.Str) {
		return v.Str, at
	}
	if !v.IsObject() && !v.IsArray() {
		return "", ""
	}
	inObject := v.IsObject()
	v.ForEach(func(name, member gjson.Result) bool {
		inside := at
		if inObject {
			inside = name.Str
		}
		id, found = stray(member, inside)
		return id == ""
	})
	return id, found
}

// judgePlaces compares the places of the command ids with each other.
func (s *session) judgePlaces() {
	count := make(map[place]int)
	for op, at := range s.places {
		if op.Answer != operation.BareID {
			count[at]++
		}
	}
	var usual place
	for at, n := range count {
		if n > count[usual] || n == count[usual] && at < usual {
			usual = at
		}
	}
	for op, at := range s.places {
		if at != usual && at != elsewhere && !(at == inHeader && mayBeBare(op)) {
			s.finding(op).differs("the command id is at another place than that of other commands: %s, not %s", at, usual)
		}
	}
	s.dialect.seePlaces(usual, s.places)
}

// mayBeBare reports whether an answer of an operation is known to have its ids in
// headers and no body.
func mayBeBare(op *operation.Operation) bool {
	return op.Answer == operation.BareID || op == operation.DataTokenRequest
}

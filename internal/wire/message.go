package wire

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"

	"github.com/tidwall/gjson"
)

// The types of messages that have a meaning, as the proxy names them.
const (
	TypeCommand = "X-DPT-CAB-ID"         // outcome or progress of a command
	TypeAnswer  = "X-DPT-CAB-REQUEST-ID" // answer to a request for data
	TypeStream  = "STREAM-READY"         // a stream can be fetched
)

// The values of Message.CommandStatus. These numbers are those of the proxy, not of
// Status.
const (
	StatusPending   = 1
	StatusSucceeded = 2
	StatusFailed    = 3
)

// Message is a message that the proxy pushes over the WebSocket.
type Message struct {
	Type          string
	ID            string // of the command, or of the request
	CommandStatus int
	StatusWord    string // what stands in the place of CommandStatus if it is no number
	OutputType    int
	DataContext   string
	StreamURL     string
	Body          json.RawMessage
	Raw           []byte // the whole message; ParseMessage leaves it nil
}

// IsKnown reports whether the message is of a type that has a meaning.
func (m *Message) IsKnown() bool {
	switch m.Type {
	case TypeCommand, TypeAnswer, TypeStream:
		return true
	}
	return false
}

// IsPending reports whether the message only says that a command is running.
func (m *Message) IsPending() bool {
	return m.Type == TypeCommand && m.CommandStatus == StatusPending
}

// Size returns how many bytes the fields of the message hold.
func (m *Message) Size() int {
	return len(m.Type) + len(m.ID) + len(m.StatusWord) + len(m.DataContext) + len(m.StreamURL) + len(m.Body) + len(m.Raw)
}

// Envelope has the fields of every message at once. Pushed messages have those
// of Message, answers to join and leave have the others.
type Envelope struct {
	Message
	CorrelationID string
	Status        int
	ChannelID     string
	Text          string // the text of an answer

	requestID string
}

// IsAnswerTo reports whether the message answers the request with the given
// correlation id. A server may leave correlation ids out: a message without one
// is taken for an answer if it has no type, a status as HTTP has them, and a
// channel id or a text. A message of a known type is no answer.
func (e *Envelope) IsAnswerTo(correlationID string) bool {
	switch {
	case e.IsKnown():
		return false
	case e.CorrelationID != "":
		return e.CorrelationID == correlationID
	case e.Type != "" || e.Status < 100 || e.Status > 599:
		return false
	}
	return e.ChannelID != "" || e.Text != ""
}

// ParseMessage reads a message into e, and reports whether it is a JSON object.
// A field of an unexpected type is left out. Each field of e has memory of its
// own: none of them keeps data or the rest of the message alive.
func ParseMessage(data []byte, e *Envelope) bool {
	*e = Envelope{}
	data = WithoutMark(data)
	if !valid(data) {
		return false
	}
	// One pass without reflection, because the outcomes of all commands pass
	// through here in one goroutine.
	message := gjson.ParseBytes(data)
	message.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "correlationId":
			e.CorrelationID = value.Str
		case "status":
			e.Status = number(value)
		case "data":
			if value.IsObject() {
				value.ForEach(e.parseField)
			}
		}
		return true
	})
	if e.requestID != "" && (e.Type == TypeStream || e.ID == "") {
		e.ID = e.requestID
	}
	e.detach()
	return message.IsObject()
}

// parseField takes in one field of data.
func (e *Envelope) parseField(key, value gjson.Result) bool {
	switch key.Str {
	case "type":
		e.Type = value.Str
	case "id":
		e.ID = value.Str
	case "requestId":
		e.requestID = value.Str
	case "command_status":
		e.CommandStatus = number(value)
		if e.CommandStatus == 0 {
			e.StatusWord = value.Str
		}
	case "output_type":
		e.OutputType = number(value)
	case "data_context":
		e.DataContext = value.Str
	case "streamUrl":
		e.StreamURL = value.Str
	case "body":
		e.Body = json.RawMessage(value.Raw) // copies
	case "channelId":
		e.ChannelID = value.Str
	case "message":
		e.Text = value.Str
	}
	return true
}

// detach copies the strings, which share the memory of the whole message until
// then. In most messages only the id and the type are set, so that it makes one
// small copy.
func (e *Envelope) detach() {
	e.requestID = ""
	switch e.Type {
	case TypeCommand:
		e.Type = TypeCommand
	case TypeAnswer:
		e.Type = TypeAnswer
	case TypeStream:
		e.Type = TypeStream
	default:
		e.Type = strings.Clone(e.Type)
	}
	e.ID = strings.Clone(e.ID)
	e.StatusWord = strings.Clone(e.StatusWord)
	e.DataContext = strings.Clone(e.DataContext)
	e.StreamURL = strings.Clone(e.StreamURL)
	e.CorrelationID = strings.Clone(e.CorrelationID)
	e.ChannelID = strings.Clone(e.ChannelID)
	e.Text = strings.Clone(e.Text)
}

// valid reports whether data is valid JSON. It is faster than json.Valid for the
// messages of an ordinary server.
func valid(data []byte) bool {
	// The check of gjson recurses without a bound, so it gets nothing that
	// could nest deeply.
	if bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > 1000 {
		return json.Valid(data)
	}
	return gjson.ValidBytes(data)
}

// number returns a JSON number, or one that came as a string. It returns 0 for
// what cannot be a status.
func number(value gjson.Result) int {
	if value.Type != gjson.Number && value.Type != gjson.String {
		return 0 // true would be 1
	}
	if n := value.Float(); n == math.Trunc(n) && math.Abs(n) <= math.MaxInt32 {
		return int(n)
	}
	return 0
}

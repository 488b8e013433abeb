package realtime

import (
	"bytes"
	"encoding/json"
	"math"

	"github.com/tidwall/gjson"
)

// Types of messages, as the proxy names them.
const (
	TypeCommand = "X-DPT-CAB-ID"         // outcome or progress of a command
	TypeAnswer  = "X-DPT-CAB-REQUEST-ID" // answer to a request for data
	TypeStream  = "STREAM-READY"         // a stream can be fetched
)

// Values of Message.CommandStatus.
const (
	Pending   = 1
	Succeeded = 2
	Failed    = 3
)

// Message is what the proxy pushes.
type Message struct {
	Type          string
	ID            string // of the command, or of the request
	CommandStatus int
	StatusWord    string // where CommandStatus should be, if it is no number
	OutputType    int
	DataContext   string
	StreamURL     string
	Body          json.RawMessage
	Raw           []byte // the whole message; only in events
}

// isProgress tells that the message only says that a command is running.
func (m *Message) isProgress() bool {
	return m.Type == TypeCommand && m.CommandStatus == Pending
}

// size is about what the message holds in memory.
func (m *Message) size() int {
	return len(m.ID) + len(m.DataContext) + len(m.StreamURL) + len(m.Body)
}

// envelope is every shape of message at once: pushed ones have a data.type,
// answers to join and leave a status.
type envelope struct {
	Message
	correlationID string
	status        int
	channelID     string
	text          string
}

// isAnswer tells an answer to a request of ours from what is pushed.
func (e *envelope) isAnswer() bool {
	return e.correlationID != "" || e.Type == "" && e.status != 0
}

// parse reads a message. It reports false for what is not a JSON object; a
// field of an unexpected type is left out, not fatal. Nothing in e refers to
// data afterwards.
//
// It goes through the message once and without reflection: all outcomes of all
// commands pass through here, in one goroutine.
func parse(data []byte, e *envelope) bool {
	*e = envelope{}
	if !valid(data) {
		return false
	}
	message := gjson.ParseBytes(data) // makes one copy, which the fields share
	requestID := ""
	message.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "correlationId":
			e.correlationID = value.Str
		case "status":
			e.status = number(value)
		case "data":
			if !value.IsObject() {
				return true
			}
			value.ForEach(func(key, value gjson.Result) bool {
				switch key.Str {
				case "type":
					e.Type = value.Str
				case "id":
					e.ID = value.Str
				case "requestId":
					requestID = value.Str
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
					e.Body = json.RawMessage(value.Raw)
				case "channelId":
					e.channelID = value.Str
				case "message":
					e.text = value.Str
				}
				return true
			})
		}
		return true
	})
	if requestID != "" && (e.Type == TypeStream || e.ID == "") {
		e.ID = requestID
	}
	return message.IsObject()
}

// valid is json.Valid, faster for messages as they should be. gjson's check
// recurses without a bound, so it gets nothing that could nest deeply.
func valid(data []byte) bool {
	if bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > 1000 {
		return json.Valid(data)
	}
	return gjson.ValidBytes(data)
}

// number is a JSON number, or one that came as a string; 0 if it cannot be a
// status.
func number(value gjson.Result) int {
	if n := value.Float(); n == math.Trunc(n) && math.Abs(n) <= math.MaxInt32 {
		return int(n)
	}
	return 0
}

package realtime

import (
	"encoding/json"
	"errors"
	"strconv"
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
	CorrelationID string `json:"correlationId"`
	Status        int    `json:"status"`
	Data          struct {
		Type          string          `json:"type"`
		ID            string          `json:"id"`
		RequestID     string          `json:"requestId"`
		CommandStatus int             `json:"command_status"`
		OutputType    int             `json:"output_type"`
		DataContext   string          `json:"data_context"`
		StreamURL     string          `json:"streamUrl"`
		Body          json.RawMessage `json:"body"`
		ChannelID     string          `json:"channelId"`
		Message       string          `json:"message"`
	} `json:"data"`
}

// parse reads a message. It reports false for what is not a JSON object; a
// field of an unexpected type is left out, not fatal.
func parse(data []byte, e *envelope) bool {
	*e = envelope{}
	err := json.Unmarshal(data, e)
	if err == nil {
		return true
	}
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok || wrong.Field == "" {
		return false
	}
	// Numbers that came as strings, the one deviation worth the effort.
	var loose struct {
		Status any `json:"status"`
		Data   struct {
			CommandStatus any `json:"command_status"`
			OutputType    any `json:"output_type"`
		} `json:"data"`
	}
	if json.Unmarshal(data, &loose) == nil {
		e.Status = number(loose.Status)
		e.Data.CommandStatus = number(loose.Data.CommandStatus)
		e.Data.OutputType = number(loose.Data.OutputType)
	}
	return true
}

// isAnswer tells an answer to a request of ours from what is pushed.
func (e *envelope) isAnswer() bool {
	return e.Data.Type == "" && (e.Status != 0 || e.CorrelationID != "")
}

func number(v any) int {
	switch v := v.(type) {
	case float64:
		return int(v)
	case string:
		n, _ := strconv.Atoi(v)
		return n
	}
	return 0
}

func (e *envelope) message() Message {
	d := &e.Data
	m := Message{
		Type: d.Type, ID: d.ID, CommandStatus: d.CommandStatus, OutputType: d.OutputType,
		DataContext: d.DataContext, StreamURL: d.StreamURL, Body: d.Body,
	}
	if d.RequestID != "" && (d.Type == TypeStream || d.ID == "") {
		m.ID = d.RequestID
	}
	return m
}

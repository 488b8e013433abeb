package privicoretest

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// Fault is what happens to one call instead of, or besides, the usual. The
// fields combine; the zero value changes nothing.
type Fault struct {
	// Delay passes before anything else happens.
	Delay time.Duration

	// Status, with Header and Body, is answered and nothing is carried out.
	// Body goes out as it is, as JSON if it is JSON and Header says nothing.
	Status int
	Header http.Header
	Body   string

	// Drop closes the connection without an answer; nothing is carried out.
	Drop bool

	// AfterEffect makes Status or Drop come after the call was carried out:
	// the caller cannot know that it was.
	AfterEffect bool

	// Reject lets the command be accepted and then fail with these messages,
	// without an effect. This and what follows is for commands only.
	Reject []string

	// Latency replaces the server's. A negative one finishes the command
	// before its 202 is sent.
	Latency time.Duration

	// NoID leaves the id out of the 202: no header and no body.
	NoID bool

	// IDShape replaces the server's.
	IDShape IDShape

	// Ack is for the messages about the command on the WebSocket channel.
	Ack Ack
}

// replaces tells that the caller does not get the call's own answer.
func (f *Fault) replaces() bool { return f.Drop || f.Status != 0 }

// answer sends what replaces the call's own answer.
func (f *Fault) answer(w http.ResponseWriter) {
	if f.Drop {
		drop(w)
		return
	}
	for name, values := range f.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	if w.Header().Get("Content-Type") == "" && json.Valid([]byte(f.Body)) {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(f.Status)
	io.WriteString(w, f.Body)
}

// drop closes the connection under the answer.
func drop(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.Close()
	}
}

package privicoretest

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// Fault changes what happens to one call. The fields combine; the zero value
// changes nothing.
type Fault struct {
	// Delay is the time before anything else happens.
	Delay time.Duration

	// Status, with Header and Body, is the answer, and the call is not carried
	// out. Body is sent as it is. If it is valid JSON and Header has no
	// Content-Type, that is application/json.
	Status int
	Header http.Header
	Body   string

	// Drop closes the connection without an answer, and the call is not
	// carried out.
	Drop bool

	// AfterEffect makes Status or Drop come after the call was carried out.
	// The caller cannot know that it was.
	AfterEffect bool

	// Reject makes the command end as rejected, with these messages and
	// without an effect. Reject and the fields after it are for commands only.
	Reject []string

	// Latency replaces the latency of the server. With a negative one the
	// command finishes before its 202 is sent.
	Latency time.Duration

	// NoID leaves the id out of the 202, which has neither header nor body.
	NoID bool

	// IDShape replaces the place of the id in the 202.
	IDShape IDShape

	// Ack changes the messages about the command on the WebSocket channel.
	Ack Ack
}

// replaces reports whether the caller gets another answer than the call's own.
func (f *Fault) replaces() bool { return f.Drop || f.Status != 0 }

// answer sends the answer that replaces the call's own.
func (f *Fault) answer(w http.ResponseWriter, r *http.Request) {
	if f.Drop {
		drop(w, r)
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

// sent returns the status that the caller gets if a fault replaces the answer. It
// is 0 if there is no answer.
func (f *Fault) sent() int {
	if f.Drop {
		return 0
	}
	return f.Status
}

// drop closes the connection without an answer. Of an HTTP/2 connection it ends
// only the stream, which has no connection to itself.
func drop(w http.ResponseWriter, r *http.Request) {
	controller := http.NewResponseController(w)
	if conn, _, err := controller.Hijack(); err == nil {
		conn.Close()
		return
	}
	// A deadline that has passed resets the stream. Without the wait the server
	// could end it in order first.
	if controller.SetWriteDeadline(time.Unix(1, 0)) == nil {
		<-r.Context().Done()
	}
}

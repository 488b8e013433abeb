package privicoretest

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// bodyFault changes how the body of an answer is sent.
type bodyFault struct {
	kind  kind
	share float64       // of the body, before it breaks off or stops
	lasts time.Duration // time that a slow body takes
}

// faulty is a ResponseWriter that sends a body with a fault. The handler calls
// finish at its end.
type faulty struct {
	http.ResponseWriter
	request *http.Request
	fault   *bodyFault
	status  int
	begun   bool
	left    int64 // bytes to send before the body breaks off or stops
	broken  bool
}

var errBroken = errors.New("privicoretest: the answer was broken off")

func newFaulty(w http.ResponseWriter, r *http.Request, f *bodyFault) *faulty {
	return &faulty{ResponseWriter: w, request: r, fault: f, status: http.StatusOK}
}

// Unwrap is for http.ResponseController.
func (f *faulty) Unwrap() http.ResponseWriter { return f.ResponseWriter }

// WriteHeader keeps the status until the body begins.
func (f *faulty) WriteHeader(status int) { f.status = status }

func (f *faulty) Write(p []byte) (int, error) {
	f.begin(len(p))
	switch {
	case f.broken:
		return 0, errBroken
	case f.fault.kind == slow:
		return f.writeSlowly(p)
	case f.fault.kind != truncated && f.fault.kind != frozen:
		return f.ResponseWriter.Write(p)
	}
	n, err := f.ResponseWriter.Write(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	if err == nil && n < len(p) {
		f.breakOff()
		err = errBroken
	}
	return n, err
}

// begin sends the header. A handler writes a short body at once, so size is then
// the length of the whole body.
func (f *faulty) begin(size int) {
	if f.begun {
		return
	}
	f.begun = true
	length, err := strconv.ParseInt(f.Header().Get("Content-Length"), 10, 64)
	if err != nil {
		length = int64(size)
	}
	f.left = int64(f.fault.share * float64(length))
	switch f.fault.kind {
	case truncated, frozen:
		// The header promises more than comes, also if there is no body.
		f.Header().Set("Content-Length", strconv.FormatInt(max(length, 1), 10))
	case endless:
		f.Header().Del("Content-Length")
	case contentType:
		f.Header().Set("Content-Type", "text/html; charset=utf-8")
	}
	f.ResponseWriter.WriteHeader(f.status)
}

// finish ends the answer.
func (f *faulty) finish() {
	f.begin(0)
	switch {
	case f.broken:
	case f.fault.kind == truncated || f.fault.kind == frozen:
		f.breakOff()
	case f.fault.kind == endless:
		f.goOn()
	}
}

// breakOff ends the body too early. A frozen one waits until the caller hangs up.
func (f *faulty) breakOff() {
	f.broken = true
	http.NewResponseController(f.ResponseWriter).Flush()
	if f.fault.kind == frozen {
		<-f.request.Context().Done()
	}
	drop(f.ResponseWriter, f.request)
}

// goOn sends white space, which JSON allows, until the caller hangs up.
func (f *faulty) goOn() {
	space := make([]byte, 32<<10)
	for i := range space {
		space[i] = ' '
	}
	for f.request.Context().Err() == nil {
		if _, err := f.ResponseWriter.Write(space); err != nil {
			return
		}
	}
}

// writeSlowly writes in pieces with pauses between them.
func (f *faulty) writeSlowly(p []byte) (n int, err error) {
	const pieces = 8
	for piece := len(p)/pieces + 1; n < len(p); {
		if err := pause(f.request.Context(), f.fault.lasts/pieces); err != nil {
			return n, err
		}
		m, err := f.ResponseWriter.Write(p[n:min(n+piece, len(p))])
		n += m
		if err != nil {
			return n, err
		}
		http.NewResponseController(f.ResponseWriter).Flush()
	}
	return n, nil
}

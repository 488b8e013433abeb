package privicoretest

import (
	"encoding/json"
	"maps"
	"net/http"
	"time"
)

// answer is what an operation answers. The dialect decides how it is written.
type answer struct {
	status   int
	header   http.Header
	value    any       // the body of a success, or nil
	command  *accepted // of a 202
	refusal  *refusal
	problems []problem // of a 422
}

// accepted is the command id of a 202 and its place.
type accepted struct {
	id    string
	shape IDShape
}

// refusal is the reason of a refused call: a key for machines and a sentence
// for people.
type refusal struct{ key, message string }

// value returns a 200 with v as JSON. It encodes v at once, under the lock, so
// that v may be part of the state.
func value(v any) answer {
	data, err := json.Marshal(v)
	if err != nil {
		return refuse(http.StatusInternalServerError, "server.error", "The answer could not be encoded.")
	}
	return answer{status: http.StatusOK, value: json.RawMessage(data)}
}

// succeeded reports whether the call was carried out.
func (a *answer) succeeded() bool { return a.status < 300 }

// done returns a 200 without a body.
func done() answer { return answer{status: http.StatusOK} }

// refuse returns a refusal with an HTTP status.
func refuse(status int, key, message string) answer {
	return answer{status: status, refusal: &refusal{key, message}}
}

// invalid returns a 422 about fields.
func invalid(problems ...problem) answer {
	return answer{status: http.StatusUnprocessableEntity, problems: problems}
}

// malformed returns a 422 about the request as a whole.
func malformed(why string) *answer {
	a := invalid(problem{"", why})
	return &a
}

const idHeader = "X-DPT-CAB-ID"

// write sends an answer in the server's dialect. It needs no lock because the
// dialect never changes.
func (s *state) write(w http.ResponseWriter, a answer) {
	maps.Copy(w.Header(), a.header)
	body := a.value
	switch {
	case a.command != nil:
		body = a.command.write(w.Header())
	case a.refusal != nil && s.config.dialect == Observed:
		body = a.refusal.key
	case a.refusal != nil:
		body = map[string]string{"message": a.refusal.message}
	case a.problems != nil:
		body = s.explain(a.problems)
	}
	if body == nil {
		w.WriteHeader(a.status)
		return
	}
	data, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	w.Write(data)
}

// Two more places of a command id. Users reach them by the dialect and by
// Fault.NoID.
const (
	bothPlaces IDShape = ObjectID + 1 + iota // the header and {"commandId":"id"}
	nowhere                                  // neither header nor body
)

// write returns the body of a 202. It sets the header if the id goes there.
func (a *accepted) write(header http.Header) any {
	switch a.shape {
	case StringID:
		return a.id
	case ArrayID:
		return []string{a.id}
	case ObjectID:
		return map[string]string{"commandId": a.id}
	case nowhere:
		return nil
	case bothPlaces:
		header.Set(idHeader, a.id)
		return map[string]string{"commandId": a.id}
	}
	header.Set(idHeader, a.id)
	return nil
}

// explain returns the body of a 422.
func (s *state) explain(problems []problem) any {
	if s.config.dialect == Observed {
		lines := make([]string, 0, len(problems))
		for _, p := range problems {
			if p.field == "" {
				lines = append(lines, p.why)
			} else {
				lines = append(lines, p.field+": "+p.why)
			}
		}
		return lines
	}
	message := "validation failed"
	errors := make(map[string][]string)
	for _, p := range problems {
		if p.field == "" {
			message = p.why
		} else {
			errors[p.field] = append(errors[p.field], p.why)
		}
	}
	return map[string]any{"message": message, "errors": errors}
}

// timestamp returns a time as the dialect writes it, to the second.
func (s *state) timestamp(t time.Time) string {
	if s.config.dialect == Observed {
		return t.UTC().Format(time.RFC3339)
	}
	return t.UTC().Format("2006-01-02T15:04:05-07:00")
}

package privicoretest

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/privicore/privicore-go/internal/operation"
)

// transfer carries out a call of a file server. It returns nil if it has
// answered itself.
type transfer func(w http.ResponseWriter, r *http.Request, c *call) *answer

// fileServer serves one operation at the root. Some clients write the root with
// more than one slash.
func (s *Server) fileServer(op *operation.Operation, carryOut transfer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Trim(r.URL.Path, "/") != "" {
			s.state.write(w, nothingHere())
			return
		}
		if r.Method != op.Method {
			w.Header().Set("Allow", op.Method)
			s.state.write(w, refuse(http.StatusMethodNotAllowed, "request.method_not_allowed", "This method is not allowed here."))
			return
		}
		c := &call{op: op, request: r}
		s.state.begin(c)
		c.fault.address(s.state, r, nil)
		switch {
		case pause(r.Context(), c.fault.Delay) != nil || c.fault.Drop && !c.fault.AfterEffect:
			s.state.record(c, 0)
			drop(w, r)
		case c.fault.replaces() && !c.fault.AfterEffect:
			s.state.record(c, c.fault.sent())
			// A caller that is still sending would miss the answer.
			io.Copy(io.Discard, r.Body)
			c.fault.answer(w, r)
		default:
			s.transfer(w, c, carryOut)
		}
	})
}

// transfer carries out a call of a file server and answers it.
func (s *Server) transfer(w http.ResponseWriter, c *call, carryOut transfer) {
	if c.fault.body != nil {
		f := newFaulty(w, c.request, c.fault.body)
		defer f.finish()
		w = f
	}
	a := carryOut(w, c.request, c)
	if a != nil {
		s.state.finishTransfer(c, *a)
	}
	switch {
	case c.fault.replaces():
		c.fault.answer(w, c.request)
	case a != nil:
		io.Copy(io.Discard, c.request.Body)
		s.state.write(w, *a)
	}
}

// finishTransfer adds to the log what became of a call of a file server.
func (s *state) finishTransfer(c *call, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := a.status
	if c.fault.replaces() {
		status = c.fault.sent()
	}
	s.note(c, status)
	c.entry.executed = a.succeeded()
	s.logCall(c, status)
}

// deadStream refuses a token of a file server.
func deadStream() *answer {
	a := refuse(http.StatusUnauthorized, "stream.unauthorized", "The token is unknown, was used or has expired.")
	return &a
}

// upload stores the data for a temporary token. It uses the upload token up when
// it begins, so an interrupted upload needs a new reservation.
func (s *Server) upload(w http.ResponseWriter, r *http.Request, c *call) *answer {
	if refusal := c.expect("application/octet-stream"); refusal != nil {
		return refusal
	}
	sp, refusal := s.state.takeStream(r.URL.Query().Get("auth"))
	if refusal != nil {
		return refusal
	}
	c.params = map[string]any{"token": sp.token} // for the log
	p, err := s.state.spool(r.Body)
	if err != nil {
		a := refuse(http.StatusInternalServerError, "stream.not_stored", "The data could not be stored.")
		if r.Context().Err() != nil || errors.Is(err, io.ErrUnexpectedEOF) {
			a = refuse(http.StatusBadRequest, "request.unreadable", "The body could not be read.")
		}
		return &a
	}
	a := s.state.receive(sp, p)
	return &a
}

// takeStream uses an upload token up and returns its space.
func (s *state) takeStream(token string) (*space, *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp := s.vault.streams[token]
	switch {
	case sp == nil:
		return nil, deadStream()
	case !sp.owner.hasStorage():
		return nil, new(refuse(http.StatusUnprocessableEntity, noStorage, "There is no storage device."))
	}
	delete(s.vault.streams, token)
	return sp, nil
}

// receive completes an upload, unless its space has expired in the meantime.
func (s *state) receive(sp *space, p *payload) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.vault.spaces[sp.token] != sp {
		p.remove()
		return *deadStream()
	}
	sp.payload = p
	return done()
}

// download sends the data of a download token, once.
func (s *Server) download(w http.ResponseWriter, r *http.Request, c *call) *answer {
	data, size, err := s.state.takeDownload(r.URL.Query().Get("auth"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return deadStream()
	case err != nil:
		return new(refuse(http.StatusInternalServerError, "stream.unreadable", "The data could not be read."))
	}
	defer data.Close()
	s.state.finishTransfer(c, done())
	if c.fault.Status != 0 {
		return nil
	}
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Length", strconv.FormatInt(size, 10))
	header.Set("Cache-Control", "no-store")
	if c.fault.Drop {
		io.CopyN(w, data, size/2)
		http.NewResponseController(w).Flush()
		return nil
	}
	io.Copy(w, data)
	return nil
}

// takeDownload uses a download token up and opens its data.
func (s *state) takeDownload(token string) (io.ReadCloser, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.vault.downloads[token]
	if p == nil {
		return nil, 0, os.ErrNotExist
	}
	delete(s.vault.downloads, token)
	data, err := p.open()
	return data, p.size, err
}

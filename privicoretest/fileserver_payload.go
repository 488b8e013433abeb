package privicoretest

import (
	"bytes"
	"io"
	"os"
)

// payload is stored data: in memory if it came inline, in a file if it was
// uploaded, so that a test may send more than fits into memory.
type payload struct {
	size int64
	data []byte
	file string
	gone bool
}

// spool takes a payload in. It is called without the lock.
func (s *state) spool(from io.Reader) (*payload, error) {
	file, err := s.newFile()
	if err != nil {
		return nil, err
	}
	p := &payload{file: file.Name()}
	// A large buffer, and no ReadFrom that would bring a small one.
	p.size, err = io.CopyBuffer(struct{ io.Writer }{file}, from, make([]byte, 256<<10))
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		p.remove()
		return nil, err
	}
	return p, nil
}

// newFile makes a file in the server's directory, and the directory if there
// is none yet.
func (s *state) newFile() (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.vault.directory == "" {
		directory, err := os.MkdirTemp("", "privicoretest-")
		if err != nil {
			return nil, err
		}
		s.vault.directory = directory
	}
	return os.CreateTemp(s.vault.directory, "payload-")
}

// removeFiles removes all payloads, when nobody uses them any more.
func (s *state) removeFiles() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.vault.directory != "" {
		os.RemoveAll(s.vault.directory)
	}
}

func (p *payload) open() (io.ReadCloser, error) {
	switch {
	case p.gone:
		return nil, os.ErrNotExist
	case p.file == "":
		return io.NopCloser(bytes.NewReader(p.data)), nil
	}
	return os.Open(p.file)
}

// read is for payloads that are known to be small.
func (p *payload) read() ([]byte, error) {
	data, err := p.open()
	if err != nil {
		return nil, err
	}
	defer data.Close()
	return io.ReadAll(data)
}

// remove is called under the lock once the payload is part of the state. A
// download that has begun still gets all of it.
func (p *payload) remove() {
	p.gone = true
	p.data = nil
	if p.file != "" {
		os.Remove(p.file)
	}
}

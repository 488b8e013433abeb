package privicoretest

import (
	"bytes"
	"io"
	"os"
)

// payload is stored data. Inline data is kept in memory. Uploaded data is kept
// in a file, so that a test may upload more than fits into memory.
type payload struct {
	size int64
	data []byte
	file string
	gone bool
}

// spool stores an upload in a file. The caller does not hold the lock, because
// an upload may take long.
func (s *state) spool(from io.Reader) (*payload, error) {
	file, err := s.newFile()
	if err != nil {
		return nil, err
	}
	p := &payload{file: file.Name()}
	// os.File.ReadFrom, which io.Copy prefers, has a smaller buffer.
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

// newFile creates a file in the server's directory. The first call creates the
// directory.
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

// removeFiles removes the files of all payloads.
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

// read returns the data of a payload, which should be small.
func (p *payload) read() ([]byte, error) {
	data, err := p.open()
	if err != nil {
		return nil, err
	}
	defer data.Close()
	return io.ReadAll(data)
}

// remove deletes the data. The caller holds the lock if the payload is part of
// the state. A download that has begun still gets all of the data.
func (p *payload) remove() {
	p.gone = true
	p.data = nil
	if p.file != "" {
		os.Remove(p.file)
	}
}

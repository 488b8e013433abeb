package main

import (
	"bytes"
	"errors"
	"io"
)

// block repeats in the data. Making data must not be what is measured.
const blockSize = 1 << 20

// blocks is a stream of data to read, and the check of one that is written.
type blocks struct {
	block []byte
	left  int64
	at    int
}

func newBlocks(n int64) *blocks {
	block := make([]byte, min(n, blockSize))
	for i := range block {
		block[i] = byte(i * 7)
	}
	return &blocks{block: block, left: n}
}

func (s *blocks) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), s.left)], s.block[s.at:])
	s.move(n)
	return n, nil
}

func (s *blocks) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), len(s.block)-s.at)
		if int64(n) > s.left || !bytes.Equal(rest[:n], s.block[s.at:s.at+n]) {
			return 0, errors.New("other bytes than were stored")
		}
		s.move(n)
		rest = rest[n:]
	}
	return len(p), nil
}

func (s *blocks) move(n int) {
	s.left -= int64(n)
	s.at = (s.at + n) % len(s.block)
}

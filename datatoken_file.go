package privicore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/atomicfile"
	"github.com/privicore/privicore-go/internal/operation"
)

// ErrFileChanged means that a file was changed while StoreFile read it. Nothing was
// stored, because what was read may be a mix of both versions.
var ErrFileChanged = errors.New("the file was changed while it was read")

// StoreFile stores the file at path, and returns its permanent token. It does what
// Store does. p.Data must be nil, and p.Name is the name of the file by default.
// Memory use does not grow with the size of the file if the Cipher is one of package
// agecipher.
//
// If the file cannot be opened or is not a regular one, nothing is sent and the error
// wraps a *fs.PathError. If the file changes while it is read, nothing is stored and the
// error is a *StepError that matches ErrFileChanged. All other errors are those of
// Store.
//
// An upload cannot be resumed, because the server takes its address once. Another
// StoreFile begins at the start; StepError.Repeatable reports whether that is safe.
func (s *DataTokenService) StoreFile(ctx context.Context, path string, p Payload) (string, error) {
	if p.Data != nil {
		return "", invalid(operation.DataTokenReserve, "data", "is set; StoreFile reads the file")
	}
	if p.Name == "" {
		p.Name = filepath.Base(path)
	}
	p.Data = strings.NewReader("") // what is wrong with p is found before the file is opened
	if _, err := p.check(); err != nil {
		return "", err
	}
	file, err := openSteady(path)
	if err != nil {
		return "", fmt.Errorf("privicore: store file: %w", err)
	}
	defer file.Close()
	p.Data = file
	return s.Store(ctx, p)
}

// RetrieveFile retrieves the plaintext of a token into the file at path. It does what
// Retrieve does. The file appears as a whole or not at all: RetrieveFile writes a
// temporary file in the same directory, writes it through to the disk, and renames it
// to path only when all of the data was authenticated. After an error, a file that was
// at path is as it was, and the temporary file is gone. Only a process that is killed
// leaves it behind, as ".privicore-*.tmp".
//
// The file has mode 0600, also if it replaces one with another mode. If path is a
// symbolic link, the link is replaced. If it is anything else but a regular file, or
// the directory cannot be written, nothing is requested. On Windows, a file that
// another program has open cannot be replaced, and access rights are those that the
// directory gives.
//
// Errors are those of Retrieve. An error of the file is a *StepError with StepWrite.
// If it says that the directory could not be synced, the new file is in its place,
// but may not outlive a power failure.
//
// A download cannot be resumed, because the server takes its address once and does
// not send parts. Calling RetrieveFile again is safe and begins at the start.
func (s *DataTokenService) RetrieveFile(ctx context.Context, token, path string, r Retrieval) error {
	if err := s.checkRetrieval(token, true, &r); err != nil {
		return err
	}
	file, err := atomicfile.Create(path)
	if err != nil {
		return &StepError{Step: StepWrite, Err: err}
	}
	defer file.Discard()
	if _, err := s.retrieveTo(ctx, token, file, r); err != nil {
		return err
	}
	if err := file.Commit(); err != nil {
		if file.Committed() {
			err = fmt.Errorf("the file is in its place, but the directory could not be synced: %w", err)
		}
		return &StepError{Step: StepWrite, Err: err}
	}
	return nil
}

// checkRetrieval refuses what Retrieve refuses, and a missing writer, before a file is
// made.
func (s *DataTokenService) checkRetrieval(token string, hasWriter bool, r *Retrieval) error {
	op := operation.DataTokenRequest
	switch {
	case r.Cipher == nil:
		return invalid(op, "cipher", "is nil")
	case !hasWriter:
		return invalid(op, "to", "is nil")
	}
	if err := checkIdentifier(op, "token", token); err != nil {
		return err
	}
	return s.client.needChannel()
}

// steadyFile is a file that must stay as it is until it was read to its end.
type steadyFile struct {
	file     *os.File // not embedded, because its WriteTo would pass by Read
	size     int64
	modified time.Time
	n        int64 // read so far
}

// openSteady opens a regular file. It looks before it opens, because opening a pipe
// may block for ever.
func openSteady(path string) (*steadyFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: atomicfile.ErrNotRegular}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if info, err = file.Stat(); err != nil {
		_ = file.Close()
		return nil, err
	}
	return &steadyFile{file: file, size: info.Size(), modified: info.ModTime()}, nil
}

// Read reads from the file. Its end is an error if the file was changed.
func (f *steadyFile) Read(p []byte) (int, error) {
	n, err := f.file.Read(p)
	f.n += int64(n)
	if err != io.EOF {
		return n, err
	}
	info, err := f.file.Stat()
	switch {
	case err != nil:
		return n, err
	case f.n != f.size || info.Size() != f.size || !info.ModTime().Equal(f.modified):
		return n, ErrFileChanged
	}
	return n, io.EOF
}

// Close closes the file.
func (f *steadyFile) Close() error { return f.file.Close() }

// Package atomicfile replaces files as a whole. A File is written beside the file
// that it will replace. Commit puts it in its place. Until then, and after any
// failure, the old file is as it was.
//
// The package knows nothing of what is in the files.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// mode is the mode of every file that the package makes.
const mode fs.FileMode = 0o600

// prefix begins the names of temporary files.
const prefix = ".privicore-"

// ErrNotRegular means that a path is a directory, a device, or something else that
// a file must not replace.
var ErrNotRegular = errors.New("not a regular file")

// A File is written and then committed or discarded. It is not safe for concurrent
// use.
type File struct {
	*os.File
	path string
	done bool
}

// Create returns a File that will replace path. The File is in the same directory
// and has mode 0600. path may be a regular file, a symbolic link, or not exist; the
// link itself is replaced, not what it leads to. The caller calls Commit or Discard.
func Create(path string) (*File, error) {
	return create(path, func() (*os.File, error) { return os.CreateTemp(filepath.Dir(path), prefix+"*.tmp") })
}

// CreateLocked does what Create does, for a caller that holds a lock on path. The
// temporary file always has the same name, so that one that was left by a process
// that was killed is removed.
func CreateLocked(path string) (*File, error) {
	name := filepath.Join(filepath.Dir(path), prefix+filepath.Base(path)+".tmp")
	return create(path, func() (*os.File, error) {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	})
}

func create(path string, open func() (*os.File, error)) (*File, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0:
		return nil, &fs.PathError{Op: "replace", Path: path, Err: ErrNotRegular}
	}
	file, err := open()
	if err != nil {
		return nil, err
	}
	return &File{File: file, path: path}, nil
}

// Commit writes the File to the disk and replaces the old file with it. If it fails,
// the old file is as it was and the File is gone. There is one exception: if only
// the directory could not be written to the disk, the new file is in its place, but
// may not outlive a power failure. Committed reports which of the two it was.
func (f *File) Commit() error {
	defer f.Discard()
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), f.path); err != nil {
		return err
	}
	f.done = true
	return syncDir(filepath.Dir(f.path))
}

// Committed reports whether the File has replaced the old file.
func (f *File) Committed() bool { return f.done }

// Discard removes the File. It does nothing after Commit.
func (f *File) Discard() {
	if f.done {
		return
	}
	_ = f.Close() // it is removed, so what was not written does not matter
	_ = os.Remove(f.Name())
}

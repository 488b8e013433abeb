//go:build unix

package atomicfile

import (
	"errors"
	"os"
	"syscall"
)

// syncDir writes a directory to the disk. Without it a rename may not outlive a power
// failure.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	err = dir.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return nil // the file system has no such thing
	}
	return err
}

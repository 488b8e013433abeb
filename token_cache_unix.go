//go:build unix

package privicore

import (
	"io/fs"
	"os"
	"syscall"
)

// hasModes reports whether the mode of a file says who may read it.
const hasModes = true

// isOwn reports whether a file belongs to the user of the process.
func isOwn(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

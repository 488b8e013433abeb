//go:build !unix

package privicore

import "io/fs"

// hasModes reports whether the mode of a file says who may read it.
const hasModes = false

// isOwn reports whether a file belongs to the user of the process.
func isOwn(fs.FileInfo) bool { return true }

//go:build !unix

package atomicfile

// syncDir does nothing. Directories cannot be opened for writing on Windows, and there
// is no disk in a browser.
func syncDir(string) error { return nil }

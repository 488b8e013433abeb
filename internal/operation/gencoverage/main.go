// Command gencoverage writes the coverage table to the file it is given.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/privicore/privicore-go/internal/operation"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gencoverage:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: gencoverage FILE")
	}
	var table bytes.Buffer
	if err := operation.WriteCoverage(&table); err != nil {
		return err
	}
	return os.WriteFile(args[0], table.Bytes(), 0o644) //nolint:gosec // a document for everybody to read
}

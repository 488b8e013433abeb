package privicore_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// programPrefix begins the names of directories for programs of the README.
const programPrefix = "readme-program-"

// The README shows a program, which must compile, and parts of what
// example_test.go runs, which must stand there line by line.
func TestReadmeCode(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	examples, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	unindented := func(code string) string {
		lines := strings.Split(code, "\n")
		for i := range lines {
			lines[i] = strings.TrimSpace(lines[i])
		}
		return strings.Join(lines, "\n")
	}

	programs := 0
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1) {
		code := string(block[1])
		if !strings.HasPrefix(code, "package main") {
			assert.Contains(t, unindented(string(examples)), unindented(code))
			continue
		}
		programs++
		// Inside the module, so that it is this privicore that is imported.
		dir, err := os.MkdirTemp(".", programPrefix) //nolint:usetesting // t.TempDir is elsewhere
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(code), 0o600))
		out, err := exec.CommandContext(t.Context(), "go", "vet", "./"+dir).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	assert.Equal(t, 1, programs)
}

// What docs/reliability.md and docs/keys.md name exists.
func TestNamesInDocs(t *testing.T) {
	t.Parallel()
	declared := make(map[string]bool)
	declaration := regexp.MustCompile(`(?m)^(?:func (?:\([^)]*\) )?|type |var |const |\t)([A-Z]\w*)`)
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != "." && strings.HasPrefix(path, programPrefix):
			return fs.SkipDir // it comes and goes with TestReadmeCode
		case filepath.Ext(path) != ".go":
			return nil
		}
		source, err := os.ReadFile(path) // #nosec G122 -- the project's own files
		for _, match := range declaration.FindAllSubmatch(source, -1) {
			declared[string(match[1])] = true
		}
		return err
	}))
	for document, pattern := range map[string]string{
		"docs/reliability.md": "`((?:Test|Fuzz|With|Err|New)[A-Z]\\w*)`",
		"docs/keys.md":        "`\\*?(?:[A-Za-z]+\\.)?([A-Z][A-Za-z0-9]+)`",
	} {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		names := regexp.MustCompile(pattern).FindAllSubmatch(text, -1)
		assert.Greater(t, len(names), 30)
		for _, name := range names {
			assert.True(t, declared[string(name[1])], "%s names %s, which does not exist", document, name[1])
		}
	}
}

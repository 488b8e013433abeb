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
		dir, err := os.MkdirTemp(".", "readme-program-") //nolint:usetesting // t.TempDir is elsewhere
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(code), 0o600))
		out, err := exec.CommandContext(t.Context(), "go", "vet", "./"+dir).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	assert.Equal(t, 1, programs)
}

// docs/reliability.md names tests, options and errors. All of them exist.
func TestReliabilityNames(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("docs/reliability.md")
	require.NoError(t, err)
	var source strings.Builder
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path) // #nosec G122 -- the project's own files
		source.Write(text)
		return err
	}))
	names := regexp.MustCompile("`(?:Test|Fuzz|With|Err|New)[A-Z][A-Za-z0-9]*`").FindAll(document, -1)
	assert.Greater(t, len(names), 100)
	for _, name := range names {
		name := strings.Trim(string(name), "`")
		declared := regexp.MustCompile(`(?m)^(func |var |\t)` + name + `(\(| += )`)
		assert.True(t, declared.MatchString(source.String()), "%s does not exist", name)
	}
}

package privicore_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every block of code in docs/keys.md stands in the examples line by line, which
// compile and run.
func TestKeysCode(t *testing.T) {
	t.Parallel()
	lines := func(file string) string {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		return regexp.MustCompile(`(?m)^[ \t]+`).ReplaceAllString(string(text), "")
	}
	guide, examples := lines("docs/keys.md"), lines("keys_example_test.go")
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(guide, -1)
	assert.Len(t, blocks, 8)
	for _, block := range blocks {
		assert.Contains(t, examples, block[1])
	}
}

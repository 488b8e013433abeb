package atomicfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/internal/atomicfile"
)

var creators = map[string]func(string) (*atomicfile.File, error){
	"Create": atomicfile.Create, "CreateLocked": atomicfile.CreateLocked,
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// The old file is there until Commit, and only the new one after it.
func TestCommit(t *testing.T) {
	t.Parallel()
	for name, create := range creators {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "file")
			require.NoError(t, os.WriteFile(path, []byte("old"), 0o644))
			f, err := create(path)
			require.NoError(t, err)
			_, err = f.WriteString("new")
			require.NoError(t, err)
			assert.Equal(t, "old", content(t, path))
			assert.False(t, f.Committed())
			require.NoError(t, f.Commit())
			assert.True(t, f.Committed())
			f.Discard()
			assert.Equal(t, "new", content(t, path))
			assert.Equal(t, []string{"file"}, names(t, filepath.Dir(path)))
			info, err := os.Stat(path)
			require.NoError(t, err)
			if runtime.GOOS != "windows" {
				assert.Equal(t, fs.FileMode(0o600), info.Mode())
			}
		})
	}
}

// A file that did not exist appears with Commit.
func TestCommitFirst(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	f, err := atomicfile.Create(path)
	require.NoError(t, err)
	require.NoFileExists(t, path)
	require.NoError(t, f.Commit())
	assert.Empty(t, content(t, path))
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	for name, create := range creators {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "file")
			require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
			f, err := create(path)
			require.NoError(t, err)
			_, err = f.WriteString("new")
			require.NoError(t, err)
			f.Discard()
			f.Discard()
			assert.Equal(t, "old", content(t, path))
			assert.Equal(t, []string{"file"}, names(t, filepath.Dir(path)))
		})
	}
}

// A Commit that fails leaves what was there, and no temporary file.
func TestCommitFails(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	for when, spoil := range map[string]func(f *atomicfile.File) error{
		"sync":   func(f *atomicfile.File) error { return f.Close() },
		"rename": func(*atomicfile.File) error { return os.MkdirAll(filepath.Join(path, "in the way"), 0o700) },
	} {
		f, err := atomicfile.Create(path)
		require.NoError(t, err)
		require.NoError(t, spoil(f))
		require.Error(t, f.Commit(), when)
		assert.False(t, f.Committed(), when)
		if when == "rename" {
			assert.Equal(t, []string{"file"}, names(t, filepath.Dir(path)))
			require.NoError(t, os.RemoveAll(path))
		} else {
			assert.Empty(t, names(t, filepath.Dir(path)))
		}
	}
}

// What a file must not replace.
func TestNotRegular(t *testing.T) {
	t.Parallel()
	for name, create := range creators {
		_, err := create(t.TempDir())
		require.ErrorIs(t, err, atomicfile.ErrNotRegular, name)
		_, err = create(filepath.Join(t.TempDir(), "missing", "file"))
		require.ErrorIs(t, err, fs.ErrNotExist, name)
	}
}

// A link is replaced, and what it leads to stays.
func TestSymlink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	require.NoError(t, os.WriteFile(target, []byte("old"), 0o600))
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	f, err := atomicfile.Create(link)
	require.NoError(t, err)
	require.NoError(t, f.Commit())
	assert.Equal(t, "old", content(t, target))
	assert.Empty(t, content(t, link))
}

// CreateLocked removes what a process left that was killed, and does not follow a link
// that somebody put there.
func TestLeftover(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	f, err := atomicfile.CreateLocked(path)
	require.NoError(t, err)
	_, err = f.WriteString("half of")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	assert.Len(t, names(t, dir), 1)

	f, err = atomicfile.CreateLocked(path)
	require.NoError(t, err)
	_, err = f.WriteString("whole")
	require.NoError(t, err)
	require.NoError(t, f.Commit())
	assert.Equal(t, "whole", content(t, path))
	assert.Equal(t, []string{"file"}, names(t, dir))
}

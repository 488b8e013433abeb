package privicore_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// oldContent is what is in a file before something fails.
const oldContent = "the old file"

// oldFile makes a file and returns its path.
func oldFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.pdf")
	require.NoError(t, os.WriteFile(path, []byte(oldContent), 0o600))
	return path
}

// assertOldFile asserts that a file is as it was, and that there is no other one.
func assertOldFile(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, oldContent, string(data))
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, 1, "a temporary file is left")
}

func TestStoreFileAndRetrieveFile(t *testing.T) {
	t.Parallel()
	inBothDialects(t, func(t *testing.T, c *privicore.Client, _ *privicoretest.Server) {
		cipher := newAESGCM(t, make([]byte, 32))
		for _, size := range []int64{0, 1, 300 << 10} {
			want, err := io.ReadAll(noise(size))
			require.NoError(t, err)
			from := filepath.Join(t.TempDir(), "report.pdf")
			require.NoError(t, os.WriteFile(from, want, 0o644))
			var up, down int64
			token, err := c.DataToken.StoreFile(t.Context(), from, privicore.Payload{
				Cipher: cipher, Context: "files", Progress: func(n int64) { up = n },
			})
			require.NoError(t, err)
			found, err := c.DataToken.List(t.Context(), privicore.DataTokenFilter{Token: token})
			require.NoError(t, err)
			require.Len(t, found, 1)
			assert.Equal(t, "report.pdf", found[0].FileName)
			assert.Equal(t, "pdf", found[0].Extension)
			assert.Equal(t, size, found[0].Size)

			path := oldFile(t)
			for _, to := range []string{path, filepath.Join(filepath.Dir(path), "new")} {
				require.NoError(t, c.DataToken.RetrieveFile(t.Context(), token, to, privicore.Retrieval{
					Cipher: cipher, Progress: func(n, _ int64) { down = n },
				}))
				got, err := os.ReadFile(to)
				require.NoError(t, err)
				assert.True(t, bytes.Equal(want, got))
				if info, err := os.Stat(to); assert.NoError(t, err) && runtime.GOOS != "windows" {
					assert.Equal(t, fs.FileMode(0o600), info.Mode())
				}
			}
			entries, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			assert.Len(t, entries, 2)
			assert.Equal(t, size, up)
			assert.Equal(t, size+12+16, down)
		}
	})
}

// A RetrieveFile that fails, at any step, leaves the old file as it was.
func TestRetrieveFileFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		operation string
		fault     privicoretest.Fault
		step      privicore.Step
	}{
		"refused":     {"DataToken.Request", privicoretest.Fault{Status: 403}, privicore.StepRequest},
		"rejected":    {"DataToken.Request", privicoretest.Fault{Reject: []string{"no"}}, privicore.StepAnswer},
		"slow":        {"DataToken.Request", privicoretest.Fault{Latency: time.Hour}, privicore.StepAnswer},
		"no download": {"DataToken.Download", privicoretest.Fault{Status: 404}, privicore.StepDownload},
		"cut":         {"DataToken.Download", privicoretest.Fault{Drop: true, AfterEffect: true}, privicore.StepDownload},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, r *rig) {
				cipher := newAge(t)
				token := r.store(t, cipher, noise(4<<20))
				path := oldFile(t)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				r.Next(tc.operation, tc.fault)
				err := r.client.DataToken.RetrieveFile(ctx, token, path, privicore.Retrieval{Cipher: cipher})
				failed := requireStep(t, tc.step, err)
				assert.True(t, failed.Repeatable())
				assertOldFile(t, path)
				require.NoError(t, r.client.DataToken.RetrieveFile(t.Context(), token, path, privicore.Retrieval{Cipher: cipher}))
			})
		})
	}
}

// Data that turns out to be wrong or incomplete when most of it was written does not
// replace the old file.
func TestRetrieveFileBreaksOff(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		cipher := newAge(t)
		whole := r.store(t, cipher, noise(1<<20))
		for _, alter := range []func([]byte) []byte{
			func(b []byte) []byte { return b[:len(b)-1] },
			func(b []byte) []byte { return b[:600<<10] },
			func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
			func(b []byte) []byte { return append(b, 0) },
		} {
			path := oldFile(t)
			err := r.client.DataToken.RetrieveFile(t.Context(), r.altered(t, whole, alter), path, privicore.Retrieval{Cipher: cipher})
			requireStep(t, privicore.StepDecrypt, err)
			require.ErrorIs(t, err, privicore.ErrDecrypt)
			assertOldFile(t, path)
		}
		path := oldFile(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		err := r.client.DataToken.RetrieveFile(ctx, whole, path, privicore.Retrieval{Cipher: cipher, Progress: func(n, _ int64) {
			if n > 300<<10 {
				cancel()
			}
		}})
		requireStep(t, privicore.StepDownload, err)
		require.ErrorIs(t, err, context.Canceled)
		assertOldFile(t, path)
	})
}

// altered stores the ciphertext of a token again, with a change.
func (r *rig) altered(t *testing.T, token string, alter func([]byte) []byte) string {
	t.Helper()
	pending, err := r.client.DataToken.Request(t.Context(), token)
	require.NoError(t, err)
	data, err := pending.Result(t.Context())
	require.NoError(t, err)
	ciphertext, err := io.ReadAll(data)
	require.NoError(t, err)
	require.NoError(t, data.Close())
	reserved, err := r.client.DataToken.Reserve(t.Context(), privicore.ReserveRequest{Context: "tests"})
	require.NoError(t, err)
	temporary, err := reserved.Result(t.Context())
	require.NoError(t, err)
	require.NoError(t, r.client.DataToken.Upload(t.Context(), temporary.Stream, bytes.NewReader(alter(ciphertext))))
	meta := privicore.FileMeta{FileName: "n", Extension: "e", Context: "tests", Path: "/"}
	token, err = r.client.DataToken.ConfigureFileMeta(t.Context(), temporary.Token, meta)
	require.NoError(t, err)
	return token
}

// What cannot work is refused before anything is requested.
func TestRetrieveFileRefusals(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		cipher := newAESGCM(t, make([]byte, 32))
		path := oldFile(t)
		noChannel, err := c.Clone(privicore.WithWebSocketURL(""))
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, noChannel.Close()) })
		good := privicore.Retrieval{Cipher: cipher}
		require.ErrorIs(t, c.DataToken.RetrieveFile(t.Context(), "", path, good), privicore.ErrValidation)
		require.ErrorIs(t, c.DataToken.RetrieveFile(t.Context(), "dtk-1", path, privicore.Retrieval{}), privicore.ErrValidation)
		require.ErrorIs(t, noChannel.DataToken.RetrieveFile(t.Context(), "dtk-1", path, good), privicore.ErrValidation)
		err = c.DataToken.RetrieveFile(t.Context(), "dtk-1", t.TempDir(), good)
		requireStep(t, privicore.StepWrite, err)
		err = c.DataToken.RetrieveFile(t.Context(), "dtk-1", filepath.Join(t.TempDir(), "no", "such"), good)
		requireStep(t, privicore.StepWrite, err)
		require.ErrorIs(t, err, fs.ErrNotExist)
		assertOldFile(t, path)
		assert.Empty(t, s.Requests())
	})
}

func TestStoreFileRefusals(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		good := privicore.Payload{Cipher: newAESGCM(t, make([]byte, 32)), Context: "files"}
		_, err := c.DataToken.StoreFile(t.Context(), filepath.Join(t.TempDir(), "missing"), good)
		require.ErrorIs(t, err, fs.ErrNotExist)
		_, err = c.DataToken.StoreFile(t.Context(), t.TempDir(), good)
		require.ErrorContains(t, err, "not a regular file")
		_, err = c.DataToken.StoreFile(t.Context(), oldFile(t), privicore.Payload{})
		require.ErrorIs(t, err, privicore.ErrValidation)
		good.Data = noise(1)
		_, err = c.DataToken.StoreFile(t.Context(), oldFile(t), good)
		require.ErrorIs(t, err, privicore.ErrValidation)
		assert.Empty(t, s.Requests())
	})
}

// A file that is changed while it is read is not stored, however large it is.
func TestStoreFileChanges(t *testing.T) {
	t.Parallel()
	for how, change := range map[string]func(path string) error{
		"grows":       func(path string) error { return appendTo(path, "more") },
		"is cut":      func(path string) error { return os.Truncate(path, 100<<10) },
		"is emptied":  func(path string) error { return os.Truncate(path, 0) },
		"is modified": func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) },
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
				want, err := io.ReadAll(noise(300 << 10))
				require.NoError(t, err)
				path := filepath.Join(t.TempDir(), "file")
				require.NoError(t, os.WriteFile(path, want, 0o600))
				changed := false
				_, err = c.DataToken.StoreFile(t.Context(), path, privicore.Payload{
					Cipher: newAESGCM(t, make([]byte, 32)), Context: "files",
					Progress: func(int64) {
						if !changed {
							changed = true
							assert.NoError(t, change(path))
						}
					},
				})
				requireStep(t, privicore.StepEncrypt, err)
				require.ErrorIs(t, err, privicore.ErrFileChanged)
				assert.Zero(t, s.Calls("DataToken.ConfigureFileMeta"))
				assert.Empty(t, tokensByName(t, c))
			})
		})
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

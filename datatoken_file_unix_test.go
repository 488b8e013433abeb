//go:build unix

package privicore_test

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// child runs a test of this program in a process of its own, with variables in its
// environment. The process is killed when ctx ends.
func child(ctx context.Context, t *testing.T, test string, env ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, program, "-test.run=^"+test+"$", "-test.count=1")
	// A child that is killed leaves its temporary directory.
	cmd.Env = append(os.Environ(), "PRIVICORE_TEST_CHILD="+test, "TMPDIR="+t.TempDir())
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// isChild skips a test that only runs in a child.
func isChild(t *testing.T) {
	t.Helper()
	if os.Getenv("PRIVICORE_TEST_CHILD") != t.Name() {
		t.Skip("runs in a process that another test starts")
	}
}

// childClient returns a client of the server that the parent has started.
func childClient(t *testing.T, opts ...privicore.Option) *privicore.Client {
	t.Helper()
	c, err := privicore.NewClient(append([]privicore.Option{privicore.FromEnv()}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

// childEnv leads childClient to a server.
func childEnv(s *privicoretest.Server) []string {
	return []string{
		"PRIVICORE_API_URL=" + s.URL, "PRIVICORE_WS_URL=" + s.WebSocketURL,
		"PRIVICORE_USERNAME=alice", "PRIVICORE_PASSWORD=correct horse",
	}
}

// A disk that is full in the middle of the file leaves the old file as it was.
func TestRetrieveFileFullDisk(t *testing.T) {
	t.Parallel()
	s := privicoretest.NewServer(t, privicoretest.WithProfile("alice", "correct horse"))
	token, err := alice(t, s).DataToken.Store(t.Context(), privicore.Payload{
		Data: noise(1 << 20), Cipher: newAESGCM(t, make([]byte, 32)), Context: "files",
	})
	require.NoError(t, err)
	path := oldFile(t)
	out, err := child(t.Context(), t, "TestRetrieveFileFullDiskChild", append(childEnv(s), "TOKEN="+token, "FILE="+path)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assertOldFile(t, path)
}

// The process may not write files larger than 300 KiB, which looks to it like a full
// disk.
func TestRetrieveFileFullDiskChild(t *testing.T) {
	isChild(t)
	signal.Ignore(syscall.SIGXFSZ)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 300 << 10, Max: 300 << 10}))
	path := os.Getenv("FILE")
	err := childClient(t).DataToken.RetrieveFile(t.Context(), os.Getenv("TOKEN"), path, privicore.Retrieval{Cipher: newAESGCM(t, make([]byte, 32))})
	requireStep(t, privicore.StepWrite, err)
	require.ErrorIs(t, err, syscall.EFBIG)
	assertOldFile(t, path)
}

// A process that is killed in the middle leaves the old file as it was.
func TestRetrieveFileKilled(t *testing.T) {
	t.Parallel()
	s := privicoretest.NewServer(t, privicoretest.WithProfile("alice", "correct horse"))
	token, err := alice(t, s).DataToken.Store(t.Context(), privicore.Payload{
		Data: noise(1 << 20), Cipher: newAESGCM(t, make([]byte, 32)), Context: "files",
	})
	require.NoError(t, err)
	path := oldFile(t)
	cmd := child(t.Context(), t, "TestRetrieveFileKilledChild", append(childEnv(s), "TOKEN="+token, "FILE="+path)...)
	err = cmd.Run()
	var killed *exec.ExitError
	require.ErrorAs(t, err, &killed)
	require.Equal(t, -1, killed.ExitCode(), "it has to be killed")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, oldContent, string(data))
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".privicore-*.tmp"))
	require.NoError(t, err)
	assert.Len(t, left, 1, "it was killed while it had a temporary file")
}

func TestRetrieveFileKilledChild(t *testing.T) {
	isChild(t)
	_ = childClient(t).DataToken.RetrieveFile(t.Context(), os.Getenv("TOKEN"), os.Getenv("FILE"), privicore.Retrieval{
		Cipher: newAESGCM(t, make([]byte, 32)),
		Progress: func(n, _ int64) {
			if n > 500<<10 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		},
	})
	t.Fatal("it still lives")
}

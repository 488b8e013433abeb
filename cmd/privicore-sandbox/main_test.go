package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// start runs the program until the test ends the context, and returns the
// values that it printed.
func start(t *testing.T, args ...string) (printed map[string]string, stop func() int) {
	t.Helper()
	return startWith(t, io.Discard, args...)
}

// startWith does what start does, with a standard error of the test.
func startWith(t *testing.T, stderr io.Writer, args ...string) (printed map[string]string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, args, writer, stderr)
		writer.Close()
	}()
	printed = make(map[string]string)
	lines := bufio.NewScanner(reader)
	for printed["PRIVICORE_PASSWORD"] == "" && lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "=")
		printed[name] = value
	}
	return printed, func() int {
		cancel()
		defer reader.Close()
		return <-code
	}
}

func TestRun(t *testing.T) {
	defer goleak.VerifyNone(t)
	printed, stop := start(t, "-addr", "127.0.0.1:0", "-ws-addr", "127.0.0.1:0", "-username", "alice", "-password", "correct-horse")
	assert.Equal(t, "alice", printed["PRIVICORE_USERNAME"])
	assert.Equal(t, "correct-horse", printed["PRIVICORE_PASSWORD"])

	client := &http.Client{}
	defer client.CloseIdleConnections()
	answer, err := client.PostForm(printed["PRIVICORE_API_URL"]+"/profile/authenticate",
		url.Values{"username": {"alice"}, "password": {"correct-horse"}})
	require.NoError(t, err)
	var authorized struct{ AuthorizationToken string }
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&authorized))
	answer.Body.Close()
	assert.Equal(t, 200, answer.StatusCode)

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, printed["PRIVICORE_WS_URL"], nil)
	require.NoError(t, err)
	defer conn.CloseNow()
	join := `{"action":"joinChannel","correlationId":"1","data":{"authorizationToken":"` + authorized.AuthorizationToken + `"}}`
	require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(join)))
	_, joined, err := conn.Read(ctx)
	require.NoError(t, err)
	assert.Contains(t, string(joined), "Successfully joined profile channel.")
	assert.Equal(t, 0, stop())
}

func TestRunBusyPort(t *testing.T) {
	printed, stop := start(t, "-addr", "127.0.0.1:0", "-ws-addr", "127.0.0.1:0")
	for flag, url := range map[string]string{"-addr": "PRIVICORE_API_URL", "-ws-addr": "PRIVICORE_WS_URL"} {
		_, busy, _ := strings.Cut(printed[url], "://")
		var stdout, stderr bytes.Buffer
		// The last of two equal flags counts.
		args := []string{"-addr", "127.0.0.1:0", "-ws-addr", "127.0.0.1:0", flag, busy}
		assert.Equal(t, 1, run(t.Context(), args, &stdout, &stderr), flag)
		assert.Contains(t, stderr.String(), "address already in use", flag)
		assert.Empty(t, stdout.String(), flag)
	}
	assert.Equal(t, 0, stop())
}

func TestRunWrongFlags(t *testing.T) {
	for _, args := range [][]string{{"-port", "1"}, {"serve"}, {"-latency", "soon"}, {"-latency", "-1s"}, {"-username", ""}, {"-password", ""}, {"-username="},
		{"-profile", "bob"}, {"-profile", ":x"}, {"-profile", "demo:x"}, {"-vote", "maybe"}, {"-vote", "Device.Fly=no"},
		{"-vote", "Device.Remove=none"}, {"-vote", "none", "-vote", "Device.Remove=no"},
		{"-fault", "Device.Approve"}, {"-fault", "Device.Fly=drop"}, {"-fault", "Device.Approve=vanish"},
		{"-fault", "Device.Approve=status:9"}, {"-fault", "Device.Approve=after"}, {"-fault", "Device.Approve=delay:long"},
		{"-fault", "Device.Approve=body:x"}, {"-fault-rate", "2"}, {"-fault-rate", "NaN"}, {"-storage-devices", "-1"},
		{"-admin-addr", ":8010"}, {"-admin-addr", "0.0.0.0:8010"}, {"-admin-addr", "192.0.2.1:8010"}, {"-admin-addr", "example.com:80"}, {"-admin-addr", "127.0.0.1"},
	} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, 2, run(t.Context(), args, &stdout, &stderr), args)
		assert.NotEmpty(t, stderr.String(), args)
		assert.Empty(t, stdout.String(), args)
	}
	var stdout, stderr bytes.Buffer
	assert.Equal(t, 0, run(t.Context(), []string{"-h"}, &stdout, &stderr))
	assert.Contains(t, stderr.String(), "-ws-addr")
}

// TestMain is the program itself where a test starts it as one.
func TestMain(m *testing.M) {
	if os.Getenv("PRIVICORE_SANDBOX_TEST") != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestSignals(t *testing.T) {
	for _, end := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if signal.Ignored(end) {
			continue // by the parent of the tests, such as nohup, and so by the program
		}
		program := exec.CommandContext(t.Context(), os.Args[0], "-addr", "127.0.0.1:0", "-ws-addr", "127.0.0.1:0")
		program.Env = append(os.Environ(), "PRIVICORE_SANDBOX_TEST=1")
		stdout, err := program.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, program.Start())
		_, err = bufio.NewReader(stdout).ReadString('\n')
		require.NoError(t, err)
		require.NoError(t, program.Process.Signal(end))
		assert.NoError(t, program.Wait(), end)
	}
}

func TestAssignIsShell(t *testing.T) {
	sh, err := exec.LookPath("sh")
	require.NoError(t, err)
	for _, value := range []string{"plain-1", "it's $HOME", "`id`", `a "b" \c`, "", "пароль", "x;y"} {
		var line bytes.Buffer
		assign(&line, "V", value)
		out, err := exec.Command(sh, "-c", line.String()+`printf %s "$V"`).Output()
		require.NoError(t, err)
		assert.Equal(t, value, string(out))
	}
}

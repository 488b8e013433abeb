package main

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/privicoretest"
)

// operationToDropAt is one in the middle of the plan.
var operationToDropAt = operation.DeviceConfiguration

// hanging never answers a call.
func hanging(op *operation.Operation) plant {
	return at(op, func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() })
}

// bound runs the program and returns how long it took.
func bound(t *testing.T, s *settings) (*outcome, time.Duration) {
	t.Helper()
	started := time.Now()
	o := conformance(t.Context(), s)
	return o, time.Since(started)
}

func TestOneCallHangs(t *testing.T) {
	t.Parallel()
	for _, op := range []*operation.Operation{operation.StorageSynchronize, operation.ProfileID, operation.OAuthScope} {
		t.Run(op.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, privicoretest.Documented, hanging(op))
				o, took := bound(t, r.settings())
				assert.Equal(t, []string{op.Name}, o.wrong(), o.explained())
				assert.Equal(t, notReachable, o.verdicts[op.Name])
				assert.Less(t, took, 2*time.Minute)
			})
		})
	}
}

func TestTheServerHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, privicoretest.Documented, func(http.Handler) http.Handler {
			return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		})
		o, took := bound(t, r.settings())
		assert.Equal(t, exitCannotRun, o.code)
		assert.Empty(t, o.text)
		assert.Contains(t, o.progress, "the server does not answer")
		assert.Less(t, took, 5*time.Minute)
	})
}

func TestTheServerHangsLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var hangs atomic.Bool
		r := newRig(t, privicoretest.Documented, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == operation.StorageRegister.Path {
					hangs.Store(true)
				}
				if hangs.Load() {
					<-r.Context().Done()
					return
				}
				next.ServeHTTP(w, r)
			})
		})
		o, took := bound(t, r.settings())
		assert.Equal(t, exitDiffers, o.code)
		assert.Equal(t, confirmed, o.verdicts["Device.Approve"])
		assert.Equal(t, notReachable, o.verdicts["Storage.Register"])
		assert.Contains(t, o.entries["Policy.ListTemplates"], "the server no longer answers")
		assert.Contains(t, o.text, "device "+prefix, "what could not be removed is listed")
		assert.Contains(t, o.text, "removing it failed")
		assert.Less(t, took, 15*time.Minute)
	})
}

func TestInterruptCleansUp(t *testing.T) {
	t.Parallel()
	for _, op := range []*operation.Operation{
		operation.DeviceRequestIdentifier, operation.DeviceApprove, operation.VotingCreate, operation.DataTokenExchange,
		operation.DataTokenConfigureFileMeta, operation.DataTokenRequest, operation.PolicyRegister, operation.PolicyRetrieve,
	} {
		for name, dialect := range dialects {
			t.Run(op.Name+", "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					ctx, interrupt := context.WithCancel(t.Context())
					defer interrupt()
					r := newRig(t, dialect, at(op, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
						interrupt()
						next.ServeHTTP(w, r)
					}))
					o := conformance(ctx, r.settings())
					assert.Equal(t, exitDiffers, o.code)
					assert.Contains(t, o.text, "The run was interrupted.")
					assert.Equal(t, notTried, o.verdicts["Device.Remove"])
					assert.True(t, strings.HasPrefix(o.last(), "confirmed "), o.last())
					assert.Empty(t, r.left(t))
				})
			})
		}
	}
}

// A step that is cut off does not know what it made. The sweep finds it.
func TestInterruptOfASlowAnswer(t *testing.T) {
	t.Parallel()
	for _, op := range []*operation.Operation{
		operation.DeviceRequestIdentifier, operation.PolicyRegister, operation.DataTokenConfigureFileMeta,
	} {
		t.Run(op.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, interrupt := context.WithCancel(t.Context())
				defer interrupt()
				r := newRig(t, privicoretest.Documented, at(op, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					next.ServeHTTP(w, r)
					interrupt()
					select {
					case <-time.After(20 * time.Second):
					case <-r.Context().Done():
					}
				}))
				started := time.Now()
				o := conformance(ctx, r.settings())
				assert.Less(t, time.Since(started), 15*time.Second)
				assert.Equal(t, exitDiffers, o.code)
				assert.Empty(t, r.left(t))
			})
		})
	}
}

func TestFailedRemovalIsListed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, privicoretest.Documented, refusing(operation.DeviceRemove, 403, "application/json", `{"message":"No."}`))
		o := conformance(t.Context(), r.settings())
		assert.Equal(t, []string{"Device.Remove"}, o.wrong())
		_, remains, _ := strings.Cut(o.text, "## Left on the server")
		assert.Equal(t, 2, strings.Count(remains, "- device "+prefix), remains)
		assert.NotEmpty(t, r.left(t))
		assert.Equal(t, exitDiffers, o.code)
	})
}

func TestTokenOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, privicoretest.Observed)
		resp, err := r.server.Client().PostForm(r.server.URL+"/profile/authenticate", map[string][]string{"username": {username}, "password": {password}})
		require.NoError(t, err)
		token := strings.Split(string(body(t, resp)), `"`)[3]
		s := r.settings()
		s.token, s.username, s.password, s.wsURL, s.destructive = token, "", "", "", false
		o := conformance(t.Context(), s)
		assert.Equal(t, exitConfirmed, o.code, o.text)
		assert.Equal(t, "confirmed 56 of 56", o.last())
		for _, name := range []string{"Profile.Authenticate", "Profile.Reauthorize", "Profile.RevokeToken"} {
			assert.Contains(t, o.entries[name], "needs PRIVICORE_USERNAME and PRIVICORE_PASSWORD")
		}
		for _, name := range []string{"DataToken.Request", "DataToken.Download"} {
			assert.Contains(t, o.entries[name], "needs PRIVICORE_WS_URL")
		}
		assert.Contains(t, o.entries["Policy.Activate"], "needs -destructive")
		assert.NotContains(t, o.text, token)
		assert.Empty(t, r.left(t))
	})
}

func TestCannotRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, privicoretest.Documented)
		s := r.settings()
		s.password = "wrong-password"
		o := conformance(t.Context(), s)
		assert.Equal(t, exitCannotRun, o.code)
		assert.Empty(t, o.text)
		assert.Contains(t, o.progress, "refuses the credentials")

		s = r.settings()
		s.username, s.password, s.token = "", "", "T-UNKNOWN"
		o = conformance(t.Context(), s)
		assert.Equal(t, exitCannotRun, o.code)
		assert.NotContains(t, o.progress, "T-UNKNOWN")
	})
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		env  map[string]string
		code int
		says string
	}{
		"help":             {args: []string{"-h"}, code: 0, says: "-destructive"},
		"unknown flag":     {args: []string{"-fast"}, code: 2, says: "-fast"},
		"argument":         {args: []string{"now"}, code: 2, says: `"now"`},
		"timeout":          {args: []string{"-timeout", "0s"}, code: 2, says: "-timeout"},
		"no credentials":   {code: 2, says: "set PRIVICORE_USERNAME and PRIVICORE_PASSWORD, or PRIVICORE_TOKEN"},
		"no password":      {env: map[string]string{"PRIVICORE_USERNAME": "u"}, code: 2, says: "neither"},
		"no username":      {env: map[string]string{"PRIVICORE_PASSWORD": "secret-word"}, code: 2, says: "neither"},
		"malformed URL":    {env: map[string]string{"PRIVICORE_TOKEN": "T-1", "PRIVICORE_API_URL": "http://%zz"}, code: 2, says: "PRIVICORE_API_URL is malformed"},
		"another scheme":   {env: map[string]string{"PRIVICORE_TOKEN": "T-1", "PRIVICORE_API_URL": "ftp://x.test"}, code: 2, says: "base URL"},
		"plain http":       {env: map[string]string{"PRIVICORE_TOKEN": "T-1", "PRIVICORE_API_URL": "http://x.test"}, code: 2, says: "plain http"},
		"nobody listening": {args: []string{"-timeout", "1s"}, env: map[string]string{"PRIVICORE_TOKEN": "T-1", "PRIVICORE_API_URL": "http://127.0.0.1:1"}, code: 2, says: "the server does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), c.args, func(name string) string { return c.env[name] }, &stdout, &stderr)
			assert.Equal(t, c.code, code)
			assert.Contains(t, stderr.String(), c.says)
			assert.NotContains(t, stderr.String(), "secret-word")
			assert.Empty(t, stdout.String())
		})
	}
}

// program starts the program itself against a server on loopback.
func program(t *testing.T, server *privicoretest.Server, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(),
		"PRIVICORE_CONFORMANCE_TEST=1", "PRIVICORE_API_URL="+server.URL, "PRIVICORE_WS_URL="+server.WebSocketURL,
		"PRIVICORE_USERNAME="+username, "PRIVICORE_PASSWORD="+password, "PRIVICORE_TOKEN=",
	)
	return cmd
}

func TestProgram(t *testing.T) {
	t.Parallel()
	server := privicoretest.NewServer(t, privicoretest.WithProfile(username, password), privicoretest.WithLatency(time.Millisecond))
	var stdout, stderr bytes.Buffer
	cmd := program(t, server, "-destructive")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	assert.NoError(t, cmd.Run(), stderr.String())
	assert.True(t, strings.HasSuffix(stdout.String(), "\nconfirmed 70 of 70\n"), stdout.String())
}

func TestSignal(t *testing.T) {
	t.Parallel()
	server := privicoretest.NewServer(t, privicoretest.WithProfile(username, password), privicoretest.WithLatency(50*time.Millisecond))
	var stdout bytes.Buffer
	cmd := program(t, server)
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "Device.Approve") {
			require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
		}
	}
	var failed *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &failed)
	assert.Equal(t, exitDiffers, failed.ExitCode())
	assert.Contains(t, stdout.String(), "The run was interrupted.")
	r := &rig{server: server}
	assert.Empty(t, r.left(t))
}

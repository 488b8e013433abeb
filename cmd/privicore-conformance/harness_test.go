package main

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	"go.uber.org/goleak"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/privicoretest"
)

// TestMain is the program itself where a test starts it as one.
func TestMain(m *testing.M) {
	if os.Getenv("PRIVICORE_CONFORMANCE_TEST") != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

const (
	username = "conformance-user"
	password = "correct_horse_battery"
)

// rig is a server behind a reverse proxy. Both are in memory, so that a test can
// run them in a bubble of testing/synctest. The WebSocket and the file servers are
// reached without the proxy.
type rig struct {
	server *privicoretest.Server
	proxy  http.Handler
}

// plant changes what a proxy does.
type plant func(next http.Handler) http.Handler

func newRig(t *testing.T, dialect privicoretest.Dialect, plants ...plant) *rig {
	t.Helper()
	return newRigWith(t, []privicoretest.Option{privicoretest.WithDialect(dialect)}, plants...)
}

// newRigWith starts a server with options of the test.
func newRigWith(t *testing.T, options []privicoretest.Option, plants ...plant) *rig {
	t.Helper()
	server := privicoretest.NewServer(t, append(options,
		privicoretest.WithMemoryNetwork(),
		privicoretest.WithProfile(username, password),
	)...)
	target, err := url.Parse(server.URL)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = server.Client().Transport
	r := &rig{server: server, proxy: proxy}
	for _, p := range plants {
		r.proxy = p(r.proxy)
	}
	return r
}

// RoundTrip sends what is for the server through the proxy.
func (r *rig) RoundTrip(req *http.Request) (*http.Response, error) {
	if "http://"+req.URL.Host != r.server.URL {
		return r.server.Client().Transport.RoundTrip(req)
	}
	incoming := req.Clone(req.Context())
	if incoming.Body == nil {
		incoming.Body = http.NoBody
	}
	answer := httptest.NewRecorder()
	r.proxy.ServeHTTP(answer, incoming)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	resp := answer.Result()
	resp.Request = req
	return resp, nil
}

// CloseIdleConnections closes those to the server.
func (r *rig) CloseIdleConnections() { r.server.Client().CloseIdleConnections() }

// settings returns the settings for the server of the rig.
func (r *rig) settings() *settings {
	return &settings{
		apiURL: r.server.URL, wsURL: r.server.WebSocketURL, username: username, password: password,
		destructive: true, timeout: time.Minute, ackGrace: 2 * time.Second, ackPoll: time.Second, breakGrace: time.Second,
		network: r,
	}
}

// outcome is what a run left.
type outcome struct {
	code     int
	text     string // of the report
	progress string
	verdicts map[string]verdict
	entries  map[string]string // what the report says about an operation
}

// conformance runs the program.
func conformance(ctx context.Context, s *settings) *outcome {
	var stdout, stderr bytes.Buffer
	o := &outcome{code: conform(ctx, s, &stdout, &stderr)}
	o.text, o.progress = stdout.String(), stderr.String()
	o.read()
	return o
}

var listed = regexp.MustCompile("^(?:- |\\| )`([A-Za-z.]+)`")

// read reads the verdicts out of the report.
func (o *outcome) read() {
	o.verdicts, o.entries = make(map[string]verdict), make(map[string]string)
	sections := map[string]verdict{"Confirmed": confirmed, "Differs": differs, "Not reachable": notReachable, "Not tried": notTried}
	var now verdict
	var within, name string
	known := false
	for line := range strings.Lines(o.text) {
		line = strings.TrimSpace(line)
		if title, ok := strings.CutPrefix(line, "## "); ok {
			within = title
			now, known = sections[within]
			name = ""
			continue
		}
		if !known {
			continue
		}
		if title, ok := strings.CutPrefix(line, "### "); ok {
			name = title
			o.verdicts[name] = now
		} else if m := listed.FindStringSubmatch(line); m != nil {
			name = m[1]
			o.verdicts[name] = now
		}
		o.entries[name] += line + "\n"
	}
}

// last returns the last line of the report.
func (o *outcome) last() string {
	lines := strings.Split(strings.TrimSuffix(o.text, "\n"), "\n")
	return lines[len(lines)-1]
}

// wrong returns the operations that are not confirmed, but were tried.
func (o *outcome) wrong() []string {
	var names []string
	for _, op := range operation.All {
		if v := o.verdicts[op.Name]; v == differs || v == notReachable {
			names = append(names, op.Name)
		}
	}
	return names
}

// explained returns what the report says about them.
func (o *outcome) explained() string {
	var b strings.Builder
	for _, name := range o.wrong() {
		b.WriteString(o.entries[name])
	}
	return b.String()
}

// concerns reports whether a request is one of the operation.
func concerns(r *http.Request, op *operation.Operation) bool {
	if op.PathParameter() != "" {
		return r.Method == op.Method && strings.HasPrefix(r.URL.Path, op.Prefix())
	}
	return r.Method == op.Method && r.URL.Path == op.Path
}

// at applies a plant to the requests of an operation only.
func at(op *operation.Operation, handle func(w http.ResponseWriter, r *http.Request, next http.Handler)) plant {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if concerns(r, op) {
				handle(w, r, next)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// answering changes the answers of an operation.
func answering(op *operation.Operation, change func(answer *httptest.ResponseRecorder)) plant {
	return at(op, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		change(answer)
		maps.Copy(w.Header(), answer.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}

// replacing changes a text in the answers of an operation.
func replacing(op *operation.Operation, old, with string) plant {
	return answering(op, func(answer *httptest.ResponseRecorder) {
		changed := bytes.ReplaceAll(answer.Body.Bytes(), []byte(old), []byte(with))
		answer.Body = bytes.NewBuffer(changed)
	})
}

// matching changes what matches a pattern in the answers of an operation.
func matching(op *operation.Operation, pattern, with string) plant {
	expression := regexp.MustCompile(pattern)
	return answering(op, func(answer *httptest.ResponseRecorder) {
		answer.Body = bytes.NewBuffer(expression.ReplaceAll(answer.Body.Bytes(), []byte(with)))
	})
}

// refusing answers in place of the server.
func refusing(op *operation.Operation, status int, mediaType, body string) plant {
	return at(op, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

// left returns what the server still has with the prefix of the program, of what
// can be removed.
func (r *rig) left(t *testing.T) (names []string) {
	t.Helper()
	client := r.server.Client()
	form := url.Values{"username": {username}, "password": {password}}
	resp, err := client.PostForm(r.server.URL+"/profile/authenticate", form)
	require.NoError(t, err)
	token := gjson.GetBytes(body(t, resp), "authorizationToken").Str
	for _, path := range []string{
		"/device/retrieve-profile-devices", "/policy/list-registered-policies", "/data-token/list-data-tokens?perPage=100",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.server.URL+path, nil)
		require.NoError(t, err)
		req.Header.Set("X-DPT-AUTHORIZATION", token)
		resp, err := client.Do(req)
		require.NoError(t, err)
		if text := string(body(t, resp)); strings.Contains(text, prefix) {
			names = append(names, path)
		}
	}
	return names
}

func body(t *testing.T, resp *http.Response) []byte {
	t.Helper()
	defer resp.Body.Close()
	var b bytes.Buffer
	_, err := b.ReadFrom(resp.Body)
	assert.NoError(t, err)
	return b.Bytes()
}

package privicore_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// An address without a scheme has the one of the REST URL. Plain http to another
// machine needs WithInsecureHTTP, whether the address says http or leaves it out.
func TestFileServerAddresses(t *testing.T) {
	t.Parallel()
	const (
		secure   = "https://privicore.test:9009"
		loopback = "http://127.0.0.1:8009"
		plain    = "http://privicore.test:8009"
	)
	for _, tc := range []struct {
		rest     string
		insecure bool
		given    string
		want     string // "" if it is refused
	}{
		{secure, false, "files.test:8443?auth=t", "https://files.test:8443/?auth=t"},
		{secure, false, "files.test:8443/?auth=t", "https://files.test:8443/?auth=t"},
		{secure, false, "files.test?auth=t", "https://files.test/?auth=t"},
		{secure, false, "//files.test/up?auth=t", "https://files.test/up?auth=t"},
		{secure, false, "https://files.test/up?auth=t", "https://files.test/up?auth=t"},
		{secure, false, "http://127.0.0.1:8010/?auth=t", "http://127.0.0.1:8010/?auth=t"},
		{secure, false, "http://files.test/?auth=t", ""},
		{secure, true, "http://files.test/?auth=t", "http://files.test/?auth=t"},
		{secure, true, "files.test:8443?auth=t", "https://files.test:8443/?auth=t"},
		{loopback, false, "127.0.0.1:8010?auth=t", "http://127.0.0.1:8010/?auth=t"},
		{loopback, false, "[::1]:8010/?auth=t", "http://[::1]:8010/?auth=t"},
		{loopback, false, "https://files.test/?auth=t", "https://files.test/?auth=t"},
		{loopback, false, "files.test:8010/?auth=t", ""},
		{loopback, false, "http://files.test/?auth=t", ""},
		{loopback, true, "files.test:8010/?auth=t", "http://files.test:8010/?auth=t"},
		{plain, true, "files.test:8010?auth=t", "http://files.test:8010/?auth=t"},
		{plain, true, "https://files.test/?auth=t", "https://files.test/?auth=t"},
		{"HTTP://127.0.0.1:8009", false, "127.0.0.1:8010?auth=t", "http://127.0.0.1:8010/?auth=t"},
	} {
		opts := []privicore.Option{privicore.WithToken(testToken), privicore.WithBaseURL(tc.rest)}
		if tc.insecure {
			opts = append(opts, privicore.WithInsecureHTTP())
		}
		for method, call := range map[string]func(c *privicore.Client) error{
			"POST": func(c *privicore.Client) error {
				return c.DataToken.Upload(t.Context(), privicore.NewSecret(tc.given), strings.NewReader("x"))
			},
			"GET": func(c *privicore.Client) error {
				data, err := c.DataToken.Download(t.Context(), privicore.NewSecret(tc.given))
				if err != nil {
					return err
				}
				return data.Close()
			},
		} {
			_, s := replay(t, "data_token/download.ok")
			err := call(s.client(opts...))
			if tc.want == "" {
				require.ErrorIs(t, err, privicore.ErrValidation, "%+v", tc)
				assert.ErrorContains(t, err, "WithInsecureHTTP")
				assert.Empty(t, s.requests())
				continue
			}
			require.NoError(t, err, "%+v", tc)
			assert.Equal(t, []string{method + " " + tc.want}, s.requests())
			assert.Empty(t, s.sent[0].header.Values("X-DPT-AUTHORIZATION"))
		}
	}
}

// A server that refuses an upload does not read it, and closes. That breaks the
// connection under the client, which must report the refusal nevertheless.
func TestUploadRefusedEarly(t *testing.T) {
	t.Parallel()
	bodies := map[string]func() io.Reader{
		"small":   func() io.Reader { return bytes.NewReader(make([]byte, 1000)) },
		"large":   func() io.Reader { return bytes.NewReader(make([]byte, 4<<20)) },
		"unknown": func() io.Reader { return io.LimitReader(zeros{}, 4<<20) },
	}
	for name, tc := range map[string]struct {
		answer string
		status int
		is     error
	}{
		"401":    {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 8\r\nConnection: close\r\n\r\n\"no way\"", 401, privicore.ErrUnauthorized},
		"413":    {"HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\n\"no way\"", 413, nil},
		"closed": {},
	} {
		for size, body := range bodies {
			t.Run(name+"/"+size, func(t *testing.T) {
				t.Parallel()
				addr := refuseAll(t, tc.answer)
				c, err := privicore.NewClient(privicore.WithToken(testToken))
				require.NoError(t, err)
				defer c.Close()
				for range 25 {
					err := c.DataToken.Upload(t.Context(), privicore.NewSecret("http://"+addr+"/?auth=x"), body())
					require.Error(t, err)
					if size != "small" {
						require.NotErrorIs(t, err, privicore.ErrAmbiguous, "not all was sent")
					}
					if tc.status == 0 {
						continue
					}
					apiErr, ok := errors.AsType[*privicore.APIError](err)
					require.True(t, ok, "%v", err)
					require.Equal(t, tc.status, apiErr.StatusCode)
					require.Equal(t, []string{"no way"}, apiErr.Messages)
					if tc.is != nil {
						require.ErrorIs(t, err, tc.is)
					}
				}
			})
		}
	}
}

// refuseAll starts a server that reads the head of each request, answers and
// closes the connection. It returns its address.
func refuseAll(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// A download of which nothing comes any more ends.
func TestDownloadStalls(t *testing.T) {
	t.Parallel()
	scripted(t, func(t *testing.T, s *script) {
		s.serve(t, "127.0.0.1:9001", func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(make([]byte, 100_000))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		c := s.newClient(t, privicore.WithStallTimeout(30*time.Second))
		defer c.Close()
		require.NoError(t, c.Connect(t.Context()))
		s.say(ack, `{"type":"X-DPT-CAB-REQUEST-ID","id":"$R","output_type":1,"body":"http://127.0.0.1:9001/?auth=x"}`)
		plaintext, err := c.DataToken.Retrieve(t.Context(), dataToken1, privicore.Retrieval{Cipher: fakeCipher{}})
		require.NoError(t, err)
		defer plaintext.Close()
		started := time.Now()
		got, err := io.ReadAll(plaintext)
		assert.Len(t, got, 100_000)
		assert.Equal(t, 30*time.Second, time.Since(started))
		requireStep(t, privicore.StepDownload, err)
		require.ErrorContains(t, err, "no byte for 30s")
		timeout, ok := errors.AsType[interface {
			error
			Timeout() bool
		}](err)
		require.True(t, ok)
		assert.True(t, timeout.Timeout())
	})
}

// A program that takes its time does not make a download stall.
func TestDownloadReadSlowly(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		c := fakeCipher{after: 1 << 40}
		token := r.store(t, c, noise(large))
		client := r.newClient(t, privicore.WithStallTimeout(30*time.Second))
		defer client.Close()
		plaintext, err := client.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: c})
		require.NoError(t, err)
		defer plaintext.Close()
		slow := readerFunc(func(p []byte) (int, error) {
			time.Sleep(10 * time.Minute)
			return io.ReadFull(plaintext, p[:min(len(p), large/8)])
		})
		started := time.Now()
		got, _ := sumOf(t, io.LimitReader(bufio.NewReaderSize(slow, large), large))
		want, _ := sumOf(t, noise(large))
		assert.Equal(t, want, got)
		assert.Equal(t, 80*time.Minute, time.Since(started))
		n, err := plaintext.Read(make([]byte, 1))
		assert.Zero(t, n)
		assert.Equal(t, io.EOF, err)
	})
}

// An upload whose source is slow does not stall. One that the server does not take
// does.
func TestUploadStalls(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		c := r.newClient(t, privicore.WithStallTimeout(30*time.Second))
		defer c.Close()
		token, err := c.DataToken.Store(t.Context(), privicore.Payload{
			Data: io.MultiReader(noise(100_000), readerFunc(func([]byte) (int, error) {
				time.Sleep(3 * time.Minute)
				return 0, io.EOF
			})),
			Cipher: newAge(t), Context: "tests",
		})
		require.NoError(t, err)
		assert.NotEmpty(t, token)

		r.Next("DataToken.Upload", faultThatHangs)
		started := time.Now()
		_, err = c.DataToken.Store(t.Context(), privicore.Payload{Data: noise(large), Cipher: newAge(t), Context: "tests"})
		failed := requireStep(t, privicore.StepSend, err)
		assert.ErrorContains(t, err, "no byte for 30s")
		assert.NotErrorIs(t, err, context.DeadlineExceeded)
		assert.Less(t, time.Since(started), time.Minute)
		assert.Zero(t, failed.Meta)
		assert.True(t, failed.Repeatable())
	})
}

// A 200 with a page or with an error in it is no success, and the data may not have
// arrived. Any other body is.
func TestUploadAnsweredWithSomethingElse(t *testing.T) {
	t.Parallel()
	for body, why := range map[string]string{
		"\n<html><body>Sign in</body></html>": "page",
		`{"error":"no space left"}`:           "reports an error",
		`{"errors":["no space left"]}`:        "reports an error",
		`{"success":false}`:                   "reports an error",
		`{"success":true,"error":null}`:       "",
		`"stored"`:                            "",
		`stored`:                              "",
	} {
		bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
			pending, err := c.DataToken.Reserve(t.Context(), privicore.ReserveRequest{Context: "x"})
			require.NoError(t, err)
			temporary, err := pending.Result(t.Context())
			require.NoError(t, err)
			s.Next("DataToken.Upload", privicoretest.Fault{Status: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: body})
			err = c.DataToken.Upload(t.Context(), temporary.Stream, strings.NewReader("ciphertext"))
			if why == "" {
				require.NoError(t, err, body)
				return
			}
			require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer, body)
			require.ErrorIs(t, err, privicore.ErrAmbiguous)
			require.ErrorContains(t, err, why)
			require.NoError(t, c.DataToken.Upload(t.Context(), temporary.Stream, strings.NewReader("ciphertext")), "the stream was not used up")
		})
	}
}

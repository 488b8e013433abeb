package privicore_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// The address of a file server is used as it is given. One without a scheme is
// https, unless the REST URL is plain.
func TestFileAddresses(t *testing.T) {
	t.Parallel()
	for scheme, start := range map[string]func(http.Handler) *httptest.Server{
		"http": httptest.NewServer, "https": httptest.NewTLSServer,
	} {
		for name, tc := range map[string]struct{ format, path string }{
			"whole":                      {scheme + "://%s/?auth=file-token", "/"},
			"whole, in capitals":         {strings.ToUpper(scheme) + "://%s/?auth=file-token", "/"},
			"whole, without a slash":     {scheme + "://%s?auth=file-token", "/"},
			"whole, with a path":         {scheme + "://%s/files/7?part=1&auth=file-token", "/files/7"},
			"no scheme":                  {"%s/?auth=file-token", "/"},
			"no scheme, without a slash": {"%s?auth=file-token", "/"},
			"no scheme, with a path":     {"%s/files/7?auth=file-token", "/files/7"},
			"no scheme, but slashes":     {"//%s/?auth=file-token", "/"},
		} {
			t.Run(scheme+"/"+name, func(t *testing.T) {
				t.Parallel()
				var requests atomic.Int32
				server := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					requests.Add(1)
					assert.Equal(t, tc.path, r.URL.Path)
					assert.Equal(t, "file-token", r.URL.Query().Get("auth"))
					assert.Empty(t, r.Header.Values("X-DPT-AUTHORIZATION"), "the token stays at its origin")
					if r.Method == http.MethodPost {
						got, err := io.ReadAll(r.Body)
						assert.NoError(t, err)
						assert.Equal(t, "ciphertext", string(got))
						return
					}
					_, _ = io.WriteString(w, "ciphertext")
				}))
				t.Cleanup(server.Close)
				c, err := privicore.NewClient(privicore.WithBaseURL(server.URL), privicore.WithToken(fakeToken), privicore.WithHTTPClient(server.Client()))
				require.NoError(t, err)
				t.Cleanup(func() { assert.NoError(t, c.Close()) })

				address := privicore.NewSecret(fmt.Sprintf(tc.format, server.Listener.Addr()))
				require.NoError(t, c.DataToken.Upload(t.Context(), address, strings.NewReader("ciphertext")))
				data, err := c.DataToken.Download(t.Context(), address)
				require.NoError(t, err)
				got, err := io.ReadAll(data)
				require.NoError(t, err)
				require.NoError(t, data.Close())
				assert.Equal(t, "ciphertext", string(got))
				assert.Equal(t, int32(2), requests.Load())
			})
		}
	}
}

// A plain address of another machine is refused also if the API gave it, and an
// address without a scheme does not become plain because of it.
func TestFileAddressesElsewhere(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		base, address, asked string // asked is "" if nothing may be sent
		opts                 []privicore.Option
	}{
		{"https://api.test", "files.test:9443?auth=t", "https://files.test:9443/?auth=t", nil},
		{"https://api.test", "https://files.test?auth=t", "https://files.test?auth=t", nil},
		{"https://api.test", "http://files.test/?auth=t", "", nil},
		{"http://127.0.0.1:8009", "files.test:9443?auth=t", "", nil},
		{"http://api.test", "files.test:9443?auth=t", "http://files.test:9443/?auth=t", []privicore.Option{privicore.WithInsecureHTTP()}},
		{"https://api.test", "http://files.test/?auth=t", "http://files.test/?auth=t", []privicore.Option{privicore.WithInsecureHTTP()}},
		{"https://api.test", "ftp://files.test/?auth=t", "", nil},
	} {
		var asked []string
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			asked = append(asked, r.URL.String())
			return reply(200, "")
		}, append([]privicore.Option{privicore.WithBaseURL(tc.base), privicore.WithToken(fakeToken)}, tc.opts...)...)
		err := c.DataToken.Upload(t.Context(), privicore.NewSecret(tc.address), strings.NewReader("ciphertext"))
		if tc.asked == "" {
			require.ErrorIs(t, err, privicore.ErrValidation, tc.address)
			assert.Empty(t, asked)
			continue
		}
		require.NoError(t, err, tc.address)
		assert.Equal(t, []string{tc.asked}, asked)
	}
}

// stores are the operations of Store, with the step at which each one fails.
var stores = []struct {
	operation string
	step      privicore.Step
	command   bool
}{
	{"DataToken.Reserve", privicore.StepReserve, true},
	{"DataToken.RetrieveTemporary", privicore.StepReserve, false},
	{"DataToken.Exchange", privicore.StepSend, true},
	{"DataToken.ConfigureFileMeta", privicore.StepCommit, false},
}

// What Repeatable says of a real failure holds: after another Store there is one
// token.
func TestStoreIsRepeatable(t *testing.T) {
	t.Parallel()
	for _, tc := range stores {
		for name, fault := range map[string]privicoretest.Fault{
			"refused":        {Status: 403},
			"lost":           {Status: 502, AfterEffect: true},
			"lost by a drop": {Drop: true, AfterEffect: true},
		} {
			t.Run(tc.operation+"/"+name, func(t *testing.T) {
				t.Parallel()
				bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
					single, err := c.Clone(privicore.WithMaxRetries(0))
					require.NoError(t, err)
					t.Cleanup(func() { assert.NoError(t, single.Close()) })
					s.Next(tc.operation, fault)
					_, err = single.DataToken.Store(t.Context(), smallPayload(t))
					if tc.operation == "DataToken.RetrieveTemporary" && err == nil {
						return // net/http sends a read again
					}
					failed := requireStep(t, tc.step, err)
					mayHaveMade := tc.step == privicore.StepCommit && fault.AfterEffect
					require.Equal(t, !mayHaveMade, failed.Repeatable(), "%v", err)
					if failed.Repeatable() {
						_, err = single.DataToken.Store(t.Context(), smallPayload(t))
						require.NoError(t, err)
					}
					found := 0
					for _, err := range single.DataToken.All(t.Context(), privicore.DataTokenFilter{}) {
						require.NoError(t, err)
						found++
					}
					assert.Equal(t, 1, found)
				})
			})
		}
	}
}

// A Store that runs out of time in a wait says for which command, so that one
// can go on waiting.
func TestStoreTimesOut(t *testing.T) {
	t.Parallel()
	for _, tc := range stores {
		if !tc.command {
			continue
		}
		for name, socket := range map[string]bool{"by polling": false, "over the channel": true} {
			t.Run(tc.operation+"/"+name, func(t *testing.T) {
				t.Parallel()
				bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
					if !socket {
						var err error
						c, err = c.Clone(privicore.WithWebSocketURL(""))
						require.NoError(t, err)
						t.Cleanup(func() { assert.NoError(t, c.Close()) })
					}
					s.Next(tc.operation, privicoretest.Fault{Latency: 2 * time.Minute})
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					var accepted privicore.Response
					start := time.Now()
					_, err := c.DataToken.Store(privicore.CaptureResponse(ctx, &accepted), smallPayload(t))
					assert.Equal(t, time.Minute, time.Since(start))
					requireStep(t, tc.step, err)
					require.ErrorIs(t, err, context.DeadlineExceeded)
					assert.NotErrorIs(t, err, privicore.ErrAmbiguous)
					unfinished, ok := errors.AsType[*privicore.WaitError](err)
					require.True(t, ok, "%v", err)
					assert.Equal(t, tc.operation, unfinished.Operation)
					cmd, err := accepted.Command()
					require.NoError(t, err)
					assert.Equal(t, cmd.ID, unfinished.ID)

					result, err := c.Command(unfinished.ID).Wait(t.Context())
					require.NoError(t, err)
					assert.Equal(t, privicore.CommandSucceeded, result.Status)
				})
			})
		}
	}
}

// An announcement that was made while the channel was down is given up about five
// seconds after that is known, and not before: another server may be late.
func TestAnswerLostInTime(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		token, err := c.DataToken.Store(t.Context(), smallPayload(t))
		require.NoError(t, err)
		s.Next("DataToken.Request", privicoretest.Fault{Latency: 50 * time.Millisecond})
		pending, err := c.DataToken.Request(t.Context(), token)
		require.NoError(t, err)
		joins := s.Joins()
		s.RefuseConnections(1, http.StatusServiceUnavailable)
		s.DropConnections()
		ended := make(chan error, 1)
		go func() {
			_, err := pending.Result(t.Context())
			ended <- err
		}()
		for s.Joins() == joins {
			time.Sleep(10 * time.Millisecond)
		}
		back := time.Now()
		require.ErrorIs(t, <-ended, privicore.ErrAnswerLost)
		took := time.Since(back)
		assert.GreaterOrEqual(t, took, 4*time.Second)
		assert.Less(t, took, 10*time.Second)
		synctest.Wait()

		plaintext, err := c.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: newAESGCM(t, make([]byte, 32))})
		require.NoError(t, err, "requested again")
		got, err := io.ReadAll(plaintext)
		require.NoError(t, err)
		require.NoError(t, plaintext.Close())
		assert.Equal(t, "the plaintext", string(got))
	})
}

// What is said of the data after the channel is back shows that more will come.
func TestLateAnnouncement(t *testing.T) {
	t.Parallel()
	bubbled(t, func(t *testing.T, c *privicore.Client, s *privicoretest.Server) {
		cipher := newAESGCM(t, make([]byte, 32))
		token, err := c.DataToken.Store(t.Context(), smallPayload(t))
		require.NoError(t, err)
		s.Next("DataToken.Request", privicoretest.Fault{Latency: 50 * time.Millisecond})
		pending, err := c.DataToken.Request(t.Context(), token)
		require.NoError(t, err)
		joins := s.Joins()
		s.RefuseConnections(1, http.StatusServiceUnavailable)
		s.DropConnections()
		ended := make(chan error, 1)
		var data *privicore.Ciphertext
		go func() {
			var err error
			data, err = pending.Result(t.Context())
			ended <- err
		}()
		for s.Joins() == joins {
			time.Sleep(10 * time.Millisecond)
		}
		say := func(body string) {
			s.PushRaw("alice", false, []byte(`{"data":{"type":"X-DPT-CAB-REQUEST-ID","id":"`+pending.RequestID+`","output_type":0,"body":"`+body+`"}}`))
		}
		for range 5 {
			time.Sleep(4 * time.Second) // less than what ends the wait, but several of them are more
			say("being prepared")
		}
		sealed, err := cipher.Seal([]byte("the plaintext"))
		require.NoError(t, err)
		time.Sleep(4 * time.Second)
		say(base64.StdEncoding.EncodeToString(sealed))
		require.NoError(t, <-ended)
		got, err := decrypted(cipher, data)
		require.NoError(t, err)
		require.NoError(t, data.Close())
		assert.Equal(t, "the plaintext", string(got))
	})
}

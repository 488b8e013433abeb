package privicore_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// Each step that fails names itself.
func TestRetrieveFails(t *testing.T) {
	t.Parallel()
	c := newAge(t)
	steps := []struct {
		operation string
		step      privicore.Step
		command   bool
	}{
		{"DataToken.Request", privicore.StepRequest, false},
		{"DataToken.Request", privicore.StepAnswer, true},
		{"DataToken.Download", privicore.StepDownload, false},
	}
	faults := map[string]struct {
		fault    privicoretest.Fault
		commands bool
		cancel   bool
		is       error
	}{
		"refused":                   {fault: privicoretest.Fault{Status: 401, Body: `"no"`}, is: privicore.ErrUnauthorized},
		"not found":                 {fault: privicoretest.Fault{Status: 404, Body: `"no"`}, is: privicore.ErrNotFound},
		"broken":                    {fault: privicoretest.Fault{Status: 500}},
		"dropped":                   {fault: privicoretest.Fault{Drop: true}},
		"cancelled":                 {fault: privicoretest.Fault{Delay: time.Hour}, cancel: true, is: context.Canceled},
		"rejected":                  {fault: privicoretest.Fault{Reject: []string{"vote.denied"}}, commands: true},
		"cancelled while it is run": {fault: privicoretest.Fault{Latency: time.Hour}, commands: true, cancel: true, is: context.Canceled},
	}
	for _, s := range steps {
		for name, f := range faults {
			if f.commands != s.command {
				continue
			}
			t.Run(s.operation+"/"+name, func(t *testing.T) {
				inBubble(t, func(t *testing.T, r *rig) {
					token := r.store(t, c, noise(100_000))
					// A connection that has been used is another matter than a new one.
					plaintext, err := r.client.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: c})
					require.NoError(t, err)
					sumOf(t, plaintext)
					require.NoError(t, plaintext.Close())
					r.Next(s.operation, f.fault)
					if f.fault.Status == 401 {
						r.Next(s.operation, f.fault) // the first one renews the token
					}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if f.cancel {
						go func() {
							time.Sleep(10 * time.Second) // until it hangs
							assert.Equal(t, 2, r.Calls(s.operation))
							cancel()
						}()
					}
					plaintext, err = r.client.DataToken.Retrieve(ctx, token, privicore.Retrieval{Cipher: c})
					requireStep(t, s.step, err)
					assert.Nil(t, plaintext)
					if f.is != nil {
						assert.ErrorIs(t, err, f.is)
					}
					if f.fault.Status != 0 {
						apiErr, ok := errors.AsType[*privicore.APIError](err)
						require.True(t, ok)
						assert.Equal(t, f.fault.Status, apiErr.StatusCode)
					}
					if f.fault.Reject != nil {
						rejected, ok := errors.AsType[*privicore.CommandError](err)
						require.True(t, ok)
						assert.Equal(t, f.fault.Reject, rejected.Messages)
					}
					if s.operation == "DataToken.Download" {
						assert.Equal(t, 2, r.Calls(s.operation), "it works once")
					}
				})
			})
		}
	}
}

func TestRetrieveUnknownToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.client.DataToken.Retrieve(t.Context(), dataToken1, privicore.Retrieval{Cipher: newAge(t)})
	requireStep(t, privicore.StepRequest, err)
	assert.ErrorIs(t, err, privicore.ErrNotFound)
}

// Without the channel there is nothing to request for.
func TestRetrieveWithoutChannel(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := newAge(t)
	token := r.store(t, c, noise(small))
	r.RefuseJoins(100, 403)
	r.DropConnections()
	deaf := r.newClient(t)
	defer deaf.Close()
	_, err := deaf.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: c})
	requireStep(t, privicore.StepRequest, err)
	assert.ErrorContains(t, err, "WebSocket channel")
	assert.Zero(t, r.Calls("DataToken.Request"))
}

// A download that breaks, in each of the ways, before all of it was read.
func TestRetrieveInterrupted(t *testing.T) {
	t.Parallel()
	size := int64(16 << 20)
	if underRace {
		size = 4 << 20 // still more than all the buffers on the way
	}
	gcm, chunked := privicore.Cipher(newAESGCM(t, make([]byte, 32))), newAge(t)
	for _, cipher := range []privicore.Cipher{gcm, chunked} {
		for name, tc := range map[string]struct {
			fault privicoretest.Fault
			stop  func(r *rig, cancel context.CancelFunc)
			is    error
		}{
			"cut":       {fault: privicoretest.Fault{Drop: true, AfterEffect: true}, is: io.ErrUnexpectedEOF},
			"cancelled": {stop: func(_ *rig, cancel context.CancelFunc) { cancel() }, is: context.Canceled},
			"closed":    {stop: func(r *rig, _ context.CancelFunc) { _ = r.client.Close() }, is: privicore.ErrClosed},
		} {
			t.Run(fmt.Sprint(cipher, "/", name), func(t *testing.T) {
				r := newRig(t)
				token := r.store(t, cipher, noise(size))
				r.Next("DataToken.Download", tc.fault)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				stopped := false
				plaintext, err := r.client.DataToken.Retrieve(ctx, token, privicore.Retrieval{Cipher: cipher, Progress: func(n, total int64) {
					assert.Greater(t, total, size, "it is known")
					if tc.stop != nil && n > size/2 && !stopped {
						stopped = true
						tc.stop(r, cancel)
					}
				}})
				var got []byte
				if err == nil {
					got, err = io.ReadAll(plaintext)
					n, again := plaintext.Read(make([]byte, 1))
					assert.Zero(t, n)
					assert.Error(t, again)
					assert.NotEqual(t, io.EOF, again)
					require.NoError(t, plaintext.Close())
				}
				requireStep(t, privicore.StepDownload, err)
				require.ErrorIs(t, err, tc.is)
				assert.NotErrorIs(t, err, privicore.ErrDecrypt)
				assert.Less(t, int64(len(got)), size)
				want, err := io.ReadAll(noise(int64(len(got))))
				require.NoError(t, err)
				assert.True(t, bytes.Equal(want, got), "what came out is the beginning")
				if cipher == gcm {
					assert.Empty(t, got)
				}
			})
		}
	}
}

// A reader that is closed early leaves nothing behind; the rig looks.
func TestRetrieveClosedEarly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := newAge(t)
	token := r.store(t, c, noise(16<<20))
	plaintext, err := r.client.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: c})
	require.NoError(t, err)
	_, err = io.ReadFull(plaintext, make([]byte, 1000))
	require.NoError(t, err)
	require.NoError(t, plaintext.Close())
	_, err = io.Copy(io.Discard, plaintext)
	assert.Error(t, err)
}

// What the server gives back is not what was stored.
func TestRetrieveWrongCiphertext(t *testing.T) {
	t.Parallel()
	gcm, chunked := privicore.Cipher(newAESGCM(t, make([]byte, 32))), newAge(t)
	for _, dialect := range []privicoretest.Dialect{privicoretest.Documented, privicoretest.Observed} {
		for name, tc := range map[string]struct {
			stored, key privicore.Cipher
			tamper      func([]byte) []byte
			size        int64
		}{
			"another key, whole":      {gcm, newAESGCM(t, bytes.Repeat([]byte{1}, 32)), nil, small},
			"another key, chunked":    {chunked, newAge(t), nil, 200_000},
			"another format":          {gcm, chunked, nil, 200_000},
			"the other one":           {chunked, gcm, nil, 200_000},
			"truncated":               {chunked, chunked, func(b []byte) []byte { return b[:len(b)-1] }, 200_000},
			"altered":                 {chunked, chunked, func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, 200_000},
			"appended":                {chunked, chunked, func(b []byte) []byte { return append(b, 0) }, 200_000},
			"truncated, whole":        {gcm, gcm, func(b []byte) []byte { return b[:len(b)-1] }, small},
			"altered, whole":          {gcm, gcm, func(b []byte) []byte { b[0] ^= 1; return b }, small},
			"too large for the other": {fakeCipher{after: 1 << 40}, gcm, nil, privicore.MaxAESGCM + 29},
		} {
			t.Run(fmt.Sprint(dialect, "/", name), func(t *testing.T) {
				if tc.size > privicore.MaxAESGCM && (underRace || dialect == privicoretest.Observed) {
					return // once is enough
				}
				r := newRig(t, privicoretest.WithDialect(dialect))
				plain, err := io.ReadAll(noise(tc.size))
				require.NoError(t, err)
				var stored []byte
				if _, fake := tc.stored.(fakeCipher); fake {
					stored = plain
				} else {
					stored = encrypted(t, tc.stored, plain)
				}
				if tc.tamper != nil {
					stored = tc.tamper(stored)
				}
				token := r.store(t, fakeCipher{after: 1 << 40}, bytes.NewReader(stored))
				plaintext, err := r.client.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: tc.key})
				var got []byte
				if err == nil {
					got, err = io.ReadAll(plaintext)
					require.NoError(t, plaintext.Close())
				}
				requireStep(t, privicore.StepDecrypt, err)
				if tc.size > privicore.MaxAESGCM {
					require.ErrorIs(t, err, privicore.ErrTooLarge)
				} else {
					require.ErrorIs(t, err, privicore.ErrDecrypt)
				}
				assert.Less(t, len(got), len(plain))
				assert.True(t, bytes.HasPrefix(plain, got))
			})
		}
	}
}

// script is a server whose announcements the test writes itself: the request is
// answered with fixed ids, and nothing follows.
type script struct {
	*rig
	data []byte
}

// filesAddr is where the file server of a script listens.
const filesAddr = "127.0.0.1:9000"

// scripted runs a test with a script in a bubble.
func scripted(t *testing.T, test func(*testing.T, *script)) {
	t.Helper()
	inBubble(t, func(t *testing.T, r *rig) {
		s := &script{rig: r, data: encrypted(t, newAESGCM(t, make([]byte, 32)), []byte("the plaintext"))}
		r.serve(t, filesAddr, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("auth") != "dl+token/1" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_, _ = w.Write(s.data)
		})
		s.Next("DataToken.Request", privicoretest.Fault{Status: 202, Header: http.Header{
			"X-DPT-CAB-ID": {commandID}, "X-DPT-CAB-REQUEST-ID": {requestID},
		}})
		require.NoError(t, s.client.Connect(t.Context()))
		test(t, s)
	})
}

// say pushes messages, given as JSON with the places for what varies.
func (s *script) say(messages ...string) {
	replacer := strings.NewReplacer("$R", requestID, "$C", commandID, "$F", filesAddr, "$DATA", base64.StdEncoding.EncodeToString(s.data))
	for _, message := range messages {
		s.PushRaw("alice", false, []byte(`{"data":`+replacer.Replace(message)+`}`))
	}
}

func (s *script) retrieve(ctx context.Context, t *testing.T) (string, error) {
	plaintext, err := s.client.DataToken.Retrieve(ctx, dataToken1, privicore.Retrieval{Cipher: newAESGCM(t, make([]byte, 32))})
	if err != nil {
		return "", err
	}
	defer plaintext.Close()
	data, err := io.ReadAll(plaintext)
	return string(data), err
}

const (
	ack       = `{"type":"X-DPT-CAB-ID","id":"$C","command_status":2,"body":null}`
	pending   = `{"type":"X-DPT-CAB-ID","id":"$C","command_status":1,"body":"started"}`
	statusMsg = `{"type":"X-DPT-CAB-REQUEST-ID","id":"$R","data_context":"tests","output_type":0,"body":"The data is being prepared, see https://privicore.test/help."}`
	word      = `{"type":"X-DPT-CAB-REQUEST-ID","id":"$R","output_type":0,"body":"starting"}`
	empty     = `{"type":"X-DPT-CAB-REQUEST-ID","id":"$R","output_type":0,"body":""}`
	null      = `{"type":"X-DPT-CAB-REQUEST-ID","id":"$R","output_type":0,"body":null}`
	object    = `{"type":"X-DPT-CAB-REQUEST-ID","id":"$R","output_type":0,"body":{"progress":3}}`
	payload   = `{"type":"X-DPT-CAB-REQUEST-ID","id":"$R","data_context":"tests","output_type":0,"body":"$DATA"}`
	link      = `{"type":"X-DPT-CAB-REQUEST-ID","id":"$R","output_type":1,"body":"http://$F/?auth=dl%2Btoken%2F1"}`
	linkText  = `{"type":"X-DPT-CAB-REQUEST-ID","id":"$R","output_type":"1","body":"http://$F/?auth=dl%2Btoken%2F1"}`
	otherLink = `{"type":"X-DPT-CAB-REQUEST-ID","id":"$R","output_type":1,"body":"http://127.0.0.1:1/?auth=x"}`
	bare      = `{"type":"X-DPT-CAB-REQUEST-ID","id":"$R","output_type":1,"body":"dl+token/1"}`
	ready     = `{"type":"STREAM-READY","requestId":"$R","streamUrl":"http://$F"}`
	readyByID = `{"type":"STREAM-READY","id":"$R","streamUrl":"http://$F/"}`
	readyFull = `{"type":"STREAM-READY","id":"x","requestId":"$R","streamUrl":"http://$F/?auth=dl%2Btoken%2F1"}`
	linkHost  = `{"type":"X-DPT-CAB-REQUEST-ID","id":"$R","output_type":1,"body":"$F?auth=dl%2Btoken%2F1"}`
	linkSlash = `{"type":"X-DPT-CAB-REQUEST-ID","id":"$R","output_type":1,"body":"$F/?auth=dl%2Btoken%2F1"}`
	readyHost = `{"type":"STREAM-READY","requestId":"$R","streamUrl":"$F"}`
	readyNot  = `{"type":"STREAM-READY","requestId":"$R","streamUrl":""}`
	foreign   = `{"type":"X-DPT-CAB-REQUEST-ID","id":"other","output_type":0,"body":"b3RoZXIgcGVvcGxlJ3MgZGF0YSwgYW5kIGVub3VnaCBvZiBpdA=="}`
	foreign2  = `{"type":"STREAM-READY","requestId":"other","streamUrl":"http://127.0.0.1:1/?auth=x"}`
	telemetry = `{"type":"TELEMETRY","id":"$R","body":"b3RoZXIgcGVvcGxlJ3MgZGF0YSwgYW5kIGVub3VnaCBvZiBpdA=="}`
)

// The announcements that there are, as documented and as observed, in the
// orders in which they can come.
func TestAnnouncements(t *testing.T) {
	t.Parallel()
	for name, messages := range map[string][]string{
		"documented":                   {pending, ack, statusMsg, link},
		"documented, number as text":   {ack, statusMsg, linkText},
		"documented, before the ack":   {statusMsg, link, ack},
		"documented, no ack":           {link},
		"documented, no scheme":        {ack, linkHost},
		"documented, only a path":      {ack, linkSlash},
		"observed, stream, no scheme":  {ack, bare, readyHost},
		"observed, inline":             {pending, ack, payload},
		"observed, no ack":             {payload},
		"observed, stream":             {ack, bare, ready},
		"observed, stream by id":       {ack, bare, readyByID},
		"observed, stream first":       {ack, ready, bare},
		"observed, stream with token":  {ack, readyFull},
		"observed, both tokens":        {ack, bare, readyFull},
		"texts before the payload":     {ack, statusMsg, word, empty, null, object, payload},
		"texts before the stream":      {ack, statusMsg, word, bare, statusMsg, readyNot, word, ready},
		"other people's in between":    {foreign, ack, foreign2, telemetry, statusMsg, foreign, bare, foreign2, foreign, ready},
		"many texts before":            {ack, statusMsg, statusMsg, statusMsg, statusMsg, statusMsg, statusMsg, payload},
		"a payload, and then rubbish":  {ack, payload, bare, readyFull, link},
		"a link, and then the payload": {ack, link, payload},
		"a link, and then another":     {ack, link, otherLink},
	} {
		t.Run(name+"/early", func(t *testing.T) {
			t.Parallel()
			scripted(t, func(t *testing.T, s *script) {
				s.say(messages...) // before the request is even sent
				got, err := s.retrieve(t.Context(), t)
				require.NoError(t, err)
				assert.Equal(t, "the plaintext", got)
			})
		})
		t.Run(name+"/late", func(t *testing.T) {
			t.Parallel()
			scripted(t, func(t *testing.T, s *script) {
				// The request's own pending result: the messages come one by one
				// while it is being waited for.
				p, err := s.client.DataToken.Request(t.Context(), dataToken1)
				require.NoError(t, err)
				go func() {
					for _, message := range messages {
						time.Sleep(time.Second)
						s.say(message)
					}
				}()
				data, err := p.Result(t.Context())
				require.NoError(t, err)
				got, err := decrypted(newAESGCM(t, make([]byte, 32)), data)
				require.NoError(t, err)
				require.NoError(t, data.Close())
				assert.Equal(t, "the plaintext", string(got))
				if strings.Contains(strings.Join(messages, ""), "data_context") && !strings.HasPrefix(name, "a link") {
					assert.Equal(t, "tests", data.Context)
				}
				time.Sleep(time.Duration(len(messages)) * time.Second) // until all is said
			})
		})
	}
}

// A wait that was given up can be taken up again, and nothing that was heard
// meanwhile is lost.
func TestResultResumes(t *testing.T) {
	t.Parallel()
	scripted(t, func(t *testing.T, s *script) {
		p, err := s.client.DataToken.Request(t.Context(), dataToken1)
		require.NoError(t, err)
		s.say(ack, statusMsg, bare)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = p.Result(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		waited, ok := errors.AsType[*privicore.WaitError](err)
		require.True(t, ok, "%T", err)
		assert.Equal(t, commandID, waited.ID)
		assert.Equal(t, "DataToken.Request", waited.Operation)
		assertHidden(t, p, "dl+token/1")
		s.say(ready)
		data, err := p.Result(t.Context())
		require.NoError(t, err)
		got, err := decrypted(newAESGCM(t, make([]byte, 32)), data)
		require.NoError(t, err)
		require.NoError(t, data.Close())
		assert.Equal(t, "the plaintext", string(got))
		assertHidden(t, p, "dl+token/1", "dl%2Btoken%2F1")
	})
}

// Another process goes on with the ids.
func TestResultFromIDs(t *testing.T) {
	t.Parallel()
	scripted(t, func(t *testing.T, s *script) {
		p := &privicore.PendingData{Command: s.client.Command(commandID), RequestID: requestID}
		s.say(payload)
		data, err := p.Result(t.Context())
		require.NoError(t, err)
		require.NoError(t, data.Close())

		_, err = new(privicore.PendingData).Result(t.Context())
		assert.ErrorContains(t, err, "does not come from a client")
		_, err = (&privicore.Pending[*privicore.TemporaryToken]{}).Result(t.Context())
		assert.ErrorContains(t, err, "does not come from a client")
	})
}

// An announced address is looked at like any other.
func TestAnnouncedAddressRefused(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"http://files.test/?auth=dl-secret", "files.test:80/?auth=dl-secret", "ftp://127.0.0.1/?auth=dl-secret",
		"://?auth=dl-secret", "http://%zz/?auth=dl-secret",
	} {
		scripted(t, func(t *testing.T, s *script) {
			s.say(ack, `{"type":"X-DPT-CAB-REQUEST-ID","id":"$R","output_type":1,"body":"`+target+`"}`)
			_, err := s.retrieve(t.Context(), t)
			requireStep(t, privicore.StepDownload, err)
			require.ErrorIs(t, err, privicore.ErrValidation)
			assertHidden(t, err, "dl-secret")
		})
	}
}

// Without a gap nothing is given up before ctx ends, however long it takes.
func TestAnnouncementThatDoesNotCome(t *testing.T) {
	t.Parallel()
	scripted(t, func(t *testing.T, s *script) {
		s.say(ack, statusMsg)
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		_, err := s.retrieve(ctx, t)
		requireStep(t, privicore.StepAnswer, err)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestRetrieveWhenTheClientIsClosed(t *testing.T) {
	t.Parallel()
	scripted(t, func(t *testing.T, s *script) {
		go func() {
			time.Sleep(time.Minute)
			_ = s.client.Close()
		}()
		_, err := s.retrieve(t.Context(), t)
		assert.ErrorIs(t, err, privicore.ErrClosed)
		assert.Equal(t, 1, s.Calls("DataToken.Request"), "it was waiting")
		_, err = s.retrieve(t.Context(), t)
		assert.ErrorIs(t, err, privicore.ErrClosed)
		_, err = s.client.DataToken.Download(t.Context(), privicore.NewSecret("http://"+filesAddr))
		assert.ErrorIs(t, err, privicore.ErrClosed)
	})
}

// An announcement that goes out while nobody is there does not come again. The
// error comes about 5 s after the end of the command is known, to those who wait
// meanwhile and to those who come later. Who hears that it goes on does not give
// up.
func TestAnnouncementLost(t *testing.T) {
	t.Parallel()
	scripted(t, func(t *testing.T, s *script) {
		c := newAESGCM(t, make([]byte, 32))
		going, err := s.client.DataToken.Request(t.Context(), dataToken1) // the scripted one
		require.NoError(t, err)
		token := s.store(t, c, noise(small))
		var lost [2]*privicore.PendingData
		for i := range lost {
			s.Next("DataToken.Request", privicoretest.Fault{Latency: 50 * time.Millisecond})
			lost[i], err = s.client.DataToken.Request(t.Context(), token)
			require.NoError(t, err)
		}
		var waiting sync.WaitGroup
		expectLost := func(p *privicore.PendingData) {
			started := time.Now()
			_, err := p.Result(t.Context())
			assert.ErrorIs(t, err, privicore.ErrAnswerLost)
			took := time.Since(started)
			assert.GreaterOrEqual(t, took, 5*time.Second)
			assert.Less(t, took, 6*time.Second)
		}

		waiting.Go(func() { expectLost(lost[0]) })
		s.RefuseConnections(1, http.StatusServiceUnavailable)
		s.DropConnections()
		for s.Joins() < 2 {
			time.Sleep(time.Millisecond)
		}
		s.say(ack)
		waiting.Go(func() { expectLost(lost[1]) })
		waiting.Go(func() {
			data, err := going.Result(t.Context())
			if assert.NoError(t, err) {
				got, err := decrypted(c, data)
				assert.NoError(t, err)
				assert.Equal(t, "the plaintext", string(got))
				assert.NoError(t, data.Close())
			}
		})
		for _, message := range []string{statusMsg, statusMsg, payload} {
			time.Sleep(4 * time.Second)
			s.say(message)
		}
		waiting.Wait()

		plaintext, err := s.client.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: c})
		require.NoError(t, err, "requested again")
		_, n := sumOf(t, plaintext)
		require.NoError(t, plaintext.Close())
		assert.Equal(t, int64(small), n)
	})
}

// A connection that is replaced while the data is still being prepared loses
// nothing.
func TestAnnouncementAfterAGap(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		c := newAge(t)
		token := r.store(t, c, noise(small))
		r.Next("DataToken.Request", privicoretest.Fault{Latency: time.Minute})
		p, err := r.client.DataToken.Request(t.Context(), token)
		require.NoError(t, err)
		r.DropConnections()
		data, err := p.Result(t.Context())
		require.NoError(t, err)
		got, err := decrypted(c, data)
		require.NoError(t, err)
		require.NoError(t, data.Close())
		assert.Len(t, got, small)
	})
}

// A gate holds the data back until its poll has ended; a rejection is the
// answer.
func TestRetrieveGated(t *testing.T) {
	t.Parallel()
	for _, yes := range []bool{true, false} {
		inBubble(t, func(t *testing.T, r *rig) {
			c := newAge(t)
			token := r.store(t, c, noise(small))
			gate(t, r.client)
			plaintext, err := r.client.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: c})
			if !yes {
				requireStep(t, privicore.StepAnswer, err)
				rejected, ok := errors.AsType[*privicore.CommandError](err)
				require.True(t, ok, "%v", err)
				assert.NotEmpty(t, rejected.Messages)
				return
			}
			require.NoError(t, err)
			_, n := sumOf(t, plaintext)
			require.NoError(t, plaintext.Close())
			assert.Equal(t, int64(small), n)
		}, privicoretest.WithVoter(func(privicoretest.Poll) bool { return yes }))
	}
}

// gate puts a vote before the retrieval of data.
func gate(t *testing.T, c *privicore.Client) {
	t.Helper()
	templates, err := c.Policy.ListTemplates(t.Context())
	require.NoError(t, err)
	for _, template := range templates {
		for _, event := range template.Events {
			if event.Title == "Retrieve data" {
				_, err := c.Policy.Gate(t.Context(), privicore.GateRequest{Name: "vote", Template: template.ID, Events: []string{event.ID}})
				require.NoError(t, err)
				return
			}
		}
	}
	require.Fail(t, "no template gates the retrieval of data")
}

// Wait knows the outcome that Result learned, and Result the one that Wait did.
func TestPendingDataSharesItsOutcome(t *testing.T) {
	t.Parallel()
	for _, rejected := range []bool{false, true} {
		for _, waitFirst := range []bool{false, true} {
			inBubble(t, func(t *testing.T, r *rig) {
				token := r.store(t, newAge(t), noise(small))
				if rejected {
					r.Next("DataToken.Request", privicoretest.Fault{Reject: []string{"no"}})
				}
				pending, err := r.client.DataToken.Request(t.Context(), token)
				require.NoError(t, err)
				result := func() error {
					data, err := pending.Result(t.Context())
					if err == nil {
						err = data.Close()
					}
					return err
				}
				outcome := func() error {
					_, err := pending.Wait(t.Context())
					return err
				}
				first, second := result, outcome
				if waitFirst {
					first, second = outcome, result
				}
				began := time.Now()
				for _, do := range []func() error{first, second} {
					assert.Equal(t, rejected, errors.Is(do(), privicore.ErrRejected))
				}
				assert.Less(t, time.Since(began), time.Second)
			})
		}
	}
}

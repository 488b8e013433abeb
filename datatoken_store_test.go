package privicore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

func TestStoreAndRetrieve(t *testing.T) {
	t.Parallel()
	gcm, chunked := privicore.Cipher(newAESGCM(t, make([]byte, 32))), newAge(t)
	const inline, stream = true, false
	sizes := []struct {
		size int64
		up   bool // inline
		down bool // inline, where the server does that
	}{{0, inline, inline}, {1, inline, inline}, {48 << 10, inline, inline}, {49 << 10, stream, inline}, {64 << 20, stream, stream}}

	for _, dialect := range []privicoretest.Dialect{privicoretest.Documented, privicoretest.Observed} {
		for i, cipher := range []privicore.Cipher{gcm, chunked} {
			for _, tc := range sizes {
				if tc.size > 1<<20 && (underRace || int(dialect) != i) {
					continue // once for each is enough
				}
				t.Run(fmt.Sprintf("dialect %d/%v/%d", dialect, cipher, tc.size), func(t *testing.T) {
					r := newRig(t, privicoretest.WithDialect(dialect))
					var up, down, total int64
					token, err := r.client.DataToken.Store(t.Context(), privicore.Payload{
						Data: noise(tc.size), Cipher: cipher, Context: "invoices", TTL: time.Minute, Name: "march.pdf",
						Progress: func(n int64) { assert.Greater(t, n, up); up = n },
					})
					require.NoError(t, err)
					assert.True(t, strings.HasPrefix(token, "dtk-"))
					assert.Equal(t, tc.size, up)
					calls := [2]int{r.Calls("DataToken.Exchange"), r.Calls("DataToken.Upload")}
					assert.Equal(t, map[bool][2]int{inline: {1, 0}, stream: {0, 1}}[tc.up], calls)

					for stored, err := range r.client.DataToken.All(t.Context(), privicore.DataTokenFilter{Token: token}) {
						require.NoError(t, err)
						assert.Equal(t, []any{token, "invoices", "march.pdf", "pdf", tc.size},
							[]any{stored.Token, stored.Context, stored.FileName, stored.Extension, stored.Size})
					}

					plaintext, err := r.client.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{
						Cipher: cipher, Progress: func(n, of int64) { assert.Greater(t, n, down); down, total = n, of },
					})
					require.NoError(t, err)
					got, n := sumOf(t, plaintext)
					require.NoError(t, plaintext.Close())
					want, _ := sumOf(t, noise(tc.size))
					assert.Equal(t, tc.size, n)
					assert.Equal(t, want, got)
					assert.Equal(t, down, total)
					assert.Greater(t, total, tc.size)
					downloads := 1
					if dialect == privicoretest.Observed && tc.down {
						downloads = 0
					}
					assert.Equal(t, downloads, r.Calls("DataToken.Download"))
				})
			}
		}
	}
}

func TestStoreDefaults(t *testing.T) {
	t.Parallel()
	c := newAESGCM(t, make([]byte, 32))
	for name, want := range map[string][2]string{
		"":            {"payload", "bin"},
		"notes":       {"notes", "bin"},
		"a.tar.gz":    {"a.tar.gz", "gz"},
		"dir.d/notes": {"dir.d/notes", "bin"},
	} {
		r := newRig(t)
		_, err := r.client.DataToken.Store(t.Context(), privicore.Payload{Data: strings.NewReader("x"), Cipher: c, Context: "c", Name: name})
		require.NoError(t, err)
		for stored, err := range r.client.DataToken.All(t.Context(), privicore.DataTokenFilter{}) {
			require.NoError(t, err)
			assert.Equal(t, want, [2]string{stored.FileName, stored.Extension})
		}
	}
}

// A server that gives a bare upload token needs WithUploadURL, and says so only
// when there is something to upload.
func TestStoreBareStreamToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, privicoretest.WithBareStreamToken())
	c := newAge(t)
	r.store(t, c, noise(10))
	_, err := r.client.DataToken.Store(t.Context(), privicore.Payload{Data: noise(100_000), Cipher: c, Context: "tests"})
	requireStep(t, privicore.StepSend, err)
	require.ErrorIs(t, err, privicore.ErrValidation)
	assert.ErrorContains(t, err, "WithUploadURL")

	told := r.newClient(t, privicore.WithUploadURL(r.UploadURL))
	defer told.Close()
	token, err := told.DataToken.Store(t.Context(), privicore.Payload{Data: noise(100_000), Cipher: c, Context: "tests"})
	require.NoError(t, err)
	plaintext, err := told.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: c})
	require.NoError(t, err)
	got, _ := sumOf(t, plaintext)
	require.NoError(t, plaintext.Close())
	want, _ := sumOf(t, noise(100_000))
	assert.Equal(t, want, got)
}

const (
	small = 1000    // goes inline
	large = 1 << 20 // is streamed
)

// Each step that fails names itself, and says what is there to go on with.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	steps := []struct {
		operation string
		step      privicore.Step
		size      int64
		command   bool
	}{
		{"DataToken.Reserve", privicore.StepReserve, small, true},
		{"DataToken.RetrieveTemporary", privicore.StepReserve, small, false},
		{"DataToken.Exchange", privicore.StepSend, small, true},
		{"DataToken.Upload", privicore.StepSend, large, false},
		{"DataToken.ConfigureFileMeta", privicore.StepCommit, large, false},
	}
	faults := map[string]struct {
		fault    privicoretest.Fault
		commands bool // only
		cancel   bool // once the operation has been called
		unsure   bool // what the server did
		is       error
	}{
		"refused":                   {fault: privicoretest.Fault{Status: 403, Body: `"not.yours"`}, is: privicore.ErrForbidden},
		"invalid":                   {fault: privicoretest.Fault{Status: 422, Body: `{"message":"no"}`}, is: privicore.ErrValidation},
		"broken":                    {fault: privicoretest.Fault{Status: 500}, unsure: true},
		"broken, but done":          {fault: privicoretest.Fault{Status: 502, AfterEffect: true}, unsure: true},
		"dropped":                   {fault: privicoretest.Fault{Drop: true}, unsure: true},
		"dropped, but done":         {fault: privicoretest.Fault{Drop: true, AfterEffect: true}, unsure: true},
		"cancelled":                 {fault: privicoretest.Fault{Delay: time.Hour}, cancel: true, unsure: true, is: context.Canceled},
		"rejected":                  {fault: privicoretest.Fault{Reject: []string{"vote.denied"}}, commands: true},
		"without an id":             {fault: privicoretest.Fault{NoID: true}, commands: true, is: privicore.ErrNoCommandID},
		"cancelled while it is run": {fault: privicoretest.Fault{Latency: time.Hour}, commands: true, cancel: true, is: context.Canceled},
	}
	c := newAge(t)
	for _, s := range steps {
		for name, f := range faults {
			if f.commands && !s.command {
				continue
			}
			t.Run(s.operation+"/"+name, func(t *testing.T) {
				t.Parallel()
				inBubble(t, func(t *testing.T, r *rig) {
					require.NoError(t, r.client.Connect(t.Context()))
					r.Next(s.operation, f.fault)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if f.cancel {
						time.AfterFunc(10*time.Second, cancel)
					}
					started := time.Now()
					token, err := r.client.DataToken.Store(ctx, privicore.Payload{Data: noise(s.size), Cipher: c, Context: "tests", Name: "n.txt"})
					if s.operation == "DataToken.RetrieveTemporary" && f.fault.Drop {
						require.NoError(t, err, "a read is sent again when a used connection breaks")
						return
					}
					failed := requireStep(t, s.step, err)
					assert.Less(t, time.Since(started), 15*time.Second)
					assert.Equal(t, s.step != privicore.StepCommit || !f.unsure, failed.Repeatable())
					assert.Empty(t, token)
					assert.Equal(t, 1, r.Calls(s.operation), "it is not repeated")
					if f.is != nil {
						assert.ErrorIs(t, err, f.is)
					}
					if f.fault.Status != 0 {
						apiErr, ok := errors.AsType[*privicore.APIError](err)
						require.True(t, ok, "%T", failed.Err)
						assert.Equal(t, f.fault.Status, apiErr.StatusCode)
					}
					if f.fault.Reject != nil {
						rejected, ok := errors.AsType[*privicore.CommandError](err)
						require.True(t, ok)
						assert.Equal(t, f.fault.Reject, rejected.Messages)
					}
					if f.fault.AfterEffect && s.operation != "DataToken.RetrieveTemporary" {
						assert.ErrorIs(t, err, privicore.ErrAmbiguous)
					}

					// What can be resumed, is.
					assert.Equal(t, s.step != privicore.StepReserve, failed.Temporary != nil)
					refused := f.fault.Status == 403 || f.fault.Status == 422 || f.fault.Reject != nil
					switch {
					case s.step == privicore.StepReserve, s.step == privicore.StepSend && refused:
						assert.Zero(t, failed.Meta, "there is nothing to complete")
					case s.step == privicore.StepCommit && f.fault.AfterEffect:
						assert.Equal(t, 1, r.tokens(t), "List finds it")
					case s.step == privicore.StepCommit, f.fault.AfterEffect:
						assert.Equal(t, privicore.FileMeta{FileName: "n.txt", Extension: "txt", Context: "tests", Size: s.size, Path: "/"}, failed.Meta)
						// An exchange whose answer was lost may still be running.
						time.Sleep(time.Second)
						token, err = r.client.DataToken.ConfigureFileMeta(t.Context(), failed.Temporary.Token, failed.Meta)
						require.NoError(t, err)
						plaintext, err := r.client.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: c})
						require.NoError(t, err)
						got, _ := sumOf(t, plaintext)
						require.NoError(t, plaintext.Close())
						want, _ := sumOf(t, noise(s.size))
						assert.Equal(t, want, got)
					}
				})
			})
		}
	}
}

// A source that fails is no source that ends, wherever it does.
func TestStoreDataFails(t *testing.T) {
	t.Parallel()
	gcm := newAESGCM(t, make([]byte, 32))
	for _, cipher := range []privicore.Cipher{gcm, newAge(t)} {
		for _, n := range []int64{0, small, 300_000, 10 << 20} {
			for _, broken := range []error{errDisk, io.ErrUnexpectedEOF, io.ErrClosedPipe, fmt.Errorf("wrapped: %w", io.EOF), context.Canceled} {
				t.Run(fmt.Sprintf("%v/%d/%v", cipher, n, broken), func(t *testing.T) {
					r := newRig(t)
					_, err := r.client.DataToken.Store(t.Context(), privicore.Payload{
						Data: breaking(n, func() error { return broken }), Cipher: cipher, Context: "tests",
					})
					failed := requireStep(t, privicore.StepEncrypt, err)
					assert.Equal(t, broken, failed.Err)
					r.requireNothingArrived(t, failed)
				})
			}
		}
	}
}

// A Cipher that fails, in each of its calls and with errors that look like an
// end.
func TestStoreCipherFails(t *testing.T) {
	t.Parallel()
	for _, broken := range []error{errDisk, io.EOF, io.ErrUnexpectedEOF} {
		for name, cipher := range map[string]fakeCipher{
			"at the start": {start: broken},
			"on a write":   {after: 0, write: broken},
			"later":        {after: 200_000, write: broken},
			"at the end":   {after: 1 << 30, end: broken},
		} {
			for _, n := range []int64{small, large} {
				t.Run(fmt.Sprintf("%v/%s/%d", broken, name, n), func(t *testing.T) {
					if n < cipher.after && cipher.end == nil {
						return // it would not come so far
					}
					r := newRig(t)
					_, err := r.client.DataToken.Store(t.Context(), privicore.Payload{Data: noise(n), Cipher: cipher, Context: "tests"})
					failed := requireStep(t, privicore.StepEncrypt, err)
					assert.Equal(t, broken, failed.Err)
					r.requireNothingArrived(t, failed)
				})
			}
		}
	}
}

// fakeCipher does not encrypt, and fails where it is told to.
type fakeCipher struct {
	start, write, end error
	after             int64
}

func (c fakeCipher) Encrypt(_ context.Context, dst io.Writer, _ privicore.Binding) (io.WriteCloser, error) {
	return &fakeWriter{c, dst, 0}, c.start
}

func (c fakeCipher) Decrypt(_ context.Context, src io.Reader, _ privicore.Binding) (io.Reader, error) {
	return src, nil
}

func (c fakeCipher) Binds() bool { return false }

type fakeWriter struct {
	fakeCipher
	dst io.Writer
	n   int64
}

func (w *fakeWriter) Write(p []byte) (int, error) {
	if w.n >= w.after {
		return 0, w.write
	}
	n, err := w.dst.Write(p)
	w.n += int64(n)
	return n, err
}

func (w *fakeWriter) Close() error { return w.end }

// Too large a payload for its cipher is refused before it is sent.
func TestStoreTooLarge(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := newAESGCM(t, make([]byte, 32))
	_, err := r.client.DataToken.Store(t.Context(), privicore.Payload{Data: io.LimitReader(zeros{}, privicore.MaxAESGCM+1), Cipher: c, Context: "tests"})
	requireStep(t, privicore.StepEncrypt, err)
	require.ErrorIs(t, err, privicore.ErrTooLarge)
	assert.Zero(t, r.Calls("DataToken.Upload"))
}

// A connection that breaks in the middle, or a caller who has had enough.
func TestStoreInterrupted(t *testing.T) {
	t.Parallel()
	c := newAge(t)
	const whole, part = 256 << 20, 20 << 20
	t.Run("connection dropped", func(t *testing.T) {
		r := newRig(t)
		r.Next("DataToken.Upload", privicoretest.Fault{Drop: true})
		data := &counter{r: noise(whole)}
		_, err := r.client.DataToken.Store(t.Context(), privicore.Payload{Data: data, Cipher: c, Context: "tests"})
		failed := requireStep(t, privicore.StepSend, err)
		assert.Zero(t, failed.Meta, "not all was sent")
		assert.NotErrorIs(t, err, privicore.ErrAmbiguous)
		assert.Less(t, data.n, int64(whole))
		assert.Zero(t, r.tokens(t))
	})
	for name, stop := range map[string]func(r *rig, cancel context.CancelFunc){
		"cancelled": func(_ *rig, cancel context.CancelFunc) { cancel() },
		"closed":    func(r *rig, _ context.CancelFunc) { _ = r.client.Close() },
	} {
		for _, n := range []int64{small, part} {
			t.Run(fmt.Sprint(name, "/", n), func(t *testing.T) {
				r := newRig(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				returned := atomic.Bool{}
				data := readerFunc(func(p []byte) (int, error) {
					assert.False(t, returned.Load(), "Data is the caller's again")
					clear(p)
					return len(p), nil
				})
				_, err := r.client.DataToken.Store(ctx, privicore.Payload{
					Data: io.MultiReader(breaking(n, func() error { stop(r, cancel); return io.EOF }), data), Cipher: c, Context: "tests",
				})
				returned.Store(true)
				failed := requireStep(t, privicore.StepSend, err)
				assert.Zero(t, failed.Meta)
				if name == "closed" {
					assert.ErrorIs(t, err, privicore.ErrClosed)
				} else {
					assert.ErrorIs(t, err, context.Canceled)
				}
			})
		}
	}
}

// A Data that blocks, like a terminal, does not hold Store for long.
func TestStoreBlockedData(t *testing.T) {
	t.Parallel()
	gcm := privicore.Cipher(newAESGCM(t, make([]byte, 32)))
	for name, tc := range map[string]struct {
		cipher privicore.Cipher
		n      int64 // before it blocks
		closed bool  // the client, instead of ctx
	}{
		"at the start":          {newAge(t), 0, false},
		"while it is gathered":  {gcm, 200_000, true},
		"while it is sent":      {newAge(t), 200_000, false},
		"while it is sent, too": {newAge(t), 200_000, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, r *rig) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				release := make(chan struct{})
				reads := 0
				data := breaking(tc.n, func() error {
					if reads++; reads == 1 {
						<-release
					}
					return nil // there would be more
				})
				time.AfterFunc(time.Second, func() {
					if tc.closed {
						_ = r.client.Close()
					} else {
						cancel()
					}
				})
				started := time.Now()
				_, err := r.client.DataToken.Store(ctx, privicore.Payload{Data: data, Cipher: tc.cipher, Context: "tests"})
				requireStep(t, privicore.StepSend, err)
				assert.Equal(t, 2*time.Second, time.Since(started), "a Read is waited for, for a second")
				close(release)
				// The Read that was under way was the last one.
				synctest.Wait()
				assert.Equal(t, 1, reads)
			})
		})
	}
}

// A success that comes before the data has is no success.
func TestStoreAnsweredEarly(t *testing.T) {
	t.Parallel()
	r := newRig(t, privicoretest.WithBareStreamToken())
	hasty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	defer hasty.Close()
	c := r.newClient(t, privicore.WithUploadURL(hasty.URL))
	defer c.Close()
	_, err := c.DataToken.Store(t.Context(), privicore.Payload{Data: noise(64 << 20), Cipher: newAge(t), Context: "tests"})
	failed := requireStep(t, privicore.StepSend, err)
	assert.Zero(t, failed.Meta)
	assert.Zero(t, r.Calls("DataToken.ConfigureFileMeta"))
}

// What a file is read for is the caller's again when Store or Upload returns:
// one who rewinds it to try again must not lose a part.
func TestStoreAgainFromTheSameReader(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := newAge(t)
	content, err := io.ReadAll(noise(8 << 20))
	require.NoError(t, err)
	data := &exclusive{t: t, r: bytes.NewReader(content)}
	for range 3 {
		r.Next("DataToken.Upload", privicoretest.Fault{Drop: true})
		_, err := r.client.DataToken.Store(t.Context(), privicore.Payload{Data: data, Cipher: c, Context: "tests"})
		requireStep(t, privicore.StepSend, err)
		data.rewind()
	}
	token := r.store(t, c, data)
	plaintext, err := r.client.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: c})
	require.NoError(t, err)
	got, err := io.ReadAll(plaintext)
	require.NoError(t, err)
	require.NoError(t, plaintext.Close())
	assert.True(t, bytes.Equal(content, got))
}

// exclusive fails the test when it is used by two at a time.
type exclusive struct {
	t    *testing.T
	r    *bytes.Reader
	used atomic.Int32
}

func (e *exclusive) Read(p []byte) (int, error) {
	assert.Equal(e.t, int32(1), e.used.Add(1))
	defer e.used.Add(-1)
	return e.r.Read(p)
}

func (e *exclusive) rewind() {
	assert.Equal(e.t, int32(1), e.used.Add(1))
	defer e.used.Add(-1)
	_, err := e.r.Seek(0, io.SeekStart)
	assert.NoError(e.t, err)
}

// Upload on its own does not close what it reads, and leaves it alone after.
func TestUploadLeavesTheReader(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, fault := range []privicoretest.Fault{{}, {Drop: true}, {Status: 401}} {
		pending, err := r.client.DataToken.Reserve(t.Context(), privicore.ReserveRequest{Context: "tests"})
		require.NoError(t, err)
		temporary, err := pending.Result(t.Context())
		require.NoError(t, err)
		r.Next("DataToken.Upload", fault)
		data := &closeCounter{exclusive: exclusive{t: t, r: bytes.NewReader(make([]byte, 32<<20))}}
		err = r.client.DataToken.Upload(t.Context(), temporary.Stream, data)
		data.rewind()
		assert.Zero(t, data.closed.Load())
		if fault.Status == 0 && !fault.Drop {
			require.NoError(t, err)
			// The token is used up.
			err = r.client.DataToken.Upload(t.Context(), temporary.Stream, strings.NewReader("x"))
			require.ErrorIs(t, err, privicore.ErrUnauthorized)
			assertHidden(t, err, temporary.Stream.Reveal()[len(r.UploadURL)+len("/?auth="):])
		}
		assert.Error(t, err)
	}
}

// A Read that is under way when the call has failed is waited for.
func TestSlowReaderIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, send := range map[string]func(ctx context.Context, r *rig, data io.Reader) error{
		"Store": func(ctx context.Context, r *rig, data io.Reader) error {
			_, err := r.client.DataToken.Store(ctx, privicore.Payload{Data: data, Cipher: fakeCipher{after: 1 << 40}, Context: "tests"})
			return err
		},
		"Upload": func(ctx context.Context, r *rig, data io.Reader) error {
			return r.client.DataToken.Upload(ctx, privicore.NewSecret(r.UploadURL+"/?auth=unknown"), data)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, r *rig) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				finished := atomic.Bool{}
				data := breaking(5<<20, func() error {
					assert.False(t, finished.Load(), "and not read again")
					cancel()
					time.Sleep(900 * time.Millisecond)
					finished.Store(true)
					return nil
				})
				require.ErrorIs(t, send(ctx, r, data), context.Canceled)
				assert.True(t, finished.Load())
			})
		})
	}
}

// net/http would wait for a reader that blocks, whatever becomes of the call.
func TestUploadBlockedReader(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		r.Next("DataToken.Upload", privicoretest.Fault{Delay: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		release := make(chan struct{})
		data := breaking(1000, func() error {
			cancel()
			<-release
			return errDisk
		})
		started := time.Now()
		err := r.client.DataToken.Upload(ctx, privicore.NewSecret(r.UploadURL+"/?auth=x"), data)
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, time.Second, time.Since(started))
		close(release)

		err = r.client.DataToken.Upload(t.Context(), privicore.NewSecret(r.UploadURL+"/?auth=x"), breaking(200_000, func() error { return errDisk }))
		require.ErrorIs(t, err, errDisk)
		require.NotErrorIs(t, err, privicore.ErrAmbiguous)
	})
}

type closeCounter struct {
	exclusive
	closed atomic.Int32
}

func (c *closeCounter) Close() error { c.closed.Add(1); return nil }

// faultThatHangs is longer than anything waits.
var faultThatHangs = privicoretest.Fault{Delay: 24 * time.Hour}

// sourceFunc is a TokenSource.
type sourceFunc func(ctx context.Context) (*privicore.AuthorizationToken, error)

func (f sourceFunc) Token(ctx context.Context) (*privicore.AuthorizationToken, error) { return f(ctx) }

// refusing is a network that has no way to one path.
type refusing struct {
	http.RoundTripper
	path string
}

func (n refusing) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == n.path {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	return n.RoundTripper.RoundTrip(r)
}

// If no data was sent, the error does not say that data may be on the server,
// whatever went wrong on the way to sending it.
func TestStoreWhenNothingWasSent(t *testing.T) {
	t.Parallel()
	// onceThen is the token of alice, which expires after a time, and then an error
	// that speaks of another call.
	onceThen := func(t *testing.T, r *rig, life time.Duration) privicore.TokenSource {
		asked := 0
		return sourceFunc(func(ctx context.Context) (*privicore.AuthorizationToken, error) {
			if asked++; asked > 1 {
				return nil, fmt.Errorf("vault: %w", privicore.ErrAmbiguous)
			}
			token, err := r.client.Profile.Authenticate(ctx, "alice", "correct horse")
			require.NoError(t, err)
			token.ExpiresAt = time.Now().Add(life)
			return token, nil
		})
	}
	slowly := func(n int64) io.Reader {
		return breaking(n, func() error { time.Sleep(3 * time.Minute); return io.EOF })
	}
	for name, tc := range map[string]struct {
		data   io.Reader
		client func(t *testing.T, r *rig) []privicore.Option
		server []privicoretest.Option
		is     error
		token  bool // the error is a *TokenError
	}{
		"the token has expired": {
			data: slowly(small), token: true,
			client: func(t *testing.T, r *rig) []privicore.Option {
				return []privicore.Option{privicore.WithTokenSource(onceThen(t, r, 2*time.Minute))}
			},
		},
		"the token is refused": {
			data: noise(small), token: true, is: privicore.ErrUnauthorized,
			client: func(t *testing.T, r *rig) []privicore.Option {
				r.Next("DataToken.Exchange", privicoretest.Fault{Status: 401})
				return []privicore.Option{privicore.WithTokenSource(onceThen(t, r, time.Hour))}
			},
		},
		"the token cannot be renewed": {
			data: noise(small), token: true, is: privicore.ErrUnauthorized,
			client: func(t *testing.T, r *rig) []privicore.Option {
				r.Next("DataToken.Exchange", privicoretest.Fault{Status: 401})
				source := onceThen(t, r, time.Hour)
				first, err := source.Token(t.Context())
				require.NoError(t, err)
				r.Next("Profile.Authenticate", privicoretest.Fault{Drop: true, AfterEffect: true})
				return []privicore.Option{privicore.WithToken(first.Token.Reveal())}
			},
		},
		"the server cannot be reached": {
			data: noise(small), is: syscall.ECONNREFUSED,
			client: func(_ *testing.T, r *rig) []privicore.Option {
				network := refusing{r.Client().Transport, "/data-token/exchange-data-for-token"}
				return []privicore.Option{privicore.WithHTTPClient(&http.Client{Transport: network})}
			},
		},
		"the upload server cannot be reached": {
			data: noise(large), is: syscall.ECONNREFUSED, server: []privicoretest.Option{privicoretest.WithBareStreamToken()},
			client: func(*testing.T, *rig) []privicore.Option {
				return []privicore.Option{privicore.WithUploadURL("http://127.0.0.1:4242")}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, r *rig) {
				c := r.newClient(t, tc.client(t, r)...)
				defer c.Close()
				_, err := c.DataToken.Store(t.Context(), privicore.Payload{Data: tc.data, Cipher: newAge(t), Context: "tests"})
				failed := requireStep(t, privicore.StepSend, err)
				assert.Zero(t, failed.Meta)
				assert.NotNil(t, failed.Temporary)
				assert.NotErrorIs(t, err, privicore.ErrAmbiguous)
				assert.True(t, failed.Repeatable())
				if tc.is != nil {
					assert.ErrorIs(t, err, tc.is)
				}
				_, ok := errors.AsType[*privicore.TokenError](err)
				assert.Equal(t, tc.token, ok, "%v", err)

				meta := privicore.FileMeta{FileName: "n", Extension: "e", Context: "c", Path: "/"}
				_, err = r.client.DataToken.ConfigureFileMeta(t.Context(), failed.Temporary.Token, meta)
				require.ErrorContains(t, err, "No data has arrived")
			}, tc.server...)
		})
	}
}

// A Store that ran out of time says which command it waited for.
func TestStoreTimeoutNamesTheCommand(t *testing.T) {
	t.Parallel()
	for operation, tc := range map[string]struct {
		step privicore.Step
		meta bool // the data may be there
	}{
		"DataToken.Reserve":  {privicore.StepReserve, false},
		"DataToken.Exchange": {privicore.StepSend, true},
	} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, r *rig) {
				r.Next(operation, privicoretest.Fault{Latency: 3 * time.Minute})
				var accepted privicore.Response // the last one is that of the operation
				ctx, cancel := context.WithTimeout(privicore.CaptureResponse(t.Context(), &accepted), time.Minute)
				defer cancel()
				_, err := r.client.DataToken.Store(ctx, privicore.Payload{Data: noise(small), Cipher: newAge(t), Context: "tests"})
				failed := requireStep(t, tc.step, err)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, tc.meta, failed.Meta != privicore.FileMeta{})
				assert.True(t, failed.Repeatable())
				waited, ok := errors.AsType[*privicore.WaitError](err)
				require.True(t, ok, "%T", failed.Err)
				assert.Equal(t, operation, waited.Operation)
				cmd, err := accepted.Command()
				require.NoError(t, err)
				assert.Equal(t, cmd.ID, waited.ID)
				result, err := r.client.Command(waited.ID).Wait(t.Context())
				require.NoError(t, err)
				assert.Equal(t, privicore.CommandSucceeded, result.Status)
			})
		})
	}
}

// A reservation that is not found in time is no reason to say that something does
// not exist.
func TestStoreTimeoutBeforeTheReservationIsFound(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		for range 100 {
			r.Next("DataToken.RetrieveTemporary", privicoretest.Fault{Status: 404})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := r.client.DataToken.Store(ctx, privicore.Payload{Data: noise(small), Cipher: newAge(t), Context: "tests"})
		requireStep(t, privicore.StepReserve, err)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, privicore.ErrNotFound)
		waited, ok := errors.AsType[*privicore.WaitError](err)
		require.True(t, ok, "%T", err)
		assert.NotEmpty(t, waited.ID)
		assert.ErrorIs(t, waited.LastPoll, privicore.ErrNotFound)
	})
}

func TestStepErrorRepeatable(t *testing.T) {
	t.Parallel()
	noToken := &privicore.TokenError{Err: privicore.ErrAmbiguous}
	for _, step := range []privicore.Step{
		privicore.StepReserve, privicore.StepEncrypt, privicore.StepSend, privicore.StepCommit,
		privicore.StepRequest, privicore.StepAnswer, privicore.StepDownload, privicore.StepDecrypt,
	} {
		for _, err := range []error{privicore.ErrValidation, context.Canceled, io.EOF, noToken} {
			assert.True(t, (&privicore.StepError{Step: step, Err: err}).Repeatable(), "%s: %v", step, err)
		}
		unclear := fmt.Errorf("cut: %w", privicore.ErrAmbiguous)
		assert.Equal(t, step != privicore.StepCommit, (&privicore.StepError{Step: step, Err: unclear}).Repeatable(), step)
	}
}

// A commit of which nobody can say whether it made a token is not repeated.
func TestStoreCommitUnclear(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]privicoretest.Fault{
		"a success that cannot be read": {Status: 200, Body: `"ok"`, AfterEffect: true},
		"a proxy's timeout":             {Status: 408, AfterEffect: true},
		"a proxy's page":                {Status: 200, Body: "<html>Sign in</html>", AfterEffect: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, r *rig) {
				r.Next("DataToken.ConfigureFileMeta", fault)
				_, err := r.client.DataToken.Store(t.Context(), privicore.Payload{Data: noise(small), Cipher: newAge(t), Context: "tests"})
				failed := requireStep(t, privicore.StepCommit, err)
				require.ErrorIs(t, err, privicore.ErrAmbiguous)
				assert.False(t, failed.Repeatable())
				assert.Equal(t, 1, r.Calls("DataToken.ConfigureFileMeta"))
				assert.Equal(t, 1, r.tokens(t), "List finds it")
			})
		})
	}
}

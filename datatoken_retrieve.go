package privicore

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/realtime"
)

// ErrAnswerLost means that the WebSocket channel was down while the data was
// to be announced over it. The server does not announce twice: request it
// again.
var ErrAnswerLost = errors.New("the WebSocket channel broke before the data was announced")

// answerLag is how long after the end of its command an announcement may
// come, if the channel was down meanwhile.
const answerLag = 5 * time.Second

// PendingData is data that was requested and is being put together from the
// devices that store it. One made of ids that were kept, with Client.Command for
// the command, waits for what has not been announced yet.
type PendingData struct {
	*Command
	RequestID string // under which the data will be announced

	found *announced
}

// Ciphertext is the data behind a token, as it was stored.
type Ciphertext struct {
	io.ReadCloser
	// Context is what the server says the data belongs to, if it does.
	Context string
	// Size is the number of bytes, or -1 if it is not known.
	Size int64
}

// Request asks for the data behind a token: "Request data via token". The data
// is announced over the WebSocket channel and nowhere else, so the channel is
// joined first, and an error if it cannot be had. A client without a WebSocket
// URL can request data only for somebody else to receive. The error matches
// ErrNotFound if there is no such token.
func (s *DataTokenService) Request(ctx context.Context, token string) (*PendingData, error) {
	op := operation.DataTokenRequest
	if err := checkIdentifier(op, "token", token); err != nil {
		return nil, err
	}
	if s.client.channel.Enabled() {
		if err := s.client.Connect(ctx); err != nil {
			return nil, &callError{operation: op, err: fmt.Errorf("data is announced over the WebSocket channel: %w", err)}
		}
	}
	form := struct {
		Token string `url:"token"`
	}{token}
	p := params{form: form}
	cmd, resp, err := s.client.accept(ctx, op, &p)
	if err != nil {
		return nil, err
	}
	id := resp.Header.Get("X-DPT-CAB-REQUEST-ID")
	if id == "" {
		return nil, unreadable(op, &p, resp, "the header X-DPT-CAB-REQUEST-ID is missing")
	}
	return &PendingData{Command: cmd, RequestID: id}, nil
}

// Result waits until the data is announced and opens it: from the announcement
// itself, or from the download server. The caller closes it. A rejection, for
// example by a vote, is a *CommandError; after a gap in the channel the error
// may match ErrAnswerLost. If ctx ends first, Result may be called again, but
// not by two goroutines at a time.
//
// A text in an announcement counts as data from 28 bytes on, the least that
// AESGCM makes of anything: observed servers send the data where documented
// ones say how far they are.
func (p *PendingData) Result(ctx context.Context) (*Ciphertext, error) {
	if err := p.wait(ctx); err != nil {
		return nil, err
	}
	return p.open(ctx)
}

// open opens the data that was announced.
func (p *PendingData) open(ctx context.Context) (*Ciphertext, error) {
	found := p.found
	if found.inline != nil {
		body := io.NopCloser(bytes.NewReader(found.inline))
		return &Ciphertext{ReadCloser: body, Context: found.context, Size: int64(len(found.inline))}, nil
	}
	data, err := p.client.DataToken.Download(ctx, found.url)
	if err != nil {
		return nil, err
	}
	data.Context = found.context
	return data, nil
}

// needChannel is the refusal to wait for what could not be heard.
func (c *Client) needChannel() error {
	if c.channel.Enabled() {
		return nil
	}
	return badOption("WebSocket URL", "is not set, and data is announced over that channel only; use WithWebSocketURL")
}

// wait waits for the messages that say where the data is.
func (p *PendingData) wait(ctx context.Context) error {
	if err := p.check(); err != nil {
		return err
	}
	if err := p.client.needChannel(); err != nil {
		return err
	}
	if p.found == nil {
		p.found = new(announced)
	}
	channel := p.client.channel
	watch := channel.WatchRequest(p.RequestID)
	defer watch.Stop()

	// The command tells of a rejection, and its end says that the data should
	// have been announced.
	ended := make(chan error, 1)
	waitCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !p.client.begin() {
		return ErrClosed
	}
	go func() {
		defer p.client.background.Done()
		_, err := p.Wait(waitCtx)
		ended <- err
	}()

	var late <-chan time.Time // fires when nothing more is to be expected
	_, changed := channel.State()
	_, gap := channel.Missed(watch.Since(p.joined))
	done := false
	for !p.found.complete() {
		if done && gap && late == nil {
			late = time.After(answerLag)
		}
		select {
		case <-watch.Ready():
			for _, m := range watch.Take() {
				p.found.take(&m)
			}
			late = nil // something goes on
		case err := <-ended:
			if err != nil {
				return err
			}
			done = true
		case <-changed:
			_, changed = channel.State()
			gap = true
		case <-late:
			return ErrAnswerLost
		case <-ctx.Done():
			return ctx.Err()
		case <-p.client.life.Done():
			return ErrClosed
		}
	}
	return nil
}

// announced is what is known of where the data is.
type announced struct {
	context string
	inline  []byte
	token   Secret // for the download server, of a stream that is not ready yet
	server  Secret // the download server of that stream
	url     Secret // complete
}

func (a *announced) complete() bool { return a.inline != nil || !a.url.IsZero() }

// take reads one message, in the documented or the observed meaning.
func (a *announced) take(m *realtime.Message) {
	if a.complete() {
		return
	}
	if m.DataContext != "" {
		a.context = m.DataContext
	}
	var body string
	if isJSONString(m.Body) {
		_ = json.Unmarshal(m.Body, &body)
	}
	switch {
	case m.Type == realtime.TypeStream:
		a.server = NewSecret(m.StreamURL)
	case m.OutputType == 1 && strings.Contains(body, "://"):
		a.url = NewSecret(body)
		return
	case m.OutputType == 1:
		a.token = NewSecret(body)
	default:
		// Observed servers send the payload itself, documented ones a text
		// that says how far they are.
		a.inline = payloadIn(body)
	}
	switch server := a.server.Reveal(); {
	case server == "":
	case authOf(server) != "":
		a.url = a.server
	case !a.token.IsZero():
		a.url = NewSecret(withAuth(server, a.token.Reveal()))
	}
}

// payloadIn decodes an inline payload, or returns nil. No ciphertext is so
// short that a word such as "starting" could be taken for one.
func payloadIn(body string) []byte {
	data, err := base64.StdEncoding.Strict().DecodeString(body)
	if err != nil || len(data) < gcmOverhead {
		return nil
	}
	return data
}

// Retrieval says how Retrieve gets at the data.
type Retrieval struct {
	Cipher Cipher // the one that Store used; required
	// Progress is called as ciphertext arrives, with the number of bytes so
	// far and of all, or -1 if that is not known. It must not block.
	Progress func(bytes, total int64)
}

// Retrieve returns the plaintext behind a token: it requests the data, waits
// for it, fetches and decrypts it. It needs a WebSocket channel. The caller
// closes the reader; ctx and the client must live until then.
//
// The error is a *ValidationError if nothing was sent, a *StepError otherwise,
// also from the reader. A payload of AESGCM is authenticated before Retrieve
// returns, one of agecipher as it is read: the data is whole when the reader
// returns io.EOF, and not before.
func (s *DataTokenService) Retrieve(ctx context.Context, token string, r Retrieval) (io.ReadCloser, error) {
	if r.Cipher == nil {
		return nil, invalid(operation.DataTokenRequest, "cipher", "is nil")
	}
	if err := checkIdentifier(operation.DataTokenRequest, "token", token); err != nil {
		return nil, err
	}
	if err := s.client.needChannel(); err != nil {
		return nil, err
	}
	pending, err := s.Request(ctx, token)
	if err != nil {
		return nil, &StepError{Step: StepRequest, Err: err}
	}
	if err := pending.wait(ctx); err != nil {
		return nil, &StepError{Step: StepAnswer, Err: err}
	}
	found, err := pending.open(ctx)
	if err != nil {
		return nil, &StepError{Step: StepDownload, Err: err}
	}
	source := &progressReader{r: found, total: found.Size, report: r.Progress}
	plaintext, err := r.Cipher.Decrypt(source)
	if err != nil {
		_ = found.Close()
		return nil, source.stepError(err)
	}
	return &retrieved{plaintext, found, source}, nil
}

// progressReader counts what arrives and remembers how it broke off.
type progressReader struct {
	r      io.Reader
	n      int64
	total  int64
	report func(bytes, total int64)
	err    error
}

func (p *progressReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.n += int64(n)
	if p.report != nil && n > 0 {
		p.report(p.n, p.total)
	}
	if err != nil && err != io.EOF {
		p.err = err
	}
	return n, err
}

// stepError tells a download that broke from a ciphertext that is wrong.
func (p *progressReader) stepError(err error) error {
	if p.err != nil {
		return &StepError{Step: StepDownload, Err: p.err}
	}
	return &StepError{Step: StepDecrypt, Err: err}
}

// retrieved is the plaintext, and the connection that it comes from.
type retrieved struct {
	plaintext io.Reader
	data      io.Closer
	source    *progressReader
}

func (r *retrieved) Read(p []byte) (int, error) {
	n, err := r.plaintext.Read(p)
	if err != nil && err != io.EOF {
		err = r.source.stepError(err)
	}
	return n, err
}

func (r *retrieved) Close() error { return r.data.Close() }

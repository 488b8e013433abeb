package privicore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/realtime"
	"github.com/privicore/privicore-go/internal/wait"
	"github.com/privicore/privicore-go/internal/wire"
)

// ErrAnswerLost means that the WebSocket channel was down when the server announced
// the data. The server announces data once, so it has to be requested again.
var ErrAnswerLost = errors.New("the WebSocket channel broke before the data was announced")

// answerLag is how long a wait goes on after the last sign of an announcement, if a
// part of it may have been missed.
const answerLag = 5 * time.Second

// PendingData is data that was requested and that the server is collecting from the
// devices that store it.
//
// To go on in another process, keep both ids. The other process must wait before the
// data is announced:
//
//	pending := &privicore.PendingData{Command: client.Command(id), RequestID: requestID}
//	ciphertext, err := pending.Result(ctx)
type PendingData struct {
	*Command
	RequestID string // id under which the data will be announced

	found *received
}

// received is what a PendingData has received so far. It is a pointer in a struct,
// because some verbs of fmt print what a single pointer leads to.
type received struct{ *wire.Announcement }

// Ciphertext is the data behind a token, as it was stored.
type Ciphertext struct {
	io.ReadCloser
	// Context is what the data belongs to, or "" if the server does not say. The
	// server can say anything, so this is no Binding to decrypt with.
	Context string
	// Size is the number of bytes, or -1 if it is not known.
	Size int64
}

// Request requests the data of a token. It does not wait for the data;
// PendingData.Result does. The server announces the data only over the WebSocket
// channel, so Request joins the channel first, and fails if it cannot. A client
// without a WebSocket URL can request data, but only other clients of the profile
// receive it. The error matches ErrNotFound if the token does not exist.
//
// It is the operation "Request data via token".
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
	pending := new(PendingData)
	err := s.client.send(ctx, op, params{values: url.Values{"token": {token}}}, func(r *request, resp *Response) (err error) {
		if pending.Command, err = readCommand(r, resp); err != nil {
			return err
		}
		if pending.RequestID = resp.Header.Get(requestHeader); pending.RequestID == "" {
			return unreadable(r, resp, "the header X-DPT-CAB-REQUEST-ID is missing")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return pending, nil
}

// Result waits until the data is announced, and returns it. The data is in the
// announcement itself or comes from the download server. The caller closes the
// Ciphertext; ctx and the client must live until then.
//
// If the request was rejected, for example by a vote, the error is a *CommandError.
// If the channel was down meanwhile, it may match ErrAnswerLost. If ctx ends first,
// it is a *WaitError, and Result may be called again. Only one goroutine at a time
// may call Result.
//
// Observed servers put the data where documented ones put a text about the progress.
// Result takes base64 of at least 28 bytes for data. AESGCM never makes less.
func (p *PendingData) Result(ctx context.Context) (*Ciphertext, error) {
	found, err := p.wait(ctx)
	if err != nil {
		return nil, err
	}
	return p.client.openAnnounced(ctx, found)
}

// openAnnounced opens the data that was announced.
func (c *Client) openAnnounced(ctx context.Context, found *wire.Announcement) (*Ciphertext, error) {
	if found.Inline != nil {
		body := io.NopCloser(bytes.NewReader(found.Inline))
		return &Ciphertext{ReadCloser: body, Context: found.Context, Size: int64(len(found.Inline))}, nil
	}
	data, err := c.DataToken.Download(ctx, NewSecret(found.Address))
	if err != nil {
		return nil, err
	}
	data.Context = found.Context
	return data, nil
}

// needChannel returns an error if the client has no WebSocket URL.
func (c *Client) needChannel() error {
	if c.channel.Enabled() {
		return nil
	}
	return &ValidationError{
		Operation: operation.DataTokenRequest.Name, Field: "WebSocket URL",
		Reason: "is not set, and data is announced over that channel only; use WithWebSocketURL",
	}
}

// wait waits for the messages that say where the data is.
func (p *PendingData) wait(ctx context.Context) (*wire.Announcement, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	c := p.client
	if err := c.needChannel(); err != nil {
		return nil, err
	}
	if p.found == nil {
		p.found = &received{new(wire.Announcement)}
	}
	if p.found.Complete() {
		return p.found.Announcement, nil
	}
	p.openChannel()
	feed := p.subscribe()
	defer feed.stop()
	if known := p.outcome.Load(); known != nil {
		if _, err := p.ended(known); err != nil {
			return nil, err
		}
		feed.ended.Store(true)
		feed.heard()
	}
	ctx, feed.seen = c.config.observeWait(ctx, p.Operation(), p.ID)
	err := wait.For(ctx, c.waiting, wait.Task[dataNews]{
		Name:      p.Operation(),
		ID:        p.ID,
		Ask:       func(ctx context.Context) (dataNews, time.Duration, error) { return p.ask(ctx, feed) },
		Accept:    func(news dataNews) (bool, error) { return p.accept(news, feed) },
		Feed:      feed,
		Limiter:   c.limiter,
		Local:     feed.ended.Load, // ask sends nothing then
		Backoff:   pollBackoff,
		Timeout:   pollTimeout,
		NotBefore: p.notBefore,
		Classify:  classifyAnswerLost,
	})
	if err != nil && !errors.Is(err, ErrRejected) && !errors.Is(err, ErrAnswerLost) {
		err = p.waitError(err)
	}
	if err != nil {
		feed.seen.endCommand(p.outcome.Load(), err)
		return nil, err
	}
	feed.seen.end(CommandSucceeded, true, nil)
	return p.found.Announcement, nil
}

// ask polls the command. Once the command has succeeded a poll tells nothing more:
// the data is announced, or the announcement was missed.
func (p *PendingData) ask(ctx context.Context, feed *dataFeed) (dataNews, time.Duration, error) {
	if feed.ended.Load() {
		after, err := feed.overdue()
		return dataNews{}, after, err
	}
	result, after, err := feed.seen.poll(ctx, p.client, p.ID)
	return dataNews{result: result}, after, err
}

// accept takes in news, and reports whether the data can be opened.
func (p *PendingData) accept(news dataNews, feed *dataFeed) (bool, error) {
	switch {
	case news.message != nil:
		p.found.Take(news.message)
		feed.heard()
	case news.result != nil && news.result.Status != CommandPending:
		feed.seen.takes(news.result)
		outcome := p.redacted(news.result)
		p.outcome.Store(outcome)
		if _, err := p.ended(outcome); err != nil {
			return true, err
		}
		feed.ended.Store(true)
		feed.heard()
	}
	return p.found.Complete(), nil
}

// dataNews is a report about the command, or a part of the announcement. Both are
// nil if there is nothing new.
type dataNews struct {
	result  *CommandResult
	message *wire.Message
}

// dataFeed delivers the pushed messages about a request for data: those about its
// command, and those that announce the data.
type dataFeed struct {
	commandFeed
	data       *realtime.Subscription
	dataCursor realtime.Cursor
	gap        atomic.Bool  // a part of the announcement may have been missed
	ended      atomic.Bool  // the command has succeeded, so the data should have been announced
	last       atomic.Int64 // time of the last news, in Unix nanoseconds
}

// subscribe subscribes to the messages about the request. The caller stops the feed.
func (p *PendingData) subscribe() *dataFeed {
	command, data := p.client.channel.SubscribeData(p.ID, p.RequestID)
	return &dataFeed{
		commandFeed: commandFeed{cmd: p.Command, sub: command, cursor: command.Since(p.sent.cursor)},
		data:        data,
		dataCursor:  data.Since(p.sent.cursor),
	}
}

func (f *dataFeed) stop() {
	f.sub.Stop()
	f.data.Stop()
}

func (f *dataFeed) heard() { f.last.Store(time.Now().UnixNano()) }

func (f *dataFeed) Take() []dataNews {
	var news []dataNews
	messages := f.data.Take()
	for i := range messages {
		news = append(news, dataNews{message: &messages[i]})
	}
	for _, result := range f.commandFeed.Take() {
		news = append(news, dataNews{result: result})
	}
	return news
}

func (f *dataFeed) State() (wait.State, <-chan struct{}) {
	state, changed := f.commandFeed.State()
	if f.channel().Gap(f.dataCursor) {
		f.gap.Store(true)
	}
	switch {
	case !f.ended.Load() || state == wait.Off || state == wait.Opening:
		return state, changed
	case f.gap.Load():
		return wait.Behind, changed // see overdue
	}
	return wait.Live, changed
}

// overdue returns ErrAnswerLost if a part of the announcement may have been missed
// and nothing has come for answerLag. Otherwise it returns when to look again.
func (f *dataFeed) overdue() (after time.Duration, err error) {
	if !f.gap.Load() {
		return 0, nil
	}
	if after = answerLag - time.Since(time.Unix(0, f.last.Load())); after > 0 {
		return after, nil
	}
	return 0, ErrAnswerLost
}

func classifyAnswerLost(err error) (wait.Class, time.Duration) {
	if errors.Is(err, ErrAnswerLost) {
		return wait.Final, 0
	}
	return classify(err)
}

// Download opens the address of announced data, and returns the data. It returns when
// the server has begun to answer. The client's token is not sent there. The caller
// closes the Ciphertext; ctx and the client must live until then.
//
// An address can be used once. If it was used before or has expired, the error
// matches ErrUnauthorized. If the download breaks off, the reader returns an error
// that is not io.EOF.
//
// It is the operation [Download data].
//
// [Download data]: https://docs.privicore.com/download-data-14411438e0
func (s *DataTokenService) Download(ctx context.Context, url Secret) (*Ciphertext, error) {
	r, err := s.client.fileRequest(operation.DataTokenDownload, "url", url, "")
	if err != nil {
		return nil, err
	}
	ctx, seen := s.client.config.observe(ctx, r)
	data, err := s.client.download(ctx, r)
	if err != nil {
		seen.end(err)
		return nil, err
	}
	return data, nil // its end is that of the operation
}

func (c *Client) download(ctx context.Context, r *request) (*Ciphertext, error) {
	got, err := c.transport.Download(ctx, &r.Request)
	if err != nil {
		return nil, newCallError(r.op, err)
	}
	resp := &Response{StatusCode: got.StatusCode, Header: got.Header, client: c}
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		capture(ctx, resp)
		return &Ciphertext{ReadCloser: got.Body, Size: got.Size}, nil
	}
	defer got.Body.Close()
	resp.Body, _ = io.ReadAll(got.Body) // what there is of a refusal is enough
	capture(ctx, resp)
	return nil, newAPIError(r, resp)
}

// A Retrieval holds the parameters of Retrieve. Cipher must be set.
type Retrieval struct {
	Cipher Cipher // with the key that Store used
	// Context is the Payload.Context that the data was stored with. It must be
	// set if Cipher binds, and is not used otherwise.
	Context string
	// Progress is called as ciphertext arrives, with the number of bytes so far
	// and the total, which is -1 if it is not known. It may be nil. It must not
	// block.
	Progress func(bytes, total int64)
}

// Retrieve returns the plaintext of a token. It requests the data, waits for it,
// fetches it and decrypts it. It needs WithWebSocketURL. The caller closes the
// reader; ctx and the client must live until then.
//
// If a parameter cannot be right or the client has no WebSocket URL, nothing is sent
// and the error is a *ValidationError. Any other error is a *StepError, also that of
// a Read. Calling Retrieve again is safe.
//
// A payload of another context is a StepDecrypt that matches ErrDecrypt if the Cipher
// binds. With AESGCM the whole payload is authenticated before Retrieve returns. With
// agecipher each piece is authenticated before it is read, and the data is complete
// only when the reader returns io.EOF.
func (s *DataTokenService) Retrieve(ctx context.Context, token string, r Retrieval) (io.ReadCloser, error) {
	if r.Cipher == nil {
		return nil, invalid(operation.DataTokenRequest, "cipher", "is nil")
	}
	if r.Context == "" && r.Cipher.Binds() {
		return nil, invalid(operation.DataTokenRequest, "context", "is empty, and the cipher binds to it")
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
	announced, err := pending.wait(ctx)
	if err != nil {
		return nil, &StepError{Step: StepAnswer, Err: err}
	}
	found, err := s.client.openAnnounced(ctx, announced)
	if err != nil {
		return nil, &StepError{Step: StepDownload, Err: err}
	}
	source := &progressReader{r: found, total: found.Size, report: r.Progress}
	plaintext, err := r.Cipher.Decrypt(ctx, source, Binding(r.Context))
	if err == nil && plaintext == nil {
		err = errNoReader
	}
	if err != nil {
		_ = found.Close()
		return nil, source.stepError(err)
	}
	return &retrieved{plaintext, found, source}, nil
}

// progressReader counts the bytes that arrive and remembers the error of the source.
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

// stepError returns the StepError for an error of the Cipher: that of the download
// if the download broke off, and that of decrypting otherwise.
func (p *progressReader) stepError(err error) error {
	if p.err != nil {
		return &StepError{Step: StepDownload, Err: p.err}
	}
	return &StepError{Step: StepDecrypt, Err: err}
}

// retrieved is the reader that Retrieve returns. Close closes the ciphertext.
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

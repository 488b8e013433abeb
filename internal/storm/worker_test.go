package storm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/privicore/privicore-go"
)

// worker makes one call after the other. It is one goroutine.
type worker struct {
	rig     *rig
	ledger  *ledger
	crew    *crew
	clients []*privicore.Client
	dice    *rand.Rand
	name    string
	count   int
	cipher  *privicore.AESGCM
	voting  string // name of a voting configuration of this worker
	own     string // identifier of a device of this worker
	once    onces
}

// onces are answers that stay the same.
type onces struct{ profileID, publicKey string }

const (
	// patience is how long a scenario lasts at most.
	patience = 4 * time.Second
	// overdue is how long after the end of its context a call may return. It is
	// above the stall timeout, which ends calls that outlive their context.
	overdue = 5 * time.Second
	// refusals is how long polls have to be refused before a wait may end.
	refusals = 5 * time.Second
)

func newWorker(c *crew, name string, seed uint64) (*worker, error) {
	cipher, err := privicore.NewAESGCM([]byte("0123456789ABCDEFGHIJKLMNOPQRSTUV"))
	if err != nil {
		return nil, err
	}
	hash := uint64(len(name))
	for _, b := range []byte(name) {
		hash = hash*31 + uint64(b)
	}
	return &worker{
		rig: c.rig, ledger: c.rig.ledger, crew: c, clients: c.all(), name: c.profile + " " + name, cipher: cipher,
		dice: rand.New(rand.NewPCG(seed, hash)),
	}, nil
}

// run runs scenarios until ctx ends.
func (w *worker) run(ctx context.Context) {
	scenarios := []func(context.Context, *privicore.Client){
		w.device, w.device, w.device, w.batch, w.batch, w.store, w.store, w.pieces, w.application, w.poll, w.policy, w.reads, w.reads,
	}
	for ctx.Err() == nil {
		within := patience
		if w.dice.IntN(5) == 0 {
			within = time.Duration(w.dice.Int64N(int64(300 * time.Millisecond))) // often too short
		}
		ctx, cancel := context.WithTimeout(ctx, within)
		scenarios[w.dice.IntN(len(scenarios))](ctx, w.client())
		cancel()
	}
}

func (w *worker) client() *privicore.Client { return w.clients[w.dice.IntN(len(w.clients))] }

// unique returns a text that no other call has.
func (w *worker) unique(what string) string {
	w.count++
	return fmt.Sprintf("%s of %s %d", what, w.name, w.count)
}

// judge checks the error of any call. It reports whether the call succeeded.
func (w *worker) judge(ctx context.Context, operation string, err error) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Since(deadline) > overdue {
		w.ledger.violated("every call ends in time", "%s: %v after the deadline: %v", operation, time.Since(deadline), err)
	}
	if err == nil {
		return true
	}
	w.rig.secrets.scanError(operation, err)
	w.ledger.failed(err)
	switch {
	case errors.Is(err, privicore.ErrClosed):
		w.ledger.violated("every error is true", "%s: closed, and it is not: %v", operation, err)
	case refused(err) && errors.Is(err, privicore.ErrAmbiguous):
		w.ledger.violated("a refusal is not ambiguous", "%s: %v", operation, err)
	case errors.Is(err, privicore.ErrNoCommandID) && !errors.Is(err, privicore.ErrAmbiguous):
		w.ledger.violated("a missing command id is ambiguous", "%s: %v", operation, err)
	}
	return false
}

// refused reports whether an error is a refusal, which says that the call was not
// carried out.
func refused(err error) bool {
	e, ok := errors.AsType[*privicore.APIError](err)
	return ok && e.StatusCode >= 400 && e.StatusCode < 500 && e.StatusCode != http.StatusRequestTimeout
}

// failed counts an error by its kind.
func (l *ledger) failed(err error) {
	kind := reflect.TypeOf(err).String()
	for name, sentinel := range map[string]error{
		"ambiguous": privicore.ErrAmbiguous, "no command id": privicore.ErrNoCommandID, "unauthorized": privicore.ErrUnauthorized,
		"unexpected answer": privicore.ErrUnexpectedAnswer, "deadline": context.DeadlineExceeded, "rejected": privicore.ErrRejected,
		"answer lost": privicore.ErrAnswerLost,
	} {
		if errors.Is(err, sentinel) {
			kind = name
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errors[kind]++
}

// begun judges a call that begins a command and records it. It reports whether
// there is a command.
func (w *worker) begun(ctx context.Context, operation, value string, cmd *privicore.Command, err error) bool {
	k := key{operation, value}
	w.ledger.called(k, err, errors.Is(err, privicore.ErrAmbiguous))
	if !w.judge(ctx, operation, err) {
		return false
	}
	w.ledger.accepted(cmd.ID, k)
	return true
}

// valued judges a call that returns a value and is carried out once.
func (w *worker) valued(ctx context.Context, operation, value string, err error) bool {
	w.ledger.called(key{operation, value}, err, errors.Is(err, privicore.ErrAmbiguous))
	return w.judge(ctx, operation, err)
}

// command runs a command to its end. It reports whether it succeeded.
func (w *worker) command(ctx context.Context, operation, value string, cmd *privicore.Command, err error) bool {
	return w.begun(ctx, operation, value, cmd, err) && w.wait(ctx, cmd)
}

// wait waits in one of the ways to wait.
func (w *worker) wait(ctx context.Context, cmd *privicore.Command) bool {
	start := time.Now()
	switch w.dice.IntN(6) {
	case 0: // resumed by its id, maybe by another client
		return w.waited(ctx, start, func() (*privicore.CommandResult, error) { return w.client().Command(cmd.ID).Wait(ctx) })
	case 1:
		return w.waited(ctx, start, func() (last *privicore.CommandResult, err error) {
			for last, err = range cmd.Watch(ctx) {
			}
			return last, err
		})
	case 2:
		return w.waited(ctx, start, func() (*privicore.CommandResult, error) {
			results, err := privicore.WaitAll(ctx, cmd)
			return results[0], err
		})
	case 3: // given up once
		short, cancel := context.WithTimeout(ctx, 2*time.Millisecond)
		w.waited(short, start, func() (*privicore.CommandResult, error) { return cmd.Wait(short) })
		cancel()
	}
	return w.waited(ctx, start, func() (*privicore.CommandResult, error) { return cmd.Wait(ctx) })
}

// waited records how a wait ended. It reports whether the command succeeded.
func (w *worker) waited(ctx context.Context, start time.Time, wait func() (*privicore.CommandResult, error)) bool {
	result, err := wait()
	if w.judge(ctx, "wait", err) {
		w.ledger.ended(result)
		return true
	}
	w.ending(ctx, start, err)
	return false
}

// ending checks that a wait ended as documented, and records a rejection.
func (w *worker) ending(ctx context.Context, start time.Time, err error) {
	if rejected, ok := errors.AsType[*privicore.CommandError](err); ok {
		w.ledger.rejected(rejected)
		return
	}
	const invariant = "every wait ends as documented"
	if _, ok := errors.AsType[*privicore.WaitError](err); !ok {
		w.ledger.violated(invariant, "%T: %v", err, err)
		return
	}
	lasted := time.Since(start)
	api, _ := errors.AsType[*privicore.APIError](err)
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
	case errors.Is(err, privicore.ErrValidation):
	case errors.Is(err, privicore.ErrRateLimited):
	case api != nil && api.StatusCode >= 400 && api.StatusCode < 500 && lasted >= refusals:
	case api != nil && api.RetryAfter > 0: // a pause beyond the deadline
	default:
		w.ledger.violated(invariant, "after %v: %v", lasted, err)
	}
}

// result judges the error of a Pending or of another method that waits and
// fetches.
func (w *worker) result(ctx context.Context, start time.Time, operation string, cmd *privicore.Command, err error) bool {
	if w.judge(ctx, operation, err) {
		w.ledger.succeeded(cmd.ID)
		return true
	}
	_, rejected := errors.AsType[*privicore.CommandError](err)
	_, waited := errors.AsType[*privicore.WaitError](err)
	if rejected || waited {
		w.ending(ctx, start, err)
	}
	return false
}

// newDevice registers a device and returns its identifier, or "".
func (w *worker) newDevice(ctx context.Context, c *privicore.Client) string {
	name := w.unique("device")
	pending, err := c.Device.RequestIdentifier(ctx, name)
	if err != nil {
		w.begun(ctx, "Device.RequestIdentifier", name, nil, err)
		return ""
	}
	w.begun(ctx, "Device.RequestIdentifier", name, pending.Command, nil)
	if w.dice.IntN(2) == 0 && !w.wait(ctx, pending.Command) {
		return ""
	}
	start := time.Now()
	device, err := pending.Result(ctx)
	if !w.result(ctx, start, "Device.RequestIdentifier", pending.Command, err) {
		return ""
	}
	if device.Name != name {
		w.ledger.violated("every value is true", "device %q is called %q", name, device.Name)
	}
	return device.Identifier
}

// device has a device go through its life.
func (w *worker) device(ctx context.Context, c *privicore.Client) {
	id := w.newDevice(ctx, c)
	if id == "" {
		return
	}
	type step struct {
		operation string
		do        func(context.Context, string) (*privicore.Command, error)
	}
	approve := step{"Device.Approve", c.Device.Approve}
	if w.dice.IntN(4) == 0 {
		approve = step{"Device.Reject", c.Device.Reject}
	}
	steps := []step{
		approve,
		{"Storage.Register", c.Storage.Register},
		{"VerifiedAuthenticator.Register", c.VerifiedAuthenticator.Register},
		{"Storage.Synchronize", c.Storage.Synchronize},
		{"Device.Approve", c.Device.Approve}, // again, or after a rejection
		{"VerifiedAuthenticator.Remove", c.VerifiedAuthenticator.Remove},
		{"Storage.Remove", c.Storage.Remove},
		{"Device.Remove", c.Device.Remove},
		{"Device.Remove", c.Device.Remove}, // rejected
	}
	for i, s := range steps {
		if i > 0 && i < len(steps)-2 && w.dice.IntN(2) == 0 {
			continue
		}
		if ctx.Err() != nil {
			return
		}
		cmd, err := s.do(ctx, id)
		w.command(ctx, s.operation, id, cmd, err)
		if i == 2 && w.dice.IntN(2) == 0 {
			configuration, err := c.Device.Configuration(ctx, id)
			if w.judge(ctx, "Device.Configuration", err) {
				w.rig.secrets.scanValue("a configuration", configuration)
			}
		}
	}
}

// batch waits for several commands at once. They all concern one device of the
// worker, so that the server does not have more devices with each batch.
func (w *worker) batch(ctx context.Context, c *privicore.Client) {
	if w.own == "" {
		if w.own = w.newDevice(ctx, c); w.own == "" {
			return
		}
	}
	var cmds []*privicore.Command
	for range 2 + w.dice.IntN(10) {
		name := w.unique("name")
		cmd, err := c.Device.ConfigureMeta(ctx, w.own, privicore.DeviceMeta{Name: name})
		if w.begun(ctx, "Device.ConfigureMeta", name, cmd, err) {
			cmds = append(cmds, cmd)
		}
	}
	start := time.Now()
	results, err := privicore.WaitAll(ctx, cmds...)
	w.judge(ctx, "WaitAll", err)
	if err == nil && len(cmds) == 0 {
		return
	}
	missing := 0
	for _, r := range results {
		if r != nil {
			w.ledger.ended(r)
		} else {
			missing++
		}
	}
	var each []error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		each = joined.Unwrap()
	}
	if len(each) != missing {
		w.ledger.violated("every wait ends as documented", "WaitAll: %d results are missing, %d errors: %v", missing, len(each), err)
	}
	for _, err := range each {
		w.ending(ctx, start, err)
	}
}

// payload returns a plaintext that is inline or streamed.
func (w *worker) payload() string {
	size := w.dice.IntN(2000)
	if w.dice.IntN(4) == 0 {
		size = privicore.MaxInline + w.dice.IntN(50_000)
	}
	return marker + strings.Repeat("x", size) + fmt.Sprint(w.dice.Uint64())
}

// store stores data and retrieves it.
func (w *worker) store(ctx context.Context, c *privicore.Client) {
	context, data := w.unique("data"), w.payload()
	token, err := c.DataToken.Store(ctx, privicore.Payload{Data: strings.NewReader(data), Cipher: w.cipher, Context: context})
	w.ledger.made(key{"DataToken.Reserve", context}, 0, 1)
	committed := key{"DataToken.ConfigureFileMeta", context}
	step, _ := errors.AsType[*privicore.StepError](err)
	switch {
	case err == nil:
		w.ledger.made(committed, 1, 1)
	case step == nil:
		w.ledger.violated("every error is true", "Store: %T: %v", err, err)
	case !step.Repeatable():
		w.ledger.made(committed, 0, 1)
	default:
		w.ledger.made(committed, 0, 0)
	}
	if w.judge(ctx, "Store", err) {
		w.retrieve(ctx, c, token, data)
	}
}

// retrieve compares what was stored with what comes back, and deletes it.
func (w *worker) retrieve(ctx context.Context, c *privicore.Client, token, data string) {
	if c == w.crew.polling {
		return // data is announced on the channel only
	}
	got, err := w.read(ctx, c, token)
	w.ledger.made(key{"DataToken.Request", token}, 0, 1)
	if w.judge(ctx, "Retrieve", err) {
		w.ledger.count("payloads compared")
		if got != data {
			w.ledger.violated("data comes back as it was", "%d bytes became %d", len(data), len(got))
		}
	}
	cmd, err := c.DataToken.Delete(ctx, token)
	w.command(ctx, "DataToken.Delete", token, cmd, err)
}

func (w *worker) read(ctx context.Context, c *privicore.Client, token string) (string, error) {
	plaintext, err := c.DataToken.Retrieve(ctx, token, privicore.Retrieval{Cipher: w.cipher})
	if err != nil {
		return "", err
	}
	defer plaintext.Close()
	var b strings.Builder
	_, err = copyAll(&b, plaintext)
	return b.String(), err
}

// pieces stores data by the single steps of Store.
func (w *worker) pieces(ctx context.Context, c *privicore.Client) {
	context, data := w.unique("data"), w.payload()
	pending, err := c.DataToken.Reserve(ctx, privicore.ReserveRequest{Context: context})
	if err != nil {
		w.begun(ctx, "DataToken.Reserve", context, nil, err)
		return
	}
	w.begun(ctx, "DataToken.Reserve", context, pending.Command, nil)
	start := time.Now()
	temporary, err := pending.Result(ctx)
	if !w.result(ctx, start, "DataToken.Reserve", pending.Command, err) {
		return
	}
	ciphertext, err := w.cipher.Seal([]byte(data))
	if !w.judge(ctx, "Seal", err) {
		return
	}
	if len(ciphertext) <= privicore.MaxInline {
		cmd, err := c.DataToken.Exchange(ctx, temporary.Token, ciphertext)
		if !w.command(ctx, "DataToken.Exchange", temporary.Token, cmd, err) {
			return
		}
	} else {
		err := c.DataToken.Upload(ctx, temporary.Stream, strings.NewReader(string(ciphertext)))
		if !w.valued(ctx, "DataToken.Upload", temporary.Token, err) {
			return
		}
	}
	meta := privicore.FileMeta{FileName: "f", Extension: "bin", Context: context, Size: int64(len(data)), Path: "/"}
	token, err := c.DataToken.ConfigureFileMeta(ctx, temporary.Token, meta)
	if w.valued(ctx, "DataToken.ConfigureFileMeta", context, err) {
		w.retrieve(ctx, c, token, data)
	}
}

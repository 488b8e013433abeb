package privicoretest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/privicore/privicore-go"
)

// FinishedCommand returns a command that has succeeded, with these messages. A fake
// can return it in place of a service, so that a unit test needs no server. Wait,
// Watch, Status and [privicore.WaitAll] return its result at once.
// [privicore.NewPending] makes a [privicore.Pending] of it.
func FinishedCommand(id string, messages ...string) *privicore.Command {
	if len(messages) == 0 {
		messages = []string{"succeeded"}
	}
	return endedCommand(id, messages)
}

// RejectedCommand returns a command that the server has rejected, for these reasons.
// Wait returns a *[privicore.CommandError] at once. It is otherwise like
// [FinishedCommand].
func RejectedCommand(id string, reasons ...string) *privicore.Command {
	return endedCommand(id, append([]string{"rejected"}, reasons...))
}

// RunningCommand returns a command that never ends. Status returns that it is
// pending, and Wait waits until its context ends. RunningCommand starts no goroutine
// and works in a bubble of testing/synctest.
func RunningCommand(id string) *privicore.Command {
	return fakeCommand(id, http.StatusAccepted, []string{"started"})
}

// endedCommand returns a command that knows its outcome already.
func endedCommand(id string, messages []string) *privicore.Command {
	cmd := fakeCommand(id, http.StatusOK, messages)
	// An id that cannot be one is the error of each wait, as for any command.
	_, _ = cmd.Status(context.Background())
	return cmd
}

// fakeCommand returns a command of a client whose server always reports the same.
func fakeCommand(id string, status int, messages []string) *privicore.Command {
	body, _ := json.Marshal(messages)
	client, err := privicore.NewClient(
		privicore.WithBaseURL("http://127.0.0.1"),
		privicore.WithHTTPClient(&http.Client{Transport: fixedAnswer{status, string(body)}}),
	)
	if err != nil {
		return &privicore.Command{ID: id}
	}
	return client.Command(id)
}

// fixedAnswer is a server that is not there: each request gets the same answer.
type fixedAnswer struct {
	status int
	body   string
}

func (a fixedAnswer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body.Close()
	}
	return &http.Response{
		StatusCode: a.status,
		Status:     http.StatusText(a.status),
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(strings.NewReader(a.body)),
		ContentLength: int64(len(a.body)),
		Request:       r,
	}, nil
}

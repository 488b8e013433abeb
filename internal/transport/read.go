package transport

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// MaxAnswer bounds the body of an answer to a call, in bytes.
const MaxAnswer = 16 << 20

// maxHint bounds the memory that a Content-Length alone can make this allocate.
const maxHint = 1 << 20

// ErrTooLarge means that an answer is longer than MaxAnswer.
var ErrTooLarge = fmt.Errorf("answer is larger than %d MiB", MaxAnswer>>20)

// read reads an answer. A body that breaks off is an error, unless the status is that
// of a failure or the answer has the header named by suffices.
func read(resp *http.Response, suffices string) (Response, error) {
	defer resp.Body.Close()
	answer := Response{StatusCode: resp.StatusCode, Header: resp.Header}
	if resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols {
		// There is none, whatever the length says, or it is the connection.
		return answer, nil
	}
	enough := resp.StatusCode >= 400 || suffices != "" && resp.Header.Get(suffices) != ""
	if resp.ContentLength > MaxAnswer && !enough {
		return Response{}, ErrTooLarge
	}
	body, err := readBody(io.LimitReader(resp.Body, MaxAnswer+1), resp.ContentLength)
	if err == nil && len(body) > MaxAnswer {
		err = ErrTooLarge
	}
	if err != nil && !enough {
		return Response{}, err
	}
	answer.Body = body
	return answer, nil
}

// readBody reads a body to its end. length is what the answer says, or -1. It is only a
// hint: a RoundTripper that unpacks a body may leave the packed length.
func readBody(r io.Reader, length int64) ([]byte, error) {
	if length <= 0 {
		return io.ReadAll(r) // it grows in steps and returns no more than it needs
	}
	var body bytes.Buffer
	body.Grow(int(min(length, maxHint)) + bytes.MinRead)
	_, err := body.ReadFrom(r)
	return body.Bytes(), err
}

// maxStreamAnswer bounds what is read of the answer to an upload, or of a
// refusal.
const maxStreamAnswer = 64 << 10

// readSome returns the beginning of a body that may be of any length. Status and
// header say enough, so what is missing does not matter.
func readSome(resp *http.Response) []byte {
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil // the body is the connection
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxStreamAnswer))
	return body
}

package privicore_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// Whatever comes with a success that should be an object: an error that keeps
// the answer, and no panic.
func TestAnswersThatDoNotFit(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		``, ` `, `<html><body>login</body></html>`, `<?xml version="1.0"?><a/>`, `oops`, `{`, `{"authorizationToken":"T-1"`, `[]`, `[1,2]`,
		`"text"`, `7`, `true`, `null`, `{}`, `{"authorizationToken":null}`, `{"authorizationToken":{}}`, `{"authorizationToken":["T"]}`,
		"\x00\xff", `{"authorizationToken":""}`, `{"error":"no"}`,
		strings.Repeat("[", 100_000),
	} {
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
			return reply(200, body, "Content-Type", "text/html")
		})
		_, err := c.Profile.Authenticate(t.Context(), "user", "hunter2")
		require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer, "%.60q", body)
		var apiErr *privicore.APIError
		require.ErrorAs(t, err, &apiErr)
		assert.Equal(t, 200, apiErr.StatusCode)
		assert.Equal(t, body, string(apiErr.Response.Body))
		assert.Less(t, len(err.Error()), 400)
	}
}

func TestAnswersThatFitWithAllKindsOfExtras(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"authorizationToken":"T-1","expiresAt":"2026-02-21T15:33:44+00:00"}`,
		` {"expiresAt":"2026-02-21T15:33:44Z","unknown":{"a":[1,null]},"authorizationToken":"T-1"} ` + "\n",
		`{"authorizationToken":"T-1","expiresAt":"2026-02-21 15:33:44"}`,
		`{"authorizationToken":"T-1","expiresAt":"2026-02-21T15:33:44+0000"}`,
		`{"authorizationToken":"T-1","expiresAt":1771688024}`,
	} {
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
			return reply(200, body, "Content-Type", "text/plain; charset=nonsense")
		})
		token, err := c.Profile.Authenticate(t.Context(), "user", "hunter2")
		require.NoError(t, err)
		assert.Equal(t, "T-1", token.Token.Reveal())
		assert.EqualValues(t, 1771688024, token.ExpiresAt.Unix())
	}
}

// A time that cannot be read does not spoil the token.
func TestTimesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"authorizationToken":"T-1","expiresAt":"tomorrow"}`, `{"authorizationToken":"T-1","expiresAt":""}`,
		`{"authorizationToken":"T-1","expiresAt":null}`, `{"authorizationToken":"T-1","expiresAt":[]}`,
	} {
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) { return reply(200, body) })
		token, err := c.Profile.Authenticate(t.Context(), "user", "hunter2")
		require.NoError(t, err, body)
		assert.Equal(t, "T-1", token.Token.Reveal())
		assert.Zero(t, token.ExpiresAt)
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		`[]`: 0, `null`: 0, `{"items":[]}`: 0, `[{"deviceIdentifier":"d"}]`: 1, `{"items":[{},{}],"meta":{}}`: 2,
		`[{"deviceIdentifier":5}]`: 1, `["d"]`: 1, `[1,{"deviceIdentifier":"d"}]`: 2,
		``: -1, `{}`: -1, `"d"`: -1, `[1]`: -1, `<html>`: -1, `{"items":5}`: -1, `{"errors":["no"],"items":[]}`: -1,
	} {
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) { return reply(200, body) })
		devices, err := c.Device.List(t.Context())
		if want < 0 {
			require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer, body)
			continue
		}
		require.NoError(t, err, body)
		assert.Len(t, devices, want)
	}
}

func TestHTMLFromAProxy(t *testing.T) {
	t.Parallel()
	const page = "<!DOCTYPE html><html><title>secret page</title></html>"
	for _, status := range []int{200, 202, 403, 404, 500, 502, 503} {
		c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
			return reply(status, page, "Content-Type", "text/html")
		}, privicore.WithToken(fakeToken), privicore.WithMaxRetries(0))
		_, listErr := c.Device.List(t.Context())
		_, commandErr := c.Device.Remove(t.Context(), "d")
		for _, err := range []error{listErr, commandErr} {
			var apiErr *privicore.APIError
			require.ErrorAs(t, err, &apiErr, status)
			assert.Equal(t, page, string(apiErr.Response.Body))
			assert.ErrorContains(t, err, "HTML")
			assert.NotContains(t, err.Error(), "secret page")
		}
	}
}

func TestAnswerThatIsTooLarge(t *testing.T) {
	t.Parallel()
	c, _ := realServer(t, func(w http.ResponseWriter, r *http.Request) {
		chunk := bytes.Repeat([]byte("x"), 1<<20)
		for range 17 {
			_, _ = w.Write(chunk)
		}
	})
	_, err := c.Device.List(t.Context())
	require.ErrorContains(t, err, "larger than")
	_, err = c.Device.Remove(t.Context(), "d")
	require.ErrorIs(t, err, privicore.ErrAmbiguous)
}

func TestAnswerThatBreaksOff(t *testing.T) {
	t.Parallel()
	c, _ := realServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"commandId":`)
	})
	_, err := c.Device.Remove(t.Context(), "d")
	require.ErrorIs(t, err, privicore.ErrAmbiguous)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestGzippedAnswer(t *testing.T) {
	t.Parallel()
	c, _ := realServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, `{"commandId":"c1"}`)
		_ = z.Close()
	})
	cmd, err := c.Device.Remove(t.Context(), "d")
	require.NoError(t, err)
	assert.Equal(t, "c1", cmd.ID)
}

func TestCaptureResponse(t *testing.T) {
	t.Parallel()
	c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
		switch r.URL.Path {
		case "/device/remove":
			return reply(202, "", "X-DPT-CAB-ID", "c1")
		case "/profile/retrieve-profile-id":
			return reply(200, "<html>")
		case "/profile/authenticate":
			return reply(422, `"refused"`)
		}
		return nil, context.DeadlineExceeded
	})
	var resp privicore.Response
	ctx := privicore.CaptureResponse(t.Context(), &resp)

	_, err := c.Device.Remove(ctx, "d")
	require.NoError(t, err)
	assert.Equal(t, 202, resp.StatusCode)
	assert.Equal(t, "c1", resp.Header.Get("X-DPT-CAB-ID"))
	cmd, err := resp.Command()
	require.NoError(t, err)
	assert.Equal(t, "c1", cmd.ID)

	_, err = c.Profile.Authenticate(ctx, "user", "password")
	require.Error(t, err)
	assert.Equal(t, 422, resp.StatusCode)
	assert.Equal(t, `"refused"`, string(resp.Body))

	_, err = c.Profile.ID(ctx)
	require.Error(t, err)
	assert.Equal(t, "<html>", string(resp.Body), "also if it cannot be read")

	_, err = c.Profile.Authenticate(privicore.CaptureResponse(t.Context(), nil), "user", "password")
	require.ErrorIs(t, err, privicore.ErrValidation, "nowhere to store it is no reason to panic")
}

func TestResponseIsNotShown(t *testing.T) {
	t.Parallel()
	resp := privicore.Response{StatusCode: 200, Header: http.Header{"X": {"T-hunter2"}}, Body: []byte("T-hunter2")}
	nested := struct{ R *privicore.Response }{&resp}
	data, err := json.Marshal([]any{resp, &resp, nested})
	require.NoError(t, err)
	text := string(data)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text += fmt.Sprintf(verb, resp) + fmt.Sprintf(verb, &resp) + fmt.Sprintf(verb, nested)
	}
	assert.NotContains(t, text, "hunter2")
	assert.NotContains(t, text, fmt.Sprintf("%x", "hunter2"))
	assert.NotContains(t, text, fmt.Sprint([]byte("hunter2"))[1:20])
	assert.Equal(t, "{200 OK, 9 bytes}", fmt.Sprint(resp))
}

func TestDecode(t *testing.T) {
	t.Parallel()
	var v struct{ Status string }
	resp := &privicore.Response{Body: []byte(`{"status":"ok"}`)}
	require.NoError(t, resp.Decode(&v))
	assert.Equal(t, "ok", v.Status)
	for _, body := range []string{"", "<html>", `{"status":5}`, "{"} {
		resp.Body = []byte(body)
		require.ErrorIs(t, resp.Decode(&v), privicore.ErrUnexpectedAnswer)
	}
}

// Some servers write a byte order mark in front of JSON, which JSON does not allow.
func TestByteOrderMark(t *testing.T) {
	t.Parallel()
	const mark = "\uFEFF"
	c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
		switch r.URL.Path {
		case "/device/remove":
			return reply(202, mark+`["`+commandID+`"]`)
		case "/device/retrieve-profile-devices":
			return reply(200, mark+`[{"deviceIdentifier":"`+device1+`"}]`)
		}
		return reply(422, mark+`{"errors":{"id":["is unknown"]}}`)
	})
	devices, err := c.Device.List(t.Context())
	require.NoError(t, err)
	assert.Len(t, devices, 1)
	cmd, err := c.Device.Remove(t.Context(), device1)
	require.NoError(t, err)
	assert.Equal(t, commandID, cmd.ID)
	_, err = c.Device.RetrieveIdentifier(t.Context(), commandID)
	assert.ErrorContains(t, err, "id: is unknown")
}

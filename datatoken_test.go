package privicore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

const (
	requestID      = "0197359a-7d3c-7a50-8e2b-4f6c8d0e1a22"
	temporaryToken = "tmp-019735a1-8e4d-7b60-9f3c-5a7d9e1f2b33"
	dataToken1     = "dtk-019735b2-9f5e-7c70-8a4d-6b8e0f2a3c44"
	dataToken2     = "dtk-019735b2-aaaa-7c70-8a4d-6b8e0f2a3c44"
	uploadURL      = "https://upload.privicore.test/?auth=up-recorded-token"
	downloadURL    = "https://download.privicore.test/?auth=dl-recorded-token"
)

var (
	ciphertext = []byte("\x00\xfb\xff ciphertext")
	fileMeta   = privicore.FileMeta{FileName: "März & Co.pdf", Extension: "pdf", Context: "invoices", Size: 5 << 30, Path: "/2025/03"}
)

// firstPage is what List gets with one request.
func firstPage(ctx context.Context, c *privicore.Client, filter privicore.DataTokenFilter) ([]privicore.DataToken, error) {
	tokens := []privicore.DataToken{}
	for token, err := range c.DataToken.All(ctx, filter) {
		if err != nil {
			return nil, err
		}
		if tokens = append(tokens, token); len(tokens) == 2 {
			break
		}
	}
	return tokens, nil
}

var dataTokenCalls = []wireCall{
	{
		operation: "DataToken.Reserve",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.Reserve(ctx, privicore.ReserveRequest{Context: "invoices & more", TTL: 240 * time.Minute, Meta: `{"a":1}`})
		},
		method: "POST", path: "/data-token/reserve-token-space", token: true, contentType: formType,
		body:   "context=invoices+%26+more&meta=%7B%22a%22%3A1%7D&ttl=240",
		answer: "data_token/reserve.accepted", parameter: "context",
	},
	{
		operation: "DataToken.Reserve",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.Reserve(ctx, privicore.ReserveRequest{Context: "x"})
		},
		method: "POST", path: "/data-token/reserve-token-space", token: true, contentType: formType,
		body:   "context=x",
		answer: "data_token/reserve.accepted", parameter: "context",
	},
	{
		operation: "DataToken.RetrieveTemporary",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.RetrieveTemporary(ctx, commandID)
		},
		method: "GET", path: "/data-token/retrieve-temporary-data-token/0197358e-6c2b-7f40-9d1a-3e5b7c9d0f11", token: true,
		answer: "data_token/retrieve_temporary.ok", parameter: "id",
	},
	{
		operation: "DataToken.Exchange",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.Exchange(ctx, temporaryToken, ciphertext)
		},
		method: "POST", path: "/data-token/exchange-data-for-token", token: true, contentType: formType,
		body:   "data=APv%2FIGNpcGhlcnRleHQ%3D&temporaryTokenSpace=" + temporaryToken,
		answer: "data_token/exchange.accepted", parameter: "temporaryTokenSpace",
	},
	{
		operation: "DataToken.Upload",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return nil, c.DataToken.Upload(ctx, privicore.NewSecret(uploadURL), strings.NewReader(string(ciphertext)))
		},
		method: "POST", path: uploadURL, contentType: "application/octet-stream",
		body:   "\x00\xfb\xff ciphertext",
		answer: "data_token/upload.ok",
	},
	{
		operation: "DataToken.Request",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.Request(ctx, dataToken1)
		},
		method: "POST", path: "/data-token/request-data", token: true, contentType: formType,
		body:   "token=" + dataToken1,
		answer: "data_token/request.accepted", parameter: "token",
	},
	{
		operation: "DataToken.Download",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			data, err := c.DataToken.Download(ctx, privicore.NewSecret(downloadURL))
			if err != nil {
				return nil, err
			}
			return data, data.Close()
		},
		method: "GET", path: downloadURL,
		answer: "data_token/download.ok",
	},
	{
		operation: "DataToken.ConfigureRiskMeta",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.ConfigureRiskMeta(ctx, dataToken1, privicore.RiskMeta{
				Classification: "secret", Label: "GDPR", Handling: "encrypt & burn", Other: map[string]string{"retention[]": "10 y"},
			})
		},
		method: "POST", path: "/data-token/configure-information-security-risk-meta", token: true, contentType: formType,
		body:   "classification=secret&handling=encrypt+%26+burn&label=GDPR&retention%5B%5D=10+y&token=" + dataToken1,
		answer: "data_token/configure_risk_meta.accepted", parameter: "classification",
	},
	{
		operation: "DataToken.ConfigureRiskMeta",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.ConfigureRiskMeta(ctx, dataToken1, privicore.RiskMeta{Other: map[string]string{"level": "3"}})
		},
		method: "POST", path: "/data-token/configure-information-security-risk-meta", token: true, contentType: formType,
		body:   "level=3&token=" + dataToken1,
		answer: "data_token/configure_risk_meta.accepted", parameter: "token",
	},
	{
		operation: "DataToken.ConfigureFileMeta",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.ConfigureFileMeta(ctx, temporaryToken, fileMeta)
		},
		method: "POST", path: "/data-token/configure-file-meta", token: true, contentType: formType,
		body:   "context=invoices&extension=pdf&fileName=M%C3%A4rz+%26+Co.pdf&path=%2F2025%2F03&size=5368709120&token=" + temporaryToken,
		answer: "data_token/configure_file_meta.ok", parameter: "fileName",
	},
	{
		operation: "DataToken.ConfigureFileMeta",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.ConfigureFileMeta(ctx, temporaryToken, privicore.FileMeta{FileName: "f", Extension: "e", Context: "c", Path: "/"})
		},
		method: "POST", path: "/data-token/configure-file-meta", token: true, contentType: formType,
		body:   "context=c&extension=e&fileName=f&path=%2F&size=0&token=" + temporaryToken,
		answer: "data_token/configure_file_meta.observed", parameter: "size",
	},
	{
		operation: "DataToken.List",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return firstPage(ctx, c, privicore.DataTokenFilter{})
		},
		method: "GET", path: "/data-token/list-data-tokens?page=1&perPage=100", token: true,
		answer: "data_token/list.ok", parameter: "page",
	},
	{
		operation: "DataToken.List",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return firstPage(ctx, c, privicore.DataTokenFilter{
				FileName: "a b", Extension: "pdf", DataType: "t&t", Context: "invoices", Token: dataToken1,
			})
		},
		method: "GET", token: true,
		path: "/data-token/list-data-tokens?filters%5Bcontext%5D=invoices&filters%5Bmeta.data.type%5D=t%26t" +
			"&filters%5Bmeta.file.extension%5D=pdf&filters%5Bmeta.file.fileName%5D=a+b&filters%5Btoken%5D=" + dataToken1 +
			"&page=1&perPage=100",
		answer: "data_token/list.ok", parameter: "page",
	},
	{
		operation: "DataToken.Update",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.Update(ctx, dataToken1, ciphertext, privicore.DataMeta{
				Risk: map[string]any{"label": "GDPR"}, File: map[string]any{"size": 13}, Data: map[string]any{"type": "scan"},
			})
		},
		method: "POST", path: "/data-token/update-data", token: true, contentType: jsonType,
		body: `{"dataToken":"` + dataToken1 + `","data":"APv/IGNpcGhlcnRleHQ=",
			"meta":{"information_security_risk":{"label":"GDPR"},"file":{"size":13},"data":{"type":"scan"}}}`,
		answer: "data_token/update.accepted", parameter: "dataToken",
	},
	{
		operation: "DataToken.UpdateMeta",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.UpdateMeta(ctx, dataToken1, privicore.TokenMeta{FileName: "a.txt", Extension: "txt", Context: "c"})
		},
		method: "POST", path: "/data-token/update-data-token", token: true, contentType: formType,
		body:   "context=c&extension=txt&fileName=a.txt&token=" + dataToken1,
		answer: "data_token/update_meta.accepted", parameter: "fileName",
	},
	{
		operation: "DataToken.UpdateMeta",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.UpdateMeta(ctx, dataToken1, privicore.TokenMeta{Context: "c"})
		},
		method: "POST", path: "/data-token/update-data-token", token: true, contentType: formType,
		body:   "context=c&token=" + dataToken1,
		answer: "data_token/update_meta.accepted", parameter: "context",
	},
	{
		operation: "DataToken.Delete",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.Delete(ctx, dataToken1)
		},
		method: "POST", path: "/data-token/delete-data", token: true, contentType: formType,
		body:   "token=" + dataToken1,
		answer: "data_token/delete.accepted", parameter: "token",
	},
}

func TestRetrieveTemporary(t *testing.T) {
	t.Parallel()
	for name, stream := range map[string]string{"ok": uploadURL, "observed": "up-recorded-token"} {
		c, _ := replay(t, "data_token/retrieve_temporary."+name)
		token, err := c.DataToken.RetrieveTemporary(t.Context(), commandID)
		require.NoError(t, err)
		assert.Equal(t, temporaryToken, token.Token)
		assert.Equal(t, stream, token.Stream.Reveal())
		assertHidden(t, token, "up-recorded-token")
		assert.Contains(t, string(token.RawJSON()), "up-recorded-token")
	}
	c, _ := replay(t, "data_token/retrieve_temporary.not_found", "data_token/retrieve_temporary.no_token")
	_, err := c.DataToken.RetrieveTemporary(t.Context(), commandID)
	require.ErrorIs(t, err, privicore.ErrNotFound)
	_, err = c.DataToken.RetrieveTemporary(t.Context(), commandID)
	require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
	assert.ErrorContains(t, err, "token is missing")
	assertHidden(t, err, "up-recorded-token")
}

// "Not settled" is said with the status of "not there": it passes, or it lasts.
func TestPendingToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := replay(t, "data_token/reserve.observed", "utility/request_status.succeeded",
			"data_token/retrieve_temporary.not_found", "data_token/retrieve_temporary.ok")
		pending, err := c.DataToken.Reserve(t.Context(), privicore.ReserveRequest{Context: "x"})
		require.NoError(t, err)
		token, err := pending.Result(t.Context())
		require.NoError(t, err)
		assert.Equal(t, temporaryToken, token.Token)
		assert.Len(t, s.sent, 4)
	})
	synctest.Test(t, func(t *testing.T) {
		answers := []string{"data_token/reserve.observed", "utility/request_status.succeeded"}
		for range 50 {
			answers = append(answers, "data_token/retrieve_temporary.not_found")
		}
		c, _ := replay(t, answers...)
		pending, err := c.DataToken.Reserve(t.Context(), privicore.ReserveRequest{Context: "x"})
		require.NoError(t, err)
		started := time.Now()
		_, err = pending.Result(t.Context())
		require.ErrorIs(t, err, privicore.ErrNotFound)
		assert.Less(t, time.Since(started), 20*time.Second)
	})
}

func TestConfigureFileMeta(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ok", "observed"} {
		c, _ := replay(t, "data_token/configure_file_meta."+name)
		token, err := c.DataToken.ConfigureFileMeta(t.Context(), temporaryToken, fileMeta)
		require.NoError(t, err)
		assert.Equal(t, dataToken1, token)
	}
	for _, body := range []string{`"ok"`, `"file meta configured"`, `""`, `{"token":""}`, `{"token":null}`, `["x"]`} {
		_, s := replay(t)
		s.answers = [][]byte{[]byte("HTTP/1.1 200 OK\n\n" + body)}
		_, err := s.client(privicore.WithToken(testToken)).DataToken.ConfigureFileMeta(t.Context(), temporaryToken, fileMeta)
		assert.ErrorIs(t, err, privicore.ErrUnexpectedAnswer, body)
	}
	c, _ := replay(t, "data_token/configure_file_meta.no_token")
	_, err := c.DataToken.ConfigureFileMeta(t.Context(), temporaryToken, fileMeta)
	require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
	apiErr, ok := errors.AsType[*privicore.APIError](err)
	require.True(t, ok)
	assert.Contains(t, string(apiErr.Response.Body), dataToken1, "the answer is not lost")
}

// Without a request id there would be nothing to wait for.
func TestRequestWithoutRequestID(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "data_token/request.no_request_id", "data_token/request.not_found")
	_, err := c.DataToken.Request(t.Context(), dataToken1)
	require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
	assert.ErrorContains(t, err, "X-DPT-CAB-REQUEST-ID")
	_, err = c.DataToken.Request(t.Context(), dataToken1)
	require.ErrorIs(t, err, privicore.ErrNotFound)
}

// The command id of a request is found wherever it is.
func TestRequestCommandIDs(t *testing.T) {
	t.Parallel()
	for _, name := range append(recordings(t, "commands"), "data_token/request.accepted", "data_token/request.observed") {
		_, s := replay(t)
		answer := strings.Replace(string(recorded(t, name)), "\n", "\nX-DPT-CAB-REQUEST-ID: "+requestID+"\n", 1)
		s.answers = [][]byte{[]byte(answer)}
		pending, err := s.client(privicore.WithToken(testToken)).DataToken.Request(t.Context(), dataToken1)
		require.NoError(t, err, name)
		assert.Equal(t, commandID, pending.ID, name)
		assert.Equal(t, requestID, pending.RequestID, name)
	}
}

// What nobody could hear is not waited for.
func TestDataNeedsTheChannel(t *testing.T) {
	t.Parallel()
	c, s := replay(t, "data_token/request.accepted")
	pending, err := c.DataToken.Request(t.Context(), dataToken1)
	require.NoError(t, err, "somebody else may be listening")
	_, err = pending.Result(t.Context())
	assert.ErrorContains(t, err, "WithWebSocketURL")

	key, err := privicore.NewAESGCM(make([]byte, 32))
	require.NoError(t, err)
	_, err = c.DataToken.Retrieve(t.Context(), dataToken1, privicore.Retrieval{Cipher: key})
	require.ErrorIs(t, err, privicore.ErrValidation)
	assert.ErrorContains(t, err, "WithWebSocketURL")
	assert.Len(t, s.sent, 1)
}

func TestDataTokenList(t *testing.T) {
	t.Parallel()
	collect := func(c *privicore.Client) (tokens []privicore.DataToken, err error) {
		for token, err := range c.DataToken.All(t.Context(), privicore.DataTokenFilter{}) {
			if err != nil {
				return tokens, err
			}
			tokens = append(tokens, token)
		}
		return tokens, nil
	}
	for name, tc := range map[string]struct {
		answers  []string
		requests int
	}{
		"one page that is not full":         {[]string{"list.ok"}, 1},
		"an array, the same for every page": {[]string{"list.array", "list.array"}, 2},
		"an array, and then nothing":        {[]string{"list.array", "list.empty"}, 2},
		"full pages":                        {[]string{"list.full", "list.rest", "list.empty"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range tc.answers {
				tc.answers[i] = "data_token/" + tc.answers[i]
			}
			c, s := replay(t, tc.answers...)
			tokens, err := collect(c)
			require.NoError(t, err)
			require.Len(t, tokens, 2)
			first := tokens[0]
			assert.JSONEq(t, `{"token":"`+dataToken1+`","context":"invoices","fileName":"march.pdf","extension":"pdf",
				"size":5368709120,"createdAt":"2025-02-10T10:03:06+00:00","owner":{"department":"sales"}}`, string(first.RawJSON()))
			assert.Equal(t, []any{dataToken1, "invoices", "march.pdf", "pdf", int64(5 << 30)},
				[]any{first.Token, first.Context, first.FileName, first.Extension, first.Size})
			assert.True(t, first.CreatedAt.Equal(deviceCreated))
			assert.Equal(t, dataToken2, tokens[1].Token)
			assert.Zero(t, tokens[1].Size)
			var want []string
			for _, page := range []string{"1", "2", "3"}[:tc.requests] {
				want = append(want, "GET /data-token/list-data-tokens?page="+page+"&perPage=100")
			}
			assert.Equal(t, want, s.requests())
		})
	}
	t.Run("empty", func(t *testing.T) {
		c, s := replay(t, "data_token/list.empty")
		tokens, err := collect(c)
		require.NoError(t, err)
		assert.Empty(t, tokens)
		assert.Len(t, s.sent, 1)
	})
	t.Run("a page that fails", func(t *testing.T) {
		for name, want := range map[string]error{"errors/403.key": privicore.ErrForbidden, "unreadable/html": privicore.ErrUnexpectedAnswer} {
			c, s := replay(t, "data_token/list.full", name)
			tokens, err := collect(c)
			require.ErrorIs(t, err, want)
			assert.Len(t, tokens, 1, "what came before")
			assert.Len(t, s.sent, 2)
		}
	})
	t.Run("pages are fetched as they are used", func(t *testing.T) {
		c, s := replay(t, "data_token/list.full")
		for _, err := range c.DataToken.All(t.Context(), privicore.DataTokenFilter{}) {
			require.NoError(t, err)
			break
		}
		assert.Len(t, s.sent, 1)
	})
}

// A server that gives less than it was asked for, and does not say so, has more.
func TestDataTokenListCappedPages(t *testing.T) {
	t.Parallel()
	for _, meta := range []string{`{"count":3}`, `{"count":3,"perPage":100}`, `{}`, `null`, `{"count":1}`} {
		_, s := replay(t)
		for _, items := range []string{`{"token":"a"}`, `{"token":"b"}`, `{"token":"c"}`, ``} {
			s.answers = append(s.answers, []byte("HTTP/1.1 200 OK\n\n"+`{"items":[`+items+`],"meta":`+meta+`}`))
		}
		c := s.client(privicore.WithToken(testToken))
		var got string
		for token, err := range c.DataToken.All(t.Context(), privicore.DataTokenFilter{}) {
			require.NoError(t, err)
			got += token.Token
		}
		assert.Equal(t, "abc", got, meta)
	}
}

// An entry whose token cannot be read neither ends the list nor hides a page.
func TestDataTokenListOddEntries(t *testing.T) {
	t.Parallel()
	for _, odd := range []string{`null`, `5`, `{}`, `{"token":null}`, `{"token":[]}`} {
		_, s := replay(t)
		for _, items := range []string{odd + `,{"token":"a"}`, odd + `,{"token":"b"}`, odd + `,{"token":"b"}`} {
			s.answers = append(s.answers, []byte("HTTP/1.1 200 OK\n\n"+`{"items":[`+items+`],"meta":{"perPage":2}}`))
		}
		tokens, err := s.client(privicore.WithToken(testToken)).DataToken.List(t.Context(), privicore.DataTokenFilter{})
		require.NoError(t, err, odd)
		require.Len(t, tokens, 4, odd)
		assert.Equal(t, []string{"", "a", "", "b"}, []string{tokens[0].Token, tokens[1].Token, tokens[2].Token, tokens[3].Token}, odd)
	}
}

func TestUpload(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ok", "observed"} {
		c, s := replay(t, "data_token/upload."+name)
		var raw privicore.Response
		err := c.DataToken.Upload(privicore.CaptureResponse(t.Context(), &raw), privicore.NewSecret(uploadURL), io.LimitReader(zeros{}, 100))
		require.NoError(t, err)
		assert.Equal(t, strings.Repeat("\x00", 100), s.sent[0].body)
		assert.Empty(t, s.sent[0].header.Values("X-DPT-AUTHORIZATION"))
		resp, body := parsed(t, "data_token/upload."+name)
		assert.Equal(t, resp.StatusCode, raw.StatusCode)
		assert.Equal(t, string(body), string(raw.Body))
	}
	c, s := replay(t, "data_token/upload.used")
	err := c.DataToken.Upload(t.Context(), privicore.NewSecret(uploadURL), strings.NewReader("x"))
	require.ErrorIs(t, err, privicore.ErrUnauthorized)
	assert.EqualError(t, err, "privicore: DataToken.Upload: POST /: 401 Unauthorized: The token [redacted] was used.")
	assertHidden(t, err, "up-recorded-token")
	assert.Len(t, s.sent, 1, "it works once")
}

// A bare token goes to the server that the client was told.
func TestUploadBareToken(t *testing.T) {
	t.Parallel()
	for configured, want := range map[string]string{
		"https://files.test":          "https://files.test/?auth=a%2Bb%2F%26%3D",
		"https://files.test/":         "https://files.test/?auth=a%2Bb%2F%26%3D",
		"https://files.test:8443/up/": "https://files.test:8443/up/?auth=a%2Bb%2F%26%3D",
	} {
		_, s := replay(t, "data_token/upload.ok")
		c := s.client(privicore.WithToken(testToken), privicore.WithUploadURL(configured))
		require.NoError(t, c.DataToken.Upload(t.Context(), privicore.NewSecret("a+b/&="), strings.NewReader("x")))
		assert.Equal(t, []string{"POST " + want}, s.requests())
	}
}

func TestDownload(t *testing.T) {
	t.Parallel()
	c, s := replay(t, "data_token/download.ok", "data_token/download.ok", "data_token/download.used")
	s.answers[1] = bytes.Replace(s.answers[1], []byte("Length: 19"), []byte("Length: 1000"), 1)
	var raw privicore.Response
	data, err := c.DataToken.Download(privicore.CaptureResponse(t.Context(), &raw), privicore.NewSecret(downloadURL))
	require.NoError(t, err)
	assert.Equal(t, int64(19), data.Size)
	assert.Equal(t, http.StatusOK, raw.StatusCode)
	got, err := io.ReadAll(data)
	require.NoError(t, err)
	assert.Equal(t, "recorded ciphertext", string(got))
	require.NoError(t, data.Close())
	assert.Empty(t, s.sent[0].header.Values("X-DPT-AUTHORIZATION"))

	data, err = c.DataToken.Download(t.Context(), privicore.NewSecret(downloadURL))
	require.NoError(t, err)
	assert.Equal(t, int64(1000), data.Size)
	_, err = io.ReadAll(data)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "shorter than announced")
	require.NoError(t, data.Close())

	_, err = c.DataToken.Download(t.Context(), privicore.NewSecret(downloadURL))
	require.ErrorIs(t, err, privicore.ErrUnauthorized)
	assertHidden(t, err, "dl-recorded-token")
}

// An error of net/http quotes the URL, with the token in it, or the answer.
func TestFileServersAreNotQuoted(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"http://127.0.0.1:1/?auth=secret-file-token",
		"https://files.test/%zz?auth=secret-file-token",
		"https://files.test/?auth=secret-file-token\x7f",
		"ftp://files.test/?auth=secret-file-token",
		"http://files.test/?auth=secret-file-token",
	} {
		c, err := privicore.NewClient(privicore.WithToken(testToken))
		require.NoError(t, err)
		_, err = c.DataToken.Download(t.Context(), privicore.NewSecret(target))
		require.Error(t, err)
		assertHidden(t, err, "secret-file-token")
		err = c.DataToken.Upload(t.Context(), privicore.NewSecret(target), strings.NewReader("x"))
		require.Error(t, err)
		assertHidden(t, err, "secret-file-token")
		assert.NotErrorIs(t, err, privicore.ErrAmbiguous, "nothing was sent")
		require.NoError(t, c.Close())
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestDataTokenRefusals(t *testing.T) {
	t.Parallel()
	const (
		reserve  = "DataToken.Reserve"
		commit   = "DataToken.ConfigureFileMeta"
		exchange = "DataToken.Exchange"
	)
	cipher, err := privicore.NewAESGCM(make([]byte, 32))
	require.NoError(t, err)
	cases := []refused{}
	refuse := func(why, operation, field, reason string, do func(ctx context.Context, c *privicore.Client) (any, error)) {
		cases = append(cases, refused{why, do, operation, field, reason})
	}
	store := func(change func(*privicore.Payload)) func(ctx context.Context, c *privicore.Client) (any, error) {
		p := privicore.Payload{Data: strings.NewReader("x"), Cipher: cipher, Context: "x"}
		change(&p)
		return func(ctx context.Context, c *privicore.Client) (any, error) { return c.DataToken.Store(ctx, p) }
	}

	for text, reason := range map[string]string{"": "is empty", " \t": "is empty", "a\x00b": "control character", "a\nb": "control character", "\xff": "UTF-8"} {
		refuse(reason, reserve, "context", reason, func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.Reserve(ctx, privicore.ReserveRequest{Context: text})
		})
		refuse("store: "+reason, reserve, "context", reason, store(func(p *privicore.Payload) { p.Context = text }))
		for field, set := range map[string]func(*privicore.FileMeta){
			"fileName":  func(m *privicore.FileMeta) { m.FileName = text },
			"extension": func(m *privicore.FileMeta) { m.Extension = text },
			"context":   func(m *privicore.FileMeta) { m.Context = text },
			"path":      func(m *privicore.FileMeta) { m.Path = text },
		} {
			meta := fileMeta
			set(&meta)
			refuse(field+reason, commit, field, reason, func(ctx context.Context, c *privicore.Client) (any, error) {
				return c.DataToken.ConfigureFileMeta(ctx, temporaryToken, meta)
			})
		}
	}
	for ttl, reason := range map[time.Duration]string{
		300 * time.Minute: "the server refuses 5h0m0s and more",
		24 * time.Hour:    "the server refuses 5h0m0s and more",
		90 * time.Second:  "whole minutes",
		time.Nanosecond:   "whole minutes",
		-time.Minute:      "must not be negative",
	} {
		refuse(ttl.String(), reserve, "ttl", reason, func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.Reserve(ctx, privicore.ReserveRequest{Context: "x", TTL: ttl})
		})
		refuse("store: "+ttl.String(), reserve, "ttl", reason, store(func(p *privicore.Payload) { p.TTL = ttl }))
	}
	refuse("store: no data", reserve, "data", "is nil", store(func(p *privicore.Payload) { p.Data = nil }))
	refuse("store: no cipher", reserve, "cipher", "is nil", store(func(p *privicore.Payload) { p.Cipher = nil }))
	// Not after the data has been sent.
	refuse("store: name", commit, "fileName", "control character", store(func(p *privicore.Payload) { p.Name = "a\nb" }))
	refuse("store: extension", commit, "extension", "control character", store(func(p *privicore.Payload) { p.Extension = "\x00" }))
	refuse("store: ending of name", commit, "extension", "is empty", store(func(p *privicore.Payload) { p.Name = "a. " }))
	refuse("store: path", commit, "path", "is empty", store(func(p *privicore.Payload) { p.Path = " " }))

	refuse("negative size", commit, "size", "is negative", func(ctx context.Context, c *privicore.Client) (any, error) {
		meta := fileMeta
		meta.Size = -1
		return c.DataToken.ConfigureFileMeta(ctx, temporaryToken, meta)
	})
	refuse("nothing", "DataToken.ConfigureRiskMeta", "classification", "is empty", func(ctx context.Context, c *privicore.Client) (any, error) {
		return c.DataToken.ConfigureRiskMeta(ctx, dataToken1, privicore.RiskMeta{})
	})
	for _, name := range []string{"token", "classification", "label", "handling", ""} {
		refuse("other "+name, "DataToken.ConfigureRiskMeta", name, "does not belong", func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.ConfigureRiskMeta(ctx, dataToken1, privicore.RiskMeta{Other: map[string]string{name: "x"}})
		})
	}
	refuse("nothing", "DataToken.UpdateMeta", "fileName", "is empty", func(ctx context.Context, c *privicore.Client) (any, error) {
		return c.DataToken.UpdateMeta(ctx, dataToken1, privicore.TokenMeta{})
	})
	refuse("no cipher", "DataToken.Request", "cipher", "is nil", func(ctx context.Context, c *privicore.Client) (any, error) {
		return c.DataToken.Retrieve(ctx, dataToken1, privicore.Retrieval{})
	})

	upload := func(stream string) func(ctx context.Context, c *privicore.Client) (any, error) {
		return func(ctx context.Context, c *privicore.Client) (any, error) {
			return nil, c.DataToken.Upload(ctx, privicore.NewSecret(stream), strings.NewReader("x"))
		}
	}
	download := func(url string) func(ctx context.Context, c *privicore.Client) (any, error) {
		return func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.DataToken.Download(ctx, privicore.NewSecret(url))
		}
	}
	refuse("no data", "DataToken.Upload", "ciphertext", "is nil", func(ctx context.Context, c *privicore.Client) (any, error) {
		return nil, c.DataToken.Upload(ctx, privicore.NewSecret(uploadURL), nil)
	})
	for target, reason := range map[string]string{
		"":                         "is empty",
		"up-bare-token":            "bare token",
		"ftp://files.test/?auth=x": "http or https",
		"https:///?auth=x":         "http or https",
		"http://files.test/?auth=": "plain http",
	} {
		refuse(target, "DataToken.Upload", "stream", reason, upload(target))
		refuse(target, "DataToken.Download", "url", reason, download(target))
	}
	assertRefused(t, cases)

	for operation, tc := range map[string]struct {
		field string
		do    func(ctx context.Context, c *privicore.Client, id string) (any, error)
	}{
		"DataToken.RetrieveTemporary": {"id", func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.DataToken.RetrieveTemporary(ctx, id)
		}},
		exchange: {"temporaryTokenSpace", func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.DataToken.Exchange(ctx, id, ciphertext)
		}},
		"DataToken.Request": {"token", func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.DataToken.Request(ctx, id)
		}},
		"DataToken.ConfigureRiskMeta": {"token", func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.DataToken.ConfigureRiskMeta(ctx, id, privicore.RiskMeta{Label: "x"})
		}},
		commit: {"token", func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.DataToken.ConfigureFileMeta(ctx, id, fileMeta)
		}},
		"DataToken.Update": {"dataToken", func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.DataToken.Update(ctx, id, ciphertext, privicore.DataMeta{})
		}},
		"DataToken.UpdateMeta": {"token", func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.DataToken.UpdateMeta(ctx, id, privicore.TokenMeta{Context: "x"})
		}},
		"DataToken.Delete": {"token", func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.DataToken.Delete(ctx, id)
		}},
	} {
		assertIdentifierChecked(t, operation, tc.field, tc.do)
	}
	assertIdentifierChecked(t, "DataToken.Request", "token", func(ctx context.Context, c *privicore.Client, id string) (any, error) {
		return c.DataToken.Retrieve(ctx, id, privicore.Retrieval{Cipher: cipher})
	})
}

func TestDataTokenListCollectsAllPages(t *testing.T) {
	t.Parallel()
	page := func(body string) []byte { return []byte("HTTP/1.1 200 OK\n\n" + body) }
	_, s := replay(t)
	s.answers = [][]byte{
		page(`{"items":[{"token":"dtk-1"},{"token":"dtk-2"}],"meta":{"count":3,"page":1,"perPage":2}}`),
		page(`{"items":[{"token":"dtk-3"}],"meta":{"count":3,"page":2,"perPage":2}}`),
	}
	c := s.client(privicore.WithToken(testToken))
	tokens, err := c.DataToken.List(t.Context(), privicore.DataTokenFilter{})
	require.NoError(t, err)
	require.Len(t, tokens, 3)
	assert.Equal(t, "dtk-3", tokens[2].Token)

	s.answers = [][]byte{page(`{"items":[{"token":"dtk-1"}],"meta":{"count":9,"perPage":1}}`), page(`<html>`)}
	tokens, err = c.DataToken.List(t.Context(), privicore.DataTokenFilter{})
	require.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
	assert.Nil(t, tokens, "half a list is no list")
}

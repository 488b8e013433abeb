package privicoretest_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/privicoretest"
)

// fileURL completes the address of a file server that an answer gave.
func fileURL(address string) string {
	if strings.Contains(address, "://") {
		return address
	}
	return "http://" + address
}

// fetch sends a request to the address of a file server.
func (c client) fetch(method, target, contentType string, body io.Reader) (answer, error) {
	c.t.Helper()
	request, err := http.NewRequest(method, fileURL(target), body)
	require.NoError(c.t, err)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	return c.do(request)
}

func (c client) upload(target, body string) answer {
	c.t.Helper()
	a, err := c.fetch("POST", target, "application/octet-stream", strings.NewReader(body))
	require.NoError(c.t, err)
	return a
}

func (c client) download(target string) answer {
	c.t.Helper()
	a, err := c.fetch("GET", target, "", nil)
	require.NoError(c.t, err)
	return a
}

func TestUpload(t *testing.T) {
	t.Parallel()
	s := serve(t, withStorage())
	c := login(t, s, "alice")
	token, stream := c.reserved()
	require.True(t, strings.HasPrefix(fileURL(stream), s.UploadURL+"?auth="))
	for name, refused := range map[string]struct {
		method, target, contentType string
		status                      int
	}{
		"no token":   {"POST", s.UploadURL + "/", "application/octet-stream", 401},
		"bad token":  {"POST", s.UploadURL + "/?auth=x", "application/octet-stream", 401},
		"form":       {"POST", stream, "application/x-www-form-urlencoded", 422},
		"method":     {"PUT", stream, "application/octet-stream", 405},
		"path":       {"POST", s.UploadURL + "/x?" + stream[strings.Index(stream, "auth="):], "application/octet-stream", 404},
		"downloader": {"GET", s.DownloadURL + "/?" + stream[strings.Index(stream, "auth="):], "", 401},
	} {
		a, err := c.fetch(refused.method, refused.target, refused.contentType, strings.NewReader("abc"))
		require.NoError(t, err, name)
		assert.Equal(t, refused.status, a.status, name)
		assert.NotEmpty(t, a.field(t, "message"), name)
	}
	assert.Equal(t, 422, c.commit(token, "a", "bin", 3).status, "nothing has arrived")
	a := c.upload(stream, "abc")
	assert.Equal(t, 200, a.status)
	assert.Empty(t, a.body)
	assert.Equal(t, 401, c.upload(stream, "abc").status, "used")
	assert.Equal(t, `["rejected","data_token.already_exchanged"]`, c.exchange(token, []byte("abc")))
	assert.Equal(t, 200, c.commit(token, "a", "bin", 3).status)
	assert.Equal(t, 5, s.Calls("DataToken.Upload"))

	inline, stream := c.reserved()
	c.exchange(inline, []byte("abc"))
	assert.Equal(t, 401, c.upload(stream, "abc").status, "exchanged inline")
}

// block is an endless stream of the same bytes.
type block struct{ data []byte }

func (b block) Read(p []byte) (int, error) { return copy(p, b.data), nil }

func TestLargeUploadAndDownload(t *testing.T) {
	t.Parallel()
	s := serve(t, withStorage())
	c := login(t, s, "alice")
	ws := joined(t, s, c)
	const size = 64 << 20
	source := func() io.Reader { return io.LimitReader(block{[]byte(strings.Repeat("privicore", 4096))}, size) }
	want := sha256.New()
	io.Copy(want, source())

	token, stream := c.reserved()
	a, err := c.fetch("POST", stream, "application/octet-stream", source())
	require.NoError(t, err)
	require.Equal(t, 200, a.status)
	permanent := c.commit(token, "a", "bin", size).field(t, "token")

	target := c.downloadURL(ws, permanent)
	response, err := c.via.RoundTrip(must(http.NewRequest("GET", fileURL(target), nil)))
	require.NoError(t, err)
	defer response.Body.Close()
	assert.Equal(t, 200, response.StatusCode)
	assert.EqualValues(t, size, response.ContentLength)
	assert.Equal(t, "application/octet-stream", response.Header.Get("Content-Type"))
	got := sha256.New()
	_, err = io.Copy(got, response.Body)
	require.NoError(t, err)
	assert.Equal(t, hex.EncodeToString(want.Sum(nil)), hex.EncodeToString(got.Sum(nil)))
	assert.Equal(t, 401, c.download(target).status, "used")

	assert.Equal(t, 1, files(t, s))
	c.outcome(c.post("/data-token/delete-data", "token", permanent))
	assert.Equal(t, 0, files(t, s), "deleted")
	_, stream = c.reserved()
	c.upload(stream, "abc")
	assert.Equal(t, 1, files(t, s))
	directory := s.Directory()
	s.Close()
	assert.NoDirExists(t, directory)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// files returns how many payloads the server keeps on the disk.
func files(t *testing.T, s *privicoretest.Server) int {
	t.Helper()
	if s.Directory() == "" {
		return 0
	}
	entries, err := os.ReadDir(s.Directory())
	require.NoError(t, err)
	return len(entries)
}

func TestInterruptedUpload(t *testing.T) {
	t.Parallel()
	s := serve(t, withStorage())
	c := login(t, s, "alice")
	token, stream := c.reserved()
	u := must(url.Parse(fileURL(stream)))
	conn, err := net.Dial("tcp", u.Host)
	require.NoError(t, err)
	_, err = io.WriteString(conn, "POST /?"+u.RawQuery+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: 100\r\n\r\nabc")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return files(t, s) == 1 }, 5*time.Second, time.Millisecond)
	conn.Close()
	require.Eventually(t, func() bool { return files(t, s) == 0 }, 5*time.Second, time.Millisecond)
	assert.Equal(t, 422, c.commit(token, "a", "bin", 3).status)
	assert.Equal(t, 401, c.upload(stream, "abc").status, "the token is used up")
}

func TestExpiredUploadLeavesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, withStorage())
		c := login(t, s, "alice")
		_, stream := c.reserved("ttl", "1")
		require.Equal(t, 200, c.upload(stream, "abc").status)
		require.Equal(t, 1, files(t, s))
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Zero(t, files(t, s))
	})
}

func TestFileServerFaults(t *testing.T) {
	t.Parallel()
	s := serve(t, withStorage())
	c := login(t, s, "alice")
	ws := joined(t, s, c)
	token, stream := c.reserved()
	s.Next("DataToken.Upload", privicoretest.Fault{Status: 503, Body: `"busy"`})
	large := strings.Repeat("x", 8<<20)
	assert.Equal(t, 503, c.upload(stream, large).status, "even if the client is still sending")
	s.Next("DataToken.Upload", privicoretest.Fault{Drop: true})
	_, err := c.fetch("POST", stream, "application/octet-stream", strings.NewReader(large))
	assert.Error(t, err)
	s.Next("DataToken.Upload", privicoretest.Fault{Drop: true, AfterEffect: true})
	_, err = c.fetch("POST", stream, "application/octet-stream", strings.NewReader(large))
	assert.Error(t, err)
	permanent := c.commit(token, "a", "bin", 8<<20).field(t, "token")

	target := c.downloadURL(ws, permanent)
	s.Next("DataToken.Download", privicoretest.Fault{Status: 500})
	assert.Equal(t, 500, c.download(target).status)
	s.Next("DataToken.Download", privicoretest.Fault{Drop: true, AfterEffect: true})
	half, err := c.fetch("GET", target, "", nil)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Len(t, half.body, 4<<20)
	assert.Equal(t, 401, c.download(target).status, "used up")
	s.Next("DataToken.Download", privicoretest.Fault{Status: 502, AfterEffect: true})
	target = c.downloadURL(ws, permanent)
	assert.Equal(t, 502, c.download(target).status)
	assert.Equal(t, 401, c.download(target).status, "used up")
}

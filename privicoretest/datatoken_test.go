package privicoretest_test

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/privicoretest"
)

var encode = base64.StdEncoding.EncodeToString

// reserved reserves a space and returns its temporary token and upload URL.
func (c client) reserved(form ...string) (token, stream string) {
	c.t.Helper()
	a := c.post("/data-token/reserve-token-space", append([]string{"context", "test"}, form...)...)
	require.NotContains(c.t, c.outcome(a), "rejected")
	temporary := c.get("/data-token/retrieve-temporary-data-token/" + a.id(c.t))
	return temporary.field(c.t, "token"), temporary.field(c.t, "stream")
}

func (c client) exchange(token string, data []byte) string {
	c.t.Helper()
	return c.outcome(c.post("/data-token/exchange-data-for-token", "temporaryTokenSpace", token, "data", encode(data)))
}

func (c client) commit(token, name, extension string, size int) answer {
	c.t.Helper()
	return c.post("/data-token/configure-file-meta", "token", token, "fileName", name, "extension", extension,
		"context", "test", "size", fmt.Sprint(size), "path", "/"+name)
}

// stored stores data inline and returns the permanent token.
func (c client) stored(name, extension string, data []byte) string {
	c.t.Helper()
	token, _ := c.reserved()
	require.NotContains(c.t, c.exchange(token, data), "rejected")
	return c.commit(token, name, extension, len(data)).field(c.t, "token")
}

// list returns the file names of a list of tokens and its meta.
func (c client) list(query string) (names []string, meta string) {
	c.t.Helper()
	a := c.get("/data-token/list-data-tokens" + query)
	require.Equal(c.t, 200, a.status, a.body)
	var page struct {
		Items []struct{ FileName string }
		Meta  json.RawMessage
	}
	require.NoError(c.t, json.Unmarshal([]byte(a.body), &page))
	names = []string{}
	for _, item := range page.Items {
		names = append(names, item.FileName)
	}
	return names, string(page.Meta)
}

func withStorage() privicoretest.Option { return privicoretest.WithStorageDevices(3) }

func TestStoreInline(t *testing.T) {
	t.Parallel()
	s := serve(t, withStorage(), privicoretest.WithProfile("bob", password))
	c := login(t, s, "alice")
	reservation := c.post("/data-token/reserve-token-space", "context", "invoices", "ttl", "240", "meta", "anything")
	assert.Equal(t, `["data_token.token_space_reserved"]`, c.outcome(reservation))
	path := "/data-token/retrieve-temporary-data-token/" + reservation.id(t)
	temporary := c.get(path)
	token := temporary.field(t, "token")
	assert.Regexp(t, `^tmp-`, token)
	assert.Regexp(t, `^127\.0\.0\.1:\d+\?auth=\w{20,}$`, temporary.field(t, "stream"))
	assert.Equal(t, temporary.body, c.get(path).body, "again")
	assert.Equal(t, 404, login(t, s, "bob").get(path).status)

	early := c.commit(token, "a.txt", "txt", 3)
	assert.Equal(t, 422, early.status)
	assert.JSONEq(t, `{"message":"validation failed","errors":{"token":["No data has arrived for this token yet."]}}`, early.body)

	assert.Equal(t, `["data_token.data_exchanged"]`, c.exchange(token, []byte("abc")))
	assert.Equal(t, `["rejected","data_token.already_exchanged"]`, c.exchange(token, []byte("abc")))
	assert.Equal(t, 404, login(t, s, "bob").commit(token, "a.txt", "txt", 3).status)

	committed := c.post("/data-token/configure-file-meta", "token", token, "fileName", "a.txt", "extension", "txt",
		"context", "invoices", "size", "5000000000", "path", "/in/a.txt")
	require.Equal(t, 200, committed.status)
	assert.Regexp(t, `^\{"token":"dtk-[^"]+"\}$`, committed.body)
	assert.Equal(t, 404, c.get(path).status, "the temporary token is gone")
	assert.Equal(t, 404, c.commit(token, "a.txt", "txt", 3).status)

	list := c.get("/data-token/list-data-tokens")
	created := list.body[strings.Index(list.body, `"createdAt":"`)+13:][:25]
	assert.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$`, created)
	assert.JSONEq(t, `{"items":[{"token":"`+committed.field(t, "token")+`","context":"invoices","fileName":"a.txt","extension":"txt",
		"size":5000000000,"createdAt":"`+created+`"}],"meta":{"count":1,"page":1,"perPage":20}}`, list.body)
	names, _ := login(t, s, "bob").list("")
	assert.Empty(t, names)
}

func TestStoreObserved(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t, withStorage(), privicoretest.WithDialect(privicoretest.Observed), privicoretest.WithBareStreamToken()), "alice")
	token, stream := c.reserved()
	assert.Regexp(t, `^\w{20,}$`, stream)
	c.exchange(token, []byte("abc"))
	assert.Regexp(t, `^"dtk-[^"]+"$`, c.commit(token, "a", "txt", 3).body)
}

func TestReserveRefuses(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t, withStorage()), "alice")
	for field, values := range map[string][]string{"context": {"", " "}, "ttl": {"0", "-1", "241", "300", "x", "1.5"}} {
		for _, v := range values {
			form := map[string]string{"context": "x", field: v}
			a := c.post("/data-token/reserve-token-space", "context", form["context"], "ttl", cmp.Or(form["ttl"], "5"))
			assert.Equal(t, 422, a.status, v)
			assert.Contains(t, a.object(t)["errors"], field, v)
		}
	}
	assert.Equal(t, 422, c.post("/data-token/reserve-token-space").status)
	assert.Equal(t, 422, c.post("/data-token/reserve-token-space", "context", "x", "metadata", "x").status)
	assert.Equal(t, 202, c.post("/data-token/reserve-token-space", "context", "x", "meta[data][type]", "x").status)
}

func TestTemporaryTokenIsNotThere(t *testing.T) {
	t.Parallel()
	s := serve(t, withStorage())
	c := login(t, s, "alice")
	status := func(id string) int { return c.get("/data-token/retrieve-temporary-data-token/" + id).status }
	s.Next("DataToken.Reserve", privicoretest.Fault{Latency: time.Hour})
	assert.Equal(t, 404, status(c.post("/data-token/reserve-token-space", "context", "x").id(t)), "still running")
	s.Next("DataToken.Reserve", privicoretest.Fault{Reject: []string{"no"}, Latency: -1})
	assert.Equal(t, 404, status(c.post("/data-token/reserve-token-space", "context", "x").id(t)), "rejected")
	assert.Equal(t, 404, status("019735db-0000-4000-8000-000000000000"))
	assert.Equal(t, 422, status("x"))
	other := c.post("/device/request-unique-identifier", "deviceName", "x")
	c.outcome(other)
	assert.Equal(t, 404, status(other.id(t)), "of another kind")
}

func TestTemporaryTokenExpires(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, withStorage())
		c := login(t, s, "alice")
		a := c.post("/data-token/reserve-token-space", "context", "x", "ttl", "1")
		c.outcome(a)
		path := "/data-token/retrieve-temporary-data-token/" + a.id(t)
		temporary := c.get(path)
		token, stream := temporary.field(t, "token"), temporary.field(t, "stream")
		c.exchange(token, []byte("abc"))
		longer, _ := c.reserved() // for five minutes, the default
		time.Sleep(59 * time.Second)
		assert.Equal(t, 200, c.get(path).status)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, 404, c.get(path).status)
		assert.Equal(t, 404, c.commit(token, "a", "txt", 3).status, "with its data")
		assert.Equal(t, 401, c.upload(stream, "abc").status)
		assert.Equal(t, 404, c.post("/data-token/exchange-data-for-token", "temporaryTokenSpace", token, "data", "YWJj").status)
		time.Sleep(3*time.Minute + 50*time.Second)
		assert.NotContains(t, c.exchange(longer, []byte("x")), "rejected")
		time.Sleep(10 * time.Second)
		assert.Equal(t, 404, c.commit(longer, "a", "txt", 1).status)
	})
}

func TestExchangeLimits(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t, withStorage()), "alice")
	token, _ := c.reserved()
	for _, data := range []string{" ", "%%%", "YWJ", encode(make([]byte, 51201))} {
		a := c.post("/data-token/exchange-data-for-token", "temporaryTokenSpace", token, "data", data)
		assert.Equal(t, 422, a.status)
		assert.Contains(t, a.object(t)["errors"], "data")
	}
	assert.Equal(t, 404, c.post("/data-token/exchange-data-for-token", "temporaryTokenSpace", "tmp-x", "data", "YWJj").status)
	assert.Equal(t, `["data_token.data_exchanged"]`, c.exchange(token, make([]byte, 51200)))
	for field, form := range map[string][]string{
		"fileName": {"token", token, "extension", "", "context", "c", "size", "1", "path", ""},
		"size":     {"token", token, "fileName", "a", "extension", "", "context", "c", "size", "-1", "path", ""},
		"path":     {"token", token, "fileName", "a", "extension", "", "context", "c", "size", "1"},
	} {
		a := c.post("/data-token/configure-file-meta", form...)
		assert.Equal(t, 422, a.status)
		assert.Contains(t, a.object(t)["errors"], field)
	}
	assert.Equal(t, 200, c.commit(token, "README", "", 0).status, "no extension")
}

func TestEmptyData(t *testing.T) {
	t.Parallel()
	for _, dialect := range []privicoretest.Dialect{privicoretest.Documented, privicoretest.Observed} {
		s := serve(t, withStorage(), privicoretest.WithDialect(dialect))
		c := login(t, s, "alice")
		token, _ := c.reserved()
		assert.Equal(t, 422, c.post("/data-token/exchange-data-for-token", "temporaryTokenSpace", token).status)
		assert.NotContains(t, c.exchange(token, nil), "rejected")
		assert.Equal(t, 200, c.commit(token, "a", "txt", 0).status)

		token, _ = c.reserved()
		c.exchange(token, []byte("abc"))
		c.commit(token, "b", "txt", 3)
		permanent := c.get("/data-token/list-data-tokens?filters[meta.file.fileName]=b").object(t)["items"].([]any)[0].(map[string]any)["token"].(string)
		assert.Equal(t, 422, c.postJSON("/data-token/update-data", `{"dataToken":"`+permanent+`"}`).status)
		assert.Equal(t, 422, c.postJSON("/data-token/update-data", `{"dataToken":"`+permanent+`","data":null}`).status)
		assert.NotContains(t, c.outcome(c.postJSON("/data-token/update-data", `{"dataToken":"`+permanent+`","data":""}`)), "rejected")
		ws := joined(t, s, c)
		c.post("/data-token/request-data", "token", permanent)
		d := ws.delivery()
		if dialect == privicoretest.Observed {
			assert.Empty(t, d.Body)
			continue
		}
		got := c.download(ws.delivery().Body.(string))
		assert.Equal(t, 200, got.status)
		assert.Empty(t, got.body)
	}
}

// PHP writes an empty object as [], and a client with optional fields null.
func TestMetaOfUpdates(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t, withStorage()), "alice")
	token := c.stored("a", "txt", []byte("abc"))
	update := func(meta string) answer {
		return c.postJSON("/data-token/update-data", `{"dataToken":"`+token+`","data":"YWJj","meta":`+meta+`}`)
	}
	for _, meta := range []string{`null`, `[]`, `{}`, `{"file":[],"data":null,"information_security_risk":{}}`, `{"file":{"fileName":null,"size":null}}`} {
		assert.NotContains(t, c.outcome(update(meta)), "rejected", meta)
		names, _ := c.list("")
		assert.Equal(t, []string{"a"}, names, meta)
	}
	c.outcome(update(`{"file":{"size":5000000000.0}}`))
	assert.Contains(t, c.get("/data-token/list-data-tokens").body, `"size":5000000000,`)
	for _, meta := range []string{`[1]`, `"x"`, `{"file":[1]}`, `{"file":"x"}`, `{"colour":null}`} {
		assert.Equal(t, 422, update(meta).status, meta)
	}
}

func TestDataNeedsStorage(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := login(t, s, "alice")
	reserve := func() answer { return c.post("/data-token/reserve-token-space", "context", "x") }
	assert.Equal(t, `["rejected","storage.device_required"]`, c.outcome(reserve()))

	id := c.approved("server")
	c.outcome(c.post("/storage/register", "deviceIdentifier", id))
	token, stream := c.reserved()
	dataToken := c.stored("a", "txt", []byte("abc"))
	c.outcome(c.post("/storage/remove", "deviceIdentifier", id))
	assert.Equal(t, `["rejected","storage.device_required"]`, c.outcome(reserve()))
	assert.Equal(t, `["rejected","storage.device_required"]`, c.exchange(token, []byte("abc")))
	refused := c.upload(stream, "abc")
	assert.Equal(t, 422, refused.status)
	assert.Contains(t, refused.body, "storage device")
	assert.Equal(t, `["rejected","storage.device_required"]`,
		c.outcome(c.postJSON("/data-token/update-data", `{"dataToken":"`+dataToken+`","data":"YWJj"}`)))

	assert.Equal(t, `["rejected","storage.device_required"]`, c.outcome(c.post("/data-token/request-data", "token", dataToken)))

	c.outcome(c.post("/storage/register", "deviceIdentifier", id))
	assert.Equal(t, `["data_token.data_requested"]`, c.outcome(c.post("/data-token/request-data", "token", dataToken)))
	assert.Equal(t, 200, c.upload(stream, "abc").status, "a refused upload does not use the token up")
}

func TestListDataTokens(t *testing.T) {
	t.Parallel()
	c := login(t, serve(t, withStorage()), "alice")
	for i := range 25 {
		c.stored(fmt.Sprint("file ", i), []string{"txt", "pdf"}[i%2], []byte("x"))
	}
	names, meta := c.list("")
	assert.Len(t, names, 20)
	assert.Equal(t, "file 0", names[0])
	assert.JSONEq(t, `{"count":25,"page":1,"perPage":20}`, meta)
	names, meta = c.list("?page=3&perPage=10")
	assert.Equal(t, []string{"file 20", "file 21", "file 22", "file 23", "file 24"}, names)
	assert.JSONEq(t, `{"count":25,"page":3,"perPage":10}`, meta)
	names, meta = c.list("?perPage=101")
	assert.Len(t, names, 25)
	assert.JSONEq(t, `{"count":25,"page":1,"perPage":100}`, meta)
	names, _ = c.list("?page=2147483647&perPage=100")
	assert.Empty(t, names)

	names, meta = c.list("?perPage=2&page=2&filters[meta.file.extension]=pdf")
	assert.Equal(t, []string{"file 5", "file 7"}, names)
	assert.JSONEq(t, `{"count":12,"page":2,"perPage":2}`, meta)
	names, _ = c.list("?" + url.Values{"filters[meta.file.fileName]": {"file 3"}}.Encode())
	assert.Equal(t, []string{"file 3"}, names)
	names, _ = c.list("?filters[context]=other")
	assert.Empty(t, names)
	names, _ = c.list("?filters[context]=test&filters[meta.file.fileName]=file+3&filters[meta.file.extension]=txt")
	assert.Empty(t, names, "all filters hold")

	reserved, _ := c.reserved("meta[data][type]", "invoice", "meta", `{"x":{"y":1}}`)
	c.exchange(reserved, []byte("abc"))
	token := c.commit(reserved, "typed", "txt", 3).field(t, "token")
	names, _ = c.list("?filters[meta.data.type]=invoice")
	assert.Equal(t, []string{"typed"}, names)
	names, _ = c.list("?filters[token]=" + token)
	assert.Equal(t, []string{"typed"}, names)

	for _, query := range []string{"?page=0", "?perPage=0", "?page=x", "?sort=name", "?filters[size]=3", "?page=1&page=2"} {
		assert.Equal(t, 422, c.get("/data-token/list-data-tokens"+query).status, query)
	}
}

func TestUpdateAndDelete(t *testing.T) {
	t.Parallel()
	s := serve(t, withStorage(), privicoretest.WithProfile("bob", password))
	c := login(t, s, "alice")
	token := c.stored("a", "txt", []byte("abc"))

	risk := "/data-token/configure-information-security-risk-meta"
	assert.Equal(t, `["data_token.information_security_risk_meta_configured"]`,
		c.outcome(c.post(risk, "token", token, "classification", "secret", "label", "x", "handling", "y")))
	assert.Equal(t, `["data_token.information_security_risk_meta_configured"]`, c.outcome(c.post(risk, "token", token, "anything", "goes")))
	assert.Equal(t, 422, c.post(risk, "classification", "secret").status)
	assert.Equal(t, 422, c.post(risk, "token", token).status, "nothing to configure")

	update := func(body string) answer {
		return c.postJSON("/data-token/update-data", strings.Replace(body, "TOKEN", token, 1))
	}
	assert.Equal(t, `["data_token.data_updated"]`, c.outcome(update(`{"dataToken":"TOKEN","data":"`+encode([]byte("longer"))+
		`","meta":{"information_security_risk":{},"file":{"fileName":"b"},"data":{"type":"note"}}}`)))
	names, _ := c.list("?filters[meta.data.type]=note")
	assert.Equal(t, []string{"b"}, names)
	assert.Contains(t, c.get("/data-token/list-data-tokens").body, `"size":6`)
	for field, body := range map[string]string{
		"dataToken": `{"data":"YWJj"}`,
		"data":      `{"dataToken":"TOKEN","data":"not base64"}`,
		"meta":      `{"dataToken":"TOKEN","data":"YWJj","meta":{"colour":{}}}`,
	} {
		a := update(body)
		assert.Equal(t, 422, a.status)
		assert.Contains(t, a.object(t)["errors"], field)
	}

	assert.Equal(t, `["data_token.data_token_updated"]`,
		c.outcome(c.post("/data-token/update-data-token", "token", token, "fileName", "c", "extension", "md", "context", "notes")))
	list := c.get("/data-token/list-data-tokens").body
	assert.Contains(t, list, `"context":"notes","fileName":"c","extension":"md"`)

	bob := login(t, s, "bob")
	for _, path := range []string{"/data-token/delete-data", "/data-token/update-data-token", "/data-token/request-data", risk} {
		var more []string
		if path == risk {
			more = []string{"label", "x"}
		}
		assert.Equal(t, 404, bob.post(path, append(more, "token", token)...).status, path)
		assert.Equal(t, 404, c.post(path, append(more, "token", "dtk-unknown")...).status, path)
		assert.Equal(t, 422, c.post(path).status, path)
	}
	assert.Equal(t, 404, bob.postJSON("/data-token/update-data", `{"dataToken":"`+token+`","data":"YWJj"}`).status)

	s.Next("DataToken.Delete", privicoretest.Fault{Latency: 500 * time.Millisecond})
	late := c.post("/data-token/delete-data", "token", token)
	assert.Equal(t, `["data_token.data_deleted"]`, c.outcome(c.post("/data-token/delete-data", "token", token)))
	assert.Equal(t, `["rejected","data_token.not_found"]`, c.outcome(late))
	names, _ = c.list("")
	assert.Empty(t, names)
	assert.Equal(t, 404, c.post("/data-token/delete-data", "token", token).status)
}

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/tidwall/gjson"

	"github.com/privicore/privicore-go/internal/operation"
)

// echo is a proxy that collects the secrets that pass through it and puts them
// into every answer: as values, as names, in headers, in refusals and redirects.
type echo struct {
	mu      sync.Mutex
	secrets map[string]bool
}

var secretFields = []string{
	"authorizationToken", "token", "refreshToken", "clientSecret", "client-secret", "rabbit-pass", "private", "qrToken",
	"authorizationCode", "stream", "profileId", "deviceIdentifier", "applicationId", "clientId",
	"password", "currentPassword", "newPassword", "authorization_code", "refresh_token", "nonce", "publicKey",
}

func (e *echo) add(secret string) {
	if len(secret) >= 8 {
		e.secrets[secret] = true
	}
	if _, auth, ok := strings.Cut(secret, "auth="); ok {
		e.secrets[auth] = true
	}
}

// request collects what a request carries.
func (e *echo) request(r *http.Request) {
	var body bytes.Buffer
	_, _ = body.ReadFrom(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body.Bytes()))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.add(r.Header.Get("X-DPT-AUTHORIZATION"))
	_, basic, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	e.add(basic)
	if pair, err := base64.StdEncoding.DecodeString(basic); err == nil {
		_, secret, _ := strings.Cut(string(pair), ":")
		e.add(secret)
	}
	form, _ := url.ParseQuery(body.String())
	for _, name := range secretFields {
		e.add(form.Get(name))
		e.add(r.URL.Query().Get(name))
	}
}

// answer collects what an answer carries.
func (e *echo) answer(v gjson.Result) {
	v.ForEach(func(name, member gjson.Result) bool {
		for _, field := range secretFields {
			if name.Str == field {
				e.add(member.Str)
			}
		}
		if member.IsObject() || member.IsArray() {
			e.answer(member)
		}
		return true
	})
}

// all returns the secrets so far.
func (e *echo) all() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	for secret := range e.secrets {
		all = append(all, secret)
	}
	return all
}

func (e *echo) plant(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.request(r)
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		e.mu.Lock()
		e.answer(gjson.ParseBytes(answer.Body.Bytes()))
		e.mu.Unlock()
		for i, secret := range e.all() {
			answer.Header().Set(fmt.Sprintf("X-Echo-%d", i), secret)
		}
		e.spoil(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}

// spoil puts the secrets into an answer. Some calls on which nothing depends are
// refused, the others still work.
func (e *echo) spoil(answer *httptest.ResponseRecorder, r *http.Request) {
	secrets := e.all()
	message, _ := json.Marshal(strings.Join(secrets, " "))
	switch {
	case r.URL.Path == operation.StorageSynchronize.Path:
		answer.Code = http.StatusUnprocessableEntity
		answer.Body = bytes.NewBufferString(`{"message":` + string(message) + `,"errors":` + asNames(secrets) + `}`)
	case r.URL.Path == operation.OAuthScope.Path:
		answer.Code = http.StatusForbidden
		answer.Body = bytes.NewBufferString(`["` + password + `","` + strings.Join(secrets, `","`) + `"]`)
	case r.URL.Path == operation.PublicKeyRetrieveCAB.Path:
		answer.Code = http.StatusFound
		answer.Header().Set("Location", "/"+strings.Join(secrets, "/")+"?auth="+secrets[0])
	case strings.HasPrefix(r.URL.Path, "/device/retrieve-device-configuration/"):
		answer.Code = http.StatusBadGateway
		answer.Header().Set("Content-Type", "text/html")
		answer.Body = bytes.NewBufferString("<html>" + string(message) + "</html>")
	case r.URL.Path == operation.DeviceConfigureMeta.Path:
		moveID(answer, "X-"+password, "%.0s")
	case bytes.HasPrefix(answer.Body.Bytes(), []byte("{")) && r.URL.Path != operation.PolicyListTemplates.Path:
		body := strings.TrimSuffix(strings.TrimSpace(answer.Body.String()), "}")
		names := strings.TrimPrefix(asNames(secrets), "{")
		answer.Body = bytes.NewBufferString(body + "," + names)
	case r.URL.Path == operation.StorageRegister.Path:
		answer.Header().Set("Content-Type", password)
	}
}

// asNames returns an object whose names are the secrets.
func asNames(secrets []string) string {
	members := make([]string, 0, len(secrets))
	for _, secret := range secrets {
		name, _ := json.Marshal(secret)
		members = append(members, string(name)+`:1`)
	}
	return "{" + strings.Join(members, ",") + "}"
}

var identifier = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(tmp|dtk)-|[?&]auth=[A-Za-z0-9]|[0-9a-f]{32}`)

func TestReportHoldsNoSecret(t *testing.T) {
	t.Parallel()
	for name, dialect := range dialects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := &echo{secrets: map[string]bool{username: true, password: true}}
				r := newRig(t, dialect, e.plant)
				o := conformance(t.Context(), r.settings())
				assert.Equal(t, exitDiffers, o.code)
				assert.Greater(t, strings.Count(o.text, "\n"), 100)
				assert.Greater(t, len(e.all()), 20, "the proxy saw few secrets")
				for _, wrong := range []string{"Storage.Synchronize", "OAuth.Scope", "PublicKey.RetrieveCAB", "Device.ConfigureMeta"} {
					assert.Equal(t, differs, o.verdicts[wrong], wrong)
				}
				for _, secret := range e.all() {
					assert.NotContains(t, o.text, secret)
					assert.NotContains(t, o.progress, secret)
					assert.NotContains(t, o.text, base64.StdEncoding.EncodeToString([]byte(secret)))
				}
				assert.NotRegexp(t, identifier, o.text)
				assert.NotRegexp(t, identifier, o.progress)
			})
		})
	}
}

func TestNamesThatAreShown(t *testing.T) {
	t.Parallel()
	s := newSecrets("privicore-conformance-x", "hunter.two", "abc")
	s.received(gjson.Parse(`{"a":"T-ABCDEFGH2345","b":["https://f.test/?auth=zyxwvu"],"c":"approved","d":"Some sentence with token 12345"}`))
	for name, want := range map[string]string{
		"deviceIdentifier": "deviceIdentifier", "rabbit-pass": "rabbit-pass", "strategy_params": "strategy_params",
		"approved": "approved", "X-Command-Id": "X-Command-Id", "data_token.retrieve": "data_token.retrieve", "abc": "abc",
		"T-ABCDEFGH2345": hidden, "hunter.two": hidden, "my-hunter.two": hidden, "zyxwvu": hidden,
		"0195d2c4-0000-7000-8000-000000000001": hidden, "ABCDEFGHIJKLMNOPQRSTUVWXYZ": hidden,
		"": hidden, "a b": hidden, "a`b": hidden, "a|b": hidden, strings.Repeat("a", 61): hidden,
	} {
		assert.Equal(t, want, s.name(name), name)
	}
	assert.Equal(t, "/device/"+hidden+"/list", s.path("/device/T-ABCDEFGH2345/list"))
	assert.Equal(t, []string{"oauth.already_retrieved", "succeeded"},
		s.keys(gjson.Parse(`{"message":"oauth.already_retrieved","x":["succeeded","hunter.two","Sorry, T-1"]}`)))
	assert.NotContains(t, s.scrub("see zyxwvu and T-ABCDEFGH2345"), "T-ABCDEFGH2345")
}

package privicore_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/operation"
)

// exportedTypes are all exported types of the package, a generic one with a type
// argument.
var exportedTypes = []reflect.Type{
	reflect.TypeFor[privicore.AESGCM](),
	reflect.TypeFor[privicore.APIError](),
	reflect.TypeFor[privicore.AccessToken](),
	reflect.TypeFor[privicore.Authenticator](),
	reflect.TypeFor[privicore.AuthorizationCode](),
	reflect.TypeFor[privicore.AuthorizationRequest](),
	reflect.TypeFor[privicore.AuthorizationToken](),
	reflect.TypeFor[privicore.AuthorizeRequest](),
	reflect.TypeFor[privicore.Binding](),
	reflect.TypeFor[privicore.BoundAESGCM](),
	reflect.TypeFor[privicore.BulkOptions](),
	reflect.TypeFor[privicore.BulkProgress](),
	reflect.TypeFor[privicore.CachedToken](),
	reflect.TypeFor[privicore.CallReport](),
	reflect.TypeFor[privicore.ChannelState](),
	reflect.TypeFor[privicore.Cipher](),
	reflect.TypeFor[privicore.Ciphertext](),
	reflect.TypeFor[privicore.Client](),
	reflect.TypeFor[privicore.CommandError](),
	reflect.TypeFor[privicore.CommandEvent](),
	reflect.TypeFor[privicore.CommandResult](),
	reflect.TypeFor[privicore.CommandStatus](),
	reflect.TypeFor[privicore.Command](),
	reflect.TypeFor[privicore.CreatePollRequest](),
	reflect.TypeFor[privicore.DataMeta](),
	reflect.TypeFor[privicore.DataReadyEvent](),
	reflect.TypeFor[privicore.DataTokenFilter](),
	reflect.TypeFor[privicore.DataTokenService](),
	reflect.TypeFor[privicore.DataToken](),
	reflect.TypeFor[privicore.Deleted](),
	reflect.TypeFor[privicore.DeviceConfiguration](),
	reflect.TypeFor[privicore.DeviceMeta](),
	reflect.TypeFor[privicore.DeviceService](),
	reflect.TypeFor[privicore.Device](),
	reflect.TypeFor[privicore.DisconnectedEvent](),
	reflect.TypeFor[privicore.DroppedEvent](),
	reflect.TypeFor[privicore.Envelope](),
	reflect.TypeFor[privicore.Event](),
	reflect.TypeFor[privicore.FieldError](),
	reflect.TypeFor[privicore.FileMeta](),
	reflect.TypeFor[privicore.GateRequest](),
	reflect.TypeFor[privicore.Health](),
	reflect.TypeFor[privicore.Hooks](),
	reflect.TypeFor[privicore.KeyError](),
	reflect.TypeFor[privicore.KeyPair](),
	reflect.TypeFor[privicore.KeyWrapper](),
	reflect.TypeFor[privicore.Keyring](),
	reflect.TypeFor[privicore.MessageKey](),
	reflect.TypeFor[privicore.OAuthApplication](),
	reflect.TypeFor[privicore.OAuthConfiguration](),
	reflect.TypeFor[privicore.OAuthScope](),
	reflect.TypeFor[privicore.OAuthService](),
	reflect.TypeFor[privicore.OAuthTokenSource](),
	reflect.TypeFor[privicore.ObtainAccessTokenRequest](),
	reflect.TypeFor[privicore.Option](),
	reflect.TypeFor[privicore.Payload](),
	reflect.TypeFor[privicore.PendingAuthorizationCode](),
	reflect.TypeFor[privicore.PendingData](),
	reflect.TypeFor[privicore.Pending[*privicore.TemporaryToken]](),
	reflect.TypeFor[privicore.PolicyEvent](),
	reflect.TypeFor[privicore.PolicyService](),
	reflect.TypeFor[privicore.PolicyTemplate](),
	reflect.TypeFor[privicore.Policy](),
	reflect.TypeFor[privicore.PollStatus](),
	reflect.TypeFor[privicore.Poll](),
	reflect.TypeFor[privicore.PrivateKey](),
	reflect.TypeFor[privicore.ProfileService](),
	reflect.TypeFor[privicore.PublicKeyService](),
	reflect.TypeFor[privicore.PublicKey](),
	reflect.TypeFor[privicore.QRToken](),
	reflect.TypeFor[privicore.ReconnectedEvent](),
	reflect.TypeFor[privicore.RegisterApplicationRequest](),
	reflect.TypeFor[privicore.RegisterPolicyRequest](),
	reflect.TypeFor[privicore.ReserveRequest](),
	reflect.TypeFor[privicore.Response](),
	reflect.TypeFor[privicore.Retrieval](),
	reflect.TypeFor[privicore.RetrieveRequest](),
	reflect.TypeFor[privicore.Retrieved](),
	reflect.TypeFor[privicore.RiskMeta](),
	reflect.TypeFor[privicore.Retry](),
	reflect.TypeFor[privicore.Secret](),
	reflect.TypeFor[privicore.StepError](),
	reflect.TypeFor[privicore.Step](),
	reflect.TypeFor[privicore.StorageDevice](),
	reflect.TypeFor[privicore.StorageService](),
	reflect.TypeFor[privicore.Stored](),
	reflect.TypeFor[privicore.Strategy](),
	reflect.TypeFor[privicore.StreamReadyEvent](),
	reflect.TypeFor[privicore.TakeAuthorizationCodeRequest](),
	reflect.TypeFor[privicore.TemporaryToken](),
	reflect.TypeFor[privicore.TokenCache](),
	reflect.TypeFor[privicore.TokenError](),
	reflect.TypeFor[privicore.TokenMeta](),
	reflect.TypeFor[privicore.TokenSource](),
	reflect.TypeFor[privicore.UnknownEvent](),
	reflect.TypeFor[privicore.UnknownKeyError](),
	reflect.TypeFor[privicore.UtilityService](),
	reflect.TypeFor[privicore.ValidationError](),
	reflect.TypeFor[privicore.VerifiedAuthenticatorService](),
	reflect.TypeFor[privicore.VotingConfiguration](),
	reflect.TypeFor[privicore.VotingService](),
	reflect.TypeFor[privicore.VotingStrategy](),
	reflect.TypeFor[privicore.WaitError](),
	reflect.TypeFor[privicore.WaitReport](),
	reflect.TypeFor[privicore.WrappedKey](),
}

// pointersOnly are the types that are never copied. Their methods have pointer
// receivers.
var pointersOnly = []reflect.Type{
	reflect.TypeFor[privicore.APIError](), reflect.TypeFor[privicore.Client](), reflect.TypeFor[privicore.Keyring](), reflect.TypeFor[privicore.OAuthTokenSource](),
}

// declaredTypes returns the names of the exported types of the package, from its
// source.
func declaredTypes(t *testing.T) []string {
	t.Helper()
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	var names []string
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, declaration := range parsed.Decls {
			group, ok := declaration.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range group.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok && spec.Name.IsExported() {
					names = append(names, spec.Name.Name)
				}
			}
		}
	}
	return names
}

// plantedSource is a TokenSource of the program's that is a plain value.
type plantedSource struct{ token string }

func (s plantedSource) Token(context.Context) (*privicore.AuthorizationToken, error) {
	return &privicore.AuthorizationToken{Token: privicore.NewSecret(s.token), ExpiresAt: time.Now().Add(time.Hour)}, nil
}

// ownPackage is where the types are declared into which values are planted.
var ownPackage = reflect.TypeFor[privicore.Client]().PkgPath()

// plantIn fills v, which must be settable. It plants a secret into each Secret, and
// into whatever a program cannot see: unexported fields and the raw answer. Exported
// texts are there to be shown, so they get another value.
func plantIn(v reflect.Value, hidden bool, depth int) {
	if depth > 8 {
		return
	}
	text := "ordinary"
	if hidden {
		text = planted
	}
	switch v.Interface().(type) {
	case privicore.Secret:
		v.Set(reflect.ValueOf(privicore.NewSecret(planted)))
		return
	case time.Time, time.Duration, operation.Operation:
		return
	}
	if v.Type().PkgPath() == ownPackage && ast.IsExported(v.Type().Name()) {
		// Its exported fields are there to be shown, wherever the value is. Those of
		// an answer are for who asks for them.
		hidden = v.Type() == reflect.TypeFor[privicore.Response]()
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(`"` + text + `"`)) // may have to be JSON
			return
		}
		plantIn(v.Index(0), hidden, depth+1)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		plantIn(key, hidden, depth+1)
		plantIn(value, hidden, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Pointer:
		if strings.HasPrefix(v.Type().Elem().PkgPath(), ownPackage) || v.Type().Elem().PkgPath() == "" {
			v.Set(reflect.New(v.Type().Elem()))
			plantIn(v.Elem(), hidden, depth+1)
		}
	case reflect.Interface:
		switch v.Type() {
		case reflect.TypeFor[error]():
			v.Set(reflect.ValueOf(errors.New("ordinary")))
		case reflect.TypeFor[privicore.TokenSource]():
			v.Set(reflect.ValueOf(plantedSource{planted}))
		}
	case reflect.Struct:
		if !strings.HasPrefix(v.Type().PkgPath(), ownPackage) {
			return
		}
		for i := range v.NumField() {
			field := v.Field(i)
			unexported := !v.Type().Field(i).IsExported()
			if unexported {
				field = reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem()
			}
			plantIn(field, hidden || unexported, depth+1)
		}
	}
}

// everyForm returns v in all the ways in which a program may show it.
func everyForm(v any) string {
	var b strings.Builder
	holders := []any{v, struct{ Exported any }{v}, []any{v}, map[string]any{"k": v}}
	switch v.(type) {
	case privicore.Response, *privicore.Response:
		// fmt asks no method about an unexported field, and the fields of a
		// Response are exported.
	default:
		holders = append(holders, struct{ unexported any }{v})
	}
	for _, v := range holders {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
			fmt.Fprintf(&b, verb+"\n", v)
		}
		for _, handler := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
			slog.New(handler).Info("shown", "v", v, slog.Group("g", "v", v))
		}
		if data, err := json.Marshal(v); err == nil {
			b.Write(data)
		} else {
			b.WriteString(err.Error())
		}
	}
	// What the runtime prints of a panic.
	switch v := v.(type) {
	case error:
		b.WriteString(v.Error())
	case fmt.Stringer:
		b.WriteString(v.String())
	}
	return b.String()
}

// formsOf returns a secret as fmt and encoding/json write it in a text, in bytes or
// in a part of them.
func formsOf(secret string) map[string]string {
	raw := []byte(secret)
	return map[string]string{
		"as it is":       secret,
		"in hexadecimal": hex.EncodeToString(raw),
		"in capitals":    strings.ToUpper(hex.EncodeToString(raw)),
		"in decimal":     strings.Trim(fmt.Sprint(raw), "[]"),
		"in Go":          strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", raw), "[]byte{"), "}"),
		"in base64":      base64.RawStdEncoding.EncodeToString(raw[:len(raw)/3*3]),
		"in base64 by 1": base64.RawStdEncoding.EncodeToString(raw[2:][:(len(raw)-2)/3*3]), // behind a quote
	}
}

// No exported type shows a secret that it holds, whoever prints it and however.
func TestTypesHideSecrets(t *testing.T) {
	t.Parallel()
	var names []string
	for _, typ := range exportedTypes {
		name, _, _ := strings.Cut(typ.Name(), "[")
		names = append(names, name)
	}
	assert.ElementsMatch(t, declaredTypes(t), names, "types of the package, and types that are looked at")
	for _, typ := range exportedTypes {
		if typ.Kind() == reflect.Interface {
			continue // the types that implement it are there
		}
		t.Run(typ.Name(), func(t *testing.T) {
			t.Parallel()
			v := reflect.New(typ)
			plantIn(v.Elem(), false, 0)
			shown := map[string]string{"pointer": everyForm(v.Interface())}
			if !slices.Contains(pointersOnly, typ) {
				shown["value"] = everyForm(v.Elem().Interface())
			}
			for how, text := range shown {
				for form, secret := range formsOf(planted) {
					if i := strings.Index(text, secret); i >= 0 {
						assert.Fail(t, "a secret is shown", "by a %s, %s: %s", how, form, text[max(0, i-300):i+len(secret)])
					}
				}
			}
		})
	}
}

// Secrets with everything in them that some encoding escapes. Each has the core,
// by which what is left of it is found in any encoding.
const (
	secretCore     = "hunter2core"
	escapedToken   = `T-"` + secretCore + `"\<a>&b%+/=;'`
	escapedSecret  = "😀pä\"ss " + secretCore + "\\ <a>&b%+/=\t;'é"
	escapedFileURL = "https://files.test/?auth=T-" + secretCore + "%2Ba%26b%3D"
)

// escapedCalls are calls that send them in each place where a secret can be.
var escapedCalls = map[string]struct {
	secret string
	do     func(ctx context.Context, c *privicore.Client) error
}{
	"the token of a read": {escapedToken, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.Device.List(ctx)
		return err
	}},
	"the token of a command": {escapedToken, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.Device.Remove(ctx, device1)
		return err
	}},
	"a password": {escapedSecret, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.Profile.Authenticate(ctx, "user", escapedSecret)
		return err
	}},
	"a new password": {escapedSecret, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.Profile.ChangePassword(ctx, "the old one", escapedSecret)
		return err
	}},
	"a password in JSON": {escapedSecret, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.Do(ctx, http.MethodPost, "/x", map[string]string{"password": escapedSecret})
		return err
	}},
	"a client secret": {escapedSecret, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.OAuth.ObtainAccessToken(ctx, privicore.ObtainAccessTokenRequest{
			ClientID: clientID, ClientSecret: privicore.NewSecret(escapedSecret), Code: privicore.NewSecret("C-sent"),
		})
		return err
	}},
	"a pair of id and secret": {
		base64.StdEncoding.EncodeToString([]byte(clientID + ":" + secretCore + ">>>???~~~")), func(ctx context.Context, c *privicore.Client) error {
			_, err := c.OAuth.ObtainAccessToken(ctx, privicore.ObtainAccessTokenRequest{
				ClientID: clientID, ClientSecret: privicore.NewSecret(secretCore + ">>>???~~~"), Code: privicore.NewSecret("C-sent"),
			})
			return err
		},
	},
	"an authorization code": {escapedSecret, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.OAuth.ObtainAccessToken(ctx, privicore.ObtainAccessTokenRequest{
			ClientID: clientID, ClientSecret: clientSecret, Code: privicore.NewSecret(escapedSecret),
		})
		return err
	}},
	"an access token": {escapedToken, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.OAuth.Scope(ctx, privicore.NewSecret(escapedToken))
		return err
	}},
	"a refresh token": {escapedSecret, func(ctx context.Context, c *privicore.Client) error {
		_, err := c.OAuth.RefreshAccessToken(ctx, privicore.NewSecret("T-access"), privicore.NewSecret(escapedSecret))
		return err
	}},
	"the address of an upload": {escapedFileURL, func(ctx context.Context, c *privicore.Client) error {
		return c.DataToken.Upload(ctx, privicore.NewSecret(escapedFileURL), strings.NewReader("data"))
	}},
	"the address of a download": {escapedFileURL, func(ctx context.Context, c *privicore.Client) error {
		data, err := c.DataToken.Download(ctx, privicore.NewSecret(escapedFileURL))
		if err != nil {
			return err
		}
		return data.Close()
	}},
}

// percent matches the escape of a byte in a URL.
var percent = regexp.MustCompile(`%[0-9A-F]{2}`)

// escapings are the ways in which a text may quote a secret.
var escapings = map[string]func(string) string{
	"plain":          func(s string) string { return s },
	"%q":             strconv.Quote,
	"%+q":            strconv.QuoteToASCII,
	"JSON":           inJSON,
	"JSON with HTML": func(s string) string { return encoded(s, false) },
	"JSON of PHP":    func(s string) string { return strings.ReplaceAll(inASCII(encoded(s, false)), "/", `\/`) },
	"a query":        url.QueryEscape,
	"small escapes":  func(s string) string { return percent.ReplaceAllStringFunc(url.QueryEscape(s), strings.ToLower) },
	"a path":         url.PathEscape,
	"JavaScript":     func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }, // encodeURIComponent
	"an inner URL":   func(s string) string { return "https://proxy.test/?to=" + url.QueryEscape("https://api.test/?q="+s) },
}

func inJSON(s string) string { return encoded(s, true) }

func encoded(s string, escapeHTML bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	_ = e.Encode(s)
	return strings.TrimSpace(b.String())
}

func inASCII(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			for _, unit := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		}
	}
	return b.String()
}

// Types that hold nothing to be shown have a name.
func TestTypesShowNames(t *testing.T) {
	t.Parallel()
	c := fakeClient(t, nil)
	for want, v := range map[string]any{
		"privicore.Client": c,
		"OAuthTokenSource": c.OAuth.TokenSource(&privicore.AccessToken{Token: privicore.NewSecret(planted)}, nil),
		"AES-256-GCM":      newAESGCM(t, make([]byte, 32)),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
			assert.Equal(t, want, fmt.Sprintf(verb, v))
		}
	}
}

// chain returns err and all errors in it, in every way to show them.
func chain(err error) []string {
	if err == nil {
		return nil
	}
	texts := []string{everyForm(err)}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		texts = append(texts, chain(e.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			texts = append(texts, chain(inner)...)
		}
	}
	if e, ok := errors.AsType[*privicore.APIError](err); ok {
		texts = append(texts, fmt.Sprintf("%q %q %q", e.Messages, e.Fields, e.Parameters))
	}
	return texts
}

// secretCall is a call that sends secrets.
type secretCall struct {
	name    string
	do      func(ctx context.Context, c *privicore.Client) (any, error)
	secrets []string // beside those that secretsSent finds
}

// everySecretCall returns a call of each operation, and those with secrets in which
// everything has to be escaped.
func everySecretCall() []secretCall {
	var all []secretCall
	for _, call := range calls {
		all = append(all, secretCall{name: call.operation, do: call.do})
	}
	for place, call := range escapedCalls {
		all = append(all, secretCall{place, func(ctx context.Context, c *privicore.Client) (any, error) {
			return nil, call.do(ctx, c)
		}, []string{call.secret}})
	}
	return append(all,
		secretCall{"Do with a form", func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Do(ctx, http.MethodPost, "/x", url.Values{"password": {"the first of two", escapedSecret}})
		}, []string{escapedSecret}},
		secretCall{"Do with a token in the path", func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Do(ctx, http.MethodPost, "/x/"+url.PathEscape(escapedToken), nil)
		}, nil},
		secretCall{"Do with a query", func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Do(ctx, http.MethodGet, "/x?auth=T-"+secretCore, nil)
		}, []string{"T-" + secretCore}},
	)
}

// namesOfSecrets are the parameters that are secret. They are named here too, so
// that none can get lost in the package.
var namesOfSecrets = []string{"password", "currentPassword", "newPassword", "authorization_code", "refresh_token", "nonce", "data"}

// secretsSent returns the secrets in a request. It reads the body.
func secretsSent(t *testing.T, r *http.Request) []string {
	found := []string{r.Header.Get("X-DPT-AUTHORIZATION"), r.URL.Query().Get("auth")}
	if value, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Basic "); ok {
		found = append(found, value)
		if pair, err := base64.StdEncoding.DecodeString(value); err == nil {
			_, secret, _ := strings.Cut(string(pair), ":")
			found = append(found, secret, base64.RawURLEncoding.EncodeToString(pair))
		}
	}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		form, _ := url.ParseQuery(string(body))
		var object map[string]any
		_ = json.Unmarshal(body, &object)
		for _, name := range namesOfSecrets {
			found = append(found, form[name]...)
			if value, ok := object[name].(string); ok {
				found = append(found, value)
			}
		}
	}
	return slices.DeleteFunc(found, func(secret string) bool { return len(secret) < 4 })
}

// spy is a server that quotes what it was sent, in every form.
type spy struct {
	t       *testing.T
	answer  func(r *http.Request, said string) (*http.Response, error)
	secrets []string // that it was sent, and others
}

func (s *spy) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, secret := range secretsSent(s.t, r) {
		if !slices.Contains(s.secrets, secret) {
			s.secrets = append(s.secrets, secret)
		}
	}
	said := "It was"
	for _, secret := range s.secrets {
		for _, escape := range escapings {
			said += " | " + escape(secret)
		}
	}
	return s.answer(r, said+" | https://files.test/?auth=T-"+secretCore+"&x=1 | that was refused.")
}

// echoing returns a server that answers with a status and quotes in a body of the
// given shape, with %s for a JSON string, and in each header that it can.
func echoing(status int, shape string) func(*http.Request, string) (*http.Response, error) {
	return func(_ *http.Request, said string) (*http.Response, error) {
		body := strings.ReplaceAll(shape, "%s", inJSON(said))
		return reply(status, strings.ReplaceAll(body, "%t", said), "Location", "https://other.test/"+url.PathEscape(said), "Retry-After", "0",
			"Www-Authenticate", url.QueryEscape(said), "Content-Type", "text/"+url.QueryEscape(said), "X-Said", url.QueryEscape(said))
	}
}

// failing returns a transport that fails with an error that quotes.
func failing(failure func(r *http.Request, said string) error) func(*http.Request, string) (*http.Response, error) {
	return func(r *http.Request, said string) (*http.Response, error) { return nil, failure(r, said) }
}

// discreet does not show the error that it wraps.
type discreet struct{ inner error }

func (e *discreet) Error() string { return "something failed" }
func (e *discreet) Unwrap() error { return e.inner }

// brokenBody fails in the middle.
type brokenBody struct{ said string }

func (b *brokenBody) Read([]byte) (int, error) { return 0, errors.New("broke off: " + b.said) }
func (b *brokenBody) Close() error             { return nil }

// secretFailures are the ways in which a call fails.
var secretFailures = map[string]func(r *http.Request, said string) (*http.Response, error){
	// Refusals in the shapes that errors have.
	"refusal as a string":      echoing(400, `%s`),
	"refusal as an array":      echoing(403, `[%s]`),
	"refusal as a message":     echoing(404, `{"message":%s}`),
	"refusal of a field":       echoing(422, `{"errors":{"password":[%s]}}`),
	"refusal by a key":         echoing(409, `{"errors":{%s:["is odd"]}}`),
	"refusal with a path":      echoing(422, `{"violations":[{"propertyPath":%s,"message":%s}]}`),
	"refusal by a page":        echoing(429, `<html>%t</html>`),
	"refusal as a text":        echoing(401, `%t`),
	"refusal with deep texts":  echoing(503, `{"error":{"detail":[{"title":%s}]}}`),
	"a failure of the server":  echoing(500, `{"message":%s}`),
	"a failure of a proxy":     echoing(502, `%t`),
	"a redirect":               echoing(302, `{"message":%s}`),
	"a redirect with the body": echoing(307, `%t`),
	// Successes that are none.
	"JSON that breaks off":      echoing(200, `{"authorizationToken":%s`),
	"JSON of another shape":     echoing(200, `{"authorizationToken":[%s],"items":%s,"token":{"a":%s},"error":%s}`),
	"a page":                    echoing(200, `<html>%t</html>`),
	"a text":                    echoing(200, `%t`),
	"an error without a status": echoing(202, `{"error":%s}`),
	"a body that breaks off": func(_ *http.Request, said string) (*http.Response, error) {
		resp, err := reply(200, "")
		resp.Body, resp.ContentLength = &brokenBody{said}, -1
		return resp, err
	},
	// Errors of a transport of the program's.
	"an error": failing(func(_ *http.Request, said string) error { return errors.New("refused: " + said) }),
	"an error in an error": failing(func(_ *http.Request, said string) error {
		return fmt.Errorf("outer: %w", errors.New(said))
	}),
	"a discreet error": failing(func(_ *http.Request, said string) error { return &discreet{errors.New(said)} }),
	"several errors": failing(func(_ *http.Request, said string) error {
		return errors.Join(http.ErrHandlerTimeout, fmt.Errorf("second: %s", said))
	}),
	"a url.Error": failing(func(r *http.Request, said string) error {
		return &url.Error{Op: r.Method, URL: "https://proxy.test/" + said, Err: errors.New(said)}
	}),
	"a dial error": failing(func(_ *http.Request, said string) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: errors.New(said)}
	}),
	"a timeout": func(r *http.Request, said string) (*http.Response, error) {
		<-r.Context().Done()
		return nil, fmt.Errorf("%w: %s", context.Cause(r.Context()), said)
	},
	"a malformed redirect": func(_ *http.Request, said string) (*http.Response, error) {
		return reply(302, "", "Location", "http://[::1|"+url.QueryEscape(said))
	},
}

// assertHiddenIn asserts that no secret is left in a text, in any form, and not the
// end of a long one.
func assertHiddenIn(t *testing.T, text string, secrets []string, where string) {
	t.Helper()
	for _, secret := range append(slices.Clone(secrets), secretCore) {
		if end := strings.TrimRight(secret, "="); len(end) > 20 {
			assert.NotContains(t, text, end[len(end)-8:], "%s: the end of %q", where, secret)
		}
		for how, escape := range escapings {
			if how == "an inner URL" {
				continue // it has a part that is no secret
			}
			if i := strings.Index(text, escape(secret)); i >= 0 {
				assert.Fail(t, "a secret is shown", "%s, %q as %s: %s", where, secret, how, text[max(0, i-200):min(len(text), i+200)])
				return
			}
		}
	}
}

// everyLog is a logger at debug with both handlers of log/slog.
func everyLog(w io.Writer) privicore.Option {
	opts := &slog.HandlerOptions{Level: slog.LevelDebug}
	return privicore.WithLogger(slog.New(slog.NewMultiHandler(slog.NewTextHandler(w, opts), slog.NewJSONHandler(w, opts))))
}

// No operation shows what it sent, however it fails: not in the error, not in any
// error in it, and not in the log.
func TestFailuresHideSecrets(t *testing.T) {
	t.Parallel()
	for _, call := range everySecretCall() {
		t.Run(call.name, func(t *testing.T) {
			t.Parallel()
			for failure, answer := range secretFailures {
				synctest.Test(t, func(t *testing.T) {
					var log lockedBuffer
					server := &spy{t: t, answer: answer, secrets: slices.Clone(call.secrets)}
					c := fakeClient(t, nil, privicore.WithToken(escapedToken), privicore.WithMaxRetries(1), everyLog(&log),
						privicore.WithHTTPClient(&http.Client{Transport: server}))
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					defer cancel()
					_, err := call.do(ctx, c)
					require.True(t, err != nil || !strings.HasPrefix(failure, "refusal"), failure)
					assertHiddenIn(t, strings.Join(append(chain(err), log.String()), "\n"), server.secrets, failure)
					assert.Contains(t, log.String(), "privicore: call", "it did log")
				})
			}
		})
	}
}

// A server may quote the token that it refused before the client renewed it, and a
// renewal that fails may quote the password.
func TestRenewalsHideSecrets(t *testing.T) {
	t.Parallel()
	const first, second = `T-first&"` + secretCore, `T-second\<` + secretCore
	quoting := map[string]func(said string) (*http.Response, error){
		"error":   func(said string) (*http.Response, error) { return nil, errors.New(said) },
		"refusal": func(said string) (*http.Response, error) { return reply(401, inJSON(said)) },
		"failure": func(said string) (*http.Response, error) { return reply(422, `{"errors":{"a":[`+inJSON(said)+`]}}`) },
	}
	for when, quoted := range map[string]string{"the call": "/device/remove", "the renewal": "/profile/authenticate"} {
		for kind, failure := range quoting {
			for how, escape := range escapings {
				var log lockedBuffer
				secrets := []string{first, second, escapedSecret}
				said := escape(first) + " " + escape(second)
				if quoted == "/profile/authenticate" {
					said = escape(escapedSecret)
				}
				asked := make(map[string]int)
				c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
					asked[r.URL.Path]++
					switch {
					case asked[r.URL.Path] == 2 && r.URL.Path == quoted:
						return failure(said)
					case r.URL.Path == "/profile/authenticate":
						return reply(200, `{"authorizationToken":`+inJSON([]string{first, second}[asked[r.URL.Path]-1])+`}`)
					}
					return reply(401, inJSON("refused: "+escape(first)))
				}, privicore.WithCredentials("alice", escapedSecret), privicore.WithMaxRetries(0), everyLog(&log))
				_, err := c.Device.Remove(t.Context(), device1)
				require.Error(t, err)
				require.Equal(t, 2, asked["/profile/authenticate"])
				assertHiddenIn(t, strings.Join(append(chain(err), log.String()), "\n"), secrets, when+", "+kind+", "+how)
			}
		}
	}
}

// The outcome of a command may quote the password that the command was about.
func TestOutcomesHideSecrets(t *testing.T) {
	t.Parallel()
	for how, escape := range escapings {
		for word, fails := range map[string]bool{"rejected": true, "succeeded": false} {
			synctest.Test(t, func(t *testing.T) {
				var log lockedBuffer
				said := `["` + word + `",` + inJSON(escape(escapedSecret)+" of "+escape(fakeToken)+" is odd") + `]`
				b := newChannelBackend(t, everyLog(&log), privicore.WithToken(fakeToken))
				b.poll = func(string) *http.Response { resp, _ := reply(200, said); return resp }
				pushed, err := b.client.Profile.ChangePassword(t.Context(), "the old one", escapedSecret)
				require.NoError(t, err)
				polled, err := b.client.Profile.ChangePassword(t.Context(), "the old one", escapedSecret)
				require.NoError(t, err)
				status, err := polled.Status(t.Context())
				require.NoError(t, err)
				b.Push(fmt.Sprintf(`{"data":{"type":"X-DPT-CAB-ID","id":%q,"command_status":%d,"body":%s}}`, pushed.ID, map[bool]int{true: 3, false: 2}[fails], said))
				texts := []string{everyForm(status), everyForm(pushed), everyForm(polled)}
				for _, cmd := range []*privicore.Command{pushed, polled} {
					result, err := cmd.Wait(t.Context())
					require.Equal(t, fails, err != nil, "%v", err)
					texts = append(texts, chain(err)...)
					if result != nil {
						texts = append(texts, everyForm(result))
					}
				}
				assertHiddenIn(t, strings.Join(append(texts, log.String()), "\n"), []string{escapedSecret}, word+", "+how)
				if fails {
					assertHiddenIn(t, strings.Join(texts[3:], "\n"), []string{fakeToken}, word+", "+how)
				}
			})
		}
	}
}

// A proxy that refuses to let the client join may quote the tokens.
func TestJoinsHideSecrets(t *testing.T) {
	t.Parallel()
	for how, escape := range escapings {
		synctest.Test(t, func(t *testing.T) {
			var log lockedBuffer
			b := newChannelBackend(t, everyLog(&log))
			var before string
			b.Answer = func(_ int, token string) string {
				said := inJSON("neither " + escape(token) + " nor " + escape(before))
				before = token
				return `{"correlationId":"%s","status":401,"data":{"message":` + strings.ReplaceAll(said, "%", "%%") + `}}`
			}
			b.tokenSuffix = `&\"`
			err := b.client.Connect(t.Context())
			require.ErrorIs(t, err, privicore.ErrUnauthorized)
			texts := append(chain(err), log.String())
			for _, err := range b.client.Events(t.Context()) {
				texts = append(texts, chain(err)...)
			}
			assertHiddenIn(t, strings.Join(texts, "\n"), []string{`T-1&"`, `T-2&"`, `T-3&"`}, how)
		})
	}
}

// What cannot be right is refused without quoting it, and a client that was closed
// has nothing to say of what it was given.
func TestRefusalsHideSecrets(t *testing.T) {
	t.Parallel()
	c := fakeClient(t, func(*http.Request, url.Values) (*http.Response, error) {
		return nil, errors.New("sent")
	}, privicore.WithToken(fakeToken), privicore.WithMaxRetries(0))
	closed := fakeClient(t, nil, privicore.WithCredentials("alice", escapedSecret))
	require.NoError(t, closed.Close())
	bad := secretCore + "\x00\u202e"
	for name, service := range services() {
		for method := range service.Methods() {
			for _, given := range []string{bad, secretCore} {
				client, text := c, given
				if given == secretCore {
					client = closed
				}
				ctx, cancel := context.WithCancel(t.Context())
				if given == secretCore {
					cancel()
				}
				args := []reflect.Value{reflect.ValueOf(client).Elem().FieldByName(name), reflect.ValueOf(ctx)}
				for i := 2; i < method.Type.NumIn(); i++ {
					args = append(args, filledWith(method.Type.In(i), text))
				}
				if method.Type.In(1) != reflect.TypeFor[context.Context]() || method.Type.IsVariadic() {
					cancel()
					continue
				}
				for _, result := range method.Func.Call(args) {
					if method.Name == "SetQuorumStrategy" {
						continue // it quotes the word that is none of the strategies
					}
					if err, ok := reflect.TypeAssert[error](result); ok {
						assertHiddenIn(t, strings.Join(chain(err), "\n"), []string{bad}, name+"."+method.Name)
					}
				}
				cancel()
			}
		}
	}
}

// filledWith returns a value of a type with text in all strings of it.
func filledWith(typ reflect.Type, text string) reflect.Value {
	v := reflect.New(typ).Elem()
	switch {
	case typ == reflect.TypeFor[privicore.Secret]():
		v.Set(reflect.ValueOf(privicore.NewSecret(text)))
	case typ == reflect.TypeFor[io.Reader]():
		v.Set(reflect.ValueOf(strings.NewReader(text)))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Uint8:
		v.SetBytes([]byte(text))
	case v.Kind() == reflect.Slice:
		v.Set(reflect.Append(v, filledWith(typ.Elem(), text)))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if typ.Field(i).IsExported() && typ != reflect.TypeFor[time.Time]() {
				v.Field(i).Set(filledWith(typ.Field(i).Type, text))
			}
		}
	}
	return v
}

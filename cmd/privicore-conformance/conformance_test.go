package main

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/tidwall/gjson"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/privicoretest"
)

var dialects = map[string]privicoretest.Dialect{"documented": privicoretest.Documented, "observed": privicoretest.Observed}

func TestPlanHasEveryOperationOnce(t *testing.T) {
	t.Parallel()
	count := make(map[string]int)
	for i := range plan {
		count[plan[i].op.Name]++
	}
	for _, op := range operation.All {
		assert.Equal(t, 1, count[op.Name], op.Name)
	}
	assert.Len(t, plan, len(operation.All))
}

func TestPlanLeavesWhatItNeeds(t *testing.T) {
	t.Parallel()
	have := make(map[what]bool)
	for i := range plan {
		for _, need := range plan[i].needs {
			assert.True(t, have[need], "%s needs %s", plan[i].op.Name, need)
		}
		for _, w := range plan[i].leaves {
			have[w] = true
		}
	}
}

func TestConfirmsTheSandbox(t *testing.T) {
	t.Parallel()
	for name, dialect := range dialects {
		for _, allowed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, destructive %t", name, allowed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, dialect)
					s := r.settings()
					s.destructive = allowed
					o := conformance(t.Context(), s)
					assert.Equal(t, exitConfirmed, o.code, o.text+o.progress)
					tried := len(operation.All)
					if !allowed {
						tried -= 9
					}
					assert.Equal(t, fmt.Sprintf("confirmed %d of %d", tried, tried), o.last())
					assert.Contains(t, o.text, "The server behaves as "+name)
					assert.NotContains(t, o.text, "mostly")
					if allowed {
						assert.NotContains(t, o.text, "**not seen**")
					}
					assert.NotContains(t, o.text, "**another**")
					assert.Empty(t, r.left(t))
				})
			})
		}
	}
}

// The sources show more places for a command id than the two dialects have.
func TestConfirmsEveryPlaceOfAnID(t *testing.T) {
	t.Parallel()
	for _, shape := range []privicoretest.IDShape{privicoretest.HeaderID, privicoretest.StringID, privicoretest.ArrayID, privicoretest.ObjectID} {
		t.Run(fmt.Sprint(shape), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				// DataToken.Request has its ids in headers.
				header := answering(operation.DataTokenRequest, func(a *httptest.ResponseRecorder) {
					if a.Header().Get("X-DPT-CAB-ID") == "" {
						moveID(a, "X-DPT-CAB-ID", "%.0s")
					}
				})
				r := newRigWith(t, []privicoretest.Option{privicoretest.WithIDShape(shape)}, header)
				o := conformance(t.Context(), r.settings())
				assert.Equal(t, exitConfirmed, o.code, o.explained())
				assert.Equal(t, "confirmed 70 of 70", o.last())
			})
		})
	}
}

func TestConfirmsASlowServer(t *testing.T) {
	t.Parallel()
	for name, dialect := range dialects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRigWith(t, []privicoretest.Option{
					privicoretest.WithDialect(dialect), privicoretest.WithLatency(7 * time.Second), privicoretest.WithStorageDevices(0),
				})
				o := conformance(t.Context(), r.settings())
				assert.Equal(t, exitConfirmed, o.code, o.explained())
				assert.Equal(t, "confirmed 70 of 70", o.last())
				assert.Contains(t, o.text, "The server behaves as "+name)
			})
		})
	}
}

func TestUploadTokenWithoutAnAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, []privicoretest.Option{privicoretest.WithBareStreamToken()})
		o := conformance(t.Context(), r.settings())
		assert.Equal(t, []string{"DataToken.Upload", "DataToken.Download"}, o.wrong())
		assert.Contains(t, o.entries["DataToken.Upload"], "a token for an upload, but no address")
		assert.Contains(t, o.text, "| stream address | `{server}:{port}?auth=…` | a complete URL | **another** |")
	})
}

func TestListsWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := conformance(t.Context(), newRig(t, privicoretest.Documented).settings())
		for _, names := range operation.Unreachable {
			for _, name := range names {
				assert.Contains(t, o.text, name)
			}
		}
		for _, op := range operation.All {
			if op.Inferred() {
				assert.Regexp(t, "- `"+op.Name+"`, `[^`]+`: confirmed; 20[02], ", o.text)
			}
		}
		assert.Contains(t, o.entries["Utility.RequestStatus"], "POST is accepted too: true")
		assert.Contains(t, o.text, "a channel is left by the token")
		assert.Contains(t, o.text, "can join again, and needs no correlationId")
		for _, kept := range []string{"OAuth application", "voting configuration", "poll", "profile"} {
			assert.Contains(t, o.text, kept+" "+prefix)
		}
	})
}

// planted is a difference and what the report has to say about it.
type planted struct {
	name string
	op   *operation.Operation
	plant
	fault privicoretest.Fault // of the server, if there is no plant
	want  verdict
	says  string
}

const somePage = "<!DOCTYPE html><html><body>Bad gateway</body></html>"

var differencesToPlant = []planted{
	{
		name: "a path moved", op: operation.DeviceConfiguration, want: notReachable, says: "the server answers 404",
		plant: at(operation.DeviceConfiguration, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			r.URL.Path = "/device/elsewhere/1"
			next.ServeHTTP(w, r)
		}),
	},
	{
		name: "a method not allowed", op: operation.StorageSynchronize, want: notReachable, says: "the server answers 405",
		plant: refusing(operation.StorageSynchronize, 405, "application/json", `{"message":"No."}`),
	},
	{
		name: "a page of a proxy", op: operation.PublicKeyRetrieveCAB, want: notReachable, says: "a page in HTML comes back, with status 502",
		plant: refusing(operation.PublicKeyRetrieveCAB, 502, "text/html", somePage),
	},
	{
		name: "a page with status 200", op: operation.ProfileGenerateQRToken, want: notReachable, says: "a page in HTML comes back, with status 200",
		plant: refusing(operation.ProfileGenerateQRToken, 200, "text/html", somePage),
	},
	{
		name: "a field renamed", op: operation.DeviceRetrieveIdentifier, want: differs,
		says:  "deviceIdentifier of the body is missing; there is deviceId (UUID), which is not known",
		plant: replacing(operation.DeviceRetrieveIdentifier, `"deviceIdentifier"`, `"deviceId"`),
	},
	{
		name: "a field that the client does not need", op: operation.OAuthObtainAccessToken, want: differs,
		says:  "refreshTokenExpiresAt of the body is missing; there is refreshExpiresAt (time",
		plant: replacing(operation.OAuthObtainAccessToken, `"refreshTokenExpiresAt"`, `"refreshExpiresAt"`),
	},
	{
		name: "a field in a list", op: operation.OAuthList, want: differs, says: "redirectUri of an element of items is missing",
		plant: replacing(operation.OAuthList, `"redirectUri"`, `"redirectURI"`),
	},
	{
		name: "a field left out", op: operation.ProfileAuthenticate, want: differs, says: "expiresAt of the body is missing",
		plant: matching(operation.ProfileAuthenticate, `,"expiresAt":"[^"]*"`, ``),
	},
	{
		name: "another status of a value", op: operation.ProfileID, want: differs, says: "the status is 201, not 200",
		plant: answering(operation.ProfileID, func(a *httptest.ResponseRecorder) { a.Code = 201 }),
	},
	{
		name: "another status of a command", op: operation.StorageRegister, want: differs, says: "the status is 200, not 202",
		plant: answering(operation.StorageRegister, func(a *httptest.ResponseRecorder) { a.Code = 200 }),
	},
	{
		name: "an id in another field", op: operation.DeviceApprove, want: differs, says: "the command id is in requestedId, which is not a known place",
		plant: answering(operation.DeviceApprove, func(a *httptest.ResponseRecorder) { moveID(a, "", `{"requestedId":"%s"}`) }),
	},
	{
		name: "an id in another header", op: operation.DataTokenExchange, want: differs, says: "the command id is in the header X-Command-Id",
		plant: answering(operation.DataTokenExchange, func(a *httptest.ResponseRecorder) { moveID(a, "X-Command-Id", "%.0s") }),
	},
	{
		name: "an id where removals have it", op: operation.DeviceApprove, want: differs, says: "at another place than that of other commands",
		fault: privicoretest.Fault{IDShape: privicoretest.HeaderID},
	},
	{
		name: "an id as plain text", op: operation.DeviceReject, want: differs, says: "the command id is the body as it is, not in JSON",
		plant: answering(operation.DeviceReject, func(a *httptest.ResponseRecorder) { moveID(a, "", "%s") }),
	},
	{
		name: "a value that is null", op: operation.ProfileReauthorize, want: differs, says: "",
		plant: matching(operation.ProfileReauthorize, `"expiresAt":"[^"]*"|"commandId"`, `"expiresAt":null`),
	},
	{
		name: "two ids", op: operation.StorageRemove, want: differs, says: "the command id in the header is not the one in the body",
		plant: answering(operation.StorageRemove, func(a *httptest.ResponseRecorder) {
			moveID(a, "X-DPT-CAB-ID", `{"commandId":"0195d2c4-aaaa-7000-8000-000000000011"}%.0s`)
		}),
	},
	{
		name: "no id", op: operation.DataTokenConfigureRiskMeta, want: differs, says: "there is no command id in the answer",
		fault: privicoretest.Fault{NoID: true},
	},
	{
		name: "a text in place of a number", op: operation.DataTokenList, want: differs, says: "size is text, not a number",
		plant: matching(operation.DataTokenList, `"size":(\d+)`, `"size":"$1"`),
	},
	{
		name: "a text in place of a boolean", op: operation.DeviceList, want: differs, says: "approved is text, not true or false",
		plant: matching(operation.DeviceList, `"approved":(true|false)`, `"approved":"$1"`),
	},
	{
		name: "a time without an offset", op: operation.ProfileGenerateQRToken, want: differs, says: "expiresAt is text like a date, not a time with an offset",
		plant: matching(operation.ProfileGenerateQRToken, `(T\d\d:\d\d:\d\d)[^"]*`, `$1`),
	},
	{
		name: "a list in an object", op: operation.PolicyListInactive, want: differs, says: "the body is object, not an array",
		plant: matching(operation.PolicyListInactive, `(?s)^.*$`, `{"items":$0}`),
	},
	{
		name: "a refusal", op: operation.OAuthScope, want: differs, says: "the call is refused with 403: `oauth.scope_forbidden`",
		plant: refusing(operation.OAuthScope, 403, "application/json", `"oauth.scope_forbidden"`),
	},
	{
		name: "a failure", op: operation.DeviceDownloadConfiguration, want: differs, says: "the call is refused with 500",
		plant: refusing(operation.DeviceDownloadConfiguration, 500, "application/json", `{"message":"Oh."}`),
	},
	{
		name: "a rejected command", op: operation.DeviceConfigureMeta, want: differs, says: "the command is rejected: `device.frozen`",
		fault: privicoretest.Fault{Reject: []string{"device.frozen"}},
	},
	{
		name: "an extra redirect", op: operation.DeviceApprove, want: differs, says: "the request is redirected (307) to `/v-two/device/approve-device`",
		plant: redirecting(307, operation.DeviceApprove),
	},
	{
		name: "a redirect of a read", op: operation.StorageList, want: differs, says: "the request is redirected (301) to `/v-two/storage/list-storage-devices`",
		plant: redirecting(301, operation.StorageList),
	},
	{
		name: "a redirect that is not followed", op: operation.StorageSynchronize, want: differs, says: "the request is redirected (302) to another server",
		plant: at(operation.StorageSynchronize, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(w, r, "https://other.invalid/storage", http.StatusFound)
		}),
	},
	{
		name: "a missing acknowledgement", op: operation.StorageSynchronize, want: differs, says: "no acknowledgement of the outcome comes over the WebSocket",
		fault: privicoretest.Fault{Ack: privicoretest.Ack{Lose: true}},
	},
	{
		name: "no effect", op: operation.StorageRemove, want: differs, says: "the device is still in the list of storage devices",
		plant: at(operation.StorageRemove, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			r.URL.Path = operation.StorageSynchronize.Path
			next.ServeHTTP(w, r)
		}),
	},
	{
		name: "an update without effect", op: operation.AuthenticatorUpdateVotingConfiguration, want: differs, says: "the configuration does not show the new value",
		plant: sending(operation.AuthenticatorUpdateVotingConfiguration, func(body string) string {
			return strings.Replace(body, `"timeLimit":40`, `"timeLimit":30`, 1)
		}),
	},
	{
		name: "a deletion without effect", op: operation.PolicyDelete, want: differs, says: "the policy can still be retrieved",
		plant: at(operation.PolicyDelete, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			r.URL.Path = operation.PolicyDeactivate.Path
			next.ServeHTTP(w, r)
		}),
	},
	{
		name: "data that was not updated", op: operation.DataTokenUpdate, want: differs, says: "the data is still the old one",
		plant: withoutUpdate,
	},
	{
		name: "other data", op: operation.DataTokenRequest, want: differs, says: "the data is not what was stored",
		plant: sending(operation.DataTokenUpdate, func(body string) string {
			return regexp.MustCompile(`"data":"[^"]*"`).ReplaceAllString(body, `"data":"`+base64.StdEncoding.EncodeToString(make([]byte, smallPayload))+`"`)
		}),
	},
	{
		name: "a list without the entry", op: operation.AuthenticatorListVotingConfigurations, want: differs, says: "the configuration that was registered is not in the list",
		plant: refusing(operation.AuthenticatorListVotingConfigurations, 200, "application/json", `[]`),
	},
	{
		name: "a token that lives on", op: operation.ProfileRevokeToken, want: differs, says: "the token is still accepted",
		plant: refusing(operation.ProfileRevokeToken, 200, "application/json", ``),
	},
	{
		name: "a configuration that is given twice", op: operation.OAuthTakeConfiguration, want: differs, says: "without the key `oauth.already_retrieved`",
		plant: replacing(operation.OAuthTakeConfiguration, "oauth.already_retrieved", "oauth.used"),
	},
	{
		name: "a status that is no list", op: operation.UtilityRequestStatus, want: differs, says: "the body is object, not",
		plant: matching(operation.UtilityRequestStatus, `^\["?(device\.device_registered|succeeded)"?\]$`, `{"state":"succeeded"}`),
	},
	{
		name: "a malformed id that is accepted", op: operation.UtilityRequestStatus, want: differs, says: "a malformed command id is answered with 404, not 422",
		plant: answering(operation.UtilityRequestStatus, func(a *httptest.ResponseRecorder) {
			if a.Code == 422 {
				a.Code = 404
			}
		}),
	},
}

// sending changes the bodies of the requests of an operation.
func sending(op *operation.Operation, change func(body string) string) plant {
	return at(op, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		body, _ := io.ReadAll(r.Body)
		changed := change(string(body))
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(changed)), int64(len(changed))
		next.ServeHTTP(w, r)
	})
}

// withoutUpdate stores the first data again when data is updated.
func withoutUpdate(next http.Handler) http.Handler {
	first := ""
	keep := sending(operation.DataTokenExchange, func(body string) string {
		form, _ := url.ParseQuery(body)
		first = form.Get("data")
		return body
	})
	restore := sending(operation.DataTokenUpdate, func(body string) string {
		return regexp.MustCompile(`"data":"[^"]*"`).ReplaceAllString(body, `"data":"`+first+`"`)
	})
	return restore(keep(next))
}

// moveID moves the command id of an answer to a header and into a body.
func moveID(a *httptest.ResponseRecorder, header, format string) {
	v := gjson.ParseBytes(a.Body.Bytes())
	id := cmp.Or(v.Get("0").Str, v.Get("commandId").Str, v.Str)
	a.Header().Del("X-DPT-CAB-ID")
	if header != "" {
		a.Header().Set(header, id)
	}
	a.Body.Reset()
	fmt.Fprintf(a.Body, format, id)
}

// redirecting sends the requests of operations to another path first.
func redirecting(status int, ops ...*operation.Operation) plant {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if moved, ok := strings.CutPrefix(r.URL.Path, "/v-two"); ok {
				r.URL.Path = moved
			} else if slices.ContainsFunc(ops, func(op *operation.Operation) bool { return concerns(r, op) }) {
				http.Redirect(w, r, "/v-two"+r.URL.RequestURI(), status)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func TestFindsThePlaceAndOnlyThat(t *testing.T) {
	t.Parallel()
	for i, p := range differencesToPlant {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var plants []plant
				if p.plant != nil {
					plants = append(plants, p.plant)
				}
				// The dialects take turns, because a run with each takes long with
				// the race detector.
				r := newRig(t, []privicoretest.Dialect{privicoretest.Documented, privicoretest.Observed}[i%2], plants...)
				if p.plant == nil {
					r.server.Next(p.op.Name, p.fault)
				}
				o := conformance(t.Context(), r.settings())
				assert.Equal(t, exitDiffers, o.code, o.progress)
				assert.Equal(t, []string{p.op.Name}, o.wrong(), o.explained())
				assert.Equal(t, p.want, o.verdicts[p.op.Name])
				assert.Contains(t, o.entries[p.op.Name], p.says)
				assert.Equal(t, fmt.Sprintf("confirmed %d of %d", len(operation.All)-1, len(operation.All)), o.last())
			})
		})
	}
}

func TestNamesWhatDependsOnAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, privicoretest.Documented, refusing(operation.OAuthRegister, 404, "application/json", `""`))
		o := conformance(t.Context(), r.settings())
		assert.Equal(t, exitDiffers, o.code)
		assert.Equal(t, "confirmed 62 of 70", o.last())
		for _, name := range o.wrong() {
			assert.True(t, strings.HasPrefix(name, "OAuth."), name)
			assert.Equal(t, notReachable, o.verdicts[name], name)
		}
		assert.Contains(t, o.entries["OAuth.Register"], "the server answers 404")
		assert.Contains(t, o.entries["OAuth.List"], "needs an application, which OAuth.Register did not leave")
		assert.Contains(t, o.entries["OAuth.Scope"], "needs an access token, which OAuth.ObtainAccessToken did not leave")
		assert.Empty(t, r.left(t))
	})
}

package privicore_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

const device1Form = "deviceIdentifier=01973590-11aa-7c3e-8f00-a1b2c3d4e5f6"

var deviceCalls = []wireCall{
	{
		operation: "Device.RequestIdentifier",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Device.RequestIdentifier(ctx, "Büro & vault")
		},
		method: "POST", path: "/device/request-unique-identifier", token: true, contentType: formType,
		body:   "deviceName=B%C3%BCro+%26+vault",
		answer: "device/request_identifier.accepted", parameter: "deviceName",
	},
	{
		operation: "Device.RetrieveIdentifier",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Device.RetrieveIdentifier(ctx, commandID)
		},
		method: "POST", path: "/device/retrieve-unique-identifier", token: true, contentType: formType,
		body:   "id=0197358e-6c2b-7f40-9d1a-3e5b7c9d0f11",
		answer: "device/retrieve_identifier.ok", parameter: "id",
	},
	{
		operation: "Device.List",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Device.List(ctx)
		},
		method: "GET", path: "/device/retrieve-profile-devices", token: true,
		answer: "device/list.ok",
	},
	{
		operation: "Device.ConfigureMeta",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Device.ConfigureMeta(ctx, device1, privicore.DeviceMeta{Name: "vault 1"})
		},
		method: "POST", path: "/device/configure-meta", token: true, contentType: formType,
		body:   device1Form + "&name=vault+1",
		answer: "device/configure_meta.accepted", parameter: "deviceIdentifier",
	},
	{
		operation: "Device.ConfigureMeta",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Device.ConfigureMeta(ctx, device1, privicore.DeviceMeta{})
		},
		method: "POST", path: "/device/configure-meta", token: true, contentType: formType,
		body:   device1Form,
		answer: "device/configure_meta.accepted", parameter: "deviceIdentifier",
	},
	{
		operation: "Device.Approve",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Device.Approve(ctx, device1)
		},
		method: "POST", path: "/device/approve-device", token: true, contentType: formType,
		body:   device1Form,
		answer: "device/approve.accepted", parameter: "deviceIdentifier",
	},
	{
		operation: "Device.Reject",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Device.Reject(ctx, device1)
		},
		method: "POST", path: "/device/reject-device", token: true, contentType: formType,
		body:   device1Form,
		answer: "device/reject.accepted", parameter: "deviceIdentifier",
	},
	{
		operation: "Device.Configuration",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Device.Configuration(ctx, "rack 4/slot#1")
		},
		method: "GET", path: "/device/retrieve-device-configuration/rack%204%2Fslot%231", token: true,
		answer: "device/configuration.ok", parameter: "deviceIdentifier",
	},
	{
		operation: "Device.DownloadConfiguration",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Device.DownloadConfiguration(ctx, device1)
		},
		method: "POST", path: "/device/download-device-configuration", token: true, contentType: formType,
		body:   device1Form,
		answer: "device/download_configuration.ok", parameter: "deviceIdentifier",
	},
	{
		operation: "Device.Remove",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Device.Remove(ctx, device1)
		},
		method: "POST", path: "/device/remove", token: true, contentType: formType,
		body:   device1Form,
		answer: "device/remove.accepted", parameter: "deviceIdentifier",
	},
}

var deviceCreated = time.Date(2025, 2, 10, 10, 3, 6, 0, time.UTC)

func TestRetrieveIdentifier(t *testing.T) {
	t.Parallel()
	for name, approved := range map[string]bool{"device/retrieve_identifier.ok": true, "device/retrieve_identifier.observed": false} {
		c, _ := replay(t, name)
		device, err := c.Device.RetrieveIdentifier(t.Context(), commandID)
		require.NoError(t, err)
		assert.Equal(t, device1, device.Identifier)
		assert.Equal(t, profile1, device.ProfileID)
		assert.Equal(t, approved, device.Approved)
		assert.True(t, device.CreatedAt.Equal(deviceCreated), "%s", device.CreatedAt)
		assert.Empty(t, device.Name)
		_, body := parsed(t, name)
		assert.JSONEq(t, string(body), string(device.RawJSON()))
	}
}

func TestDeviceList(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"device/list.ok", "device/list.items"} {
		c, _ := replay(t, name)
		devices, err := c.Device.List(t.Context())
		require.NoError(t, err)
		require.Len(t, devices, 2)
		assert.Equal(t, device1, devices[0].Identifier)
		assert.Equal(t, "vault-1", devices[0].Name)
		assert.True(t, devices[0].Approved)
		assert.True(t, devices[0].CreatedAt.Equal(deviceCreated))
		assert.Equal(t, device2, devices[1].Identifier)
		assert.False(t, devices[1].Approved)
		assert.True(t, devices[1].CreatedAt.Equal(time.Date(2025, 2, 11, 8, 0, 0, 0, time.UTC)))
		assert.JSONEq(t, `{
			"deviceIdentifier":"01973590-11aa-7c3e-8f00-a1b2c3d4e5f6","profileId":"01973591-33cc-7d4f-9a11-b1c2d3e4f5a6",
			"approved":true,"createdAt":"2025-02-10T10:03:06+00:00","deviceName":"vault-1","firmware":{"version":"2.4.1"}
		}`, string(devices[0].RawJSON()), "each element keeps its own JSON")
	}
	c, _ := replay(t, "device/list.empty")
	devices, err := c.Device.List(t.Context())
	require.NoError(t, err)
	assert.Empty(t, devices)
}

// An object is a list only if it says so.
func TestDeviceListOfAnotherShape(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{}`, `{"items":null}`, `{"items":{"a":1}}`, `{"devices":[]}`, `{"deviceIdentifier":"x"}`, `"x"`, `[1,2]`,
		`{"items":[],"error":"not today"}`, `{"success":false,"items":[]}`, `[{"deviceIdentifier":"x"}`,
	} {
		_, s := replay(t)
		s.answers = [][]byte{[]byte("HTTP/1.1 200 OK\n\n" + body)}
		_, err := s.client(privicore.WithToken(testToken)).Device.List(t.Context())
		assert.ErrorIs(t, err, privicore.ErrUnexpectedAnswer, body)
	}
}

// Servers list identifiers in place of devices. An entry that cannot be read
// keeps its place and its JSON.
func TestDeviceListOfOddEntries(t *testing.T) {
	t.Parallel()
	_, s := replay(t)
	s.answers = [][]byte{[]byte("HTTP/1.1 200 OK\n\n" + `["d-1",17,{"deviceIdentifier":18,"approved":"yes","createdAt":"soon","deviceName":["a"]},` +
		`{"deviceIdentifier":"d-4","approved":"1","createdAt":1739181786}]`)}
	devices, err := s.client(privicore.WithToken(testToken)).Device.List(t.Context())
	require.NoError(t, err)
	require.Len(t, devices, 4)
	assert.Equal(t, []string{"d-1", "", "18", "d-4"}, deviceIDs(devices))
	assert.Equal(t, "17", string(devices[1].RawJSON()))
	assert.False(t, devices[2].Approved)
	assert.True(t, devices[2].CreatedAt.IsZero())
	assert.Contains(t, string(devices[2].RawJSON()), `"soon"`, "what cannot be read can be looked up")
	assert.True(t, devices[3].Approved)
	assert.True(t, devices[3].CreatedAt.Equal(deviceCreated))
}

// Times come in more forms than one. One that is none leaves the rest as it is.
func TestDeviceTimes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		`"2025-02-10T10:03:06+00:00"`:    deviceCreated,
		`"2025-02-10T11:03:06+01:00"`:    deviceCreated,
		`"2025-02-10T11:03:06+0100"`:     deviceCreated,
		`"2025-02-10T10:03:06Z"`:         deviceCreated,
		`"2025-02-10T10:03:06.000000Z"`:  deviceCreated,
		`"2025-02-10T10:03:06"`:          deviceCreated,
		`"2025-02-10 10:03:06"`:          deviceCreated,
		`"2025-02-10 11:03:06 +0100"`:    deviceCreated,
		`1739181786`:                     deviceCreated,
		`"1739181786"`:                   deviceCreated,
		`"2025-02-10"`:                   time.Date(2025, 2, 10, 0, 0, 0, 0, time.UTC),
		`"yesterday"`:                    {},
		`""`:                             {},
		`0`:                              {},
		`null`:                           {},
		`{"date":"2025-02-10 10:03:06"}`: {},
		`"0000-00-00 00:00:00"`:          {},
	} {
		_, s := replay(t)
		s.answers = [][]byte{[]byte("HTTP/1.1 200 OK\n\n" + `{"deviceIdentifier":"d-1","approved":true,"createdAt":` + text + `,"profileId":"p-1"}`)}
		device, err := s.client(privicore.WithToken(testToken)).Device.RetrieveIdentifier(t.Context(), commandID)
		require.NoError(t, err, text)
		assert.True(t, device.CreatedAt.Equal(want), "%s is %s", text, device.CreatedAt)
		assert.Equal(t, []string{"d-1", "p-1"}, []string{device.Identifier, device.ProfileID}, text)
		assert.True(t, device.Approved, text)
	}
}

func TestDeviceConfiguration(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "device/configuration.ok", "device/download_configuration.ok")
	documented, err := c.Device.Configuration(t.Context(), device1)
	require.NoError(t, err)
	observed, err := c.Device.DownloadConfiguration(t.Context(), device1)
	require.NoError(t, err)
	for _, configuration := range []*privicore.DeviceConfiguration{documented, observed} {
		secrets := []string{
			configuration.DeviceIdentifier.Reveal(), configuration.ClientID.Reveal(), configuration.ClientSecret.Reveal(),
			configuration.RabbitUser.Reveal(), configuration.RabbitPassword.Reveal(), configuration.RabbitHost.Reveal(),
		}
		assert.Equal(t, []string{device1, "client-4711", "cs-recorded-secret", "device-4711", "rp-recorded-secret", "rabbit.example.test"}, secrets)
		assert.Equal(t, "5671", configuration.RabbitPort.Reveal(), "a number or a string")
		assertHidden(t, configuration, secrets...)
		assertHidden(t, *configuration, secrets...)
	}
	assert.Contains(t, string(observed.RawJSON()), "vh-recorded-secret", "unknown fields are kept")
	assertHidden(t, *observed, "vh-recorded-secret")
}

// The captured answer holds the secrets and does not show them either.
func TestCapturedConfigurationIsNotShown(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "device/configuration.ok")
	var raw privicore.Response
	_, err := c.Device.Configuration(privicore.CaptureResponse(t.Context(), &raw), device1)
	require.NoError(t, err)
	assert.Contains(t, string(raw.Body), "cs-recorded-secret")
	assertNotShown(t, raw, "cs-recorded-secret", "rp-recorded-secret")
	assertNotShown(t, &raw, "cs-recorded-secret", "rp-recorded-secret")
	assertHidden(t, c, testToken)
}

func TestPendingDevice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := replay(t, "device/request_identifier.accepted", "utility/request_status.pending",
			"utility/request_status.succeeded", "device/retrieve_identifier.observed")
		pending, err := c.Device.RequestIdentifier(t.Context(), "vault-1")
		require.NoError(t, err)
		device, err := pending.Result(t.Context())
		require.NoError(t, err)
		assert.Equal(t, device1, device.Identifier)
		assert.Equal(t, "id="+commandID, s.sent[3].body)
	})
}

func TestOnboard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := replay(t, "device/request_identifier.accepted", "utility/request_status.succeeded",
			"device/retrieve_identifier.observed", "device/approve.observed", "utility/request_status.succeeded_array")
		device, err := c.Device.Onboard(t.Context(), "vault-1")
		require.NoError(t, err)
		assert.Equal(t, device1, device.Identifier)
		assert.True(t, device.Approved)
		assert.Equal(t, []string{
			"POST /device/request-unique-identifier", "GET /request-status/" + commandID,
			"POST /device/retrieve-unique-identifier",
			"POST /device/approve-device", "GET /request-status/" + commandID,
		}, s.requests())
		assert.Equal(t, device1Form, s.sent[3].body)
	})
}

// A device that is approved by itself is not approved again.
func TestOnboardApproved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := replay(t, "device/request_identifier.accepted", "utility/request_status.succeeded", "device/retrieve_identifier.ok")
		device, err := c.Device.Onboard(t.Context(), "vault-1")
		require.NoError(t, err)
		assert.True(t, device.Approved)
		assert.Len(t, s.sent, 3)
	})
}

// The value of a command is fetched once, whoever asks, and however often.
func TestPendingDeviceIsFetchedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := replay(t, "device/request_identifier.accepted", "utility/request_status.succeeded", "device/retrieve_identifier.observed")
		pending, err := c.Device.RequestIdentifier(t.Context(), "vault-1")
		require.NoError(t, err)
		_, err = pending.Wait(t.Context())
		require.NoError(t, err)
		devices := make([]*privicore.Device, 10)
		var all sync.WaitGroup
		for i := range devices {
			all.Go(func() {
				device, err := pending.Result(t.Context())
				assert.NoError(t, err)
				devices[i] = device
			})
		}
		all.Wait()
		for _, device := range devices {
			assert.Same(t, devices[0], device)
		}
		assert.Equal(t, "vault-1", devices[0].Name, "the server did not repeat it")
		assert.Len(t, s.sent, 3)
	})
}

// One whose context ends does not keep the others from the value.
func TestPendingDeviceGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, body := parsed(t, "device/retrieve_identifier.ok")
		var fetched int
		c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
			switch r.URL.Path {
			case "/device/request-unique-identifier":
				return reply(202, `["`+commandID+`"]`)
			case "/device/retrieve-unique-identifier":
				fetched++
				time.Sleep(time.Second)
				return reply(200, string(body))
			}
			return reply(200, `["succeeded"]`)
		})
		pending, err := c.Device.RequestIdentifier(t.Context(), "vault-1")
		require.NoError(t, err)
		_, err = pending.Wait(t.Context())
		require.NoError(t, err)
		go func() {
			_, err := pending.Result(t.Context())
			assert.NoError(t, err)
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err = pending.Result(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		waiting, ok := errors.AsType[*privicore.WaitError](err)
		require.True(t, ok, "%T", err)
		assert.Equal(t, commandID, waiting.ID)
		device, err := pending.Result(t.Context())
		require.NoError(t, err)
		assert.Equal(t, device1, device.Identifier)
		assert.Equal(t, 1, fetched)
	})
}

// A Pending that does not come from a client says so.
func TestPendingOfNobody(t *testing.T) {
	t.Parallel()
	for _, pending := range []*privicore.Pending[*privicore.Device]{nil, {}, {Command: new(privicore.Command)}} {
		_, err := pending.Result(t.Context())
		assert.ErrorContains(t, err, "does not come from a client")
	}
}

// A timeout says which command to wait for another time: the registration, or
// the approval of a device that is there.
func TestOnboardTimesOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stuck, operation string
		registered       bool
	}{
		"registration": {"c-1", "Device.RequestIdentifier", false},
		"approval":     {"c-2", "Device.Approve", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, body := parsed(t, "device/retrieve_identifier.observed")
				c := fakeClient(t, func(r *http.Request, _ url.Values) (*http.Response, error) {
					switch r.URL.Path {
					case "/device/request-unique-identifier":
						return reply(202, `["c-1"]`)
					case "/device/retrieve-unique-identifier":
						return reply(200, string(body))
					case "/device/approve-device":
						return reply(202, `["c-2"]`)
					case "/request-status/" + test.stuck:
						return reply(202, `["started"]`)
					}
					return reply(200, `["succeeded"]`)
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				device, err := c.Device.Onboard(ctx, "vault-1")
				require.ErrorIs(t, err, context.DeadlineExceeded)
				waiting, ok := errors.AsType[*privicore.WaitError](err)
				require.True(t, ok, "%T", err)
				assert.Equal(t, []string{test.stuck, test.operation}, []string{waiting.ID, waiting.Operation})
				assert.Equal(t, test.registered, device != nil)
			})
		})
	}
}

// A device whose approval fails is returned beside the error.
func TestOnboardRejected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := replay(t, "device/request_identifier.accepted", "utility/request_status.succeeded",
			"device/retrieve_identifier.observed", "device/approve.accepted", "utility/request_status.rejected_array")
		device, err := c.Device.Onboard(t.Context(), "vault-1")
		_, rejected := errors.AsType[*privicore.CommandError](err)
		require.True(t, rejected, "%v", err)
		require.NotNil(t, device)
		assert.Equal(t, device1, device.Identifier)
		assert.False(t, device.Approved)
	})
}

// The fields of a 422 are typed, whatever its shape.
func TestDeviceFieldErrors(t *testing.T) {
	t.Parallel()
	const blank = "This value should not be blank."
	for name, want := range map[string][]privicore.FieldError{
		"422.string":         {{Field: "deviceIdentifier", Message: "deviceIdentifier: " + blank}},
		"422.string_unnamed": {{Field: "deviceIdentifier", Message: blank}},
		"422.array": {
			{Field: "deviceIdentifier", Message: "deviceIdentifier: " + blank},
			{Field: "deviceIdentifier", Message: "deviceIdentifier: This value is too short."},
		},
		"422.array_unnamed":   {{Field: "deviceIdentifier", Message: blank}},
		"422.message":         {{Field: "deviceIdentifier", Message: "deviceIdentifier: " + blank}},
		"422.message_unnamed": {{Field: "deviceIdentifier", Message: "validation failed"}},
		"422.key":             {{Field: "deviceIdentifier", Message: "profile.not_an_owner"}},
		"422.key_array":       {{Field: "deviceIdentifier", Message: "profile.not_an_owner"}},
		"422.key_object":      {{Field: "deviceIdentifier", Message: "profile.not_an_owner"}},
		"422.fields": {
			{Field: "deviceIdentifier", Message: blank},
			{Field: "deviceIdentifier", Message: "This value is too short."},
		},
		"422.fields_single": {{Field: "deviceIdentifier", Message: blank}},
		"422.fields_bare":   {{Field: "deviceIdentifier", Message: blank}},
		"422.violations":    {{Field: "deviceIdentifier", Message: blank}},
		"422.list":          {{Field: "deviceIdentifier", Message: blank}},
		"422.list_of_texts": {{Field: "deviceIdentifier", Message: "deviceIdentifier: " + blank}},
		"422.empty":         {{Field: "deviceIdentifier", Message: "refused by the server"}},
		"422.null":          {{Field: "deviceIdentifier", Message: "refused by the server"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for call, do := range map[string]func(*privicore.Client) (any, error){
				"in the form": func(c *privicore.Client) (any, error) { return c.Device.Approve(t.Context(), device1) },
				"in the path": func(c *privicore.Client) (any, error) { return c.Device.Configuration(t.Context(), device1) },
			} {
				c, _ := replay(t, "errors/"+name)
				_, err := do(c)
				require.ErrorIs(t, err, privicore.ErrValidation)
				apiErr, ok := errors.AsType[*privicore.APIError](err)
				require.True(t, ok)
				assert.Equal(t, want, apiErr.Fields, call)
				for _, field := range want {
					assert.ErrorContains(t, err, field.Message, call)
				}
			}
		})
	}
}

func TestDeviceRefusals(t *testing.T) {
	t.Parallel()
	type doer = func(ctx context.Context, c *privicore.Client, id string) (any, error)
	for operation, do := range map[string]doer{
		"Device.ConfigureMeta": func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Device.ConfigureMeta(ctx, id, privicore.DeviceMeta{Name: "n"})
		},
		"Device.Approve": func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Device.Approve(ctx, id)
		},
		"Device.Reject": func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Device.Reject(ctx, id)
		},
		"Device.Configuration": func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Device.Configuration(ctx, id)
		},
		"Device.DownloadConfiguration": func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Device.DownloadConfiguration(ctx, id)
		},
		"Device.Remove": func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Device.Remove(ctx, id)
		},
	} {
		assertIdentifierChecked(t, operation, "deviceIdentifier", do)
	}
	assertIdentifierChecked(t, "Device.RetrieveIdentifier", "id",
		func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Device.RetrieveIdentifier(ctx, id)
		})

	var names []refused
	for name, reason := range map[string]string{"": "is empty", " \t ": "is empty", "a\x00b": "control character", "a\nb": "control character", "\xff": "UTF-8"} {
		names = append(names,
			refused{
				why: reason, operation: "Device.RequestIdentifier", field: "deviceName", reason: reason,
				do: func(ctx context.Context, c *privicore.Client) (any, error) {
					return c.Device.RequestIdentifier(ctx, name)
				},
			},
			refused{
				why: "onboard: " + reason, operation: "Device.RequestIdentifier", field: "deviceName", reason: reason,
				do: func(ctx context.Context, c *privicore.Client) (any, error) { return c.Device.Onboard(ctx, name) },
			})
	}
	assertRefused(t, names)
}

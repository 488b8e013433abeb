package privicore_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

var storageCalls = []wireCall{
	{
		operation: "Storage.Register",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Storage.Register(ctx, device1)
		},
		method: "POST", path: "/storage/register", token: true, contentType: formType,
		body:   device1Form,
		answer: "storage/register.accepted", parameter: "deviceIdentifier",
	},
	{
		operation: "Storage.List",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Storage.List(ctx)
		},
		method: "GET", path: "/storage/list-storage-devices", token: true,
		answer: "storage/list.ok",
	},
	{
		operation: "Storage.Synchronize",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Storage.Synchronize(ctx, device1)
		},
		method: "POST", path: "/storage/sync-device", token: true, contentType: formType,
		body:   device1Form,
		answer: "storage/synchronize.accepted", parameter: "deviceIdentifier",
	},
	{
		operation: "Storage.Remove",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.Storage.Remove(ctx, device1)
		},
		method: "POST", path: "/storage/remove", token: true, contentType: formType,
		body:   device1Form,
		answer: "storage/remove.accepted", parameter: "deviceIdentifier",
	},
}

func TestStorageList(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"storage/list.ok", "storage/list.items"} {
		c, _ := replay(t, name)
		devices, err := c.Storage.List(t.Context())
		require.NoError(t, err)
		require.Len(t, devices, 2)
		assert.Equal(t, device1, devices[0].DeviceIdentifier)
		assert.Equal(t, device2, devices[1].DeviceIdentifier)
		assert.JSONEq(t, `{
			"deviceIdentifier":"01973590-11aa-7c3e-8f00-a1b2c3d4e5f6","profileId":"01973591-33cc-7d4f-9a11-b1c2d3e4f5a6",
			"used":{"bytes":1048576}
		}`, string(devices[0].RawJSON()), "each element keeps what is not known of it")
	}
	c, _ := replay(t, "storage/list.empty")
	devices, err := c.Storage.List(t.Context())
	require.NoError(t, err)
	assert.Empty(t, devices)
}

// Servers list identifiers in place of devices. Null and an error are no list.
func TestStorageListOfAnotherShape(t *testing.T) {
	t.Parallel()
	list := func(body string) ([]privicore.StorageDevice, error) {
		_, s := replay(t)
		s.answers = [][]byte{[]byte("HTTP/1.1 200 OK\n\n" + body)}
		return s.client(privicore.WithToken(testToken)).Storage.List(t.Context())
	}
	devices, err := list(`["d-1","d-2",{"deviceIdentifier":3,"used":{"bytes":"many"}}]`)
	require.NoError(t, err)
	require.Len(t, devices, 3)
	assert.Equal(t, []string{"d-1", "d-2", "3"}, []string{devices[0].DeviceIdentifier, devices[1].DeviceIdentifier, devices[2].DeviceIdentifier})
	assert.Contains(t, string(devices[2].RawJSON()), `"many"`)
	for _, body := range []string{`{}`, `"d-1"`, `{"items":null}`, `{"errors":["no"],"items":[]}`} {
		_, err := list(body)
		assert.ErrorIs(t, err, privicore.ErrUnexpectedAnswer, body)
	}
}

func TestStorageOnASandbox(t *testing.T) {
	t.Parallel()
	inBothDialects(t, func(t *testing.T, c *privicore.Client, _ *privicoretest.Server) {
		listed := func() (ids []string) {
			devices, err := c.Storage.List(t.Context())
			require.NoError(t, err)
			for _, d := range devices {
				ids = append(ids, d.DeviceIdentifier)
			}
			return ids
		}
		assert.Empty(t, listed())
		device, err := c.Device.Onboard(t.Context(), "rack 4")
		require.NoError(t, err)
		cmd, err := c.Storage.Register(t.Context(), device.Identifier)
		done(t, cmd, err)
		assert.Equal(t, []string{device.Identifier}, listed())
		cmd, err = c.Storage.Synchronize(t.Context(), device.Identifier)
		done(t, cmd, err)
		cmd, err = c.Storage.Remove(t.Context(), device.Identifier)
		done(t, cmd, err)
		assert.Empty(t, listed())
		devices, err := c.Device.List(t.Context())
		require.NoError(t, err)
		assert.Contains(t, deviceIDs(devices), device.Identifier, "it stays registered")
	}, privicoretest.WithStorageDevices(0))
}

func TestStorageRefusals(t *testing.T) {
	t.Parallel()
	for operation, do := range map[string]func(ctx context.Context, c *privicore.Client, id string) (any, error){
		"Storage.Register": func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Storage.Register(ctx, id)
		},
		"Storage.Synchronize": func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Storage.Synchronize(ctx, id)
		},
		"Storage.Remove": func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Storage.Remove(ctx, id)
		},
	} {
		assertIdentifierChecked(t, operation, "deviceIdentifier", do)
	}
}

package privicore_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
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

func TestStorageRefusals(t *testing.T) {
	for operation, do := range map[string]func(ctx context.Context, c *privicore.Client, id string) (any, error){
		"Register storage device": func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Storage.Register(ctx, id)
		},
		"Synchronize device": func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Storage.Synchronize(ctx, id)
		},
		"Remove storage": func(ctx context.Context, c *privicore.Client, id string) (any, error) {
			return c.Storage.Remove(ctx, id)
		},
	} {
		assertIdentifierChecked(t, operation, "deviceIdentifier", do)
	}
}

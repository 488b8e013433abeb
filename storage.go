package privicore

import (
	"context"
	"fmt"

	"github.com/privicore/privicore-go/internal/operation"
)

// StorageService is the section "Storage" of the API: the devices that keep the
// pieces of data. A profile needs at least one before it can store data. The
// documentation advises three.
type StorageService service

// StorageDevice is a device that stores data. Only its identifier is known, and
// that is inferred. RawJSON has the rest.
type StorageDevice struct {
	answer
	DeviceIdentifier string `json:"deviceIdentifier"`
}

// Format leaves out the raw JSON.
func (d StorageDevice) Format(s fmt.State, verb rune) { format(s, verb, d) }

// Register makes an approved device a storage device. It returns the command and
// does not wait.
//
// It is the operation "Register storage device".
func (s *StorageService) Register(ctx context.Context, deviceIdentifier string) (*Command, error) {
	return s.client.deviceCommand(ctx, operation.StorageRegister, deviceIdentifier)
}

// List returns the storage devices of the profile.
//
// It is the operation [List storage devices].
//
// [List storage devices]: https://docs.privicore.com/list-storage-devices-14411453e0
func (s *StorageService) List(ctx context.Context) ([]StorageDevice, error) {
	return list[StorageDevice](ctx, s.client, operation.StorageList, params{})
}

// Synchronize brings a storage device up to date with the others. It returns the
// command and does not wait.
//
// It is the operation [Synchronize device].
//
// [Synchronize device]: https://docs.privicore.com/synchronize-device-14411454e0
func (s *StorageService) Synchronize(ctx context.Context, deviceIdentifier string) (*Command, error) {
	return s.client.deviceCommand(ctx, operation.StorageSynchronize, deviceIdentifier)
}

// Remove makes a device stop being a storage device. It takes effect at once, and
// the device stays registered. Remove returns the command and does not wait.
//
// It is the operation [Remove storage].
//
// [Remove storage]: https://docs.privicore.com/remove-storage-14411455e0
func (s *StorageService) Remove(ctx context.Context, deviceIdentifier string) (*Command, error) {
	return s.client.deviceCommand(ctx, operation.StorageRemove, deviceIdentifier)
}

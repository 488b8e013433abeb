package privicore

import (
	"context"

	"github.com/privicore/privicore-go/internal/operation"
)

// StorageService is the section "Storage" of the API: the devices on which the
// pieces of data are kept.
type StorageService service

// StorageDevice is a device that stores data. Only its identifier is known, and
// that by inference; RawJSON has the rest.
type StorageDevice struct {
	answer
	DeviceIdentifier string `json:"deviceIdentifier"`
}

// Register makes an approved device a storage device: "Register storage
// device".
func (s *StorageService) Register(ctx context.Context, deviceIdentifier string) (*Command, error) {
	return s.client.deviceCommand(ctx, operation.StorageRegister, deviceIdentifier)
}

// List returns the storage devices of the profile: "List storage devices".
func (s *StorageService) List(ctx context.Context) ([]StorageDevice, error) {
	return list[StorageDevice](ctx, s.client, operation.StorageList)
}

// Synchronize has a storage device catch up with the others: "Synchronize
// device".
func (s *StorageService) Synchronize(ctx context.Context, deviceIdentifier string) (*Command, error) {
	return s.client.deviceCommand(ctx, operation.StorageSynchronize, deviceIdentifier)
}

// Remove takes the role of storage from a device: "Remove storage".
func (s *StorageService) Remove(ctx context.Context, deviceIdentifier string) (*Command, error) {
	return s.client.deviceCommand(ctx, operation.StorageRemove, deviceIdentifier)
}

package privicore

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// DeviceService is the section "Device" of the API. Devices store data
// (StorageService) and vote (VerifiedAuthenticatorService).
type DeviceService service

// Device is a device of a profile. RawJSON has what the server sent beyond these
// fields.
type Device struct {
	answer
	Identifier string    `json:"deviceIdentifier"`
	ProfileID  string    `json:"profileId"` // of the device itself, by the documentation's example
	Approved   bool      `json:"approved"`
	CreatedAt  time.Time `json:"createdAt"`
	// Name is empty if the server does not send it. That the server calls it
	// deviceName is inferred. Onboard, and the Result of RequestIdentifier, fill
	// in the name that was asked for.
	Name string `json:"deviceName"`
}

// Format leaves out the raw JSON.
func (d Device) Format(s fmt.State, verb rune) { format(s, verb, d) }

func (d *Device) missing() string {
	if d.Identifier == "" {
		return "deviceIdentifier"
	}
	return ""
}

// RequestIdentifier registers a new device under a name. It does not wait.
// Pending.Result waits and returns the device with its identifier. The device has
// to be approved before it can be used; Onboard does both.
//
// To go on in another process, keep the ID: Command(id).Wait, and then
// RetrieveIdentifier with the same id.
//
// It is the operation "Request unique identifier (register new device)": see
// [Request unique identifier].
//
// [Request unique identifier]: https://docs.privicore.com/request-unique-identifier-i-e-register-new-device-14411444e0
func (s *DeviceService) RequestIdentifier(ctx context.Context, deviceName string) (*Pending[*Device], error) {
	op := operation.DeviceRequestIdentifier
	if err := checkText(op, "deviceName", deviceName); err != nil {
		return nil, err
	}
	cmd, err := s.client.command(ctx, op, params{values: url.Values{"deviceName": {deviceName}}})
	if err != nil {
		return nil, err
	}
	return NewPending(cmd, func(ctx context.Context, commandID string) (*Device, error) {
		device, err := s.RetrieveIdentifier(ctx, commandID)
		if err == nil && device.Name == "" {
			device.Name = deviceName
		}
		return device, err
	}), nil
}

// RetrieveIdentifier returns the device that a registration made. commandID is
// the id of RequestIdentifier, or of the creation of a directory device, once that
// command has succeeded. Before that the error matches ErrValidation.
//
// It is the operation [Retrieve unique identifier].
//
// [Retrieve unique identifier]: https://docs.privicore.com/retrieve-unique-identifier-14411445e0
func (s *DeviceService) RetrieveIdentifier(ctx context.Context, commandID string) (*Device, error) {
	op := operation.DeviceRetrieveIdentifier
	if err := checkIdentifier(op, "id", commandID); err != nil {
		return nil, err
	}
	return value[Device](ctx, s.client, op, params{values: url.Values{"id": {commandID}}})
}

// Onboard registers a device and approves it. It waits for both commands and
// returns the device. If approving fails, it returns the device and the error: the
// device is registered and Approve can be called for it. The error of a wait is a
// *WaitError or a *CommandError, which has the id of the command.
func (s *DeviceService) Onboard(ctx context.Context, deviceName string) (*Device, error) {
	pending, err := s.RequestIdentifier(ctx, deviceName)
	if err != nil {
		return nil, err
	}
	device, err := pending.Result(ctx)
	if err != nil || device.Approved {
		return device, err
	}
	cmd, err := s.Approve(ctx, device.Identifier)
	if err != nil {
		return device, err
	}
	if _, err := cmd.Wait(ctx); err != nil {
		return device, err
	}
	device.Approved = true
	return device, nil
}

// List returns the devices of the profile.
//
// It is the operation [Retrieve profile devices].
//
// [Retrieve profile devices]: https://docs.privicore.com/retrieve-profile-devices-14411446e0
func (s *DeviceService) List(ctx context.Context) ([]Device, error) {
	return list[Device](ctx, s.client, operation.DeviceList, params{})
}

// DeviceMeta is the description of a device.
type DeviceMeta struct {
	Name string `url:"name,omitempty"` // empty leaves it as it is
}

// ConfigureMeta changes the description of a device. It returns the command and
// does not wait.
//
// It is the operation [Configure device meta].
//
// [Configure device meta]: https://docs.privicore.com/configure-device-meta-14411447e0
func (s *DeviceService) ConfigureMeta(ctx context.Context, deviceIdentifier string, meta DeviceMeta) (*Command, error) {
	op := operation.DeviceConfigureMeta
	if err := checkIdentifier(op, "deviceIdentifier", deviceIdentifier); err != nil {
		return nil, err
	}
	form := struct {
		DeviceIdentifier string `url:"deviceIdentifier"`
		DeviceMeta
	}{deviceIdentifier, meta}
	return s.client.command(ctx, op, params{form: form})
}

// Approve admits a device to the profile. It returns the command and does not
// wait. If a policy gates approving, the command ends after the vote.
//
// It is the operation [Approve device].
//
// [Approve device]: https://docs.privicore.com/approve-device-14411448e0
func (s *DeviceService) Approve(ctx context.Context, deviceIdentifier string) (*Command, error) {
	return s.client.deviceCommand(ctx, operation.DeviceApprove, deviceIdentifier)
}

// Reject refuses a device that has not been approved. It returns the command and
// does not wait.
//
// It is the operation "Reject device".
func (s *DeviceService) Reject(ctx context.Context, deviceIdentifier string) (*Command, error) {
	return s.client.deviceCommand(ctx, operation.DeviceReject, deviceIdentifier)
}

// Remove takes a device out of the profile for good: its credentials expire, and
// what it stores can no longer be decrypted. Remove returns the command and does
// not wait.
//
// It is the operation [Remove device].
//
// [Remove device]: https://docs.privicore.com/remove-device-14411451e0
func (s *DeviceService) Remove(ctx context.Context, deviceIdentifier string) (*Command, error) {
	return s.client.deviceCommand(ctx, operation.DeviceRemove, deviceIdentifier)
}

// DeviceConfiguration is what a device needs to connect. All of it is secret,
// also in RawJSON.
type DeviceConfiguration struct {
	answer
	DeviceIdentifier Secret `json:"device-identifier"`
	ClientID         Secret `json:"client-id"`
	ClientSecret     Secret `json:"client-secret"`
	RabbitUser       Secret `json:"rabbit-user"`
	RabbitPassword   Secret `json:"rabbit-pass"`
	RabbitHost       Secret `json:"rabbit-host"`
	RabbitPort       Secret `json:"rabbit-port"`
}

// Format leaves out the raw JSON.
func (c DeviceConfiguration) Format(s fmt.State, verb rune) { format(s, verb, c) }

// Configuration returns what an approved device needs to connect. The error matches
// ErrNotFound if the device does not exist or is not approved.
//
// It is the operation [Retrieve device configuration].
//
// [Retrieve device configuration]: https://docs.privicore.com/retrieve-device-configuration-14411450e0
func (s *DeviceService) Configuration(ctx context.Context, deviceIdentifier string) (*DeviceConfiguration, error) {
	op := operation.DeviceConfiguration
	if err := checkIdentifier(op, "deviceIdentifier", deviceIdentifier); err != nil {
		return nil, err
	}
	return value[DeviceConfiguration](ctx, s.client, op, params{path: deviceIdentifier})
}

// DownloadConfiguration returns what Configuration returns, from servers that offer
// it under another path. Such servers were observed. That the answer has the same
// fields is inferred.
//
// It is the operation [Retrieve device configuration].
//
// [Retrieve device configuration]: https://docs.privicore.com/retrieve-device-configuration-14411450e0
func (s *DeviceService) DownloadConfiguration(ctx context.Context, deviceIdentifier string) (*DeviceConfiguration, error) {
	op := operation.DeviceDownloadConfiguration
	if err := checkIdentifier(op, "deviceIdentifier", deviceIdentifier); err != nil {
		return nil, err
	}
	return value[DeviceConfiguration](ctx, s.client, op, params{values: url.Values{"deviceIdentifier": {deviceIdentifier}}})
}

package privicore

import (
	"context"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// DeviceService is the section "Device" of the API. Devices store data
// (StorageService) and vote (VerifiedAuthenticatorService).
type DeviceService service

// Device is a device of a profile. RawJSON has what the server sent beyond
// these fields.
type Device struct {
	answer
	Identifier string    `json:"deviceIdentifier"`
	ProfileID  string    `json:"profileId"` // the device's own, as the documentation's example has it
	Approved   bool      `json:"approved"`
	CreatedAt  time.Time `json:"createdAt"`
	// Name is in the answers of servers that send it; that they call it
	// deviceName is inferred.
	Name string `json:"deviceName"`
}

func (d *Device) missing() string {
	if d.Identifier == "" {
		return "deviceIdentifier"
	}
	return ""
}

// PendingDevice is a device whose identifier is being assigned.
type PendingDevice struct {
	*Command
	name string
}

// Result waits until the identifier is assigned and retrieves the device.
func (p *PendingDevice) Result(ctx context.Context) (*Device, error) {
	if _, err := p.Wait(ctx); err != nil {
		return nil, err
	}
	device, err := p.client.Device.RetrieveIdentifier(ctx, p.ID)
	if err == nil && device.Name == "" {
		device.Name = p.name
	}
	return device, err
}

// RequestIdentifier registers a new device, which is how the documentation's
// "Request unique identifier" is to be read: devices are named by the server. The
// device has to be approved before it can be used; Onboard does both.
func (s *DeviceService) RequestIdentifier(ctx context.Context, deviceName string) (*PendingDevice, error) {
	op := operation.DeviceRequestIdentifier
	if err := checkText(op, "deviceName", deviceName); err != nil {
		return nil, err
	}
	form := struct {
		DeviceName string `url:"deviceName"`
	}{deviceName}
	cmd, err := s.client.command(ctx, op, params{form: form})
	if err != nil {
		return nil, err
	}
	return &PendingDevice{cmd, deviceName}, nil
}

// RetrieveIdentifier returns the device that a registration made: "Retrieve
// unique identifier". The commandID is that of RequestIdentifier or of the
// creation of a directory device, once it has succeeded.
func (s *DeviceService) RetrieveIdentifier(ctx context.Context, commandID string) (*Device, error) {
	op := operation.DeviceRetrieveIdentifier
	if err := checkIdentifier(op, "id", commandID); err != nil {
		return nil, err
	}
	form := struct {
		ID string `url:"id"`
	}{commandID}
	return value[Device](ctx, s.client, op, params{form: form})
}

// Onboard registers a device and approves it, and waits for both. If it fails
// after the registration, the device it returns beside the error has been
// registered and can be approved.
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

// List returns the devices of the profile: "Retrieve profile devices".
func (s *DeviceService) List(ctx context.Context) ([]Device, error) {
	return list[Device](ctx, s.client, operation.DeviceList)
}

// DeviceMeta describes a device.
type DeviceMeta struct {
	Name string `url:"name,omitempty"` // empty leaves it as it is
}

// ConfigureMeta describes a device: "Configure device meta".
func (s *DeviceService) ConfigureMeta(ctx context.Context, deviceIdentifier string, meta DeviceMeta) (*Command, error) {
	op := operation.DeviceConfigureMeta
	if err := checkIdentifier(op, "deviceIdentifier", deviceIdentifier); err != nil {
		return nil, err
	}
	form := struct {
		deviceParams
		DeviceMeta
	}{deviceParams{deviceIdentifier}, meta}
	return s.client.command(ctx, op, params{form: form})
}

// Approve admits a device to the profile: "Approve device".
func (s *DeviceService) Approve(ctx context.Context, deviceIdentifier string) (*Command, error) {
	return s.client.deviceCommand(ctx, operation.DeviceApprove, deviceIdentifier)
}

// Reject refuses a device that waits to be approved: "Reject device".
func (s *DeviceService) Reject(ctx context.Context, deviceIdentifier string) (*Command, error) {
	return s.client.deviceCommand(ctx, operation.DeviceReject, deviceIdentifier)
}

// Remove takes a device out of the profile for good: "Remove device". Its
// credentials die, and what it stores can no longer be decrypted.
func (s *DeviceService) Remove(ctx context.Context, deviceIdentifier string) (*Command, error) {
	return s.client.deviceCommand(ctx, operation.DeviceRemove, deviceIdentifier)
}

// DeviceConfiguration is what a device needs to connect. All of it is secret;
// RawJSON has it as it came.
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

// Configuration returns the configuration of a device: "Retrieve device
// configuration".
func (s *DeviceService) Configuration(ctx context.Context, deviceIdentifier string) (*DeviceConfiguration, error) {
	op := operation.DeviceConfiguration
	if err := checkIdentifier(op, "deviceIdentifier", deviceIdentifier); err != nil {
		return nil, err
	}
	return value[DeviceConfiguration](ctx, s.client, op, params{path: deviceIdentifier})
}

// DownloadConfiguration is Configuration for servers that offer "Retrieve
// device configuration" under the path /device/download-device-configuration,
// as some were observed to do.
// That the answer has the same fields is inferred.
func (s *DeviceService) DownloadConfiguration(ctx context.Context, deviceIdentifier string) (*DeviceConfiguration, error) {
	op := operation.DeviceDownloadConfiguration
	if err := checkIdentifier(op, "deviceIdentifier", deviceIdentifier); err != nil {
		return nil, err
	}
	return value[DeviceConfiguration](ctx, s.client, op, params{form: deviceParams{deviceIdentifier}})
}

package privicoretest

import (
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// DeviceStatus is how far a device is.
type DeviceStatus string

// The states of a device.
const (
	DevicePending  DeviceStatus = "pending" // registered, neither approved nor rejected
	DeviceApproved DeviceStatus = "approved"
	DeviceRejected DeviceStatus = "rejected"
	DeviceRemoved  DeviceStatus = "removed" // for good
)

// device belongs to a profile, also after its removal.
type device struct {
	id            string
	profileID     string // of the device's own profile, which is not its owner's
	owner         *profile
	name          string
	status        DeviceStatus
	created       time.Time
	authenticator bool
	storage       bool
	configuration map[string]any // once it is approved
}

// identity is a device in the answer to Device.RetrieveIdentifier.
type identity struct {
	DeviceIdentifier string `json:"deviceIdentifier"`
	ProfileID        string `json:"profileId"`
	Approved         bool   `json:"approved"`
	CreatedAt        string `json:"createdAt"`
}

// deviceRecord is a device in a list.
type deviceRecord struct {
	identity
	DeviceName string       `json:"deviceName"`
	Status     DeviceStatus `json:"status"`
}

func (s *state) identity(d *device) identity {
	return identity{d.id, d.profileID, d.status == DeviceApproved, s.timestamp(d.created)}
}

// deviceRecords returns the devices of a profile for which include returns true,
// in the order of their registration. It leaves out removed ones.
func (s *state) deviceRecords(p *profile, include func(*device) bool) []deviceRecord {
	records := []deviceRecord{}
	for _, d := range p.devices {
		if d.status != DeviceRemoved && include(d) {
			records = append(records, deviceRecord{s.identity(d), d.name, d.status})
		}
	}
	return records
}

// device returns a profile's device, removed or not, or nil. A profile cannot
// see the devices of others.
func (s *state) device(p *profile, id string) *device {
	d := s.devices[strings.ToLower(id)]
	if d == nil || d.owner != p {
		return nil
	}
	return d
}

func noDevice() answer {
	return refuse(http.StatusNotFound, "device.not_found", "The device was not found.")
}

// onDevice accepts a command about the device that the call names, or answers
// 404. The effect does not run if the device is removed in the meantime.
func (s *state) onDevice(c *call, effect func(*device) outcome) answer {
	d := s.device(c.profile, c.text("deviceIdentifier"))
	if d == nil {
		return noDevice()
	}
	return s.accept(c, func(*command) outcome {
		if d.status == DeviceRemoved {
			return rejected("device.already_removed")
		}
		return effect(d)
	})
}

func requestIdentifier(s *state, c *call) answer {
	return s.accept(c, func(cmd *command) outcome {
		d := &device{
			id:        newID(),
			profileID: newID(),
			owner:     c.profile,
			name:      c.text("deviceName"),
			status:    DevicePending,
			created:   time.Now(),
		}
		s.devices[d.id] = d
		c.profile.devices = append(c.profile.devices, d)
		cmd.made = d
		return succeeded("device.device_registered")
	})
}

func retrieveIdentifier(s *state, c *call) answer {
	// The page of this operation lists no 404.
	nothing := invalid(problem{"id", "No device was registered by this."})
	cmd := s.command(c.text("id"))
	if cmd == nil || cmd.owner != c.profile {
		return nothing
	}
	d, ok := cmd.made.(*device)
	if !ok || d.status == DeviceRemoved {
		return nothing
	}
	return value(s.identity(d))
}

func listDevices(s *state, c *call) answer {
	return value(s.deviceRecords(c.profile, func(*device) bool { return true }))
}

func configureMeta(s *state, c *call) answer {
	return s.onDevice(c, func(d *device) outcome {
		if c.has("name") {
			d.name = c.text("name")
		}
		return succeeded("device.meta_configured")
	})
}

func approveDevice(s *state, c *call) answer {
	return s.onDevice(c, func(d *device) outcome {
		switch d.status {
		case DeviceRejected:
			return rejected("device.already_rejected")
		case DevicePending:
			d.status = DeviceApproved
			d.configuration = newConfiguration(d.id)
		}
		return succeeded("device.device_approved")
	})
}

func rejectDevice(s *state, c *call) answer {
	return s.onDevice(c, func(d *device) outcome {
		if d.status == DeviceApproved {
			return rejected("device.already_approved")
		}
		d.status = DeviceRejected
		return succeeded("device.device_rejected")
	})
}

// newConfiguration returns what a device needs to connect.
func newConfiguration(id string) map[string]any {
	return map[string]any{
		"device-identifier": id,
		"client-id":         newID(),
		"client-secret":     rand.Text(),
		"rabbit-user":       "device-" + id,
		"rabbit-pass":       rand.Text(),
		"rabbit-host":       "rabbit.privicore.test",
		"rabbit-port":       5671,
	}
}

// deviceConfiguration serves both operations that retrieve a configuration. One
// has the identifier in the path, the other in the form.
func deviceConfiguration(s *state, c *call) answer {
	id := c.text("deviceIdentifier")
	if c.op == operation.DeviceConfiguration {
		id = c.path()
	}
	d := s.device(c.profile, id)
	if d == nil || d.status != DeviceApproved {
		return noDevice()
	}
	return value(d.configuration)
}

func removeDevice(s *state, c *call) answer {
	return s.accept(c, func(*command) outcome {
		d := s.device(c.profile, c.text("deviceIdentifier"))
		switch {
		case d == nil:
			return rejected("device.not_found")
		case d.status == DeviceRemoved:
			return rejected("device.already_removed")
		}
		d.status = DeviceRemoved
		d.authenticator, d.storage = false, false
		d.configuration = nil
		return succeeded("device.device_removed")
	})
}

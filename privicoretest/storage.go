package privicoretest

import (
	"fmt"
	"slices"
	"time"
)

// noStorage is the reason of a refusal for want of a storage device.
const noStorage = "storage.device_required"

// hasStorage reports whether a device of the profile stores data.
func (p *profile) hasStorage() bool {
	return slices.ContainsFunc(p.devices, func(d *device) bool { return d.storage })
}

// equip adds storage devices to a profile, approved and registered.
func (s *state) equip(p *profile, devices int) {
	for i := range devices {
		d := &device{
			id:        newID(),
			profileID: newID(),
			owner:     p,
			name:      fmt.Sprint("storage ", i+1),
			status:    DeviceApproved,
			created:   time.Now(),
			storage:   true,
		}
		d.configuration = newConfiguration(d.id)
		s.devices[d.id] = d
		p.devices = append(p.devices, d)
	}
}

func registerStorage(s *state, c *call) answer {
	return s.onDevice(c, func(d *device) outcome {
		if d.status != DeviceApproved {
			return rejected("storage.device_not_approved")
		}
		d.storage = true
		return succeeded("storage.storage_registered")
	})
}

func listStorage(s *state, c *call) answer {
	return value(s.deviceRecords(c.profile, func(d *device) bool { return d.storage }))
}

func synchronizeStorage(s *state, c *call) answer {
	return s.onDevice(c, func(d *device) outcome {
		if !d.storage {
			return rejected("storage.not_registered")
		}
		return succeeded("storage.device_synchronized")
	})
}

func removeStorage(s *state, c *call) answer {
	return s.onDevice(c, func(d *device) outcome {
		if !d.storage {
			return rejected("storage.not_registered")
		}
		d.storage = false
		return succeeded("storage.storage_removed")
	})
}

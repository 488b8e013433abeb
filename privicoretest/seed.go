package privicoretest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// Profile is a profile of a running server. Its methods add to what the server
// stores for the profile, and return what is stored. They act at once: nothing is
// sent, no fault occurs, no vote is held, and neither [Server.Calls] nor
// [Server.Requests] counts them. They follow the rules of the operations that would
// do the same. What breaks a rule adds nothing and fails the test; outside a test it
// is logged as an error, or given to [WithErrorHandler].
//
// Get a Profile from [Server.Profile] or [Server.AddProfile]. It is safe for
// concurrent use.
type Profile struct {
	server  *Server
	profile *profile
}

// Profile returns the profile with that username. A profile that does not exist
// fails the test; outside a test it is logged as an error, and the Profile that is
// returned belongs to nobody.
func (s *Server) Profile(username string) *Profile {
	s.helper()
	s.state.mu.Lock()
	p := s.state.profiles[username]
	s.state.mu.Unlock()
	if p == nil {
		s.complain("no profile %q", username)
		p = newProfile(username, "")
	}
	return &Profile{s, p}
}

// AddProfile adds a profile like [WithProfile], with a public key and with as many
// storage devices as [WithStorageDevices] says.
func (s *Server) AddProfile(username, password string) *Profile {
	s.helper()
	s.state.mu.Lock()
	p, err := s.state.addProfile(username, password)
	s.state.mu.Unlock()
	if err != nil {
		s.complain("%v", err)
		p = newProfile(username, password)
	}
	return &Profile{s, p}
}

// Profiles returns the profiles of the server, ordered by username.
func (s *Server) Profiles() []*Profile {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	var profiles []*Profile
	for _, username := range slices.Sorted(maps.Keys(s.state.profiles)) {
		profiles = append(profiles, &Profile{s, s.state.profiles[username]})
	}
	return profiles
}

// Username returns the name of the profile.
func (p *Profile) Username() string { return p.profile.username }

// ID returns the id of the profile.
func (p *Profile) ID() string { return p.profile.id }

// addProfile adds a profile that can work at once.
func (s *state) addProfile(username, password string) (*profile, error) {
	switch {
	case strings.TrimSpace(username) == "" || strings.TrimSpace(password) == "":
		return nil, errors.New("a profile needs a username and a password")
	case s.taken(username):
		return nil, fmt.Errorf("profile %q is there twice", username)
	}
	p := newProfile(username, password)
	var err error
	if _, p.key, err = keyPair(); err != nil {
		return nil, err
	}
	s.equip(p, s.config.storageDevices)
	s.profiles[username] = p
	if s.first == nil {
		s.first = p
	}
	return p, nil
}

// change runs f under the lock and reports its error.
func (p *Profile) change(what string, f func(s *state) error) {
	p.server.helper()
	p.server.state.mu.Lock()
	err := f(p.server.state)
	p.server.state.mu.Unlock()
	if err != nil {
		p.server.complain("%s of profile %q: %v", what, p.profile.username, err)
	}
}

// seed carries out an operation of a profile, at once and unseen. Its error is why a
// server would have refused or rejected it. The command is not kept, but returned
// for what it made; it is nil if the operation begins none.
func (s *state) seed(p *profile, op *operation.Operation, params map[string]any) (*command, error) {
	c := &call{op: op, profile: p, params: params, seeded: true}
	c.fault.command = noFault
	c.fault.Latency = -1
	c.fault.Ack = Ack{Lose: true, Pending: -1}
	ep := endpoints[op]
	if problems := c.check(ep); len(problems) > 0 {
		return nil, invalid(problems...).err()
	}
	a := ep.handle(s, c)
	if a.command == nil {
		return nil, a.err()
	}
	cmd := s.commands[a.command.id]
	delete(s.commands, cmd.id)
	if cmd.outcome.rejected {
		return nil, errors.New(strings.Join(cmd.outcome.messages, ", "))
	}
	return cmd, nil
}

// err returns why a call was refused, or nil.
func (a answer) err() error {
	switch {
	case a.refusal != nil:
		return errors.New(a.refusal.message)
	case len(a.problems) > 0:
		var lines []string
		for _, p := range a.problems {
			lines = append(lines, strings.TrimPrefix(p.field+": "+p.why, ": "))
		}
		return errors.New(strings.Join(lines, " "))
	}
	return nil
}

// Role is what a device does besides being one.
type Role string

// The roles.
const (
	Authenticator Role = "authenticator" // votes
	Storage       Role = "storage"       // stores data
)

// AddDevice adds a device and returns its identifier. Only an approved device can
// have roles. A device can have both.
func (p *Profile) AddDevice(name string, status DeviceStatus, roles ...Role) (identifier string) {
	p.server.helper()
	p.change("device "+name, func(s *state) (err error) {
		identifier, err = s.addDevice(p.profile, name, status, roles)
		return err
	})
	return identifier
}

func (s *state) addDevice(p *profile, name string, status DeviceStatus, roles []Role) (string, error) {
	cmd, err := s.seed(p, operation.DeviceRequestIdentifier, map[string]any{"deviceName": name})
	if err != nil {
		return "", err
	}
	d, ok := cmd.made.(*device)
	if !ok {
		return "", errors.New("the device was not registered")
	}
	if err := s.promote(d, status, roles); err != nil {
		p.devices = slices.DeleteFunc(p.devices, func(other *device) bool { return other == d })
		delete(s.devices, d.id)
		return "", err
	}
	return d.id, nil
}

// promote gives a new device its status and its roles.
func (s *state) promote(d *device, status DeviceStatus, roles []Role) error {
	var steps []*operation.Operation
	switch status {
	case DevicePending:
	case DeviceApproved:
		steps = append(steps, operation.DeviceApprove)
	case DeviceRejected:
		steps = append(steps, operation.DeviceReject)
	case DeviceRemoved:
		steps = append(steps, operation.DeviceRemove)
	default:
		return fmt.Errorf("there is no status %q", status)
	}
	for _, role := range roles {
		switch role {
		case Authenticator:
			steps = append(steps, operation.AuthenticatorRegister)
		case Storage:
			steps = append(steps, operation.StorageRegister)
		default:
			return fmt.Errorf("there is no role %q", role)
		}
	}
	for _, op := range steps {
		if _, err := s.seed(d.owner, op, map[string]any{"deviceIdentifier": d.id}); err != nil {
			return err
		}
	}
	return nil
}

// Device is a device as the server stores it.
type Device struct {
	Identifier    string
	Name          string
	Status        DeviceStatus
	Authenticator bool
	Storage       bool
	CreatedAt     time.Time
}

// Devices returns the devices of the profile, the oldest first. It leaves out those
// that were removed.
func (p *Profile) Devices() []Device {
	p.server.state.mu.Lock()
	defer p.server.state.mu.Unlock()
	var devices []Device
	for _, d := range p.profile.devices {
		if d.status != DeviceRemoved {
			devices = append(devices, d.snapshot())
		}
	}
	return devices
}

// Device returns the device of the profile with that identifier, also if it was
// removed. It returns the zero value if there is none.
func (p *Profile) Device(identifier string) Device {
	p.server.state.mu.Lock()
	defer p.server.state.mu.Unlock()
	if d := p.server.state.device(p.profile, identifier); d != nil {
		return d.snapshot()
	}
	return Device{}
}

func (d *device) snapshot() Device {
	return Device{d.id, d.name, d.status, d.authenticator, d.storage, d.created}
}

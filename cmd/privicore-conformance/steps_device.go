package main

import (
	"context"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/operation"
)

var (
	deviceRecord = object(
		has("deviceIdentifier", text), has("profileId", text), has("approved", boolean), has("createdAt", timestamp),
	)
	// That a list names the identifier like this is inferred.
	deviceEntry = object(has("deviceIdentifier", text))

	deviceSettings = object(
		has("device-identifier", text), has("client-id", text), has("client-secret", text), has("rabbit-user", text),
		has("rabbit-pass", text), has("rabbit-host", text), has("rabbit-port", portLike),
	)
)

// newDevice registers a device and returns the id of the command.
func newDevice(ctx context.Context, client *privicore.Client, name string) (*privicore.Command, error) {
	pending, err := client.Device.RequestIdentifier(ctx, name)
	if err != nil {
		return nil, err
	}
	return pending.Command, nil
}

func requestIdentifier(ctx context.Context, s *session, f *finding) bool {
	s.deviceName = s.name + "-a"
	id, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return newDevice(ctx, s.own.client, s.deviceName)
	})
	s.requestID = id
	return ok
}

// absentCommand looks like the id of a command that does not exist.
const absentCommand = "00000000-0000-7000-8000-000000000000"

func requestStatus(ctx context.Context, s *session, f *finding) bool {
	utility := s.nobody.Utility
	e := f.value(ctx, either(list(text), text), func(ctx context.Context) error {
		_, err := utility.RequestStatus(ctx, s.requestID)
		return err
	})
	if e == nil {
		return false
	}
	words := e.json()
	if words.IsArray() {
		words = words.Get("0")
	}
	s.dialect.see(rowFinished, choose(words.Str != "succeeded", words.Str == "succeeded"), f.op)
	// Recorded clients send an empty object with POST.
	_, err := s.nobody.Do(ctx, http.MethodPost, operation.UtilityRequestStatus.Prefix()+s.requestID, struct{}{})
	f.note("POST is accepted too: %t", err == nil)
	f.refusal(ctx, http.StatusNotFound, "a command that does not exist", func(ctx context.Context) error {
		_, err := utility.RequestStatus(ctx, absentCommand)
		return err
	})
	f.refusal(ctx, http.StatusUnprocessableEntity, "a malformed command id", func(ctx context.Context) error {
		_, err := utility.RequestStatus(ctx, "not-a-command-1")
		return err
	})
	return true
}

// refusal carries out a call that has to be refused.
func (f *finding) refusal(ctx context.Context, want int, what string, call func(ctx context.Context) error) {
	ctx, tape := record(ctx, f.op)
	err := call(ctx)
	answers := tape.all()
	if len(answers) == 0 || answers[len(answers)-1].status == 0 {
		f.note("%s: no answer, %s", what, cause(err))
		return
	}
	last := &answers[len(answers)-1]
	if last.status != want {
		f.differs("%s is answered with %d, not %d", what, last.status, want)
		return
	}
	f.s.dialect.refused(f.op, last)
}

func retrieveIdentifier(ctx context.Context, s *session, f *finding) bool {
	e := f.value(ctx, deviceRecord, func(ctx context.Context) error {
		_, err := s.own.client.Device.RetrieveIdentifier(ctx, s.requestID)
		return err
	})
	if e == nil {
		return false
	}
	return s.found(e.json().Get("deviceIdentifier").Str)
}

// found notes the identifier of the device that was registered.
func (s *session) found(device string) bool {
	if device == "" || s.device != "" {
		return s.device != ""
	}
	s.device = device
	s.deviceMade = s.made("device "+s.deviceName, removal(func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.Device.Remove(ctx, device)
	}))
	return true
}

func listDevices(ctx context.Context, s *session, f *finding) bool {
	var all gjson.Result
	e := f.value(ctx, list(deviceRecord), func(ctx context.Context) error {
		_, err := s.own.client.Device.List(ctx)
		return err
	})
	if e == nil {
		return s.device != ""
	}
	all = e.json()
	if s.device != "" {
		f.expect(entry(all, s.device).Exists(), "the device that was registered is not in the list")
		return true
	}
	found := entry(all, s.deviceName)
	return s.found(found.Get("deviceIdentifier").Str)
}

func (s *session) devices(ctx context.Context) error {
	_, err := s.own.client.Device.List(ctx)
	return err
}

func configureMeta(ctx context.Context, s *session, f *finding) bool {
	renamed := s.deviceName + "-renamed"
	if _, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.Device.ConfigureMeta(ctx, s.device, privicore.DeviceMeta{Name: renamed})
	}); !ok {
		return false
	}
	f.effect(ctx, "the list still has the old name", s.devices, func(v gjson.Result) bool {
		return !holds(entry(v, s.device), s.deviceName)
	})
	return true
}

func approve(ctx context.Context, s *session, f *finding) bool {
	if _, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.Device.Approve(ctx, s.device)
	}); !ok {
		return false
	}
	f.effect(ctx, "the device is not approved afterwards", func(ctx context.Context) error {
		_, err := s.own.client.Device.RetrieveIdentifier(ctx, s.requestID)
		return err
	}, func(v gjson.Result) bool { return v.Get("approved").Type != gjson.False })
	return true
}

func deviceConfiguration(ctx context.Context, s *session, f *finding) bool {
	f.value(ctx, deviceSettings, func(ctx context.Context) error {
		_, err := s.own.client.Device.Configuration(ctx, s.device)
		return err
	})
	return true
}

func downloadConfiguration(ctx context.Context, s *session, f *finding) bool {
	f.value(ctx, deviceSettings, func(ctx context.Context) error {
		_, err := s.own.client.Device.DownloadConfiguration(ctx, s.device)
		return err
	})
	return true
}

// reject rejects a second device, which is of no other use.
func reject(ctx context.Context, s *session, f *finding) bool {
	cmd, err := newDevice(ctx, s.own.client, s.name+"-b")
	if wait(ctx, cmd, err) != nil {
		return f.stuck(operation.DeviceRequestIdentifier)
	}
	device := s.deviceNamed(ctx, cmd.ID, s.name+"-b")
	if device == "" {
		return f.stuck(operation.DeviceRetrieveIdentifier)
	}
	s.made("device "+s.name+"-b", removal(func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.Device.Remove(ctx, device)
	}))
	if _, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.Device.Reject(ctx, device)
	}); !ok {
		return false
	}
	f.effect(ctx, "the device is approved afterwards", func(ctx context.Context) error {
		_, err := s.own.client.Device.RetrieveIdentifier(ctx, cmd.ID)
		return err
	}, func(v gjson.Result) bool { return v.Get("approved").Type != gjson.True })
	return true
}

// deviceNamed returns the identifier of a device that was registered, or "". The
// list of devices tells it if the operation for that does not.
func (s *session) deviceNamed(ctx context.Context, commandID, name string) string {
	if device, err := s.own.client.Device.RetrieveIdentifier(ctx, commandID); err == nil {
		return device.Identifier
	}
	all, err := raw(ctx, s.devices)
	if err != nil {
		return ""
	}
	return entry(all, name).Get("deviceIdentifier").Str
}

func removeDevice(ctx context.Context, s *session, f *finding) bool {
	if _, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.Device.Remove(ctx, s.device)
	}); !ok {
		return false
	}
	s.deviceMade.gone = true
	f.effect(ctx, "the device is still in the list", s.devices, func(v gjson.Result) bool {
		return !holds(v, s.device)
	})
	return true
}

func (s *session) storage(ctx context.Context) error {
	_, err := s.own.client.Storage.List(ctx)
	return err
}

func registerStorage(ctx context.Context, s *session, f *finding) bool {
	if _, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.Storage.Register(ctx, s.device)
	}); !ok {
		return false
	}
	f.effect(ctx, "the list of storage devices does not have the device", s.storage, func(v gjson.Result) bool {
		return holds(v, s.device)
	})
	return true
}

func listStorage(ctx context.Context, s *session, f *finding) bool {
	return f.roster(ctx, operation.StorageRegister, s.device, s.storage)
}

func synchronize(ctx context.Context, s *session, f *finding) bool {
	_, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.Storage.Synchronize(ctx, s.device)
	})
	return ok
}

func removeStorage(ctx context.Context, s *session, f *finding) bool {
	if _, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.Storage.Remove(ctx, s.device)
	}); !ok {
		return false
	}
	f.effect(ctx, "the device is still in the list of storage devices", s.storage, func(v gjson.Result) bool {
		return !holds(v, s.device)
	})
	return true
}

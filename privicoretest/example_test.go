package privicoretest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// The server answers any HTTP client. Faults make it misbehave on demand.
func Example() {
	server, err := privicoretest.Start(privicoretest.WithProfile("alice", "correct horse"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	server.Next("Profile.Authenticate", privicoretest.Fault{Status: http.StatusServiceUnavailable, Body: `"server.busy"`})

	for range 2 {
		answer, err := http.PostForm(server.URL+"/profile/authenticate",
			url.Values{"username": {"alice"}, "password": {"wrong"}})
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		fmt.Println(answer.StatusCode, string(body))
	}
	fmt.Println(server.Calls("Profile.Authenticate"), "calls")
	// Output:
	// 503 "server.busy"
	// 401 {"message":"Wrong username or password."}
	// 2 calls
}

// With random faults a test meets what a network does to a program. The same seed
// brings the same faults again. The log tells what the server has carried out:
// here also a call that was answered with 504.
func ExampleWithRandomFaults() {
	server, err := privicoretest.Start(
		privicoretest.WithProfile("alice", "correct horse"),
		privicoretest.WithRandomFaults(3, privicoretest.UniformFaults(0.5)),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	client := &http.Client{Timeout: time.Second}
	register := func(username string) {
		answer, err := client.PostForm(server.URL+"/profile/register-profile",
			url.Values{"username": {username}, "password": {"battery staple"}})
		if err != nil {
			fmt.Println(username, "got no answer")
			return
		}
		defer answer.Body.Close()
		fmt.Println(username, "got status", answer.StatusCode)
	}
	for _, username := range []string{"bob", "carol", "dave", "erin"} {
		register(username)
	}
	server.SetFaultRates(privicoretest.FaultRates{}) // the storm is over
	register("frank")

	for _, r := range server.Requests() {
		if r.Executed {
			fmt.Println("carried out:", r.Operation, r.Parameters["username"], r.Parameters["password"])
		}
	}
	// Output:
	// bob got status 202
	// carol got status 202
	// dave got status 202
	// erin got status 504
	// frank got status 202
	// carried out: Profile.Register bob ***
	// carried out: Profile.Register carol ***
	// carried out: Profile.Register dave ***
	// carried out: Profile.Register erin ***
	// carried out: Profile.Register frank ***
}

// A server is seeded without calls, and asked what it has stored. In a test,
// NewServer and NewClient take its testing.TB.
func ExampleProfile() {
	server, err := privicoretest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	alice := server.AddProfile("alice", "correct horse")
	alice.AddDevice("tablet", privicoretest.DevicePending)
	alice.AddDevice("phone", privicoretest.DeviceApproved, privicoretest.Authenticator)
	alice.AddPolicy(privicoretest.Policy{Name: "four eyes", Events: []string{"Device.Remove"}, Active: true})
	token := alice.AddDataToken(privicoretest.DataToken{Context: "invoices"}, []byte("ciphertext"))

	for _, device := range alice.Devices() {
		if !device.Storage {
			fmt.Println(device.Name, device.Status)
		}
	}
	fmt.Println(alice.Policies()[0].Events)
	fmt.Println(alice.DataToken(token).FileName, string(alice.Ciphertext(token)))
	// Output:
	// tablet pending
	// phone approved
	// [Remove device]
	// payload ciphertext
}

// A fault can last until it is lifted.
func ExampleServer_Always() {
	server, err := privicoretest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	health := func() {
		answer, err := http.Get(server.URL + "/health")
		if err != nil {
			fmt.Println(err)
			return
		}
		answer.Body.Close()
		fmt.Println(answer.StatusCode)
	}
	lift := server.Always("Utility.Health", privicoretest.Fault{Status: http.StatusServiceUnavailable})
	health()
	health()
	lift()
	health()
	// Output:
	// 503
	// 503
	// 200
}

// onboarder is an interface of the user's own, which Client.Device satisfies.
type onboarder interface {
	RequestIdentifier(ctx context.Context, deviceName string) (*privicore.Pending[*privicore.Device], error)
	Approve(ctx context.Context, deviceIdentifier string) (*privicore.Command, error)
}

// fakeDevices is a fake of it, for a unit test without a server.
type fakeDevices struct{}

func (fakeDevices) RequestIdentifier(context.Context, string) (*privicore.Pending[*privicore.Device], error) {
	return privicore.NewPending(privicoretest.FinishedCommand("command-1"),
		func(context.Context, string) (*privicore.Device, error) {
			return &privicore.Device{Identifier: "device-1"}, nil
		}), nil
}

func (fakeDevices) Approve(context.Context, string) (*privicore.Command, error) {
	return privicoretest.RejectedCommand("command-2", "voting.denied"), nil
}

func ExampleFinishedCommand() {
	ctx := context.Background()
	var devices onboarder = fakeDevices{}
	pending, _ := devices.RequestIdentifier(ctx, "tablet")
	device, err := pending.Result(ctx)
	fmt.Println(device.Identifier, err)

	command, _ := devices.Approve(ctx, device.Identifier)
	_, err = command.Wait(ctx)
	fmt.Println(err)
	// Output:
	// device-1 <nil>
	// privicore: command command-2 was rejected: voting.denied
}

func ExampleRunningCommand() {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := privicoretest.RunningCommand("command-1").Wait(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output: true
}

package privicoretest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

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

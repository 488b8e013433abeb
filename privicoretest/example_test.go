package privicoretest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"

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

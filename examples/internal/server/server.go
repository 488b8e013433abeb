// Package server finds the examples a server to talk to.
package server

import (
	"errors"
	"os"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// Credentials of the profile on an embedded server.
const (
	username = "alice@example.com"
	password = "correct horse battery staple"
)

// Connect returns a client for the server that the PRIVICORE_* variables name
// or, without them, for one started in this process. The profile of an
// embedded server is there and active if provisioned is true; opts are for such
// a server only. PRIVICORE_EXAMPLE_DIALECT=observed makes an embedded server answer
// as a live one was observed to, in place of how the documentation describes it. The
// caller calls stop at the end.
func Connect(provisioned bool, opts ...privicoretest.Option) (client *privicore.Client, where string, stop func(), err error) {
	if url := os.Getenv("PRIVICORE_API_URL"); url != "" {
		if os.Getenv("PRIVICORE_USERNAME") == "" {
			return nil, "", nil, errors.New("PRIVICORE_API_URL is set; set PRIVICORE_USERNAME and PRIVICORE_PASSWORD too")
		}
		client, err = privicore.NewClient(privicore.FromEnv())
		if err != nil {
			return nil, "", nil, err
		}
		return client, url, func() { _ = client.Close() }, nil
	}

	if os.Getenv("PRIVICORE_EXAMPLE_DIALECT") == "observed" {
		opts = append(opts, privicoretest.WithDialect(privicoretest.Observed))
	}
	if provisioned {
		opts = append(opts, privicoretest.WithProfile(username, password))
	}
	embedded, err := privicoretest.Start(opts...)
	if err != nil {
		return nil, "", nil, err
	}
	client, err = privicore.NewClient(
		privicore.WithBaseURL(embedded.URL),
		privicore.WithWebSocketURL(embedded.WebSocketURL),
		privicore.WithCredentials(username, password),
	)
	if err != nil {
		embedded.Close()
		return nil, "", nil, err
	}
	stop = func() {
		_ = client.Close()
		embedded.Close()
	}
	return client, "an embedded sandbox", stop, nil
}

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/privicore/privicore-go/privicoretest"
)

const (
	password = "correct horse battery staple"
	token    = "T-0123456789abcdef0123456789abcdef"
	anID     = "01973590-11aa-7c3e-8f00-a1b2c3d4e5f6"

	// profiles is how many the sandbox has, one for each clone.
	profiles = 1000
)

// username returns the name of a profile of the sandbox.
func username(i int) string { return "bench-" + strconv.Itoa(i) }

// servers are the process that serves, so that its memory and its allocations do not
// count.
type servers struct {
	canned  string // URL of a server that answers at once, and always the same
	sandbox string // URL of a Privicore
	proxy   string // WebSocket URL of the Privicore
	process *exec.Cmd
	input   io.Closer
}

// startServers starts this program again as the servers.
func startServers(ctx context.Context) (*servers, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &servers{process: exec.CommandContext(ctx, program, "-serve")} //nolint:gosec // it is this program
	s.process.Stderr = os.Stderr
	if s.input, err = s.process.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for _, address := range []*string{&s.canned, &s.sandbox, &s.proxy} {
		if !lines.Scan() {
			s.stop()
			return nil, fmt.Errorf("the servers did not start: %w", io.ErrUnexpectedEOF)
		}
		*address = lines.Text()
	}
	return s, nil
}

// stop ends the process, which ends when its input does.
func (s *servers) stop() {
	_ = s.input.Close()
	_ = s.process.Wait()
}

// serve is the process of the servers.
func serve(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: canned(), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()

	options := []privicoretest.Option{privicoretest.WithLatency(0), privicoretest.WithStorageDevices(3)}
	for i := range profiles {
		options = append(options, privicoretest.WithProfile(username(i), password))
	}
	sandbox, err := privicoretest.Start(options...)
	if err != nil {
		return err
	}
	defer sandbox.Close()
	fmt.Printf("http://%s\n%s\n%s\n", listener.Addr(), sandbox.URL, sandbox.WebSocketURL)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// canned returns a handler that answers as fast as it can. The first element of the
// path is the length of lists.
func canned() http.Handler {
	lists := make(map[string][]byte)
	for _, n := range listSizes {
		lists["/"+strconv.Itoa(n)+"/device/retrieve-profile-devices"] = deviceList(n)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		header := w.Header()
		if list, ok := lists[r.URL.Path]; ok {
			header["Content-Type"] = []string{"application/json"}
			_, _ = w.Write(list)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/request-status/") {
			header["Content-Type"] = []string{"application/json"}
			_, _ = io.WriteString(w, `["device.device_removed"]`)
			return
		}
		header["X-Dpt-Cab-Id"] = []string{anID}
		w.WriteHeader(http.StatusAccepted)
	})
}

// deviceList returns a list of n devices as the service sends it.
func deviceList(n int) []byte {
	list := []byte("[")
	for i := range n {
		if i > 0 {
			list = append(list, ',')
		}
		list = fmt.Appendf(list, `{"deviceIdentifier":"01973590-11aa-7c3e-8f00-%012x","profileId":"01973591-33cc-7d4f-9a11-b1c2d3e4f5a6",`+
			`"approved":%t,"createdAt":"2025-02-10T10:03:06+00:00","deviceName":"vault-%d"}`, i, i%2 == 0, i)
	}
	return append(list, ']')
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	resty2 "github.com/go-resty/resty/v2"
	"github.com/hashicorp/go-retryablehttp"
	resty3 "resty.dev/v3"

	"github.com/privicore/privicore-go"
)

const (
	ours = "privicore-go"
	hand = "by hand"

	formPath = "/device/remove"
	jsonPath = "/verified-authenticator/voting-configuration/register"
	listPath = "/device/retrieve-profile-devices"
)

// listSizes are the lengths of the lists that the canned server has.
var listSizes = []int{10, 100, 1000}

// tuned returns a pool for many goroutines that talk to one host.
func tuned() *http.Transport {
	pool := defaults()
	pool.MaxIdleConnsPerHost = 64
	return pool
}

// defaults returns a pool like the one of net/http.
func defaults() *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 100,
		IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second, ExpectContinueTimeout: time.Second,
	}
}

func tunedClient() *http.Client { return &http.Client{Transport: tuned()} }

// caller does the calls that are compared, in one way.
type caller interface {
	form(ctx context.Context) (id string, err error)
	json(ctx context.Context) (id string, err error)
	list(ctx context.Context, n int) (length int, err error)
}

// namedCaller is a caller with its name. The first is what the others are compared with.
type namedCaller struct {
	name string
	caller
}

// callers returns all callers. The libraries get the tuned pool too, so that what is
// compared is their work and not the settings of their pools.
func callers(base string) ([]namedCaller, error) {
	client := &clientCaller{base: base, bySize: make(map[int]*privicore.Client)}
	for _, n := range append([]int{0}, listSizes...) {
		c, err := privicore.NewClient(privicore.WithBaseURL(base+"/"+strconv.Itoa(n)), privicore.WithToken(token))
		if err != nil {
			return nil, err
		}
		client.bySize[n] = c
	}
	retrying := retryablehttp.NewClient()
	retrying.Logger, retrying.HTTPClient = nil, tunedClient()
	return []namedCaller{
		{hand, &handCaller{base, tunedClient().Do}},
		{ours, client},
		{hand + ", default pool", &handCaller{base, (&http.Client{Transport: defaults()}).Do}},
		{"go-retryablehttp", &handCaller{base, func(req *http.Request) (*http.Response, error) {
			wrapped, err := retryablehttp.FromRequest(req)
			if err != nil {
				return nil, err
			}
			return retrying.Do(wrapped)
		}}},
		{"resty v2", &resty2Caller{resty2.New().SetTransport(tuned()).SetBaseURL(base)}},
		{"resty v3", &resty3Caller{resty3.New().SetTransport(tuned()).SetBaseURL(base)}},
	}, nil
}

// calls compares small posts.
func calls(ctx context.Context, b *bench) error {
	all, err := callers(b.servers.canned)
	if err != nil {
		return err
	}
	for _, goroutines := range []int{1, 64} {
		for _, test := range []struct {
			what string
			do   func(c caller, ctx context.Context) (string, error)
		}{{"form post", caller.form}, {"JSON post", caller.json}} {
			var contenders []contender
			for _, c := range all {
				contenders = append(contenders, contender{c.name, func(ctx context.Context) error {
					id, err := test.do(c, ctx)
					if err == nil && id != anID {
						err = errors.New("another id: " + id)
					}
					return err
				}})
			}
			m := measured{what: test.what, size: int64(goroutines), unit: "goroutines", plot: "calls"}
			if err := b.compare(ctx, m, b.rounds(21), b.times(2000), goroutines, contenders); err != nil {
				return err
			}
		}
	}
	return nil
}

// times returns how often something is done in a round that usually is done n times.
func (b *bench) times(n int) int {
	if b.quick {
		return max(1, n/20)
	}
	return n
}

// lists compares lists of devices.
func lists(ctx context.Context, b *bench) error {
	all, err := callers(b.servers.canned)
	if err != nil {
		return err
	}
	for _, n := range listSizes {
		for _, goroutines := range []int{1, 64} {
			var contenders []contender
			for _, c := range all {
				contenders = append(contenders, contender{c.name, func(ctx context.Context) error {
					length, err := c.list(ctx, n)
					if err == nil && length != n {
						err = fmt.Errorf("%d entries", length)
					}
					return err
				}})
			}
			m := measured{what: "list", size: int64(n), unit: "entries", plot: "lists"}
			if goroutines > 1 {
				m.what, m.plot = fmt.Sprintf("list, %d goroutines", goroutines), ""
			}
			if err := b.compare(ctx, m, b.rounds(21), b.times(100+10_000/n), goroutines, contenders); err != nil {
				return err
			}
		}
	}
	return nil
}

// clientCaller uses the client. Its clients have base URLs that name the length of
// lists.
type clientCaller struct {
	base   string
	bySize map[int]*privicore.Client
}

func (c *clientCaller) form(ctx context.Context) (string, error) {
	return idOf(c.bySize[0].Device.Remove(ctx, anID))
}

func (c *clientCaller) json(ctx context.Context) (string, error) {
	return idOf(c.bySize[0].VerifiedAuthenticator.RegisterVotingConfiguration(ctx, privicore.VotingConfiguration{
		Name: "bench", TimeLimit: time.Minute, Strategy: privicore.Unanimous,
	}))
}

func (c *clientCaller) list(ctx context.Context, n int) (int, error) {
	devices, err := c.bySize[n].Device.List(ctx)
	return len(devices), err
}

func idOf(cmd *privicore.Command, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return cmd.ID, nil
}

// votingConfiguration is the body of the JSON post.
type votingConfiguration struct {
	Name              string   `json:"name"`
	TimeLimit         int      `json:"timeLimit"`
	Strategy          string   `json:"strategy"`
	DeviceIdentifiers []string `json:"deviceIdentifiers"`
}

func newVotingConfiguration() votingConfiguration {
	return votingConfiguration{Name: "bench", TimeLimit: 60, Strategy: "unanimous", DeviceIdentifiers: []string{}}
}

// device is an entry of a list.
type device struct {
	Identifier string    `json:"deviceIdentifier"`
	ProfileID  string    `json:"profileId"`
	Approved   bool      `json:"approved"`
	CreatedAt  time.Time `json:"createdAt"`
	Name       string    `json:"deviceName"`
}

// handCaller is what one writes by hand with net/http, or with a library that sends
// requests of net/http.
type handCaller struct {
	base string
	do   func(*http.Request) (*http.Response, error)
}

func (c *handCaller) form(ctx context.Context) (string, error) {
	form := url.Values{"deviceIdentifier": {anID}}
	return c.post(ctx, formPath, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

func (c *handCaller) json(ctx context.Context) (string, error) {
	body, err := json.Marshal(newVotingConfiguration())
	if err != nil {
		return "", err
	}
	return c.post(ctx, jsonPath, "application/json", bytes.NewReader(body))
}

func (c *handCaller) post(ctx context.Context, path, contentType string, body io.Reader) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, body)
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", contentType)
	header, _, err := c.send(req, http.StatusAccepted)
	return header.Get("X-DPT-CAB-ID"), err
}

func (c *handCaller) list(ctx context.Context, n int) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/"+strconv.Itoa(n)+listPath, nil)
	if err != nil {
		return 0, err
	}
	_, body, err := c.send(req, http.StatusOK)
	if err != nil {
		return 0, err
	}
	var devices []device
	err = json.Unmarshal(body, &devices)
	return len(devices), err
}

// status asks for the status of a command.
func (c *handCaller) status(ctx context.Context, id string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/request-status/"+id, nil)
	if err != nil {
		return err
	}
	_, body, err := c.send(req, http.StatusOK)
	if err != nil {
		return err
	}
	var messages []string
	return json.Unmarshal(body, &messages)
}

// send sends a request and returns the header and the body of the answer.
func (c *handCaller) send(req *http.Request, want int) (http.Header, []byte, error) {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-DPT-AUTHORIZATION", token)
	resp, err := c.do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = errors.New(resp.Status)
	}
	return resp.Header, body, err
}

type resty2Caller struct{ client *resty2.Client }

func (c *resty2Caller) request(ctx context.Context) *resty2.Request {
	return c.client.R().SetContext(ctx).SetHeader("Accept", "application/json").SetHeader("X-DPT-AUTHORIZATION", token)
}

func (c *resty2Caller) form(ctx context.Context) (string, error) {
	resp, err := c.request(ctx).SetFormData(map[string]string{"deviceIdentifier": anID}).Post(formPath)
	if err != nil {
		return "", err
	}
	return accepted(resp.StatusCode(), resp.Header())
}

func (c *resty2Caller) json(ctx context.Context) (string, error) {
	resp, err := c.request(ctx).SetBody(newVotingConfiguration()).Post(jsonPath)
	if err != nil {
		return "", err
	}
	return accepted(resp.StatusCode(), resp.Header())
}

func (c *resty2Caller) list(ctx context.Context, n int) (int, error) {
	var devices []device
	_, err := c.request(ctx).SetResult(&devices).Get("/" + strconv.Itoa(n) + listPath)
	return len(devices), err
}

type resty3Caller struct{ client *resty3.Client }

func (c *resty3Caller) request(ctx context.Context) *resty3.Request {
	return c.client.R().SetContext(ctx).SetHeader("Accept", "application/json").SetHeader("X-DPT-AUTHORIZATION", token)
}

func (c *resty3Caller) form(ctx context.Context) (string, error) {
	resp, err := c.request(ctx).SetFormData(map[string]string{"deviceIdentifier": anID}).Post(formPath)
	if err != nil {
		return "", err
	}
	return accepted(resp.StatusCode(), resp.Header())
}

func (c *resty3Caller) json(ctx context.Context) (string, error) {
	resp, err := c.request(ctx).SetBody(newVotingConfiguration()).Post(jsonPath)
	if err != nil {
		return "", err
	}
	return accepted(resp.StatusCode(), resp.Header())
}

func (c *resty3Caller) list(ctx context.Context, n int) (int, error) {
	var devices []device
	_, err := c.request(ctx).SetResult(&devices).Get("/" + strconv.Itoa(n) + listPath)
	return len(devices), err
}

// accepted returns the command id of a 202.
func accepted(status int, header http.Header) (string, error) {
	if status != http.StatusAccepted {
		return "", fmt.Errorf("status %d", status)
	}
	return header.Get("X-DPT-CAB-ID"), nil
}

//go:build !race

package privicore_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// These tests keep the number of allocations down. The number is the same on every
// machine, unlike the time, which bench measures. The race detector adds some.

const guardedID = "01973590-11aa-7c3e-8f00-a1b2c3d4e5f6"

// instant is a RoundTripper that answers at once and allocates next to nothing.
type instant struct {
	status int
	header http.Header
	body   string
}

func (i *instant) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	resp := &http.Response{StatusCode: i.status, Header: i.header, Body: http.NoBody, Request: r}
	if i.body != "" {
		resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(i.body)), int64(len(i.body))
	}
	return resp, nil
}

// byHand does a call as one writes it by hand, and returns the body of the answer.
func byHand(hc *http.Client, method, path string, form url.Values) ([]byte, error) {
	req, err := http.NewRequest(method, fakeURL+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-DPT-AUTHORIZATION", fakeToken)
	resp, err := hc.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// assertAllocations compares the allocations of ours with those of the same by hand.
func assertAllocations(t *testing.T, more float64, ours, hand func() error) {
	t.Helper()
	of := func(do func() error) float64 {
		return testing.AllocsPerRun(30, func() {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		})
	}
	mine, theirs := of(ours), of(hand)
	t.Logf("%.0f allocations, %.0f by hand", mine, theirs)
	assert.LessOrEqual(t, mine, theirs+more)
}

func guardedClient(t *testing.T, hc *http.Client, opts ...privicore.Option) *privicore.Client {
	t.Helper()
	c, err := privicore.NewClient(append(opts, privicore.WithBaseURL(fakeURL), privicore.WithToken(fakeToken), privicore.WithHTTPClient(hc))...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

func TestAllocationsOfACommand(t *testing.T) {
	hc := &http.Client{Transport: &instant{status: 202, header: http.Header{"X-Dpt-Cab-Id": {guardedID}}}}
	c := guardedClient(t, hc)
	hand := func() error {
		_, err := byHand(hc, http.MethodPost, "/device/remove", url.Values{"deviceIdentifier": {guardedID}})
		return err
	}
	assertAllocations(t, 10, func() error {
		_, err := c.Device.Remove(t.Context(), guardedID)
		return err
	}, hand)
	// go-querystring turns a struct into a form by reflection.
	assertAllocations(t, 10, func() error {
		_, err := c.VerifiedAuthenticator.SetQuorumSize(t.Context(), 3)
		return err
	}, hand)
	assertAllocations(t, 10, func() error {
		_, err := c.VerifiedAuthenticator.RegisterVotingConfiguration(t.Context(), privicore.VotingConfiguration{
			Name: "n", TimeLimit: time.Minute, Strategy: privicore.Unanimous,
		})
		return err
	}, hand)
}

func TestAllocationsOfAList(t *testing.T) {
	for _, n := range []int{10, 1000} {
		entries := make([]string, n)
		for i := range entries {
			entries[i] = fmt.Sprintf(`{"deviceIdentifier":"d%d","profileId":"p","approved":true,"createdAt":"2025-02-10T10:03:06+00:00","deviceName":"n"}`, i)
		}
		hc := &http.Client{Transport: &instant{status: 200, header: http.Header{}, body: "[" + strings.Join(entries, ",") + "]"}}
		c := guardedClient(t, hc)
		assertAllocations(t, 15+float64(n)/100, func() error {
			devices, err := c.Device.List(t.Context())
			if err == nil && len(devices) != n {
				err = fmt.Errorf("%d devices", len(devices))
			}
			return err
		}, func() error {
			body, err := byHand(hc, http.MethodGet, "/device/retrieve-profile-devices", nil)
			if err != nil {
				return err
			}
			var devices []struct {
				Identifier string    `json:"deviceIdentifier"`
				ProfileID  string    `json:"profileId"`
				Approved   bool      `json:"approved"`
				CreatedAt  time.Time `json:"createdAt"`
				Name       string    `json:"deviceName"`
			}
			return json.Unmarshal(body, &devices)
		})
	}
}

// A wait that asks once costs a call and what waiting takes.
func TestAllocationsOfAWait(t *testing.T) {
	hc := &http.Client{Transport: &instant{status: 200, header: http.Header{}, body: `["device.device_removed"]`}}
	c := guardedClient(t, hc, privicore.WithPollRate(1e9))
	assertAllocations(t, 60, func() error {
		_, err := c.Command(guardedID).Wait(t.Context())
		return err
	}, func() error {
		body, err := byHand(hc, http.MethodGet, "/request-status/"+guardedID, nil)
		if err != nil {
			return err
		}
		var messages []string
		return json.Unmarshal(body, &messages)
	})
}

// A program may have thousands of clones.
func TestAllocationsOfAClone(t *testing.T) {
	c := guardedClient(t, &http.Client{Transport: &instant{status: 200, header: http.Header{}}})
	assertAllocations(t, 34, func() error {
		clone, err := c.Clone(privicore.WithToken(fakeToken))
		if err != nil {
			return err
		}
		return clone.Close()
	}, func() error { return nil })
}

package main

import (
	"context"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/operation"
)

// results are the values that the steps hand on.
type results struct {
	requestID  string // of the registration of the device
	device     string
	deviceName string
	deviceMade *thing

	spareName, sparePassword string

	rule   privicore.VotingConfiguration
	ruleID string
	poll   string

	applicationID string
	clientID      string
	clientSecret  privicore.Secret
	nonce         string
	codeRequest   string
	code          privicore.Secret
	access        privicore.Secret
	refresh       privicore.Secret

	reservation string
	temporary   string
	stream      string
	dataToken   string
	dataMade    *thing
	secondToken string
	payload     []byte // of dataToken, as it was stored
	updated     []byte // its replacement, or nil
	streamed    []byte // of secondToken

	template   privicore.PolicyTemplate
	policyID   string
	policyMade *thing
	active     string // policy of the spare profile
}

// mentioned reports whether the name of the run is in a text of a JSON value.
func (s *session) mentioned(v gjson.Result) bool { return strings.Contains(v.Raw, s.name) }

// roster carries out a call that lists devices in a role, and looks for a device.
// If the registration for the role had no effect, the list says nothing new.
func (f *finding) roster(ctx context.Context, registration *operation.Operation, device string, call func(ctx context.Context) error) bool {
	e := f.value(ctx, list(deviceEntry), call)
	if e == nil {
		return false
	}
	if f.s.finding(registration).verdict() == confirmed {
		f.expect(entry(e.json(), device).Exists(), "the device that was registered is not in the list")
	}
	return true
}

// raw returns the JSON of a call that checks the effect of another. It is no
// operation of the step.
func raw(ctx context.Context, call func(ctx context.Context) error) (gjson.Result, error) {
	resp := new(privicore.Response)
	err := call(privicore.CaptureResponse(ctx, resp))
	if err != nil && (resp.StatusCode < 200 || resp.StatusCode > 299) {
		return gjson.Result{}, err
	}
	if !gjson.ValidBytes(resp.Body) {
		return gjson.Result{}, privicore.ErrUnexpectedAnswer
	}
	return gjson.ParseBytes(resp.Body), nil
}

// effect carries out a call that shows the effect of a command, and adds a
// difference if it does not. A call that fails shows nothing; that is noted.
func (f *finding) effect(ctx context.Context, otherwise string, call func(ctx context.Context) error, visible func(gjson.Result) bool) {
	v, err := raw(ctx, call)
	if err != nil {
		f.note("the effect could not be read back")
		return
	}
	f.expect(visible(v), otherwise)
}

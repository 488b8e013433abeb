package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/privicore/privicore-go/privicoretest"
)

// everyOperation stands for all operations in a fault.
const everyOperation = "*"

// fault is a fault of a flag or of the admin address.
type fault struct {
	Operation  string   `json:"operation"`
	Once       bool     `json:"once"`
	Status     int      `json:"status"`
	Body       string   `json:"body"`
	RetryAfter string   `json:"retry-after"`
	Delay      duration `json:"delay"`
	Latency    duration `json:"latency"`
	Reject     []string `json:"reject"`
	Drop       bool     `json:"drop"`
	After      bool     `json:"after"`
	NoID       bool     `json:"no-id"`
	LoseAck    bool     `json:"lose-ack"`
}

// duration is a time such as "1.5s" in JSON.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

// parseFault reads a fault of a flag.
func parseFault(text string) (fault, error) {
	operation, rest, ok := strings.Cut(text, "=")
	if !ok {
		return fault{}, errors.New("there is no = between operation and fault")
	}
	f := fault{Operation: operation}
	for rest != "" {
		var part string
		if strings.HasPrefix(rest, "body:") {
			part, rest = rest, "" // a body may have commas
		} else {
			part, rest, _ = strings.Cut(rest, ",")
		}
		if err := f.set(part); err != nil {
			return fault{}, err
		}
	}
	return f, f.check()
}

// set sets one part of a fault.
func (f *fault) set(part string) error {
	name, value, _ := strings.Cut(part, ":")
	switch name {
	case "status":
		n, err := strconv.Atoi(value)
		f.Status = n
		return err
	case "body":
		f.Body = value
	case "retry-after":
		f.RetryAfter = value
	case "delay":
		return f.Delay.UnmarshalText([]byte(value))
	case "latency":
		return f.Latency.UnmarshalText([]byte(value))
	case "reject":
		f.Reject = append(f.Reject, value)
	default:
		return f.setSwitch(part)
	}
	return nil
}

// setSwitch sets a part of a fault that has no value.
func (f *fault) setSwitch(name string) error {
	switches := map[string]*bool{
		"once": &f.Once, "drop": &f.Drop, "after": &f.After, "no-id": &f.NoID, "lose-ack": &f.LoseAck,
	}
	on, ok := switches[name]
	if !ok {
		return fmt.Errorf("a fault has no part %q", name)
	}
	*on = true
	return nil
}

// check returns what is wrong with a fault.
func (f *fault) check() error {
	switch {
	case f.Operation != everyOperation && !slices.Contains(privicoretest.Operations(), f.Operation):
		return fmt.Errorf("there is no operation %q", f.Operation)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("%d is no status of an answer", f.Status)
	case f.Status == 0 && (f.Body != "" || f.RetryAfter != ""):
		return errors.New("a body and a retry-after need a status")
	case f.After && f.Status == 0 && !f.Drop:
		return errors.New("after needs a status or drop")
	}
	return nil
}

// fault returns the fault of the server.
func (f *fault) fault() privicoretest.Fault {
	header := http.Header{}
	if f.RetryAfter != "" {
		header.Set("Retry-After", f.RetryAfter)
	}
	return privicoretest.Fault{
		Delay:       time.Duration(f.Delay),
		Status:      f.Status,
		Header:      header,
		Body:        f.Body,
		Drop:        f.Drop,
		AfterEffect: f.After,
		Reject:      f.Reject,
		Latency:     time.Duration(f.Latency),
		NoID:        f.NoID,
		Ack:         privicoretest.Ack{Lose: f.LoseAck},
	}
}

// operations returns the names of the operations that a fault is for.
func (f *fault) operations() []string {
	if f.Operation == everyOperation {
		return privicoretest.Operations()
	}
	return []string{f.Operation}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/privicore/privicore-go/privicoretest"
)

// admin changes and shows the state of a server.
type admin struct {
	server *privicoretest.Server
	votes  *votes

	mu     sync.Mutex // held by each request, so that misuse is the request's own
	misuse error      // reported by the server during the request
	lifts  []func()   // end the faults that last
}

// report takes down that a method of the server was used wrongly.
func (a *admin) report(err error) {
	if a.misuse == nil {
		a.misuse = err
	}
}

// add adds a fault, which was checked.
func (a *admin) add(f fault) {
	for _, operation := range f.operations() {
		if f.Once {
			a.server.Next(operation, f.fault())
			continue
		}
		a.lifts = append(a.lifts, a.server.Always(operation, f.fault()))
	}
}

// serve serves the admin address until stop is called. It returns where it is.
func (a *admin) serve(ctx context.Context, addr string) (url string, stop func(), err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: a.handler(), ReadHeaderTimeout: 10 * time.Second}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	return "http://" + listener.Addr().String(), func() {
		_ = server.Close()
		running.Wait()
	}, nil
}

// handler returns the handler of the admin address. It refuses requests that pages
// of other origins make in a browser.
func (a *admin) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(*http.Request) (any, error){
		"GET /state":             a.state,
		"GET /data/{token}":      a.data,
		"POST /seed":             a.seed,
		"GET /requests":          a.requests,
		"POST /faults":           a.addFault,
		"DELETE /faults":         a.liftFaults,
		"PUT /fault-rate":        a.setFaultRate,
		"PUT /votes":             a.setVotes,
		"GET /polls":             a.polls,
		"POST /polls/{id}/votes": a.vote,
	} {
		mux.Handle(pattern, a.answering(handle))
	}
	return http.NewCrossOriginProtection().Handler(mux)
}

// answering returns a handler that writes what handle returns as JSON, or as it is if
// it is bytes.
func (a *admin) answering(handle func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const maxBody = 64 << 20
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		a.mu.Lock()
		a.misuse = nil
		value, err := handle(r)
		if err == nil {
			err = a.misuse
		}
		a.mu.Unlock()
		if data, ok := value.([]byte); ok && err == nil {
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = w.Write(data)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			value = map[string]string{"error": err.Error()}
		}
		_ = json.NewEncoder(w).Encode(value)
	})
}

// done is the answer to a change that returns nothing.
var done = struct{}{}

// read reads the body of a request.
func read(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("the body: %w", err)
	}
	return nil
}

// profiles returns the profile that the query names, or all.
func (a *admin) profiles(r *http.Request) []*privicoretest.Profile {
	if username := r.URL.Query().Get("profile"); username != "" {
		return []*privicoretest.Profile{a.server.Profile(username)}
	}
	return a.server.Profiles()
}

func (a *admin) addFault(r *http.Request) (any, error) {
	var f fault
	if err := read(r, &f); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	a.add(f)
	return done, nil
}

func (a *admin) liftFaults(*http.Request) (any, error) {
	for _, lift := range a.lifts {
		lift()
	}
	a.lifts = nil
	return done, nil
}

func (a *admin) setFaultRate(r *http.Request) (any, error) {
	var body struct {
		Rate float64 `json:"rate"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	if !isRate(body.Rate) {
		return nil, errors.New("rate must be from 0 to 1")
	}
	a.server.SetFaultRates(privicoretest.UniformFaults(body.Rate))
	return done, nil
}

func (a *admin) setVotes(r *http.Request) (any, error) {
	var body struct {
		Operation string `json:"operation"`
		Vote      vote   `json:"vote"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	if err := a.votes.set(body.Operation, body.Vote); err != nil {
		return nil, err
	}
	a.server.SetVoter(a.votes.voter())
	return done, nil
}

func (a *admin) vote(r *http.Request) (any, error) {
	var body struct {
		Device string `json:"device"`
		Yes    *bool  `json:"yes"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	if body.Yes == nil {
		return nil, errors.New("yes is missing")
	}
	return done, a.server.Vote(r.PathValue("id"), body.Device, *body.Yes)
}

func (a *admin) polls(r *http.Request) (any, error) {
	polls := []poll{}
	for _, p := range a.profiles(r) {
		for _, held := range a.server.Polls(p.Username()) {
			polls = append(polls, poll(held))
		}
	}
	return map[string]any{"polls": polls}, nil
}

func (a *admin) requests(*http.Request) (any, error) {
	requests := []request{}
	for _, r := range a.server.Requests() {
		requests = append(requests, request(r))
	}
	return map[string]any{"requests": requests}, nil
}

func (a *admin) data(r *http.Request) (any, error) {
	token := r.PathValue("token")
	for _, p := range a.profiles(r) {
		if p.DataToken(token).Token != "" {
			return p.Ciphertext(token), nil
		}
	}
	return nil, fmt.Errorf("there is no data token %q", token)
}

func (a *admin) state(r *http.Request) (any, error) {
	profiles := []profile{}
	for _, p := range a.profiles(r) {
		profiles = append(profiles, stored(p))
	}
	return map[string]any{"profiles": profiles}, nil
}

func (a *admin) seed(r *http.Request) (any, error) {
	var body struct {
		Profiles []profile `json:"profiles"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	added := []addedIDs{}
	for _, p := range body.Profiles {
		to := a.profile(p)
		if a.misuse != nil {
			return nil, a.misuse
		}
		added = append(added, p.add(to, func() bool { return a.misuse == nil }))
	}
	return map[string]any{"profiles": added}, nil
}

// profile returns the profile to seed. It adds it if there is a password.
func (a *admin) profile(p profile) *privicoretest.Profile {
	if p.Password != "" {
		return a.server.AddProfile(p.Username, p.Password)
	}
	return a.server.Profile(p.Username)
}

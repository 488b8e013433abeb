package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/privicore/privicore-go/privicoretest"
)

// vote is how all authenticators vote.
type vote string

const (
	yes  vote = "yes"
	no   vote = "no"
	none vote = "none" // they do not vote by themselves
)

// votes are the rules by which authenticators vote. The zero value says yes.
type votes struct {
	mu        sync.Mutex
	otherwise vote            // without a rule; "" means yes
	rules     map[string]vote // by operation
}

// parse reads a flag: a vote, or a vote for an operation.
func (v *votes) parse(text string) error {
	operation, value, ok := strings.Cut(text, "=")
	if !ok {
		operation, value = "", text
	}
	return v.set(operation, vote(value))
}

// set sets a rule for an operation, or for all that have none if operation is empty.
func (v *votes) set(operation string, value vote) error {
	switch {
	case value != yes && value != no && value != none:
		return fmt.Errorf("there is no vote %q; use yes, no or none", string(value))
	case operation != "" && !slices.Contains(privicoretest.Operations(), operation):
		return fmt.Errorf("there is no operation %q", operation)
	case operation != "" && value == none:
		return fmt.Errorf("the vote none is for all operations")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if operation == "" {
		v.otherwise = value
		return nil
	}
	if v.rules == nil {
		v.rules = make(map[string]vote)
	}
	v.rules[operation] = value
	return nil
}

// problem returns what is wrong with the rules together, or "".
func (v *votes) problem() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.otherwise == none && len(v.rules) > 0 {
		return "the vote none leaves no vote to the other rules"
	}
	return ""
}

// voter returns the voter of these rules. It follows later changes, except those from
// and to none.
func (v *votes) voter() func(privicoretest.Poll) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.otherwise == none {
		return nil
	}
	return func(p privicoretest.Poll) bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		rule, ok := v.rules[p.Operation]
		if !ok {
			rule = v.otherwise
		}
		return rule != no
	}
}

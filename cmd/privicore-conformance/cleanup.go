package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tidwall/gjson"

	"github.com/privicore/privicore-go"
)

// thing is something on the server that the program made.
type thing struct {
	name   string
	gone   bool
	remove func(ctx context.Context) error // nil if no operation removes it
}

// made notes what a step made, so that it is removed at the end.
func (s *session) made(name string, remove func(ctx context.Context) error) *thing {
	t := &thing{name: name, remove: remove}
	s.things = append(s.things, t)
	return t
}

// removal returns a function that removes something by a command.
func removal(call begin) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		cmd, err := call(ctx)
		return wait(ctx, cmd, err)
	}
}

// cleanUpFactor bounds the cleaning up, in steps.
const cleanUpFactor = 3

// cleanUp removes what the session made, the newest first, and lists the rest. ctx
// does not end with an interrupt.
func (s *session) cleanUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, cleanUpFactor*s.settings.timeout)
	defer cancel()
	failed := 0
	for _, t := range slices.Backward(s.things) {
		switch {
		case t.gone:
		case t.remove == nil:
			s.remains = append(s.remains, t.name+": no operation removes it")
		case failed >= silence:
			s.unclean = true
			s.remains = append(s.remains, t.name+": not removed, because removing others failed")
		default:
			failed += s.removeThing(ctx, t)
		}
	}
	if s.own != nil && failed < silence {
		s.sweep(ctx)
	}
	if s.visitor != nil && s.visitor.channel != nil {
		s.visitor.channel.close() // its token was revoked
	}
	s.leave(ctx, s.spare)
	s.leave(ctx, s.own)
}

// removeThing removes a thing and returns 1 if that failed.
func (s *session) removeThing(ctx context.Context, t *thing) int {
	ctx, cancel := context.WithTimeout(ctx, s.settings.timeout)
	defer cancel()
	fmt.Fprintf(s.progress, "removing %s\n", t.name)
	if err := t.remove(ctx); err != nil {
		s.unclean = true
		s.remains = append(s.remains, t.name+": removing it failed, "+cause(err))
		return 1
	}
	t.gone = true
	return 0
}

// sweep removes what carries the name of the run and is not known, because a step
// was interrupted after the server had accepted a command.
func (s *session) sweep(ctx context.Context) {
	if !s.interrupted {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.settings.timeout)
	defer cancel()
	select {
	case <-time.After(min(time.Second, s.settings.timeout/10)): // commands that were just accepted take effect
	case <-ctx.Done():
	}
	client := s.own.client
	s.sweepList(ctx, "/device/retrieve-profile-devices", "deviceIdentifier", client.Device.Remove)
	s.sweepList(ctx, "/policy/list-registered-policies", "id", client.Policy.Delete)
	s.sweepList(ctx, "/data-token/list-data-tokens?perPage=100", "token", client.DataToken.Delete)
}

// sweepList removes the entries of a list that have the name of the run in them.
func (s *session) sweepList(ctx context.Context, path, id string, remove func(context.Context, string) (*privicore.Command, error)) {
	resp, err := s.own.client.Do(ctx, "GET", path, nil)
	if err != nil {
		return
	}
	list := gjson.ParseBytes(resp.Body)
	if list.IsObject() {
		list = list.Get("items")
	}
	for _, e := range list.Array() {
		if !s.mentioned(e) {
			continue
		}
		cmd, err := remove(ctx, e.Get(id).Str)
		if err := wait(ctx, cmd, err); err != nil {
			s.unclean = true
			s.remains = append(s.remains, "an entry of `"+path+"` with the name of the run: "+cause(err))
		}
	}
}

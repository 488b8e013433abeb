package privicore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// A Keyring is a KeyWrapper of local keys of 32 bytes. The primary key wraps, and
// every key unwraps. It uses AES-256-GCM with a fresh random IV, so one key should
// not wrap more than 2³² data keys. A Keyring is safe for concurrent use, also while
// its keys change; the zero value has no key and fails.
//
// To rotate keys, Add the new key in all processes, then Promote it, and Drop the
// old key when nothing needs it any more. A ciphertext keeps the key it was made
// with until it is made anew.
type Keyring struct {
	// A pointer, because fmt calls no method of an unexported field, but stops at
	// a pointer in a struct.
	state *keyringState
}

type keyringState struct {
	mu      sync.RWMutex
	keys    map[string]gcm
	ids     []string // in the order in which they were added
	primary string
}

var _ KeyWrapper = (*Keyring)(nil)

// NewKeyring returns a Keyring with one key, which is the primary key. The id is any
// name of up to MaxKeyID bytes. It stands in each ciphertext, where everybody can
// read it. An id must not be used again for another key.
func NewKeyring(id string, key []byte) (*Keyring, error) {
	k := &Keyring{&keyringState{keys: make(map[string]gcm), primary: id}}
	if err := k.Add(id, key); err != nil {
		return nil, err
	}
	return k, nil
}

// Add adds a key that unwraps, and that Promote can make the primary key. The error
// is a *ValidationError if the id is in use.
func (k *Keyring) Add(id string, key []byte) error {
	s := k.get()
	if s == nil {
		return errNoKeyring
	}
	core, err := newGCM(key)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, used := s.keys[id]
	switch {
	case id == "":
		return invalidKeyID("is empty")
	case len(id) > MaxKeyID:
		return invalidKeyID(fmt.Sprintf("has %d bytes, more than %d", len(id), MaxKeyID))
	case used:
		return invalidKeyID(fmt.Sprintf("%q is in use", id))
	}
	s.keys[id] = core
	s.ids = append(s.ids, id)
	return nil
}

// Promote makes a key of the Keyring its primary key. The error is an
// *UnknownKeyError if there is none with this id.
func (k *Keyring) Promote(id string) error {
	s := k.get()
	if s == nil {
		return errNoKeyring
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.keys[id]; !ok {
		return &UnknownKeyError{KeyID: id}
	}
	s.primary = id
	return nil
}

// Drop removes a key. What was wrapped with it then fails with an *UnknownKeyError.
// The error is a *ValidationError for the primary key, and an *UnknownKeyError if
// there is no key with this id.
func (k *Keyring) Drop(id string) error {
	s := k.get()
	if s == nil {
		return errNoKeyring
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.keys[id]; !ok {
		return &UnknownKeyError{KeyID: id}
	}
	if id == s.primary {
		return invalidKeyID(fmt.Sprintf("%q is that of the primary key; promote another key first", id))
	}
	delete(s.keys, id)
	s.ids = slices.DeleteFunc(s.ids, func(known string) bool { return known == id })
	return nil
}

// Primary returns the id of the key that wraps.
func (k *Keyring) Primary() string {
	id, _ := k.primaryKey()
	return id
}

// IDs returns the ids of all keys, in the order in which they were added.
func (k *Keyring) IDs() []string {
	s := k.get()
	if s == nil {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.ids)
}

// WrapKey implements KeyWrapper. It uses the primary key.
func (k *Keyring) WrapKey(_ context.Context, dataKey []byte, binding Binding) (WrappedKey, error) {
	id, key := k.primaryKey()
	if id == "" {
		return WrappedKey{}, errNoKeyring
	}
	wrapped, err := key.seal(dataKey, keyringData(id, binding))
	return WrappedKey{KeyID: id, Ciphertext: wrapped}, err
}

// UnwrapKey implements KeyWrapper. The error matches ErrDecrypt or is an
// *UnknownKeyError.
func (k *Keyring) UnwrapKey(_ context.Context, wrapped WrappedKey, binding Binding) ([]byte, error) {
	key, ok := k.key(wrapped.KeyID)
	if !ok {
		return nil, &UnknownKeyError{KeyID: wrapped.KeyID}
	}
	return key.open(wrapped.Ciphertext, keyringData(wrapped.KeyID, binding))
}

// Format implements fmt.Formatter. It writes the name of the type and no keys.
func (k *Keyring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "Keyring") }

// get returns the state, or nil for a Keyring that was not made by NewKeyring.
func (k *Keyring) get() *keyringState {
	if k == nil {
		return nil
	}
	return k.state
}

// primaryKey returns the primary key and its id, which is empty if there is none.
func (k *Keyring) primaryKey() (string, gcm) {
	s := k.get()
	if s == nil {
		return "", gcm{}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.primary, s.keys[s.primary]
}

func (k *Keyring) key(id string) (gcm, bool) {
	s := k.get()
	if s == nil {
		return gcm{}, false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	key, ok := s.keys[id]
	return key, ok
}

// keyringData returns the additional data of a wrapped key. The id is in it, so that
// a key that was given two ids is noticed.
func keyringData(id string, binding Binding) []byte {
	return binding.AdditionalData("privicore-go/v1/keyring", id)
}

// errNoKeyring is for a Keyring that was not made by NewKeyring.
var errNoKeyring = errors.New("privicore: the Keyring has no key; use NewKeyring")

func invalidKeyID(reason string) error {
	return &ValidationError{Operation: "Keyring", Field: "id", Reason: reason}
}

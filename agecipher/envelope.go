package agecipher

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"filippo.io/age"

	"github.com/privicore/privicore-go"
)

// envelopeType is the type of the stanza that holds a wrapped data key. Its only
// argument is the id of the key that wrapped it, in the base64 that age uses.
const envelopeType = "privicore-go/envelope/v1"

// idEncoding is for ids of keys, because an argument of a stanza has no spaces.
var idEncoding = base64.RawStdEncoding.Strict()

// envelope is the recipient and the identity of a KeyWrapper, for one call. The data
// key is the file key of age.
type envelope struct {
	ctx     context.Context
	wrapper privicore.KeyWrapper
	binding privicore.Binding
}

// Wrap implements age.Recipient.
func (e *envelope) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	wrapped, err := e.wrapper.WrapKey(e.ctx, fileKey, e.binding)
	switch {
	case err != nil:
		return nil, keyError(wrapped.KeyID, err)
	case wrapped.KeyID == "" || len(wrapped.KeyID) > privicore.MaxKeyID:
		return nil, keyError("", fmt.Errorf("its id has %d bytes, not 1 to %d", len(wrapped.KeyID), privicore.MaxKeyID))
	}
	id := idEncoding.EncodeToString([]byte(wrapped.KeyID))
	return []*age.Stanza{{Type: envelopeType, Args: []string{id}, Body: wrapped.Ciphertext}}, nil
}

// Unwrap implements age.Identity.
func (e *envelope) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if len(stanzas) != 1 || stanzas[0].Type != envelopeType || len(stanzas[0].Args) != 1 {
		return nil, fmt.Errorf("%w: it is no envelope", age.ErrIncorrectIdentity)
	}
	id, err := idEncoding.DecodeString(stanzas[0].Args[0])
	if err != nil || len(id) > privicore.MaxKeyID {
		return nil, fmt.Errorf("%w: its key has no proper id", age.ErrIncorrectIdentity)
	}
	wrapped := privicore.WrappedKey{KeyID: string(id), Ciphertext: stanzas[0].Body}
	dataKey, err := e.wrapper.UnwrapKey(e.ctx, wrapped, e.binding)
	switch {
	case err != nil:
		return nil, keyError(wrapped.KeyID, err)
	case len(dataKey) == 0:
		return nil, keyError(wrapped.KeyID, errors.New("it returned no data key"))
	}
	return dataKey, nil
}

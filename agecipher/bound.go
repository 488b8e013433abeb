package agecipher

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	"filippo.io/age"

	"github.com/privicore/privicore-go"
)

// bindingType is the type of the stanza that holds the hash of a Binding. Its only
// argument is a salt, which keeps equal Bindings from looking equal. age
// authenticates the stanza, as it does with the whole header.
const bindingType = "privicore-go/binding/v1"

// boundRecipient puts a binding stanza behind the stanzas of a recipient.
type boundRecipient struct {
	age.Recipient
	binding privicore.Binding
}

// Wrap implements age.Recipient.
func (r *boundRecipient) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	stanzas, _, err := r.WrapWithLabels(fileKey)
	return stanzas, err
}

// WrapWithLabels implements age.RecipientWithLabels, so that the labels of the
// recipient stay.
func (r *boundRecipient) WrapWithLabels(fileKey []byte) (stanzas []*age.Stanza, labels []string, err error) {
	if labeled, ok := r.Recipient.(age.RecipientWithLabels); ok {
		stanzas, labels, err = labeled.WrapWithLabels(fileKey)
	} else {
		stanzas, err = r.Recipient.Wrap(fileKey)
	}
	if err != nil {
		return nil, nil, err
	}
	salt := rand.Text()
	return append(stanzas, &age.Stanza{Type: bindingType, Args: []string{salt}, Body: bindingHash(salt, r.binding)}), labels, nil
}

// boundIdentity unwraps with an identity if the header has the hash of the binding.
// The identity is not asked otherwise.
type boundIdentity struct {
	age.Identity
	binding privicore.Binding
}

// Unwrap implements age.Identity. age authenticates the binding stanza with the file
// key after Unwrap has returned it.
func (i *boundIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	bound := false
	var others []*age.Stanza
	for _, stanza := range stanzas {
		switch {
		case stanza.Type != bindingType:
			others = append(others, stanza)
		case !isHashOf(stanza, i.binding):
			return nil, errOtherBinding
		default:
			bound = true
		}
	}
	if !bound {
		return nil, errOtherBinding
	}
	return i.Identity.Unwrap(others)
}

// errOtherBinding is for a ciphertext that may be whole and is not the one that was
// asked for.
var errOtherBinding = fmt.Errorf("%w: it is bound to another context, or to none", privicore.ErrDecrypt)

func isHashOf(stanza *age.Stanza, binding privicore.Binding) bool {
	return len(stanza.Args) == 1 && subtle.ConstantTimeCompare(stanza.Body, bindingHash(stanza.Args[0], binding)) == 1
}

func bindingHash(salt string, binding privicore.Binding) []byte {
	hash := sha256.Sum256(binding.AdditionalData(bindingType, salt))
	return hash[:]
}

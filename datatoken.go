package privicore

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/internal/wire"
)

// DataTokenService is the section "Data token" of the API. Store exchanges data for
// a token, and Retrieve gets the data back. Other methods are the single steps of
// these two, or list, describe, update and delete what tokens stand for.
//
// A data token reveals nothing of its data, so it is not a Secret.
type DataTokenService service

// MaxInline is the largest ciphertext, in bytes, that Store sends in a form field.
// Larger ones are streamed. Servers were observed to take about 50 KB.
const MaxInline = 50_000

// ReserveRequest describes the space to reserve for a payload.
type ReserveRequest struct {
	Context string // what the data belongs to; required
	// TTL is how long the temporary token lives, in whole minutes. Zero means the
	// server's default of 5 minutes. 300 minutes and more are refused.
	TTL time.Duration
	// Meta is any text that is stored beside the data. It is optional.
	Meta string
}

// refusedTTL is the one number of minutes that is known to be too many.
const refusedTTL = 300 * time.Minute

func (r *ReserveRequest) check(op *operation.Operation) error {
	switch {
	case r.TTL < 0:
		return invalid(op, "ttl", fmt.Sprintf("is %s; it must not be negative", r.TTL))
	case r.TTL%time.Minute != 0:
		return invalid(op, "ttl", fmt.Sprintf("is %s; the server takes whole minutes", r.TTL))
	case r.TTL >= refusedTTL:
		return invalid(op, "ttl", fmt.Sprintf("is %s; the server refuses %s and more", r.TTL, refusedTTL))
	}
	return checkText(op, "context", r.Context)
}

// Reserve reserves space for a payload. It does not wait. Pending.Result waits until
// the space is reserved and returns the temporary token.
//
// To go on in another process, keep the ID: Command(id).Wait, and then
// RetrieveTemporary with the same id.
//
// It is the operation [Reserve token space].
//
// [Reserve token space]: https://docs.privicore.com/reserve-token-space-14411433e0
func (s *DataTokenService) Reserve(ctx context.Context, r ReserveRequest) (*Pending[*TemporaryToken], error) {
	op := operation.DataTokenReserve
	if err := r.check(op); err != nil {
		return nil, err
	}
	form := struct {
		Context string `url:"context"`
		TTL     int64  `url:"ttl,omitempty"`
		Meta    string `url:"meta,omitempty"`
	}{r.Context, int64(r.TTL / time.Minute), r.Meta}
	cmd, err := s.client.command(ctx, op, params{form: form})
	if err != nil {
		return nil, err
	}
	return NewPending(cmd, s.RetrieveTemporary), nil
}

// TemporaryToken is the token of a reserved space. It takes one payload, which
// ConfigureFileMeta then gives its permanent token.
type TemporaryToken struct {
	answer
	Token string `json:"token"`
	// Stream is where Upload sends the payload. It can be used once. It is an
	// address, or from some servers a token for the server of WithUploadURL.
	Stream Secret `json:"stream"`
}

// Format leaves out the raw JSON.
func (t TemporaryToken) Format(s fmt.State, verb rune) { format(s, verb, t) }

func (t *TemporaryToken) missing() string {
	if t.Token == "" {
		return "token"
	}
	return ""
}

// RetrieveTemporary returns the temporary token of a reservation. commandID is the
// ID that Reserve returned. The error matches ErrNotFound if the command has not
// ended or the token has expired.
//
// It is the operation [Retrieve temporary data token].
//
// [Retrieve temporary data token]: https://docs.privicore.com/retrieve-temporary-data-token-14411434e0
func (s *DataTokenService) RetrieveTemporary(ctx context.Context, commandID string) (*TemporaryToken, error) {
	op := operation.DataTokenRetrieveTemporary
	if err := checkIdentifier(op, "id", commandID); err != nil {
		return nil, err
	}
	return value[TemporaryToken](ctx, s.client, op, params{path: commandID})
}

// Exchange stores a ciphertext of up to about 50 KB under a temporary token. The
// ciphertext travels in a form field in base64; see MaxInline. Exchange returns the
// command and does not wait.
//
// It is the operation "Exchange data for token".
func (s *DataTokenService) Exchange(ctx context.Context, temporaryToken string, ciphertext []byte) (*Command, error) {
	op := operation.DataTokenExchange
	if err := checkIdentifier(op, "temporaryTokenSpace", temporaryToken); err != nil {
		return nil, err
	}
	form := struct {
		Token string `url:"temporaryTokenSpace"`
		Data  string `url:"data"`
	}{temporaryToken, base64.StdEncoding.EncodeToString(ciphertext)}
	return s.client.command(ctx, op, params{form: form})
}

// RiskMeta classifies data by its risk. The server accepts more fields than the
// documented ones; Other holds them.
type RiskMeta struct {
	Classification string
	Label          string
	Handling       string
	Other          map[string]string
}

// ConfigureRiskMeta classifies the data of a token. It returns the command and does
// not wait.
//
// It is the operation [Configure information security risk meta].
//
// [Configure information security risk meta]: https://docs.privicore.com/configure-information-security-risk-meta-14411439e0
func (s *DataTokenService) ConfigureRiskMeta(ctx context.Context, token string, meta RiskMeta) (*Command, error) {
	op := operation.DataTokenConfigureRiskMeta
	if err := checkIdentifier(op, "token", token); err != nil {
		return nil, err
	}
	if meta.Classification == "" && meta.Label == "" && meta.Handling == "" && len(meta.Other) == 0 {
		return nil, invalid(op, "classification", "is empty, and so is all else")
	}
	p := params{values: map[string][]string{"token": {token}}}
	fields := map[string]string{"classification": meta.Classification, "label": meta.Label, "handling": meta.Handling}
	for name, text := range fields {
		if text != "" {
			p.values.Set(name, text)
		}
	}
	for name, text := range meta.Other {
		if _, known := fields[name]; known || name == "token" || name == "" {
			return nil, invalid(op, name, "does not belong into Other")
		}
		p.values.Set(name, text)
	}
	return s.client.command(ctx, op, p)
}

// FileMeta describes the file that a payload is.
type FileMeta struct {
	FileName  string `url:"fileName"`
	Extension string `url:"extension"`
	Context   string `url:"context"`
	Size      int64  `url:"size"` // of the plaintext, in bytes
	Path      string `url:"path"`
}

func (m *FileMeta) check(op *operation.Operation) error {
	if m.Size < 0 {
		return invalid(op, "size", "is negative")
	}
	for _, f := range []struct{ name, text string }{
		{"fileName", m.FileName}, {"extension", m.Extension}, {"context", m.Context}, {"path", m.Path},
	} {
		if err := checkText(op, f.name, f.text); err != nil {
			return err
		}
	}
	return nil
}

// ConfigureFileMeta describes the payload of a temporary token, and returns the
// permanent token. All fields of meta but Size must be set. If the error matches
// ErrAmbiguous, the server may have made the token; List shows whether it did.
//
// It is the operation [Configure file meta].
//
// [Configure file meta]: https://docs.privicore.com/configure-file-meta-14411440e0
func (s *DataTokenService) ConfigureFileMeta(ctx context.Context, temporaryToken string, meta FileMeta) (string, error) {
	op := operation.DataTokenConfigureFileMeta
	if err := checkIdentifier(op, "token", temporaryToken); err != nil {
		return "", err
	}
	if err := meta.check(op); err != nil {
		return "", err
	}
	form := struct {
		Token string `url:"token"`
		FileMeta
	}{temporaryToken, meta}
	var token string
	err := s.client.send(ctx, op, params{form: form}, func(r *request, resp *Response) error {
		if token = wire.PermanentToken(resp.Body); token == "" {
			return unreadable(r, resp, "the token is missing")
		}
		return nil
	})
	return token, err
}

// DataToken is an entry in the list of data tokens.
type DataToken struct {
	answer
	Token     string    `json:"token"`
	Context   string    `json:"context"`
	FileName  string    `json:"fileName"`
	Extension string    `json:"extension"`
	Size      int64     `json:"size"` // in bytes
	CreatedAt time.Time `json:"createdAt"`
}

// Format leaves out the raw JSON.
func (t DataToken) Format(s fmt.State, verb rune) { format(s, verb, t) }

// DataTokenFilter selects the data tokens that match all of its fields that are not
// empty. Whether servers compare whole values is not documented; privicoretest
// does.
type DataTokenFilter struct {
	FileName  string `url:"filters[meta.file.fileName],omitempty"`
	Extension string `url:"filters[meta.file.extension],omitempty"`
	DataType  string `url:"filters[meta.data.type],omitempty"`
	Context   string `url:"filters[context],omitempty"`
	Token     string `url:"filters[token],omitempty"`
}

// perPage is how many tokens All asks for at a time.
const perPage = 100

// List returns all data tokens of the profile that match filter. It fetches one page
// after the other. All does not keep them in memory.
//
// It is the operation [List data tokens].
//
// [List data tokens]: https://docs.privicore.com/list-data-tokens-14411441e0
func (s *DataTokenService) List(ctx context.Context, filter DataTokenFilter) ([]DataToken, error) {
	var tokens []DataToken
	for token, err := range s.All(ctx, filter) {
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}

// All yields the data tokens of the profile that match filter. It fetches a page when
// the loop needs it. If a call fails, All yields the error as the last element.
//
// It is the operation [List data tokens].
//
// [List data tokens]: https://docs.privicore.com/list-data-tokens-14411441e0
func (s *DataTokenService) All(ctx context.Context, filter DataTokenFilter) iter.Seq2[DataToken, error] {
	type query struct {
		Page    int `url:"page"`
		PerPage int `url:"perPage"`
		DataTokenFilter
	}
	return func(yield func(DataToken, error) bool) {
		var previous []DataToken
		seen := 0
		for number := 1; ; number++ {
			p := params{form: query{number, perPage, filter}}
			tokens, resp, err := page[DataToken](ctx, s.client, operation.DataTokenList, p)
			if err != nil {
				yield(DataToken{}, err)
				return
			}
			// A server that does not know pages answers with the same one.
			if len(tokens) == 0 || slices.EqualFunc(tokens, previous, sameToken) {
				return
			}
			previous = tokens
			seen += len(tokens)
			for _, token := range tokens {
				if !yield(token, nil) {
					return
				}
			}
			if isLastPage(resp.Body, len(tokens), seen) {
				return
			}
		}
	}
}

// sameToken reports whether two entries are about the same token. The token of an odd
// entry is empty, which says nothing.
func sameToken(a, b DataToken) bool {
	return a.Token == b.Token && (a.Token != "" || bytes.Equal(a.RawJSON(), b.RawJSON()))
}

// isLastPage reports whether there are no more items after a page. The server may
// put fewer items on a page than it was asked for. Whether its count is that of the
// page or of all pages is not documented. So there is another page if this one is
// full by the server's own measure, or if the count is larger than what was seen.
func isLastPage(body []byte, items, seen int) bool {
	perPage, count := wire.Page(body)
	return items < perPage && count <= seen
}

// DataMeta is what Update stores beside the data. The only fields that the
// documentation shows are those of RiskMeta and FileMeta.
type DataMeta struct {
	Risk map[string]any `json:"information_security_risk,omitempty"`
	File map[string]any `json:"file,omitempty"`
	Data map[string]any `json:"data,omitempty"`
}

// Update replaces the data of a permanent token. The token stays the same. The
// ciphertext is sent in base64 and should not be larger than MaxInline. That the
// field is base64, as in Exchange, is inferred. Update returns the command and does
// not wait.
//
// It is the operation [Update data token].
//
// [Update data token]: https://docs.privicore.com/update-data-token-14411442e0
func (s *DataTokenService) Update(ctx context.Context, token string, ciphertext []byte, meta DataMeta) (*Command, error) {
	op := operation.DataTokenUpdate
	if err := checkIdentifier(op, "dataToken", token); err != nil {
		return nil, err
	}
	body := struct {
		Token string   `json:"dataToken"`
		Data  string   `json:"data"`
		Meta  DataMeta `json:"meta"`
	}{token, base64.StdEncoding.EncodeToString(ciphertext), meta}
	return s.client.command(ctx, op, params{json: body})
}

// TokenMeta is what UpdateMeta can change. Empty fields stay as they are.
type TokenMeta struct {
	FileName  string `url:"fileName,omitempty"`
	Extension string `url:"extension,omitempty"`
	Context   string `url:"context,omitempty"`
}

// UpdateMeta changes the description of a token, but not its data. It returns the
// command and does not wait. This form of the operation was observed and is not
// documented.
//
// It is the operation [Update data token].
//
// [Update data token]: https://docs.privicore.com/update-data-token-14411442e0
func (s *DataTokenService) UpdateMeta(ctx context.Context, token string, meta TokenMeta) (*Command, error) {
	op := operation.DataTokenUpdateMeta
	if err := checkIdentifier(op, "token", token); err != nil {
		return nil, err
	}
	if (meta == TokenMeta{}) {
		return nil, invalid(op, "fileName", "is empty, and so is all else")
	}
	form := struct {
		Token string `url:"token"`
		TokenMeta
	}{token, meta}
	return s.client.command(ctx, op, params{form: form})
}

// Delete deletes the data of a token. It returns the command and does not wait.
//
// It is the operation "Delete data".
func (s *DataTokenService) Delete(ctx context.Context, token string) (*Command, error) {
	op := operation.DataTokenDelete
	if err := checkIdentifier(op, "token", token); err != nil {
		return nil, err
	}
	return s.client.command(ctx, op, params{values: url.Values{"token": {token}}})
}

package privicore

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// DataTokenService is the section "Data token" of the API: data in, token out,
// data back. Store and Retrieve are the two ways as a whole; the other methods
// are their steps, and what else can be done with a token.
//
// A data token stands for the data and reveals nothing of it. It is not a
// Secret.
type DataTokenService service

// MaxInline is the largest ciphertext, in bytes, that Store sends in a form
// field; larger ones are streamed. Servers were observed to take about 50 KB.
const MaxInline = 50_000

// Reservation asks for room for a payload.
type Reservation struct {
	Context string // what the data belongs to; required
	// TTL is how long the temporary token lives, in whole minutes. Zero is the
	// server's default of 5 minutes; 300 and more are refused by it.
	TTL time.Duration
	// Meta is stored beside the data as it is.
	Meta string
}

// refusedTTL is the one number of minutes that is known to be too many.
const refusedTTL = 300 * time.Minute

func (r Reservation) check(op *operation.Operation) error {
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

// PendingToken is a temporary token that is being made.
type PendingToken struct {
	*Command
}

// Result waits until the room is reserved and retrieves the temporary token. A
// token that is not found at once is asked for again for some seconds.
func (p *PendingToken) Result(ctx context.Context) (*TemporaryToken, error) {
	if _, err := p.Wait(ctx); err != nil {
		return nil, err
	}
	var token *TemporaryToken
	err := p.client.untilFound(ctx, func() (err error) {
		token, err = p.client.DataToken.RetrieveTemporary(ctx, p.ID)
		return err
	})
	return token, err
}

// Reserve asks for room for a payload: "Reserve token space".
func (s *DataTokenService) Reserve(ctx context.Context, r Reservation) (*PendingToken, error) {
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
	return &PendingToken{cmd}, nil
}

// TemporaryToken is where a payload goes before it has its permanent token.
type TemporaryToken struct {
	answer
	Token string `json:"token"`
	// Stream is where to upload the payload, once: a URL, or from some servers
	// a bare token for an upload server that WithUploadURL names.
	Stream Secret `json:"stream"`
}

func (t *TemporaryToken) missing() string {
	if t.Token == "" {
		return "token"
	}
	return ""
}

// RetrieveTemporary returns the temporary token that a reservation made:
// "Retrieve temporary data token". The commandID is that of Reserve. The error
// matches ErrNotFound if the reservation is not settled or has expired.
func (s *DataTokenService) RetrieveTemporary(ctx context.Context, commandID string) (*TemporaryToken, error) {
	op := operation.DataTokenRetrieveTemporary
	if err := checkIdentifier(op, "id", commandID); err != nil {
		return nil, err
	}
	return value[TemporaryToken](ctx, s.client, op, params{path: commandID})
}

// Exchange sends a payload in a form field, encoded in base64: "Exchange data
// for token". The ciphertext may have about 50 KB; see MaxInline.
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

// RiskMeta classifies data by the risk that goes with it. The server takes
// other fields too; those go into Other.
type RiskMeta struct {
	Classification string
	Label          string
	Handling       string
	Other          map[string]string
}

// ConfigureRiskMeta classifies the data of a token: "Configure information
// security risk meta".
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

// permanentToken is a token, alone or in an object.
type permanentToken struct{ token string }

func (t *permanentToken) UnmarshalJSON(data []byte) error {
	if isJSONString(data) {
		return json.Unmarshal(data, &t.token)
	}
	var object struct {
		Token string `json:"token"`
	}
	err := json.Unmarshal(data, &object)
	t.token = object.Token
	return err
}

// missing does not take a sentence, or a word such as "ok", for a token.
func (t *permanentToken) missing() string {
	if t.token == "" || strings.ContainsAny(t.token, " \t\r\n") || statusOf([]string{t.token}) != "" {
		return "token"
	}
	return ""
}

// ConfigureFileMeta describes the payload that a temporary token holds, and
// returns the permanent token in exchange: "Configure file meta". All fields
// but Size must be set.
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
	v, err := value[permanentToken](ctx, s.client, op, params{form: form})
	if err != nil {
		return "", err
	}
	return v.token, nil
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

// DataTokenFilter selects data tokens. Empty fields select all. Whether a server
// compares whole values is not documented; privicoretest does.
type DataTokenFilter struct {
	FileName  string `url:"filters[meta.file.fileName],omitempty"`
	Extension string `url:"filters[meta.file.extension],omitempty"`
	DataType  string `url:"filters[meta.data.type],omitempty"`
	Context   string `url:"filters[context],omitempty"`
	Token     string `url:"filters[token],omitempty"`
}

// perPage is how many tokens List asks for at a time.
const perPage = 100

// List returns the data tokens of the profile that match filter, and fetches
// page after page as they are used: "List data tokens". An error ends the
// sequence.
func (s *DataTokenService) List(ctx context.Context, filter DataTokenFilter) iter.Seq2[DataToken, error] {
	type query struct {
		Page    int `url:"page"`
		PerPage int `url:"perPage"`
		DataTokenFilter
	}
	return func(yield func(DataToken, error) bool) {
		previous, seen := "", 0
		for page := 1; ; page++ {
			p := params{form: query{page, perPage, filter}}
			resp, err := s.client.send(ctx, operation.DataTokenList, &p, "")
			if err != nil {
				yield(DataToken{}, err)
				return
			}
			tokens, err := decodeList[DataToken](resp.Body)
			if err != nil {
				yield(DataToken{}, unreadable(operation.DataTokenList, &p, resp, describeBody(resp, err)))
				return
			}
			// A server that does not know pages answers with the same one.
			if len(tokens) == 0 || tokens[0].Token == previous {
				return
			}
			previous = tokens[0].Token
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

// isLastPage tells, as far as the answer does, that there are no more items.
// The server may give fewer on a page than it was asked for, and whether its
// count is of the page or of all is not documented, so that alone a full page
// or a larger count means more. Where it says nothing the next page is tried.
func isLastPage(body []byte, items, seen int) bool {
	var page struct {
		Meta struct {
			Count   int `json:"count"`
			PerPage int `json:"perPage"`
		} `json:"meta"`
	}
	_ = json.Unmarshal(body, &page) // an array has no meta
	return items < page.Meta.PerPage && page.Meta.Count <= seen
}

// DataMeta is what Update stores beside the data. What may be in the three
// parts is not documented beyond the fields of RiskMeta and FileMeta.
type DataMeta struct {
	Risk map[string]any `json:"information_security_risk,omitempty"`
	File map[string]any `json:"file,omitempty"`
	Data map[string]any `json:"data,omitempty"`
}

// Update replaces the data of a token, which stays the same: "Update data
// token". The ciphertext travels in base64, so it should not be larger than
// MaxInline. That the field is base64, as in Exchange, is inferred.
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

// TokenMeta is what UpdateMeta can change; empty fields stay as they are.
type TokenMeta struct {
	FileName  string `url:"fileName,omitempty"`
	Extension string `url:"extension,omitempty"`
	Context   string `url:"context,omitempty"`
}

// UpdateMeta changes the description of a token and not its data: "Update data
// token" in the form that was observed.
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

// Delete deletes the data of a token: "Delete data".
func (s *DataTokenService) Delete(ctx context.Context, token string) (*Command, error) {
	op := operation.DataTokenDelete
	if err := checkIdentifier(op, "token", token); err != nil {
		return nil, err
	}
	form := struct {
		Token string `url:"token"`
	}{token}
	return s.client.command(ctx, op, params{form: form})
}

// isJSONString tells a JSON string from other JSON.
func isJSONString(data []byte) bool {
	data = bytes.TrimSpace(data)
	return len(data) > 0 && data[0] == '"'
}

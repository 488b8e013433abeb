package privicoretest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/operation"
)

// DataToken is a permanent data token as the server stores it.
type DataToken struct {
	Token     string
	Context   string
	FileName  string
	Extension string
	Path      string
	Size      int64 // of the plaintext, as its owner gave it

	// StoredSize is the number of bytes that are stored, which is that of the
	// ciphertext. Profile.Ciphertext returns them.
	StoredSize int64

	// Meta is the meta of the reservation, of updates and of the risk, by names
	// such as "data.type" and "information_security_risk.label".
	Meta      map[string]string
	CreatedAt time.Time
}

// AddDataToken adds a data token and returns it. The server stores data as it is;
// use [Profile.AddEncrypted] to store a plaintext.
//
// Of about, Context, FileName, Extension, Path, Size and Meta are used. Context must
// be set. The others have defaults: those of [privicore.Payload], and the size of
// data.
func (p *Profile) AddDataToken(about DataToken, data []byte) (token string) {
	p.server.helper()
	p.change("data token", func(s *state) (err error) {
		token, err = s.addDataToken(p.profile, about, bytes.Clone(data))
		return err
	})
	return token
}

// AddEncrypted encrypts a plaintext and adds a data token for it, as
// DataTokenService.Store would. It returns the token. See [Profile.AddDataToken] for
// about.
func (p *Profile) AddEncrypted(about DataToken, cipher privicore.Cipher, plaintext []byte) (token string) {
	p.server.helper()
	if about.Size == 0 {
		about.Size = int64(len(plaintext))
	}
	ciphertext, err := encrypt(cipher, plaintext, privicore.Binding(about.Context))
	p.change("data token", func(s *state) error {
		if err == nil {
			token, err = s.addDataToken(p.profile, about, ciphertext)
		}
		return err
	})
	return token
}

func encrypt(cipher privicore.Cipher, plaintext []byte, binding privicore.Binding) ([]byte, error) {
	var ciphertext bytes.Buffer
	w, err := cipher.Encrypt(context.Background(), &ciphertext, binding)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plaintext); err != nil {
		return nil, err
	}
	err = w.Close()
	return ciphertext.Bytes(), err
}

// addDataToken does what reserving, sending and describing data do. The data may be
// larger than what can be sent inline.
func (s *state) addDataToken(p *profile, about DataToken, data []byte) (string, error) {
	reservation := map[string]any{"context": about.Context}
	for name, v := range about.Meta {
		reservation["meta["+strings.ReplaceAll(name, ".", "][")+"]"] = v
	}
	cmd, err := s.seed(p, operation.DataTokenReserve, reservation)
	if err != nil {
		return "", err
	}
	sp, ok := cmd.made.(*space)
	if !ok {
		return "", errors.New("no space was reserved")
	}
	sp.payload = &payload{size: int64(len(data)), data: data}
	_, err = s.seed(p, operation.DataTokenConfigureFileMeta, about.fileMeta(sp.token, len(data)))
	if err != nil {
		s.release(sp)
		return "", err
	}
	return p.dataTokens[len(p.dataTokens)-1].token, nil
}

// fileMeta returns the parameters that describe data, with the defaults of
// privicore.Payload.
func (t DataToken) fileMeta(temporary string, stored int) map[string]any {
	or := func(value, otherwise string) string {
		if value == "" {
			return otherwise
		}
		return value
	}
	name := or(t.FileName, "payload")
	extension := strings.TrimPrefix(path.Ext(name), ".")
	size := t.Size
	if size == 0 {
		size = int64(stored)
	}
	return map[string]any{
		"token":     temporary,
		"context":   t.Context,
		"fileName":  name,
		"extension": or(t.Extension, or(extension, "bin")),
		"path":      or(t.Path, "/"),
		"size":      strconv.FormatInt(size, 10),
	}
}

// DataTokens returns the data tokens of the profile, the oldest first.
func (p *Profile) DataTokens() []DataToken {
	p.server.state.mu.Lock()
	defer p.server.state.mu.Unlock()
	var tokens []DataToken
	for _, t := range p.profile.dataTokens {
		tokens = append(tokens, t.snapshot())
	}
	return tokens
}

// DataToken returns the data token of the profile with that name. It returns the
// zero value if there is none.
func (p *Profile) DataToken(token string) DataToken {
	p.server.state.mu.Lock()
	defer p.server.state.mu.Unlock()
	if t := p.server.state.dataToken(p.profile, token); t != nil {
		return t.snapshot()
	}
	return DataToken{}
}

func (t *dataToken) snapshot() DataToken {
	return DataToken{
		Token:      t.token,
		Context:    t.context,
		FileName:   t.fileName,
		Extension:  t.extension,
		Path:       t.path,
		Size:       t.size,
		StoredSize: t.payload.size,
		Meta:       maps.Clone(t.meta),
		CreatedAt:  t.created,
	}
}

// Ciphertext returns the bytes that the server stores for a data token, as they were
// sent. A token that the profile does not have is a wrong use, as described at
// [Profile].
func (p *Profile) Ciphertext(token string) (data []byte) {
	p.server.helper()
	p.change("data token "+token, func(s *state) (err error) {
		t := s.dataToken(p.profile, token)
		if t == nil {
			return noToken().err()
		}
		data, err = t.payload.read()
		data = bytes.Clone(data)
		return err
	})
	return data
}

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"io"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/operation"
)

var (
	temporaryForm = object(has("token", text), has("stream", text))
	committedForm = either(object(has("token", text)), text)
	dataRecord    = object(
		has("token", text), has("context", anyText), has("fileName", anyText), has("extension", anyText),
		has("size", number), has("createdAt", timestamp),
	)
	dataPage = object(
		has("items", list(dataRecord)),
		has("meta", object(has("count", number), has("page", number), has("perPage", number))),
	)
)

// The sizes of the payloads, in bytes. The larger one does not fit into a message.
const (
	smallPayload = 1 << 10
	largePayload = 60_000
)

// payload returns random bytes, as ciphertext would be.
func (s *session) newPayload(size int) []byte {
	data := make([]byte, size)
	_, _ = rand.Read(data) // it never fails
	s.secrets.add(base64.StdEncoding.EncodeToString(data[:smallPayload]))
	return data
}

// reserveSpace reserves space and returns the command.
func (s *session) reserveSpace(ctx context.Context) (*privicore.Command, error) {
	pending, err := s.own.client.DataToken.Reserve(ctx, privicore.ReserveRequest{Context: s.name})
	if err != nil {
		return nil, err
	}
	return pending.Command, nil
}

func reserve(ctx context.Context, s *session, f *finding) bool {
	id, ok := f.command(ctx, s.own, s.reserveSpace)
	s.reservation = id
	return ok
}

func retrieveTemporary(ctx context.Context, s *session, f *finding) bool {
	e := f.soon(ctx, temporaryForm, func(ctx context.Context) error {
		_, err := s.own.client.DataToken.RetrieveTemporary(ctx, s.reservation)
		return err
	})
	if e == nil {
		return false
	}
	s.temporary, s.stream = e.json().Get("token").Str, e.json().Get("stream").Str
	if s.stream != "" {
		s.dialect.stream(f.op, s.stream)
	}
	return s.temporary != ""
}

func exchangeData(ctx context.Context, s *session, f *finding) bool {
	s.payload = s.newPayload(smallPayload)
	_, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.DataToken.Exchange(ctx, s.temporary, s.payload)
	})
	return ok
}

// fileMeta describes a payload.
func (s *session) fileMeta(data []byte) privicore.FileMeta {
	return privicore.FileMeta{FileName: "first", Extension: "bin", Context: s.name, Size: int64(len(data)), Path: "/"}
}

// stored notes a data token, so that it is removed.
func (s *session) stored(token string) *thing {
	return s.made("a data token with the context "+s.name, removal(func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.DataToken.Delete(ctx, token)
	}))
}

func configureFileMeta(ctx context.Context, s *session, f *finding) bool {
	e := f.value(ctx, committedForm, func(ctx context.Context) error {
		_, err := s.own.client.DataToken.ConfigureFileMeta(ctx, s.temporary, s.fileMeta(s.payload))
		return err
	})
	if e == nil {
		return false
	}
	v := e.json()
	s.dialect.see(rowCommitted, choose(v.IsObject(), v.Type == gjson.String), f.op)
	s.dataToken = v.Get("token").Str
	if v.Type == gjson.String {
		s.dataToken = v.Str
	}
	if s.dataToken == "" {
		return false
	}
	s.dataMade = s.stored(s.dataToken)
	return true
}

func (s *session) dataTokens(ctx context.Context) error {
	_, err := s.own.client.DataToken.List(ctx, privicore.DataTokenFilter{Context: s.name})
	return err
}

func listDataTokens(ctx context.Context, s *session, f *finding) bool {
	e := f.value(ctx, dataPage, s.dataTokens)
	if e == nil {
		return false
	}
	items := e.json().Get("items")
	f.expect(holds(items, s.dataToken), "the list does not have the new token")
	for _, item := range items.Array() {
		context := item.Get("context")
		f.expect(!context.Exists() || context.Str == s.name, "the filter by context lets other tokens through")
	}
	return true
}

func configureRiskMeta(ctx context.Context, s *session, f *finding) bool {
	_, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.DataToken.ConfigureRiskMeta(ctx, s.dataToken, privicore.RiskMeta{
			Classification: "public", Label: "conformance", Handling: "none",
		})
	})
	return ok
}

func updateMeta(ctx context.Context, s *session, f *finding) bool {
	const renamed = "second"
	if _, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.DataToken.UpdateMeta(ctx, s.dataToken, privicore.TokenMeta{FileName: renamed})
	}); !ok {
		return false
	}
	f.effect(ctx, "the list still has the old file name", s.dataTokens, func(v gjson.Result) bool {
		name := entry(v.Get("items"), s.dataToken).Get("fileName")
		return !name.Exists() || name.Str == renamed
	})
	return true
}

func updateData(ctx context.Context, s *session, f *finding) bool {
	updated := s.newPayload(smallPayload)
	if _, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.DataToken.Update(ctx, s.dataToken, updated, privicore.DataMeta{})
	}); !ok {
		return false
	}
	s.updated = updated
	if v, err := raw(ctx, s.dataTokens); err == nil {
		kept := entry(v.Get("items"), s.dataToken).Get("fileName").Str != ""
		f.note("meta that is left out is kept: %t", kept)
	}
	return true
}

func requestData(ctx context.Context, s *session, f *finding) bool {
	var pending *privicore.PendingData
	e := f.send(ctx, func(ctx context.Context) (err error) {
		pending, err = s.own.client.DataToken.Request(ctx, s.dataToken)
		return err
	})
	if e == nil {
		return false
	}
	f.status(e, http.StatusAccepted)
	if e.header.Get(requestHeader) == "" {
		f.differs("the header X-DPT-CAB-REQUEST-ID is missing")
	}
	if pending == nil {
		f.follow(ctx, s.own, e, nil)
		return false
	}
	got, err := read(pending.Result(ctx))
	if err != nil {
		f.differs("the requested data does not come: %s", cause(err))
		return false
	}
	if id := f.commandID(e); id != "" {
		f.acknowledged(ctx, s.own, id, true)
	}
	if s.own.channel != nil {
		f.announced(ctx, s.own, pending.RequestID, f.op)
	}
	s.compare(f, got)
	return true
}

// compare compares the data of the first token with what was stored last. If it is
// what was stored before, the update had no effect.
func (s *session) compare(f *finding, got []byte) {
	switch {
	case s.updated != nil && bytes.Equal(got, s.payload):
		s.finding(operation.DataTokenUpdate).differs("the data is still the old one")
	case s.updated != nil:
		f.expect(bytes.Equal(got, s.updated), "the data is not what was stored")
	default:
		f.expect(bytes.Equal(got, s.payload), "the data is not what was stored")
	}
}

// read reads data that was requested.
func read(data *privicore.Ciphertext, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer data.Close()
	return io.ReadAll(data)
}

// upload reserves a space of its own, because each takes one payload.
func upload(ctx context.Context, s *session, f *finding) bool {
	cmd, err := s.reserveSpace(ctx)
	if wait(ctx, cmd, err) != nil {
		return f.stuck(operation.DataTokenReserve)
	}
	var space *privicore.TemporaryToken
	if err := eventually(ctx, func() (err error) {
		space, err = s.own.client.DataToken.RetrieveTemporary(ctx, cmd.ID)
		return err
	}); err != nil || space.Stream.IsZero() {
		return f.stuck(operation.DataTokenRetrieveTemporary)
	}
	if !strings.Contains(space.Stream.Reveal(), "auth=") {
		f.unreachable = "the server gives a token for an upload, but no address"
		return false
	}
	s.streamed = s.newPayload(largePayload)
	e := f.send(ctx, func(ctx context.Context) error {
		return s.own.client.DataToken.Upload(ctx, space.Stream, bytes.NewReader(s.streamed))
	})
	if e == nil {
		return false
	}
	token, err := s.own.client.DataToken.ConfigureFileMeta(ctx, space.Token, s.fileMeta(s.streamed))
	if err != nil {
		f.note("the upload could not be committed")
		return false
	}
	s.secondToken = token
	s.stored(token)
	return true
}

func download(ctx context.Context, s *session, f *finding) bool {
	pending, err := s.own.client.DataToken.Request(ctx, s.secondToken)
	if err != nil {
		return f.stuck(operation.DataTokenRequest)
	}
	var got []byte
	e := f.send(ctx, func(ctx context.Context) (err error) {
		got, err = read(pending.Result(ctx))
		return err
	})
	if e == nil {
		return false
	}
	f.status(e, http.StatusOK)
	f.expect(bytes.Equal(got, s.streamed), "the data is not what was uploaded")
	if s.own.channel != nil {
		f.announced(ctx, s.own, pending.RequestID, f.op)
	}
	return true
}

func deleteData(ctx context.Context, s *session, f *finding) bool {
	if _, ok := f.command(ctx, s.own, func(ctx context.Context) (*privicore.Command, error) {
		return s.own.client.DataToken.Delete(ctx, s.dataToken)
	}); !ok {
		return false
	}
	s.dataMade.gone = true
	f.effect(ctx, "the token is still in the list", s.dataTokens, func(v gjson.Result) bool {
		return !holds(v, s.dataToken)
	})
	return true
}

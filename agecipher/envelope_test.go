package agecipher_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/agecipher"
)

func keyring(t testing.TB, id string) *privicore.Keyring {
	t.Helper()
	ring, err := privicore.NewKeyring(id, bytes.Repeat([]byte{1}, 32))
	require.NoError(t, err)
	return ring
}

// wrapper is a Keyring that counts what it is asked, and fails when told to.
type wrapper struct {
	*privicore.Keyring
	unwraps atomic.Int32
	wrap    func(context.Context) (privicore.WrappedKey, error) // instead, if set
	unwrap  func(context.Context) ([]byte, error)               // instead, if set
}

func (w *wrapper) WrapKey(ctx context.Context, dataKey []byte, binding privicore.Binding) (privicore.WrappedKey, error) {
	if w.wrap != nil {
		return w.wrap(ctx)
	}
	return w.Keyring.WrapKey(ctx, dataKey, binding)
}

func (w *wrapper) UnwrapKey(ctx context.Context, wrapped privicore.WrappedKey, binding privicore.Binding) ([]byte, error) {
	w.unwraps.Add(1)
	if w.unwrap != nil {
		return w.unwrap(ctx)
	}
	return w.Keyring.UnwrapKey(ctx, wrapped, binding)
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"1", "2026-11", "a key with spaces\nand lines", "arn:aws:kms:eu-west-1:1:key/é", strings.Repeat("k", privicore.MaxKeyID)} {
		w := &wrapper{Keyring: keyring(t, id)}
		c := agecipher.NewEnvelope(w)
		assert.True(t, c.Binds())
		for _, n := range []int{0, chunk, 3*chunk + 1} {
			plaintext := random(t, n)
			ciphertext := encryptFor(t, c, plaintext, "invoices")
			got, err := decryptFor(t, c, ciphertext, "invoices")
			require.NoError(t, err)
			assert.True(t, bytes.Equal(plaintext, got))
			asked := w.unwraps.Load()
			got, err = decryptFor(t, c, ciphertext, "payroll")
			require.ErrorIs(t, err, privicore.ErrDecrypt)
			assert.Empty(t, got)
			assert.Equal(t, asked, w.unwraps.Load(), "the KeyWrapper is not asked")
		}
		_, err := c.Encrypt(t.Context(), io.Discard, "")
		requireNoContext(t, err)
		_, err = c.Decrypt(t.Context(), bytes.NewReader(encryptFor(t, c, nil, "x")), "")
		requireNoContext(t, err)
	}
}

func TestEnvelopeRotates(t *testing.T) {
	t.Parallel()
	ring := keyring(t, "1")
	c := agecipher.NewEnvelope(ring)
	first := encryptFor(t, c, []byte("first"), "x")
	require.NoError(t, ring.Add("2", bytes.Repeat([]byte{2}, 32)))
	require.NoError(t, ring.Promote("2"))
	second := encryptFor(t, c, []byte("second"), "x")
	got, err := decryptFor(t, c, first, "x")
	require.NoError(t, err)
	assert.Equal(t, "first", string(got))
	require.NoError(t, ring.Drop("1"))
	_, err = decryptFor(t, c, first, "x")
	var unknown *privicore.UnknownKeyError
	require.ErrorAs(t, err, &unknown)
	assert.Equal(t, "1", unknown.KeyID)
	assert.NotErrorIs(t, err, privicore.ErrDecrypt)
	got, err = decryptFor(t, c, second, "x")
	require.NoError(t, err)
	assert.Equal(t, "second", string(got))
}

// A KeyWrapper that fails is not taken for an altered ciphertext.
func TestEnvelopeWrapperFails(t *testing.T) {
	t.Parallel()
	down := errors.New("KMS: connection refused")
	w := &wrapper{Keyring: keyring(t, "1")}
	c := agecipher.NewEnvelope(w)
	whole := encryptFor(t, c, []byte("x"), "x")
	requireKeyError := func(id string, cause, err error) {
		t.Helper()
		var failed *privicore.KeyError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, id, failed.KeyID)
		assert.NotErrorIs(t, err, privicore.ErrDecrypt)
		if cause != nil {
			require.ErrorIs(t, err, cause)
		}
	}
	w.unwrap = func(context.Context) ([]byte, error) { return nil, down }
	_, err := decryptFor(t, c, whole, "x")
	requireKeyError("1", down, err)
	w.unwrap = func(context.Context) ([]byte, error) { return nil, nil }
	_, err = decryptFor(t, c, whole, "x")
	requireKeyError("1", nil, err)
	w.unwrap = func(context.Context) ([]byte, error) { return nil, &privicore.KeyError{KeyID: "its own", Err: down} }
	_, err = decryptFor(t, c, whole, "x")
	requireKeyError("its own", down, err)
	w.unwrap = func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Decrypt(ctx, bytes.NewReader(whole), "x")
	requireKeyError("1", context.Canceled, err)
	w.unwrap = func(context.Context) ([]byte, error) { return make([]byte, 16), nil }
	_, err = decryptFor(t, c, whole, "x")
	require.ErrorIs(t, err, privicore.ErrDecrypt, "a wrong data key")

	w.wrap = func(context.Context) (privicore.WrappedKey, error) { return privicore.WrappedKey{KeyID: "1"}, down }
	var out bytes.Buffer
	_, err = c.Encrypt(t.Context(), &out, "x")
	requireKeyError("1", down, err)
	assert.Zero(t, out.Len(), "nothing was written")
	for _, n := range []int{0, privicore.MaxKeyID + 1} {
		w.wrap = func(context.Context) (privicore.WrappedKey, error) {
			return privicore.WrappedKey{KeyID: strings.Repeat("x", n)}, nil
		}
		_, err = c.Encrypt(t.Context(), io.Discard, "x")
		requireKeyError("", nil, err)
		assert.ErrorContains(t, err, fmt.Sprintf("its id has %d bytes", n))
	}
	none := agecipher.NewEnvelope(nil)
	_, err = none.Encrypt(t.Context(), io.Discard, "x")
	require.Error(t, err)
	_, err = none.Decrypt(t.Context(), bytes.NewReader(whole), "x")
	require.Error(t, err)
}

// Nothing but the whole ciphertext opens.
func TestEnvelopeTampering(t *testing.T) {
	t.Parallel()
	c := agecipher.NewEnvelope(keyring(t, "1"))
	plaintext := random(t, 300)
	whole := encryptFor(t, c, plaintext, "x")
	refuse := func(ciphertext []byte) {
		t.Helper()
		got, err := decryptFor(t, c, ciphertext, "x")
		if _, ok := errors.AsType[*privicore.UnknownKeyError](err); !ok {
			require.ErrorIs(t, err, privicore.ErrDecrypt)
		}
		_, failed := errors.AsType[*privicore.KeyError](err)
		assert.False(t, failed, "%v", err)
		assert.Empty(t, got)
	}
	for n := range whole {
		refuse(whole[:n])
		altered := bytes.Clone(whole)
		altered[n] ^= 1
		refuse(altered)
	}
	id := identity(t)
	refuse(encryptFor(t, agecipher.NewBound(id), plaintext, "x"))
	header, _, _ := strings.Cut(string(whole), "\n---")
	envelope := regexp.MustCompile("(?s)-> privicore-go/envelope/v1 .*?(-> privicore-go/binding/v1)")
	for _, forged := range []string{
		envelope.ReplaceAllString(string(whole), "$1"),
		strings.Replace(string(whole), "\n---", "\n-> extra\n\n---", 1),
		strings.Replace(string(whole), "\n---", header[len("age-encryption.org/v1"):]+"\n---", 1),
		strings.Replace(string(whole), "/envelope/v1 ", "/envelope/v1 A ", 1),
		strings.Replace(string(whole), "/envelope/v1 MQ", "/envelope/v1 M*", 1),
	} {
		require.NotEqual(t, string(whole), forged)
		refuse([]byte(forged))
	}
	_, err := decryptFor(t, agecipher.NewFor(nil, []age.Identity{id}), whole, "x")
	require.ErrorIs(t, err, privicore.ErrDecrypt)
}

func TestEnvelopeShowsNoKey(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("\x01", 32)
	c := agecipher.NewEnvelope(keyring(t, "1"))
	for _, v := range []any{c, *c, struct{ c *agecipher.Cipher }{c}, struct{ c agecipher.Cipher }{*c}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			shown := fmt.Sprintf(verb, v)
			assert.NotContains(t, shown, key, verb)
			assert.NotContains(t, shown, strings.Repeat("01", 32), verb)
			assert.NotContains(t, shown, strings.Repeat("1 ", 31), verb)
		}
	}
}

// blocks is a source without end of the same bytes.
type blocks struct{}

func (blocks) Read(p []byte) (int, error) { return len(p), nil }

// stream encrypts n bytes and decrypts them again without keeping them, and calls
// often now and then.
func stream(t testing.TB, c privicore.Cipher, n int64, often func()) {
	t.Helper()
	r, w := io.Pipe()
	go func() {
		enc, err := c.Encrypt(t.Context(), w, "x")
		if err == nil {
			_, err = io.CopyBuffer(struct{ io.Writer }{enc}, io.LimitReader(blocks{}, n), make([]byte, 1<<20))
		}
		if err == nil {
			err = enc.Close()
		}
		w.CloseWithError(err)
	}()
	plaintext, err := c.Decrypt(t.Context(), r, "x")
	require.NoError(t, err)
	buf := make([]byte, 1<<20)
	read := int64(0)
	for i := 0; err == nil; i++ {
		var k int
		k, err = plaintext.Read(buf)
		read += int64(k)
		if i%64 == 0 {
			often()
		}
	}
	require.Equal(t, io.EOF, err)
	require.Equal(t, n, read)
}

// The memory that an envelope needs does not grow with its size.
func TestEnvelopeMemory(t *testing.T) {
	var peak uint64
	measure := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapInuse)
	}
	c := agecipher.NewEnvelope(keyring(t, "1"))
	runtime.GC()
	measure()
	before := peak
	stream(t, c, 128<<20, measure)
	assert.Less(t, peak-before, uint64(16<<20))
}

// FuzzEnvelope is what comes from a server in place of an envelope.
func FuzzEnvelope(f *testing.F) {
	c := agecipher.NewEnvelope(keyring(f, "1"))
	plaintext := []byte("a plaintext")
	whole := encryptFor(f, c, plaintext, "x")
	f.Add([]byte(nil), uint(0), uint(0), byte(0))
	f.Add([]byte("age-encryption.org/v1\n-> privicore-go/envelope/v1 MQ\n\n--- b\n"), uint(0), uint(30), byte(1))
	f.Add([]byte("-> privicore-go/envelope/v1\n\n"), uint(22), uint(60), byte(2))
	f.Add([]byte("-> privicore-go/binding/v1 a b\n\n"), uint(22), uint(100), byte(4))
	f.Fuzz(func(t *testing.T, foreign []byte, keep, at uint, change byte) {
		refuse := func(ciphertext []byte) {
			t.Helper()
			got, err := decryptFor(t, c, ciphertext, "x")
			if _, ok := errors.AsType[*privicore.UnknownKeyError](err); !ok {
				require.ErrorIs(t, err, privicore.ErrDecrypt)
			}
			require.Empty(t, got)
		}
		refuse(foreign)
		cut := append(whole[:keep%uint(len(whole)):keep%uint(len(whole))], foreign...)
		if !bytes.Equal(cut, whole) {
			refuse(cut)
		}
		altered := bytes.Clone(whole)
		altered[at%uint(len(whole))] ^= max(change, 1)
		refuse(altered)
	})
}

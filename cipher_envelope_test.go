package privicore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// testWrapper is a Keyring that counts what it is asked, and fails when told to.
type testWrapper struct {
	*privicore.Keyring
	wraps, unwraps atomic.Int32
	wrap           func(context.Context) (privicore.WrappedKey, error) // instead, if set
	unwrap         func(context.Context) ([]byte, error)               // instead, if set
}

func (w *testWrapper) WrapKey(ctx context.Context, dataKey []byte, binding privicore.Binding) (privicore.WrappedKey, error) {
	w.wraps.Add(1)
	if w.wrap != nil {
		return w.wrap(ctx)
	}
	return w.Keyring.WrapKey(ctx, dataKey, binding)
}

func (w *testWrapper) UnwrapKey(ctx context.Context, wrapped privicore.WrappedKey, binding privicore.Binding) ([]byte, error) {
	w.unwraps.Add(1)
	if w.unwrap != nil {
		return w.unwrap(ctx)
	}
	return w.Keyring.UnwrapKey(ctx, wrapped, binding)
}

var errKMS = errors.New("KMS: connection refused")

func TestEnvelope(t *testing.T) {
	t.Parallel()
	wrapper := &testWrapper{Keyring: newKeyring(t, "2026-11")}
	c := privicore.NewEnvelope(wrapper)
	assert.True(t, c.Binds())
	for _, n := range []int64{0, 1, 100_000} {
		plaintext, err := io.ReadAll(noise(n))
		require.NoError(t, err)
		ciphertext := encryptedFor(t, c, plaintext, "invoices")
		assert.NotEqual(t, ciphertext, encryptedFor(t, c, plaintext, "invoices"))
		got, err := decryptedFor(t, c, ciphertext, "invoices")
		require.NoError(t, err)
		assert.True(t, bytes.Equal(plaintext, got))

		asked := wrapper.unwraps.Load()
		got, err = decryptedFor(t, c, ciphertext, "payroll")
		require.ErrorIs(t, err, privicore.ErrDecrypt)
		assert.Empty(t, got)
		assert.Equal(t, asked, wrapper.unwraps.Load(), "what is bound to something else is refused before the key is asked for")
	}
	assert.Equal(t, int32(6), wrapper.wraps.Load())
	assert.Equal(t, int32(3), wrapper.unwraps.Load())
}

func TestEnvelopeRotates(t *testing.T) {
	t.Parallel()
	ring := newKeyring(t, "1")
	c := privicore.NewEnvelope(ring)
	first := encryptedFor(t, c, []byte("first"), "x")
	require.NoError(t, ring.Add("2", keyOf("2")))
	require.NoError(t, ring.Promote("2"))
	second := encryptedFor(t, c, []byte("second"), "x")
	got, err := decryptedFor(t, c, first, "x")
	require.NoError(t, err)
	assert.Equal(t, "first", string(got))
	require.NoError(t, ring.Drop("1"))
	_, err = decryptedFor(t, c, first, "x")
	requireUnknownKey(t, "1", err)
	got, err = decryptedFor(t, c, second, "x")
	require.NoError(t, err)
	assert.Equal(t, "second", string(got))
}

// A KeyWrapper that fails is never taken for an altered ciphertext.
func TestEnvelopeWrapperFails(t *testing.T) {
	t.Parallel()
	wrapper := &testWrapper{Keyring: newKeyring(t, "1")}
	c := privicore.NewEnvelope(wrapper)
	whole := encryptedFor(t, c, []byte("x"), "x")
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
	wrapper.unwrap = func(context.Context) ([]byte, error) { return nil, errKMS }
	_, err := decryptedFor(t, c, whole, "x")
	requireKeyError("1", errKMS, err)
	assert.EqualError(t, err, `privicore: key "1" could not be used: KMS: connection refused`)
	wrapper.unwrap = func(context.Context) ([]byte, error) { return nil, nil }
	_, err = decryptedFor(t, c, whole, "x")
	requireKeyError("1", nil, err)
	wrapper.unwrap = func(context.Context) ([]byte, error) {
		return nil, &privicore.KeyError{KeyID: "its own", Err: errKMS}
	}
	_, err = decryptedFor(t, c, whole, "x")
	requireKeyError("its own", errKMS, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wrapper.unwrap = func(context.Context) ([]byte, error) { return nil, ctx.Err() }
	_, err = c.Decrypt(ctx, bytes.NewReader(whole), "x")
	requireKeyError("1", context.Canceled, err)

	for want, wrapped := range map[string]privicore.WrappedKey{
		"connection refused":    {},
		"its id has 0 bytes":    {KeyID: "", Ciphertext: []byte("x")},
		"its id has 2049 bytes": {KeyID: strings.Repeat("x", privicore.MaxKeyID+1)},
		"could not be used":     {KeyID: "1", Ciphertext: make([]byte, 1<<16)},
	} {
		wrapper.wrap = func(context.Context) (privicore.WrappedKey, error) {
			if want == "connection refused" {
				return wrapped, errKMS
			}
			return wrapped, nil
		}
		_, err := c.Encrypt(t.Context(), io.Discard, "x")
		requireKeyError(wrapped.KeyID, nil, err)
		assert.ErrorContains(t, err, want)
	}
	for _, c := range []*privicore.Envelope{nil, {}, privicore.NewEnvelope(nil)} {
		_, err := c.Encrypt(t.Context(), io.Discard, "x")
		assert.ErrorContains(t, err, "NewEnvelope")
		_, err = c.Decrypt(t.Context(), bytes.NewReader(whole), "x")
		assert.ErrorContains(t, err, "NewEnvelope")
	}
}

func TestEnvelopeTampering(t *testing.T) {
	t.Parallel()
	c := privicore.NewEnvelope(newKeyring(t, "1"))
	whole := encryptedFor(t, c, []byte("attack at dawn"), "orders")
	refuse := func(ciphertext []byte) {
		t.Helper()
		got, err := decryptedFor(t, c, ciphertext, "orders")
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
	refuse(append(bytes.Clone(whole), 0))
	other := encryptedFor(t, c, []byte("attack at noon"), "orders")
	refuse(append(bytes.Clone(whole[:len(whole)-14-28]), other[len(other)-14-28:]...))
	refuse(encrypted(t, newAESGCM(t, keyOf("1")), []byte("x")))
	broken := errors.New("cable cut")
	_, err := c.Decrypt(t.Context(), io.MultiReader(bytes.NewReader(whole), iotest.ErrReader(broken)), "orders")
	require.ErrorIs(t, err, broken)
	assert.NotErrorIs(t, err, privicore.ErrDecrypt)
	_, err = c.Decrypt(t.Context(), zeros{}, "orders")
	require.ErrorIs(t, err, privicore.ErrTooLarge)
	w, err := c.Encrypt(t.Context(), brokenWriter{}, "orders")
	require.NoError(t, err)
	assert.ErrorIs(t, w.Close(), errDisk)
}

// The largest payload fits, whatever its key is called.
func TestEnvelopeLimit(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	id := strings.Repeat("k", privicore.MaxKeyID)
	c := privicore.NewEnvelope(newKeyring(t, id))
	var out bytes.Buffer
	w, err := c.Encrypt(t.Context(), &out, "x")
	require.NoError(t, err)
	_, err = w.Write(make([]byte, privicore.MaxAESGCM))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	got, err := decryptedFor(t, c, out.Bytes(), "x")
	require.NoError(t, err)
	assert.Len(t, got, privicore.MaxAESGCM)
}

// FuzzEnvelope is what comes from a server in place of an envelope.
func FuzzEnvelope(f *testing.F) {
	c := privicore.NewEnvelope(newKeyring(f, "1"))
	whole := encryptedFor(f, c, []byte("a plaintext"), "x")
	f.Add([]byte(nil), uint(0), uint(0), byte(0))
	f.Add([]byte("privicore-go/envelope/v1\n\x00\x01x"), uint(0), uint(3), byte(1))
	f.Add(bytes.Repeat([]byte{0xff}, 100), uint(25), uint(26), byte(0x80))
	f.Add(make([]byte, 100), uint(40), uint(100), byte(2))
	f.Fuzz(func(t *testing.T, foreign []byte, keep, at uint, change byte) {
		refuse := func(ciphertext []byte) {
			t.Helper()
			got, err := decryptedFor(t, c, ciphertext, "x")
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

package tinkprivicore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/testing/fakekms"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/agecipher"
	"github.com/privicore/privicore-go/contrib/tinkprivicore"
	"github.com/privicore/privicore-go/privicoretest"
)

// newManager has a keyset of one AES-256-GCM key.
func newManager(t testing.TB) *keyset.Manager {
	t.Helper()
	m := keyset.NewManager()
	rotate(t, m)
	return m
}

// rotate adds a key to a keyset and makes it primary. It returns the key's number.
func rotate(t testing.TB, m *keyset.Manager) uint32 {
	t.Helper()
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	require.NoError(t, err)
	require.NoError(t, m.SetPrimary(id))
	return id
}

func aeadOf(t testing.TB, m *keyset.Manager) tink.AEAD {
	t.Helper()
	handle, err := m.Handle()
	require.NoError(t, err)
	a, err := aead.New(handle)
	require.NoError(t, err)
	return a
}

func newWrapper(t testing.TB, primary tinkprivicore.Key, older ...tinkprivicore.Key) *tinkprivicore.KeyWrapper {
	t.Helper()
	w, err := tinkprivicore.New(primary, older...)
	require.NoError(t, err)
	return w
}

func encrypt(t testing.TB, c privicore.Cipher, plaintext string, binding privicore.Binding) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := c.Encrypt(t.Context(), &out, binding)
	require.NoError(t, err)
	_, err = io.WriteString(w, plaintext)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func decrypt(ctx context.Context, c privicore.Cipher, ciphertext []byte, binding privicore.Binding) (string, error) {
	r, err := c.Decrypt(ctx, bytes.NewReader(ciphertext), binding)
	if err != nil {
		return "", err
	}
	plaintext, err := io.ReadAll(r)
	return string(plaintext), err
}

// ciphers are those that take a KeyWrapper.
func ciphers(w privicore.KeyWrapper) []privicore.Cipher {
	return []privicore.Cipher{agecipher.NewEnvelope(w), privicore.NewEnvelope(w)}
}

func requireKeyError(t *testing.T, id string, cause, err error) {
	t.Helper()
	var failed *privicore.KeyError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, id, failed.KeyID)
	if cause != nil {
		require.ErrorIs(t, err, cause)
	}
	assert.NotErrorIs(t, err, privicore.ErrDecrypt)
}

// The whole way: what an envelope of Tink's keys encrypted is stored and comes back.
func TestStoreAndRetrieve(t *testing.T) {
	t.Parallel()
	server := privicoretest.NewServer(t, privicoretest.WithProfile("alice", "correct horse"))
	client, err := privicore.NewClient(
		privicore.WithBaseURL(server.URL), privicore.WithWebSocketURL(server.WebSocketURL),
		privicore.WithCredentials("alice", "correct horse"),
	)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	for _, c := range ciphers(newWrapper(t, tinkprivicore.Key{ID: "keyset", AEAD: aeadOf(t, newManager(t))})) {
		for _, size := range []int{10, 200_000} {
			data := strings.Repeat("x", size)
			token, err := client.DataToken.Store(t.Context(), privicore.Payload{Data: strings.NewReader(data), Cipher: c, Context: "invoices"})
			require.NoError(t, err)
			plaintext, err := client.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: c, Context: "invoices"})
			require.NoError(t, err)
			got, err := io.ReadAll(plaintext)
			require.NoError(t, err)
			require.NoError(t, plaintext.Close())
			assert.Equal(t, data, string(got))
			_, err = client.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: c, Context: "payroll"})
			require.ErrorIs(t, err, privicore.ErrDecrypt)
		}
	}
}

// A keyset rotates behind its id.
func TestKeysetRotates(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	for i := range 2 {
		first := encrypt(t, ciphers(newWrapper(t, tinkprivicore.Key{ID: "keyset", AEAD: aeadOf(t, m)}))[i], "first", "x")
		old := primary(t, m)
		rotate(t, m)
		c := ciphers(newWrapper(t, tinkprivicore.Key{ID: "keyset", AEAD: aeadOf(t, m)}))[i]
		second := encrypt(t, c, "second", "x")
		got, err := decrypt(t.Context(), c, first, "x")
		require.NoError(t, err)
		assert.Equal(t, "first", got)

		require.NoError(t, m.Delete(old))
		c = ciphers(newWrapper(t, tinkprivicore.Key{ID: "keyset", AEAD: aeadOf(t, m)}))[i]
		got, err = decrypt(t.Context(), c, second, "x")
		require.NoError(t, err)
		assert.Equal(t, "second", got)
		_, err = decrypt(t.Context(), c, first, "x")
		requireKeyError(t, "keyset", nil, err)
	}
}

func primary(t testing.TB, m *keyset.Manager) uint32 {
	t.Helper()
	handle, err := m.Handle()
	require.NoError(t, err)
	return handle.KeysetInfo().GetPrimaryKeyId()
}

// From one id to another: the new one wraps, the old one opens until it is left out.
func TestIDsRotate(t *testing.T) {
	t.Parallel()
	one := tinkprivicore.Key{ID: "kms://one", AEAD: aeadOf(t, newManager(t))}
	two := tinkprivicore.Key{ID: "kms://two", AEAD: aeadOf(t, newManager(t))}
	for i := range 2 {
		first := encrypt(t, ciphers(newWrapper(t, one))[i], "first", "x")
		both := ciphers(newWrapper(t, two, one))[i]
		second := encrypt(t, both, "second", "x")
		for ciphertext, want := range map[string]string{string(first): "first", string(second): "second"} {
			got, err := decrypt(t.Context(), both, []byte(ciphertext), "x")
			require.NoError(t, err)
			assert.Equal(t, want, got)
		}
		last := ciphers(newWrapper(t, two))[i]
		got, err := decrypt(t.Context(), last, second, "x")
		require.NoError(t, err)
		assert.Equal(t, "second", got)
		_, err = decrypt(t.Context(), last, first, "x")
		var unknown *privicore.UnknownKeyError
		require.ErrorAs(t, err, &unknown)
		assert.Equal(t, "kms://one", unknown.KeyID)
		assert.NotErrorIs(t, err, privicore.ErrDecrypt)
	}
}

// Binding and id are authenticated by the AEAD itself.
func TestBinds(t *testing.T) {
	t.Parallel()
	tampered := func(error) bool { return true } // an AEAD in memory fails for nothing else
	a := aeadOf(t, newManager(t))
	w := newWrapper(t, tinkprivicore.Key{ID: "1", AEAD: a, Tampered: tampered}, tinkprivicore.Key{ID: "2", AEAD: a})
	dataKey := []byte("0123456789abcdef")
	wrapped, err := w.WrapKey(t.Context(), dataKey, "invoices")
	require.NoError(t, err)
	assert.Equal(t, "1", wrapped.KeyID)
	assert.NotContains(t, string(wrapped.Ciphertext), string(dataKey))
	got, err := w.UnwrapKey(t.Context(), wrapped, "invoices")
	require.NoError(t, err)
	assert.Equal(t, dataKey, got)
	_, err = w.UnwrapKey(t.Context(), wrapped, "payroll")
	require.ErrorIs(t, err, privicore.ErrDecrypt)
	_, err = w.UnwrapKey(t.Context(), privicore.WrappedKey{KeyID: "2", Ciphertext: wrapped.Ciphertext}, "invoices")
	requireKeyError(t, "2", nil, err)
	for n := range wrapped.Ciphertext {
		altered := bytes.Clone(wrapped.Ciphertext)
		altered[n] ^= 1
		_, err = w.UnwrapKey(t.Context(), privicore.WrappedKey{KeyID: "1", Ciphertext: altered}, "invoices")
		require.ErrorIs(t, err, privicore.ErrDecrypt)
	}
}

// remote is an AEAD behind a network.
type remote struct {
	tink.AEAD
	delay time.Duration
	err   error
}

func (r *remote) Encrypt(plaintext, data []byte) ([]byte, error) {
	time.Sleep(r.delay)
	if r.err != nil {
		return nil, r.err
	}
	return r.AEAD.Encrypt(plaintext, data)
}

func (r *remote) Decrypt(ciphertext, data []byte) ([]byte, error) {
	time.Sleep(r.delay)
	if r.err != nil {
		return nil, r.err
	}
	return r.AEAD.Decrypt(ciphertext, data)
}

// A KMS that is down or refuses is never taken for an altered ciphertext.
func TestDownAndRefusing(t *testing.T) {
	t.Parallel()
	r := &remote{AEAD: aeadOf(t, newManager(t))}
	w := newWrapper(t, tinkprivicore.Key{ID: "kms", AEAD: r, Tampered: func(err error) bool { return strings.Contains(err.Error(), "tag") }})
	for _, c := range ciphers(w) {
		r.err = nil
		whole := encrypt(t, c, "x", "x")
		for _, cause := range []error{errors.New("connection refused"), errors.New("AccessDeniedException")} {
			r.err = cause
			_, err := c.Encrypt(t.Context(), io.Discard, "x")
			requireKeyError(t, "kms", cause, err)
			_, err = decrypt(t.Context(), c, whole, "x")
			requireKeyError(t, "kms", cause, err)
			_, err = decrypt(t.Context(), c, whole, "payroll")
			require.ErrorIs(t, err, privicore.ErrDecrypt, "another context is found out without the KMS")
		}
		r.err = errors.New("wrong tag")
		_, err := decrypt(t.Context(), c, whole, "x")
		require.ErrorIs(t, err, privicore.ErrDecrypt)
		require.ErrorIs(t, err, r.err)
		r.err = nil
		got, err := decrypt(t.Context(), c, whole, "x")
		require.NoError(t, err)
		assert.Equal(t, "x", got)
	}
}

// A KMS that is slow is waited for as long as the context lasts.
func TestSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &remote{AEAD: aeadOf(t, newManager(t)), delay: 10 * time.Second}
		for _, c := range ciphers(newWrapper(t, tinkprivicore.Key{ID: "kms", AEAD: r})) {
			start := time.Now()
			whole := encrypt(t, c, "x", "x")
			got, err := decrypt(t.Context(), c, whole, "x")
			require.NoError(t, err)
			assert.Equal(t, "x", got)
			assert.Equal(t, 20*time.Second, time.Since(start))

			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			start = time.Now()
			_, err = decrypt(ctx, c, whole, "x")
			requireKeyError(t, "kms", context.DeadlineExceeded, err)
			_, err = c.Encrypt(ctx, io.Discard, "x")
			requireKeyError(t, "kms", context.DeadlineExceeded, err)
			assert.Equal(t, time.Second, time.Since(start))
			cancel()
			time.Sleep(time.Minute) // the call that was left behind ends
		}
	})
}

// contextual is an AEAD that wants a context.
type contextual struct {
	aead tink.AEAD
	seen []context.Context
}

func (c *contextual) EncryptWithContext(ctx context.Context, plaintext, data []byte) ([]byte, error) {
	c.seen = append(c.seen, ctx)
	return c.aead.Encrypt(plaintext, data)
}

func (c *contextual) DecryptWithContext(ctx context.Context, ciphertext, data []byte) ([]byte, error) {
	c.seen = append(c.seen, ctx)
	return c.aead.Decrypt(ciphertext, data)
}

// An AEAD that takes a context gets that of the call.
func TestContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "mine")
	only := &contextual{aead: aeadOf(t, newManager(t))}
	both := &struct {
		tink.AEAD
		*contextual
	}{aeadOf(t, newManager(t)), &contextual{aead: aeadOf(t, newManager(t))}}
	for _, w := range []*tinkprivicore.KeyWrapper{
		newWrapper(t, tinkprivicore.Key{ID: "1", WithContext: only}),
		newWrapper(t, tinkprivicore.Key{ID: "1", AEAD: both}),
	} {
		wrapped, err := w.WrapKey(ctx, make([]byte, 16), "x")
		require.NoError(t, err)
		_, err = w.UnwrapKey(ctx, wrapped, "x")
		require.NoError(t, err)
	}
	for _, seen := range [][]context.Context{only.seen, both.seen} {
		require.Len(t, seen, 2)
		for _, ctx := range seen {
			assert.Equal(t, "mine", ctx.Value(key{}))
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	a := aeadOf(t, newManager(t))
	good := tinkprivicore.Key{ID: "1", AEAD: a}
	for _, keys := range [][]tinkprivicore.Key{
		{{AEAD: a}},
		{{ID: strings.Repeat("x", privicore.MaxKeyID+1), AEAD: a}},
		{{ID: "1"}},
		{{ID: "1", AEAD: a, WithContext: &contextual{}}},
		{good, good},
		{good, {ID: "2"}},
	} {
		_, err := tinkprivicore.New(keys[0], keys[1:]...)
		require.ErrorIs(t, err, privicore.ErrValidation)
	}
	for _, w := range []*tinkprivicore.KeyWrapper{nil, {}} {
		_, err := w.WrapKey(t.Context(), make([]byte, 16), "x")
		require.ErrorContains(t, err, "use New")
		_, err = w.UnwrapKey(t.Context(), privicore.WrappedKey{KeyID: "1"}, "x")
		require.ErrorContains(t, err, "use New")
	}
}

func TestShowsNoKey(t *testing.T) {
	t.Parallel()
	key := tinkprivicore.Key{ID: "1", AEAD: &remote{err: errors.New("planted")}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		assert.Equal(t, `key "1" of Tink`, fmt.Sprintf(verb, key))
		assert.Equal(t, "KeyWrapper of Tink", fmt.Sprintf(verb, newWrapper(t, key)))
	}
}

// A client of a KMS, as Tink's integrations make them.
func TestKMSClient(t *testing.T) {
	t.Parallel()
	uri, err := fakekms.NewKeyURI()
	require.NoError(t, err)
	kms, err := fakekms.NewClient(uri)
	require.NoError(t, err)
	a, err := kms.GetAEAD(uri)
	require.NoError(t, err)
	c := agecipher.NewEnvelope(newWrapper(t, tinkprivicore.Key{ID: uri, AEAD: a}))
	got, err := decrypt(t.Context(), c, encrypt(t, c, "x", "x"), "x")
	require.NoError(t, err)
	assert.Equal(t, "x", got)
}

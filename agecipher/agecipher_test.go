package agecipher_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/agecipher"
)

// chunk is how much plaintext age authenticates at a time. sealedChunk is what it
// becomes with its tag.
const (
	chunk       = 64 << 10
	sealedChunk = chunk + 16
)

func identity(t *testing.T) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return id
}

func random(t *testing.T, n int) []byte {
	t.Helper()
	data := make([]byte, n)
	_, err := rand.Read(data)
	require.NoError(t, err)
	return data
}

func encrypt(t testing.TB, c privicore.Cipher, plaintext []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := c.Encrypt(t.Context(), &out, "tests")
	require.NoError(t, err)
	_, err = io.Copy(w, iotest.HalfReader(bytes.NewReader(plaintext)))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// decrypt reads until the end or a failure, and checks that a failure lasts.
func decrypt(t testing.TB, c privicore.Cipher, src io.Reader) ([]byte, error) {
	t.Helper()
	r, err := c.Decrypt(t.Context(), src, "tests")
	if err != nil {
		assert.Nil(t, r)
		return nil, err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		n, again := r.Read(make([]byte, 1))
		assert.Zero(t, n)
		assert.Equal(t, err, again)
	}
	return data, err
}

// payloadOf returns where the chunks begin, after the header and a nonce.
func payloadOf(ciphertext []byte, plaintext int) int {
	chunks := max(1, (plaintext+chunk-1)/chunk)
	return len(ciphertext) - plaintext - 16*chunks
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	c := agecipher.New(identity(t))
	for _, n := range []int{0, 1, 48 << 10, chunk - 1, chunk, chunk + 1, 3 * chunk, 1 << 20} {
		plaintext := random(t, n)
		ciphertext := encrypt(t, c, plaintext)
		assert.False(t, bytes.Contains(ciphertext, plaintext) && n > 8)
		got, err := decrypt(t, c, iotest.HalfReader(bytes.NewReader(ciphertext)))
		require.NoError(t, err, n)
		assert.True(t, bytes.Equal(plaintext, got), n)
	}
}

// The format is that of age, in both directions.
func TestIsAge(t *testing.T) {
	t.Parallel()
	id := identity(t)
	c := agecipher.New(id)
	r, err := age.Decrypt(bytes.NewReader(encrypt(t, c, []byte("hello"))), id)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(got))

	var out bytes.Buffer
	w, err := age.Encrypt(&out, id.Recipient())
	require.NoError(t, err)
	_, err = w.Write([]byte("hello"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	got, err = decrypt(t, c, &out)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(got))
}

func TestFresh(t *testing.T) {
	t.Parallel()
	c := agecipher.New(identity(t))
	first, second := encrypt(t, c, []byte("same")), encrypt(t, c, []byte("same"))
	assert.NotEqual(t, first, second)
}

func TestNewFor(t *testing.T) {
	t.Parallel()
	alice, bob := identity(t), identity(t)
	sender := agecipher.NewFor([]age.Recipient{alice.Recipient(), bob.Recipient()}, nil)
	ciphertext := encrypt(t, sender, []byte("hello"))
	for _, id := range []*age.X25519Identity{alice, bob} {
		got, err := decrypt(t, agecipher.NewFor(nil, []age.Identity{id}), bytes.NewReader(ciphertext))
		require.NoError(t, err)
		assert.Equal(t, "hello", string(got))
	}
	// What is missing is not the ciphertext's fault.
	_, err := decrypt(t, sender, bytes.NewReader(ciphertext))
	require.Error(t, err)
	assert.NotErrorIs(t, err, privicore.ErrDecrypt)
	for _, c := range []*agecipher.Cipher{agecipher.NewFor(nil, []age.Identity{alice}), agecipher.New(nil), {}} {
		_, err := c.Encrypt(t.Context(), io.Discard, "tests")
		assert.ErrorContains(t, err, "no recipients")
	}
	_, err = agecipher.New(nil).Decrypt(t.Context(), bytes.NewReader(ciphertext), "tests")
	assert.ErrorContains(t, err, "no identity")
}

func TestShowsNoKey(t *testing.T) {
	t.Parallel()
	id := identity(t)
	c := agecipher.New(id)
	assert.Equal(t, "age", fmt.Sprint(c))
	numbers := regexp.MustCompile(`[0-9A-F]+([ ,]+(0X)?[0-9A-F]+){7}`)
	for _, v := range []any{c, *c, struct{ C any }{c}, struct{ c *agecipher.Cipher }{c}, struct{ c agecipher.Cipher }{*c}, []any{*c}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			shown := strings.ToUpper(fmt.Sprintf(verb, v))
			assert.NotContains(t, shown, "AGE-SECRET-KEY", verb)
			assert.NotContains(t, shown, strings.ToUpper(id.Recipient().String()), verb)
			assert.NotRegexp(t, numbers, shown, "the bytes of a key")
		}
	}
}

// Reading an altered ciphertext fails, and returns only the beginning of the
// plaintext before.
func TestTampering(t *testing.T) {
	t.Parallel()
	c := agecipher.New(identity(t))
	const size = 3*chunk + 100
	plaintext := random(t, size)
	whole := encrypt(t, c, plaintext)
	start := payloadOf(whole, size)
	chunkAt := func(i int) []byte { return whole[start+i*sealedChunk : min(start+(i+1)*sealedChunk, len(whole))] }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	refuse := func(what string, ciphertext []byte) {
		t.Helper()
		got, err := decrypt(t, c, bytes.NewReader(ciphertext))
		require.ErrorIs(t, err, privicore.ErrDecrypt, what)
		assert.True(t, bytes.HasPrefix(plaintext, got), "%s: bytes that were not in the plaintext", what)
	}

	refuse("empty", nil)
	refuse("reordered", join(whole[:start], chunkAt(1), chunkAt(0), chunkAt(2), chunkAt(3)))
	refuse("the last one first", join(whole[:start], chunkAt(3)))
	refuse("one left out", join(whole[:start], chunkAt(0), chunkAt(2), chunkAt(3)))
	refuse("one doubled", join(whole[:start], chunkAt(0), chunkAt(0), chunkAt(1), chunkAt(2), chunkAt(3)))
	refuse("appended", join(whole, []byte{0}))
	refuse("a chunk appended", join(whole, chunkAt(3)))
	refuse("doubled", join(whole, whole))
	refuse("of another file", join(whole[:start], encrypt(t, c, plaintext)[start:]))
	for i := range 5 {
		refuse("ends between chunks", whole[:min(start+i*sealedChunk, len(whole)-1)])
	}
	// Every byte up to the first chunk, then samples.
	for n := 0; n < len(whole); n++ {
		if n > start+64 && n < len(whole)-64 {
			n += 4099
			if n >= len(whole) {
				break
			}
		}
		altered := bytes.Clone(whole)
		altered[n] ^= 1
		refuse(fmt.Sprint("altered at ", n), altered)
	}
	got, err := decrypt(t, agecipher.New(identity(t)), bytes.NewReader(whole))
	require.ErrorIs(t, err, privicore.ErrDecrypt)
	assert.Empty(t, got, "another key")
}

func TestTruncatedAtEveryLength(t *testing.T) {
	t.Parallel()
	c := agecipher.New(identity(t))
	plaintext := random(t, 300)
	whole := encrypt(t, c, plaintext)
	for n := range whole {
		got, err := decrypt(t, c, bytes.NewReader(whole[:n]))
		require.ErrorIs(t, err, privicore.ErrDecrypt, n)
		assert.Empty(t, got)
	}
}

// A connection that breaks is neither an altered ciphertext nor the end. The
// errors that readers use for an end are no exception if a connection reports or
// wraps them.
func TestBrokenSource(t *testing.T) {
	t.Parallel()
	c := agecipher.New(identity(t))
	const size = 2*chunk + 100
	plaintext := random(t, size)
	whole := encrypt(t, c, plaintext)
	start := payloadOf(whole, size)
	for _, broken := range []error{io.ErrUnexpectedEOF, fmt.Errorf("proxy: %w", io.EOF), errors.New("connection reset")} {
		for _, n := range []int{0, 10, start, start + 1, start + chunk, start + sealedChunk, start + 2*sealedChunk, len(whole) - 1, len(whole)} {
			src := io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(broken))
			got, err := decrypt(t, c, src)
			require.ErrorIs(t, err, broken, n)
			assert.NotErrorIs(t, err, privicore.ErrDecrypt, n)
			assert.True(t, bytes.HasPrefix(plaintext, got), n)
		}
	}
}

// A stream is decrypted as it comes. No more is held back than one chunk, until
// the next one shows that it was not the last.
func TestStreams(t *testing.T) {
	t.Parallel()
	c := agecipher.New(identity(t))
	plaintext := random(t, 10*chunk)
	r, err := c.Decrypt(t.Context(), io.MultiReader(bytes.NewReader(encrypt(t, c, plaintext)[:3*sealedChunk]), iotest.ErrReader(errors.New("late"))), "tests")
	require.NoError(t, err)
	got, _ := io.ReadAll(r)
	assert.Len(t, got, 2*chunk)

	var out bytes.Buffer
	w, err := c.Encrypt(t.Context(), &out, "tests")
	require.NoError(t, err)
	_, err = w.Write(plaintext)
	require.NoError(t, err)
	assert.Greater(t, out.Len(), 9*chunk, "before Close")
}

// sharedKey is a key that both sides have. It saves FuzzDecrypt the time that
// X25519 takes.
type sharedKey []byte

func (k sharedKey) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	aead, err := chacha20poly1305.New(bytes.Repeat(k, 2))
	if err != nil {
		return nil, err
	}
	return []*age.Stanza{{Type: "shared", Body: aead.Seal(nil, make([]byte, aead.NonceSize()), fileKey, nil)}}, nil
}

func (k sharedKey) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	aead, err := chacha20poly1305.New(bytes.Repeat(k, 2))
	if err != nil {
		return nil, err
	}
	for _, s := range stanzas {
		if fileKey, err := aead.Open(nil, make([]byte, aead.NonceSize()), s.Body, nil); err == nil {
			return fileKey, nil
		}
	}
	return nil, age.ErrIncorrectIdentity
}

// FuzzDecrypt is what comes from a server in place of a ciphertext. What comes out
// is a beginning of what was encrypted, and all of it only from the whole ciphertext.
func FuzzDecrypt(f *testing.F) {
	key := make(sharedKey, 16)
	_, err := rand.Read(key)
	require.NoError(f, err)
	c := agecipher.NewFor([]age.Recipient{key}, []age.Identity{key})
	plaintext := make([]byte, chunk+100)
	_, err = rand.Read(plaintext)
	require.NoError(f, err)
	whole := encrypt(f, c, plaintext)
	start := payloadOf(whole, len(plaintext))
	f.Add([]byte(nil), []byte(nil), uint(0), uint(0), byte(0))
	f.Add([]byte("a plaintext"), []byte("age-encryption.org/v1\n-> X25519 a\n--- b\n"), uint(start), uint(start), byte(1))
	f.Add([]byte("a plaintext"), whole[start:start+100], uint(start+sealedChunk), uint(3), byte(0x20))
	f.Add(make([]byte, 100), whole[:start], uint(len(whole)-1), uint(len(whole)-1), byte(0x80))
	f.Add([]byte("x"), []byte("-> scrypt a 10\n\n"), uint(22), uint(22), byte(0))
	f.Fuzz(func(t *testing.T, other, foreign []byte, keep, at uint, change byte) {
		got, err := decrypt(t, c, bytes.NewReader(encrypt(t, c, other)))
		require.NoError(t, err)
		require.Equal(t, string(other), string(got))

		refuse := func(ciphertext []byte) {
			t.Helper()
			got, err := decrypt(t, c, bytes.NewReader(ciphertext))
			require.ErrorIs(t, err, privicore.ErrDecrypt)
			require.True(t, bytes.HasPrefix(plaintext, got))
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

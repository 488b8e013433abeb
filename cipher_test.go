package privicore_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// gcmVector is a ciphertext that another program made.
type gcmVector struct{ Key, IV, Plaintext, Wire []byte }

func gcmVectors(t *testing.T) []gcmVector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors/aes-256-gcm.json")
	require.NoError(t, err)
	var file struct {
		Vectors []struct {
			Key, IV, Plaintext string
			Wire               string `json:"wire_base64"`
		}
	}
	require.NoError(t, json.Unmarshal(data, &file))
	require.NotEmpty(t, file.Vectors)
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		require.NoError(t, err)
		return b
	}
	vectors := make([]gcmVector, len(file.Vectors))
	for i, v := range file.Vectors {
		wire, err := base64.StdEncoding.DecodeString(v.Wire)
		require.NoError(t, err)
		vectors[i] = gcmVector{unhex(v.Key), unhex(v.IV), unhex(v.Plaintext), wire}
	}
	return vectors
}

func newAESGCM(t testing.TB, key []byte) *privicore.AESGCM {
	t.Helper()
	c, err := privicore.NewAESGCM(key)
	require.NoError(t, err)
	return c
}

// encrypted is what a Cipher makes of plaintext.
func encrypted(t testing.TB, c privicore.Cipher, plaintext []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := c.Encrypt(t.Context(), &out, "tests")
	require.NoError(t, err)
	_, err = io.Copy(w, iotest.HalfReader(bytes.NewReader(plaintext)))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// decrypted reads a ciphertext to its end, or until it fails.
func decrypted(c privicore.Cipher, src io.Reader) ([]byte, error) {
	r, err := c.Decrypt(context.Background(), src, "tests")
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// The layout of other clients, both ways.
func TestAESGCMVectors(t *testing.T) {
	t.Parallel()
	for _, v := range gcmVectors(t) {
		c := newAESGCM(t, v.Key)
		got, err := c.Open(v.Wire)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(v.Plaintext, got))
		got, err = decrypted(c, iotest.OneByteReader(bytes.NewReader(v.Wire)))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(v.Plaintext, got))
		assert.Equal(t, v.IV, v.Wire[:12], "where the IV is")

		sealed, err := c.Seal(v.Plaintext)
		require.NoError(t, err)
		assert.Len(t, sealed, len(v.Wire))
		assert.NotEqual(t, v.IV, sealed[:12])
		// As a client would open it that knows the layout and nothing else.
		block, err := aes.NewCipher(v.Key)
		require.NoError(t, err)
		gcm, err := cipher.NewGCM(block)
		require.NoError(t, err)
		got, err = gcm.Open(nil, sealed[:12], sealed[12:], nil)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(v.Plaintext, got))
	}
}

func TestAESGCMFreshIV(t *testing.T) {
	t.Parallel()
	c := newAESGCM(t, make([]byte, 32))
	seen := make(map[string]bool)
	for range 1000 {
		sealed, err := c.Seal(nil)
		require.NoError(t, err)
		seen[string(sealed[:12])] = true
		seen[string(encrypted(t, c, nil)[:12])] = true
	}
	assert.Len(t, seen, 2000)
}

func TestAESGCMKeys(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 16, 24, 31, 33, 64} {
		_, err := privicore.NewAESGCM(make([]byte, n))
		require.ErrorIs(t, err, privicore.ErrValidation)
		assert.ErrorContains(t, err, "key has")
	}
	key := bytes.Repeat([]byte{7}, 32)
	c := newAESGCM(t, key)
	sealed, err := c.Seal([]byte("x"))
	require.NoError(t, err)
	clear(key)
	_, err = c.Open(sealed)
	assert.NoError(t, err, "the key is the caller's to clear")
}

// The zero value has no key. It says so and does not panic.
func TestAESGCMWithoutKey(t *testing.T) {
	t.Parallel()
	for _, c := range []*privicore.AESGCM{nil, {}} {
		_, err := c.Seal(nil)
		assert.ErrorContains(t, err, "NewAESGCM")
		_, err = c.Open(make([]byte, 28))
		assert.ErrorContains(t, err, "NewAESGCM")
		_, err = c.Encrypt(t.Context(), io.Discard, "tests")
		assert.ErrorContains(t, err, "NewAESGCM")
		_, err = c.Decrypt(t.Context(), strings.NewReader(""), "tests")
		assert.ErrorContains(t, err, "NewAESGCM")
	}
}

func TestAESGCMShowsNoKey(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdefABCDEF-secretkey")
	c := newAESGCM(t, key)
	assertHidden(t, c, string(key))
	assertHidden(t, *c, string(key))
	assert.Equal(t, "AES-256-GCM", fmt.Sprint(c))
	// The key is expanded into words.
	numbers := regexp.MustCompile(`[0-9a-f]+([ ,]+(0x)?[0-9a-f]+){7}`)
	assert.NotRegexp(t, numbers, everyForm(c))
	assert.NotRegexp(t, numbers, everyForm(*c))
}

func TestAESGCMLimit(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	c := newAESGCM(t, make([]byte, 32))
	plaintext := make([]byte, privicore.MaxAESGCM+1)
	_, err := c.Seal(plaintext)
	require.ErrorIs(t, err, privicore.ErrTooLarge)

	var out bytes.Buffer
	w, err := c.Encrypt(t.Context(), &out, "tests")
	require.NoError(t, err)
	n, err := w.Write(plaintext[1:])
	require.NoError(t, err)
	assert.Equal(t, privicore.MaxAESGCM, n)
	_, err = w.Write(plaintext[:1])
	require.ErrorIs(t, err, privicore.ErrTooLarge)
	assert.Zero(t, out.Len())

	sealed, err := c.Seal(plaintext[1:])
	require.NoError(t, err)
	r, err := c.Decrypt(t.Context(), bytes.NewReader(sealed), "tests")
	require.NoError(t, err)
	got, err := io.Copy(io.Discard, r)
	require.NoError(t, err)
	assert.Equal(t, int64(privicore.MaxAESGCM), got)

	endless := &counter{r: zeros{}}
	_, err = c.Decrypt(t.Context(), endless, "tests")
	require.ErrorIs(t, err, privicore.ErrTooLarge)
	assert.LessOrEqual(t, endless.n, int64(privicore.MaxAESGCM+1024), "it stops reading")
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// A second Close must not append a second ciphertext.
func TestAESGCMCloseTwice(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w, err := newAESGCM(t, make([]byte, 32)).Encrypt(t.Context(), &out, "tests")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	assert.Equal(t, 28, out.Len())
	assert.Error(t, w.Close())
	_, err = w.Write([]byte("x"))
	assert.Error(t, err)
	assert.Equal(t, 28, out.Len())
}

// Nothing but the whole ciphertext opens, and of anything else no byte comes
// out.
func TestAESGCMTampering(t *testing.T) {
	t.Parallel()
	c := newAESGCM(t, make([]byte, 32))
	sealed, err := c.Seal([]byte("attack at dawn, not at noon"))
	require.NoError(t, err)
	refuse := func(what string, ciphertext []byte, c *privicore.AESGCM) {
		t.Helper()
		got, err := c.Open(ciphertext)
		require.ErrorIs(t, err, privicore.ErrDecrypt, what)
		assert.Empty(t, got, what)
		r, err := c.Decrypt(t.Context(), bytes.NewReader(ciphertext), "tests")
		require.ErrorIs(t, err, privicore.ErrDecrypt, what)
		assert.Nil(t, r, what)
	}
	for n := range sealed {
		refuse("truncated", sealed[:n], c)
		refuse("truncated at the front", sealed[n+1:], c)
		altered := bytes.Clone(sealed)
		altered[n] ^= 1
		refuse("altered", altered, c)
	}
	refuse("appended", append(bytes.Clone(sealed), 0), c)
	refuse("doubled", append(bytes.Clone(sealed), sealed...), c)
	refuse("another key", sealed, newAESGCM(t, bytes.Repeat([]byte{1}, 32)))
	swapped := bytes.Clone(sealed)
	copy(swapped[12:20], sealed[20:28])
	copy(swapped[20:28], sealed[12:20])
	refuse("reordered", swapped, c)
}

// How reading breaks off is not lost, and never taken for the end.
func TestAESGCMBrokenSource(t *testing.T) {
	t.Parallel()
	c := newAESGCM(t, make([]byte, 32))
	sealed, err := c.Seal([]byte("x"))
	require.NoError(t, err)
	for _, broken := range []error{io.ErrUnexpectedEOF, errors.New("cable cut")} {
		_, err := c.Decrypt(t.Context(), io.MultiReader(bytes.NewReader(sealed), iotest.ErrReader(broken)), "tests")
		assert.ErrorIs(t, err, broken)
	}
	w, err := c.Encrypt(t.Context(), brokenWriter{}, "tests")
	require.NoError(t, err)
	assert.ErrorIs(t, w.Close(), errDisk)
}

var errDisk = errors.New("disk full")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errDisk }

// FuzzAESGCM is what comes from a server in place of a ciphertext. No byte comes out
// that was not encrypted with the key.
func FuzzAESGCM(f *testing.F) {
	f.Add([]byte(nil), []byte(nil), uint(0), uint(0), byte(0))
	f.Add([]byte("a plaintext"), make([]byte, 12+16), uint(0), uint(3), byte(1))
	f.Add([]byte("a plaintext"), make([]byte, 12+16-1), uint(20), uint(30), byte(0))
	f.Add(make([]byte, 100), []byte("more"), uint(128), uint(127), byte(0x80))
	key := make([]byte, 32)
	_, err := rand.Read(key)
	require.NoError(f, err)
	c := newAESGCM(f, key)
	f.Fuzz(func(t *testing.T, plaintext, foreign []byte, keep, at uint, change byte) {
		whole := encrypted(t, c, plaintext)
		got, err := decrypted(c, bytes.NewReader(whole))
		require.NoError(t, err)
		require.Equal(t, string(plaintext), string(got))

		refuse := func(ciphertext []byte) {
			t.Helper()
			got, err := decrypted(c, iotest.OneByteReader(bytes.NewReader(ciphertext)))
			require.ErrorIs(t, err, privicore.ErrDecrypt)
			require.Empty(t, got)
			got, err = c.Open(ciphertext)
			require.ErrorIs(t, err, privicore.ErrDecrypt)
			require.Empty(t, got)
		}
		refuse(foreign)
		cut := append(whole[:keep%uint(len(whole)):keep%uint(len(whole))], foreign...)
		if !bytes.Equal(cut, whole) { // one byte can be guessed
			refuse(cut)
		}
		altered := bytes.Clone(whole)
		altered[at%uint(len(whole))] ^= max(change, 1)
		refuse(altered)
	})
}

// The plaintext is collected in pieces, however it is written.
func TestAESGCMPieces(t *testing.T) {
	t.Parallel()
	c := newAESGCM(t, make([]byte, 32))
	for _, size := range []int{0, 1, 4095, 4096, 4097, 3<<20 + 5} {
		for _, step := range []int{1 << 10, 4097, 5 << 20} {
			want, err := io.ReadAll(noise(int64(size)))
			require.NoError(t, err)
			var sealed bytes.Buffer
			w, err := c.Encrypt(t.Context(), &sealed, "tests")
			require.NoError(t, err)
			for rest := want; len(rest) > 0; {
				n, err := w.Write(rest[:min(step, len(rest))])
				require.NoError(t, err)
				rest = rest[n:]
			}
			require.NoError(t, w.Close())
			opened, err := c.Open(sealed.Bytes())
			require.NoError(t, err)
			assert.True(t, bytes.Equal(want, opened), "%d bytes, %d at a time", size, step)
			r, err := c.Decrypt(t.Context(), &sealed, "tests")
			require.NoError(t, err)
			got, err := io.ReadAll(r)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(want, got), "%d bytes, %d at a time", size, step)
		}
	}
}

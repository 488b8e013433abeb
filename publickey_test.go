package privicore_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/blake2b"

	"github.com/privicore/privicore-go"
)

var publicKeyCalls = []wireCall{
	{
		operation: "PublicKey.Generate",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.PublicKey.Generate(ctx)
		},
		method: "GET", path: "/generate-keys",
		answer: "public_key/generate.ok",
	},
	{
		operation: "PublicKey.Register",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.PublicKey.Register(ctx, privicore.KeyFromSeed("privicore").Public())
		},
		method: "POST", path: "/public-key/register-public-key", token: true, contentType: formType,
		body:   "publicKey=" + signedKey,
		answer: "public_key/register.accepted", parameter: "publicKey",
	},
	{
		operation: "PublicKey.Retrieve",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.PublicKey.Retrieve(ctx)
		},
		method: "GET", path: "/public-key/retrieve-public-key", token: true,
		answer: "public_key/retrieve.ok",
	},
	{
		operation: "PublicKey.RetrieveCAB",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.PublicKey.RetrieveCAB(ctx)
		},
		method: "GET", path: "/dptcab/public-key", token: true,
		answer: "public_key/retrieve_cab.ok",
	},
}

// keyVectors were made by other programs.
type keyVectors struct {
	Good []struct{ Seed, Private, Public, Signed string }
	Bad  []struct{ Why, Signed string }
}

func readKeyVectors(t *testing.T) (v keyVectors) {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors/signed-keys.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &v))
	require.NotEmpty(t, v.Good)
	require.NotEmpty(t, v.Bad)
	return v
}

func TestKeyVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readKeyVectors(t).Good {
		t.Run(v.Seed, func(t *testing.T) {
			t.Parallel()
			key := privicore.KeyFromSeed(v.Seed)
			assert.Equal(t, v.Private, key.Reveal())
			assert.Equal(t, v.Signed, key.Public().String())
			assert.Equal(t, v.Private, hex.EncodeToString(key.ECDH().Bytes()))

			parsed, err := privicore.ParsePublicKey(v.Signed)
			require.NoError(t, err)
			assert.Equal(t, key.Public(), parsed)
			same := key.Public() == parsed
			assert.True(t, same, "keys can be compared")
			assert.Equal(t, v.Signed, parsed.String())
			assert.Equal(t, v.Public, hex.EncodeToString(parsed.ECDH().Bytes()))
			assert.False(t, parsed.IsZero())

			upper, err := privicore.ParsePublicKey(strings.ToUpper(v.Signed))
			require.NoError(t, err)
			assert.Equal(t, parsed, upper)

			private, err := privicore.ParsePrivateKey(v.Private)
			require.NoError(t, err)
			assert.Equal(t, v.Signed, private.Public().String())

			raw, err := hex.DecodeString(v.Public)
			require.NoError(t, err)
			foreign, err := ecdh.X25519().NewPublicKey(raw)
			require.NoError(t, err)
			signed, err := privicore.NewPublicKey(foreign)
			require.NoError(t, err)
			assert.Equal(t, v.Signed, signed.String())
		})
	}
}

func TestBadKeyVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readKeyVectors(t).Bad {
		t.Run(v.Why, func(t *testing.T) {
			t.Parallel()
			key, err := privicore.ParsePublicKey(v.Signed)
			assert.ErrorIs(t, err, privicore.ErrInvalidKey)
			assert.True(t, key.IsZero())
		})
	}
}

// The version tag is checked for itself, also where the hash is right.
func TestParsePublicKeyOfAnotherVersion(t *testing.T) {
	t.Parallel()
	raw, err := hex.DecodeString("31420600" + signedKey[8:72])
	require.NoError(t, err)
	hash := blake2b.Sum512(raw)
	key, err := privicore.ParsePublicKey(hex.EncodeToString(append(raw, hash[:]...)))
	require.ErrorIs(t, err, privicore.ErrInvalidKey)
	assert.ErrorContains(t, err, "31420600")
	assert.True(t, key.IsZero())
}

func TestNewPublicKeyRefusesOtherCurves(t *testing.T) {
	t.Parallel()
	other, err := ecdh.P256().GenerateKey(rand.Reader)
	require.NoError(t, err)
	for _, key := range []*ecdh.PublicKey{nil, other.PublicKey()} {
		signed, err := privicore.NewPublicKey(key)
		assert.ErrorIs(t, err, privicore.ErrInvalidKey)
		assert.True(t, signed.IsZero())
	}
}

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	one, err := privicore.GenerateKey()
	require.NoError(t, err)
	two, err := privicore.GenerateKey()
	require.NoError(t, err)
	assert.NotEqual(t, one.Reveal(), two.Reveal())
	assert.Len(t, one.Reveal(), 64)
	assert.Len(t, one.Public().String(), 200)

	shared, err := one.ECDH().ECDH(two.Public().ECDH())
	require.NoError(t, err)
	same, err := two.ECDH().ECDH(one.Public().ECDH())
	require.NoError(t, err)
	assert.Equal(t, shared, same, "both sides agree on a secret")

	parsed, err := privicore.ParsePublicKey(one.Public().String())
	require.NoError(t, err)
	assert.Equal(t, one.Public(), parsed)
}

func TestParsePrivateKeyRefusals(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", privateKey[:62], privateKey + "00", "zz" + privateKey[2:], " " + privateKey[1:]} {
		key, err := privicore.ParsePrivateKey(text)
		require.ErrorIs(t, err, privicore.ErrInvalidKey)
		assert.True(t, key.IsZero())
		assert.NotContains(t, err.Error(), privateKey[8:40], "the key is not quoted")
	}
}

func TestZeroKeys(t *testing.T) {
	t.Parallel()
	var public privicore.PublicKey
	assert.True(t, public.IsZero())
	assert.Empty(t, public.String())
	assert.Nil(t, public.ECDH())
	data, err := json.Marshal(public)
	require.NoError(t, err)
	assert.Equal(t, `""`, string(data))

	var private privicore.PrivateKey
	assert.True(t, private.IsZero())
	assert.Nil(t, private.ECDH())
	assert.True(t, private.Public().IsZero())
}

func TestPublicKeyJSON(t *testing.T) {
	t.Parallel()
	key := privicore.KeyFromSeed("privicore").Public()
	data, err := json.Marshal(map[string]privicore.PublicKey{"publicKey": key})
	require.NoError(t, err)
	assert.JSONEq(t, `{"publicKey":"`+signedKey+`"}`, string(data))

	var back struct{ PublicKey privicore.PublicKey }
	require.NoError(t, json.Unmarshal(data, &back))
	assert.Equal(t, key, back.PublicKey)

	for _, v := range readKeyVectors(t).Bad {
		if v.Signed == "" {
			continue // no key, as json.Marshal writes it
		}
		kept := key
		assert.ErrorIs(t, kept.UnmarshalText([]byte(v.Signed)), privicore.ErrInvalidKey, v.Why)
		assert.Equal(t, key, kept, "a failure changes nothing")
	}
}

func TestPublicKeyGenerate(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "public_key/generate.ok")
	pair, err := c.PublicKey.Generate(t.Context())
	require.NoError(t, err)
	assert.Equal(t, privateKey, pair.Private.Reveal())
	assert.Equal(t, signedKey, pair.Public.String())
	assert.Equal(t, pair.Public, pair.Private.Public())

	raw, err := hex.DecodeString(privateKey)
	require.NoError(t, err)
	for _, v := range []any{pair, *pair, pair.Private, &pair.Private, pair.Private.Secret} {
		assertHidden(t, v, privateKey, string(raw))
	}
	data, err := json.Marshal(pair)
	require.NoError(t, err)
	assert.JSONEq(t, `{"private":"[redacted]","public":"`+signedKey+`"}`, string(data))
}

func TestPublicKeyRetrieve(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "public_key/retrieve.ok", "public_key/retrieve_cab.ok")
	key, err := c.PublicKey.Retrieve(t.Context())
	require.NoError(t, err)
	assert.Equal(t, privicore.KeyFromSeed("privicore").Public(), key)
	cab, err := c.PublicKey.RetrieveCAB(t.Context())
	require.NoError(t, err)
	assert.Equal(t, privicore.KeyFromSeed("correct horse battery staple").Public(), cab)
}

// A key is verified also when the server sends it.
func TestPublicKeyRetrieveWrongHash(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "public_key/retrieve.wrong_hash", "public_key/retrieve.wrong_hash")
	for _, retrieve := range []func(context.Context) (privicore.PublicKey, error){c.PublicKey.Retrieve, c.PublicKey.RetrieveCAB} {
		key, err := retrieve(t.Context())
		assert.ErrorIs(t, err, privicore.ErrUnexpectedAnswer)
		assert.True(t, key.IsZero())
	}
}

func TestPublicKeyRegisterInvalid(t *testing.T) {
	t.Parallel()
	c, _ := replay(t, "public_key/register.invalid")
	_, err := c.PublicKey.Register(t.Context(), privicore.KeyFromSeed("").Public())
	require.ErrorIs(t, err, privicore.ErrValidation)
	assert.ErrorContains(t, err, "publicKey: The hash does not match.")
}

func TestPublicKeyRefusals(t *testing.T) {
	t.Parallel()
	assertRefused(t, []refused{{
		why: "zero key", operation: "PublicKey.Register", field: "publicKey", reason: "is empty",
		do: func(ctx context.Context, c *privicore.Client) (any, error) {
			return c.PublicKey.Register(ctx, privicore.PublicKey{})
		},
	}})
}

// FuzzKeys is what a server or a program gives for a key or another secret. What is
// a key is read as it was written, and nothing else is a key. What is refused is not
// quoted.
func FuzzKeys(f *testing.F) {
	seed := bytes.Repeat([]byte{7}, 32)
	for _, text := range []string{signedKey, strings.ToUpper(signedKey), signedKey[:198], signedKey + "00", privateKey, strings.ToUpper(privateKey), "", "null", "0x" + privateKey[:62], `"hunter2"`, `5672`, `-1.5e999`, `["hunter2"]`, ` null`, `true`, "\"\xff\""} {
		f.Add(text, seed, uint(0), byte('0'))
		f.Add(text, seed, uint(73), byte('f'))
	}
	f.Fuzz(func(t *testing.T, text string, raw []byte, at uint, digit byte) {
		public, err := privicore.ParsePublicKey(text)
		if err != nil {
			require.ErrorIs(t, err, privicore.ErrInvalidKey)
			require.True(t, public.IsZero())
		} else {
			require.Equal(t, strings.ToLower(text), public.String())
		}
		private, err := privicore.ParsePrivateKey(text)
		if err != nil {
			require.ErrorIs(t, err, privicore.ErrInvalidKey)
			require.True(t, private.IsZero())
			require.False(t, len(text) > 20 && strings.Contains(err.Error(), text), "the error quotes the text")
		} else {
			require.Equal(t, strings.ToLower(text), private.Reveal())
			require.False(t, private.Public().IsZero())
		}

		key := privicore.KeyFromSeed(string(raw)).Public()
		signed := key.String()
		parsed, err := privicore.ParsePublicKey(signed)
		require.NoError(t, err)
		require.Equal(t, key, parsed)
		altered := []byte(signed)
		altered[at%uint(len(altered))] = digit
		if !strings.EqualFold(string(altered), signed) {
			_, err = privicore.ParsePublicKey(string(altered))
			require.ErrorIs(t, err, privicore.ErrInvalidKey)
		}

		var secret privicore.Secret
		var plain any
		switch err := json.Unmarshal([]byte(text), &secret); {
		case json.Unmarshal([]byte(text), &plain) != nil && !json.Valid([]byte(text)): // 1e999 is valid
			require.Error(t, err)
		case strings.Trim(text, " \t\r\n") == "null":
			require.NoError(t, err)
			require.True(t, secret.IsZero())
		default:
			word, isText := plain.(string)
			first := strings.TrimLeft(text, " \t\r\n")[0]
			isNumber := first == '-' || first >= '0' && first <= '9'
			require.Equal(t, isText || isNumber, err == nil)
			if isText {
				require.Equal(t, word, secret.Reveal())
			} else if isNumber {
				require.Equal(t, strings.Trim(text, " \t\r\n"), secret.Reveal())
			} else {
				require.False(t, len(text) > 20 && strings.Contains(err.Error(), text), "the error quotes the text")
			}
		}
		shown, err := json.Marshal(secret)
		require.NoError(t, err)
		require.Equal(t, `"[redacted]"`, string(shown))

		data, err := json.Marshal(key)
		require.NoError(t, err)
		var again privicore.PublicKey
		require.NoError(t, json.Unmarshal(data, &again))
		require.Equal(t, key, again)
	})
}

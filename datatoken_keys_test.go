package privicore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/agecipher"
)

// swapper makes of a server one that answers a request for one token with the data
// of another.
type swapper struct {
	next         http.RoundTripper
	asked, given string
}

func (s *swapper) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/data-token/request-data") {
		return s.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	if form.Get("token") == s.asked {
		form.Set("token", s.given)
	}
	r = r.Clone(r.Context())
	swapped := form.Encode()
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(swapped)), int64(len(swapped))
	return s.next.RoundTrip(r)
}

// storedFor stores data of a context.
func (r *rig) storedFor(t *testing.T, c privicore.Cipher, data []byte, context string) string {
	t.Helper()
	token, err := r.client.DataToken.Store(t.Context(), privicore.Payload{Data: bytes.NewReader(data), Cipher: c, Context: context})
	require.NoError(t, err)
	return token
}

// retrieved reads the data of a token to its end, or until it fails.
func retrieved(ctx context.Context, client *privicore.Client, token string, c privicore.Cipher, context string) ([]byte, error) {
	plaintext, err := client.DataToken.Retrieve(ctx, token, privicore.Retrieval{Cipher: c, Context: context})
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(plaintext)
	return data, errors.Join(err, plaintext.Close())
}

// A server that swaps two payloads of one key is found out by every cipher that
// binds, and no byte comes out. Small payloads come over the channel and large ones
// from the download server.
func TestSwappedPayloads(t *testing.T) {
	t.Parallel()
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	for name, cipher := range map[string]privicore.Cipher{
		"AES-256-GCM":         newBoundAESGCM(t, keyOf("1")),
		"envelope":            privicore.NewEnvelope(newKeyring(t, "1")),
		"age":                 agecipher.NewBound(identity),
		"envelope in age":     agecipher.NewEnvelope(newKeyring(t, "1")),
		"the recorded layout": newAESGCM(t, keyOf("1")),
		"plain age":           agecipher.New(identity),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			for _, size := range []int64{10, 200_000} {
				invoice, err := io.ReadAll(noise(size))
				require.NoError(t, err)
				salary := bytes.Repeat([]byte("s"), int(size))
				mine, other := r.storedFor(t, cipher, invoice, "invoices"), r.storedFor(t, cipher, salary, "payroll")
				got, err := retrieved(t.Context(), r.client, mine, cipher, "invoices")
				require.NoError(t, err)
				assert.True(t, bytes.Equal(invoice, got))

				pool := &http.Transport{DialContext: r.Client().Transport.(*http.Transport).DialContext}
				defer pool.CloseIdleConnections()
				swapping := r.newClient(t, privicore.WithHTTPClient(&http.Client{Transport: &swapper{pool, mine, other}}))
				got, err = retrieved(t.Context(), swapping, mine, cipher, "invoices")
				require.NoError(t, swapping.Close())
				if !cipher.Binds() {
					require.NoError(t, err, "this shows that the server does swap")
					assert.True(t, bytes.Equal(salary, got))
					continue
				}
				requireStep(t, privicore.StepDecrypt, err)
				require.ErrorIs(t, err, privicore.ErrDecrypt)
				assert.Empty(t, got)
			}
		})
	}
}

// A bound cipher without a context is refused before anything is sent, because a
// request may cost a vote.
func TestRetrieveWithoutContext(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	cipher := newBoundAESGCM(t, keyOf("1"))
	token := r.storedFor(t, cipher, []byte("x"), "invoices")
	_, err := r.client.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: cipher})
	requireNoContext(t, err)
	assert.Zero(t, r.Calls("DataToken.Request"))

	// A cipher that does not bind needs none, and takes one.
	plain := newAESGCM(t, keyOf("1"))
	token = r.storedFor(t, plain, []byte("x"), "invoices")
	for _, context := range []string{"", "invoices", "payroll"} {
		got, err := retrieved(t.Context(), r.client, token, plain, context)
		require.NoError(t, err)
		assert.Equal(t, "x", string(got))
	}
}

// Store under key 1, rotate, retrieve, store under key 2, drop key 1.
func TestRotation(t *testing.T) {
	t.Parallel()
	for name, envelope := range map[string]func(privicore.KeyWrapper) privicore.Cipher{
		"AES-256-GCM": func(w privicore.KeyWrapper) privicore.Cipher { return privicore.NewEnvelope(w) },
		"age":         func(w privicore.KeyWrapper) privicore.Cipher { return agecipher.NewEnvelope(w) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			ring := newKeyring(t, "key 1")
			cipher := envelope(ring)
			small, large := []byte("march"), bytes.Repeat([]byte("large"), 40_000)
			first := []string{r.storedFor(t, cipher, small, "invoices"), r.storedFor(t, cipher, large, "invoices")}
			opens := func(tokens []string) {
				t.Helper()
				for i, want := range [][]byte{small, large} {
					got, err := retrieved(t.Context(), r.client, tokens[i], cipher, "invoices")
					require.NoError(t, err)
					assert.True(t, bytes.Equal(want, got))
				}
			}

			require.NoError(t, ring.Add("key 2", keyOf("key 2")))
			require.NoError(t, ring.Promote("key 2"))
			opens(first)
			second := []string{r.storedFor(t, cipher, small, "invoices"), r.storedFor(t, cipher, large, "invoices")}
			opens(second)

			require.NoError(t, ring.Drop("key 1"))
			opens(second)
			for _, token := range first {
				got, err := retrieved(t.Context(), r.client, token, cipher, "invoices")
				requireStep(t, privicore.StepDecrypt, err)
				requireUnknownKey(t, "key 1", err)
				assert.Empty(t, got)
			}
		})
	}
}

// A KeyWrapper that is down fails the step that needs it, with an error that is not
// about the data, and nothing is stored.
func TestWrapperFails(t *testing.T) {
	t.Parallel()
	for _, envelope := range []func(privicore.KeyWrapper) privicore.Cipher{
		func(w privicore.KeyWrapper) privicore.Cipher { return privicore.NewEnvelope(w) },
		func(w privicore.KeyWrapper) privicore.Cipher { return agecipher.NewEnvelope(w) },
	} {
		inBubble(t, func(t *testing.T, r *rig) {
			wrapper := &testWrapper{Keyring: newKeyring(t, "1")}
			cipher := envelope(wrapper)
			token := r.storedFor(t, cipher, []byte("x"), "tests")

			wrapper.wrap = func(context.Context) (privicore.WrappedKey, error) { return privicore.WrappedKey{}, errKMS }
			_, err := r.client.DataToken.Store(t.Context(), privicore.Payload{Data: noise(10), Cipher: cipher, Context: "tests"})
			failed := requireStep(t, privicore.StepEncrypt, err)
			require.ErrorIs(t, err, errKMS)
			assert.True(t, failed.Repeatable())
			assert.Equal(t, 1, r.tokens(t))

			wrapper.unwrap = func(context.Context) ([]byte, error) { return nil, errKMS }
			_, err = retrieved(t.Context(), r.client, token, cipher, "tests")
			requireStep(t, privicore.StepDecrypt, err)
			var key *privicore.KeyError
			require.ErrorAs(t, err, &key)
			require.ErrorIs(t, err, errKMS)
			assert.NotErrorIs(t, err, privicore.ErrDecrypt)

			wrapper.unwrap = nil
			got, err := retrieved(t.Context(), r.client, token, cipher, "tests")
			require.NoError(t, err, "it helps to try again")
			assert.Equal(t, "x", string(got))
		})
	}
}

// A KeyWrapper that is slow is bounded by the context of the call.
func TestWrapperIsSlow(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *rig) {
		wrapper := &testWrapper{Keyring: newKeyring(t, "1")}
		cipher := agecipher.NewEnvelope(wrapper)
		token := r.storedFor(t, cipher, []byte("x"), "tests")
		slow := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		wrapper.wrap = func(ctx context.Context) (privicore.WrappedKey, error) { return privicore.WrappedKey{}, slow(ctx) }
		wrapper.unwrap = func(ctx context.Context) ([]byte, error) { return nil, slow(ctx) }

		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := r.client.DataToken.Store(ctx, privicore.Payload{Data: noise(10), Cipher: cipher, Context: "tests"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(start).Truncate(time.Second))

		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = retrieved(ctx, r.client, token, cipher, "tests")
		requireStep(t, privicore.StepDecrypt, err)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, privicore.ErrDecrypt)
		assert.Equal(t, 1, r.tokens(t))
		synctest.Wait()
	})
}

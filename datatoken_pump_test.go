package privicore_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
)

// oddCipher breaks the rules of io.Writer and of Cipher.
type oddCipher struct {
	encrypt func(io.Writer) io.WriteCloser
}

func (c oddCipher) Encrypt(_ context.Context, dst io.Writer, _ privicore.Binding) (io.WriteCloser, error) {
	return c.encrypt(dst), nil
}

func (oddCipher) Decrypt(context.Context, io.Reader, privicore.Binding) (io.Reader, error) {
	return nil, nil
}

func (oddCipher) Binds() bool { return false }

// shortWriter takes one byte of each Write and reports no error.
type shortWriter struct{ io.Writer }

func (w shortWriter) Write(p []byte) (int, error) { return w.Writer.Write(p[:1]) }
func (shortWriter) Close() error                  { return nil }

// A Cipher that breaks the rules neither panics in a goroutine of the client nor
// stores a part of the data.
func TestCipherThatBreaksTheRules(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		encrypt func(io.Writer) io.WriteCloser
		want    string
	}{
		"no writer":   {func(io.Writer) io.WriteCloser { return nil }, "returned no writer"},
		"short write": {func(dst io.Writer) io.WriteCloser { return shortWriter{dst} }, io.ErrShortWrite.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			payload := privicore.Payload{Data: strings.NewReader("hello"), Cipher: oddCipher{tc.encrypt}, Context: "tests"}
			_, err := r.client.DataToken.Store(t.Context(), payload)
			failed := requireStep(t, privicore.StepEncrypt, err)
			require.ErrorContains(t, failed, tc.want)
			r.requireNothingArrived(t, failed)
		})
	}
	t.Run("no reader", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		token := r.store(t, newAESGCM(t, make([]byte, 32)), strings.NewReader("hello"))
		plaintext, err := r.client.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: oddCipher{}})
		assert.Nil(t, plaintext)
		require.ErrorContains(t, requireStep(t, privicore.StepDecrypt, err), "returned no reader")
	})
}

package privicoretest

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"time"
)

const (
	requestHeader = "X-DPT-CAB-REQUEST-ID"

	answerMessage = "X-DPT-CAB-REQUEST-ID"
	streamMessage = "STREAM-READY"

	// The two kinds of answer to a request for data.
	outputText = 0 // or, Observed, the payload itself
	outputURL  = 1 // or, Observed, the token of a stream

	downloadLifetime = time.Minute
)

// requestData answers with two ids: the command's, and that of the message with
// the data.
func requestData(s *state, c *call) answer {
	request := newID()
	a := s.onDataToken(c, "token", func(t *dataToken) outcome {
		if !c.profile.hasStorage() {
			return rejected(noStorage)
		}
		// The outcome of the command is sent first.
		s.later(0, func() { s.deliver(t, request) })
		return succeeded("data_token.data_requested")
	})
	if a.command == nil || c.fault.NoID {
		return a
	}
	a.header = http.Header{requestHeader: {request}}
	if c.fault.IDShape == 0 && s.config.shape == 0 {
		a.header.Set(idHeader, a.command.id)
	}
	return a
}

// deliver sends the data, or where to download it, to the owner's connections.
func (s *state) deliver(t *dataToken, request string) {
	if s.vault.tokens[t.token] != t {
		return
	}
	answer := func(output int, body string) {
		s.push(t.owner, answerMessage, map[string]any{
			"id": request, "data_context": t.context, "output_type": output, "body": body,
		})
	}
	if s.config.dialect == Documented {
		answer(outputText, "The data is being prepared.")
		s.later(s.config.latency, func() {
			if s.vault.tokens[t.token] == t {
				answer(outputURL, s.downloadAddress(s.offer(t.payload)))
			}
		})
		return
	}
	if t.payload.size <= inlineLimit {
		if data, err := t.payload.read(); err == nil {
			answer(outputText, base64.StdEncoding.EncodeToString(data))
		}
		return
	}
	answer(outputURL, s.offer(t.payload))
	s.push(t.owner, streamMessage, map[string]any{"requestId": request, "streamUrl": s.vault.downloadURL + "/"})
}

// offer returns a token that downloads the payload once, within a minute.
func (s *state) offer(p *payload) (token string) {
	token = rand.Text()
	s.vault.downloads[token] = p
	s.later(s.lasting(downloadLifetime), func() { delete(s.vault.downloads, token) })
	return token
}

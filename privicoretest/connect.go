package privicoretest

import (
	"testing"

	"github.com/privicore/privicore-go"
)

// NewClient returns a client for the server that is closed when the test ends. The
// client has the credentials of the first profile of [WithProfile] or
// [Server.AddProfile], if there is one. It works in a bubble of testing/synctest if
// the server is one of [WithMemoryNetwork].
//
// The options are applied last, so they replace what NewClient has chosen:
// [privicore.WithCredentials] names another profile. A token of
// [privicore.WithToken] is renewed with the credentials once the server refuses it;
// use [Server.ClientOptions] for a client that has only a token.
func (s *Server) NewClient(tb testing.TB, opts ...privicore.Option) *privicore.Client {
	tb.Helper()
	base := s.ClientOptions()
	s.state.mu.Lock()
	if p := s.state.first; p != nil {
		base = append(base, privicore.WithCredentials(p.username, p.password))
	}
	s.state.mu.Unlock()
	return newTestClient(tb, append(base, opts...))
}

// ClientOptions returns the options with which a client reaches the server. They
// have the addresses and, where the host's network does not lead there, the HTTP
// client. They name no profile. They are for code that makes its own client.
func (s *Server) ClientOptions() []privicore.Option {
	opts := []privicore.Option{
		privicore.WithBaseURL(s.URL),
		privicore.WithWebSocketURL(s.WebSocketURL),
		privicore.WithUploadURL(s.UploadURL),
	}
	if s.state.config.inMemory || s.certificate != nil {
		opts = append(opts, privicore.WithHTTPClient(s.client))
	}
	return opts
}

// NewClient does what [Server.NewClient] does, for this profile.
func (p *Profile) NewClient(tb testing.TB, opts ...privicore.Option) *privicore.Client {
	tb.Helper()
	p.server.state.mu.Lock()
	credentials := privicore.WithCredentials(p.profile.username, p.profile.password)
	p.server.state.mu.Unlock()
	base := append(p.server.ClientOptions(), credentials)
	return newTestClient(tb, append(base, opts...))
}

func newTestClient(tb testing.TB, opts []privicore.Option) *privicore.Client {
	tb.Helper()
	client, err := privicore.NewClient(opts...)
	if err != nil {
		tb.Fatalf("privicoretest: %v", err)
		return nil
	}
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

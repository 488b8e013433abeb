package privicoretest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"time"
)

// WithTLS makes the server speak https and wss, also on the file servers. It
// offers HTTP/2 everywhere but on the WebSocket proxy. [Server.Client] trusts the
// certificate, which the server makes for itself; [Server.Certificate] returns it
// for other clients.
func WithTLS() Option {
	return func(c *config) { c.tls = true }
}

// Certificate returns the certificate of a server of [WithTLS], or nil.
func (s *Server) Certificate() *x509.Certificate {
	if s.certificate == nil {
		return nil
	}
	return s.certificate.Leaf
}

// newCertificate returns a certificate that signs itself, for the host that the
// server listens on. It returns nil without TLS.
func newCertificate(cfg config) (*tls.Certificate, error) {
	if !cfg.tls {
		return nil, nil
	}
	host, _, _ := net.SplitHostPort(cfg.addr)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "privicoretest"},
		NotBefore:             now.Add(-24 * time.Hour),
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else if host != "" {
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// secure returns a listener that speaks TLS, and prepares the server for it.
func secure(listener net.Listener, server *http.Server, certificate *tls.Certificate, http2 bool) net.Listener {
	config := &tls.Config{
		Certificates: []tls.Certificate{*certificate},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	if http2 {
		config.NextProtos = []string{"h2", "http/1.1"}
		server.Protocols.SetHTTP2(true)
	}
	server.TLSConfig = config
	return tls.NewListener(listener, config)
}

// trust returns the configuration of a client that trusts a certificate.
func trust(certificate *tls.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(certificate.Leaf)
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

package privicoretest

import "strings"

// streamAddress returns where the data of a space is uploaded to, as the
// temporary data token says it.
func (s *state) streamAddress(sp *space) string {
	if s.config.bareStream {
		return sp.stream
	}
	if s.config.dialect == Documented {
		return withoutScheme(s.vault.uploadURL) + "?auth=" + sp.stream
	}
	return s.vault.uploadURL + "/?auth=" + sp.stream
}

// downloadAddress returns where a download token is good for, as the documented
// answer to a request for data says it.
func (s *state) downloadAddress(token string) string {
	return withoutScheme(s.vault.downloadURL) + "/?auth=" + token
}

// withoutScheme returns "{server}:{port}", which is how the vendor's pages write
// the address of a file server.
func withoutScheme(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	return rest
}

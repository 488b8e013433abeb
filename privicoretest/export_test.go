package privicoretest

// Directory returns where the server keeps what was uploaded, or "" as long as
// it keeps nothing.
func (s *Server) Directory() string {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.vault.directory
}

package privicoretest

// WithStorageDevices sets how many storage devices, approved and registered,
// the profiles of WithProfile start with. The default is 3. With 0, commands
// that store or request data are rejected.
func WithStorageDevices(n int) Option {
	return func(c *config) { c.storageDevices = n }
}

// WithBareStreamToken makes the stream of a temporary data token the upload
// token alone. A client then has to know [Server.UploadURL]. The default is the
// address of the upload server with the token in it.
func WithBareStreamToken() Option {
	return func(c *config) { c.bareStream = true }
}

// WithSpeed shortens the lifetimes that have no option of their own by this
// factor: those of temporary tokens, download tokens, authorization codes,
// refresh tokens and attempts of polls. Times in answers take it into account.
// The default, and the least, is 1.
func WithSpeed(n float64) Option {
	return func(c *config) { c.speed = n }
}

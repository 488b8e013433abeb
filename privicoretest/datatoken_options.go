package privicoretest

// WithStorageDevices sets how many storage devices, approved and registered,
// the profiles of WithProfile start with. The default is 3. Without any the
// profile's data has nowhere to land, and commands that store or
// request some are rejected.
func WithStorageDevices(n int) Option {
	return func(c *config) { c.storageDevices = n }
}

// WithBareStreamToken makes the stream of a temporary data token the upload
// token alone. The default is the URL of the upload server with the token in
// it; with the token alone a client has to be told [Server.UploadURL].
func WithBareStreamToken() Option {
	return func(c *config) { c.bareStream = true }
}

// WithSpeed makes the lifetimes that count in seconds and minutes pass this
// many times as fast: temporary tokens, download tokens, authorization codes,
// refresh tokens and attempts of polls. Times in answers are when that really
// is. The default, and the least, is 1.
func WithSpeed(n float64) Option {
	return func(c *config) { c.speed = n }
}

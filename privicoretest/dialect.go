package privicoretest

// Dialect is a kind of server. The vendor's documentation and recordings of a
// live server differ in these places:
//
//	                      Documented (default)           Observed
//	command id in a 202   ["id"]                         X-DPT-CAB-ID and {"commandId":"id"}
//	202 of a removal      X-DPT-CAB-ID and no body       like any other
//	"started" on socket   for every command              for commands that last
//	finished command      ["device.device_approved"]     ["succeeded"]
//	new profile           after its registration ended   from the 202 on
//	taken username        the command is rejected        409 at once
//	reauthorize           200 with the token             202, the token lives on when it is done
//	refusal               {"message":"..."}              "machine.key"
//	422                   {"message":..,"errors":{..}}   ["field: problem"]
//	timestamps            +00:00                         Z
//	stream address        {server}:{port}?auth=...       http://{server}:{port}/?auth=...
//	committed data        {"token":"dtk-..."}            "dtk-..."
//	requested data        text, then an address          the payload in base64, or token and STREAM-READY
//	download address      {server}:{port}/?auth=...      http://{server}:{port}/ without the token
//	authorization code    200 with the id                202
//	policy configuration  may be left out or empty       must have something in it
//	create voting         200 {"pollId":"..."}           202, the command id is the poll's
//
// The removals are Device.Remove and VerifiedAuthenticator.Remove; the second
// was not recorded and is treated like the first. [WithIDShape] moves the id of
// every 202.
//
// A command lasts if its latency is more than a second or if it waits for a
// vote. In the observed dialect the first message about any other command is its
// end.
//
// An observed profile can do everything from the 202 of its registration on. If
// the registration is rejected later, which takes a [Fault], the profile is
// removed and its tokens end.
type Dialect uint8

// The dialects.
const (
	Documented Dialect = iota // as the vendor's pages say
	Observed                  // as recorded from a live server
)

// WithDialect chooses the kind of server. The default is Documented.
func WithDialect(d Dialect) Option {
	return func(c *config) { c.dialect = d }
}

// IDShape is a place for the command id in a 202 answer. The zero value leaves
// it to the dialect.
type IDShape uint8

// The places.
const (
	_        IDShape = iota
	HeaderID         // X-DPT-CAB-ID and no body
	StringID         // "id"
	ArrayID          // ["id"]
	ObjectID         // {"commandId":"id"}
)

// WithIDShape puts the id of every 202 answer in one place, whatever the
// dialect and the operation say.
func WithIDShape(shape IDShape) Option {
	return func(c *config) { c.shape = shape }
}

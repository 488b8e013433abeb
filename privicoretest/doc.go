// Package privicoretest is a Privicore for tests and local use: a server that
// keeps state, finishes commands later and refuses what the API refuses. It
// speaks HTTP and WebSocket and nothing else, so a test in Go, curl and a
// client in another language get the same answers.
//
//	func TestRemove(t *testing.T) {
//		server := privicoretest.NewServer(t, privicoretest.WithProfile("alice", "correct horse"))
//		server.Next("Device.Remove", privicoretest.Fault{Reject: []string{"device.in_use"}})
//		// give server.URL to the client under test
//	}
//
// [NewServer] serves until the test ends. [Start] does the same for a program.
// [WithProfile] puts a profile in place that can work at once; without it a
// client goes the whole way: register, wait, authenticate, register a key.
// [Server.Next] makes the next call of an operation fail, wait or be rejected.
//
// # Two dialects
//
// The vendor's documentation and recordings of a live server differ in places.
// [WithDialect] chooses whom the server follows:
//
//	                      Documented (default)           Observed
//	command id in a 202   ["id"]                         X-DPT-CAB-ID and {"commandId":"id"}
//	finished command      ["device.device_approved"]     ["succeeded"]
//	reauthorize           200 with the token             202, the token lives on when it is done
//	taken username        the command is rejected        409 at once
//	refusal               {"message":"..."}              "machine.key"
//	422                   {"message":..,"errors":{..}}   ["field: problem"]
//	timestamps            +00:00                         Z
//	correlationId         required                       may be missing
//
// Removing a device or an authenticator answers 202 without a body in both;
// the id is in X-DPT-CAB-ID. [WithIDShape] moves the id of every 202.
//
// # WebSocket
//
// The proxy at [Server.WebSocketURL] tells every connection in a profile's
// channel that a command has started and how it ended. [Fault.Ack] and
// [Server.HoldAcks] lose, repeat, delay and reorder these messages,
// [Server.Push] and its kin send any other. [Server.DropConnections],
// [Server.Freeze], [Server.RefuseConnections], [Server.RefuseJoins] and
// [Server.IgnoreJoins] are the ways in which a connection goes wrong.
//
//   - A refused request is answered with a status other than 200 and a message
//     in data: 400 for what is not JSON in a text message, 422 for a missing
//     field or an unknown action, 401 for a token that is not alive, 404 for
//     leaving a channel that the connection is not in, 409 for joining a second
//     one. The connection stays open. Joining again is answered like the first
//     time.
//   - A channel is left by its id or by a token of the profile, in both dialects.
//   - The body of an outcome is the message of the command, a list if a
//     rejection has several, or null.
//   - The end of a token does not end the connections that joined with it.
//   - A message is never left out for a slow connection: one that falls a
//     million messages behind is closed.
//
// # Where the API's description is silent
//
//   - A rejected command ends, in both dialects, with 200 and
//     ["rejected","<reason>"].
//   - Shape and blanks are checked at once (422), rules about state when the
//     command finishes. A device that the profile does not have, or that belongs
//     to another profile, is 404 at once; removing one is a rejected command,
//     because the pages of the two removals list no 404.
//   - Approving an approved device, rejecting a rejected one and registering an
//     authenticator twice succeed again. A rejected device cannot be approved,
//     an approved one not be rejected, a removed one not be anything.
//   - The configuration of a device exists only while it is approved (404).
//   - Before its key is registered a profile may register one; every other
//     operation with a token answers 403.
//   - A password has at least 8 characters and not all the same (422). A wrong
//     current password rejects the command. Changing it leaves tokens alive.
//   - Reauthorizing extends the token that was sent. QR tokens last 5 minutes.
//   - A form sent as anything but application/x-www-form-urlencoded, or JSON as
//     anything but application/json, is 422, and so is a parameter that the
//     operation does not know or that is given twice. Bodies end at 1 MiB (413).
//   - deviceIdentifiers of a voting configuration name authenticators of the
//     profile, or the command is rejected.
//   - The voting strategy is an object with quorumSize, strategy,
//     strategy_params, timeLimit and numberOfAttempts, named like the parameters
//     that set them; it starts as a quorum of 1, consensus, "51", 300 s, 1 attempt.
//   - Finished commands are kept as long as the server runs.
package privicoretest

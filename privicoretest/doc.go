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
//	committed data        {"token":"dtk-..."}            "dtk-..."
//	requested data        text, then a download URL      the payload in base64, or token and STREAM-READY
//	authorization code    200 with the id                202
//	policy configuration  may be left out or empty       must have something in it
//	create voting         200 {"pollId":"..."}           202, the command id is the poll's
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
//   - A correlationId of any JSON type comes back as it was, also from inside data
//     if there is none beside it. A 400 has none.
//   - A channel is left by its id or by a token of the profile, in both dialects.
//   - The body of an outcome is the message of the command, a list if a
//     rejection has several, or null.
//   - The end of a token does not end the connections that joined with it.
//   - A message is never left out for a slow connection: one that falls a
//     million messages behind is closed.
//
// # Data
//
// Uploads go to [Server.UploadURL] and downloads come from [Server.DownloadURL],
// each a server of its own; the URLs that the API answers with lead there. What
// is uploaded is kept in a temporary directory until Close. [Server.Next] works
// for "DataToken.Upload" and "DataToken.Download" too: Drop with AfterEffect
// breaks a download off in the middle. [WithSpeed] makes tokens expire sooner.
//
//   - Data needs a storage device of the profile, or what would store some is
//     rejected with storage.device_required, and so is a request for data when
//     there is none any more; [WithStorageDevices].
//   - A ttl has 1 to 240 minutes. What has not been committed by then is gone.
//   - Inline payloads have at most 51200 bytes before base64 (422), uploads any
//     number; either may be empty. A temporary token takes one payload, one way
//     or the other.
//   - Upload and download tokens are used up by the call that begins, even if it
//     breaks off. Unknown, used and expired ones answer 401. A download token
//     lives a minute and not longer than its data.
//   - The stream of a temporary token is a URL in both dialects, for nothing else
//     says where the upload server is; [WithBareStreamToken].
//   - Committing before the data is complete is 422. The extension and the path
//     of a file must be given but may be empty.
//   - meta of a reservation is any text, JSON or meta[a][b]; data.type of it is
//     what the list filters by. Filters compare whole values. A page has 20
//     tokens unless perPage says otherwise; more than 100 are 100, and
//     meta.perPage tells. meta.count is the number of all that match.
//   - Risk meta has any fields, but at least one besides the token (422).
//   - Updated data is base64 and inline only. Its size is what arrived, unless
//     meta.file.size says otherwise.
//   - A request for data answers with both ids in headers. STREAM-READY follows
//     the token that goes with it; the download is at streamUrl + "?auth=" +
//     token.
//
// # Applications
//
//   - Any profile may give access to an application, by scopes that it has or by
//     "all". Access is not narrowed by scope.
//   - A nonce serves an application once (422). The code can be retrieved once
//     (then 404) and lives 5 minutes; used, it is 404, and to another
//     application 403.
//   - The secret is asked for in both dialects. Where an access token is obtained
//     the code alone in Authorization does as well, as documented.
//   - Access tokens live as long as others, also after a refresh; an expired one
//     may still be refreshed. A refresh token works once (422) and for 30 days.
//   - scope in the answers to obtaining and refreshing is what was asked for,
//     between commas.
//   - An Authorization header without the scheme Basic, in any case, is 401.
//
// # Policies and polls
//
// An active policy makes the commands that its events name wait for a poll. A
// lost poll rejects the command with voting.denied and voting.rejected or
// voting.quorum_not_met. The voter of [WithVoter] says yes by default; with
// [WithoutVoter] tests vote by [Server.Polls] and [Server.Vote].
//
//   - A policy refers to a voting configuration by id or name, in either of the
//     two parameters. Its name is its id if none is given. Names are taken once
//     per profile; [WithPolicyLag] is for the lookup by name only.
//   - Quorum and attempts are those of the profile; a configuration has its own
//     strategy, time limit and authenticators. The quorum counts votes of either
//     kind, and the strategies look at the votes that came.
//   - A poll ends early when no vote that is still out can change it. One whose
//     quorum is out of reach, or that has nobody to ask, runs for its time limit
//     unless there is a voter. It keeps the rules that it began with.
//   - The status of a poll is open, passed or failed.
//
// # Where the API's description is silent
//
//   - A rejected command ends, in both dialects, with 200 and
//     ["rejected","<reason>"].
//   - Shape and blanks are checked at once (422), rules about state when the
//     command finishes. A device that the profile does not have, or that belongs
//     to another profile, is 404 at once; removing one is a rejected command,
//     because the pages of the two removals list no 404. For the same reason an
//     id that no device was registered by, or not yet, is 422.
//   - Approving an approved device, rejecting a rejected one and registering an
//     authenticator twice succeed again. A rejected device cannot be approved,
//     an approved one not be rejected, a removed one not be anything.
//   - The configuration of a device exists only while it is approved (404).
//   - Before its key is registered a profile may register one; every other
//     operation with a token answers 403.
//   - A new password has at least 8 characters and not all the same (422); the
//     first one, of a registration, need only not be blank. A wrong
//     current password rejects the command. Changing it leaves tokens alive.
//   - Reauthorizing extends the token that was sent. QR tokens last 5 minutes.
//   - A form sent as anything but application/x-www-form-urlencoded, or JSON as
//     anything but application/json, is 422, and so is a parameter that the
//     operation does not know or that is given twice. No body is an empty form
//     under any Content-Type. Bodies end at 1 MiB (413).
//   - In JSON an optional member may be null, 7.0 is 7, and [] does for an empty
//     object.
//   - UUIDs are found in upper case too. A path with "//" or dot segments is 404.
//   - deviceIdentifiers of a voting configuration name authenticators of the
//     profile, or the command is rejected.
//   - The voting strategy is an object with quorumSize, strategy,
//     strategy_params, timeLimit and numberOfAttempts, named like the parameters
//     that set them; it starts as a quorum of 1, consensus, "51", 60 s, 1 attempt.
//   - Finished commands are kept as long as the server runs.
package privicoretest

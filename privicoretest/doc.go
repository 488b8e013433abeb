// Package privicoretest is a Privicore for tests and local use. Its server keeps
// state, finishes commands later and refuses what the API refuses. It speaks
// HTTP and WebSocket, so a test in Go, curl and a client in another language get
// the same answers.
//
//	func TestRemove(t *testing.T) {
//		server := privicoretest.NewServer(t, privicoretest.WithProfile("alice", "correct horse"))
//		client := server.NewClient(t)
//		tablet := server.Profile("alice").AddDevice("tablet", privicoretest.DeviceApproved)
//		server.Next("Device.Remove", privicoretest.Fault{Reject: []string{"device.in_use"}})
//		// give client and tablet to the code under test
//	}
//
// [NewServer] serves until the test ends. [Start] does the same for a program.
// [Server.NewClient] returns a client for the server, and [Server.ClientOptions]
// what code needs that makes its own client. [WithDialect] chooses between the
// server that the vendor documents and the one that was recorded; see [Dialect] for
// the differences. [WithMemoryNetwork] starts a server for tests with
// testing/synctest, and [WithTLS] one that speaks https and wss.
//
// # Seeding and asking
//
// [WithProfile] and [Server.AddProfile] add a profile that can work at once. Without
// one a client has to register, wait, authenticate and register a key. The methods
// of [Profile] add devices, data tokens, voting configurations and policies without
// a call, and return what is stored. [Server.Requests] returns which requests came
// and what became of them, and [WithLogger] logs them as they come.
//
// # Faults and votes
//
// [Server.Next] makes the next call of an operation fail, wait or be rejected.
// [Server.Always] does so with every call until the fault is lifted.
// [WithRandomFaults] has calls, commands and connections fail at random, and
// [Server.SetFaultRates] ends that. [WithVoter] and [Server.SetVoter] decide how
// authenticators vote: [VoteNo] always says no.
//
// # Without a server
//
// [FinishedCommand], [RejectedCommand] and [RunningCommand] make commands for fakes.
// [privicore.NewPending] makes a Pending of one.
//
// # What the API leaves open
//
// The sections below list what the server does where the description of the API
// leaves it open.
//
// # Requests
//
//   - A form must be sent as application/x-www-form-urlencoded and JSON as
//     application/json (422). A request without a body is an empty form under any
//     Content-Type.
//   - A parameter that the operation does not know, or that is given twice, is
//     422. In JSON an optional member may be null, 7.0 is 7, and [] stands for an
//     empty object.
//   - A body has at most 1 MiB (413).
//   - UUIDs are accepted in upper case too.
//   - A path with "//" or dot segments is 404.
//   - The format of parameters is checked at once (422). Rules about state are
//     checked when the command finishes.
//
// # Commands
//
//   - A rejected command ends, in both dialects, with 200 and
//     ["rejected","<reason>"].
//   - Finished commands are kept as long as the server runs.
//
// # Profiles
//
//   - Until its key is registered, a profile may only register one. Every other
//     operation with a token answers 403.
//   - A new password has at least 8 characters, not all the same (422). The first
//     password, of a registration, only has to be more than blanks. A wrong
//     current password rejects the command. A change leaves tokens alive.
//   - Reauthorizing extends the token that was sent.
//   - QR tokens last 5 minutes.
//
// # Devices
//
//   - A device that the profile does not have, or that belongs to another
//     profile, is 404 at once. Removing one is a rejected command instead, because
//     the pages of the two removals list no 404. For the same reason retrieving a
//     device by an id that registered none, or none yet, is 422.
//   - Approving an approved device, rejecting a rejected one and registering an
//     authenticator twice succeed again. A rejected device cannot be approved and
//     an approved one cannot be rejected. A removed device accepts no command.
//   - The configuration of a device exists only while it is approved (404).
//
// # WebSocket
//
// The proxy at [Server.WebSocketURL] sends the outcomes of a profile's commands
// to every connection in the channel of the profile. [Fault.Ack] and [Server.HoldAcks]
// lose, repeat, delay and reorder these messages. [Server.Push],
// [Server.PushRaw] and [Server.PushUnframed] send any other message. Connections
// go wrong with [Server.DropConnections], [Server.Freeze],
// [Server.RefuseConnections], [Server.RefuseJoins] and [Server.IgnoreJoins].
//
//   - A refused request is answered with a status other than 200 and a message
//     in data. The status is 400 for what is not JSON in a text message, 422 for a
//     missing field or an unknown action, 401 for a token that is not alive, 404
//     for leaving a channel that the connection is not in, and 409 for joining a
//     second channel. The connection stays open.
//   - Joining the same channel again gets the same answer as the first time.
//   - A correlationId may be of any JSON type and comes back as it was. The server
//     also accepts it inside data, if there is none beside data. An answer with
//     status 400 has none.
//   - A channel is left by its id or by a token of the profile, in both dialects.
//   - The body of an outcome is the message of the command, a list if there are
//     several, or null.
//   - The end of a token does not end the connections that joined with it.
//   - A slow connection gets every message. It is closed once a million messages
//     wait for it.
//
// # Data
//
// Uploads go to [Server.UploadURL] and downloads come from [Server.DownloadURL].
// Each is a server of its own, and the addresses in answers lead there. Uploaded
// data is kept in a temporary directory until Close. [Server.Next] works for
// "DataToken.Upload" and "DataToken.Download" too: Drop with AfterEffect breaks a
// download off in the middle. [WithSpeed] makes tokens expire sooner.
//
//   - Storing and requesting data takes a storage device of the profile. Without
//     one the command is rejected with storage.device_required; see
//     [WithStorageDevices].
//   - A ttl has 1 to 240 minutes. Data that is not committed by then is removed.
//   - Inline payloads have at most 51200 bytes before base64 (422). Uploads have
//     no limit. Either may be empty. A temporary token accepts one payload, inline
//     or uploaded.
//   - Upload and download tokens are used up when the call begins, even if it
//     breaks off. Unknown, used and expired ones answer 401. A download token
//     lives a minute and no longer than its data.
//   - The stream of a temporary token is a whole address in both dialects, because
//     nothing else says where the upload server is; see [WithBareStreamToken].
//   - Committing before the data is complete is 422. The extension and the path
//     of a file must be given but may be empty.
//   - The meta of a reservation is any text, JSON or meta[a][b]. The list filters
//     by its data.type. Filters compare whole values.
//   - A page has 20 tokens unless perPage says otherwise, and at most 100.
//     meta.perPage of the answer is the number in use. meta.count is the number of
//     all tokens that match.
//   - Risk meta has any fields, and at least one besides the token (422).
//   - Updated data is inline only. Its size is that of the payload, unless
//     meta.file.size says otherwise.
//   - A request for data answers with both ids in headers. In the observed dialect
//     STREAM-READY follows the token that goes with it; the download is at
//     streamUrl + "?auth=" + token.
//
// # Applications
//
//   - Any profile may give access to an application, by scopes that the
//     application has or by "all". The scope of a token limits nothing.
//   - A nonce works once per application (422). A code can be retrieved once (then
//     404) and lives 5 minutes. A used code is 404, and the code of another
//     application is 403.
//   - Both dialects ask for the secret of the application. Where an access token
//     is obtained, the code alone in Authorization is accepted too, as documented.
//   - Access tokens live as long as other tokens, also after a refresh. An expired
//     one may still be refreshed. A refresh token works once (422) and lives 30
//     days.
//   - The answers to obtaining and refreshing have the requested scopes in scope,
//     between commas.
//   - An Authorization header without the scheme Basic, in any case, is 401.
//
// # Policies and polls
//
// An active policy makes the commands that its events name wait for a poll. A
// lost poll rejects the command with voting.denied and either voting.rejected or
// voting.quorum_not_met. The voter of [WithVoter] says yes by default. With
// [WithoutVoter] a test votes by [Server.Polls] and [Server.Vote].
//
//   - A policy refers to a voting configuration by id or name, in either of the
//     two parameters. Its own name is its id if none is given. A name can be used
//     once per profile. [WithPolicyLag] concerns only the lookup by name.
//   - deviceIdentifiers of a voting configuration name authenticators of the
//     profile, or the command is rejected.
//   - The voting strategy is an object with quorumSize, strategy,
//     strategy_params, timeLimit and numberOfAttempts, named like the parameters
//     that set them. It starts as a quorum of 1, consensus, "51", 60 s, 1 attempt.
//   - Quorum and attempts are those of the profile. A configuration has its own
//     strategy, time limit and authenticators. The quorum counts all votes, yes
//     and no. The strategies look only at the votes that came.
//   - A poll ends early when no outstanding vote can change it. A poll whose
//     quorum is out of reach, or that has nobody to ask, runs for its time limit
//     unless there is a voter. A poll keeps the rules that it began with.
//   - The status of a poll is open, passed or failed.
package privicoretest

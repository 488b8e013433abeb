// Package storm holds a test and nothing else. Many goroutines call all services
// of clients whose server, connections and WebSocket proxy fail at random. The
// server knows which calls it carried out, and the test compares:
//
//   - No call is carried out more often than it was made.
//   - Every outcome that a client reports is the outcome that the server knows.
//   - A call whose error does not match ErrAmbiguous was not carried out.
//   - Every wait ends as the comment of Command.Wait says, and in time.
//   - After Close no goroutine and no connection is left, and nothing is sent.
//   - No secret is in an error or in a line of the log.
//   - Once the faults end, everything works again within a bound.
//
// Each run prints its seed. The same seed draws the same calls and the same
// faults; only the order in which goroutines run differs.
//
//	go test ./internal/storm -storm.time=1m -storm.rate=0.2 -storm.seed=7
//
// The flag -storm.soak=10m runs one long storm against a server in a process of
// its own, and prints a table of the memory that the clients use.
package storm

// Package wire reads what Privicore servers send: answers to requests, messages
// of the WebSocket channel, addresses of file servers.
//
// All functions are pure. They take bytes or strings, and return values; none
// sends anything, and none knows the client, its errors or HTTP.
//
// Servers differ from the documentation and from each other, so reading is
// tolerant. A field of an unexpected type costs that field and not the value,
// an entry that cannot be read costs that entry and not the list. A status is
// the exception: only the shapes that are documented or were recorded count as
// a success.
//
// No input makes a function panic, nest without bound, or quote what it was
// given in an error: a body may hold secrets.
package wire

//go:build !js

package main

import (
	"net/http"

	"github.com/coder/websocket"
)

// dialOptions returns the options of a WebSocket connection over a client.
func dialOptions(client *http.Client) *websocket.DialOptions {
	return &websocket.DialOptions{HTTPClient: client}
}

package main

import (
	"net/http"

	"github.com/coder/websocket"
)

// dialOptions returns no options, because a browser opens the connection itself.
func dialOptions(*http.Client) *websocket.DialOptions { return nil }

package privicore_test

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// Programs outside this repository call these names. This file does not compile if
// one of them is gone or has another type.
var (
	_ func(...privicore.Option) (*privicore.Client, error) = privicore.NewClient
	_ func(*privicore.Client) error                        = (*privicore.Client).Close
	_ func(string) privicore.Option                        = privicore.WithBaseURL
	_ func(string) privicore.Option                        = privicore.WithWebSocketURL
	_ func(string) privicore.Option                        = privicore.WithToken
	_ func(string, string) privicore.Option                = privicore.WithCredentials
	_ func(*http.Client) privicore.Option                  = privicore.WithHTTPClient
	_ func(*slog.Logger) privicore.Option                  = privicore.WithLogger
	_ func() privicore.Option                              = privicore.WithInsecureHTTP
	_ func(time.Duration) privicore.Option                 = privicore.WithStallTimeout
	_ func() privicore.Option                              = privicore.FromEnv

	_ func(*privicore.DeviceService, context.Context, string) (*privicore.Command, error)             = (*privicore.DeviceService).Remove
	_ func(*privicore.DeviceService, context.Context, string) (*privicore.Device, error)              = (*privicore.DeviceService).RetrieveIdentifier
	_ func(*privicore.DeviceService, context.Context) ([]privicore.Device, error)                     = (*privicore.DeviceService).List
	_ func(*privicore.DeviceService, context.Context, string) (*privicore.DeviceConfiguration, error) = (*privicore.DeviceService).Configuration

	_ func(*privicore.Client, string) *privicore.Command                                      = (*privicore.Client).Command
	_ func(context.Context, ...*privicore.Command) ([]*privicore.CommandResult, error)        = privicore.WaitAll
	_ func(*privicore.Client, context.Context) iter.Seq2[privicore.Event, error]              = (*privicore.Client).Events
	_ func(*privicore.Command, context.Context) (*privicore.CommandResult, error)             = (*privicore.Command).Wait
	_ func(*privicore.Pending[*privicore.Device], context.Context) (*privicore.Device, error) = (*privicore.Pending[*privicore.Device]).Result
	_ func(testing.TB, ...privicoretest.Option) *privicoretest.Server                         = privicoretest.NewServer
	_                                                                                         = privicore.Command{ID: ""}
	_                                                                                         = privicore.CommandResult{ID: "", Status: "", Messages: nil}
	_                                                                                         = privicore.Pending[int]{Command: nil}
	_                                                                                         = privicore.APIError{StatusCode: 0}
	_                                                                                         = privicore.CommandError{ID: "", Messages: nil}
	_                                                                                         = privicoretest.Server{URL: "", WebSocketURL: ""}
	_                                                                                         = [...]error{
		privicore.ErrUnauthorized, privicore.ErrForbidden, privicore.ErrNotFound, privicore.ErrConflict,
		privicore.ErrValidation, privicore.ErrRateLimited, privicore.ErrNoCommandID,
		privicore.ErrUnexpectedAnswer, privicore.ErrAmbiguous, privicore.ErrClosed,
	}
)

func _(c *privicore.Client) {
	_, _, _, _, _ = c.Utility, c.Profile, c.PublicKey, c.Device, c.Storage
	_, _, _, _, _ = c.VerifiedAuthenticator, c.OAuth, c.DataToken, c.Policy, c.Voting
}

// An application that acts for a profile: it is registered and authorized, and
// its access token is refreshed.
//
// It runs on a sandbox in this process. With PRIVICORE_API_URL and credentials
// set it runs on that server.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/examples/internal/server"
)

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	client, where, stop, err := server.Connect(true)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Println("Privicore on", where)

	pending, err := client.OAuth.Register(ctx, privicore.RegisterApplicationRequest{
		Name:        "monthly reports",
		RedirectURI: "https://reports.example.com/callback",
		Scopes:      []string{"read", "write"},
	})
	if err != nil {
		return err
	}
	// The server gives the secret out once. A real program keeps it now. It could
	// also keep pending.ID and call TakeConfiguration in another process.
	app, err := pending.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("registered: client %s, secret %v, %d characters long\n", app.ClientID, app.ClientSecret, len(app.ClientSecret.Reveal()))

	fmt.Println("the code flow in one call")
	access, err := client.OAuth.Authorize(ctx, privicore.AuthorizeRequest{
		ClientID:     app.ClientID,
		ClientSecret: app.ClientSecret,
		Scopes:       []string{"read"},
	})
	if err != nil {
		return err
	}
	describe(access)

	fmt.Println("and step by step, as two programs do it")
	// The profile's side asks for the code and passes on its id and its nonce.
	asked, err := client.OAuth.RequestAuthorizationCode(ctx, privicore.AuthorizationRequest{
		ClientID: app.ClientID,
		Scopes:   []string{"read", "write"},
	})
	if err != nil {
		return err
	}
	// The application's side has the secret, and no token of the profile. A code
	// that was made for another request is refused with ErrNonce.
	code, err := asked.Result(ctx, app.ClientSecret)
	if err != nil {
		return err
	}
	fmt.Printf("  code %v, good for %s\n", code.Code, left(code.ExpiresAt))
	access, err = client.OAuth.ObtainAccessToken(ctx, privicore.ObtainAccessTokenRequest{
		ClientID:     app.ClientID,
		ClientSecret: app.ClientSecret,
		Code:         code.Code,
	})
	if err != nil {
		return err
	}
	describe(access)

	// A source refreshes the token for its clients: ahead of its expiry, and when
	// the server refuses it. A program that goes on later keeps each new token.
	source := client.OAuth.TokenSource(access, func(next *privicore.AccessToken) {
		fmt.Printf("refreshed, good for %s; the refresh token is a new one: %t\n",
			left(next.ExpiresAt), next.RefreshToken.Reveal() != access.RefreshToken.Reveal())
	})
	reports, err := client.Clone(privicore.WithTokenSource(source))
	if err != nil {
		return err
	}
	defer reports.Close()
	mine, err := client.Profile.ID(ctx)
	if err != nil {
		return err
	}
	theirs, err := reports.Profile.ID(ctx)
	if err != nil {
		return err
	}
	fmt.Println("the application acts for the profile:", mine == theirs)

	// The client would ask the source when it is time. Here it is asked by hand.
	if _, err := source.Token(ctx); err != nil {
		return err
	}
	allowed, err := client.OAuth.Scope(ctx, access.Token)
	if err != nil {
		fmt.Println("the old access token is dead:", err)
		return nil
	}
	fmt.Printf("the old access token lives until it expires, for %s\n", allowed.RawJSON())
	return nil
}

func describe(t *privicore.AccessToken) {
	fmt.Printf("  access token %v for %q, good for %s; to be refreshed for %s\n",
		t.Token, t.Scope, left(t.ExpiresAt), left(t.RefreshTokenExpiresAt))
}

func left(t time.Time) time.Duration { return time.Until(t).Round(time.Second) }

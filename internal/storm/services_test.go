package storm

import (
	"context"
	"encoding/base64"
	"io"
	"time"

	"github.com/privicore/privicore-go"
)

func copyAll(to io.Writer, from io.Reader) (int64, error) { return io.Copy(to, from) }

// application registers an application and has it act for the profile.
func (w *worker) application(ctx context.Context, c *privicore.Client) {
	name := w.unique("application")
	pending, err := c.OAuth.Register(ctx, privicore.RegisterApplicationRequest{
		Name: name, RedirectURI: "https://app.privicore.test/callback", Scopes: []string{"read", "write"},
	})
	if err != nil {
		w.begun(ctx, "OAuth.Register", name, nil, err)
		return
	}
	w.begun(ctx, "OAuth.Register", name, pending.Command, nil)
	start := time.Now()
	app, err := pending.Result(ctx)
	if !w.result(ctx, start, "OAuth.Register", pending.Command, err) {
		return
	}
	w.rig.secrets.plant(base64.StdEncoding.EncodeToString([]byte(app.ClientID + ":" + app.ClientSecret.Reveal())))
	w.rig.secrets.scanValue("a configuration", app)

	nonce := w.unique("nonce")
	request := privicore.AuthorizationRequest{ClientID: app.ClientID, Scopes: []string{"read"}, Nonce: nonce}
	requested, err := c.OAuth.RequestAuthorizationCode(ctx, request)
	if !w.valued(ctx, "OAuth.RequestAuthorizationCode", nonce, err) {
		return
	}
	_, err = c.OAuth.RequestAuthorizationCode(ctx, request) // a used nonce is refused
	w.valued(ctx, "OAuth.RequestAuthorizationCode", nonce, err)
	code, err := requested.Result(ctx, app.ClientSecret)
	if !w.judge(ctx, "OAuth.TakeAuthorizationCode", err) {
		return
	}
	if code.Nonce != nonce || code.ClientID != app.ClientID {
		w.ledger.violated("every value is true", "the code of %q is for %q", nonce, code.Nonce)
	}
	access, err := c.OAuth.ObtainAccessToken(ctx, privicore.ObtainAccessTokenRequest{
		ClientID: app.ClientID, ClientSecret: app.ClientSecret, Code: code.Code,
	})
	if !w.judge(ctx, "OAuth.ObtainAccessToken", err) {
		return
	}
	w.rig.secrets.scanValue("an access token", access)
	_, err = c.OAuth.Scope(ctx, access.Token)
	w.judge(ctx, "OAuth.Scope", err)
	_, err = c.OAuth.RefreshAccessToken(ctx, access.Token, access.RefreshToken)
	w.judge(ctx, "OAuth.RefreshAccessToken", err)
}

// votingConfiguration returns the name of a voting configuration of this worker.
// It is empty if registering one failed.
func (w *worker) votingConfiguration(ctx context.Context, c *privicore.Client) string {
	if w.voting != "" {
		return w.voting
	}
	const operation = "VerifiedAuthenticator.RegisterVotingConfiguration"
	name := w.unique("configuration")
	cmd, err := c.VerifiedAuthenticator.RegisterVotingConfiguration(ctx, privicore.VotingConfiguration{
		Name: name, TimeLimit: time.Minute, Strategy: privicore.Affirmative,
	})
	if w.command(ctx, operation, name, cmd, err) {
		w.voting = name
	}
	return w.voting
}

// poll has the authenticators vote.
func (w *worker) poll(ctx context.Context, c *privicore.Client) {
	voting := w.votingConfiguration(ctx, c)
	if voting == "" {
		return
	}
	question := w.unique("question")
	poll, err := c.Voting.Create(ctx, privicore.CreatePollRequest{VotingConfiguration: voting, Title: "storm", Question: question})
	if !w.valued(ctx, "Voting.Create", question, err) {
		return
	}
	start := time.Now()
	status, err := poll.Result(ctx)
	if w.judge(ctx, "Voting.Watch", err) {
		w.ledger.polled(poll.ID, status.Status)
		return
	}
	w.pollEnding(ctx, start, err)
}

// policy has a policy go through its life.
func (w *worker) policy(ctx context.Context, c *privicore.Client) {
	const (
		template = "0195d2c4-0000-7000-8000-000000000002"
		event    = "0195d2c4-0000-7000-8000-000000000023" // Storage.Remove
	)
	voting := w.votingConfiguration(ctx, c)
	if voting == "" {
		return
	}
	name := w.unique("policy")
	pending, err := c.Policy.Register(ctx, privicore.RegisterPolicyRequest{
		TemplateID: template, EventIDs: []string{event}, Name: name, VotingConfiguration: voting,
		Configuration: map[string]any{"reason": name},
	})
	if err != nil {
		w.begun(ctx, "Policy.Register", name, nil, err)
		return
	}
	w.begun(ctx, "Policy.Register", name, pending.Command, nil)
	start := time.Now()
	policy, err := pending.Result(ctx)
	if !w.result(ctx, start, "Policy.Register", pending.Command, err) {
		return
	}
	cmd, err := c.Policy.Activate(ctx, policy.ID)
	w.command(ctx, "Policy.Activate", policy.ID, cmd, err)
	cmd, err = c.Policy.Deactivate(ctx, policy.ID)
	w.command(ctx, "Policy.Deactivate", policy.ID, cmd, err)
	cmd, err = c.Policy.Delete(ctx, policy.ID)
	w.command(ctx, "Policy.Delete", policy.ID, cmd, err)
}

// reads makes calls that change nothing.
func (w *worker) reads(ctx context.Context, c *privicore.Client) {
	if id, err := c.Profile.ID(ctx); w.judge(ctx, "Profile.ID", err) {
		w.same("profile id", &w.once.profileID, id)
	}
	if k, err := c.PublicKey.Retrieve(ctx); w.judge(ctx, "PublicKey.Retrieve", err) {
		w.same("public key", &w.once.publicKey, k.String())
	}
	if health, err := c.Utility.Health(ctx); w.judge(ctx, "Utility.Health", err) && health.Status != "ok" {
		w.ledger.violated("every value is true", "health is %q", health.Status)
	}
	if templates, err := c.Policy.ListTemplates(ctx); w.judge(ctx, "Policy.ListTemplates", err) && len(templates) != 2 {
		w.ledger.violated("every value is true", "%d templates", len(templates))
	}
	if expires, err := c.Profile.TokenExpiry(ctx); w.judge(ctx, "Profile.TokenExpiry", err) && expires.IsZero() {
		w.ledger.violated("every value is true", "a token never expires")
	}
	_, err := c.Storage.List(ctx)
	w.judge(ctx, "Storage.List", err)
	if !w.ledger.forget { // in a soak these lists would become all that is read
		_, err = c.Device.List(ctx)
		w.judge(ctx, "Device.List", err)
		_, err = c.OAuth.List(ctx)
		w.judge(ctx, "OAuth.List", err)
	}
	_, err = c.Policy.ListRegistered(ctx)
	w.judge(ctx, "Policy.ListRegistered", err)
	_, err = c.DataToken.List(ctx, privicore.DataTokenFilter{})
	w.judge(ctx, "DataToken.List", err)
	for range 5 { // what is sent is secret, and errors may quote it
		_, err = c.Profile.Authenticate(ctx, w.crew.profile, password)
		w.judge(ctx, "Profile.Authenticate", err)
	}
	if w.dice.IntN(4) == 0 {
		w.judge(ctx, "Profile.RevokeToken", c.Profile.RevokeToken(ctx))
	}
}

// same checks a value that never changes.
func (w *worker) same(what string, known *string, got string) {
	if *known == "" {
		*known = got
	}
	if got != *known {
		w.ledger.violated("every value is true", "%s: %s became %s", what, *known, got)
	}
}

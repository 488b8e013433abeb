package privicoretest_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// The API finds what was seeded, and seeding sends nothing and counts nowhere.
func TestSeededDevices(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t)
		alice := s.Profile("alice")
		client := s.NewClient(t)
		require.NoError(t, client.Connect(t.Context()))
		calls := len(s.Requests())

		tablet := alice.AddDevice("tablet", privicoretest.DevicePending)
		phone := alice.AddDevice("phone", privicoretest.DeviceApproved, privicoretest.Authenticator)
		both := alice.AddDevice("both", privicoretest.DeviceApproved, privicoretest.Authenticator, privicoretest.Storage)
		refused := alice.AddDevice("refused", privicoretest.DeviceRejected)
		removed := alice.AddDevice("removed", privicoretest.DeviceRemoved)
		assert.Len(t, s.Requests(), calls)
		for _, op := range privicoretest.Operations() {
			if strings.HasPrefix(op, "Device.") {
				assert.Zero(t, s.Calls(op), op)
			}
		}

		listed, err := client.Device.List(t.Context())
		require.NoError(t, err)
		require.Len(t, listed, 4)
		assert.Equal(t, tablet, listed[0].Identifier)
		authenticators, err := client.VerifiedAuthenticator.List(t.Context())
		require.NoError(t, err)
		require.Len(t, authenticators, 2)
		assert.Equal(t, phone, authenticators[0].DeviceIdentifier)
		storage, err := client.Storage.List(t.Context())
		require.NoError(t, err)
		require.Len(t, storage, 1)
		assert.Equal(t, both, storage[0].DeviceIdentifier)
		_, err = client.Device.Configuration(t.Context(), phone)
		require.NoError(t, err, "an approved device has a configuration")

		// The rules go on from there.
		approve := func(id string) error {
			cmd, err := client.Device.Approve(t.Context(), id)
			require.NoError(t, err)
			_, err = cmd.Wait(t.Context())
			return err
		}
		require.NoError(t, approve(tablet))
		require.ErrorContains(t, approve(refused), "device.already_rejected")
		require.ErrorContains(t, approve(removed), "device.already_removed")

		devices := alice.Devices()
		require.Len(t, devices, 4)
		assert.Equal(t, privicoretest.Device{
			Identifier: both, Name: "both", Status: privicoretest.DeviceApproved,
			Authenticator: true, Storage: true, CreatedAt: devices[2].CreatedAt,
		}, devices[2])
		assert.WithinDuration(t, time.Now(), devices[2].CreatedAt, time.Hour)
		assert.Equal(t, privicoretest.DeviceApproved, alice.Device(tablet).Status)
		assert.Equal(t, privicoretest.DeviceRemoved, alice.Device(removed).Status)
		assert.Zero(t, alice.Device("nothing"))
		assert.Zero(t, s.AddProfile("bob", password).Device(tablet), "the device of another profile")
	})
}

// Nothing about a seeded command comes over the WebSocket.
func TestSeedingIsNotPushed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t)
		client := s.NewClient(t)
		require.NoError(t, client.Connect(t.Context()))
		s.Profile("alice").AddDevice("tablet", privicoretest.DeviceApproved)
		s.Push("alice", map[string]any{"data": map[string]string{"type": "LAST"}})
		var seen []string
		for event, err := range client.Events(t.Context()) {
			require.NoError(t, err)
			if raw := event.RawJSON(); raw != nil {
				seen = append(seen, string(raw))
			}
			if len(seen) > 0 {
				break
			}
		}
		require.Len(t, seen, 1)
		assert.Contains(t, seen[0], "LAST")
	})
}

func TestSeededData(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, privicoretest.WithStorageDevices(1))
		alice := s.Profile("alice")
		cipher, err := privicore.NewAESGCM(bytes.Repeat([]byte{7}, 32))
		require.NoError(t, err)
		small := alice.AddEncrypted(privicoretest.DataToken{
			Context: "invoices", FileName: "may.pdf", Meta: map[string]string{"data.type": "invoice"},
		}, cipher, []byte("the plaintext"))
		large := bytes.Repeat([]byte("large "), 20_000)
		big := alice.AddEncrypted(privicoretest.DataToken{Context: "archive"}, cipher, large)
		plain := []byte("as it is")
		raw := alice.AddDataToken(privicoretest.DataToken{Context: "raw", Extension: "txt", Path: "/x", Size: 3}, plain)
		plain[0] = 'X'

		client := s.NewClient(t)
		for token, want := range map[string]string{small: "the plaintext", big: string(large)} {
			r, err := client.DataToken.Retrieve(t.Context(), token, privicore.Retrieval{Cipher: cipher})
			require.NoError(t, err)
			var got bytes.Buffer
			_, err = got.ReadFrom(r)
			require.NoError(t, err)
			require.NoError(t, r.Close())
			assert.Equal(t, want, got.String())
		}
		found, err := client.DataToken.List(t.Context(), privicore.DataTokenFilter{DataType: "invoice"})
		require.NoError(t, err)
		require.Len(t, found, 1)
		assert.Equal(t, small, found[0].Token)

		tokens := alice.DataTokens()
		require.Len(t, tokens, 3)
		assert.Equal(t, privicoretest.DataToken{
			Token: small, Context: "invoices", FileName: "may.pdf", Extension: "pdf", Path: "/",
			Size: 13, StoredSize: 13 + 28, Meta: map[string]string{"data.type": "invoice"}, CreatedAt: tokens[0].CreatedAt,
		}, tokens[0])
		assert.EqualValues(t, 3, alice.DataToken(raw).Size)
		assert.Equal(t, "payload", alice.DataToken(raw).FileName)
		assert.Equal(t, "as it is", string(alice.Ciphertext(raw)), "the server keeps a copy")
		alice.Ciphertext(raw)[0] = 'X'
		assert.Equal(t, "as it is", string(alice.Ciphertext(raw)), "and returns one")
		assert.Zero(t, alice.DataToken("dtk-nothing"))

		// What a client stores can be asked for too.
		cmd, err := client.DataToken.Delete(t.Context(), raw)
		require.NoError(t, err)
		_, err = cmd.Wait(t.Context())
		require.NoError(t, err)
		assert.Len(t, alice.DataTokens(), 2)
	})
}

func TestSeededPolicy(t *testing.T) {
	for _, dialect := range []privicoretest.Dialect{privicoretest.Documented, privicoretest.Observed} {
		t.Run(fmt.Sprint(dialect), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := serveInMemory(t, privicoretest.WithDialect(dialect), privicoretest.WithPolicyLag(time.Hour))
				alice := s.Profile("alice")
				phone := alice.AddDevice("phone", privicoretest.DeviceApproved, privicoretest.Authenticator)
				id := alice.AddVotingConfiguration(privicoretest.VotingConfiguration{
					Name: "owners", TimeLimit: 5 * time.Minute, Strategy: privicore.MinimumPercentage, PercentageRequired: 75,
					DeviceIdentifiers: []string{phone},
				})
				alice.AddVotingConfiguration(privicoretest.VotingConfiguration{Name: "plain"})
				policy := alice.AddPolicy(privicoretest.Policy{
					Name: "four eyes", Events: []string{"Device.Approve", "remove device"}, VotingConfiguration: "owners", Active: true,
				})
				idle := alice.AddPolicy(privicoretest.Policy{
					Name: "idle", Template: "Data access", Events: []string{"data_token.delete"}, Configuration: map[string]any{"reason": "x"},
				})

				configurations := alice.VotingConfigurations()
				assert.Equal(t, []privicoretest.VotingConfiguration{
					{ID: id, Name: "owners", TimeLimit: 5 * time.Minute, Strategy: privicore.MinimumPercentage, PercentageRequired: 75, DeviceIdentifiers: []string{phone}},
					{ID: configurations[1].ID, Name: "plain", TimeLimit: time.Minute, Strategy: privicore.Consensus, DeviceIdentifiers: []string{}},
				}, configurations)
				policies := alice.Policies()
				require.Len(t, policies, 2)
				assert.Equal(t, privicoretest.Policy{
					ID: policy, Name: "four eyes", Template: "Device control", Events: []string{"Approve device", "Remove device"},
					Configuration: map[string]any{"reason": "four eyes"}, VotingConfiguration: "owners", Active: true, CreatedAt: policies[0].CreatedAt,
				}, policies[0])
				assert.False(t, policies[1].Active)
				assert.Equal(t, []string{"Delete data"}, policies[1].Events)
				assert.Equal(t, idle, policies[1].ID)

				client := s.NewClient(t)
				found, err := client.Policy.Retrieve(t.Context(), "four eyes")
				require.NoError(t, err, "at once")
				assert.Equal(t, policy, found.ID)
				active, err := client.Policy.ListActive(t.Context())
				require.NoError(t, err)
				assert.Len(t, active, 1)

				// Seeding itself is not put to the vote; calls are.
				s.SetVoter(privicoretest.VoteNo)
				assert.NotEmpty(t, alice.AddDevice("tablet", privicoretest.DeviceApproved))
				assert.Empty(t, s.Polls("alice"))
				cmd, err := client.Device.Approve(t.Context(), alice.AddDevice("other", privicoretest.DevicePending))
				require.NoError(t, err)
				_, err = cmd.Wait(t.Context())
				require.ErrorIs(t, err, privicore.MessageKey("voting.denied"))
				assert.Equal(t, []string{phone}, s.Polls("alice")[0].Devices)
			})
		})
	}
}

func TestSeededVotingSettings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t)
		alice := s.Profile("alice")
		alice.SetVotingSettings(privicoretest.VotingSettings{QuorumSize: 3, Attempts: 2, TimeLimit: 90 * time.Second})
		assert.Equal(t, privicoretest.VotingSettings{
			QuorumSize: 3, Strategy: privicore.Consensus, Percentage: 51, TimeLimit: 90 * time.Second, Attempts: 2,
		}, alice.VotingSettings())
		alice.SetVotingSettings(privicoretest.VotingSettings{Strategy: privicore.MinimumPercentage, Percentage: 75})
		settings, err := s.NewClient(t).VerifiedAuthenticator.Strategy(t.Context())
		require.NoError(t, err)
		assert.Equal(t, privicore.MinimumPercentage, settings.Strategy)
		assert.Equal(t, 75, settings.Percentage)
		assert.Equal(t, 3, settings.QuorumSize)
		for strategy, percentage := range map[privicore.Strategy]int{privicore.Unanimous: 100, privicore.Consensus: 51, privicore.Affirmative: 1} {
			alice.SetVotingSettings(privicoretest.VotingSettings{Strategy: strategy})
			assert.Equal(t, percentage, alice.VotingSettings().Percentage)
		}
	})
}

// What a server would refuse cannot be seeded. It fails the test and leaves nothing.
func TestSeedingFollowsTheRules(t *testing.T) {
	t.Parallel()
	failed := &recorder{TB: t}
	s := privicoretest.NewServer(failed,
		privicoretest.WithMemoryNetwork(), privicoretest.WithProfile("alice", password), privicoretest.WithStorageDevices(0))
	t.Cleanup(s.Close)
	alice := s.Profile("alice")
	alice.AddVotingConfiguration(privicoretest.VotingConfiguration{Name: "taken"})
	alice.AddPolicy(privicoretest.Policy{Name: "taken", Events: []string{"Device.Remove"}})
	require.Empty(t, failed.messages)

	about := privicoretest.DataToken{Context: "x"}
	for want, breach := range map[string]func(){
		"no profile \"bob\"":                         func() { s.Profile("bob").AddDevice("x", privicoretest.DevicePending) },
		"is there twice":                             func() { s.AddProfile("alice", "x").AddDevice("x", privicoretest.DevicePending) },
		"needs a username":                           func() { s.AddProfile("", "x") },
		"deviceName":                                 func() { alice.AddDevice(" ", privicoretest.DevicePending) },
		"no status \"flying\"":                       func() { alice.AddDevice("x", "flying") },
		"no role \"dancer\"":                         func() { alice.AddDevice("x", privicoretest.DeviceApproved, "dancer") },
		"verified_authenticator.device_not_approved": func() { alice.AddDevice("x", privicoretest.DevicePending, privicoretest.Authenticator) },
		"storage.device_not_approved":                func() { alice.AddDevice("x", privicoretest.DeviceRejected, privicoretest.Storage) },
		"storage.device_required":                    func() { alice.AddDataToken(about, nil) },
		"context: This value should not be blank":    func() { alice.AddDataToken(privicoretest.DataToken{}, nil) },
		"AES-256-GCM has no key":                     func() { alice.AddEncrypted(about, &privicore.AESGCM{}, nil) },
		"token was not found":                        func() { alice.Ciphertext("dtk-x") },
		"voting_configuration_name_taken":            func() { alice.AddVotingConfiguration(privicoretest.VotingConfiguration{Name: "taken"}) },
		"timeLimit": func() {
			alice.AddVotingConfiguration(privicoretest.VotingConfiguration{Name: "x", TimeLimit: time.Millisecond})
		},
		"verified_authenticator.not_registered": func() {
			alice.AddVotingConfiguration(privicoretest.VotingConfiguration{Name: "x", DeviceIdentifiers: []string{"x"}})
		},
		"not a known strategy": func() { alice.AddVotingConfiguration(privicoretest.VotingConfiguration{Name: "x", Strategy: "x"}) },
		"there are no events":  func() { alice.AddPolicy(privicoretest.Policy{Name: "x"}) },
		"no template \"\" has the events": func() {
			alice.AddPolicy(privicoretest.Policy{Name: "x", Events: []string{"Device.Approve", "Delete data"}})
		},
		"no template \"Data access\" has the events": func() {
			alice.AddPolicy(privicoretest.Policy{Name: "x", Template: "Data access", Events: []string{"Device.Approve"}})
		},
		"policy.name_taken": func() { alice.AddPolicy(privicoretest.Policy{Name: "taken", Events: []string{"Device.Remove"}}) },
		"no such voting configuration": func() {
			alice.AddPolicy(privicoretest.Policy{Name: "x", Events: []string{"Device.Remove"}, VotingConfiguration: "x"})
		},
		"quorumSize": func() {
			alice.SetVotingSettings(privicoretest.VotingSettings{QuorumSize: -1, Attempts: 7, TimeLimit: time.Hour})
		},
		"strategy: This value should not be blank": func() { alice.SetVotingSettings(privicoretest.VotingSettings{Percentage: 7}) },
	} {
		failed.messages = nil
		before := fmt.Sprint(alice.Devices(), alice.DataTokens(), alice.VotingConfigurations(), alice.Policies(), alice.VotingSettings(), len(s.Profiles()))
		breach()
		if assert.NotEmpty(t, failed.messages, want) {
			assert.Contains(t, failed.messages[0], want)
		}
		assert.Equal(t, before, fmt.Sprint(alice.Devices(), alice.DataTokens(), alice.VotingConfigurations(), alice.Policies(), alice.VotingSettings(), len(s.Profiles())), want)
	}
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	s := serve(t, privicoretest.WithMemoryNetwork(), privicoretest.WithStorageDevices(2))
	s.AddProfile("aaron", password)
	var usernames []string
	for _, p := range s.Profiles() {
		usernames = append(usernames, p.Username())
		assert.Len(t, p.Devices(), 2)
		assert.Equal(t, 200, login(t, s, p.Username()).get("/profile/retrieve-profile-id").status)
	}
	assert.Equal(t, []string{"aaron", "alice"}, usernames)
}

// A voter that is set while a poll is open is asked about it.
func TestSetVoter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serveInMemory(t, privicoretest.WithoutVoter())
		alice := s.Profile("alice")
		phone := alice.AddDevice("phone", privicoretest.DeviceApproved, privicoretest.Authenticator)
		alice.AddPolicy(privicoretest.Policy{Name: "p", Events: []string{"Device.Remove"}, Active: true})
		client := s.NewClient(t)
		remove := func() *privicore.Command {
			cmd, err := client.Device.Remove(t.Context(), phone)
			require.NoError(t, err)
			return cmd
		}
		cmd := remove()
		time.Sleep(time.Second)
		assert.Equal(t, privicoretest.PollOpen, s.Polls("alice")[0].Status)
		asked := 0
		s.SetVoter(func(privicoretest.Poll) bool { asked++; return false })
		_, err := cmd.Wait(t.Context())
		require.ErrorIs(t, err, privicore.MessageKey("voting.rejected"))
		assert.Equal(t, 1, asked)

		cmd = remove()
		s.SetVoter(privicoretest.VoteNo)
		s.SetVoter(nil)
		time.Sleep(time.Second)
		assert.Equal(t, privicoretest.PollOpen, s.Polls("alice")[1].Status, "the voter is gone before it was asked")
		s.SetVoter(privicoretest.VoteYes)
		_, err = cmd.Wait(t.Context())
		require.NoError(t, err)
		assert.Empty(t, alice.Devices())
	})
}

func TestVoterOfAnOption(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, test := range []struct {
			voter func(privicoretest.Poll) bool
			want  privicoretest.PollStatus
		}{{privicoretest.VoteYes, privicoretest.PollPassed}, {privicoretest.VoteNo, privicoretest.PollFailed}} {
			s := serveInMemory(t, privicoretest.WithVoter(test.voter))
			alice := s.Profile("alice")
			alice.AddPolicy(privicoretest.Policy{Name: "p", Events: []string{"Device.Remove"}, Active: true})
			cmd, err := s.NewClient(t).Device.Remove(t.Context(), alice.AddDevice("x", privicoretest.DevicePending))
			require.NoError(t, err)
			_, _ = cmd.Wait(t.Context())
			assert.Equal(t, test.want, s.Polls("alice")[0].Status)
		}
	})
}

func TestLogger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		s := serveInMemory(t, privicoretest.WithStorageDevices(1), privicoretest.WithRequestLog(0),
			privicoretest.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		s.Profile("alice").AddDevice("seeded", privicoretest.DeviceApproved)
		c := login(t, s, "alice")
		id := c.device("tablet")
		s.Next("Device.Approve", privicoretest.Fault{Reject: []string{"device.blocked"}})
		c.outcome(c.post("/device/approve-device", "deviceIdentifier", id))
		s.Next("Device.List", privicoretest.Fault{Status: 503})
		c.get("/device/retrieve-profile-devices")
		c.get("/request-status/nothing")
		reserved := c.post("/data-token/reserve-token-space", "context", "x")
		c.outcome(reserved)
		token := c.get("/data-token/retrieve-temporary-data-token/"+reserved.id(t)).field(t, "token")
		c.outcome(c.post("/data-token/exchange-data-for-token", "temporaryTokenSpace", token, "data", base64.StdEncoding.EncodeToString([]byte("payload"))))
		s.Close()

		lines := log.String()
		assert.NotContains(t, lines, "seeded")
		assert.NotContains(t, lines, password)
		assert.NotContains(t, lines, c.token)
		assert.NotContains(t, lines, base64.StdEncoding.EncodeToString([]byte("payload")))
		for _, want := range []string{
			`msg=request operation=Profile.Authenticate parameters="map[password:*** username:alice]" status=200 executed=true`,
			`msg=request operation=Device.Approve username=alice parameters=map[deviceIdentifier:` + id + `] status=202 executed=true command=`,
			`operation=Device.Approve outcome=rejected messages=[device.blocked]`,
			`operation=Device.List username=alice parameters=map[] status=503 executed=false`,
			`operation=DataToken.Exchange`,
		} {
			assert.Contains(t, lines, want)
		}
	})
}

func TestErrorHandler(t *testing.T) {
	t.Parallel()
	var got []error
	handle := privicoretest.WithErrorHandler(func(err error) { got = append(got, err) })
	s, err := privicoretest.Start(privicoretest.WithMemoryNetwork(), handle)
	require.NoError(t, err)
	defer s.Close()
	s.Next("Device.Fly", privicoretest.Fault{})
	s.Profile("nobody").AddDevice("x", privicoretest.DevicePending)
	require.Len(t, got, 2)
	require.EqualError(t, got[1], `privicoretest: no profile "nobody"`)
	privicoretest.NewServer(t, privicoretest.WithMemoryNetwork(), handle).Polls("nobody")
	assert.Len(t, got, 3)
}

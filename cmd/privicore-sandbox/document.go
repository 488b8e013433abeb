package main

import (
	"time"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/privicoretest"
)

// profile is a profile in JSON: as it is stored, or as it is to be seeded.
type profile struct {
	Username string `json:"username"`
	Password string `json:"password,omitempty"` // of a profile to add
	ID       string `json:"id,omitempty"`       // ignored in a seed, as all ids are

	Devices              []device              `json:"devices"`
	VotingSettings       votingSettings        `json:"votingSettings"`
	VotingConfigurations []votingConfiguration `json:"votingConfigurations"`
	Policies             []policy              `json:"policies"`
	DataTokens           []dataToken           `json:"dataTokens"`
}

// These types have the fields of their counterparts in privicoretest, in the same
// order, so that one can be converted to the other.
type (
	device struct {
		Identifier    string                     `json:"identifier"`
		Name          string                     `json:"name"`
		Status        privicoretest.DeviceStatus `json:"status"`
		Authenticator bool                       `json:"authenticator"`
		Storage       bool                       `json:"storage"`
		CreatedAt     time.Time                  `json:"createdAt"`
	}

	policy struct {
		ID                  string         `json:"id"`
		Name                string         `json:"name"`
		Events              []string       `json:"events"`
		Template            string         `json:"template"`
		Configuration       map[string]any `json:"configuration"`
		VotingConfiguration string         `json:"votingConfiguration"`
		Active              bool           `json:"active"`
		CreatedAt           time.Time      `json:"createdAt"`
	}

	described struct {
		Token      string            `json:"token"`
		Context    string            `json:"context"`
		FileName   string            `json:"fileName"`
		Extension  string            `json:"extension"`
		Path       string            `json:"path"`
		Size       int64             `json:"size"`
		StoredSize int64             `json:"storedSize"`
		Meta       map[string]string `json:"meta"`
		CreatedAt  time.Time         `json:"createdAt"`
	}

	request struct {
		Operation  string                `json:"operation"`
		Username   string                `json:"username"`
		Parameters map[string]any        `json:"parameters"`
		Received   time.Time             `json:"received"`
		Executed   bool                  `json:"executed"`
		Status     int                   `json:"status"`
		CommandID  string                `json:"commandId"`
		Outcome    privicoretest.Outcome `json:"outcome"`
		Messages   []string              `json:"messages"`
	}

	poll struct {
		ID        string                   `json:"id"`
		Username  string                   `json:"username"`
		Title     string                   `json:"title"`
		Question  string                   `json:"question"`
		Operation string                   `json:"operation"`
		Strategy  string                   `json:"strategy"`
		Quorum    int                      `json:"quorum"`
		Attempt   int                      `json:"attempt"`
		Attempts  int                      `json:"attempts"`
		Devices   []string                 `json:"devices"`
		Yes       int                      `json:"yes"`
		No        int                      `json:"no"`
		Status    privicoretest.PollStatus `json:"status"`
		ExpiresAt time.Time                `json:"expiresAt"`
	}
)

// dataToken is a data token, in a seed with its data.
type dataToken struct {
	described
	Data []byte `json:"data,omitempty"`
}

// votingSettings are the settings for the polls of a profile. Times are in seconds.
type votingSettings struct {
	QuorumSize int                `json:"quorumSize"`
	Strategy   privicore.Strategy `json:"strategy"`
	Percentage int                `json:"percentage"`
	TimeLimit  int64              `json:"timeLimit"`
	Attempts   int                `json:"attempts"`
}

// votingConfiguration is a voting configuration. Times are in seconds.
type votingConfiguration struct {
	ID                 string             `json:"id"`
	Name               string             `json:"name"`
	TimeLimit          int64              `json:"timeLimit"`
	Strategy           privicore.Strategy `json:"strategy"`
	PercentageRequired int                `json:"percentageRequired"`
	DeviceIdentifiers  []string           `json:"deviceIdentifiers"`
}

// stored returns what a server stores for a profile.
func stored(p *privicoretest.Profile) profile {
	v := p.VotingSettings()
	document := profile{
		Username: p.Username(), ID: p.ID(),
		Devices: []device{}, VotingConfigurations: []votingConfiguration{}, Policies: []policy{}, DataTokens: []dataToken{},
		VotingSettings: votingSettings{v.QuorumSize, v.Strategy, v.Percentage, int64(v.TimeLimit.Seconds()), v.Attempts},
	}
	for _, d := range p.Devices() {
		document.Devices = append(document.Devices, device(d))
	}
	for _, v := range p.VotingConfigurations() {
		document.VotingConfigurations = append(document.VotingConfigurations, votingConfiguration{
			v.ID, v.Name, int64(v.TimeLimit.Seconds()), v.Strategy, v.PercentageRequired, v.DeviceIdentifiers,
		})
	}
	for _, stored := range p.Policies() {
		document.Policies = append(document.Policies, policy(stored))
	}
	for _, t := range p.DataTokens() {
		document.DataTokens = append(document.DataTokens, dataToken{described: described(t)})
	}
	return document
}

// addedIDs are the ids of what a seed has added to a profile, in the order of the
// seed.
type addedIDs struct {
	Username             string   `json:"username"`
	ID                   string   `json:"id"`
	Devices              []string `json:"devices"`
	VotingConfigurations []string `json:"votingConfigurations"`
	Policies             []string `json:"policies"`
	DataTokens           []string `json:"dataTokens"`
}

// add adds what the document has to a profile. It stops when goOn returns false.
func (p profile) add(to *privicoretest.Profile, goOn func() bool) addedIDs {
	added := addedIDs{Username: to.Username(), ID: to.ID()}
	identifiers := make(map[string]string) // of the devices here, by name
	added.Devices = each(p.Devices, goOn, func(d device) string {
		identifiers[d.Name] = d.add(to)
		return identifiers[d.Name]
	})
	v := p.VotingSettings
	each([]votingSettings{v}, goOn, func(v votingSettings) string {
		to.SetVotingSettings(privicoretest.VotingSettings{
			QuorumSize: v.QuorumSize, Strategy: v.Strategy, Percentage: v.Percentage,
			TimeLimit: time.Duration(v.TimeLimit) * time.Second, Attempts: v.Attempts,
		})
		return ""
	})
	added.VotingConfigurations = each(p.VotingConfigurations, goOn, func(v votingConfiguration) string {
		for i, name := range v.DeviceIdentifiers {
			if identifier, ok := identifiers[name]; ok {
				v.DeviceIdentifiers[i] = identifier
			}
		}
		return to.AddVotingConfiguration(privicoretest.VotingConfiguration{
			Name: v.Name, TimeLimit: time.Duration(v.TimeLimit) * time.Second, Strategy: v.Strategy,
			PercentageRequired: v.PercentageRequired, DeviceIdentifiers: v.DeviceIdentifiers,
		})
	})
	added.Policies = each(p.Policies, goOn, func(v policy) string { return to.AddPolicy(privicoretest.Policy(v)) })
	added.DataTokens = each(p.DataTokens, goOn, func(t dataToken) string {
		return to.AddDataToken(privicoretest.DataToken(t.described), t.Data)
	})
	return added
}

// each adds the items and returns their ids. It stops when goOn returns false.
func each[T any](items []T, goOn func() bool, add func(T) string) []string {
	ids := []string{}
	for _, item := range items {
		if !goOn() {
			break
		}
		ids = append(ids, add(item))
	}
	return ids
}

// add adds a device, approved if the seed does not say otherwise.
func (d device) add(to *privicoretest.Profile) string {
	if d.Status == "" {
		d.Status = privicoretest.DeviceApproved
	}
	var roles []privicoretest.Role
	if d.Authenticator {
		roles = append(roles, privicoretest.Authenticator)
	}
	if d.Storage {
		roles = append(roles, privicoretest.Storage)
	}
	return to.AddDevice(d.Name, d.Status, roles...)
}

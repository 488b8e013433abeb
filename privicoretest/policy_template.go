package privicoretest

import "github.com/privicore/privicore-go/internal/operation"

// policyTemplate is a template for policies. Its ids are the same on every
// server, so that tests may name them.
type policyTemplate struct {
	id, name, description string
	configuration         []string
	events                []policyEvent
}

// policyEvent is a group of operations that a policy can put to the vote.
type policyEvent struct {
	id, name, label string
	operations      []*operation.Operation
}

var policyTemplates = []policyTemplate{
	{
		id: "0195d2c4-0000-7000-8000-000000000001", name: "Data access",
		description:   "Data is used only after a vote.",
		configuration: []string{"reason"},
		events: []policyEvent{
			{"0195d2c4-0000-7000-8000-000000000011", "data_token.retrieve", "Retrieve data",
				[]*operation.Operation{operation.DataTokenRequest}},
			{"0195d2c4-0000-7000-8000-000000000012", "data_token.update", "Update data",
				[]*operation.Operation{operation.DataTokenUpdate, operation.DataTokenUpdateMeta}},
			{"0195d2c4-0000-7000-8000-000000000013", "data_token.delete", "Delete data",
				[]*operation.Operation{operation.DataTokenDelete}},
		},
	},
	{
		id: "0195d2c4-0000-7000-8000-000000000002", name: "Device control",
		description:   "Devices change their role only after a vote.",
		configuration: []string{"reason"},
		events: []policyEvent{
			{"0195d2c4-0000-7000-8000-000000000021", "device.approve", "Approve device",
				[]*operation.Operation{operation.DeviceApprove}},
			{"0195d2c4-0000-7000-8000-000000000022", "device.remove", "Remove device",
				[]*operation.Operation{operation.DeviceRemove}},
			{"0195d2c4-0000-7000-8000-000000000023", "storage.remove", "Remove storage",
				[]*operation.Operation{operation.StorageRemove}},
			{"0195d2c4-0000-7000-8000-000000000024", "verified_authenticator.remove", "Remove authenticator",
				[]*operation.Operation{operation.AuthenticatorRemove}},
		},
	},
}

func findTemplate(id string) *policyTemplate {
	for i := range policyTemplates {
		if policyTemplates[i].id == id {
			return &policyTemplates[i]
		}
	}
	return nil
}

func listTemplates(*state, *call) answer {
	list := make(map[string]any, len(policyTemplates))
	for _, template := range policyTemplates {
		events := make(map[string]map[string]string, len(template.events))
		for _, event := range template.events {
			events[event.id] = map[string]string{event.name: event.label}
		}
		list[template.id] = map[string]any{
			"name":             template.name,
			"description":      template.description,
			"events":           events,
			"configuration":    template.configuration,
			"votingAttributes": []string{"title", "question"},
		}
	}
	return value(list)
}

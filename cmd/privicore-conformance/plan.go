package main

import (
	"context"
	"slices"

	"github.com/privicore/privicore-go/internal/operation"
)

// what is something that a step leaves for later ones.
type what string

// What steps leave.
const (
	aToken          what = "a token"
	aVisitor        what = "a second token"
	aRequest        what = "the command that registers a device"
	aDevice         what = "a device"
	anApproved      what = "an approved device"
	aStorage        what = "a storage device"
	anAuthenticator what = "an authenticator"
	aSpare          what = "a profile of its own"
	aSpareKey       what = "an active profile of its own"
	aVotingRule     what = "a voting configuration"
	aPoll           what = "a poll"
	anApplication   what = "an application"
	aConfiguration  what = "the configuration of an application"
	aCodeRequest    what = "a request for a code"
	aCode           what = "an authorization code"
	anAccess        what = "an access token"
	aReservation    what = "a reservation"
	aTemporary      what = "a temporary token"
	aPayload        what = "stored data"
	aDataToken      what = "a data token"
	anUpload        what = "uploaded data"
	aTemplate       what = "a policy template"
	aPolicy         what = "a policy"
	anActivePolicy  what = "an active policy"
)

// when says which settings a step needs.
type when uint8

// The settings that steps need.
const (
	always      when = 0
	destructive when = 1 << iota
	credentials
	channels
)

// step is how an operation is tried.
type step struct {
	op     *operation.Operation
	only   when
	needs  []what
	leaves []what
	// do tries the operation and reports whether it leaves what it should. The
	// finding says what was wrong. A step that leaves nothing may return anything.
	do func(ctx context.Context, s *session, f *finding) bool
}

// needs and leave make the plan read as a table.
func needs(w ...what) []what { return w }
func leave(w ...what) []what { return w }

func leaves(st *step, w what) bool { return slices.Contains(st.leaves, w) }

// allowed reports whether the settings allow a step. If not, the finding says why.
func (st *step) allowed(s *session, f *finding) bool {
	switch {
	case st.only&destructive != 0 && !s.settings.destructive:
		f.untried = "needs -destructive"
	case st.only&credentials != 0 && s.settings.username == "":
		f.untried = "needs PRIVICORE_USERNAME and PRIVICORE_PASSWORD"
	case st.only&channels != 0 && s.settings.wsURL == "":
		f.untried = "needs PRIVICORE_WS_URL"
	}
	return f.untried == ""
}

// plan has one step for each operation. Each step comes after those that leave
// what it needs.
var plan = slices.Concat(entrance, devices, voting, spares, applications, data, policies, exit)

// entrance is what needs no device.
var entrance = []step{
	{op: operation.UtilityHealth, do: health},
	{op: operation.PublicKeyGenerate, do: generateKeys},
	{op: operation.ProfileAuthenticate, only: credentials, leaves: leave(aToken), do: authenticate},
	{op: operation.ProfileID, needs: needs(aToken), do: profileID},
	{op: operation.ProfileTokenExpiry, needs: needs(aToken), do: tokenExpiry},
	{op: operation.ProfileGenerateQRToken, needs: needs(aToken), do: generateQRToken},
	{op: operation.PublicKeyRetrieve, needs: needs(aToken), do: retrieveKey},
	{op: operation.PublicKeyRetrieveCAB, needs: needs(aToken), do: retrieveCABKey},
	{op: operation.ProfileReauthorize, only: credentials, needs: needs(aToken), do: reauthorize},
	{op: operation.ProfileRevokeToken, only: credentials, needs: needs(aToken), do: revokeToken},
}

// devices makes a device that stores and votes.
var devices = []step{
	{op: operation.DeviceRequestIdentifier, needs: needs(aToken), leaves: leave(aRequest), do: requestIdentifier},
	{op: operation.UtilityRequestStatus, needs: needs(aRequest), do: requestStatus},
	{op: operation.DeviceRetrieveIdentifier, needs: needs(aRequest), leaves: leave(aDevice), do: retrieveIdentifier},
	{op: operation.DeviceList, needs: needs(aRequest), leaves: leave(aDevice), do: listDevices},
	{op: operation.DeviceConfigureMeta, needs: needs(aDevice), do: configureMeta},
	{op: operation.DeviceApprove, needs: needs(aDevice), leaves: leave(anApproved), do: approve},
	{op: operation.DeviceConfiguration, needs: needs(anApproved), do: deviceConfiguration},
	{op: operation.DeviceDownloadConfiguration, needs: needs(anApproved), do: downloadConfiguration},
	{op: operation.DeviceReject, needs: needs(aToken), do: reject},
	{op: operation.StorageRegister, needs: needs(anApproved), leaves: leave(aStorage), do: registerStorage},
	{op: operation.StorageList, needs: needs(aStorage), do: listStorage},
	{op: operation.StorageSynchronize, needs: needs(aStorage), do: synchronize},
	{op: operation.AuthenticatorRegister, needs: needs(anApproved), leaves: leave(anAuthenticator), do: registerAuthenticator},
	{op: operation.AuthenticatorList, needs: needs(anAuthenticator), do: listAuthenticators},
	{op: operation.AuthenticatorStrategy, needs: needs(aToken), do: strategy},
}

// voting asks the authenticator. Nobody votes, so the poll ends by its time limit.
var voting = []step{
	{op: operation.AuthenticatorRegisterVotingConfiguration, needs: needs(anAuthenticator), leaves: leave(aVotingRule), do: registerVotingConfiguration},
	{op: operation.AuthenticatorListVotingConfigurations, needs: needs(aVotingRule), do: listVotingConfigurations},
	{op: operation.AuthenticatorRetrieveVotingConfiguration, needs: needs(aVotingRule), do: retrieveVotingConfiguration},
	{op: operation.AuthenticatorUpdateVotingConfiguration, needs: needs(aVotingRule), do: updateVotingConfiguration},
	{op: operation.VotingCreate, needs: needs(aVotingRule), leaves: leave(aPoll), do: createVoting},
	{op: operation.VotingCheckStatus, needs: needs(aPoll), do: checkPollStatus},
}

// spares makes a profile and changes it.
var spares = []step{
	{op: operation.ProfileRegister, only: destructive, leaves: leave(aSpare), do: registerProfile},
	{op: operation.PublicKeyRegister, only: destructive, needs: needs(aSpare), leaves: leave(aSpareKey), do: registerKey},
	{op: operation.ProfileChangePassword, only: destructive, needs: needs(aSpareKey), do: changePassword},
	{op: operation.AuthenticatorSetQuorumSize, only: destructive, needs: needs(aSpareKey), do: setQuorumSize},
	{op: operation.AuthenticatorSetQuorumStrategy, only: destructive, needs: needs(aSpareKey), do: setQuorumStrategy},
	{op: operation.AuthenticatorSetVotingTimeLimit, only: destructive, needs: needs(aSpareKey), do: setVotingTimeLimit},
	{op: operation.AuthenticatorSetMaximumVotingAttempts, only: destructive, needs: needs(aSpareKey), do: setMaximumVotingAttempts},
}

// applications gives an application access and takes it back.
var applications = []step{
	{op: operation.OAuthRegister, needs: needs(aToken), leaves: leave(anApplication), do: registerApplication},
	{op: operation.OAuthTakeConfiguration, needs: needs(anApplication), leaves: leave(aConfiguration), do: takeConfiguration},
	{op: operation.OAuthList, needs: needs(anApplication), do: listApplications},
	{op: operation.OAuthRequestAuthorizationCode, needs: needs(aConfiguration), leaves: leave(aCodeRequest), do: requestCode},
	{op: operation.OAuthTakeAuthorizationCode, needs: needs(aCodeRequest), leaves: leave(aCode), do: takeCode},
	{op: operation.OAuthObtainAccessToken, needs: needs(aCode), leaves: leave(anAccess), do: obtainAccess},
	{op: operation.OAuthScope, needs: needs(anAccess), do: accessScope},
	{op: operation.OAuthRefreshAccessToken, needs: needs(anAccess), do: refreshAccess},
}

// data stores two payloads, one inline and one by upload, and gets them back.
var data = []step{
	{op: operation.DataTokenReserve, needs: needs(aToken), leaves: leave(aReservation), do: reserve},
	{op: operation.DataTokenRetrieveTemporary, needs: needs(aReservation), leaves: leave(aTemporary), do: retrieveTemporary},
	{op: operation.DataTokenExchange, needs: needs(aTemporary), leaves: leave(aPayload), do: exchangeData},
	{op: operation.DataTokenConfigureFileMeta, needs: needs(aPayload), leaves: leave(aDataToken), do: configureFileMeta},
	{op: operation.DataTokenList, needs: needs(aDataToken), do: listDataTokens},
	{op: operation.DataTokenConfigureRiskMeta, needs: needs(aDataToken), do: configureRiskMeta},
	{op: operation.DataTokenUpdateMeta, needs: needs(aDataToken), do: updateMeta},
	{op: operation.DataTokenUpdate, needs: needs(aDataToken), do: updateData},
	{op: operation.DataTokenRequest, only: channels, needs: needs(aDataToken), do: requestData},
	{op: operation.DataTokenUpload, needs: needs(aTemporary), leaves: leave(anUpload), do: upload},
	{op: operation.DataTokenDownload, only: channels, needs: needs(anUpload), do: download},
	{op: operation.DataTokenDelete, needs: needs(aDataToken), do: deleteData},
}

// policies activates a policy of the spare profile only.
var policies = []step{
	{op: operation.PolicyListTemplates, needs: needs(aToken), leaves: leave(aTemplate), do: listTemplates},
	{op: operation.PolicyRegister, needs: needs(aTemplate, aVotingRule), leaves: leave(aPolicy), do: registerPolicy},
	{op: operation.PolicyRetrieve, needs: needs(aPolicy), do: retrievePolicy},
	{op: operation.PolicyListRegistered, needs: needs(aPolicy), do: listRegisteredPolicies},
	{op: operation.PolicyListInactive, needs: needs(aPolicy), do: listInactivePolicies},
	{op: operation.PolicyListActive, needs: needs(aToken), do: listActivePolicies},
	{op: operation.PolicyActivate, only: destructive, needs: needs(aSpareKey, aTemplate), leaves: leave(anActivePolicy), do: activatePolicy},
	{op: operation.PolicyDeactivate, only: destructive, needs: needs(anActivePolicy), do: deactivatePolicy},
	{op: operation.PolicyDelete, needs: needs(aPolicy), do: deletePolicy},
}

// exit removes what the device was used for, and the device.
var exit = []step{
	{op: operation.AuthenticatorRemove, needs: needs(anAuthenticator), do: removeAuthenticator},
	{op: operation.StorageRemove, needs: needs(aStorage), do: removeStorage},
	{op: operation.DeviceRemove, needs: needs(aDevice), do: removeDevice},
}

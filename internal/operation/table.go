package operation

// The operations, in the order of the vendor's documentation. A row reads:
// section, title, Go method, HTTP method, path, authorization, encoding,
// answer, safe to repeat, source.
var (
	UtilityHealth        = &Operation{"Utility", "Check server health", "Utility.Health", "GET", "/health", None, Nowhere, Value, true, "L"}
	UtilityRequestStatus = &Operation{"Utility", "Request command id status", "Utility.RequestStatus", "GET", "/request-status/{commandId}", None, Nowhere, Value, true, "S"}

	ProfileRegister        = &Operation{"Profile", "Register new profile", "Profile.Register", "POST", "/profile/register-profile", None, Form, Command, false, "D"}
	ProfileAuthenticate    = &Operation{"Profile", "Authenticate", "Profile.Authenticate", "POST", "/profile/authenticate", None, Form, Value, false, "D"}
	ProfileID              = &Operation{"Profile", "Retrieve profile id", "Profile.ID", "GET", "/profile/retrieve-profile-id", Token, Nowhere, Value, true, "L"}
	ProfileChangePassword  = &Operation{"Profile", "Change password", "Profile.ChangePassword", "POST", "/profile/change-password", Token, Form, Command, false, "L"}
	ProfileGenerateQRToken = &Operation{"Profile", "Generate qr token for authorization", "Profile.GenerateQRToken", "POST", "/profile/generate-token-qr", Token, Form, Value, false, "L"}
	ProfileReauthorize     = &Operation{"Profile", "Reauthorize authorization token", "Profile.Reauthorize", "POST", "/profile/reauthorize-authorization-token", Token, Form, Either, false, "L"}
	ProfileRevokeToken     = &Operation{"Profile", "Revoke authorization token", "Profile.RevokeToken", "POST", "/profile/revoke-authorization-token", Token, Form, NoContent, false, "L"}
	ProfileTokenExpiry     = &Operation{"Profile", "Retrieve token expiry", "Profile.TokenExpiry", "POST", "/profile/authorization-token/expiry", Token, Form, Value, true, "L"}

	PublicKeyGenerate    = &Operation{"Public key", "Generate your private and public keys", "PublicKey.Generate", "GET", "/generate-keys", None, Nowhere, Value, true, "D"}
	PublicKeyRegister    = &Operation{"Public key", "Register public key", "PublicKey.Register", "POST", "/public-key/register-public-key", Token, Form, Command, false, "D"}
	PublicKeyRetrieve    = &Operation{"Public key", "Retrieve public key", "PublicKey.Retrieve", "GET", "/public-key/retrieve-public-key", Token, Nowhere, Value, true, "L"}
	PublicKeyRetrieveCAB = &Operation{"Public key", "Retrieve CAB public key", "PublicKey.RetrieveCAB", "GET", "/dptcab/public-key", Token, Nowhere, Value, true, "L"}

	DeviceRequestIdentifier     = &Operation{"Device", "Request unique identifier (register new device)", "Device.RequestIdentifier", "POST", "/device/request-unique-identifier", Token, Form, Command, false, "L"}
	DeviceRetrieveIdentifier    = &Operation{"Device", "Retrieve unique identifier", "Device.RetrieveIdentifier", "POST", "/device/retrieve-unique-identifier", Token, Form, Value, true, "S"}
	DeviceList                  = &Operation{"Device", "Retrieve profile devices", "Device.List", "GET", "/device/retrieve-profile-devices", Token, Nowhere, Value, true, "L"}
	DeviceConfigureMeta         = &Operation{"Device", "Configure device meta", "Device.ConfigureMeta", "POST", "/device/configure-meta", Token, Form, Command, false, "L"}
	DeviceApprove               = &Operation{"Device", "Approve device", "Device.Approve", "POST", "/device/approve-device", Token, Form, Command, false, "D"}
	DeviceReject                = &Operation{"Device", "Reject device", "Device.Reject", "POST", "/device/reject-device", Token, Form, Command, false, "L"}
	DeviceConfiguration         = &Operation{"Device", "Retrieve device configuration", "Device.Configuration", "GET", "/device/retrieve-device-configuration/{deviceIdentifier}", Token, Nowhere, Value, true, "D"}
	DeviceDownloadConfiguration = &Operation{"Device", "Retrieve device configuration, other form", "Device.DownloadConfiguration", "POST", "/device/download-device-configuration", Token, Form, Value, true, "L"}
	DeviceRemove                = &Operation{"Device", "Remove device", "Device.Remove", "POST", "/device/remove", Token, Form, BareID, false, "S"}

	StorageRegister    = &Operation{"Storage", "Register storage device", "Storage.Register", "POST", "/storage/register", Token, Form, Command, false, "L"}
	StorageList        = &Operation{"Storage", "List storage devices", "Storage.List", "GET", "/storage/list-storage-devices", Token, Nowhere, Value, true, "L"}
	StorageSynchronize = &Operation{"Storage", "Synchronize device", "Storage.Synchronize", "POST", "/storage/sync-device", Token, Form, Command, false, "D"}
	StorageRemove      = &Operation{"Storage", "Remove storage", "Storage.Remove", "POST", "/storage/remove", Token, Form, Command, false, "D"}

	AuthenticatorRegister                    = &Operation{"Verified authenticator", "Register authenticator", "VerifiedAuthenticator.Register", "POST", "/verified-authenticator/register", Token, Form, Command, false, "L"}
	AuthenticatorList                        = &Operation{"Verified authenticator", "List verified authenticators", "VerifiedAuthenticator.List", "GET", "/verified-authenticator/list-verified-authenticators", Token, Nowhere, Value, true, "I"}
	AuthenticatorStrategy                    = &Operation{"Verified authenticator", "Retrieve voting strategy", "VerifiedAuthenticator.Strategy", "GET", "/verified-authenticator/retrieve-strategy", Token, Nowhere, Value, true, "L"}
	AuthenticatorSetQuorumSize               = &Operation{"Verified authenticator", "Set quorum size", "VerifiedAuthenticator.SetQuorumSize", "POST", "/verified-authenticator/set-quorum-size", Token, Form, Command, false, "I"}
	AuthenticatorSetQuorumStrategy           = &Operation{"Verified authenticator", "Set quorum strategy", "VerifiedAuthenticator.SetQuorumStrategy", "POST", "/verified-authenticator/set-quorum-strategy", Token, Form, Command, false, "D"}
	AuthenticatorSetVotingTimeLimit          = &Operation{"Verified authenticator", "Set voting time limit", "VerifiedAuthenticator.SetVotingTimeLimit", "POST", "/verified-authenticator/set-voting-time-limit", Token, Form, Command, false, "D"}
	AuthenticatorSetMaximumVotingAttempts    = &Operation{"Verified authenticator", "Set maximum voting attempts", "VerifiedAuthenticator.SetMaximumVotingAttempts", "POST", "/verified-authenticator/set-maximum-voting-attempts", Token, Form, Command, false, "D"}
	AuthenticatorRemove                      = &Operation{"Verified authenticator", "Remove authenticator", "VerifiedAuthenticator.Remove", "POST", "/verified-authenticator/remove", Token, Form, BareID, false, "S"}
	AuthenticatorRegisterVotingConfiguration = &Operation{"Verified authenticator", "Register voting configuration", "VerifiedAuthenticator.RegisterVotingConfiguration", "POST", "/verified-authenticator/voting-configuration/register", Token, JSON, Command, false, "D"}
	AuthenticatorUpdateVotingConfiguration   = &Operation{"Verified authenticator", "Update voting configuration", "VerifiedAuthenticator.UpdateVotingConfiguration", "POST", "/verified-authenticator/voting-configuration/update", Token, JSON, Command, false, "I"}
	AuthenticatorListVotingConfigurations    = &Operation{"Verified authenticator", "List voting configurations", "VerifiedAuthenticator.ListVotingConfigurations", "GET", "/verified-authenticator/voting-configuration/list", Token, Nowhere, Value, true, "I"}
	AuthenticatorRetrieveVotingConfiguration = &Operation{"Verified authenticator", "Retrieve voting configuration", "VerifiedAuthenticator.RetrieveVotingConfiguration", "GET", "/verified-authenticator/voting-configuration/retrieve/{name}", Token, Nowhere, Value, true, "I"}

	OAuthRegister                  = &Operation{"OAuth application", "Register OAuth application", "OAuth.Register", "POST", "/profile/oauth-application-register", Token, Form, Command, false, "L"}
	OAuthConfiguration             = &Operation{"OAuth application", "Retrieve OAuth app configuration", "OAuth.Configuration", "POST", "/profile/retrieve-oauth-application-configuration", Token, Form, Value, false, "L"}
	OAuthRequestAuthorizationCode  = &Operation{"OAuth application", "Request authorization code", "OAuth.RequestAuthorizationCode", "GET", "/profile/oauth-application-request-authorization-code", Token, URL, Either, false, "D, L"}
	OAuthRetrieveAuthorizationCode = &Operation{"OAuth application", "Retrieve authorization code", "OAuth.RetrieveAuthorizationCode", "POST", "/oauth-application/retrieve-authorization-code", Basic, Form, Value, false, "D"}
	OAuthObtainAccessToken         = &Operation{"OAuth application", "Obtain access token", "OAuth.ObtainAccessToken", "POST", "/oauth-application/obtain-access-token", Basic, Form, Value, false, "D, L"}
	OAuthList                      = &Operation{"OAuth application", "OAuth application list", "OAuth.List", "GET", "/profile/retrieve-oauth-application-list", Token, Nowhere, Value, true, "L"}
	OAuthScope                     = &Operation{"OAuth application", "Retrieve OAuth application scope", "OAuth.Scope", "GET", "/oauth-application/retrieve-oauth-application-scope", Raw, Nowhere, Value, true, "D, L"}
	OAuthRefreshAccessToken        = &Operation{"OAuth application", "Refresh access token", "OAuth.RefreshAccessToken", "POST", "/oauth-application/refresh-access-token", Raw, Form, Value, false, "D, L"}

	DataTokenReserve           = &Operation{"Data token", "Reserve token space", "DataToken.Reserve", "POST", "/data-token/reserve-token-space", Token, Form, Command, false, "D, L"}
	DataTokenRetrieveTemporary = &Operation{"Data token", "Retrieve temporary data token", "DataToken.RetrieveTemporary", "GET", "/data-token/retrieve-temporary-data-token/{id}", Token, Nowhere, Value, true, "D, L"}
	DataTokenExchange          = &Operation{"Data token", "Exchange data for token", "DataToken.Exchange", "POST", "/data-token/exchange-data-for-token", Token, Form, Command, false, "L"}
	DataTokenUpload            = &Operation{"Data token", "Upstream file via stream auth", "DataToken.Upload", "POST", "", Query, Bytes, NoContent, false, "D"}
	DataTokenRequest           = &Operation{"Data token", "Request data via token", "DataToken.Request", "POST", "/data-token/request-data", Token, Form, Command, false, "L"}
	DataTokenDownload          = &Operation{"Data token", "Download data", "DataToken.Download", "GET", "", Query, Nowhere, Value, false, "D"}
	DataTokenConfigureRiskMeta = &Operation{"Data token", "Configure information security risk meta", "DataToken.ConfigureRiskMeta", "POST", "/data-token/configure-information-security-risk-meta", Token, Form, Command, false, "D, L"}
	DataTokenConfigureFileMeta = &Operation{"Data token", "Configure file meta", "DataToken.ConfigureFileMeta", "POST", "/data-token/configure-file-meta", Token, Form, Value, false, "L"}
	DataTokenList              = &Operation{"Data token", "List data tokens", "DataToken.List", "GET", "/data-token/list-data-tokens", Token, URL, Value, true, "D, L"}
	DataTokenUpdate            = &Operation{"Data token", "Update data token", "DataToken.Update", "POST", "/data-token/update-data", Token, JSON, Command, false, "D"}
	DataTokenUpdateMeta        = &Operation{"Data token", "Update data token, other form", "DataToken.UpdateMeta", "POST", "/data-token/update-data-token", Token, Form, Command, false, "L"}
	DataTokenDelete            = &Operation{"Data token", "Delete data", "DataToken.Delete", "POST", "/data-token/delete-data", Token, Form, Command, false, "L"}

	PolicyListTemplates  = &Operation{"Policy", "List policy templates", "Policy.ListTemplates", "GET", "/policy/list-policy-templates", Token, Nowhere, Value, true, "D"}
	PolicyRegister       = &Operation{"Policy", "Register policy", "Policy.Register", "POST", "/policy/register", Token, JSON, Command, false, "D, L"}
	PolicyActivate       = &Operation{"Policy", "Activate policy", "Policy.Activate", "POST", "/policy/activate", Token, Form, Command, false, "L"}
	PolicyDeactivate     = &Operation{"Policy", "Deactivate policy", "Policy.Deactivate", "POST", "/policy/deactivate", Token, Form, Command, false, "L"}
	PolicyRetrieve       = &Operation{"Policy", "Retrieve registered policy", "Policy.Retrieve", "GET", "/policy/retrieve-policy/{name}", Token, Nowhere, Value, true, "L"}
	PolicyDelete         = &Operation{"Policy", "Delete policy", "Policy.Delete", "POST", "/policy/delete", Token, Form, Command, false, "I"}
	PolicyListActive     = &Operation{"Policy", "List active policies", "Policy.ListActive", "GET", "/policy/list-active-policies", Token, Nowhere, Value, true, "I"}
	PolicyListInactive   = &Operation{"Policy", "List inactive policies", "Policy.ListInactive", "GET", "/policy/list-inactive-policies", Token, Nowhere, Value, true, "I"}
	PolicyListRegistered = &Operation{"Policy", "List registered policies", "Policy.ListRegistered", "GET", "/policy/list-registered-policies", Token, Nowhere, Value, true, "I"}

	VotingCreate      = &Operation{"Voting", "Create voting", "Voting.Create", "POST", "/voting/create", Token, JSON, Either, false, "D"}
	VotingCheckStatus = &Operation{"Voting", "Check pool status", "Voting.CheckStatus", "GET", "/voting/check-pool-status/{poolId}", Token, Nowhere, Value, true, "L"}
)

// All is every operation, in the same order.
var All = []*Operation{
	UtilityHealth, UtilityRequestStatus,
	ProfileRegister, ProfileAuthenticate, ProfileID,
	ProfileChangePassword, ProfileGenerateQRToken, ProfileReauthorize,
	ProfileRevokeToken, ProfileTokenExpiry,
	PublicKeyGenerate, PublicKeyRegister, PublicKeyRetrieve,
	PublicKeyRetrieveCAB,
	DeviceRequestIdentifier, DeviceRetrieveIdentifier, DeviceList,
	DeviceConfigureMeta, DeviceApprove, DeviceReject,
	DeviceConfiguration, DeviceDownloadConfiguration, DeviceRemove,
	StorageRegister, StorageList, StorageSynchronize,
	StorageRemove,
	AuthenticatorRegister, AuthenticatorList, AuthenticatorStrategy,
	AuthenticatorSetQuorumSize, AuthenticatorSetQuorumStrategy, AuthenticatorSetVotingTimeLimit,
	AuthenticatorSetMaximumVotingAttempts, AuthenticatorRemove, AuthenticatorRegisterVotingConfiguration,
	AuthenticatorUpdateVotingConfiguration, AuthenticatorListVotingConfigurations, AuthenticatorRetrieveVotingConfiguration,
	OAuthRegister, OAuthConfiguration, OAuthRequestAuthorizationCode,
	OAuthRetrieveAuthorizationCode, OAuthObtainAccessToken, OAuthList,
	OAuthScope, OAuthRefreshAccessToken,
	DataTokenReserve, DataTokenRetrieveTemporary, DataTokenExchange,
	DataTokenUpload, DataTokenRequest, DataTokenDownload,
	DataTokenConfigureRiskMeta, DataTokenConfigureFileMeta, DataTokenList,
	DataTokenUpdate, DataTokenUpdateMeta, DataTokenDelete,
	PolicyListTemplates, PolicyRegister, PolicyActivate,
	PolicyDeactivate, PolicyRetrieve, PolicyDelete,
	PolicyListActive, PolicyListInactive, PolicyListRegistered,
	VotingCreate, VotingCheckStatus,
}

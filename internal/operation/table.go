package operation

// The operations, in the order of the vendor's documentation. A row reads:
// section, title, name, HTTP method, path, authorization, encoding, answer,
// idempotent, source, page.
var (
	UtilityHealth        = &Operation{"Utility", "Check server health", "Utility.Health", "GET", "/health", None, Nowhere, Value, true, "L", ""}
	UtilityRequestStatus = &Operation{"Utility", "Request command id status", "Utility.RequestStatus", "GET", "/request-status/{commandId}", None, Nowhere, Value, true, "S", "request-command-id-status-14411412e0"}

	ProfileRegister        = &Operation{"Profile", "Register new profile", "Profile.Register", "POST", "/profile/register-profile", None, Form, Command, false, "D", "register-new-profile-14411413e0"}
	ProfileAuthenticate    = &Operation{"Profile", "Authenticate", "Profile.Authenticate", "POST", "/profile/authenticate", None, Form, Value, false, "D", "authenticate-14411414e0"}
	ProfileID              = &Operation{"Profile", "Retrieve profile id", "Profile.ID", "GET", "/profile/retrieve-profile-id", Token, Nowhere, Value, true, "L", ""}
	ProfileChangePassword  = &Operation{"Profile", "Change password", "Profile.ChangePassword", "POST", "/profile/change-password", Token, Form, Command, false, "L", "change-password-14411416e0"}
	ProfileGenerateQRToken = &Operation{"Profile", "Generate qr token for authorization", "Profile.GenerateQRToken", "POST", "/profile/generate-token-qr", Token, Form, Value, false, "L", ""}
	ProfileReauthorize     = &Operation{"Profile", "Reauthorize authorization token", "Profile.Reauthorize", "POST", "/profile/reauthorize-authorization-token", Token, Form, Either, false, "L", "reauthorize-authorization-token-14411418e0"}
	ProfileRevokeToken     = &Operation{"Profile", "Revoke authorization token", "Profile.RevokeToken", "POST", "/profile/revoke-authorization-token", Token, Form, NoContent, false, "L", ""}
	ProfileTokenExpiry     = &Operation{"Profile", "Retrieve token expiry", "Profile.TokenExpiry", "POST", "/profile/authorization-token/expiry", Token, Form, Value, true, "L", ""}

	PublicKeyGenerate    = &Operation{"Public key", "Generate your private and public keys", "PublicKey.Generate", "GET", "/generate-keys", None, Nowhere, Value, true, "D", "generate-your-private-and-public-keys-14411429e0"}
	PublicKeyRegister    = &Operation{"Public key", "Register public key", "PublicKey.Register", "POST", "/public-key/register-public-key", Token, Form, Command, false, "D", "register-public-key-14411430e0"}
	PublicKeyRetrieve    = &Operation{"Public key", "Retrieve public key", "PublicKey.Retrieve", "GET", "/public-key/retrieve-public-key", Token, Nowhere, Value, true, "L", "retrieve-public-key-14411431e0"}
	PublicKeyRetrieveCAB = &Operation{"Public key", "Retrieve CAB public key", "PublicKey.RetrieveCAB", "GET", "/dptcab/public-key", Token, Nowhere, Value, true, "L", "retrieve-cab-public-key-14411432e0"}

	DeviceRequestIdentifier     = &Operation{"Device", "Request unique identifier (register new device)", "Device.RequestIdentifier", "POST", "/device/request-unique-identifier", Token, Form, Command, false, "L", "request-unique-identifier-i-e-register-new-device-14411444e0"}
	DeviceRetrieveIdentifier    = &Operation{"Device", "Retrieve unique identifier", "Device.RetrieveIdentifier", "POST", "/device/retrieve-unique-identifier", Token, Form, Value, true, "S", "retrieve-unique-identifier-14411445e0"}
	DeviceList                  = &Operation{"Device", "Retrieve profile devices", "Device.List", "GET", "/device/retrieve-profile-devices", Token, Nowhere, Value, true, "L", "retrieve-profile-devices-14411446e0"}
	DeviceConfigureMeta         = &Operation{"Device", "Configure device meta", "Device.ConfigureMeta", "POST", "/device/configure-meta", Token, Form, Command, false, "L", "configure-device-meta-14411447e0"}
	DeviceApprove               = &Operation{"Device", "Approve device", "Device.Approve", "POST", "/device/approve-device", Token, Form, Command, false, "D", "approve-device-14411448e0"}
	DeviceReject                = &Operation{"Device", "Reject device", "Device.Reject", "POST", "/device/reject-device", Token, Form, Command, false, "L", ""}
	DeviceConfiguration         = &Operation{"Device", "Retrieve device configuration", "Device.Configuration", "GET", "/device/retrieve-device-configuration/{deviceIdentifier}", Token, Nowhere, Value, true, "D", "retrieve-device-configuration-14411450e0"}
	DeviceDownloadConfiguration = &Operation{"Device", "Retrieve device configuration, other form", "Device.DownloadConfiguration", "POST", "/device/download-device-configuration", Token, Form, Value, true, "L", "retrieve-device-configuration-14411450e0"}
	DeviceRemove                = &Operation{"Device", "Remove device", "Device.Remove", "POST", "/device/remove", Token, Form, BareID, false, "S", "remove-device-14411451e0"}

	StorageRegister    = &Operation{"Storage", "Register storage device", "Storage.Register", "POST", "/storage/register", Token, Form, Command, false, "L", ""}
	StorageList        = &Operation{"Storage", "List storage devices", "Storage.List", "GET", "/storage/list-storage-devices", Token, Nowhere, Value, true, "L", "list-storage-devices-14411453e0"}
	StorageSynchronize = &Operation{"Storage", "Synchronize device", "Storage.Synchronize", "POST", "/storage/sync-device", Token, Form, Command, false, "D", "synchronize-device-14411454e0"}
	StorageRemove      = &Operation{"Storage", "Remove storage", "Storage.Remove", "POST", "/storage/remove", Token, Form, Command, false, "D", "remove-storage-14411455e0"}

	AuthenticatorRegister                    = &Operation{"Verified authenticator", "Register authenticator", "VerifiedAuthenticator.Register", "POST", "/verified-authenticator/register", Token, Form, Command, false, "L", "register-authenticator-14411456e0"}
	AuthenticatorList                        = &Operation{"Verified authenticator", "List verified authenticators", "VerifiedAuthenticator.List", "GET", "/verified-authenticator/list-verified-authenticators", Token, Nowhere, Value, true, "I", "list-verified-authenticators-14411457e0"}
	AuthenticatorStrategy                    = &Operation{"Verified authenticator", "Retrieve voting strategy", "VerifiedAuthenticator.Strategy", "GET", "/verified-authenticator/retrieve-strategy", Token, Nowhere, Value, true, "L", "retrieve-voting-strategy-14411458e0"}
	AuthenticatorSetQuorumSize               = &Operation{"Verified authenticator", "Set quorum size", "VerifiedAuthenticator.SetQuorumSize", "POST", "/verified-authenticator/set-quorum-size", Token, Form, Command, false, "I", "set-quorum-size-14411459e0"}
	AuthenticatorSetQuorumStrategy           = &Operation{"Verified authenticator", "Set quorum strategy", "VerifiedAuthenticator.SetQuorumStrategy", "POST", "/verified-authenticator/set-quorum-strategy", Token, Form, Command, false, "D", "set-quorum-strategy-14411460e0"}
	AuthenticatorSetVotingTimeLimit          = &Operation{"Verified authenticator", "Set voting time limit", "VerifiedAuthenticator.SetVotingTimeLimit", "POST", "/verified-authenticator/set-voting-time-limit", Token, Form, Command, false, "D", "set-voting-time-limit-14411461e0"}
	AuthenticatorSetMaximumVotingAttempts    = &Operation{"Verified authenticator", "Set maximum voting attempts", "VerifiedAuthenticator.SetMaximumVotingAttempts", "POST", "/verified-authenticator/set-maximum-voting-attempts", Token, Form, Command, false, "D", "set-maximum-voting-attempts-14411462e0"}
	AuthenticatorRemove                      = &Operation{"Verified authenticator", "Remove authenticator", "VerifiedAuthenticator.Remove", "POST", "/verified-authenticator/remove", Token, Form, BareID, false, "S", "remove-authenticator-14411463e0"}
	AuthenticatorRegisterVotingConfiguration = &Operation{"Verified authenticator", "Register voting configuration", "VerifiedAuthenticator.RegisterVotingConfiguration", "POST", "/verified-authenticator/voting-configuration/register", Token, JSON, Command, false, "D", "register-voting-configuration-25063796e0"}
	AuthenticatorUpdateVotingConfiguration   = &Operation{"Verified authenticator", "Update voting configuration", "VerifiedAuthenticator.UpdateVotingConfiguration", "POST", "/verified-authenticator/voting-configuration/update", Token, JSON, Command, false, "I", "update-voting-configuration-25063797e0"}
	AuthenticatorListVotingConfigurations    = &Operation{"Verified authenticator", "List voting configurations", "VerifiedAuthenticator.ListVotingConfigurations", "GET", "/verified-authenticator/voting-configuration/list", Token, Nowhere, Value, true, "I", "list-voting-configurations-25063798e0"}
	AuthenticatorRetrieveVotingConfiguration = &Operation{"Verified authenticator", "Retrieve voting configuration", "VerifiedAuthenticator.RetrieveVotingConfiguration", "GET", "/verified-authenticator/voting-configuration/retrieve/{name}", Token, Nowhere, Value, true, "I", "retrieve-voting-configuration-25063799e0"}

	OAuthRegister                 = &Operation{"OAuth application", "Register OAuth application", "OAuth.Register", "POST", "/profile/oauth-application-register", Token, Form, Command, false, "L", "register-oauth-application-14411421e0"}
	OAuthTakeConfiguration        = &Operation{"OAuth application", "Retrieve OAuth app configuration", "OAuth.TakeConfiguration", "POST", "/profile/retrieve-oauth-application-configuration", Token, Form, Value, false, "L", "retrieve-oauth-app-configuration-14411422e0"}
	OAuthRequestAuthorizationCode = &Operation{"OAuth application", "Request authorization code", "OAuth.RequestAuthorizationCode", "GET", "/profile/oauth-application-request-authorization-code", Token, URL, Either, false, "D, L", "request-oauth-app-authorization-code-14411423e0"}
	OAuthTakeAuthorizationCode    = &Operation{"OAuth application", "Retrieve authorization code", "OAuth.TakeAuthorizationCode", "POST", "/oauth-application/retrieve-authorization-code", Basic, Form, Value, false, "D", "retrieve-oauth-app-authorization-code-14411424e0"}
	OAuthObtainAccessToken        = &Operation{"OAuth application", "Obtain access token", "OAuth.ObtainAccessToken", "POST", "/oauth-application/obtain-access-token", Basic, Form, Value, false, "D, L", "obtain-oauth-app-access-token-14411425e0"}
	OAuthList                     = &Operation{"OAuth application", "OAuth application list", "OAuth.List", "GET", "/profile/retrieve-oauth-application-list", Token, Nowhere, Value, true, "L", ""}
	OAuthScope                    = &Operation{"OAuth application", "Retrieve OAuth application scope", "OAuth.Scope", "GET", "/oauth-application/retrieve-oauth-application-scope", Raw, Nowhere, Value, true, "D, L", "retrieve-oauth-application-scope-14411427e0"}
	OAuthRefreshAccessToken       = &Operation{"OAuth application", "Refresh access token", "OAuth.RefreshAccessToken", "POST", "/oauth-application/refresh-access-token", Raw, Form, Value, false, "D, L", "refresh-oauth-app-access-token-14411428e0"}

	DataTokenReserve           = &Operation{"Data token", "Reserve token space", "DataToken.Reserve", "POST", "/data-token/reserve-token-space", Token, Form, Command, false, "D, L", "reserve-token-space-14411433e0"}
	DataTokenRetrieveTemporary = &Operation{"Data token", "Retrieve temporary data token", "DataToken.RetrieveTemporary", "GET", "/data-token/retrieve-temporary-data-token/{id}", Token, Nowhere, Value, true, "D, L", "retrieve-temporary-data-token-14411434e0"}
	DataTokenExchange          = &Operation{"Data token", "Exchange data for token", "DataToken.Exchange", "POST", "/data-token/exchange-data-for-token", Token, Form, Command, false, "L", ""}
	DataTokenUpload            = &Operation{"Data token", "Upstream file via stream auth", "DataToken.Upload", "POST", "", Query, Bytes, NoContent, false, "D", "upstream-file-via-stream-auth-14411436e0"}
	DataTokenRequest           = &Operation{"Data token", "Request data via token", "DataToken.Request", "POST", "/data-token/request-data", Token, Form, Command, false, "L", ""}
	DataTokenDownload          = &Operation{"Data token", "Download data", "DataToken.Download", "GET", "", Query, Nowhere, Value, false, "D", "download-data-14411438e0"}
	DataTokenConfigureRiskMeta = &Operation{"Data token", "Configure information security risk meta", "DataToken.ConfigureRiskMeta", "POST", "/data-token/configure-information-security-risk-meta", Token, Form, Command, false, "D, L", "configure-information-security-risk-meta-14411439e0"}
	DataTokenConfigureFileMeta = &Operation{"Data token", "Configure file meta", "DataToken.ConfigureFileMeta", "POST", "/data-token/configure-file-meta", Token, Form, Value, false, "L", "configure-file-meta-14411440e0"}
	DataTokenList              = &Operation{"Data token", "List data tokens", "DataToken.List", "GET", "/data-token/list-data-tokens", Token, URL, Value, true, "D, L", "list-data-tokens-14411441e0"}
	DataTokenUpdate            = &Operation{"Data token", "Update data token", "DataToken.Update", "POST", "/data-token/update-data", Token, JSON, Command, false, "D", "update-data-token-14411442e0"}
	DataTokenUpdateMeta        = &Operation{"Data token", "Update data token, other form", "DataToken.UpdateMeta", "POST", "/data-token/update-data-token", Token, Form, Command, false, "L", "update-data-token-14411442e0"}
	DataTokenDelete            = &Operation{"Data token", "Delete data", "DataToken.Delete", "POST", "/data-token/delete-data", Token, Form, Command, false, "L", ""}

	PolicyListTemplates  = &Operation{"Policy", "List policy templates", "Policy.ListTemplates", "GET", "/policy/list-policy-templates", Token, Nowhere, Value, true, "D", "list-policy-templates-14411464e0"}
	PolicyRegister       = &Operation{"Policy", "Register policy", "Policy.Register", "POST", "/policy/register", Token, JSON, Command, false, "D, L", "register-policy-14411465e0"}
	PolicyActivate       = &Operation{"Policy", "Activate policy", "Policy.Activate", "POST", "/policy/activate", Token, Form, Command, false, "L", "activate-policy-14411468e0"}
	PolicyDeactivate     = &Operation{"Policy", "Deactivate policy", "Policy.Deactivate", "POST", "/policy/deactivate", Token, Form, Command, false, "L", "deactivate-policy-14411469e0"}
	PolicyRetrieve       = &Operation{"Policy", "Retrieve registered policy", "Policy.Retrieve", "GET", "/policy/retrieve-policy/{name}", Token, Nowhere, Value, true, "L", "retrieve-registered-policy-25063801e0"}
	PolicyDelete         = &Operation{"Policy", "Delete policy", "Policy.Delete", "POST", "/policy/delete", Token, Form, Command, false, "I", "delete-policy-14411470e0"}
	PolicyListActive     = &Operation{"Policy", "List active policies", "Policy.ListActive", "GET", "/policy/list-active-policies", Token, Nowhere, Value, true, "I", "list-active-policies-14411466e0"}
	PolicyListInactive   = &Operation{"Policy", "List inactive policies", "Policy.ListInactive", "GET", "/policy/list-inactive-policies", Token, Nowhere, Value, true, "I", "list-inactive-policies-14411467e0"}
	PolicyListRegistered = &Operation{"Policy", "List registered policies", "Policy.ListRegistered", "GET", "/policy/list-registered-policies", Token, Nowhere, Value, true, "I", "list-registered-policies-25063800e0"}

	VotingCreate      = &Operation{"Voting", "Create voting", "Voting.Create", "POST", "/voting/create", Token, JSON, Either, false, "D", "create-voting-14411489e0"}
	VotingCheckStatus = &Operation{"Voting", "Check pool status", "Voting.CheckStatus", "GET", "/voting/check-pool-status/{poolId}", Token, Nowhere, Value, true, "L", ""}
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
	OAuthRegister, OAuthTakeConfiguration, OAuthRequestAuthorizationCode,
	OAuthTakeAuthorizationCode, OAuthObtainAccessToken, OAuthList,
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

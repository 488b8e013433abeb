package operation

// The operations, in the order of the vendor's documentation. Idempotent is
// left out where it is false, and Page where it is not known.
var (
	UtilityHealth = &Operation{
		Name: "Utility.Health", Title: "Check server health",
		Source: "L",
		Method: "GET", Path: "/health", Auth: None, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	UtilityRequestStatus = &Operation{
		Name: "Utility.RequestStatus", Title: "Request command id status",
		Source: "S", Page: "request-command-id-status-14411412e0",
		Method: "GET", Path: "/request-status/{commandId}", Auth: None, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}

	ProfileRegister = &Operation{
		Name: "Profile.Register", Title: "Register new profile",
		Source: "D", Page: "register-new-profile-14411413e0",
		Method: "POST", Path: "/profile/register-profile", Auth: None, Encoding: Form, Answer: Command,
	}
	ProfileAuthenticate = &Operation{
		Name: "Profile.Authenticate", Title: "Authenticate",
		Source: "D", Page: "authenticate-14411414e0",
		Method: "POST", Path: "/profile/authenticate", Auth: None, Encoding: Form, Answer: Value,
	}
	ProfileID = &Operation{
		Name: "Profile.ID", Title: "Retrieve profile id",
		Source: "L",
		Method: "GET", Path: "/profile/retrieve-profile-id", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	ProfileChangePassword = &Operation{
		Name: "Profile.ChangePassword", Title: "Change password",
		Source: "L", Page: "change-password-14411416e0",
		Method: "POST", Path: "/profile/change-password", Auth: Token, Encoding: Form, Answer: Command,
	}
	ProfileGenerateQRToken = &Operation{
		Name: "Profile.GenerateQRToken", Title: "Generate qr token for authorization",
		Source: "L",
		Method: "POST", Path: "/profile/generate-token-qr", Auth: Token, Encoding: Form, Answer: Value,
	}
	ProfileReauthorize = &Operation{
		Name: "Profile.Reauthorize", Title: "Reauthorize authorization token",
		Source: "L", Page: "reauthorize-authorization-token-14411418e0",
		Method: "POST", Path: "/profile/reauthorize-authorization-token", Auth: Token, Encoding: Form, Answer: Either,
	}
	ProfileRevokeToken = &Operation{
		Name: "Profile.RevokeToken", Title: "Revoke authorization token",
		Source: "L",
		Method: "POST", Path: "/profile/revoke-authorization-token", Auth: Token, Encoding: Form, Answer: NoContent,
	}
	ProfileTokenExpiry = &Operation{
		Name: "Profile.TokenExpiry", Title: "Retrieve token expiry",
		Source: "L",
		Method: "POST", Path: "/profile/authorization-token/expiry", Auth: Token, Encoding: Form, Answer: Value, Idempotent: true,
	}

	PublicKeyGenerate = &Operation{
		Name: "PublicKey.Generate", Title: "Generate your private and public keys",
		Source: "D", Page: "generate-your-private-and-public-keys-14411429e0",
		Method: "GET", Path: "/generate-keys", Auth: None, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	PublicKeyRegister = &Operation{
		Name: "PublicKey.Register", Title: "Register public key",
		Source: "D", Page: "register-public-key-14411430e0",
		Method: "POST", Path: "/public-key/register-public-key", Auth: Token, Encoding: Form, Answer: Command,
	}
	PublicKeyRetrieve = &Operation{
		Name: "PublicKey.Retrieve", Title: "Retrieve public key",
		Source: "L", Page: "retrieve-public-key-14411431e0",
		Method: "GET", Path: "/public-key/retrieve-public-key", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	PublicKeyRetrieveCAB = &Operation{
		Name: "PublicKey.RetrieveCAB", Title: "Retrieve CAB public key",
		Source: "L", Page: "retrieve-cab-public-key-14411432e0",
		Method: "GET", Path: "/dptcab/public-key", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}

	DeviceRequestIdentifier = &Operation{
		Name: "Device.RequestIdentifier", Title: "Request unique identifier (register new device)",
		Source: "L", Page: "request-unique-identifier-i-e-register-new-device-14411444e0",
		Method: "POST", Path: "/device/request-unique-identifier", Auth: Token, Encoding: Form, Answer: Command,
	}
	DeviceRetrieveIdentifier = &Operation{
		Name: "Device.RetrieveIdentifier", Title: "Retrieve unique identifier",
		Source: "S", Page: "retrieve-unique-identifier-14411445e0",
		Method: "POST", Path: "/device/retrieve-unique-identifier", Auth: Token, Encoding: Form, Answer: Value, Idempotent: true,
	}
	DeviceList = &Operation{
		Name: "Device.List", Title: "Retrieve profile devices",
		Source: "L", Page: "retrieve-profile-devices-14411446e0",
		Method: "GET", Path: "/device/retrieve-profile-devices", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	DeviceConfigureMeta = &Operation{
		Name: "Device.ConfigureMeta", Title: "Configure device meta",
		Source: "L", Page: "configure-device-meta-14411447e0",
		Method: "POST", Path: "/device/configure-meta", Auth: Token, Encoding: Form, Answer: Command,
	}
	DeviceApprove = &Operation{
		Name: "Device.Approve", Title: "Approve device",
		Source: "D", Page: "approve-device-14411448e0",
		Method: "POST", Path: "/device/approve-device", Auth: Token, Encoding: Form, Answer: Command,
	}
	DeviceReject = &Operation{
		Name: "Device.Reject", Title: "Reject device",
		Source: "L",
		Method: "POST", Path: "/device/reject-device", Auth: Token, Encoding: Form, Answer: Command,
	}
	DeviceConfiguration = &Operation{
		Name: "Device.Configuration", Title: "Retrieve device configuration",
		Source: "D", Page: "retrieve-device-configuration-14411450e0",
		Method: "GET", Path: "/device/retrieve-device-configuration/{deviceIdentifier}", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	DeviceDownloadConfiguration = &Operation{
		Name: "Device.DownloadConfiguration", Title: "Retrieve device configuration, other form",
		Source: "L", Page: "retrieve-device-configuration-14411450e0",
		Method: "POST", Path: "/device/download-device-configuration", Auth: Token, Encoding: Form, Answer: Value, Idempotent: true,
	}
	DeviceRemove = &Operation{
		Name: "Device.Remove", Title: "Remove device",
		Source: "S", Page: "remove-device-14411451e0",
		Method: "POST", Path: "/device/remove", Auth: Token, Encoding: Form, Answer: BareID,
	}

	StorageRegister = &Operation{
		Name: "Storage.Register", Title: "Register storage device",
		Source: "L",
		Method: "POST", Path: "/storage/register", Auth: Token, Encoding: Form, Answer: Command,
	}
	StorageList = &Operation{
		Name: "Storage.List", Title: "List storage devices",
		Source: "L", Page: "list-storage-devices-14411453e0",
		Method: "GET", Path: "/storage/list-storage-devices", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	StorageSynchronize = &Operation{
		Name: "Storage.Synchronize", Title: "Synchronize device",
		Source: "D", Page: "synchronize-device-14411454e0",
		Method: "POST", Path: "/storage/sync-device", Auth: Token, Encoding: Form, Answer: Command,
	}
	StorageRemove = &Operation{
		Name: "Storage.Remove", Title: "Remove storage",
		Source: "D", Page: "remove-storage-14411455e0",
		Method: "POST", Path: "/storage/remove", Auth: Token, Encoding: Form, Answer: Command,
	}

	AuthenticatorRegister = &Operation{
		Name: "VerifiedAuthenticator.Register", Title: "Register authenticator",
		Source: "L", Page: "register-authenticator-14411456e0",
		Method: "POST", Path: "/verified-authenticator/register", Auth: Token, Encoding: Form, Answer: Command,
	}
	AuthenticatorList = &Operation{
		Name: "VerifiedAuthenticator.List", Title: "List verified authenticators",
		Source: "I", Page: "list-verified-authenticators-14411457e0",
		Method: "GET", Path: "/verified-authenticator/list-verified-authenticators", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	AuthenticatorStrategy = &Operation{
		Name: "VerifiedAuthenticator.Strategy", Title: "Retrieve voting strategy",
		Source: "L", Page: "retrieve-voting-strategy-14411458e0",
		Method: "GET", Path: "/verified-authenticator/retrieve-strategy", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	AuthenticatorSetQuorumSize = &Operation{
		Name: "VerifiedAuthenticator.SetQuorumSize", Title: "Set quorum size",
		Source: "I", Page: "set-quorum-size-14411459e0",
		Method: "POST", Path: "/verified-authenticator/set-quorum-size", Auth: Token, Encoding: Form, Answer: Command,
	}
	AuthenticatorSetQuorumStrategy = &Operation{
		Name: "VerifiedAuthenticator.SetQuorumStrategy", Title: "Set quorum strategy",
		Source: "D", Page: "set-quorum-strategy-14411460e0",
		Method: "POST", Path: "/verified-authenticator/set-quorum-strategy", Auth: Token, Encoding: Form, Answer: Command,
	}
	AuthenticatorSetVotingTimeLimit = &Operation{
		Name: "VerifiedAuthenticator.SetVotingTimeLimit", Title: "Set voting time limit",
		Source: "D", Page: "set-voting-time-limit-14411461e0",
		Method: "POST", Path: "/verified-authenticator/set-voting-time-limit", Auth: Token, Encoding: Form, Answer: Command,
	}
	AuthenticatorSetMaximumVotingAttempts = &Operation{
		Name: "VerifiedAuthenticator.SetMaximumVotingAttempts", Title: "Set maximum voting attempts",
		Source: "D", Page: "set-maximum-voting-attempts-14411462e0",
		Method: "POST", Path: "/verified-authenticator/set-maximum-voting-attempts", Auth: Token, Encoding: Form, Answer: Command,
	}
	AuthenticatorRemove = &Operation{
		Name: "VerifiedAuthenticator.Remove", Title: "Remove authenticator",
		Source: "S", Page: "remove-authenticator-14411463e0",
		Method: "POST", Path: "/verified-authenticator/remove", Auth: Token, Encoding: Form, Answer: BareID,
	}
	AuthenticatorRegisterVotingConfiguration = &Operation{
		Name: "VerifiedAuthenticator.RegisterVotingConfiguration", Title: "Register voting configuration",
		Source: "D", Page: "register-voting-configuration-25063796e0",
		Method: "POST", Path: "/verified-authenticator/voting-configuration/register", Auth: Token, Encoding: JSON, Answer: Command,
	}
	AuthenticatorUpdateVotingConfiguration = &Operation{
		Name: "VerifiedAuthenticator.UpdateVotingConfiguration", Title: "Update voting configuration",
		Source: "I", Page: "update-voting-configuration-25063797e0",
		Method: "POST", Path: "/verified-authenticator/voting-configuration/update", Auth: Token, Encoding: JSON, Answer: Command,
	}
	AuthenticatorListVotingConfigurations = &Operation{
		Name: "VerifiedAuthenticator.ListVotingConfigurations", Title: "List voting configurations",
		Source: "I", Page: "list-voting-configurations-25063798e0",
		Method: "GET", Path: "/verified-authenticator/voting-configuration/list", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	AuthenticatorRetrieveVotingConfiguration = &Operation{
		Name: "VerifiedAuthenticator.RetrieveVotingConfiguration", Title: "Retrieve voting configuration",
		Source: "I", Page: "retrieve-voting-configuration-25063799e0",
		Method: "GET", Path: "/verified-authenticator/voting-configuration/retrieve/{name}", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}

	OAuthRegister = &Operation{
		Name: "OAuth.Register", Title: "Register OAuth application",
		Source: "L", Page: "register-oauth-application-14411421e0",
		Method: "POST", Path: "/profile/oauth-application-register", Auth: Token, Encoding: Form, Answer: Command,
	}
	OAuthTakeConfiguration = &Operation{
		Name: "OAuth.TakeConfiguration", Title: "Retrieve OAuth app configuration",
		Source: "L", Page: "retrieve-oauth-app-configuration-14411422e0",
		Method: "POST", Path: "/profile/retrieve-oauth-application-configuration", Auth: Token, Encoding: Form, Answer: Value,
	}
	OAuthRequestAuthorizationCode = &Operation{
		Name: "OAuth.RequestAuthorizationCode", Title: "Request authorization code",
		Source: "D, L", Page: "request-oauth-app-authorization-code-14411423e0",
		Method: "GET", Path: "/profile/oauth-application-request-authorization-code", Auth: Token, Encoding: URL, Answer: Either,
	}
	OAuthTakeAuthorizationCode = &Operation{
		Name: "OAuth.TakeAuthorizationCode", Title: "Retrieve authorization code",
		Source: "D", Page: "retrieve-oauth-app-authorization-code-14411424e0",
		Method: "POST", Path: "/oauth-application/retrieve-authorization-code", Auth: Basic, Encoding: Form, Answer: Value,
	}
	OAuthObtainAccessToken = &Operation{
		Name: "OAuth.ObtainAccessToken", Title: "Obtain access token",
		Source: "D, L", Page: "obtain-oauth-app-access-token-14411425e0",
		Method: "POST", Path: "/oauth-application/obtain-access-token", Auth: Basic, Encoding: Form, Answer: Value,
	}
	OAuthList = &Operation{
		Name: "OAuth.List", Title: "OAuth application list",
		Source: "L",
		Method: "GET", Path: "/profile/retrieve-oauth-application-list", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	OAuthScope = &Operation{
		Name: "OAuth.Scope", Title: "Retrieve OAuth application scope",
		Source: "D, L", Page: "retrieve-oauth-application-scope-14411427e0",
		Method: "GET", Path: "/oauth-application/retrieve-oauth-application-scope", Auth: Raw, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	OAuthRefreshAccessToken = &Operation{
		Name: "OAuth.RefreshAccessToken", Title: "Refresh access token",
		Source: "D, L", Page: "refresh-oauth-app-access-token-14411428e0",
		Method: "POST", Path: "/oauth-application/refresh-access-token", Auth: Raw, Encoding: Form, Answer: Value,
	}

	DataTokenReserve = &Operation{
		Name: "DataToken.Reserve", Title: "Reserve token space",
		Source: "D, L", Page: "reserve-token-space-14411433e0",
		Method: "POST", Path: "/data-token/reserve-token-space", Auth: Token, Encoding: Form, Answer: Command,
	}
	DataTokenRetrieveTemporary = &Operation{
		Name: "DataToken.RetrieveTemporary", Title: "Retrieve temporary data token",
		Source: "D, L", Page: "retrieve-temporary-data-token-14411434e0",
		Method: "GET", Path: "/data-token/retrieve-temporary-data-token/{id}", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	DataTokenExchange = &Operation{
		Name: "DataToken.Exchange", Title: "Exchange data for token",
		Source: "L",
		Method: "POST", Path: "/data-token/exchange-data-for-token", Auth: Token, Encoding: Form, Answer: Command,
	}
	DataTokenUpload = &Operation{
		Name: "DataToken.Upload", Title: "Upstream file via stream auth",
		Source: "D", Page: "upstream-file-via-stream-auth-14411436e0",
		Method: "POST", Path: "", Auth: Query, Encoding: Bytes, Answer: NoContent,
	}
	DataTokenRequest = &Operation{
		Name: "DataToken.Request", Title: "Request data via token",
		Source: "L",
		Method: "POST", Path: "/data-token/request-data", Auth: Token, Encoding: Form, Answer: Command,
	}
	DataTokenDownload = &Operation{
		Name: "DataToken.Download", Title: "Download data",
		Source: "D", Page: "download-data-14411438e0",
		Method: "GET", Path: "", Auth: Query, Encoding: Nowhere, Answer: Value,
	}
	DataTokenConfigureRiskMeta = &Operation{
		Name: "DataToken.ConfigureRiskMeta", Title: "Configure information security risk meta",
		Source: "D, L", Page: "configure-information-security-risk-meta-14411439e0",
		Method: "POST", Path: "/data-token/configure-information-security-risk-meta", Auth: Token, Encoding: Form, Answer: Command,
	}
	DataTokenConfigureFileMeta = &Operation{
		Name: "DataToken.ConfigureFileMeta", Title: "Configure file meta",
		Source: "L", Page: "configure-file-meta-14411440e0",
		Method: "POST", Path: "/data-token/configure-file-meta", Auth: Token, Encoding: Form, Answer: Value,
	}
	DataTokenList = &Operation{
		Name: "DataToken.List", Title: "List data tokens",
		Source: "D, L", Page: "list-data-tokens-14411441e0",
		Method: "GET", Path: "/data-token/list-data-tokens", Auth: Token, Encoding: URL, Answer: Value, Idempotent: true,
	}
	DataTokenUpdate = &Operation{
		Name: "DataToken.Update", Title: "Update data token",
		Source: "D", Page: "update-data-token-14411442e0",
		Method: "POST", Path: "/data-token/update-data", Auth: Token, Encoding: JSON, Answer: Command,
	}
	DataTokenUpdateMeta = &Operation{
		Name: "DataToken.UpdateMeta", Title: "Update data token, other form",
		Source: "L", Page: "update-data-token-14411442e0",
		Method: "POST", Path: "/data-token/update-data-token", Auth: Token, Encoding: Form, Answer: Command,
	}
	DataTokenDelete = &Operation{
		Name: "DataToken.Delete", Title: "Delete data",
		Source: "L",
		Method: "POST", Path: "/data-token/delete-data", Auth: Token, Encoding: Form, Answer: Command,
	}

	PolicyListTemplates = &Operation{
		Name: "Policy.ListTemplates", Title: "List policy templates",
		Source: "D", Page: "list-policy-templates-14411464e0",
		Method: "GET", Path: "/policy/list-policy-templates", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	PolicyRegister = &Operation{
		Name: "Policy.Register", Title: "Register policy",
		Source: "D, L", Page: "register-policy-14411465e0",
		Method: "POST", Path: "/policy/register", Auth: Token, Encoding: JSON, Answer: Command,
	}
	PolicyActivate = &Operation{
		Name: "Policy.Activate", Title: "Activate policy",
		Source: "L", Page: "activate-policy-14411468e0",
		Method: "POST", Path: "/policy/activate", Auth: Token, Encoding: Form, Answer: Command,
	}
	PolicyDeactivate = &Operation{
		Name: "Policy.Deactivate", Title: "Deactivate policy",
		Source: "L", Page: "deactivate-policy-14411469e0",
		Method: "POST", Path: "/policy/deactivate", Auth: Token, Encoding: Form, Answer: Command,
	}
	PolicyRetrieve = &Operation{
		Name: "Policy.Retrieve", Title: "Retrieve registered policy",
		Source: "L", Page: "retrieve-registered-policy-25063801e0",
		Method: "GET", Path: "/policy/retrieve-policy/{name}", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	PolicyDelete = &Operation{
		Name: "Policy.Delete", Title: "Delete policy",
		Source: "I", Page: "delete-policy-14411470e0",
		Method: "POST", Path: "/policy/delete", Auth: Token, Encoding: Form, Answer: Command,
	}
	PolicyListActive = &Operation{
		Name: "Policy.ListActive", Title: "List active policies",
		Source: "I", Page: "list-active-policies-14411466e0",
		Method: "GET", Path: "/policy/list-active-policies", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	PolicyListInactive = &Operation{
		Name: "Policy.ListInactive", Title: "List inactive policies",
		Source: "I", Page: "list-inactive-policies-14411467e0",
		Method: "GET", Path: "/policy/list-inactive-policies", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
	PolicyListRegistered = &Operation{
		Name: "Policy.ListRegistered", Title: "List registered policies",
		Source: "I", Page: "list-registered-policies-25063800e0",
		Method: "GET", Path: "/policy/list-registered-policies", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}

	VotingCreate = &Operation{
		Name: "Voting.Create", Title: "Create voting",
		Source: "D", Page: "create-voting-14411489e0",
		Method: "POST", Path: "/voting/create", Auth: Token, Encoding: JSON, Answer: Either,
	}
	VotingCheckStatus = &Operation{
		Name: "Voting.CheckStatus", Title: "Check pool status",
		Source: "L",
		Method: "GET", Path: "/voting/check-pool-status/{poolId}", Auth: Token, Encoding: Nowhere, Answer: Value, Idempotent: true,
	}
)

// All is every operation, in the same order. A test finds one that is left out.
var All = []*Operation{
	UtilityHealth, UtilityRequestStatus,

	ProfileRegister, ProfileAuthenticate, ProfileID, ProfileChangePassword, ProfileGenerateQRToken,
	ProfileReauthorize, ProfileRevokeToken, ProfileTokenExpiry,

	PublicKeyGenerate, PublicKeyRegister, PublicKeyRetrieve, PublicKeyRetrieveCAB,

	DeviceRequestIdentifier, DeviceRetrieveIdentifier, DeviceList, DeviceConfigureMeta, DeviceApprove,
	DeviceReject, DeviceConfiguration, DeviceDownloadConfiguration, DeviceRemove,

	StorageRegister, StorageList, StorageSynchronize, StorageRemove,

	AuthenticatorRegister, AuthenticatorList, AuthenticatorStrategy, AuthenticatorSetQuorumSize,
	AuthenticatorSetQuorumStrategy, AuthenticatorSetVotingTimeLimit,
	AuthenticatorSetMaximumVotingAttempts, AuthenticatorRemove,
	AuthenticatorRegisterVotingConfiguration, AuthenticatorUpdateVotingConfiguration,
	AuthenticatorListVotingConfigurations, AuthenticatorRetrieveVotingConfiguration,

	OAuthRegister, OAuthTakeConfiguration, OAuthRequestAuthorizationCode, OAuthTakeAuthorizationCode,
	OAuthObtainAccessToken, OAuthList, OAuthScope, OAuthRefreshAccessToken,

	DataTokenReserve, DataTokenRetrieveTemporary, DataTokenExchange, DataTokenUpload,
	DataTokenRequest, DataTokenDownload, DataTokenConfigureRiskMeta, DataTokenConfigureFileMeta,
	DataTokenList, DataTokenUpdate, DataTokenUpdateMeta, DataTokenDelete,

	PolicyListTemplates, PolicyRegister, PolicyActivate, PolicyDeactivate, PolicyRetrieve,
	PolicyDelete, PolicyListActive, PolicyListInactive, PolicyListRegistered,

	VotingCreate, VotingCheckStatus,
}

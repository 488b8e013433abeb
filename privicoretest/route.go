package privicoretest

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/privicore/privicore-go/internal/operation"
)

// endpoint is how the server carries out an operation: the parameters it
// checks, then the function. The function runs with the state locked.
type endpoint struct {
	handle func(s *state, c *call) answer
	fields []field
	soft   bool // parameters beyond fields are accepted
	meta   bool // and so is meta[...]
}

// endpoints are the operations that are served.
var endpoints = map[*operation.Operation]endpoint{
	operation.UtilityHealth:        {handle: health},
	operation.UtilityRequestStatus: {handle: requestStatus},

	operation.ProfileRegister:        {handle: registerProfile, fields: []field{{"username", text}, {"password", text}}},
	operation.ProfileAuthenticate:    {handle: authenticate, fields: []field{{"username", text}, {"password", text}}},
	operation.ProfileID:              {handle: profileID},
	operation.ProfileChangePassword:  {handle: changePassword, fields: []field{{"currentPassword", text}, {"newPassword", strong}}},
	operation.ProfileGenerateQRToken: {handle: generateQRToken},
	operation.ProfileReauthorize:     {handle: reauthorize, fields: []field{{"ttl", positive}}},
	operation.ProfileRevokeToken:     {handle: revokeToken},
	operation.ProfileTokenExpiry:     {handle: tokenExpiry},

	operation.PublicKeyGenerate:    {handle: generateKeys},
	operation.PublicKeyRegister:    {handle: registerPublicKey, fields: []field{{"publicKey", signedKey}}},
	operation.PublicKeyRetrieve:    {handle: retrievePublicKey},
	operation.PublicKeyRetrieveCAB: {handle: retrieveCABPublicKey},

	operation.DeviceRequestIdentifier:     {handle: requestIdentifier, fields: []field{{"deviceName", text}}},
	operation.DeviceRetrieveIdentifier:    {handle: retrieveIdentifier, fields: []field{{"id", uuid}}},
	operation.DeviceList:                  {handle: listDevices},
	operation.DeviceConfigureMeta:         {handle: configureMeta, fields: []field{{"deviceIdentifier", text}, {"name", optional(text)}}},
	operation.DeviceApprove:               {handle: approveDevice, fields: []field{{"deviceIdentifier", text}}},
	operation.DeviceReject:                {handle: rejectDevice, fields: []field{{"deviceIdentifier", text}}},
	operation.DeviceConfiguration:         {handle: deviceConfiguration},
	operation.DeviceDownloadConfiguration: {handle: deviceConfiguration, fields: []field{{"deviceIdentifier", text}}},
	operation.DeviceRemove:                {handle: removeDevice, fields: []field{{"deviceIdentifier", text}}},

	operation.AuthenticatorRegister:                    {handle: registerAuthenticator, fields: []field{{"deviceIdentifier", text}}},
	operation.AuthenticatorList:                        {handle: listAuthenticators},
	operation.AuthenticatorStrategy:                    {handle: retrieveStrategy},
	operation.AuthenticatorSetQuorumSize:               {handle: setQuorumSize, fields: []field{{"quorumSize", positive}}},
	operation.AuthenticatorSetQuorumStrategy:           {handle: setQuorumStrategy, fields: []field{{"strategy", strategy}, {"strategy_params", percentage}}},
	operation.AuthenticatorSetVotingTimeLimit:          {handle: setVotingTimeLimit, fields: []field{{"timeLimit", positive}}},
	operation.AuthenticatorSetMaximumVotingAttempts:    {handle: setMaximumVotingAttempts, fields: []field{{"numberOfAttempts", positive}}},
	operation.AuthenticatorRemove:                      {handle: removeAuthenticator, fields: []field{{"deviceIdentifier", text}}},
	operation.AuthenticatorRegisterVotingConfiguration: {handle: registerVotingConfiguration, fields: votingConfigurationFields},
	operation.AuthenticatorUpdateVotingConfiguration:   {handle: updateVotingConfiguration, fields: votingConfigurationFields},
	operation.AuthenticatorListVotingConfigurations:    {handle: listVotingConfigurations},
	operation.AuthenticatorRetrieveVotingConfiguration: {handle: retrieveVotingConfiguration},

	operation.StorageRegister:    {handle: registerStorage, fields: []field{{"deviceIdentifier", text}}},
	operation.StorageList:        {handle: listStorage},
	operation.StorageSynchronize: {handle: synchronizeStorage, fields: []field{{"deviceIdentifier", text}}},
	operation.StorageRemove:      {handle: removeStorage, fields: []field{{"deviceIdentifier", text}}},

	operation.OAuthRegister:                 {handle: registerApplication, fields: []field{{"name", text}, {"redirectUri", absoluteURL}, {"scopes", commaList}}},
	operation.OAuthTakeConfiguration:        {handle: applicationConfiguration, fields: []field{{"applicationId", uuid}}},
	operation.OAuthRequestAuthorizationCode: {handle: requestCode, fields: []field{{"client_id", text}, {"nonce", text}, {"scope[]", textList}}},
	operation.OAuthTakeAuthorizationCode:    {handle: retrieveCode, fields: []field{{"id", uuid}, {"nonce", text}}},
	operation.OAuthObtainAccessToken:        {handle: obtainAccessToken, fields: []field{{"authorization_code", text}}},
	operation.OAuthList:                     {handle: listApplications},
	operation.OAuthScope:                    {handle: applicationScope},
	operation.OAuthRefreshAccessToken:       {handle: refreshAccessToken, fields: []field{{"refresh_token", text}}},

	operation.DataTokenReserve:           {handle: reserve, fields: reserveFields, meta: true},
	operation.DataTokenRetrieveTemporary: {handle: retrieveTemporary},
	operation.DataTokenExchange:          {handle: exchange, fields: []field{{"temporaryTokenSpace", text}, {"data", inline}}},
	operation.DataTokenUpload:            {}, // the file servers carry out
	operation.DataTokenDownload:          {}, // these two
	operation.DataTokenRequest:           {handle: requestData, fields: []field{{"token", text}}},
	operation.DataTokenConfigureRiskMeta: {handle: configureRiskMeta, fields: []field{{"token", text}}, soft: true},
	operation.DataTokenConfigureFileMeta: {handle: configureFileMeta, fields: fileMetaFields},
	operation.DataTokenList:              {handle: listDataTokens, fields: listFields},
	operation.DataTokenUpdate:            {handle: updateData, fields: []field{{"dataToken", text}, {"data", inline}, {"meta", optional(metaObject)}}},
	operation.DataTokenUpdateMeta:        {handle: updateDataToken, fields: []field{{"token", text}, {"fileName", optional(text)}, {"extension", optional(given)}, {"context", optional(text)}}},
	operation.DataTokenDelete:            {handle: deleteData, fields: []field{{"token", text}}},

	operation.PolicyListTemplates:  {handle: listTemplates},
	operation.PolicyRegister:       {handle: registerPolicy, fields: policyFields},
	operation.PolicyActivate:       {handle: activatePolicy, fields: []field{{"policyId", text}}},
	operation.PolicyDeactivate:     {handle: deactivatePolicy, fields: []field{{"policyId", text}}},
	operation.PolicyRetrieve:       {handle: retrievePolicy},
	operation.PolicyDelete:         {handle: deletePolicy, fields: []field{{"policyId", text}}},
	operation.PolicyListActive:     {handle: listPolicies},
	operation.PolicyListInactive:   {handle: listPolicies},
	operation.PolicyListRegistered: {handle: listPolicies},

	operation.VotingCreate:      {handle: createVoting, fields: votingFields},
	operation.VotingCheckStatus: {handle: checkPollStatus},
}

// routes is the REST side of the server.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	allowed := make(map[string][]string) // methods by path
	for _, op := range operation.All {
		ep, ok := endpoints[op]
		if !ok || op.OnFileServer() {
			continue
		}
		for _, method := range methods(op) {
			mux.Handle(method+" "+op.Path, s.serve(op, ep))
			allowed[op.Path] = append(allowed[op.Path], method)
		}
	}
	for path, methods := range allowed {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(methods, ", "))
			s.state.write(w, refuse(http.StatusMethodNotAllowed, "request.method_not_allowed", "This method is not allowed here."))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.state.write(w, nothingHere())
	})
	return s.clean(mux)
}

// clean answers 404 where a path has dots or nothing between two slashes: a
// mux would redirect, with a page in HTML.
func (s *Server) clean(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isClean(r.URL.EscapedPath()) {
			s.state.write(w, nothingHere())
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isClean(path string) bool {
	rest, rooted := strings.CutPrefix(path, "/")
	segments := strings.Split(rest, "/")
	for i, segment := range segments {
		last := i == len(segments)-1
		if segment == "." || segment == ".." || segment == "" && !last {
			return false
		}
	}
	return rooted
}

func nothingHere() answer {
	return refuse(http.StatusNotFound, "request.not_found", "There is nothing at this path.")
}

// methods are the ways to call an operation: the documented one and, for the
// status route, the one that older clients use.
func methods(op *operation.Operation) []string {
	if op == operation.UtilityRequestStatus {
		return []string{http.MethodGet, http.MethodPost}
	}
	return []string{op.Method}
}

const maxBody = 1 << 20

// serve is what all operations share.
func (s *Server) serve(op *operation.Operation, ep endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fault := s.state.begin(op)
		// Read ahead of the delay: net/http notices a caller that hangs up
		// only once the body is consumed.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if pause(r.Context(), fault.Delay) != nil {
			drop(w)
			return
		}
		if fault.replaces() && !fault.AfterEffect {
			fault.answer(w)
			return
		}
		a := s.state.carryOut(op, ep, &call{op: op, request: r, body: body, fault: fault}, err)
		if fault.replaces() {
			fault.answer(w)
			return
		}
		s.state.write(w, a)
	}
}

// begin counts a call and takes the fault that waits for it.
func (s *state) begin(op *operation.Operation) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[op]++
	queue := s.faults[op]
	if len(queue) == 0 {
		return Fault{}
	}
	s.faults[op] = queue[1:]
	return queue[0]
}

// carryOut checks a call in the order in which a server would refuse it and
// runs its function.
func (s *state) carryOut(op *operation.Operation, ep endpoint, c *call, unread error) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(unread, &tooLarge) {
		return refuse(http.StatusRequestEntityTooLarge, "request.too_large", "The body is too large.")
	}
	if unread != nil {
		return refuse(http.StatusBadRequest, "request.unreadable", "The body could not be read.")
	}
	if refusal := s.authorize(c); refusal != nil {
		return *refusal
	}
	if refusal := c.decode(); refusal != nil {
		return *refusal
	}
	if problems := c.check(ep); len(problems) > 0 {
		return invalid(problems...)
	}
	return ep.handle(s, c)
}

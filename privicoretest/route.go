package privicoretest

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/privicore/privicore-go/internal/operation"
)

// endpoint is how the server carries out an operation. It checks the parameters
// and then calls handle, under the lock.
type endpoint struct {
	handle func(s *state, c *call) answer
	fields []field
	soft   bool // parameters beyond fields are accepted
	meta   bool // parameters like meta[a][b] are accepted
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
	operation.DataTokenUpload:            {}, // the file servers carry it out
	operation.DataTokenDownload:          {}, // the same
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

// routes returns the handler of REST.
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

// clean answers 404 to a path with dot segments or "//". A mux would redirect to
// the clean path, with a page in HTML.
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

// methods returns the HTTP methods of an operation. The status of a command can
// be asked for with POST too, which older clients use.
func methods(op *operation.Operation) []string {
	if op == operation.UtilityRequestStatus {
		return []string{http.MethodGet, http.MethodPost}
	}
	return []string{op.Method}
}

const maxBody = 1 << 20

// serve returns the handler of an operation.
func (s *Server) serve(op *operation.Operation, ep endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{op: op, request: r}
		s.state.begin(c)
		// The body is read before the delay because net/http notices that a
		// caller hangs up only after that.
		var unread error
		c.body, unread = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		c.malformed = c.decode()
		c.fault.address(s.state, r, c.body)
		if pause(r.Context(), c.fault.Delay) != nil {
			s.state.record(c, 0)
			drop(w, r)
			return
		}
		if c.fault.replaces() && !c.fault.AfterEffect {
			s.state.record(c, c.fault.sent())
			c.fault.answer(w, r)
			return
		}
		a := s.state.carryOut(ep, c, unread)
		if c.fault.replaces() {
			c.fault.answer(w, r)
			return
		}
		s.state.send(w, c, a)
	}
}

// begin counts a call, adds it to the log, and gives it the next fault of its
// operation or a random one.
func (s *state) begin(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[c.op]++
	c.entry = &entry{op: c.op, received: time.Now()}
	s.requests.add(c.entry)
	queue := s.faults[c.op]
	lasting := s.always[c.op]
	switch {
	case len(queue) > 0:
		s.faults[c.op] = queue[1:]
		c.fault = mishap{Fault: queue[0], command: noFault}
	case len(lasting) > 0:
		c.fault = mishap{Fault: *lasting[len(lasting)-1], command: noFault}
	default:
		c.fault = s.random.mishap(c.op, s.calls[c.op])
	}
}

// record adds to the log what came and which status is sent.
func (s *state) record(c *call, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(c, status)
	s.logCall(c, status)
}

// note does what record does. The caller holds the lock.
func (s *state) note(c *call, status int) {
	if s.requests.limit == 0 {
		return
	}
	c.entry.status = status
	c.entry.params = c.logged()
	c.entry.profile = s.caller(c)
}

// caller returns the profile whose token was sent, or nil.
func (s *state) caller(c *call) *profile {
	if t := s.tokens[c.request.Header.Get("X-DPT-AUTHORIZATION")]; t != nil {
		return t.profile
	}
	return c.profile
}

// send sends the answer of a call, with the fault of its body.
func (s *state) send(w http.ResponseWriter, c *call, a answer) {
	if c.fault.body == nil {
		s.write(w, a)
		return
	}
	f := newFaulty(w, c.request, c.fault.body)
	s.write(f, a)
	f.finish()
}

// carryOut carries a call out and adds to the log what became of it.
func (s *state) carryOut(ep endpoint, c *call, unread error) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.fault.expires {
		s.expire(c.request)
	}
	a := s.execute(ep, c, unread)
	status := a.status
	if c.fault.replaces() {
		status = c.fault.sent()
	}
	s.note(c, status)
	c.entry.executed = a.succeeded()
	if a.command != nil {
		c.entry.command = s.commands[a.command.id]
	}
	s.logCall(c, status)
	return a
}

// expire ends the life of the token that a request was sent with.
func (s *state) expire(r *http.Request) {
	if t := s.tokens[r.Header.Get("X-DPT-AUTHORIZATION")]; t != nil {
		t.expires = time.Now()
	}
}

// execute checks a call and runs its function. The order of the checks is the
// one in which a server would refuse: size, authorization, parameters.
func (s *state) execute(ep endpoint, c *call, unread error) answer {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(unread, &tooLarge) {
		return refuse(http.StatusRequestEntityTooLarge, "request.too_large", "The body is too large.")
	}
	if unread != nil {
		return refuse(http.StatusBadRequest, "request.unreadable", "The body could not be read.")
	}
	if refusal := s.authorize(c); refusal != nil {
		return *refusal
	}
	if c.malformed != nil {
		return *c.malformed
	}
	if problems := c.check(ep); len(problems) > 0 {
		return invalid(problems...)
	}
	return ep.handle(s, c)
}

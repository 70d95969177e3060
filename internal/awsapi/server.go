package awsapi

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"penstock/internal/awsapi/fault"
	"penstock/internal/awsapi/sigv4"
	"penstock/internal/policy"
)

// AccessKey is a key that clients sign with.
type AccessKey struct {
	ID, Secret string
	// Policy limits what the key may do; nil does not.
	Policy *policy.Policy
}

// Config is what a Server needs to know.
type Config struct {
	// Region is the region that signatures must be scoped to.
	Region string
	// Account is the account that all access keys belong to.
	Account string
	// Partition is that of the region; "" is "aws".
	Partition string
	// Throttle limits each access key.
	Throttle Throttle
	// AccessKeys are those that are accepted. IDs are distinct.
	AccessKeys []AccessKey
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Logger gets a line per request; nil is none.
	Logger *slog.Logger
}

// Server serves the actions of services over HTTP, on every path. It is an
// http.Handler and starts nothing by itself.
type Server struct {
	config   Config
	services map[string]*Service
	fallback *Service // whose namespace is used while the service is unknown
	keys     map[string]*accessKey
	verifier sigv4.Verifier
}

var _ http.Handler = (*Server)(nil)

// accessKey is a key with what it has used of its limit.
type accessKey struct {
	AccessKey
	bucket bucket
}

// New returns a Server of these services, of which there is at least one. The
// first lends its XML namespace to failures of requests whose service is not
// known.
func New(config Config, services ...Service) *Server {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Partition == "" {
		config.Partition = "aws"
	}
	s := &Server{config: config, services: map[string]*Service{}, keys: map[string]*accessKey{}}
	for _, key := range config.AccessKeys {
		s.keys[key.ID] = &accessKey{AccessKey: key}
	}
	var names []string
	for i := range services {
		s.services[services[i].Name] = &services[i]
		names = append(names, services[i].Name)
	}
	s.fallback = &services[0]
	s.verifier = sigv4.Verifier{
		Region:   config.Region,
		Services: names,
		Secret: func(id string) (string, bool) {
			if key := s.keys[id]; key != nil {
				return key.Secret, true
			}
			return "", false
		},
		Now: config.Now,
	}
	return s
}

// exchange is one request on its way through the server: what is known about
// it so far, for the reply and for the log.
type exchange struct {
	requestID string
	started   time.Time
	service   *Service
	protocol  protocol
	identity  sigv4.Identity
	verified  bool
	action    string
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{requestID: newRequestID(), started: time.Now(), service: s.fallback, protocol: guessProtocol(r)}
	body, err := s.answer(r, x)
	s.respond(w, r, x, body, err)
}

// answer authenticates, decodes, dispatches and encodes.
func (s *Server) answer(r *http.Request, x *exchange) (reply []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Internal(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()

	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	signed := sigv4.NewRequest(r, body)
	x.identity, err = s.verifier.Verify(signed)
	if service, ok := s.services[x.identity.Service]; ok {
		x.service = service
	}
	if err != nil {
		return nil, err
	}
	x.verified = true
	if !s.keys[x.identity.AccessKeyID].bucket.take(s.config.Throttle, s.config.Now()) {
		return nil, fault.Throttling.Errorf("Rate exceeded")
	}

	x.protocol = protocolOf(x.service)
	action, input, unknown, err := x.protocol.decode(x, r, signed.RawQuery, body)
	if len(unknown) > 0 {
		s.config.Logger.WarnContext(r.Context(), "unknown parameters ignored",
			"action", action.Name, "request_id", x.requestID, "parameters", unknown[:min(len(unknown), 10)])
	}
	if err != nil {
		return nil, err
	}
	caller := Caller{AccessKeyID: x.identity.AccessKeyID, Account: s.config.Account, Region: s.config.Region, Partition: s.config.Partition}
	if err := s.authorize(r.Context(), x, caller, action, input); err != nil {
		return nil, err
	}
	result, err := action.Handle(r.Context(), caller, input)
	if err != nil {
		return nil, err
	}
	return x.protocol.encode(x, action, result)
}

// faultOf returns what the client is told about err.
func faultOf(err error) *fault.Error {
	var e *fault.Error
	if errors.As(err, &e) {
		return e
	}
	return fault.Internal(err)
}

// newRequestID returns a random UUID.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

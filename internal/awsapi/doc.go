// Package awsapi serves AWS APIs over HTTP: it authenticates a request, decodes
// its parameters, calls the handler of its action and encodes the reply.
//
// It knows no action. Services (packages rds, redshift, serverless, sts) are
// tables of actions that New is given; a request goes to the service that its
// signature is scoped to. Most speak the Query protocol, some JSON 1.1
// (protocol.go). The parts of the protocol are pure packages: sigv4 verifies
// signatures, query is the codec, fault holds the codes of failures.
//
// Invariants:
//
//   - Nothing is decoded, let alone done, before the signature is verified, and
//     nothing done before the policy of the access key allows it (authorize.go).
//   - One place writes bytes: respond.go. Every reply has a request id, in the
//     header and in the body, and a line in the log; no line holds a secret.
//   - What is not a *fault.Error is our fault: the client gets an
//     InternalFailure that says nothing, the log gets the cause.
//
// Start reading at server.go.
package awsapi

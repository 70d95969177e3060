// Package sigv4 verifies AWS Signature Version 4, in an Authorization header
// or in the query string of a presigned URL, by the rules of every service but
// S3: the path is normalised and encoded once more, the payload is hashed.
//
// It is a pure function of a Request, the keys and the time. It does not read
// bodies, write replies or know what an action is.
//
// Invariants:
//
//   - What is verified is what was on the wire: path and query as sent, the
//     body as received. A hash that the client states is never believed.
//   - Only signed headers count; host is always one of them.
//   - Every failure is a *fault.Error with the code and status that AWS uses.
//     None of them holds a secret, a signing key or the right signature.
//
// Start reading at verify.go; parse.go takes a signature out of a request,
// canonical.go makes the text that is signed.
package sigv4

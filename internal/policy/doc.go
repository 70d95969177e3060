// Package policy reads and evaluates policies in the language of AWS IAM:
// who may do what to which resource. There are two kinds: an identity policy
// belongs to an access key and says what that may do; a resource policy
// belongs to a target and says who may integrate with it.
//
// It is pure: documents in, decisions out. It knows no action and no resource;
// what a request needs is passed in by who serves it.
//
// Invariants:
//
//   - An explicit Deny wins; what nothing allows is denied.
//   - A document is either understood in full or refused with every fault and
//     its path. An element that would be ignored is a fault.
//
// Start reading at policy.go.
package policy

// Package query is the codec of the AWS Query protocol: parameters of a form
// in, XML out. Both directions are driven by a table of shapes that says what
// each member is; nothing is guessed from the text.
//
//	form body --ParseForm--> []Param --Decode(shape)--> Value
//	Value --Reply(shape)--> XML
//
// Services that speak JSON 1.1 instead have the same shapes: DecodeJSON and
// ReplyJSON.
//
// It is made of pure functions: no network, no logger, no clock. It does not
// know any action or any service.
//
// Invariants:
//
//   - What Decode returns satisfies its shape: types, lengths, patterns,
//     members that are required, lists without gaps.
//   - Every refusal is a *fault.Error that names the parameter; none is a 5xx.
//   - A parameter that the shape does not know, if it is well-formed, is
//     returned as unknown and otherwise ignored, so that newer clients work.
//
// Start reading at shape.go.
package query

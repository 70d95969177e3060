// Package fault holds the failures of the AWS APIs as they are seen on the
// wire: a code, an HTTP status and a message.
//
// It declares the codes that all services share. Codes that one service
// models are declared in the package of that service. It writes no bytes: the
// XML form is made by package query, and sent by package awsapi.
package fault

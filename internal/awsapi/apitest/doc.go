// Package apitest serves AWS APIs to tests, sends them signed requests, and
// holds replies against golden files.
package apitest

// Package secret is the keyring: encryption keys by the names that users have
// for them, and the data keys of integrations, which they wrap.
//
//	key (configured, or built in) --wraps--> data key of an integration
//
// A data key is made at random, encrypted by its integration's key with
// AES-256-GCM, and bound to the integration's encryption context: it can be
// unwrapped only by that key, with that context. What is stored is the wrapped
// form.
//
// It is pure: it reads no file and knows no configuration; who has keys passes
// them in. It holds them in memory and shows them to nobody.
//
// Start reading at keyring.go.
package secret

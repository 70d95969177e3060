// Package failpoint lets tests of the real program end it, delay it or have it
// fail at a named place: before and after each step that makes something
// durable. Points are always compiled in and off unless Arm is called with a
// text, which the command line takes from the environment variable Env; while
// they are off, one costs an atomic load.
//
// It is not for users, and no way to configure anything. It knows nothing of
// the module, so that every package may have points.
//
// Start reading at points.go, the list of all there are.
package failpoint

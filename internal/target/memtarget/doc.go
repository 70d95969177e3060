// Package memtarget is a penstock.Target that keeps everything in memory. It
// passes the conformance suite of targettest and serves the tests of whatever
// writes to a target; it is never part of the program.
//
// A Target outlives its Destinations: closing one and opening it again is what
// a restart of the process is to a real target, so an unfinished load and a
// partial batch are lost then, as the contract says.
//
// Start reading at target.go, then destination.go, apply.go and version.go.
package memtarget

// Package control is the control plane: it creates, describes, modifies and
// deletes integrations, owns their statuses, and keeps one runner going for
// each stream of each integration.
//
// It knows sources and targets by the vocabulary's interfaces and runners by
// an interface of its own; it moves no rows.
//
// Invariants: a status changes only along the transition table in
// transitions.go, inside Store.Update; at most one runner exists per stream;
// an integration in any status reaches a deletable one within bounded time.
//
// Start reading at service.go for what is asked for, at supervisor.go and
// keeper.go for how it comes true, at condition.go for what the streams'
// reports make of a status.
package control

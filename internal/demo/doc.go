// Package demo shows the main job on a machine that has nothing running: a
// throwaway PostgreSQL with a shop in it, a Penstock server beside it, an
// integration from creation to deletion through the RDS API, and rows arriving.
//
// It is a user: it talks to the server by the AWS SDK, by SQL and by what the
// server offers to everybody, and cleans up after itself however it ends.
//
// Start reading at Run in demo.go.
package demo

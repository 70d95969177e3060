// Command penstock replicates operational databases into an analytical
// warehouse, behind the integration API of Amazon RDS.
//
// There is one short file per subcommand; what they call is in internal/app.
package main

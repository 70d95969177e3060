// Package redshift is what makes the SQL endpoint speak Amazon Redshift's
// dialect: it cuts what a client sends into statements, says what each one is,
// rewrites the tokens that the engine would read otherwise, and fills the
// system views.
//
// It works on tokens, never on a syntax tree: the engine parses, and what is
// not touched here reaches it letter by letter. It knows the vocabulary and
// nothing of sockets, sessions or the engine behind the warehouse.
//
//   - lexer.go      Lex: the tokens of a text
//   - statement.go  Split, Statement: one statement, its words and names
//   - command.go    Classify: who answers a statement, the engine or the endpoint
//   - integration.go  what ALTER DATABASE … INTEGRATION asks for
//   - rewrite.go    Rewrite: functions and names that the engine has otherwise
//   - views.go      Views: SVV_INTEGRATION and SVV_INTEGRATION_TABLE_STATE
//   - catalog.go    pg_database, and the names of result columns
//   - readable.go   Explain: why a table that should be there is not
//
// Redshift pads the character columns of its views with blanks; here they are
// not padded, so trim() around them changes nothing.
package redshift

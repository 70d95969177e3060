package lab

import (
	"context"
	"fmt"
	"strings"
)

// Column is a column of a table that is measured with.
type Column struct {
	Name, Type string // PostgreSQL's
	// Value is an SQL expression for row g, a bigint.
	Value string
}

// Table is a table that is measured with. Its first column is the primary key.
type Table struct {
	Name    string
	Columns []Column
}

// Orders is the usual table: eight columns, about 150 bytes a row as text.
var Orders = Table{"orders", []Column{
	{"id", "bigint", "g"},
	{"customer", "integer", "(g * 7919 % 100003)::int"},
	{"status", "smallint", "(g % 7)::int2"},
	{"amount", "numeric(12,2)", "(g % 1000000) / 100.0"},
	{"created", "timestamp", "timestamp '2024-01-01' + (g % 31536000) * interval '1 second'"},
	{"paid", "boolean", "g % 3 = 0"},
	{"name", "text", "'customer ' || g % 100003"},
	{"note", "text", "md5(g::text) || repeat('n', (g % 40)::int)"},
}}

// Narrow has few, short columns: what a row costs shows.
var Narrow = Table{"narrow", []Column{
	{"id", "bigint", "g"},
	{"customer", "integer", "(g * 7919 % 100003)::int"},
	{"amount", "integer", "(g % 1000000)::int"},
}}

// Wide has twelve columns: what a value costs shows.
var Wide = Table{"wide", append(append([]Column{}, Orders.Columns...),
	Column{"reference", "uuid", "md5(g::text)::uuid"},
	Column{"day", "date", "date '2024-01-01' + (g % 366)::int"},
	Column{"weight", "double precision", "(g % 4096) / 64.0"},
	Column{"city", "text", "'city ' || g % 977"},
)}

// Create returns the statement that makes the table.
func (t *Table) Create() string {
	var columns []string
	for i, c := range t.Columns {
		s := c.Name + " " + c.Type
		if i == 0 {
			s += " PRIMARY KEY"
		}
		columns = append(columns, s)
	}
	return "CREATE TABLE " + t.Name + " (" + strings.Join(columns, ", ") + ")"
}

// Values returns the select list that makes row g.
func (t *Table) Values() string {
	var values []string
	for _, c := range t.Columns {
		values = append(values, c.Value)
	}
	return strings.Join(values, ", ")
}

// Insert returns the statement that fills the table with rows from..to.
func (t *Table) Insert(from, to int64) string {
	return fmt.Sprintf("INSERT INTO %s SELECT %s FROM generate_series(%d::bigint, %d::bigint) g", t.Name, t.Values(), from, to)
}

// Fill makes the table with n rows in a database, read as it is by those that
// come: its pages hold no trace of the transaction that wrote them any more.
func (t *Table) Fill(ctx context.Context, s *Server, database string, n int64) error {
	return s.Exec(ctx, database, t.Create(), "SET synchronous_commit = off; "+t.Insert(1, n), "VACUUM (FREEZE, ANALYZE) "+t.Name)
}

// dialect is how an engine writes what the other writes differently.
type dialect struct {
	text func(c Column) string    // the value as text, the same in all
	hash func(text string) string // the first 32 bits of its MD5, as a bigint
}

var postgres = dialect{
	text: func(c Column) string {
		switch c.Type {
		case "timestamp":
			return "extract(epoch FROM " + c.Name + ")::bigint::text"
		case "boolean":
			return c.Name + "::int::text"
		}
		return c.Name + "::text"
	},
	hash: func(text string) string { return "('x' || substr(md5(" + text + "), 1, 8))::bit(32)::bigint" },
}

var duckdb = dialect{
	text: func(c Column) string {
		switch c.Type {
		case "timestamp":
			return "cast(cast(epoch(" + c.Name + ") AS bigint) AS varchar)"
		case "boolean":
			return "cast(cast(" + c.Name + " AS integer) AS varchar)"
		case "double precision": // 1.0 here, 1 there
			return "regexp_replace(cast(" + c.Name + " AS varchar), '\\.0$', '')"
		}
		return "cast(" + c.Name + " AS varchar)"
	},
	hash: func(text string) string { return "cast('0x' || substr(md5(" + text + "), 1, 8) AS bigint)" },
}

// digest returns a query for the number of rows and a sum over a hash of each
// whole row, so that it does not depend on their order.
func (t *Table) digest(d dialect) string {
	var parts []string
	for _, c := range t.Columns {
		parts = append(parts, "coalesce("+d.text(c)+", '~')")
	}
	return "SELECT count(*), cast(sum(" + d.hash(strings.Join(parts, " || ',' || ")) + ") AS bigint) FROM public." + t.Name
}

// Digest returns what stands for the content of the table in PostgreSQL.
func (t *Table) Digest(ctx context.Context, s *Server, database string) (string, error) {
	return s.Query(ctx, database, t.digest(postgres))
}

// Check returns an error if the warehouse does not hold what digest stands
// for.
func (t *Table) Check(ctx context.Context, p *Penstock, database, digest string) error {
	got, err := p.Query(ctx, database, t.digest(duckdb))
	if err == nil && got != digest {
		err = fmt.Errorf("table %s has another content in the warehouse (rows|hash %s) than at the source (%s): the run does not count", t.Name, got, digest)
	}
	return err
}

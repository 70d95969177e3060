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
	Touch   string // what an update sets
	Columns []Column
}

// Orders is the usual table: eight columns, about 150 bytes a row as text.
var Orders = Table{"orders", "amount = amount + 1, status = (status + 1) % 7, note = md5(id::text || amount::text)", []Column{
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
var Narrow = Table{"narrow", "amount = amount + 1", []Column{
	{"id", "bigint", "g"},
	{"customer", "integer", "(g * 7919 % 100003)::int"},
	{"amount", "integer", "(g % 1000000)::int"},
}}

// Wide has twelve columns: what a value costs shows.
var Wide = Table{"wide", Orders.Touch, append(append([]Column{}, Orders.Columns...),
	Column{"reference", "uuid", "md5(g::text)::uuid"},
	Column{"day", "date", "date '2024-01-01' + (g % 366)::int"},
	Column{"weight", "double precision", "(g % 4096) / 64.0"},
	Column{"city", "text", "'city ' || g % 977"},
)}

// Numbers has five columns and no text, so that there can be very many rows of
// it.
var Numbers = Table{"numbers", "amount = amount + 1, customer = customer + 1", []Column{
	Orders.Columns[0], Orders.Columns[1], Orders.Columns[3], Orders.Columns[4], Orders.Columns[5],
}}

// Create returns the statement that makes the table.
func (t *Table) Create() string {
	return strings.Replace(t.create(), t.Columns[0].Type, t.Columns[0].Type+" PRIMARY KEY", 1)
}

// create is Create without the key.
func (t *Table) create() string {
	var columns []string
	for _, c := range t.Columns {
		columns = append(columns, c.Name+" "+c.Type)
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
	return s.Exec(ctx, database, t.create(), "SET synchronous_commit = off; "+t.Insert(1, n),
		"ALTER TABLE "+t.Name+" ADD PRIMARY KEY ("+t.Columns[0].Name+")", "VACUUM (FREEZE, ANALYZE) "+t.Name)
}

// dialect is how an engine writes what the other writes differently.
type dialect struct {
	text  func(c Column) string    // the value as text, the same in all
	whole func(c Column) string    // a value that is no text as a whole number, which tells different ones apart
	hash  func(text string) string // the first 32 bits of its MD5, as a bigint
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
	whole: func(c Column) string {
		switch c.Type {
		case "numeric(12,2)":
			return "(" + c.Name + " * 100)::bigint"
		case "timestamp":
			return "extract(epoch FROM " + c.Name + ")::bigint"
		case "boolean":
			return c.Name + "::int"
		}
		return c.Name
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
	whole: func(c Column) string {
		switch c.Type {
		case "numeric(12,2)":
			return "cast(" + c.Name + " * 100 AS bigint)"
		case "timestamp":
			return "cast(epoch(" + c.Name + ") AS bigint)"
		case "boolean":
			return "cast(" + c.Name + " AS integer)"
		}
		return c.Name
	},
	hash: func(text string) string { return "cast('0x' || substr(md5(" + text + "), 1, 8) AS bigint)" },
}

// digest returns a query for the number of rows and a sum over a hash of each
// whole row, so that it does not depend on their order. Of rows without text it
// is a product with the key, since there may be very many of them.
func (t *Table) digest(d dialect) string {
	var parts, numbers []string
	for i, c := range t.Columns {
		parts = append(parts, "coalesce("+d.text(c)+", '~')")
		if c.Type != "text" && c.Type != "uuid" && i > 0 {
			numbers = append(numbers, fmt.Sprintf("%d * (coalesce(%s, -1) %% 1000003)", 2*i+1, d.whole(c)))
		}
	}
	hash := d.hash(strings.Join(parts, " || ',' || "))
	if len(numbers) == len(t.Columns)-1 {
		hash = "(" + t.Columns[0].Name + " % 65537 + 1) * (" + strings.Join(numbers, " + ") + ")"
	}
	return "SELECT count(*), cast(sum(" + hash + ") AS varchar) FROM public." + t.Name // it may be beyond a bigint
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

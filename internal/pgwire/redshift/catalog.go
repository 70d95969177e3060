package redshift

import (
	"strings"

	"penstock"
)

// pg_database is filled from the warehouse, whose engine knows one database
// only from inside of it. It has the columns that clients ask for.
const pgDatabase = "pg_database"

// pgDatabaseView has no fill of its own: see FillDatabases.
var pgDatabaseView = &systemView{columns: []penstock.ResultColumn{
	column("oid", penstock.TypeInt64), text("datname"), column("datdba", penstock.TypeInt64),
	column("encoding", penstock.TypeInt32), text("datcollate"), text("datctype"),
	column("datistemplate", penstock.TypeBool), column("datallowconn", penstock.TypeBool),
	column("datconnlimit", penstock.TypeInt32), column("dattablespace", penstock.TypeInt64), text("datacl"),
}}

// NeedsDatabases reports whether a view that Rewrite named is filled by
// FillDatabases, and not by Fill.
func NeedsDatabases(view string) bool { return view == pgDatabase }

// FillDatabases returns the columns and rows of pg_database.
func FillDatabases(names []string) ([]penstock.ResultColumn, *penstock.Rows) {
	w := newRowWriter(pgDatabaseView.columns)
	for i, name := range names {
		const firstOID, owner, utf8 = 16384, 10, 6
		w.int64(int64(firstOID + i)).text(name).int64(owner).int32(utf8).text("C").text("C")
		w.bool(false).bool(true).int32(-1).int64(0).null()
	}
	return pgDatabaseView.columns, w.rows
}

// ColumnName returns the name that a result column has in Redshift, given the
// engine's name for it: a function's result is named like the function.
func ColumnName(st Statement, name string) string {
	open := strings.IndexByte(name, '(')
	if open <= 0 || !strings.HasSuffix(name, ")") {
		return name
	}
	for i := range open {
		if !isWordPart(name[i]) {
			return name
		}
	}
	// A name that the statement itself spells out stays what it is.
	for i := range st.Tokens {
		if st.Kind(i) == Quoted && st.Name(i) == name {
			return name
		}
	}
	switch function := strings.ToLower(name[:open]); function {
	case "count_star":
		return "count"
	case "cast", "try_cast":
		return name
	default:
		return function
	}
}

package redshift

import "penstock"

// ChangeTable is a statement that changes a table, and that means a table in
// history mode, or one that was, if it is one of a destination database.
type ChangeTable struct {
	Database string // "" is the one that the session is connected to
	Table    penstock.TableName
	Change   TableChange
	To       string // the new name, of RenameTable
	IfExists bool   // of DropTable
}

// TableChange says what a ChangeTable does.
type TableChange uint8

// The changes.
const (
	TruncateTable TableChange = iota + 1 // ends the active rows
	DropTable
	RenameTable
	DeleteRows // which the engine does, see penstock.Session
)

// tableChange reads TRUNCATE, DROP TABLE and ALTER TABLE … RENAME TO, of one
// table, and the beginning of DELETE. ok is false if the statement is another one.
func tableChange(st Statement) (c ChangeTable, ok bool) {
	r := reader{st: st}
	switch {
	case r.word("TRUNCATE"):
		r.word("TABLE")
		c.Change = TruncateTable
	case r.words("DROP", "TABLE"):
		c.Change, c.IfExists = DropTable, r.words("IF", "EXISTS")
	case r.words("ALTER", "TABLE"):
		c.Change = RenameTable
	case r.words("DELETE", "FROM"):
		c.Change = DeleteRows
	default:
		return c, false
	}
	var parts []string
	for {
		part, err := r.name()
		if err != nil || len(parts) == 3 {
			return c, false
		}
		parts = append(parts, part)
		if r.st.Kind(r.i) != Dot {
			break
		}
		r.i++
	}
	c.Table.Name = parts[len(parts)-1]
	if len(parts) > 1 {
		c.Table.Schema = parts[len(parts)-2]
	}
	if len(parts) > 2 {
		c.Database = parts[0]
	}
	switch c.Change {
	case RenameTable:
		var err error
		if !r.words("RENAME", "TO") {
			return c, false
		}
		if c.To, err = r.name(); err != nil {
			return c, false
		}
	case DropTable:
		if !r.word("CASCADE") {
			r.word("RESTRICT")
		}
	}
	return c, c.Change == DeleteRows || !r.more()
}

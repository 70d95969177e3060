package redshift

import (
	"fmt"
	"strings"

	"penstock"
)

// Explain says why a statement does not find a table that is replicated: it
// returns an error that names the table's state and the reason, or nil if no
// table that the statement names is known and cannot be read. database is the
// one that the session is connected to.
func Explain(st Statement, database string, views Views) error {
	if views == nil {
		return nil
	}
	paths := st.paths()
	for _, in := range views.Integrations() {
		for i := range in.Streams {
			s := &in.Streams[i]
			for j := range s.Tables {
				t := &s.Tables[j]
				if !t.Readable && mentioned(paths, s.Database.Name, database, t.Table) {
					return unreadable(t)
				}
			}
		}
	}
	return nil
}

// mentioned reports whether one of the names can mean the table.
func mentioned(paths []path, in, connected string, t penstock.Table) bool {
	for _, p := range paths {
		n := len(p.parts)
		// A column may follow the table: table.column, schema.table.column.
		for end := n; end > 0 && end > n-2; end-- {
			if !strings.EqualFold(p.parts[end-1], t.Name) {
				continue
			}
			switch rest := p.parts[:end-1]; len(rest) {
			case 0:
				if in == connected {
					return true
				}
			case 1:
				if in == connected && strings.EqualFold(rest[0], t.Schema) {
					return true
				}
			case 2:
				if strings.EqualFold(rest[0], in) && strings.EqualFold(rest[1], t.Schema) {
					return true
				}
			}
		}
	}
	return false
}

func unreadable(t *penstock.TableStatus) error {
	e := &penstock.SQLError{State: "55000"}
	e.Message = fmt.Sprintf("table %s is not available for querying right now: its state is %s", t.Table.String(), t.State)
	if t.Reason != "" {
		e.Message += ": " + t.Reason
	}
	switch t.State {
	case penstock.TableResyncInitiated, penstock.TableResyncRequired:
		e.Hint = "Its first load is not through yet; see svv_integration_table_state."
	case penstock.TableFailed:
		e.Hint = "See svv_integration_table_state; the table is loaded again once the cause is gone."
	}
	return e
}

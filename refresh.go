package penstock

import "fmt"

// Refresh says which tables of a destination database are to be loaded again:
// ALTER DATABASE … INTEGRATION REFRESH, as Amazon Redshift has it.
type Refresh struct {
	Scope RefreshScope
	// Schemas restricts a scope other than RefreshNamed; empty is all.
	Schemas []string
	// Tables are those of RefreshNamed.
	Tables []TableName
}

// RefreshScope says by what a Refresh selects tables.
type RefreshScope uint8

// The scopes.
const (
	RefreshNamed      RefreshScope = iota // those that it names
	RefreshAll                            // every table that the source still has
	RefreshInError                        // those that are not replicated as they should be
	RefreshRemediable                     // those whose content differs from the source's
)

// TableName is a table as a user names it. Without a schema it is the one table
// of that name.
type TableName struct{ Schema, Name string }

func (n TableName) String() string {
	if n.Schema == "" {
		return n.Name
	}
	return n.Schema + "." + n.Name
}

// Select returns the tables that r means, out of all of a destination
// database, but for those that are being loaded anyway or are gone from the
// source. KindNotFound if there is no table that r names, KindInvalid if a name
// without a schema is that of several. Which tables are remediable is not in
// their status: whoever compares them names them.
func (r Refresh) Select(all []TableStatus) ([]TableStatus, error) {
	var out []TableStatus
	if r.Scope == RefreshRemediable {
		return nil, &Error{Kind: KindInvalid, Message: "remediable tables have to be named"}
	}
	if r.Scope != RefreshNamed {
		for _, t := range all {
			if r.covers(t) && t.refreshable() {
				out = append(out, t)
			}
		}
		return out, nil
	}
	taken := map[TableID]bool{}
	for _, n := range r.Tables {
		t, err := n.Find(all)
		if err != nil {
			return nil, err
		}
		if t.refreshable() && !taken[t.Table.ID] {
			taken[t.Table.ID] = true
			out = append(out, t)
		}
	}
	return out, nil
}

// covers reports whether a table is in the scope and in the schemas of r.
func (r Refresh) covers(t TableStatus) bool {
	if r.Scope == RefreshInError && t.State != TableFailed && t.State != TableResyncRequired {
		return false
	}
	for _, s := range r.Schemas {
		if s == t.Table.Schema {
			return true
		}
	}
	return len(r.Schemas) == 0
}

// refreshable reports whether loading the table again would change anything.
func (t TableStatus) refreshable() bool {
	switch t.State {
	case TableResyncInitiated, TableDeleted, TableDroppedSource:
		return false
	}
	return true
}

// Find returns the table of that name. KindNotFound if there is none, KindInvalid
// if the name has no schema and is that of several.
func (n TableName) Find(all []TableStatus) (found TableStatus, err error) {
	matches := 0
	for _, t := range all {
		if t.Table.Name == n.Name && (n.Schema == "" || n.Schema == t.Table.Schema) && t.State != TableDeleted {
			found = t
			matches++
		}
	}
	switch {
	case matches == 0:
		return found, &Error{Kind: KindNotFound, Message: fmt.Sprintf("table %s is not replicated into this database", n)}
	case matches > 1:
		return found, &Error{Kind: KindInvalid, Message: fmt.Sprintf("there are several tables of the name %s", n), Mend: "write the schema before it"}
	}
	return found, nil
}

package redshift

import (
	"context"

	"penstock"
)

// Manager carries out what statements ask of the integrations into a warehouse.
// Its methods may be called from any goroutine.
type Manager interface {
	// Refresh has tables of a destination database loaded again, and returns
	// how many, once that is sure to happen. KindNotFound if no integration
	// replicates into the database, or a table is not there; KindInvalidState
	// while replication into it does not run.
	Refresh(ctx context.Context, database string, r penstock.Refresh) (tables int, err error)
}

// Order is what an ALTER DATABASE … INTEGRATION statement asks for.
type Order struct {
	Database string
	Refresh  penstock.Refresh
}

// integrationOrder reads ALTER DATABASE name INTEGRATION …, from Amazon
// Redshift's Database Developer Guide, "ALTER DATABASE". ok is false if the
// statement is another one.
func integrationOrder(st Statement) (o Order, ok bool, err error) {
	if st.Word(0) != "ALTER" || st.Word(1) != "DATABASE" || st.Word(3) != "INTEGRATION" {
		return o, false, nil
	}
	r := reader{st: st, i: 2}
	if o.Database, err = r.name(); err != nil {
		return o, true, err
	}
	r.i++ // INTEGRATION
	switch {
	case r.word("REFRESH"):
		o.Refresh, err = r.refresh()
	case r.word("SET"):
		err = notSupported("ALTER DATABASE … INTEGRATION SET")
	default:
		err = syntaxError(st, r.i)
	}
	if err == nil && r.i < len(st.Tokens) {
		err = syntaxError(st, r.i)
	}
	return o, true, err
}

// reader reads a statement token by token.
type reader struct {
	st Statement
	i  int
}

// word takes the next token if it is that keyword.
func (r *reader) word(w string) bool {
	if r.st.Word(r.i) != w {
		return false
	}
	r.i++
	return true
}

// name takes a name.
func (r *reader) name() (string, error) {
	n := r.st.Name(r.i)
	if n == "" {
		return "", syntaxError(r.st, r.i)
	}
	r.i++
	return n, nil
}

// refresh reads what follows REFRESH. Amazon's own pages write TABLE and
// TABLES, and names with and without schema.
func (r *reader) refresh() (f penstock.Refresh, err error) {
	switch {
	case r.word("ALL"):
		f.Scope = penstock.RefreshAll
	case r.word("INERROR"):
		f.Scope = penstock.RefreshInError
	case r.st.Word(r.i) == "REMEDIABLE":
		return f, notSupported("REFRESH REMEDIABLE TABLES")
	case r.word("TABLE"), r.word("TABLES"):
		err = r.list(func() error {
			t, err := r.table()
			f.Tables = append(f.Tables, t)
			return err
		})
		return f, err
	}
	if f.Scope == penstock.RefreshNamed || !r.word("TABLES") && !r.word("TABLE") {
		return f, syntaxError(r.st, r.i)
	}
	if !r.word("IN") {
		return f, nil
	}
	if !r.word("SCHEMA") {
		return f, syntaxError(r.st, r.i)
	}
	err = r.list(func() error {
		s, err := r.name()
		f.Schemas = append(f.Schemas, s)
		return err
	})
	return f, err
}

// list calls item for each of several things with commas between them.
func (r *reader) list(item func() error) error {
	for {
		if err := item(); err != nil {
			return err
		}
		if r.st.Kind(r.i) != Comma {
			return nil
		}
		r.i++
	}
}

func (r *reader) table() (t penstock.TableName, err error) {
	if t.Name, err = r.name(); err != nil || r.st.Kind(r.i) != Dot {
		return t, err
	}
	r.i++
	t.Schema = t.Name
	t.Name, err = r.name()
	return t, err
}

package redshift

import (
	"context"

	"penstock"
)

// Manager carries out what statements ask of the integrations into a warehouse.
// Its methods may be called from any goroutine.
type Manager interface {
	// CreateDatabase has a destination database made, and returns once it can
	// be connected to. KindIntegrationNotFound if there is no such integration
	// into this warehouse, KindNotFound if it does not replicate the source
	// database, KindInvalid if one has to be named, KindAlreadyExists if the
	// source database has a destination already, KindConflict if the name is
	// taken, KindInvalidState while the integration cannot have one.
	CreateDatabase(ctx context.Context, d penstock.NewDatabase) error
	// SetOptions changes the options of a destination database, which is
	// durable when it returns. KindNotFound if no integration replicates into it.
	SetOptions(ctx context.Context, database string, c penstock.OptionsChange) error
	// Refresh has tables of a destination database loaded again, and returns
	// how many, once that is sure to happen. KindNotFound if no integration
	// replicates into the database, or a table is not there; KindInvalidState
	// while replication into it does not run.
	Refresh(ctx context.Context, database string, r penstock.Refresh) (tables int, err error)
	// SetHistory turns history mode on or off for tables of a destination
	// database. It returns how many were switched, once that is done, and how
	// many could not be, since they are not Synced. KindNotFound if no
	// integration replicates into the database, or a table is not there;
	// KindInvalidState if a table that is named is not Synced, or while
	// replication does not run.
	SetHistory(ctx context.Context, database string, c penstock.HistoryChange) (tables, skipped int, err error)
	// ChangeTable changes a table of a destination database. KindNotFound if
	// there is no such table, or no integration replicates into the database;
	// KindInvalid if nobody may change the table that way, KindAlreadyExists if
	// its new name is taken, KindInvalidState while replication does not run.
	ChangeTable(ctx context.Context, c ChangeTable) error
	// DropDatabase removes a destination database, that of an integration or
	// one that an integration has left. KindNotFound if there is none.
	DropDatabase(ctx context.Context, database string) error
	// Await blocks until readers of a database see all that was committed at its
	// source before a position, as the source's users write it; "" is now. It
	// does not wait for a database that no integration replicates into.
	// KindInvalid if it is no position, KindInvalidState while replication into
	// the database does not run.
	Await(ctx context.Context, database, position string) error
}

// Order is what a statement about a destination database asks for: a
// CreateDatabase, SetOptions, RefreshTables, DropDatabase or ChangeTable.
type Order interface{ order() }

// CreateDatabase is CREATE DATABASE … FROM INTEGRATION.
type CreateDatabase struct {
	penstock.NewDatabase
	// Ignored are clauses of the statement that have no effect here.
	Ignored []string
}

// SetOptions is ALTER DATABASE … INTEGRATION SET.
type SetOptions struct {
	Database string
	Change   penstock.OptionsChange
	History  *penstock.HistoryChange // of tables that are there; nil for none
}

// RefreshTables is ALTER DATABASE … INTEGRATION REFRESH.
type RefreshTables struct {
	Database string
	Refresh  penstock.Refresh
}

// DropDatabase is DROP DATABASE.
type DropDatabase struct {
	Database string
	IfExists bool
	Force    bool // end the sessions that are connected to it
}

func (CreateDatabase) order() {}
func (SetOptions) order()     {}
func (RefreshTables) order()  {}
func (DropDatabase) order()   {}
func (ChangeTable) order()    {}

// databaseOrder reads CREATE, ALTER and DROP DATABASE, by Amazon Redshift's
// Database Developer Guide. ok is false if the statement is another one.
func databaseOrder(st Statement) (o Order, ok bool, err error) {
	if st.Word(1) != "DATABASE" {
		return nil, false, nil
	}
	r := reader{st: st, i: 2}
	switch st.Word(0) {
	case "CREATE":
		o, err = r.createDatabase()
	case "ALTER":
		o, err = r.alterDatabase()
	case "DROP":
		o, err = r.dropDatabase()
	default:
		return nil, false, nil
	}
	if err == nil && r.more() {
		err = syntaxError(st, r.i)
	}
	return o, true, err
}

// maxDatabaseName is how many bytes a database's name may have.
const maxDatabaseName = 127

func (r *reader) createDatabase() (Order, error) {
	var o CreateDatabase
	var err error
	if o.Name, err = r.name(); err != nil {
		return nil, err
	}
	if len(o.Name) > maxDatabaseName {
		return nil, &penstock.SQLError{State: "42622", Message: "the name of a database may have 127 bytes"}
	}
	if !r.words("FROM", "INTEGRATION") {
		if r.word("INTEGRATION") || r.st.Word(r.i) == "FROM" && r.st.Kind(r.i+1) != Word {
			return nil, syntaxError(r.st, r.i)
		}
		return nil, &penstock.SQLError{State: "0A000", Message: "CREATE DATABASE is supported with FROM INTEGRATION only",
			Hint: "The database dev is there to be written to; it may have schemas."}
	}
	id, err := r.literal()
	if err != nil {
		return nil, err
	}
	o.Integration = penstock.ParseIntegrationID(id)
	if r.word("DATABASE") {
		if o.SourceDatabase, err = r.nameOrLiteral(); err != nil {
			return nil, err
		}
	}
	set := r.word("SET")
	opts := optionReader{reader: r}
	for r.more() {
		known, err := opts.read(&o.Options)
		if err != nil {
			return nil, err
		}
		if known {
			set = false
			continue
		}
		if set {
			break // SET without an option
		}
		clause, err := r.databaseClause()
		if err != nil {
			return nil, err
		}
		o.Ignored = append(o.Ignored, clause)
	}
	if set {
		return nil, syntaxError(r.st, r.i)
	}
	return o, nil
}

// databaseClause reads one of the clauses that every CREATE DATABASE may have,
// and returns its name. They mean nothing for a database that is only read,
// but for the one that would change what comparisons find.
func (r *reader) databaseClause() (string, error) {
	r.word("WITH")
	switch {
	case r.word("OWNER"):
		r.equals()
		_, err := r.name()
		return "OWNER", err
	case r.words("CONNECTION", "LIMIT"):
		r.equals()
		if !r.word("UNLIMITED") {
			if _, err := r.number(); err != nil {
				return "", err
			}
		}
		return "CONNECTION LIMIT", nil
	case r.word("COLLATE"):
		r.equals()
		switch {
		case r.word("CASE_SENSITIVE"), r.word("CS"):
			return "COLLATE", nil
		case r.word("CASE_INSENSITIVE"), r.word("CI"):
			return "", notSupported("COLLATE CASE_INSENSITIVE")
		}
	case r.words("ISOLATION", "LEVEL"):
		if r.word("SNAPSHOT") || r.word("SERIALIZABLE") {
			return "ISOLATION LEVEL", nil
		}
	}
	return "", syntaxError(r.st, r.i)
}

func (r *reader) alterDatabase() (Order, error) {
	name, err := r.name()
	if err != nil {
		return nil, err
	}
	if !r.word("INTEGRATION") {
		switch w := r.st.Word(r.i); w {
		case "RENAME", "OWNER", "CONNECTION", "COLLATE", "ISOLATION":
			return nil, notSupported("ALTER DATABASE … " + w)
		}
		return nil, syntaxError(r.st, r.i)
	}
	switch {
	case r.word("REFRESH"):
		o := RefreshTables{Database: name}
		o.Refresh, err = r.refresh()
		return o, err
	case r.word("SET"):
		o := SetOptions{Database: name}
		opts := optionReader{reader: r, existing: true}
		for first := true; first || r.more(); first = false {
			switch known, err := opts.read(&o.Change); {
			case err != nil:
				return nil, err
			case !known:
				return nil, syntaxError(r.st, r.i)
			}
		}
		o.History = opts.history
		return o, nil
	}
	return nil, syntaxError(r.st, r.i)
}

func (r *reader) dropDatabase() (Order, error) {
	var o DropDatabase
	o.IfExists = r.words("IF", "EXISTS")
	var err error
	if o.Database, err = r.name(); err != nil {
		return nil, err
	}
	// FORCE is Redshift's; PostgreSQL writes WITH (FORCE).
	with := r.word("WITH")
	if r.st.Kind(r.i) == Open {
		r.i++
		o.Force = r.word("FORCE")
		if !o.Force || r.st.Kind(r.i) != Close {
			return nil, syntaxError(r.st, r.i)
		}
		r.i++
		return o, nil
	}
	if o.Force = r.word("FORCE"); with && !o.Force {
		return nil, syntaxError(r.st, r.i)
	}
	return o, nil
}

// refresh reads what follows REFRESH.
func (r *reader) refresh() (f penstock.Refresh, err error) {
	switch {
	case r.word("ALL"):
		f.Scope = penstock.RefreshAll
	case r.word("INERROR"):
		f.Scope = penstock.RefreshInError
	case r.word("REMEDIABLE"):
		f.Scope = penstock.RefreshRemediable
	default:
		f.Tables, err = r.namedTables()
		return f, err
	}
	f.Schemas, err = r.tablesInSchemas()
	return f, err
}

// namedTables reads TABLE a.b, c …. Amazon's own pages write TABLE and TABLES,
// and names with and without schema.
func (r *reader) namedTables() (all []penstock.TableName, err error) {
	if !r.word("TABLE") && !r.word("TABLES") {
		return nil, syntaxError(r.st, r.i)
	}
	err = r.list(func() error {
		t, err := r.table()
		all = append(all, t)
		return err
	})
	return all, err
}

// tablesInSchemas reads TABLES [IN SCHEMA a, b …].
func (r *reader) tablesInSchemas() (all []string, err error) {
	if !r.word("TABLES") && !r.word("TABLE") {
		return nil, syntaxError(r.st, r.i)
	}
	if !r.word("IN") {
		return nil, nil
	}
	if !r.word("SCHEMA") {
		return nil, syntaxError(r.st, r.i)
	}
	err = r.list(func() error {
		s, err := r.name()
		all = append(all, s)
		return err
	})
	return all, err
}

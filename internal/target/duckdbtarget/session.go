package duckdbtarget

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	duck "github.com/duckdb/duckdb-go-bindings"

	"penstock"
)

var _ penstock.Session = (*Session)(nil)

// Databases implements penstock.Warehouse. The built-in database comes first,
// one that could not be attached not at all.
func (w *Warehouse) Databases(ctx context.Context) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.running(ctx); err != nil {
		return nil, err
	}
	var names []string
	for _, db := range w.databases {
		if db.err == nil && db.name != BuiltIn {
			names = append(names, db.name)
		}
	}
	slices.Sort(names)
	if dev := w.databases[BuiltIn]; dev != nil && dev.err == nil {
		names = append([]string{BuiltIn}, names...)
	}
	return names, nil
}

// Connect implements penstock.Warehouse. Names without a schema are looked for
// in the schema public of the database.
func (w *Warehouse) Connect(ctx context.Context, database string) (penstock.Session, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	inst, err := w.running(ctx)
	if err != nil {
		return nil, err
	}
	db := w.databases[database]
	switch {
	case db == nil || errors.Is(db.err, errNeverCompleted):
		return nil, penstock.Errorf(penstock.KindNotFound, "connect: there is no database %q", database)
	case db.err != nil:
		return nil, penstock.Errorf(penstock.KindUnreachable, "connect to database %q: %w", database, db.err)
	}
	c, err := inst.connect()
	if err == nil {
		if err = c.exec(ctx, "USE "+ident(db.alias)+".public"); err != nil {
			err = c.exec(ctx, "USE "+ident(db.alias)) // a client may have dropped it
		}
		if err != nil {
			c.close()
		}
	}
	var aux *conn
	if err == nil {
		if aux, err = inst.connect(); err != nil {
			c.close()
		}
	}
	if err != nil {
		return nil, fault(err, db.path, "connect to database %q", database)
	}
	dev := w.databases[BuiltIn]
	return &Session{w: w, alias: db.alias, conn: c, aux: aux, police: inst.police, writable: dev != nil && dev.err == nil}, nil
}

// Session is one client's connection. A statement runs in a transaction that
// the engine confines: read-only for a query, and bound to the built-in
// database for anything else. A new statement ends the result of the last.
type Session struct {
	w        *Warehouse
	alias    string // of its database
	conn     *conn
	aux      *conn // for parsing and casting, outside the client's transaction
	police   *police
	writable bool // there is a built-in database to write to

	explicit bool    // a transaction begun by the client is open
	state    int64   // another one with each transaction, and with each change in it
	purging  bool    // holds Warehouse.purging
	result   *Result // being read

	mu     sync.Mutex
	cancel context.CancelFunc // of the running call
}

// do runs f, which calls the engine, so that Interrupt ends it.
func (s *Session) do(ctx context.Context, f func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	s.cancel = cancel
	s.mu.Unlock()
	release := s.conn.inst.crew.help(helpClient)
	err := s.conn.do(ctx, f)
	release()
	s.mu.Lock()
	s.cancel = nil
	s.mu.Unlock()
	return sqlError(err)
}

func (s *Session) run(ctx context.Context, statements ...string) error {
	return s.do(ctx, func() error {
		for _, sql := range statements {
			if err := s.conn.run(sql, nil, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// Interrupt implements penstock.Session.
func (s *Session) Interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
}

// bindToDev makes the transaction one that has modified the built-in database,
// by making what is there already. The engine lets no transaction modify two.
const bindToDev = "CREATE SCHEMA IF NOT EXISTS " + BuiltIn + ".main"

// begin begins a transaction that can do no harm to a destination database.
func (s *Session) begin(ctx context.Context, readOnly bool) error {
	s.state++
	if readOnly || !s.writable {
		return s.run(ctx, "BEGIN TRANSACTION READ ONLY")
	}
	if err := s.run(ctx, "BEGIN TRANSACTION"); err != nil {
		return err
	}
	if err := s.run(ctx, bindToDev); err != nil {
		s.conn.rollback()
		return err
	}
	return nil
}

// Exec implements penstock.Session. Modes of a transaction other than READ
// ONLY are accepted and have no effect: every one is a snapshot.
func (s *Session) Exec(ctx context.Context, sql string) error {
	if err := s.endResult(); err != nil {
		return err
	}
	words := leadingWords(strings.ReplaceAll(trimEnd(sql), ",", " "), 16)
	if len(words) == 0 {
		return &penstock.SQLError{State: "42601", Message: "the statement is empty"}
	}
	switch words[0] {
	case "begin", "start":
		if s.explicit {
			return &penstock.SQLError{State: "25001", Message: "there is already a transaction in progress"}
		}
		readOnly := strings.Contains(strings.Join(words, " "), "read only")
		if err := s.begin(ctx, readOnly); err != nil {
			return err
		}
		s.explicit = true
		return nil
	case "commit", "end", "rollback", "abort":
		if !s.explicit {
			return &penstock.SQLError{State: "25P01", Message: "there is no transaction in progress"}
		}
		if slices.Contains(words, "to") || slices.Contains(words, "prepared") {
			return &penstock.SQLError{State: "0A000", Message: "savepoints and prepared transactions are not available"}
		}
		s.explicit = false
		if words[0] == "rollback" || words[0] == "abort" {
			s.conn.rollback()
			return nil
		}
		if err := s.run(ctx, "COMMIT"); err != nil {
			s.conn.rollback()
			return err
		}
		return nil
	}
	return refusal("%s is not available here", strings.ToUpper(words[0]))
}

// within runs f in the client's transaction, or in one of its own.
func (s *Session) within(ctx context.Context, readOnly bool, f func() error) error {
	if s.explicit {
		return f()
	}
	if err := s.begin(ctx, readOnly); err != nil {
		return err
	}
	err := f()
	if err == nil {
		err = s.run(ctx, "COMMIT")
	}
	if err != nil {
		s.conn.rollback()
	}
	return err
}

// endResult ends the result that is being read, so that its transaction is
// over before the next begins.
func (s *Session) endResult() error {
	if r := s.result; r != nil {
		return r.Close()
	}
	return nil
}

// Materialize implements penstock.Session.
func (s *Session) Materialize(ctx context.Context, name string, columns []penstock.ResultColumn, rows *penstock.Rows) error {
	if err := s.endResult(); err != nil {
		return err
	}
	declared := make([]string, len(columns))
	for i, c := range columns {
		declared[i] = ident(c.Name) + " " + sqlType(c.Type)
	}
	s.state++
	return s.within(ctx, true, func() error {
		if err := s.run(ctx, "CREATE OR REPLACE TEMP TABLE "+ident(name)+" ("+strings.Join(declared, ", ")+")"); err != nil {
			return err
		}
		return s.do(ctx, func() error {
			return appendRows(s.conn, "temp", "main", name, columnsOf(rows, nil), rows.Len(), new(penstock.BadValues))
		})
	})
}

// Prepare implements penstock.Session.
func (s *Session) Prepare(ctx context.Context, sql string) (penstock.Statement, error) {
	if err := s.endResult(); err != nil {
		return nil, err
	}
	plain, ok := canonical(sql)
	if !ok {
		return nil, &penstock.SQLError{State: "42601", Message: "a quote or a comment in the statement does not end"}
	}
	v, err := s.police.examine(ctx, s.aux, plain)
	if err != nil {
		return nil, err
	}
	if plain, err = s.qualify(ctx, plain, v.schemas); err != nil {
		return nil, err
	}
	st := &Statement{session: s, verdict: v}
	if v.kind == penstock.StatementDelete {
		if plain, st.purge, err = s.purge(ctx, plain); err != nil {
			return nil, err
		}
	}
	if err := s.do(ctx, func() error { return st.compile(ctx, plain) }); err != nil {
		return nil, err
	}
	return st, nil
}

// qualify puts the session's database before the schemas that a database is
// named like, since the engine would not decide between the two.
func (s *Session) qualify(ctx context.Context, sql string, schemas []schemaName) (string, error) {
	if len(schemas) == 0 {
		return sql, nil
	}
	named := make(map[string]bool)
	s.w.mu.Lock()
	for _, db := range s.w.databases {
		named[fold(db.alias)] = true
	}
	s.w.mu.Unlock()
	last := len(sql)
	for _, n := range slices.SortedFunc(slices.Values(schemas), func(a, b schemaName) int { return b.at - a.at }) {
		if !named[n.name] || n.at >= last || !strings.HasPrefix(strings.TrimPrefix(fold(sql[n.at:]), `"`), strings.ReplaceAll(n.name, `"`, `""`)) {
			continue
		}
		own, err := s.aux.texts(ctx, "SELECT 'x' FROM duckdb_schemas() WHERE database_name = ? AND lower(schema_name) = lower(?)", s.alias, n.name)
		if err != nil {
			return "", sqlError(err)
		}
		if len(own) > 0 {
			sql = sql[:n.at] + ident(s.alias) + "." + sql[n.at:]
		}
		last = n.at
	}
	return sql, nil
}

// Close implements penstock.Session. A transaction that is open is undone.
func (s *Session) Close() error {
	s.conn.abort()
	s.aux.abort()
	s.purged()
	return nil
}

// appendRows appends n rows to a table; the caller holds c.
func appendRows(c *conn, catalog, schema, table string, columns []source, n int, bad *penstock.BadValues) error {
	var app duck.Appender
	defer duck.AppenderDestroy(&app)
	if duck.AppenderCreateExt(c.raw, catalog, schema, table, &app) != duck.StateSuccess {
		return appenderError(app)
	}
	if err := writeRows(app, columns, n, bad); err != nil {
		return err
	}
	if duck.AppenderClose(app) != duck.StateSuccess {
		return appenderError(app)
	}
	return nil
}

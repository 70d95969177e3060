package pgwire

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgproto3"

	"penstock"
	"penstock/internal/pgwire/redshift"
)

// statement is a prepared statement: one that the engine runs, or one that
// the endpoint answers itself.
type statement struct {
	source   redshift.Statement // without tokens if it is empty
	action   redshift.Action
	declared []uint32 // parameter types that the client declared; 0 for none

	params  []uint32
	columns []penstock.ResultColumn // nil if it returns no rows
	types   []wireType

	// engine is nil for statements answered here, and for those that mention
	// system views: these are prepared anew whenever they run, over fresh rows.
	engine penstock.Statement
	kind   penstock.StatementKind
	views  bool

	users int // the name that it has, and portals
}

// prepare makes a statement out of its source.
func (c *conn) prepare(ctx context.Context, source redshift.Statement, declared []uint32) (*statement, error) {
	st := &statement{source: source, declared: declared}
	if len(source.Tokens) == 0 {
		st.params = declared
		return st, nil
	}
	var err error
	if st.action, err = redshift.Classify(source); err != nil {
		return nil, err
	}
	if err := c.allowed(st.action); err != nil {
		return nil, err
	}
	if err := c.direct(ctx, source, &st.action); err != nil {
		return nil, err
	}
	if st.action.Command != redshift.Engine {
		st.columns, err = c.localColumns(st.action)
		st.describe()
		return st, err
	}
	engine, views, err := c.prepareEngine(ctx, source, declared)
	if err != nil {
		return nil, err
	}
	st.kind = engine.Kind()
	if columns := engine.Columns(); len(columns) > 0 {
		st.columns = columns
	}
	st.describe()
	st.params = parameterTypes(engine.Params(), declared)
	if st.views = len(views) > 0; st.views {
		return st, engine.Close()
	}
	st.engine = engine
	return st, nil
}

// describe works out how the columns are sent.
func (s *statement) describe() {
	for _, col := range s.columns {
		s.types = append(s.types, typeOf(col))
	}
}

func parameterTypes(inferred []penstock.Type, declared []uint32) []uint32 {
	params := make([]uint32, max(len(inferred), len(declared)))
	for i := range params {
		switch {
		case i < len(declared) && declared[i] != 0:
			params[i] = declared[i]
		case i < len(inferred):
			params[i] = parameterOID(inferred[i])
		default:
			params[i] = oidText
		}
	}
	return params
}

// prepareEngine fills the system views that a statement mentions and has the
// engine prepare it.
func (c *conn) prepareEngine(ctx context.Context, source redshift.Statement, declared []uint32) (penstock.Statement, []string, error) {
	c.settle(ctx)
	env := redshift.Environment{Database: c.database, User: c.user, Backend: c.process}
	rewritten := redshift.Rewrite(source, env)
	ctx = c.running.begin(ctx, c.session, c.settings.statementTimeout)
	engine, err := func() (penstock.Statement, error) {
		for _, name := range rewritten.Views {
			if err := c.fill(ctx, name); err != nil {
				return nil, err
			}
		}
		engine, err := c.session.Prepare(ctx, rewritten.SQL)
		if err != nil {
			return nil, err
		}
		if env.Casts = casts(engine.Params(), declared); env.Casts == nil {
			return engine, nil
		}
		if err := engine.Close(); err != nil {
			return nil, err
		}
		return c.session.Prepare(ctx, redshift.Rewrite(source, env).SQL)
	}()
	if err = c.running.end(err); err != nil {
		if engine != nil {
			_ = engine.Close()
		}
		return nil, nil, c.explain(source, err)
	}
	return engine, rewritten.Views, nil
}

// fill makes a system view of that name queryable in the session.
func (c *conn) fill(ctx context.Context, view string) error {
	if !redshift.NeedsDatabases(view) {
		columns, rows, err := redshift.Fill(ctx, view, c.server.cfg.Views, c.superuser)
		if err != nil {
			return err
		}
		return c.session.Materialize(ctx, view, columns, rows)
	}
	names, err := c.server.cfg.Warehouse.Databases(ctx)
	if err != nil {
		return err
	}
	columns, rows := redshift.FillDatabases(names)
	return c.session.Materialize(ctx, view, columns, rows)
}

// casts returns the types to cast parameters to: those that the client
// declared and the engine could not infer. nil if there are none.
func casts(inferred []penstock.Type, declared []uint32) []string {
	var out []string
	for i, t := range inferred {
		if t.Kind == 0 && i < len(declared) && engineTypes[declared[i]] != "" {
			if out == nil {
				out = make([]string, len(inferred))
			}
			out[i] = engineTypes[declared[i]]
		}
	}
	return out
}

// explain replaces the engine's word that a table does not exist, if the
// table is one that is replicated and cannot be read at the moment.
func (c *conn) explain(source redshift.Statement, err error) error {
	var e *penstock.SQLError
	if errors.As(err, &e) && (e.State == "42P01" || e.State == "3F000") {
		if better := redshift.Explain(source, c.database, c.server.cfg.Views); better != nil {
			return better
		}
	}
	return err
}

// release ends one use of the statement, and with the last one the statement.
func (s *statement) release(c *conn) {
	if s.users--; s.users <= 0 {
		s.close(c)
	}
}

// close releases what the engine holds for the statement. It may be repeated.
func (s *statement) close(c *conn) {
	if s.engine != nil {
		if err := s.engine.Close(); err != nil {
			c.log.Warn("closing a statement failed", "error", err)
		}
		s.engine = nil
	}
}

func rowDescription(st *statement, formats []int16) *pgproto3.RowDescription {
	fields := make([]pgproto3.FieldDescription, len(st.columns))
	for i, t := range st.types {
		name := redshift.ColumnName(st.source, st.columns[i].Name)
		fields[i] = pgproto3.FieldDescription{
			Name: []byte(text(name)), DataTypeOID: t.oid, DataTypeSize: t.size,
			TypeModifier: t.typmod, Format: formats[i],
		}
	}
	return &pgproto3.RowDescription{Fields: fields}
}

package duckdbtarget

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	duck "github.com/duckdb/duckdb-go-bindings"

	"penstock"
)

var _ penstock.Statement = (*Statement)(nil)

// Statement is a compiled statement of a Session.
type Statement struct {
	session *Session
	verdict verdict

	raw     duck.PreparedStatement
	handle  *handle
	text    string // what the engine has prepared
	planned int64  // in which state of the session, see Session.state
	params  []param
	columns []penstock.ResultColumn
	results []resultType
	rows    bool // it returns rows, not a count
	purge   bool // it deletes what is past; see purge.go
}

// paramTypes are tried, in this order, for parameters whose type the engine
// cannot tell.
var paramTypes = []string{"VARCHAR", "BIGINT", "DOUBLE", "TIMESTAMP"}

// compile prepares the statement; the caller holds the connection.
func (st *Statement) compile(ctx context.Context, sql string) error {
	unknown, err := st.compileAs(sql)
	if err != nil || len(unknown) == 0 {
		return err
	}
	for _, t := range paramTypes {
		typed := castParams(sql, unknown, t)
		if _, err := st.session.police.examine(ctx, st.session.aux, typed); err != nil {
			return err
		}
		if rest, err := st.compileAs(typed); err == nil && len(rest) == 0 {
			return nil
		}
		st.destroy()
	}
	return &penstock.SQLError{State: "42P18", Message: fmt.Sprintf("could not determine the data type of parameter $%d", slices.Min(slices.Collect(maps.Keys(unknown)))),
		Hint: "write it with a cast"}
}

// compileAs prepares sql. It stops half-way where the engine cannot tell the
// types of parameters, and returns their numbers.
func (st *Statement) compileAs(sql string) (unknown map[int]bool, err error) {
	if err := st.prepare(sql); err != nil {
		return nil, err
	}
	err = st.check()
	if err == nil {
		err = st.describeParams()
	}
	if err != nil {
		st.destroy()
		return nil, err
	}
	if unknown = st.unknownParams(); len(unknown) > 0 {
		st.destroy()
		return unknown, nil
	}
	st.rows = st.rows || st.verdict.query || hasReturning(sql)
	if !st.rows || !st.describe() {
		return nil, nil
	}
	st.destroy()
	if st.verdict.kind != penstock.StatementSelect {
		return nil, &penstock.SQLError{State: "0A000", Message: "a result of this type is not available here", Hint: "cast it to VARCHAR"}
	}
	// The types that nobody outside knows become text inside the engine.
	expressions := make([]string, len(st.results))
	for i, r := range st.results {
		expressions[i] = fmt.Sprintf("#%d", i+1)
		if r.cast != "" {
			expressions[i] = fmt.Sprintf("CAST(#%d AS %s)", i+1, r.cast)
		}
	}
	return nil, st.prepare("SELECT " + strings.Join(expressions, ", ") + " FROM (\n" + sql + "\n)")
}

func (st *Statement) prepare(sql string) error {
	c := st.session.conn
	var raw duck.PreparedStatement
	if duck.Prepare(c.raw, sql, &raw) != duck.StateSuccess {
		err := newEngineError(duck.PrepareError(raw))
		duck.DestroyPrepare(&raw)
		return err
	}
	st.destroy()
	st.raw, st.text, st.planned = raw, sql, st.session.state
	st.handle = c.add(func() { duck.DestroyPrepare(&st.raw) })
	return nil
}

// plan has the engine plan the statement anew, unless the plan was made of what
// the statement is to read. The engine takes much for granted that was true when it
// made a plan: of statistics that leave no row for a condition it makes an empty
// result, and of those that tell count, min or max, a constant. The caller holds the
// connection.
func (st *Statement) plan() error {
	if st.planned == st.session.state {
		return nil
	}
	return st.prepare(st.text)
}

func (st *Statement) destroy() {
	if st.handle != nil {
		st.session.conn.drop(st.handle)
		st.handle = nil
	}
}

// check compares what the engine takes the statement for with what the police
// took it for.
func (st *Statement) check() error {
	is := duck.PreparedStatementType(st.raw)
	allowed := false
	switch st.verdict.kind {
	case penstock.StatementSelect:
		allowed = is == duck.StatementTypeSelect
	case penstock.StatementInsert:
		allowed = is == duck.StatementTypeInsert
	case penstock.StatementUpdate:
		allowed = is == duck.StatementTypeUpdate
	case penstock.StatementDelete:
		allowed = is == duck.StatementTypeDelete
	case penstock.StatementDDL:
		allowed = is == duck.StatementTypeCreate || is == duck.StatementTypeDrop || is == duck.StatementTypeAlter
	case penstock.StatementOther: // EXPLAIN, or a statement that begins with WITH
		kinds := map[duck.StatementType]penstock.StatementKind{
			duck.StatementTypeExplain: penstock.StatementOther, duck.StatementTypeInsert: penstock.StatementInsert,
			duck.StatementTypeUpdate: penstock.StatementUpdate, duck.StatementTypeDelete: penstock.StatementDelete,
		}
		st.verdict.kind, allowed = kinds[is]
		if is == duck.StatementTypeExplain {
			st.rows = true
		}
	}
	if !allowed {
		return refusal("this statement is not available here")
	}
	return nil
}

// describe fills in the columns and reports whether any must be cast.
func (st *Statement) describe() (cast bool) {
	n := duck.PreparedStatementColumnCount(st.raw)
	st.columns, st.results = make([]penstock.ResultColumn, n), make([]resultType, n)
	for i := range n {
		t := duck.PreparedStatementColumnLogicalType(st.raw, i)
		r := resultTypeOf(duck.PreparedStatementColumnName(st.raw, i), t)
		duck.DestroyLogicalType(&t)
		st.results[i], st.columns[i] = r, r.column
		cast = cast || r.cast != ""
	}
	return cast
}

// Kind implements penstock.Statement.
func (st *Statement) Kind() penstock.StatementKind { return st.verdict.kind }

// Columns implements penstock.Statement.
func (st *Statement) Columns() []penstock.ResultColumn { return st.columns }

// Query implements penstock.Statement.
func (st *Statement) Query(ctx context.Context, args []*string) (penstock.Result, error) {
	s := st.session
	if err := s.endResult(); err != nil {
		return nil, err
	}
	if len(args) != len(st.params) {
		return nil, &penstock.SQLError{State: "08P01", Message: fmt.Sprintf("the statement has %d parameters, but %d were given", len(st.params), len(args))}
	}
	values, err := st.values(ctx, args)
	if err != nil {
		return nil, err
	}
	defer destroyValues(values)

	r := &Result{statement: st, own: !s.explicit}
	switch {
	case r.own && st.purge:
		if err := s.purges(); err != nil {
			return nil, err
		}
		s.state++
		if err := s.run(ctx, "BEGIN TRANSACTION"); err != nil {
			s.purged()
			return nil, err
		}
	case r.own:
		if err := s.begin(ctx, st.verdict.query); err != nil {
			return nil, err
		}
	case st.purge:
		return nil, &penstock.SQLError{State: "25001", Message: "DELETE of what is past in a table in history mode cannot run inside a transaction block"}
	}
	if err := s.do(ctx, func() error { return st.execute(r, values) }); err != nil {
		if r.own {
			s.conn.rollback()
			s.purged()
		}
		return nil, err
	}
	s.result = r
	return r, nil
}

// execute runs the statement; the caller holds the connection.
func (st *Statement) execute(r *Result, values []duck.Value) error {
	if st.handle == nil {
		return &penstock.SQLError{State: "26000", Message: "the statement is closed"}
	}
	if err := st.plan(); err != nil {
		return err
	}
	if !st.verdict.query {
		st.session.state++ // others in this transaction read what it changes
	}
	for i, v := range values {
		if duck.BindValue(st.raw, duck.IdxT(i+1), v) != duck.StateSuccess {
			return newEngineError(duck.PrepareError(st.raw))
		}
	}
	run := duck.ExecutePrepared
	if st.rows && st.verdict.query {
		run = duck.ExecutePreparedStreaming
	}
	if run(st.raw, &r.raw) != duck.StateSuccess {
		err := newEngineError(duck.ResultError(&r.raw))
		duck.DestroyResult(&r.raw)
		return err
	}
	if !st.rows {
		r.affected, r.done = int64(duck.RowsChanged(&r.raw)), true
		duck.DestroyResult(&r.raw)
		return nil
	}
	if err := st.sameColumns(&r.raw); err != nil {
		duck.DestroyResult(&r.raw)
		return err
	}
	r.handle = st.session.conn.add(func() { duck.DestroyResult(&r.raw) })
	return nil
}

// sameColumns makes sure that the result is of the types that the statement
// was described with: a table may have changed since.
func (st *Statement) sameColumns(res *duck.Result) error {
	same := int(duck.ColumnCount(res)) == len(st.results)
	for i := 0; same && i < len(st.results); i++ {
		t := duck.ColumnLogicalType(res, duck.IdxT(i))
		now := resultTypeOf("", t)
		duck.DestroyLogicalType(&t)
		was := st.results[i]
		same = now.engine == was.engine && now.width == was.width && now.cast == "" && now.column.Type.Scale == was.column.Type.Scale
	}
	if !same {
		return &penstock.SQLError{State: "0A000", Message: "cached plan must not change result type", Hint: "prepare the statement again"}
	}
	return nil
}

// Close implements penstock.Statement.
func (st *Statement) Close() error {
	if r := st.session.result; r != nil && r.statement == st {
		r.Close()
	}
	st.session.conn.mu.Lock()
	defer st.session.conn.mu.Unlock()
	st.destroy()
	return nil
}

// hasReturning reports whether a statement has a RETURNING clause.
func hasReturning(sql string) bool {
	depth := 0
	for i := 0; i < len(sql); {
		t := next(sql, i)
		switch s := sql[t.start:t.end]; {
		case s == "(":
			depth++
		case s == ")":
			depth--
		case depth == 0 && t.kind == tokenWord && fold(s) == "returning":
			return true
		}
		i = t.end
	}
	return false
}

package pgwire

import (
	"context"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"

	"penstock"
	"penstock/internal/pgwire/redshift"
)

var errNotUTF8 = &penstock.SQLError{State: "22021", Message: `invalid byte sequence for encoding "UTF8"`}

// simpleQuery answers a Query message: any number of statements, which are
// one transaction as far as they do not say otherwise.
func (c *conn) simpleQuery(ctx context.Context, sql string) {
	c.dropPortal("")
	c.dropStatement("")
	if err := c.runAll(ctx, sql); err != nil {
		c.fail(ctx, err)
	}
	if !c.tx.open {
		c.closePortals()
	}
	c.ready()
	c.out.flush()
}

func (c *conn) runAll(ctx context.Context, sql string) error {
	if !utf8.ValidString(sql) {
		return errNotUTF8
	}
	statements := redshift.Split(sql)
	if len(statements) == 0 {
		c.out.send(&pgproto3.EmptyQueryResponse{})
		return nil
	}
	for _, st := range statements {
		if err := c.runSimple(ctx, st, len(statements) > 1); err != nil {
			return err
		}
	}
	if c.tx.implicit {
		return c.commitOpen(ctx)
	}
	return nil
}

// runSimple runs one statement of a query string to its end.
func (c *conn) runSimple(ctx context.Context, source redshift.Statement, several bool) error {
	action, err := redshift.Classify(source)
	if err != nil {
		return err
	}
	if err := c.allowed(action); err != nil {
		return err
	}
	// A query by itself is planned in the transaction that it reads in, so that it
	// need not be planned anew for that.
	if query := source.Tag() == "SELECT"; action.Command == redshift.Engine && (several || query) {
		if err := c.beginImplicit(ctx, query && !several); err != nil {
			return err
		}
	}
	st, err := c.prepare(ctx, source, nil)
	if err != nil {
		return err
	}
	defer st.close(c)
	if len(st.params) > 0 {
		return &penstock.SQLError{State: "42P02", Message: "there is no parameter $1"}
	}
	p := &portal{st: st, formats: make([]int16, len(st.columns))}
	defer p.close(c)
	if st.columns != nil {
		c.out.send(rowDescription(st, p.formats))
	}
	_, err = c.run(ctx, p, 0)
	return err
}

package pgwire

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5/pgproto3"

	"penstock"
	"penstock/internal/pgwire/redshift"
)

// portal is a statement with its parameters, ready to run, or suspended by a
// row limit, or done.
type portal struct {
	st      *statement
	args    []*string
	formats []int16 // per column

	started, done bool
	encoder       rowEncoder
	count         int64 // rows sent since it started

	// Of a statement that the engine runs:
	engine penstock.Statement // made for this portal alone, else nil
	result penstock.Result
	rows   *penstock.Rows // fetched last
	at     int            // rows of it taken

	// Rows not sent yet that are held here: all of what the endpoint answers
	// itself; of the engine's result what was left when its session was
	// needed for something else.
	spool []byte
	lost  error // why there is no rest
}

// run sends rows of a portal, at most limit unless that is 0, and reports
// whether the portal is done; then it has also sent the command's end.
func (c *conn) run(ctx context.Context, p *portal, limit int) (done bool, err error) {
	if len(p.st.source.Tokens) == 0 {
		c.out.send(&pgproto3.EmptyQueryResponse{})
		return true, nil
	}
	if p.done {
		if p.st.columns == nil {
			return false, &penstock.SQLError{State: "55000", Message: "portal cannot be run anymore"}
		}
		c.complete(p, 0) // a portal read to its end has no more rows
		return true, nil
	}
	if !p.started {
		p.started = true
		p.encoder = rowEncoder{types: p.st.types, formats: p.formats, style: c.settings.style()}
		if p.st.action.Command != redshift.Engine {
			return c.runLocal(ctx, p, limit)
		}
		if err := c.start(ctx, p); err != nil {
			return false, err
		}
	}
	sent, done, err := c.forward(ctx, p, limit)
	if err != nil {
		p.close(c)
		return false, err
	}
	if !done {
		c.out.send(&pgproto3.PortalSuspended{})
		return false, nil
	}
	affected := int64(0)
	if p.result != nil {
		affected = p.result.Affected()
	}
	if p.st.columns != nil {
		affected = sent
	}
	p.close(c)
	c.complete(p, affected)
	return true, nil
}

// runLocal runs what the endpoint answers itself.
func (c *conn) runLocal(ctx context.Context, p *portal, limit int) (done bool, err error) {
	tag, rows, err := c.local(ctx, p.st.action)
	if err != nil {
		return false, err
	}
	if rows == nil {
		p.done = true
		c.out.send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
		return true, nil
	}
	for i := range rows.Len() {
		if p.spool, err = p.encoder.row(p.spool, rows, i); err != nil {
			return false, err
		}
	}
	if _, done := c.unspool(p, limit); !done {
		c.out.send(&pgproto3.PortalSuspended{})
		return false, nil
	}
	p.close(c)
	c.out.send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
	return true, nil
}

// start has the engine begin to run a portal's statement.
func (c *conn) start(ctx context.Context, p *portal) error {
	kind := p.st.kind
	if c.tx.readOnly && kind != penstock.StatementSelect && kind != penstock.StatementOther {
		return &penstock.SQLError{State: "25006", Message: "cannot execute " + p.st.source.Tag() + " in a read-only transaction"}
	}
	if err := c.freshen(ctx); err != nil {
		return err
	}
	engine := p.st.engine
	if p.st.views {
		var err error
		if engine, _, err = c.prepareEngine(ctx, p.st.source, p.st.declared); err != nil {
			return err
		}
		p.engine = engine
	}
	c.settle(ctx)
	ctx = c.running.begin(ctx, c.session, c.settings.statementTimeout)
	result, err := engine.Query(ctx, p.args[:min(len(p.args), len(engine.Params()))])
	if err = c.running.end(err); err != nil {
		if result != nil {
			_ = result.Close()
		}
		p.close(c)
		return c.explain(p.st.source, err)
	}
	p.result = result
	return nil
}

// forward sends rows until the limit or the end.
func (c *conn) forward(ctx context.Context, p *portal, limit int) (sent int64, done bool, err error) {
	sent, done = c.unspool(p, limit)
	if !done || p.result == nil {
		if done {
			err = p.lost
		}
		return sent, done, err
	}
	ctx = c.running.begin(ctx, c.session, c.settings.statementTimeout)
	done, err = c.pull(ctx, p, limit, &sent)
	return sent, done, c.running.end(err)
}

// pull sends the engine's rows until the limit or the end.
func (c *conn) pull(ctx context.Context, p *portal, limit int, sent *int64) (done bool, err error) {
	for {
		for p.rows != nil && p.at < p.rows.Len() && (limit == 0 || *sent < int64(limit)) {
			if c.out.buf, err = p.encoder.row(c.out.buf, p.rows, p.at); err != nil {
				return false, err
			}
			p.at++
			*sent++
			c.out.raw(nil)
		}
		if c.out.err != nil {
			return false, causeGone
		}
		if limit > 0 && *sent == int64(limit) {
			return false, nil // without a look at whether more follows, like PostgreSQL
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if done, err := p.fetch(ctx); done || err != nil {
			return done, err
		}
	}
}

// fetch gets the next rows of the result.
func (p *portal) fetch(ctx context.Context) (done bool, err error) {
	p.rows, p.at = nil, 0
	rows, err := p.result.Next(ctx)
	if err != nil || rows == nil {
		return err == nil, err
	}
	if p.st.columns == nil {
		return false, nil // a count that the engine returns as a row
	}
	if len(rows.Vectors) != len(p.st.columns) {
		return false, errPlanChanged
	}
	for i := range rows.Vectors {
		if rows.Vectors[i].Type() != p.st.columns[i].Type {
			return false, errPlanChanged
		}
	}
	p.rows = rows
	return false, nil
}

// errPlanChanged is what clients that keep prepared statements know how to
// mend: they prepare the statement anew.
var errPlanChanged = &penstock.SQLError{State: "0A000", Message: "cached plan must not change result type"}

// unspool sends rows held in memory, and reports whether it could have sent
// more than there were.
func (c *conn) unspool(p *portal, limit int) (sent int64, done bool) {
	for len(p.spool) > 0 && (limit == 0 || sent < int64(limit)) {
		n := 1 + int(binary.BigEndian.Uint32(p.spool[1:]))
		c.out.raw(p.spool[:n])
		p.spool = p.spool[n:]
		sent++
	}
	return sent, limit == 0 || sent < int64(limit)
}

// settle frees the session for something else: what is left of a suspended
// portal's result is read into memory.
func (c *conn) settle(ctx context.Context) {
	for _, p := range c.portals {
		if p.result == nil {
			continue
		}
		ctx := c.running.begin(ctx, c.session, c.settings.statementTimeout)
		err := p.keep(ctx, c.server.cfg.PortalMemory)
		p.lost = c.running.end(err)
		p.closeResult(c)
	}
}

// keep reads the rest of the result into the spool.
func (p *portal) keep(ctx context.Context, limit int) (err error) {
	for {
		for p.rows != nil && p.at < p.rows.Len() {
			if p.spool, err = p.encoder.row(p.spool, p.rows, p.at); err != nil {
				return err
			}
			p.at++
			if len(p.spool) > limit {
				return &penstock.SQLError{State: "54000", Message: fmt.Sprintf(
					"the rest of a suspended portal exceeds %d MiB and cannot be kept while its session runs something else", limit>>20)}
			}
		}
		if done, err := p.fetch(ctx); done || err != nil {
			return err
		}
	}
}

// close releases what the portal holds. It may be repeated.
func (p *portal) close(c *conn) {
	p.done = true
	p.spool, p.rows = nil, nil
	p.closeResult(c)
}

func (p *portal) closeResult(c *conn) {
	if p.result != nil {
		if err := p.result.Close(); err != nil {
			c.log.Debug("closing a result failed", "error", err)
		}
		p.result = nil
	}
	if p.engine != nil {
		if err := p.engine.Close(); err != nil {
			c.log.Debug("closing a statement failed", "error", err)
		}
		p.engine = nil
	}
	p.rows = nil
}

// complete tells the client that a statement of the engine is done.
func (c *conn) complete(p *portal, n int64) {
	tag := p.st.source.Tag()
	switch kind := p.st.kind; {
	case kind == penstock.StatementInsert:
		tag = fmt.Sprintf("INSERT 0 %d", n)
	case kind == penstock.StatementSelect, kind == penstock.StatementUpdate,
		kind == penstock.StatementDelete && p.st.source.Word(0) != "TRUNCATE":
		tag = fmt.Sprintf("%s %d", kind, n)
	}
	c.out.send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
}

func (c *conn) dropPortal(name string) {
	if p := c.portals[name]; p != nil {
		p.close(c)
		p.st.release(c)
		delete(c.portals, name)
	}
}

func (c *conn) closePortals() {
	for name := range c.portals {
		c.dropPortal(name)
	}
}

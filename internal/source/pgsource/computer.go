package pgsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"penstock"
)

// errExpression: the server does not compute an expression for us, whatever
// the row.
var errExpression = errors.New("an expression cannot be computed")

// computer is the connection on which rows are computed.
type computer struct {
	mu     sync.Mutex
	conn   *pgx.Conn
	closed bool
}

// compute returns, for each of the rows with something to compute, the values
// of all computed columns. A value that the server cannot compute from its row
// is of kind 0.
func (p *computer) compute(ctx context.Context, c *capture, w *computing) ([][]rawValue, error) {
	if len(w.json) == 0 {
		return nil, nil
	}
	var rows []span
	at := 0
	for i := range w.rows {
		if end := w.rows[i].end; end > at {
			rows = append(rows, span{at, end - 1})
			at = end
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.open(ctx, c); err != nil {
		return nil, err
	}
	return p.run(ctx, c, w, rows)
}

type span struct{ from, to int }

// run computes rows, and where that fails each half of them.
func (p *computer) run(ctx context.Context, c *capture, w *computing, rows []span) ([][]rawValue, error) {
	argument := make([]byte, 0, rows[len(rows)-1].to-rows[0].from+2)
	argument = append(argument, '[')
	argument = append(argument, w.json[rows[0].from:rows[len(rows)-1].to]...)
	argument = append(argument, ']')
	out, err := p.query(ctx, w.sql, argument, len(w.columns))
	state := sqlState(err)
	switch {
	case err == nil && len(out) == len(rows):
		return out, nil
	case err == nil:
		return nil, penstock.Errorf(penstock.KindInternal, "%d computed rows instead of %d", len(out), len(rows))
	case state == "" || strings.HasPrefix(state, "57P"):
		return nil, classify(err, "compute generated columns on "+c.where())
	case strings.HasPrefix(state, "42"), strings.HasPrefix(state, "3F"), strings.HasPrefix(state, "0A"):
		return nil, fmt.Errorf("%w: %w", errExpression, err)
	case len(rows) == 1:
		return [][]rawValue{make([]rawValue, len(w.columns))}, nil
	}
	half := len(rows) / 2
	first, err := p.run(ctx, c, w, rows[:half])
	if err != nil {
		return nil, err
	}
	second, err := p.run(ctx, c, w, rows[half:])
	return append(first, second...), err
}

// query returns the rows of a statement with one parameter, in text.
func (p *computer) query(ctx context.Context, sql string, argument []byte, columns int) ([][]rawValue, error) {
	reader := p.conn.PgConn().ExecParams(ctx, sql, [][]byte{argument}, nil, nil, nil)
	var out [][]rawValue
	for reader.NextRow() {
		row := make([]rawValue, columns)
		for i, b := range reader.Values() {
			row[i].kind = tupleNull
			if b != nil {
				row[i] = rawValue{tupleText, slices.Clone(b)}
			}
		}
		out = append(out, row)
	}
	_, err := reader.Close()
	return out, err
}

// open connects. Expressions may call functions that rely on the usual
// search_path, and must not be able to keep the stream waiting for ever.
func (p *computer) open(ctx context.Context, c *capture) error {
	if p.closed {
		return penstock.Errorf(penstock.KindUnreachable, "the stream has been closed")
	}
	if p.conn != nil && !p.conn.IsClosed() {
		return nil
	}
	conn, err := c.source.connect(ctx, c.spec.Database)
	if err != nil {
		return err
	}
	if err := conn.PgConn().Exec(ctx, "RESET search_path; SET statement_timeout = '60s'; SET default_transaction_read_only = on").Close(); err != nil {
		conn.Close(context.WithoutCancel(ctx))
		return classify(err, "set up the session on "+c.where())
	}
	p.conn = conn
	return nil
}

// close ends the connection, after what runs on it.
func (p *computer) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.conn != nil {
		p.conn.Close(context.Background())
	}
}

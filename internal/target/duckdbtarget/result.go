package duckdbtarget

import (
	"context"

	duck "github.com/duckdb/duckdb-go-bindings"

	"penstock"
)

var _ penstock.Result = (*Result)(nil)

// Result is what a Statement returned. The engine computes it while it is
// read, and holds no more than a few chunks at a time.
type Result struct {
	statement *Statement
	own       bool // the transaction is the result's own, and ends with it

	raw      duck.Result
	handle   *handle
	rows     *penstock.Rows
	affected int64
	done     bool // all rows were read
	closed   bool
	err      error // of the end of its transaction
}

// Next implements penstock.Result.
func (r *Result) Next(ctx context.Context) (*penstock.Rows, error) {
	st := r.statement
	switch {
	case r.err != nil:
		return nil, r.err
	case r.closed && !r.done:
		return nil, &penstock.SQLError{State: "34000", Message: "the result was closed"}
	case r.done:
		return nil, r.end(ctx, nil)
	}
	if r.rows == nil {
		r.rows = &penstock.Rows{Vectors: make([]penstock.Vector, len(st.columns))}
		for i := range r.rows.Vectors {
			r.rows.Vectors[i] = penstock.NewVector(st.columns[i].Type)
		}
	}
	r.rows.Clear()
	err := st.session.do(ctx, func() error {
		for {
			chunk := duck.FetchChunk(r.raw)
			if chunk.Ptr == nil {
				r.done = true
				if message := duck.ResultError(&r.raw); message != "" {
					return newEngineError(message)
				}
				return nil
			}
			readChunk(chunk, st.results, r.rows)
			duck.DestroyDataChunk(&chunk)
			if r.rows.Len() > 0 {
				return nil
			}
		}
	})
	if err != nil {
		return nil, r.end(ctx, err)
	}
	if r.done {
		return nil, r.end(ctx, nil)
	}
	if !st.verdict.query {
		r.affected += int64(r.rows.Len())
	}
	return r.rows, nil
}

// end frees the result and ends its transaction: commits it unless err.
func (r *Result) end(ctx context.Context, err error) error {
	if r.closed {
		return r.err
	}
	r.closed = true
	s := r.statement.session
	if s.result == r {
		s.result = nil
	}
	s.conn.mu.Lock()
	if r.handle != nil {
		s.conn.drop(r.handle)
	}
	s.conn.mu.Unlock()
	if r.own {
		if err == nil {
			err = s.run(ctx, "COMMIT")
		}
		if err != nil {
			s.conn.rollback()
		}
		s.purged()
	}
	r.err = err
	return err
}

// Affected implements penstock.Result.
func (r *Result) Affected() int64 { return r.affected }

// Close implements penstock.Result. A statement that changed something is
// complete by then, read to the end or not.
func (r *Result) Close() error {
	return r.end(context.Background(), nil)
}

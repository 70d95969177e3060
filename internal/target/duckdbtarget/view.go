package duckdbtarget

import (
	"context"
	"strconv"
	"strings"

	duck "github.com/duckdb/duckdb-go-bindings"

	"penstock"
)

var (
	_ penstock.Viewer = (*Destination)(nil)
	_ penstock.View   = (*view)(nil)
)

// view implements penstock.View by a transaction of a connection of its own.
type view struct {
	d       *Destination
	conn    *conn
	state   penstock.DestinationState
	entries map[penstock.TableID]*entry
}

// View implements penstock.Viewer.
func (d *Destination) View(ctx context.Context) (penstock.View, error) {
	if err := d.usable("open a view"); err != nil {
		return nil, err
	}
	c, err := d.inst.connect()
	if err != nil {
		return nil, d.fault(err, "open a view of database %q", d.db.name)
	}
	v := &view{d: d, conn: c}
	// A transaction of the engine begins in a database with the first look at it.
	if err = c.exec(ctx, "BEGIN TRANSACTION READ ONLY"); err == nil {
		v.state, v.entries, err = readMeta(ctx, c, d.db)
	}
	if err != nil {
		c.close()
		return nil, d.fault(err, "open a view of database %q", d.db.name)
	}
	v.state = assemble(v.state, v.entries)
	return v, nil
}

// State implements penstock.View.
func (v *view) State() penstock.DestinationState { return v.state }

// Close implements penstock.View.
func (v *view) Close() error {
	v.conn.close()
	return nil
}

// readable returns what a table's rows are stored in.
func (v *view) readable(id penstock.TableID) (*version, error) {
	if e := v.entries[id]; e != nil && e.Readable != nil {
		return e.Readable, nil
	}
	return nil, penstock.Errorf(penstock.KindNotFound, "read table %s of database %q: it is not readable", id, v.d.db.name)
}

// Count implements penstock.View.
func (v *view) Count(ctx context.Context, id penstock.TableID) (n int64, err error) {
	of, err := v.readable(id)
	if err != nil {
		return 0, err
	}
	rows, err := v.conn.texts(ctx, "SELECT count(*)::VARCHAR FROM "+v.d.table(of))
	if err == nil {
		n, err = strconv.ParseInt(rows[0][0], 10, 64)
	}
	return n, v.d.fault(err, "count table %s of database %q", &of.Shape.Table, v.d.db.name)
}

// Read implements penstock.View.
func (v *view) Read(ctx context.Context, id penstock.TableID, rows *penstock.Rows, limit int, flush func() error) error {
	of, err := v.readable(id)
	if err != nil {
		return err
	}
	r := &viewReader{conn: v.conn, columns: of.Shape.Columns}
	defer r.close()
	err = v.conn.do(ctx, func() error { return r.open(v.d.table(of), of.Columns) })
	for more := true; more && err == nil; {
		err = v.conn.do(ctx, func() error {
			more, err = r.next(rows, limit)
			return err
		})
		if err == nil && rows.Len() > 0 && (!more || rows.Size() >= limit) {
			if err := flush(); err != nil {
				return err
			}
			rows.Clear()
		}
	}
	return v.d.fault(err, "read table %s of database %q", &of.Shape.Table, v.d.db.name)
}

// viewReader reads the result of one query, which the engine computes while it
// is read.
type viewReader struct {
	conn    *conn
	columns []penstock.Column
	types   []resultType
	handle  *handle
	result  duck.Result

	chunk duck.DataChunk // being read; Ptr is nil if none is
	at    int            // the next row of it
}

// open runs the query; the caller holds the connection.
func (r *viewReader) open(table string, stored []string) error {
	names := make([]string, len(stored))
	for i, c := range stored {
		names[i] = ident(c)
	}
	var statement duck.PreparedStatement
	defer duck.DestroyPrepare(&statement)
	if duck.Prepare(r.conn.raw, "SELECT "+strings.Join(names, ", ")+" FROM "+table, &statement) != duck.StateSuccess {
		return newEngineError(duck.PrepareError(statement))
	}
	if duck.ExecutePreparedStreaming(statement, &r.result) != duck.StateSuccess {
		defer duck.DestroyResult(&r.result)
		return newEngineError(duck.ResultError(&r.result))
	}
	r.handle = r.conn.add(func() {
		duck.DestroyDataChunk(&r.chunk)
		duck.DestroyResult(&r.result)
	})
	for i, c := range r.columns {
		t := duck.ColumnLogicalType(&r.result, duck.IdxT(i))
		r.types = append(r.types, resultTypeOf(c.Name, t))
		duck.DestroyLogicalType(&t)
		if got := r.types[i]; got.cast != "" || got.column.Type != c.Type {
			return penstock.Errorf(penstock.KindInternal, "column %s is stored as %s, not as %s", c.Name, got.column.Engine, c.Type)
		}
	}
	return nil
}

// viewStep is how many rows of a chunk are read before their size is looked at.
const viewStep = 128

// next appends rows of the next chunk until they take about limit bytes, if
// there are more; the caller holds the connection.
func (r *viewReader) next(rows *penstock.Rows, limit int) (more bool, err error) {
	if r.chunk.Ptr == nil {
		r.chunk, r.at = duck.FetchChunk(r.result), 0
	}
	if r.chunk.Ptr == nil {
		if message := duck.ResultError(&r.result); message != "" {
			return false, newEngineError(message)
		}
		return false, nil
	}
	n := int(duck.DataChunkGetSize(r.chunk))
	for r.at < n && (rows.Len() == 0 || rows.Size() < limit) {
		to := min(r.at+viewStep, n)
		readRange(r.chunk, r.types, rows, r.at, to)
		r.at = to
	}
	if r.at == n {
		duck.DestroyDataChunk(&r.chunk)
	}
	return true, nil
}

func (r *viewReader) close() {
	r.conn.mu.Lock()
	defer r.conn.mu.Unlock()
	if r.handle != nil {
		r.conn.drop(r.handle)
	}
}

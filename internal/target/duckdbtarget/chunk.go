package duckdbtarget

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"penstock"
	"penstock/internal/failpoint"
)

// chunkWriter implements penstock.ChunkWriter: a transaction on a connection
// of its own. The engine writes what fills a row group to the file before the
// commit, where nothing refers to it until then, so that a chunk takes little
// memory whatever its size.
type chunkWriter struct {
	d    *Destination
	c    *conn // nil once the chunks are committed or undone
	done []doneChunk
	chunkRead
}

// chunkRead is what a chunk has brought so far.
type chunkRead struct {
	id   penstock.TableID
	e    *entry
	load *load
	bad  penstock.BadValues
	rows int64
}

// doneChunk is a chunk with the note that it is done.
type doneChunk struct {
	chunkRead
	penstock.Chunk
}

// Chunk implements penstock.Destination.
func (d *Destination) Chunk(ctx context.Context, id penstock.TableID) (penstock.ChunkWriter, error) {
	w := &chunkWriter{d: d}
	if err := w.begin(id); err != nil {
		return nil, err
	}
	if err := d.enter(ctx); err != nil {
		return nil, err
	}
	c, err := d.connection()
	if err == nil {
		if err = c.exec(ctx, "BEGIN"); err != nil {
			d.release(c)
		}
	}
	if err != nil {
		d.leave()
		return nil, d.fault(err, "write a chunk of %s to database %q", &w.e.Hidden.Shape.Table, d.db.name)
	}
	w.c = c
	return w, nil
}

// begin begins a chunk.
func (w *chunkWriter) begin(id penstock.TableID) error {
	d := w.d
	d.mu.Lock()
	w.chunkRead = chunkRead{id: id, e: d.entries[id], load: d.loading[id]}
	closed := d.closed
	d.mu.Unlock()
	switch {
	case closed:
		return penstock.Errorf(penstock.KindFenced, "write a chunk of table %s to database %q: it is closed", id, d.db.name)
	case w.e == nil || w.e.Hidden == nil || w.load == nil:
		return penstock.Errorf(penstock.KindNotFound, "write a chunk of table %s to database %q: it is not being loaded", id, d.db.name)
	}
	return nil
}

// Append implements penstock.ChunkWriter.
func (w *chunkWriter) Append(ctx context.Context, rows *penstock.Rows, bad penstock.BadValues) error {
	v := w.e.Hidden
	if w.c == nil || len(rows.Vectors) != len(v.Columns) {
		return penstock.Errorf(penstock.KindInternal, "rows of %d columns for a table of %d", len(rows.Vectors), len(v.Columns))
	}
	w.bad.Add(bad)
	if err := w.d.put(ctx, w.c, v, versionColumns(v, rows, nil), rows.Len(), &w.bad); err != nil {
		w.Close()
		return w.d.fault(err, "append to %s of database %q", &v.Shape.Table, w.d.db.name)
	}
	w.rows += int64(rows.Len())
	return nil
}

// Next implements penstock.ChunkWriter.
func (w *chunkWriter) Next(ctx context.Context, done penstock.Chunk, id penstock.TableID) error {
	if w.c == nil {
		return penstock.Errorf(penstock.KindInternal, "the chunk is committed or undone already")
	}
	w.done = append(w.done, doneChunk{w.chunkRead, done})
	return w.begin(id)
}

// Commit implements penstock.ChunkWriter.
func (w *chunkWriter) Commit(ctx context.Context, done penstock.Chunk) error {
	if w.c == nil {
		return penstock.Errorf(penstock.KindInternal, "the chunk is committed or undone already")
	}
	w.done = append(w.done, doneChunk{w.chunkRead, done})
	err := w.note(ctx)
	if err == nil {
		err = failpoint.Here(failpoint.TargetBeforeAppend)
	}
	if err == nil {
		err = w.c.exec(ctx, "COMMIT")
	}
	if err != nil {
		w.Close()
		return w.d.fault(err, "commit a chunk of %s to database %q", &w.e.Hidden.Shape.Table, w.d.db.name)
	}
	w.c.stored()
	w.end()
	_ = failpoint.Here(failpoint.TargetAfterAppend)
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	for _, c := range w.done {
		w.d.gate.write(c.id, len(c.e.Hidden.Columns))
		w.d.gate.loaded += c.rows
		c.load.bad.Add(c.bad)
		c.load.rows += c.rows
		c.load.bytes += c.Bytes
		c.load.chunks = append(c.load.chunks, c.Token)
	}
	return nil
}

// note writes which chunks are done.
func (w *chunkWriter) note(ctx context.Context) error {
	values := make([]string, len(w.done))
	var args []string
	for i, c := range w.done {
		bad, err := json.Marshal(c.bad)
		if err != nil {
			return err
		}
		values[i] = "(?, ?, ?, ?, ?, ?)"
		args = append(args, string(c.id), strconv.Itoa(c.e.Loads), c.Token, strconv.FormatInt(c.Bytes, 10), strconv.FormatInt(c.rows, 10), string(bad))
	}
	return w.c.exec(ctx, "INSERT INTO "+ident(w.d.db.alias)+"."+metaSchema+".chunks VALUES "+strings.Join(values, ", "), args...)
}

// Close implements penstock.ChunkWriter.
func (w *chunkWriter) Close() {
	if w.c == nil {
		return
	}
	w.c.rollback()
	w.d.undoHeavy(w.c)
	w.end()
}

// end gives back the connection.
func (w *chunkWriter) end() {
	w.d.release(w.c)
	w.c = nil
	w.d.leave()
}

// Keep implements penstock.Destination.
func (d *Destination) Keep(ctx context.Context, joins map[penstock.TableID]penstock.Snapshot) error {
	if err := d.usable("keep a load"); err != nil {
		return err
	}
	tx := d.change()
	tx.before, tx.after = failpoint.TargetBeforeKeep, failpoint.TargetAfterKeep
	for id, join := range joins {
		d.mu.Lock()
		l := d.loading[id]
		done := l != nil && len(l.chunks) > 0
		d.mu.Unlock()
		e := tx.entry(id)
		if e == nil || e.Hidden == nil || l == nil {
			return penstock.Errorf(penstock.KindNotFound, "keep the load of table %s of database %q: it is not being loaded", id, d.db.name)
		}
		e.Mixed = e.Mixed || done && e.Kept != join
		e.Kept, e.At = join, d.applied
	}
	return d.fault(d.apart(ctx, tx), "keep loads of database %q", d.db.name)
}

// readChunks reads what loads that were not finished have brought.
func (d *Destination) readChunks(ctx context.Context) error {
	d.loading = make(map[penstock.TableID]*load)
	for id, e := range d.entries {
		if e.Hidden != nil && e.Join == "" {
			d.loading[id] = &load{}
		}
	}
	rows, err := d.writer.texts(ctx, "SELECT id, load::VARCHAR, token, bytes::VARCHAR, rows::VARCHAR, bad FROM "+ident(d.db.alias)+"."+metaSchema+".chunks")
	if err != nil {
		return err
	}
	for _, r := range rows {
		id := penstock.TableID(r[0])
		l := d.loading[id]
		if l == nil || r[1] != strconv.Itoa(d.entries[id].Loads) {
			continue
		}
		bytes, err1 := strconv.ParseInt(r[3], 10, 64)
		n, err2 := strconv.ParseInt(r[4], 10, 64)
		var bad penstock.BadValues
		err3 := json.Unmarshal([]byte(r[5]), &bad)
		if err1 != nil || err2 != nil || err3 != nil {
			return penstock.Errorf(penstock.KindInternal, "read the chunks of database %q: %q", d.db.name, r)
		}
		l.rows, l.bytes, l.chunks = l.rows+n, l.bytes+bytes, append(l.chunks, r[2])
		l.bad.Add(bad)
	}
	return nil
}

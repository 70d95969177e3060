package memtarget

import (
	"context"
	"slices"

	"penstock"
)

// load is what is known of a load until it is through.
type load struct {
	chunks []string          // tokens of those that are done
	rows   int64             // in them
	bytes  int64             // at the source
	join   penstock.Snapshot // given to Keep; "" if it is not kept
	at     penstock.Position // stored when it was
	mixed  bool              // there are chunks of other snapshots
}

// partial returns what can be gone on with; nil if there is nothing.
func (t *table) partial(at penstock.Position) *penstock.PartialLoad {
	if t.hidden == nil || t.status.Join != "" || t.status.State != penstock.TableResyncInitiated || t.load.join == "" || t.load.at != at {
		return nil
	}
	return &penstock.PartialLoad{Snapshot: t.load.join, Chunks: slices.Clone(t.load.chunks), Rows: t.load.rows, Bytes: t.load.bytes}
}

// Keep implements penstock.Destination.
func (d *Destination) Keep(ctx context.Context, joins map[penstock.TableID]penstock.Snapshot) error {
	defer d.target.mu.Unlock()
	if err := d.begin(ctx, "Keep"); err != nil {
		return err
	}
	for id := range joins {
		if t := d.db.tables[id]; t == nil || t.hidden == nil || t.status.Join != "" {
			return penstock.Errorf(penstock.KindNotFound, "keep the load of table %s: it is not being loaded", id)
		}
	}
	for id, join := range joins {
		l := &d.db.tables[id].load
		l.mixed = l.mixed || len(l.chunks) > 0 && l.join != join
		l.join, l.at = join, d.db.applied
	}
	return nil
}

// chunkWriter implements penstock.ChunkWriter.
type chunkWriter struct {
	d      *Destination
	chunks []chunk // the last one is being filled
	done   bool
}

// chunk is what one chunk has brought.
type chunk struct {
	penstock.Chunk
	id   penstock.TableID
	into *version
	rows []row
	bad  penstock.BadValues
}

// Chunk implements penstock.Destination.
func (d *Destination) Chunk(ctx context.Context, id penstock.TableID) (penstock.ChunkWriter, error) {
	defer d.target.mu.Unlock()
	if err := d.begin(ctx, "Chunk"); err != nil {
		return nil, err
	}
	w := &chunkWriter{d: d}
	return w, w.add(id)
}

// add begins a chunk.
func (w *chunkWriter) add(id penstock.TableID) error {
	t := w.d.db.tables[id]
	if t == nil || t.hidden == nil || t.status.Join != "" {
		return penstock.Errorf(penstock.KindNotFound, "write a chunk of table %s: it is not being loaded", id)
	}
	w.chunks = append(w.chunks, chunk{id: id, into: t.hidden})
	return nil
}

// Append implements penstock.ChunkWriter.
func (w *chunkWriter) Append(ctx context.Context, rows *penstock.Rows, bad penstock.BadValues) error {
	defer w.d.target.mu.Unlock()
	if err := w.d.begin(ctx, "Append"); err != nil {
		return err
	}
	c := &w.chunks[len(w.chunks)-1]
	for i := range rows.Len() {
		c.rows = append(c.rows, rowOf(rows, i))
	}
	c.bad.Add(bad)
	return nil
}

// Next implements penstock.ChunkWriter.
func (w *chunkWriter) Next(ctx context.Context, done penstock.Chunk, id penstock.TableID) error {
	defer w.d.target.mu.Unlock()
	if err := w.d.begin(ctx, "Next"); err != nil {
		return err
	}
	w.chunks[len(w.chunks)-1].Chunk = done
	return w.add(id)
}

// Commit implements penstock.ChunkWriter.
func (w *chunkWriter) Commit(ctx context.Context, done penstock.Chunk) error {
	defer w.d.target.mu.Unlock()
	if err := w.d.begin(ctx, "Commit"); err != nil {
		return err
	}
	for _, c := range w.chunks {
		if t := w.d.db.tables[c.id]; w.done || t == nil || t.hidden != c.into || t.status.Join != "" {
			return penstock.Errorf(penstock.KindNotFound, "commit a chunk of table %s: it is not being loaded any more", c.id)
		}
	}
	w.done = true
	w.chunks[len(w.chunks)-1].Chunk = done
	for _, c := range w.chunks {
		t := w.d.db.tables[c.id]
		for _, r := range c.rows {
			c.into.add(r)
		}
		t.status.BadValues.Add(c.bad)
		t.load.chunks = append(t.load.chunks, c.Token)
		t.load.rows += int64(len(c.rows))
		t.load.bytes += c.Bytes
	}
	return nil
}

// Close implements penstock.ChunkWriter.
func (w *chunkWriter) Close() { w.done, w.chunks = true, nil }

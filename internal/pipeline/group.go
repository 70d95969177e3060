package pipeline

import (
	"context"
	"iter"
	"slices"

	"penstock"
)

// A table of a few rows costs a destination as much as a chunk of many, which is
// a transaction. So small tables are written several in one. Of a table with
// several chunks each has its own: that is what is read again if a load breaks.

const (
	// groupBytes is how much the tables of one transaction take at the source
	// together, unless it is one.
	groupBytes = 4 << 20
	// groupTables is how many tables there are in one transaction at most.
	groupTables = 100
)

// groups goes through chunks, in their order, by those that are written in one
// transaction.
func groups(chunks []penstock.Chunk) iter.Seq[[]penstock.Chunk] {
	several := map[penstock.TableID]int{}
	for _, c := range chunks {
		several[c.Table.ID]++
	}
	return func(yield func([]penstock.Chunk) bool) {
		from, size := 0, int64(0)
		for i, c := range chunks {
			if i > from && (size+c.Bytes > groupBytes || i-from == groupTables || several[c.Table.ID] > 1 || several[chunks[i-1].Table.ID] > 1) {
				if !yield(chunks[from:i]) {
					return
				}
				from, size = i, 0
			}
			size += c.Bytes
		}
		if from < len(chunks) {
			yield(chunks[from:])
		}
	}
}

// read reads chunks that are written in one transaction, each as a whole or not
// at all. It returns errors that concern more than a table.
func (l *loading) read(ctx context.Context, group []penstock.Chunk, rows *penstock.Rows, buffer int) error {
	group = slices.DeleteFunc(slices.Clone(group), func(c penstock.Chunk) bool { return l.hasFailed(c.Table.ID) })
	if len(group) == 0 {
		return nil
	}
	at, err := l.write(ctx, group, rows, buffer)
	kind := penstock.KindOf(err)
	switch {
	case kind == penstock.KindStale, kind == penstock.KindSetting, kind == penstock.KindUnrepresentable, tooLarge(err) != nil:
		l.fail(at, err)
		// Rows of its chunk may be in the transaction, which is undone; the
		// others come again, now each by itself, as more of them may fail.
		for i := range len(group) {
			if len(group) > 1 {
				if err := l.read(ctx, group[i:i+1], rows, buffer); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return err
}

// write reads chunks and writes them in one transaction. With an error it
// returns the table at which that occurred.
func (l *loading) write(ctx context.Context, group []penstock.Chunk, rows *penstock.Rows, buffer int) (at penstock.TableID, err error) {
	w, err := l.p.writer.dest.Chunk(ctx, group[0].Table.ID)
	if err != nil {
		return group[0].Table.ID, err
	}
	lane, inLane := l.p.cfg.Capture.Lane, false
	defer func() {
		w.Close()
		if inLane {
			*rows = penstock.Rows{}
			lane.Leave()
		}
	}()
	read := make([]copied, len(group))
	for i, c := range group {
		if i > 0 {
			if err := w.Next(ctx, group[i-1], c.Table.ID); err != nil {
				return c.Table.ID, err
			}
		}
		rows.Reset(c.Table)
		err := l.view.Read(ctx, c, rows, buffer, func(bad penstock.BadValues) error {
			if l.p.strict() && bad.Total() > 0 {
				return refused(&penstock.Unrepresentable{Table: c.Table, Values: bad})
			}
			if !inLane && rows.Size() >= rows.Len()*penstock.LargeRow {
				if err := lane.Enter(ctx); err != nil {
					return err
				}
				inLane = true
			}
			l.p.repair(rows)
			read[i].rows += int64(rows.Len())
			read[i].bytes += int64(rows.Size())
			return w.Append(ctx, rows, bad)
		})
		if err != nil {
			return c.Table.ID, err
		}
	}
	last := group[len(group)-1]
	if err := w.Commit(ctx, last); err != nil {
		return last.Table.ID, err
	}
	for i, c := range group {
		l.count(c.Table.ID, read[i])
		l.p.status.loadedChunk(read[i].rows, read[i].bytes, c.Bytes, l.done(c.Table.ID))
	}
	return "", nil
}

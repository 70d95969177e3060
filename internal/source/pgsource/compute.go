package pgsource

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"penstock"
)

// Generated columns that the stream does not have are computed for streamed
// rows by the server, which alone knows its functions: an expression of one
// depends on nothing but the row's other columns. Rows wait until Next is about
// to return, or until there are many, and then one statement over a connection
// of its own computes them all. Until then the vectors of these columns are
// shorter than the others.

// computing is what a stream keeps for a table with such columns.
type computing struct {
	columns []computedColumn
	bases   []baseColumn // the columns whose text is kept: those of expressions, and the key
	keys    []int        // of bases: the key
	sql     string       // with $1 for the rows

	old, raw []rawValue // of the row in hand, by base: of its old tuple and of its new one
	named    bool       // there is an old one

	// Rows that wait, in order: row i of the table's Rows is the one at i-first.
	first int
	rows  []waitingRow
	json  []byte // of those to be computed, each followed by a comma
}

type computedColumn struct {
	generatedColumn
	column int   // index into Table.Columns
	uses   []int // of bases
	decode decode
}

// rawValue is a value of a tuple as it came.
type rawValue struct {
	kind byte // tupleNull, tupleUnchanged, tupleText; 0 if there is none
	text []byte
}

// waitingRow says what becomes of the computed columns of a row.
type waitingRow struct {
	fates []fate
	end   int // in json
	from  int // the first row of its transaction
	xid   uint32
	key   []string // if a value is to be read again
}

type fate byte

const (
	fateNull      fate = iota // a row that names another
	fateCompute               // all that the expression needs came with the row
	fateUnchanged             // nothing of what it needs has changed
	fateRead                  // something came, and something that did not change did not: see reread.go
)

// waitingBytes is how much of rows waits before they are computed.
const waitingBytes = 1 << 20

// planComputing decides how the columns of a table are had that a Relation message does
// not have; ok is false if one cannot be.
func (s *stream) planComputing(oid uint32, t *streamTable) (ok bool) {
	t.computing = nil
	c := &computing{}
	base := func(name string) (index int, ok bool) {
		for i := range t.plan {
			column := &t.table.Columns[t.plan[i].column]
			if column.Name != name {
				continue
			}
			if t.plan[i].base == noBase {
				t.plan[i].base = len(c.bases)
				c.bases = append(c.bases, baseColumn{column.Name, column.SourceType})
			}
			return t.plan[i].base, true
		}
		return 0, false
	}
	for at := range t.table.Columns {
		column := &t.table.Columns[at]
		if slices.ContainsFunc(t.plan, func(p planColumn) bool { return p.column == at }) {
			continue
		}
		known := s.types.generated[oid]
		i := slices.IndexFunc(known, func(g generatedColumn) bool { return g.number == column.ID })
		if i < 0 || known[i].typ != column.SourceType {
			return false
		}
		g := computedColumn{generatedColumn: known[i], column: at, decode: mapType(s.types.byName()[column.SourceType]).text}
		for _, number := range g.generatedColumn.uses {
			used := slices.IndexFunc(t.table.Columns, func(c penstock.Column) bool { return c.ID == penstock.ColumnID(number) })
			if used < 0 {
				return false
			}
			b, ok := base(t.table.Columns[used].Name)
			if !ok {
				return false
			}
			g.uses = append(g.uses, b)
		}
		c.columns = append(c.columns, g)
	}
	if len(c.columns) == 0 {
		return true
	}
	for _, k := range t.table.Key {
		b, ok := base(t.table.Columns[k].Name)
		if !ok {
			return false
		}
		c.keys = append(c.keys, b)
	}
	var columns []generatedColumn
	for i := range c.columns {
		columns = append(columns, c.columns[i].generatedColumn)
	}
	c.sql = computeStatement(c.bases, columns, "$1")
	c.old, c.raw = make([]rawValue, len(c.bases)), make([]rawValue, len(c.bases))
	t.computing = c
	return true
}

// noBase marks a column of a plan whose text need not be kept.
const noBase = -1

// wait takes note of a row whose tuple has just been read.
func (s *stream) wait(t *streamTable, op penstock.Op, row int) {
	c := t.computing
	if len(c.rows) == 0 {
		c.first = row
		s.waiting = append(s.waiting, t)
	}
	w := waitingRow{fates: make([]fate, len(c.columns)), from: t.from, xid: s.xid}
	if s.split { // what came before has been delivered
		w.from = row
		if c.named {
			w.from--
		}
	}
	compute, read := false, false
	for i := range c.columns {
		w.fates[i] = c.fate(&c.columns[i], op, t.table.Identity)
		compute = compute || w.fates[i] == fateCompute
		read = read || w.fates[i] == fateRead
	}
	if compute {
		c.appendJSON(w.fates)
	}
	if read {
		for _, k := range c.keys {
			w.key = append(w.key, string(c.raw[k].text))
		}
	}
	w.end = len(c.json)
	c.rows = append(c.rows, w)
	if c.named = op == penstock.OpOld; c.named {
		c.old, c.raw = c.raw, c.old
	} else {
		clear(c.old)
	}
	clear(c.raw)
}

func (c *computing) fate(column *computedColumn, op penstock.Op, identity penstock.Identity) fate {
	if (op == penstock.OpOld || op == penstock.OpDelete) && identity != penstock.IdentityFull {
		return fateNull
	}
	unchanged := 0
	for _, b := range column.uses {
		v := &c.raw[b]
		if v.kind == tupleUnchanged && c.old[b].kind == tupleText {
			*v = c.old[b]
		}
		if v.kind == tupleUnchanged {
			unchanged++
		}
	}
	switch unchanged {
	case 0:
		return fateCompute
	case len(column.uses):
		return fateUnchanged
	}
	return fateRead
}

// appendJSON adds the row in hand to those to be computed.
func (c *computing) appendJSON(fates []fate) {
	b := append(c.json, '{')
	for i := range c.raw {
		if c.raw[i].kind != tupleText {
			continue
		}
		b = append(b, '"', 'c')
		b = strconv.AppendInt(b, int64(i+1), 10)
		b = append(b, '"', ':')
		b = append(appendElement(b, c.raw[i].text, styleString), ',')
	}
	for i, f := range fates {
		if f != fateCompute {
			b = append(b, '"', 's')
			b = strconv.AppendInt(b, int64(i+1), 10)
			b = append(b, `":true,`...)
		}
	}
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	c.json = append(b, '}', ',')
}

// forget drops the rows that wait from a row on.
func (c *computing) forget(from int) {
	if c == nil || len(c.rows) == 0 {
		return
	}
	n := max(0, min(len(c.rows), from-c.first))
	c.rows, c.first = c.rows[:n], min(c.first, from)
	c.json = c.json[:0:cap(c.json)]
	if n > 0 {
		c.json = c.json[:c.rows[n-1].end]
	}
}

// finishRows gives the rows that wait their computed columns.
func (s *stream) finishRows(ctx context.Context, c *penstock.Changes) error {
	for _, t := range s.waiting {
		if err := s.finishTable(ctx, t, c); err != nil {
			return err
		}
	}
	s.waiting = s.waiting[:0]
	return nil
}

func (s *stream) finishTable(ctx context.Context, t *streamTable, c *penstock.Changes) error {
	w := t.computing
	if len(w.rows) == 0 {
		return nil
	}
	tc := c.Table(t.table)
	computed, err := s.computer.compute(ctx, s.capture, w)
	if errors.Is(err, errExpression) {
		s.types.doubt.Store(true)
		s.abandon(t, tc, c, w.rows[0].from)
		return nil
	}
	if err != nil {
		return err
	}
	read, err := s.computer.reread(ctx, s.capture, t)
	if err != nil {
		return err
	}
	for i := range w.rows {
		row := &w.rows[i]
		var values, stored []rawValue
		if slices.Contains(row.fates, fateCompute) {
			values, computed = computed[0], computed[1:]
		}
		if row.key != nil {
			if stored = read[i]; stored == nil {
				s.abandon(t, tc, c, row.from)
				return nil
			}
		}
		for k := range w.columns {
			v := &tc.Rows.Vectors[w.columns[k].column]
			switch row.fates[k] {
			case fateNull:
				v.AppendNull()
			case fateUnchanged:
				v.AppendUnchanged()
			case fateCompute:
				s.appendComputed(tc, &w.columns[k], v, values[k])
			case fateRead:
				s.appendComputed(tc, &w.columns[k], v, stored[k])
			}
		}
	}
	w.rows, w.json = w.rows[:0], w.json[:0]
	if cap(w.json) > 2*waitingBytes {
		w.json = nil
	}
	return nil
}

func (s *stream) appendComputed(tc *penstock.TableChanges, column *computedColumn, v *penstock.Vector, value rawValue) {
	s.filled += len(value.text)
	if value.kind == tupleText && column.decode(v, value.text) {
		return
	}
	v.AppendNull()
	if value.kind != tupleNull {
		tc.BadValues.Count(tc.Table.Columns[column.column].ID, 1)
	}
}

// abandon has a table loaded again, as a row of it cannot be had exactly. The
// row's transaction and what follows is taken back, see takeBack.
func (s *stream) abandon(t *streamTable, tc *penstock.TableChanges, c *penstock.Changes, from int) {
	t.dead = true
	c.Reshaped = append(c.Reshaped, t.table.ID)
	c.Passed = slices.DeleteFunc(c.Passed, func(id penstock.TableID) bool { return id == t.table.ID })
	tc.Cut(from)
	t.computing.forget(0)
}

package pgsource

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"penstock"
)

// relation takes note of the shape of rows to come. Whether it matters that it
// is not the known one shows with the first of them that is to be delivered.
//
// Of a row in a partition, which is published as of the partitioned table, the
// server describes that table and then the partition. One that is not known may
// be none any more by the next look, and its rows gone with it.
func (s *stream) relation(ctx context.Context, b []byte, before *streamTable) error {
	m, err := parseRelation(b)
	if err != nil {
		return err
	}
	s.parted = nil
	if before != nil && !slices.ContainsFunc(strings.Fields(before.table.Parts), func(p string) bool { return partOID(p) == m.oid }) {
		s.parted = before
	}
	t := s.tables[m.oid]
	s.described = t
	if t == nil {
		return nil
	}
	refs := make([]typeRef, len(m.columns))
	for i, c := range m.columns {
		refs[i] = typeRef{c.typ, c.typmod}
	}
	if err := s.resolve(ctx, refs); err != nil {
		return err
	}
	t.plan, t.mismatch = t.plan[:0], false
	keys, flagged := 0, 0
	for i, mc := range m.columns {
		at := slices.IndexFunc(t.table.Columns, func(c penstock.Column) bool { return c.Name == mc.name })
		info := s.types.info(refs[i])
		// Columns come in the order of their numbers. In another one they have
		// exchanged names, which may be over by the next look at the table.
		if at < 0 || info.name != t.table.Columns[at].SourceType || i > 0 && at < t.plan[i-1].column {
			t.mismatch = true
			return nil
		}
		if mc.key {
			flagged++
			if slices.Contains(t.table.Key, at) {
				keys++
			}
		}
		t.plan = append(t.plan, planColumn{at, mapColumn(t.table, at, info).text, streamForm(info), noBase})
	}
	t.mismatch = !s.planComputing(m.oid, t)
	switch full := m.identity == 'f'; t.table.Identity {
	case penstock.IdentityKey:
		t.mismatch = t.mismatch || keys != len(t.table.Key) || flagged != keys && !full
	case penstock.IdentityFull:
		t.mismatch = t.mismatch || !full
	}
	return nil
}

// resolve looks up types that have appeared since the stream was opened.
func (s *stream) resolve(ctx context.Context, refs []typeRef) error {
	if !slices.ContainsFunc(refs, func(r typeRef) bool { _, ok := s.types.known[r]; return !ok }) {
		return nil
	}
	conn, err := s.capture.source.connect(ctx, s.capture.spec.Database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return s.types.resolve(ctx, conn, refs)
}

// row handles an insert, update or delete.
func (s *stream) row(w *wire, c *penstock.Changes) error {
	kind := w.byte()
	t := s.tables[uint32(w.int32())]
	if w.bad {
		return errShort
	}
	parted := s.parted
	s.parted, s.described = nil, nil
	if t == nil || !s.delivers(t) {
		return nil
	}
	t.mismatch = t.mismatch || t == parted
	// Without an identity there is nothing to find a changed row by.
	if t.mismatch || t.plan == nil || t.table.Identity == penstock.IdentityNone && kind != 'I' {
		s.reshape(t, c)
		return nil
	}
	if w.rest != nil && t.computing != nil {
		w.b = w.rest.more(w.b, w.left()) // expressions are computed from the text of whole rows
	}
	tc := c.Table(t.table)
	if t.began != s.tx {
		t.began, t.from = s.tx, len(tc.Ops)
	}
	s.filled += t.width
	part, old := w.byte(), -1 // old is the row of Rows that holds the old tuple
	if named := part == 'K' || part == 'O'; named && kind != 'I' {
		op := penstock.OpOld
		if kind == 'D' {
			op = penstock.OpDelete
		}
		old = len(tc.Ops)
		if err := s.tuple(w, t, tc, op, old); err != nil || kind == 'D' {
			return err
		}
		part = w.byte()
	}
	if part != 'N' || kind == 'D' {
		return errMessage
	}
	op := penstock.OpInsert
	if kind == 'U' {
		op = penstock.OpUpdate
	}
	return s.tuple(w, t, tc, op, old)
}

// takeBack removes the rows of the current transaction from a table whose
// further ones will be left out, so that what can be read of it until it has
// been loaded again is not half of a transaction. An earlier part that was
// delivered already stays, as does a truncation.
func (s *stream) takeBack(t *streamTable, c *penstock.Changes) {
	if s.split || t.began != s.tx {
		return
	}
	tc := c.Table(t.table)
	tc.Cut(t.from)
	t.computing.forget(t.from)
}

// rowWidth returns the bytes that a row of t takes in Rows, values of variable
// length left out: more than on the wire if most of them are null.
func rowWidth(t *penstock.Table) (n int) {
	for _, c := range t.Columns {
		n += max(c.Type.Width(), 4)
	}
	return n
}

// tuple decodes one tuple into a row. An unchanged value is taken from the old
// tuple where the source logs whole rows.
func (s *stream) tuple(w *wire, t *streamTable, tc *penstock.TableChanges, op penstock.Op, old int) error {
	if n := int(w.int16()); n != len(t.plan) {
		return fmt.Errorf("a row of table %s has %d columns instead of %d", t.table, n, len(t.plan))
	}
	for i := range t.plan {
		p := &t.plan[i]
		v := &tc.Rows.Vectors[p.column]
		kind := w.byte()
		if p.base != noBase {
			t.computing.raw[p.base] = rawValue{kind: kind}
		}
		switch kind {
		case tupleText:
			if len(w.b) < 4 && w.rest == nil {
				return errShort
			}
			var n int
			if len(w.b) >= 4 {
				n = int(int32(binary.BigEndian.Uint32(w.b)))
				w.b = w.b[4:]
			} else {
				n = int(w.int32())
			}
			if n >= pieceValue && w.rest != nil && p.form != formOther && p.base == noBase {
				if err := w.rest.value(w, v, n, p.form); err != nil {
					return err
				}
				continue
			}
			value := w.take(n)
			if w.bad {
				return errShort
			}
			if p.base != noBase {
				t.computing.raw[p.base].text = value
			}
			if !p.decode(v, value) {
				v.AppendNull()
				tc.BadValues.Count(tc.Table.Columns[p.column].ID, 1)
			}
		case tupleNull:
			v.AppendNull()
		case tupleUnchanged:
			if op != penstock.OpUpdate {
				return fmt.Errorf("a row of table %s comes without all of its values", t.table)
			}
			if old >= 0 && !v.IsNull(old) {
				v.AppendFrom(v, old)
			} else {
				v.AppendUnchanged()
			}
		default:
			return errMessage
		}
	}
	if w.bad {
		return errShort
	}
	tc.Ops = append(tc.Ops, op)
	if t.computing != nil {
		s.wait(t, op, len(tc.Ops)-1)
	}
	return nil
}

package pgsource

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"penstock"
)

// The benchmarks decode what a server sends of a table with eight columns of
// the kinds that tables have most; an op is a row.

// benchColumns are the columns: their types' names, OIDs, and a value as text
// and in binary form.
func benchColumns(i int) []benchColumn {
	amount := appendParts(nil, int16(3), int16(1), int16(0), int16(2), int16(i%9+1), int16(2345), int16(6700))
	note := fmt.Sprintf("a note of some forty bytes on row %08d", i%100_000_000)
	return []benchColumn{
		{"bigint", 20, fmt.Sprint(i), appendParts(nil, int64(i))},
		{"integer", 23, fmt.Sprint(i % 1000), appendParts(nil, int32(i%1000))},
		{"integer", 23, fmt.Sprint(i * 7), appendParts(nil, int32(i*7))},
		{"numeric(12,2)", 1700, fmt.Sprintf("%d2345.67", i%9+1), amount},
		{"text", 25, fmt.Sprintf("name %d", i), []byte(fmt.Sprintf("name %d", i))},
		{"text", 25, note, []byte(note)},
		{"timestamp with time zone", 1184, "2026-03-04 05:06:07.891234+00", appendParts(nil, int64(825_829_567_891_234))},
		{"boolean", 16, "t", []byte{1}},
	}
}

type benchColumn struct {
	name   string
	oid    uint32
	text   string
	binary []byte
}

const benchModifier = int32((12<<16 | 2) + 4) // of numeric(12,2)

func (c benchColumn) modifier() int32 {
	if c.oid == 1700 {
		return benchModifier
	}
	return -1
}

func benchTable() (*penstock.Table, *typeCache) {
	types := newTypeCache()
	t := &penstock.Table{ID: tableID(1), Schema: "public", Name: "t", Identity: penstock.IdentityKey, Key: []int{0}}
	for i, c := range benchColumns(1) {
		info := typeInfo{name: c.name}
		types.known[typeRef{c.oid, c.modifier()}] = info
		t.Columns = append(t.Columns, penstock.Column{ID: penstock.ColumnID(i + 1), Name: fmt.Sprintf("c%d", i), Type: mapType(info).typ, SourceType: c.name})
	}
	return t, types
}

// benchStream returns a stream, and messages of n rows in transactions of some.
func benchStream(tb testing.TB, n, perTransaction int) (*stream, [][]byte) {
	table, types := benchTable()
	s := &stream{types: types, feedback: &feedback{now: make(chan struct{}, 1)},
		tables:   map[uint32]*streamTable{1: {table: table, width: rowWidth(table)}},
		position: position{system: "7301234567890123456", timeline: 1, database: 16384, slot: "penstock_0123456789abcdef"}}
	parts := []any{"R", uint32(1), "public\x00t\x00d", int16(len(table.Columns))}
	for i, c := range benchColumns(1) {
		flag := byte(0)
		if i == 0 {
			flag = 1
		}
		parts = append(parts, flag, fmt.Sprintf("c%d\x00", i), c.oid, c.modifier())
	}
	var changes penstock.Changes
	if _, err := s.message(tb.Context(), 'd', message(parts...), &changes); err != nil {
		tb.Fatal(err)
	}
	var all [][]byte
	for i := range n {
		at := int64(i+1) << 10
		if i%perTransaction == 0 {
			all = append(all, message("B", at+500, int64(0), uint32(7)))
		}
		parts := []any{"I", uint32(1), "N", int16(len(table.Columns))}
		for _, c := range benchColumns(i) {
			parts = append(parts, text(c.text))
		}
		if all = append(all, message(parts...)); (i+1)%perTransaction == 0 {
			all = append(all, message("C", byte(0), at+500, at+520, int64(0)))
		}
	}
	return s, all
}

// decodeAll has the stream decode the messages into c, which is empty before.
func decodeAll(tb testing.TB, s *stream, messages [][]byte, c *penstock.Changes, rows int) {
	s.position.lsn = 0
	for _, m := range messages {
		if _, err := s.message(tb.Context(), 'd', m, c); err != nil {
			tb.Fatal(err)
		}
	}
	if len(c.Tables) != 1 || len(c.Tables[0].Ops) != rows || c.Tables[0].BadValues != nil {
		tb.Fatalf("it has decoded %d tables, want %d rows of one", len(c.Tables), rows)
	}
}

func BenchmarkStream(b *testing.B) {
	const n = 10_000
	for _, per := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("rows=%d", per), func(b *testing.B) {
			s, messages := benchStream(b, n, per)
			var c penstock.Changes
			decodeAll(b, s, messages, &c, n)
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += n {
				c.Reset()
				decodeAll(b, s, messages, &c, n)
			}
		})
	}
}

// benchCopy returns what a server sends of n rows, a message each.
func benchCopy(n int) [][]byte {
	all := [][]byte{appendParts(nil, string(copySignature), int32(0), int32(0))}
	for i := range n {
		columns := benchColumns(i)
		row := appendParts(nil, int16(len(columns)))
		for _, c := range columns {
			row = append(appendParts(row, int32(len(c.binary))), c.binary...)
		}
		all = append(all, row)
	}
	return append(all, appendParts(nil, int16(-1)))
}

func copyAll(tb testing.TB, table *penstock.Table, types *typeCache, rows *penstock.Rows, messages [][]byte, want int) {
	got := 0
	d := newCopyDecoder(table, types.byName(), rows, 1<<20, func(bad penstock.BadValues) error {
		got += rows.Len()
		if bad != nil {
			return fmt.Errorf("bad values: %v", bad)
		}
		return nil
	})
	for _, m := range messages {
		if _, err := d.Write(m); err != nil {
			tb.Fatal(err)
		}
	}
	if err := d.finish(); err != nil || got != want {
		tb.Fatalf("it has decoded %d rows, want %d; %v", got, want, err)
	}
}

func BenchmarkCopy(b *testing.B) {
	const n = 10_000
	table, types := benchTable()
	rows, messages := penstock.NewRows(table), benchCopy(n)
	copyAll(b, table, types, rows, messages, n)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += n {
		copyAll(b, table, types, rows, messages, n)
	}
}

// TestDecodingAllocates: into buffers that are there already, rows are decoded
// without allocations, in transactions of whatever size.
func TestDecodingAllocates(t *testing.T) { // alone, since others' allocations count as well
	const n = 2000
	allowed := float64(n) / 100
	for _, per := range []int{1, 10, n} {
		s, messages := benchStream(t, n, per)
		var c penstock.Changes
		decodeAll(t, s, messages, &c, n)
		got := testing.AllocsPerRun(5, func() {
			c.Reset()
			decodeAll(t, s, messages, &c, n)
		})
		if got > allowed {
			t.Errorf("transactions of %d rows: %v allocations for %d rows", per, got, n)
		}
	}
	table, types := benchTable()
	rows, messages := penstock.NewRows(table), benchCopy(n)
	for _, m := range [][][]byte{messages, {slices.Concat(messages...)}} {
		copyAll(t, table, types, rows, m, n)
		if got := testing.AllocsPerRun(5, func() { copyAll(t, table, types, rows, m, n) }); got > allowed {
			t.Errorf("COPY: %v allocations for %d rows", got, n)
		}
	}
}

// TestDecodingCost: decoding a row costs no more among many than among few, nor much
// more where each has a transaction of its own. The least of several runs, taking turns, counts.
func TestDecodingCost(t *testing.T) { // alone, since it takes time
	const rows = 5000
	type content struct {
		rows, per int
		least     time.Duration
		decode    func()
	}
	contents := []*content{{rows: rows, per: 100}, {rows: 8 * rows, per: 100}, {rows: rows, per: 1}}
	for _, c := range contents {
		s, messages := benchStream(t, c.rows, c.per)
		var changes penstock.Changes
		c.decode = func() {
			changes.Reset()
			decodeAll(t, s, messages, &changes, c.rows)
		}
		c.decode()
	}
	for range 7 {
		for _, c := range contents {
			began := time.Now()
			c.decode()
			if took := time.Since(began); c.least == 0 || took < c.least {
				c.least = took
			}
		}
	}
	perRow := func(c *content) float64 { return float64(c.least) / float64(c.rows) }
	if ratio := perRow(contents[1]) / perRow(contents[0]); ratio > 3 {
		t.Errorf("among eight times as many a row costs %.1f times as much", ratio)
	}
	if ratio := perRow(contents[2]) / perRow(contents[0]); ratio > 4 {
		t.Errorf("in a transaction of its own a row costs %.1f times as much", ratio)
	}
}

package pgsource

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"penstock"
)

// FuzzDecoders: whatever a type is called and whatever bytes come, a decoder
// adds one value of the type or none, and arrays become valid JSON.
func FuzzDecoders(f *testing.F) {
	for _, name := range []string{
		"boolean", "smallint", "integer", "bigint", "oid", "real", "double precision", "numeric(10,2)", "numeric(38,0)", "numeric(38,37)", "numeric(5,-2)",
		"numeric", "text", "bytea", "date", "time(3) without time zone", "time with time zone", "timestamp(3) with time zone", "interval day to second(3)",
		"uuid", "jsonb", "integer[]", "text[]", "json[]", "boolean[]", "int2vector", `"a(b"[]`, "box[]", "x(", ")(", "",
	} {
		for _, value := range []string{"", "1", "-1.50", "t", "NaN", "2024-01-02 03:04:05.6+01:02:03 BC", "1 year -2 mons +3 days -04:05:06.7", `\xdead`, `{1,NULL,{"a\"",b}}`, `[0:1]={1,2}`,
			`{a"b}"}`, "\x00\x02\x00\x01\x00\x00\x00\x02\x00\x01\x00\x02", "\x01{}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"} {
			f.Add(name, []byte(value))
		}
	}
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		m := mapType(namedType(name))
		if p := m.typ; p.String() == "invalid" || p.Kind == penstock.TypeDecimal && (p.Precision < 1 || p.Precision > penstock.MaxDecimalPrecision || p.Scale > p.Precision) {
			t.Fatalf("%q is carried as %v", name, p)
		}
		v := penstock.NewVector(m.typ)
		v.AppendNull()
		for _, d := range []decode{m.text, m.binary} {
			if d == nil {
				continue
			}
			n := v.Len()
			if d(&v, b) {
				n++
			}
			if v.Len() != n {
				t.Fatalf("%q: %d values, want %d", name, v.Len(), n)
			}
		}
		if v.Len() > 1 && v.Type().Kind == penstock.TypeJSON && m.binary == nil && !strings.HasPrefix(name, "json") && !json.Valid(v.Bytes(1)) {
			t.Fatalf("%s %q becomes %q", name, b, v.Bytes(1))
		}
	})
}

// namedType is what the catalog would say of a type, as far as its name tells.
func namedType(name string) typeInfo {
	t := typeInfo{name: name}
	if element, ok := strings.CutSuffix(name, "[]"); ok && element != "" {
		t.element, t.delimiter = element, ","
		if element == "box" {
			t.delimiter = ";"
		}
	}
	return t
}

// fuzzTables are a table of each identity, as a stream knows them.
func fuzzTables() (map[uint32]*streamTable, *typeCache) {
	types := newTypeCache()
	types.known[typeRef{23, -1}] = typeInfo{name: "integer"}
	types.known[typeRef{25, -1}] = typeInfo{name: "text"}
	tables := map[uint32]*streamTable{}
	for oid, identity := range map[uint32]penstock.Identity{1: penstock.IdentityKey, 2: penstock.IdentityFull, 3: penstock.IdentityNone} {
		shape := &penstock.Table{ID: tableID(oid), Schema: "public", Name: "t", Identity: identity, Columns: []penstock.Column{
			{ID: 1, Name: "id", Type: penstock.Type{Kind: penstock.TypeInt32}, SourceType: "integer"},
			{ID: 2, Name: "v", Type: penstock.Type{Kind: penstock.TypeText}, SourceType: "text"},
		}}
		if identity == penstock.IdentityKey {
			shape.Key = []int{0}
		}
		t := &streamTable{table: shape, plan: []planColumn{{0, textInt32, formOther, noBase}, {1, textBytes, formPlain, noBase}}}
		if identity == penstock.IdentityNone {
			t.join = &snapshot{xmin: 5, xmax: 9, running: []uint64{7}, upto: 100}
		}
		tables[oid] = t
	}
	return tables, types
}

// message makes XLogData of parts: strings, bytes, and integers of their size.
func message(parts ...any) []byte {
	b := append([]byte{copyXLogData}, make([]byte, xlogHeader-1)...)
	return appendParts(b, parts...)
}

func appendParts(b []byte, parts ...any) []byte {
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		default:
			b, _ = binary.Append(b, binary.BigEndian, p)
		}
	}
	return b
}

// text is one value of a tuple.
func text(s string) string {
	return string(appendParts([]byte{tupleText}, int32(len(s)), s))
}

// FuzzStream: whatever a server sends, the stream fails or stays in order.
func FuzzStream(f *testing.F) {
	begin := message("B", int64(0), int64(0), uint32(7))
	commit := message("C", byte(0), int64(90), int64(120), int64(0))
	for _, oid := range []uint32{1, 2, 3, 4} {
		f.Add(begin, message("I", oid, "N", int16(2), text("1"), text("one")), commit)
		f.Add(begin, message("I", oid, "N", int16(2), text("x"), "n"), commit)
		f.Add(begin, message("U", oid, "N", int16(2), text("1"), "u"), commit)
		f.Add(begin, message("U", oid, "K", int16(2), text("1"), "n", "N", int16(2), text("2"), "u"), commit)
		f.Add(begin, message("U", oid, "O", int16(2), text("1"), text("old"), "N", int16(2), text("2"), "u"), commit)
		f.Add(begin, message("D", oid, "K", int16(2), text("1"), "n"), commit)
		f.Add(begin, message("I", oid, "K", int16(2), text("1"), "n"), commit)
		f.Add(begin, message("T", int32(2), byte(0), oid, uint32(1)), commit)
		f.Add(begin, message("R", oid, "public\x00t\x00d", int16(2), "\x01id\x00", uint32(23), int32(-1), "\x00v\x00", uint32(25), int32(-1)), commit)
	}
	f.Add(appendParts([]byte{copyKeepalive}, int64(200), int64(0), byte(1)), begin, []byte{})
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		tables, types := fuzzTables()
		s := &stream{tables: tables, types: types, feedback: &feedback{now: make(chan struct{}, 1)}, joining: []*streamTable{tables[3]}}
		var changes penstock.Changes
		for _, m := range [][]byte{a, b, c} {
			if len(m) > xlogHeader && m[0] == copyXLogData && m[xlogHeader] == 'R' {
				if r, err := parseRelation(m[xlogHeader+1:]); err != nil || !typesKnown(types, r) {
					return // would be looked up at the server
				}
			}
			before := s.position.lsn
			if _, err := s.message(t.Context(), 'd', m, &changes); err != nil {
				return
			}
			if s.position.lsn < before {
				t.Fatalf("the position went back from %s to %s", before, s.position.lsn)
			}
			for _, tc := range changes.Tables {
				inOrder(t, tc)
			}
		}
	})
}

func typesKnown(types *typeCache, r relationMessage) bool {
	for _, c := range r.columns {
		if _, ok := types.known[typeRef{c.typ, c.typmod}]; !ok {
			return false
		}
	}
	return true
}

// inOrder holds changes to the contract of penstock.TableChanges.
func inOrder(t *testing.T, tc *penstock.TableChanges) {
	t.Helper()
	for i := range tc.Rows.Vectors {
		if n := tc.Rows.Vectors[i].Len(); n != len(tc.Ops) {
			t.Fatalf("column %d has %d values for %d rows", i, n, len(tc.Ops))
		}
	}
	for i, op := range tc.Ops {
		if op == penstock.OpOld && (i+1 == len(tc.Ops) || tc.Ops[i+1] != penstock.OpUpdate) {
			t.Fatalf("row %d names a row that nothing replaces: %v", i, tc.Ops)
		}
		for c := range tc.Rows.Vectors {
			if op != penstock.OpUpdate && tc.Rows.Vectors[c].IsUnchanged(i) {
				t.Fatalf("row %d has an unchanged value and is no update: %v", i, tc.Ops)
			}
		}
	}
}

// FuzzCopy: whatever comes by COPY, and however it is cut, the decoder fails
// or yields whole rows, and the same ones.
func FuzzCopy(f *testing.F) {
	head := appendParts(nil, string(copySignature), int32(0), int32(0))
	row := func(parts ...any) []byte { return appendParts(nil, append([]any{int16(2)}, parts...)...) }
	end := appendParts(nil, int16(-1))
	f.Add(append(append(head, row(int32(4), int32(7), int32(1), "x")...), end...), uint(30))
	f.Add(append(append(head, row(int32(-1), int32(0))...), end...), uint(20))
	f.Add(append(append(head, row(int32(3), "abc", int32(2), "ü")...), end...), uint(0))
	f.Add(appendParts(nil, string(copySignature), int32(0), int32(2), "xx", int16(-1), int16(-1)), uint(22))
	f.Fuzz(func(t *testing.T, data []byte, cut uint) {
		tables, types := fuzzTables()
		table := tables[1].table
		decode := func(parts ...[]byte) (string, error) {
			rows := penstock.NewRows(table)
			var out strings.Builder
			d := newCopyDecoder(table, types.byName(), rows, 16, func(bad penstock.BadValues) error {
				for i := range rows.Len() {
					if rows.Vectors[1].Len() != rows.Len() {
						t.Fatalf("columns of %d and %d values", rows.Len(), rows.Vectors[1].Len())
					}
					out.WriteString(render(&rows.Vectors[0], i) + "|" + render(&rows.Vectors[1], i) + "\n")
				}
				return nil
			})
			for _, p := range parts {
				if _, err := d.Write(p); err != nil {
					return out.String(), err
				}
			}
			err := d.finish()
			return out.String(), err
		}
		whole, err1 := decode(data)
		at := int(cut % uint(len(data)+1))
		halves, err2 := decode(data[:at], data[at:])
		if whole != halves || (err1 == nil) != (err2 == nil) {
			t.Fatalf("whole: %q, %v\ncut at %d: %q, %v", whole, err1, at, halves, err2)
		}
	})
}

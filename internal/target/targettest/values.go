package targettest

import (
	"math"
	"math/bits"
	"slices"
	"strings"

	"penstock"
)

func testNamesDifferingByCase(e *env) {
	d := e.open()
	names := []struct{ schema, name string }{{"public", "a"}, {"public", "A"}, {"Public", "a"}, {"PUBLIC", "A"}}
	var shapes []*penstock.Table
	for i, n := range names {
		s := shapeOf(penstock.TableID(rune('1'+i)), n.name, 1, column("id", penstock.TypeInt64), column("ID", penstock.TypeInt32), column("Id", penstock.TypeText))
		s.Schema = n.schema
		shapes = append(shapes, s)
		e.load(d, s, rowsOf(s, []any{1, i, "x"}))
	}
	check := func(d penstock.Destination) {
		e.Helper()
		for i, s := range shapes {
			e.wantRows("shop", s, rowsOf(s, []any{1, i, "y"}))
			if got := e.status(d, s.ID); !got.Table.Equal(s) {
				e.Fatalf("the shape is %+v, want %+v", got.Table, *s)
			}
		}
	}
	for i, s := range shapes {
		e.apply(d, changesOf(s).update([]any{1, nil, nil}, []any{1, i, "y"}).batch())
	}
	check(d)
	e.s.Restart(e.T)
	check(e.open())

	// Databases too.
	upper := e.openSpec(specOf("SHOP"))
	e.load(upper, shapes[0], rowsOf(shapes[0], []any{1, 7, "z"}))
	e.wantRows("SHOP", shapes[0], rowsOf(shapes[0], []any{1, 7, "z"}))
	e.wantRows("shop", shapes[0], rowsOf(shapes[0], []any{1, 0, "y"}))
}

func testAwkwardNames(e *env) {
	const awkward = `../a "quoted" 'name'; drop.table\ ü %41`
	d := e.openSpec(specOf(awkward))
	for i, name := range []string{awkward, "select", "_penstock", "main", "rowid", strings.Repeat("x", 63)} {
		shape := shapeOf(penstock.TableID(rune('1'+i)), name, 1, column(name, penstock.TypeInt32), column(name+"$1", penstock.TypeText))
		shape.Schema = name
		e.load(d, shape, rowsOf(shape, []any{1, "one"}))
		e.apply(d, changesOf(shape).patch([]any{1, nil}, []any{2, unchanged{}}).batch())
		e.wantRows(awkward, shape, rowsOf(shape, []any{2, "one"}))
	}
	e.s.Restart(e.T)
	specs, err := e.s.Target().List(e.Context())
	e.ok(err)
	if len(specs) != 1 || specs[0] != specOf(awkward) {
		e.Fatalf("List returned %v", specs)
	}
}

// everyType returns a shape with a key and a column of each type, and rows
// with the extremes that every target can hold.
func everyType() (*penstock.Table, *penstock.Rows) {
	dec := func(p, s uint8) penstock.Column {
		t := penstock.Type{Kind: penstock.TypeDecimal, Precision: p, Scale: s}
		return penstock.Column{Name: t.String(), Type: t}
	}
	columns := []penstock.Column{column("id", penstock.TypeInt32)}
	for k := penstock.TypeBool; k <= penstock.TypeJSON; k++ {
		if k != penstock.TypeDecimal {
			columns = append(columns, column(penstock.Type{Kind: k}.String(), k))
		}
	}
	columns = append(columns, dec(1, 0), dec(4, 2), dec(9, 9), dec(18, 0), dec(19, 3), dec(38, 10))
	shape := shapeOf("1", "everything", 1, columns...)

	rows := penstock.NewRows(shape)
	cells := make([][]func(v *penstock.Vector), len(columns))
	most := 0
	for c, col := range columns {
		cells[c] = extremes(col.Type)
		most = max(most, len(cells[c]))
	}
	for i := range most + 1 { // the last row is null in every column
		for c := range columns {
			switch {
			case c == 0:
				rows.Vectors[0].AppendInt32(int32(i))
			case i < len(cells[c]):
				cells[c][i](&rows.Vectors[c])
			default:
				rows.Vectors[c].AppendNull()
			}
		}
	}
	return shape, rows
}

func each[T any](add func(*penstock.Vector, T), values ...T) []func(*penstock.Vector) {
	var out []func(*penstock.Vector)
	for _, x := range values {
		out = append(out, func(v *penstock.Vector) { add(v, x) })
	}
	return out
}

// extremes returns functions that append values of a type, each one different.
func extremes(t penstock.Type) []func(*penstock.Vector) {
	const day = 86_400_000_000
	long := strings.Repeat("ünïcödé and more ", 1000)
	switch t.Kind {
	case penstock.TypeBool:
		return each((*penstock.Vector).AppendBool, true, false)
	case penstock.TypeInt16:
		return each((*penstock.Vector).AppendInt16, 0, 1, -1, math.MinInt16, math.MaxInt16)
	case penstock.TypeInt32:
		return each((*penstock.Vector).AppendInt32, 0, 1, -1, math.MinInt32, math.MaxInt32)
	case penstock.TypeInt64:
		return each((*penstock.Vector).AppendInt64, 0, 1, -1, math.MinInt64, math.MaxInt64)
	case penstock.TypeFloat32:
		return each((*penstock.Vector).AppendFloat32, 0, 1.5, -1e-45, math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()))
	case penstock.TypeFloat64:
		return each((*penstock.Vector).AppendFloat64, 0, 0.1, -5e-324, math.MaxFloat64, math.Inf(1), math.Inf(-1), math.NaN())
	case penstock.TypeDecimal:
		if t.Precision <= 18 {
			top := int64(math.Pow10(int(t.Precision)) - 1)
			if t.Precision == 18 {
				top = 999_999_999_999_999_999
			}
			return each((*penstock.Vector).AppendInt64, 0, 1, -1, top, -top)
		}
		hi, lo := decimalTop(int(t.Precision))
		return each(func(v *penstock.Vector, x [2]uint64) { v.AppendInt128(int64(x[0]), x[1]) },
			[2]uint64{0, 0}, [2]uint64{0, 1}, [2]uint64{math.MaxUint64, math.MaxUint64}, [2]uint64{hi, lo}, negate(hi, lo))
	case penstock.TypeText:
		return each((*penstock.Vector).AppendString, "", "a", "twelve bytes", "thirteen byte", long, "\x01\t\r\n'\"\\", "NULL")
	case penstock.TypeBytes:
		return each((*penstock.Vector).AppendString, "", "\x00", "\xff\xfe\x00\x01", "twelve bytes", "thirteen byte", long, `\x41`)
	case penstock.TypeDate:
		// 4713 BC, year 1, before and after the epoch, year 9999, far away.
		return each((*penstock.Vector).AppendInt32, 0, -1, 1, -719_162, -2_440_588, 2_932_896, 2_147_483_491-1_000_000, penstock.DateInfinity, -penstock.DateInfinity)
	case penstock.TypeTime:
		return each((*penstock.Vector).AppendInt64, 0, 1, day-1, day)
	case penstock.TypeTimeTZ:
		return each(func(v *penstock.Vector, x [2]int64) { v.AppendTimeTZ(x[0], int32(x[1])) },
			[2]int64{0, 0}, [2]int64{1, 3600}, [2]int64{day - 1, -3600}, [2]int64{day, 0},
			[2]int64{day / 2, 15*3600 + 59*60 + 59}, [2]int64{day / 2, -(15*3600 + 59*60 + 59)})
	case penstock.TypeTimestamp, penstock.TypeTimestampTZ:
		return each((*penstock.Vector).AppendInt64, 0, 1, -1, 946_684_800_000_001, -62_135_596_800_000_000, -210_866_803_200_000_000,
			253_402_300_799_999_999, 9_214_646_400_000_000_000, penstock.TimestampInfinity, -penstock.TimestampInfinity)
	case penstock.TypeInterval:
		type iv struct {
			m, d int32
			us   int64
		}
		return each(func(v *penstock.Vector, x iv) { v.AppendInterval(x.m, x.d, x.us) },
			iv{}, iv{1, -2, 3}, iv{0, 0, -1}, iv{-14, 0, 0}, iv{0, 31, 25 * 3_600_000_000},
			iv{178_000_000 * 12, math.MaxInt32, math.MaxInt64}, iv{math.MinInt32, math.MinInt32, math.MinInt64})
	case penstock.TypeUUID:
		var up [16]byte
		for i := range up {
			up[i] = byte(i * 17)
		}
		return each((*penstock.Vector).AppendUUID, [16]byte{}, up, [16]byte(slices.Repeat([]byte{0xff}, 16)), [16]byte{0x80}, [16]byte{0x7f, 1})
	case penstock.TypeJSON:
		return each((*penstock.Vector).AppendString, "null", "{}", `{"b": 1,  "a": 2, "a": 3}`, "1.50", `"\u00e4"`, "[1, [2, {}]]")
	}
	panic("a type without extremes: " + t.String())
}

// decimalTop returns 10^p - 1 as an int128.
func decimalTop(p int) (hi, lo uint64) {
	for range p {
		h, l := bits.Mul64(lo, 10)
		hi, lo = hi*10+h, l
		if lo += 9; lo < 9 {
			hi++
		}
	}
	return hi, lo
}

func testAllTypes(e *env) {
	d := e.open()
	shape, rows := everyType()
	e.load(d, shape, rows)
	e.wantRows("shop", shape, rows)

	// The same through a batch: all rows replaced by themselves.
	tb := penstock.TableBatch{Table: shape, Rows: rows}
	for i := range int32(rows.Len()) {
		tb.Remove, tb.Put = append(tb.Remove, i), append(tb.Put, i)
	}
	e.apply(d, tb)
	e.wantRows("shop", shape, rows)

	// And left unchanged, every column but the key.
	patch := penstock.TableBatch{Table: shape, Rows: penstock.NewRows(shape)}
	for i := range int32(rows.Len()) {
		for c := range patch.Rows.Vectors {
			if c == 0 {
				patch.Rows.Vectors[0].AppendInt32(i)
			} else {
				patch.Rows.Vectors[c].AppendUnchanged()
			}
		}
		patch.Remove, patch.Put, patch.Base = append(patch.Remove, i), append(patch.Put, i), append(patch.Base, i)
	}
	e.apply(d, patch)
	e.wantRows("shop", shape, rows)
	e.s.Restart(e.T)
	e.wantRows("shop", shape, rows)
	if bad := e.status(e.open(), shape.ID).BadValues.Total(); bad != 0 {
		e.Fatalf("%d bad values, want none", bad)
	}
}

// testAllTypesAsKey finds rows by a key of each type, and by whole rows.
func testAllTypesAsKey(e *env) {
	d := e.open()
	every, _ := everyType()
	for c, col := range every.Columns {
		if c == 0 {
			continue
		}
		values := extremes(col.Type)
		for _, identity := range []penstock.Identity{penstock.IdentityKey, penstock.IdentityFull} {
			shape := shapeOf(penstock.TableID(rune('A'+c)), col.Name, 0, penstock.Column{Name: "k", Type: col.Type}, column("n", penstock.TypeInt32))
			if shape.Identity = identity; identity == penstock.IdentityKey {
				shape.Key = []int{0}
			}
			rows, removed, want := penstock.NewRows(shape), penstock.TableBatch{Table: shape, Rows: penstock.NewRows(shape)}, penstock.NewRows(shape)
			for i, f := range values {
				f(&rows.Vectors[0])
				rows.Vectors[1].AppendInt32(int32(i))
				if i%2 == 1 {
					f(&want.Vectors[0])
					want.Vectors[1].AppendInt32(int32(i))
					continue
				}
				f(&removed.Rows.Vectors[0])
				removed.Rows.Vectors[1].AppendInt32(int32(i))
				removed.Remove = append(removed.Remove, int32(len(removed.Remove)))
			}
			e.load(d, shape, rows)
			e.apply(d, removed)
			e.wantRows("shop", shape, want)
		}
	}
}

func negate(hi, lo uint64) [2]uint64 {
	lo = -lo
	hi = ^hi
	if lo == 0 {
		hi++
	}
	return [2]uint64{hi, lo}
}

package pgwire

import (
	"fmt"
	"math/big"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"penstock"
)

// everything answers with a row of each type, and one of nulls.
func everything() *fakeAnswer {
	a := &fakeAnswer{}
	rows := &penstock.Rows{}
	add := func(kind penstock.TypeKind, fill func(v *penstock.Vector)) {
		typ := penstock.Type{Kind: kind}
		if kind == penstock.TypeDecimal {
			typ.Precision, typ.Scale = 30, 3
		}
		v := penstock.NewVector(typ)
		fill(&v)
		v.AppendNull()
		a.columns = append(a.columns, penstock.ResultColumn{Name: fmt.Sprintf("c%d", len(a.columns)), Type: typ})
		rows.Vectors = append(rows.Vectors, v)
	}
	at := time.Date(2024, 2, 29, 12, 34, 56, 789000, time.UTC)
	add(penstock.TypeBool, func(v *penstock.Vector) { v.AppendBool(true) })
	add(penstock.TypeInt16, func(v *penstock.Vector) { v.AppendInt16(-7) })
	add(penstock.TypeInt32, func(v *penstock.Vector) { v.AppendInt32(70000) })
	add(penstock.TypeInt64, func(v *penstock.Vector) { v.AppendInt64(1 << 40) })
	add(penstock.TypeFloat32, func(v *penstock.Vector) { v.AppendFloat32(0.1) })
	add(penstock.TypeFloat64, func(v *penstock.Vector) { v.AppendFloat64(0.1) })
	add(penstock.TypeDecimal, func(v *penstock.Vector) { v.AppendInt128(-1, 1<<64-12345) })
	add(penstock.TypeText, func(v *penstock.Vector) { v.AppendString("grün") })
	add(penstock.TypeBytes, func(v *penstock.Vector) { v.AppendBytes([]byte{0, 255}) })
	add(penstock.TypeDate, func(v *penstock.Vector) { v.AppendInt32(int32(at.Unix() / 86400)) })
	add(penstock.TypeTime, func(v *penstock.Vector) { v.AppendInt64(1_000_001) })
	add(penstock.TypeTimestamp, func(v *penstock.Vector) { v.AppendInt64(at.UnixMicro()) })
	add(penstock.TypeTimestampTZ, func(v *penstock.Vector) { v.AppendInt64(at.UnixMicro()) })
	add(penstock.TypeInterval, func(v *penstock.Vector) { v.AppendInterval(14, -3, 5) })
	add(penstock.TypeUUID, func(v *penstock.Vector) { v.AppendUUID([16]byte{15: 9}) })
	add(penstock.TypeJSON, func(v *penstock.Vector) { v.AppendString(`{"a":1}`) })
	a.chunks = func() []*penstock.Rows { return []*penstock.Rows{rows} }
	return a
}

// TestPgxReadsEveryType in all the ways in which pgx can ask.
func TestPgxReadsEveryType(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.w.on("SELECT everything", everything())
	conn := b.connect(t)
	at := time.Date(2024, 2, 29, 12, 34, 56, 789000, time.UTC)
	want := []any{
		true, int16(-7), int32(70000), int64(1 << 40), float32(0.1), 0.1,
		pgtype.Numeric{Int: big.NewInt(-12345), Exp: -3, Valid: true}, "grün", []byte{0, 255},
		time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), pgtype.Time{Microseconds: 1_000_001, Valid: true}, at, at,
		pgtype.Interval{Months: 14, Days: -3, Microseconds: 5, Valid: true}, [16]byte{15: 9}, map[string]any{"a": float64(1)},
	}
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		rows, err := conn.Query(t.Context(), "SELECT everything", mode)
		if err != nil {
			t.Fatal(err)
		}
		all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
		if err != nil || len(all) != 2 {
			t.Fatalf("%v: %v, %v", mode, all, err)
		}
		for i, v := range all[0] {
			if u, ok := v.(time.Time); ok {
				v = u.UTC()
			}
			if !reflect.DeepEqual(v, want[i]) {
				t.Errorf("%v: column %d is %#v, want %#v", mode, i, v, want[i])
			}
		}
		for i, v := range all[1] {
			if v != nil {
				t.Errorf("%v: column %d of nulls is %#v", mode, i, v)
			}
		}
	}
}

// TestPgxParameters: what the engine is given, by inferred and declared types.
func TestPgxParameters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := time.Date(2024, 2, 29, 12, 34, 56, 789000, time.UTC)
	for _, c := range []struct {
		kind penstock.TypeKind
		arg  any
		want string
	}{
		{penstock.TypeBool, true, "true"},
		{penstock.TypeInt32, 42, "42"},
		{penstock.TypeInt64, int64(-1), "-1"},
		{penstock.TypeFloat64, 2.5, "2.5"},
		{penstock.TypeDecimal, "12.30", "12.30"},
		{penstock.TypeDecimal, pgtype.Numeric{Int: big.NewInt(-1230), Exp: -2, Valid: true}, "-12.30"},
		{penstock.TypeText, "it's", "it's"},
		{penstock.TypeBytes, []byte{1, 2}, `\x0102`},
		{penstock.TypeDate, at, "2024-02-29"},
		{penstock.TypeTime, pgtype.Time{Microseconds: 1, Valid: true}, "00:00:00.000001"},
		{penstock.TypeTimestamp, at, "2024-02-29 12:34:56.000789"},
		{penstock.TypeTimestampTZ, at, "2024-02-29 12:34:56.000789+00"},
		{penstock.TypeInterval, 90 * time.Minute, "01:30:00"},
		{penstock.TypeUUID, [16]byte{15: 9}, "00000000-0000-0000-0000-000000000009"},
		{penstock.TypeJSON, map[string]int{"a": 1}, `{"a":1}`},
		{penstock.TypeInt32, nil, "NULL"},
		{0, "text", "text"},
		{0, netip.MustParseAddr("192.0.2.1"), "192.0.2.1"},
	} {
		sql := fmt.Sprintf("INSERT %d %v", c.kind, c.want)
		typ := penstock.Type{Kind: c.kind}
		if c.kind == penstock.TypeDecimal {
			typ.Precision, typ.Scale = 10, 2
		}
		b.w.on(sql, &fakeAnswer{params: []penstock.Type{typ}, affected: 1})
		conn := b.connect(t)
		b.w.history()
		tag, err := conn.Exec(t.Context(), sql, c.arg)
		if err != nil || tag.String() != "INSERT 0 1" {
			t.Errorf("%v: %v, %v", c, tag, err)
			continue
		}
		if h := b.w.history(); h[1] != sql+" "+c.want {
			t.Errorf("%v: the engine ran %q", c, h)
		}
	}
}

// TestDeclaredParameters: a type that only the client knows becomes a cast.
func TestDeclaredParameters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	unknown := []penstock.Type{{}, {}}
	b.w.on("SELECT $1, $2", &fakeAnswer{params: unknown, columns: numbers(0).columns})
	b.w.on("SELECT CAST($1 AS BIGINT), $2", &fakeAnswer{params: unknown, columns: numbers(0).columns})
	conn := b.connect(t).PgConn()
	res := conn.ExecParams(t.Context(), "SELECT $1, $2", [][]byte{[]byte("1"), []byte("a")}, []uint32{oidInt8}, nil, nil).Read()
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	if h := b.w.history(); len(h) != 1 || h[0] != "SELECT CAST($1 AS BIGINT), $2 1|a" {
		t.Errorf("the engine ran %q", h)
	}
}

// TestPgxTransactionsAndBatches as applications use them.
func TestPgxTransactionsAndBatches(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.w.on("INSERT", &fakeAnswer{affected: 1})
	b.w.on("SELECT i FROM n", numbers(3))
	conn := b.connect(t)
	err := pgx.BeginTxFunc(t.Context(), conn, pgx.TxOptions{IsoLevel: pgx.Serializable, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "INSERT")
		return err
	})
	if stateOf(err) != "25006" {
		t.Errorf("write in a read-only transaction: %v", err)
	}
	batch := &pgx.Batch{}
	batch.Queue("INSERT")
	batch.Queue("SELECT i FROM n")
	batch.Queue("INSERT")
	if err := conn.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Error(err)
	}
	if err := conn.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := conn.Exec(t.Context(), "COPY t TO STDOUT"); stateOf(err) != "0A000" {
		t.Errorf("COPY: %v", err)
	}
}

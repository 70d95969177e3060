package pgsource

import (
	"context"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"penstock"
)

// rereadKeys is how many rows one statement asks for by key.
const rereadKeys = 5000

// Reread implements penstock.Capture. It works on a connection of its own.
func (c *capture) Reread(ctx context.Context, t *penstock.Table, keys *penstock.Rows, these []int32, join penstock.Snapshot, rows *penstock.Rows, limit int, flush func(bad penstock.BadValues) error) (penstock.Snapshot, error) {
	snap, err := decodeSnapshot(join)
	if err != nil {
		return "", penstock.Errorf(penstock.KindInternal, "snapshot of table %s: %w", t, err)
	}
	conn, err := c.source.connect(ctx, c.spec.Database)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	op := "read rows of table " + t.String() + " again from " + c.where()
	from, types, err := rereadSource(ctx, conn, t)
	if err != nil {
		return "", classify(err, op)
	}
	filters, err := c.rowFilters(ctx, conn)
	if err != nil {
		return "", classify(err, op)
	}
	filter := ""
	if oid, err := tableOID(t.ID); err == nil && filters[oid] != "" {
		filter = " AND (" + filters[oid] + ")"
	}
	for part := range slices.Chunk(these, rereadKeys) {
		values, err := keyValues(t, keys, part)
		if err != nil {
			return "", err
		}
		names := make([]string, len(t.Key))
		for i, k := range t.Key {
			names[i] = quote(t.Columns[k].Name)
		}
		d := newCopyDecoder(t, types, rows, limit, flush)
		_, err = conn.PgConn().CopyTo(ctx, d, "COPY (SELECT "+selectList(t, types)+" FROM "+from+
			" WHERE ("+strings.Join(names, ", ")+") IN (VALUES "+values+")"+filter+") TO STDOUT (FORMAT binary)")
		if err == nil {
			err = d.finish()
		}
		if d.err != nil { // of flush or of decoding: already what it should be
			return "", d.err
		}
		if err != nil {
			return "", classify(err, op)
		}
	}
	if oid, err := tableOID(t.ID); err != nil {
		return "", err
	} else if err := stillNamed(ctx, conn, oid, strings.TrimPrefix(from, "ONLY "), t); err != nil {
		return "", classify(err, op)
	}
	if _, err := conn.Exec(ctx, "COMMIT"); err != nil {
		return "", classify(err, op)
	}
	// Everything that the rows show has its commit record before this.
	upto, err := mark(ctx, conn)
	if err != nil {
		return "", classify(err, op)
	}
	snap.upto = max(snap.upto, upto)
	return snap.encode(), nil
}

// rereadSource opens a transaction, takes the weakest lock on a table, and
// makes sure that it is what we know. It returns what to select from, and the
// types of its columns.
func rereadSource(ctx context.Context, conn *pgx.Conn, t *penstock.Table) (from string, known map[string]typeInfo, err error) {
	stale := func(err error) error {
		return &penstock.Error{Kind: penstock.KindStale, Message: "table " + t.String() + " is no longer what it was", Err: err}
	}
	oid, err := tableOID(t.ID)
	if err != nil {
		return "", nil, err
	}
	var kind string
	var name *string
	err = conn.QueryRow(ctx, `SELECT c.relkind::text, quote_ident(n.nspname) || '.' || quote_ident(c.relname)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1`, oid).Scan(&kind, &name)
	if err == pgx.ErrNoRows {
		return "", nil, stale(nil)
	}
	if err != nil {
		return "", nil, err
	}
	from = *name
	if kind == "r" {
		from = "ONLY " + from // those that inherit from it are tables of their own
	}
	err = conn.PgConn().Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE "+from+" IN ACCESS SHARE MODE").Close()
	switch sqlState(err) {
	case "":
	case "42P01", "3F000", lockNotAvailable:
		return "", nil, stale(err)
	}
	if err != nil {
		return "", nil, err
	}
	if err := stillNamed(ctx, conn, oid, *name, t); err != nil {
		return "", nil, err
	}
	types := newTypeCache()
	now := []relation{{oid: oid, kind: kind, logged: true}}
	if err := fillColumns(ctx, conn, types, now); err != nil {
		return "", nil, err
	}
	if !slices.EqualFunc(now[0].table.Columns, t.Columns, func(a, b penstock.Column) bool {
		a.NotNull = b.NotNull
		return a == b
	}) {
		return "", nil, stale(nil)
	}
	return from, types.byName(), nil
}

// keyValues returns the keys of rows as a list of rows in SQL.
func keyValues(t *penstock.Table, keys *penstock.Rows, these []int32) (string, error) {
	var b strings.Builder
	for n, r := range these {
		if n > 0 {
			b.WriteString(", ")
		}
		for i, k := range t.Key {
			text, ok := keyText(&keys.Vectors[k], int(r))
			if !ok {
				return "", penstock.Errorf(penstock.KindStale, "rows of table %s cannot be read again by a key of type %s", t, t.Columns[k].SourceType)
			}
			if i == 0 {
				b.WriteByte('(')
			} else {
				b.WriteString(", ")
			}
			b.WriteString("E'" + strings.ReplaceAll(strings.ReplaceAll(text, `\`, `\\`), "'", "''") + "'::" + t.Columns[k].SourceType)
		}
		b.WriteByte(')')
	}
	return b.String(), nil
}

// unixEpoch is where penstock counts days and microseconds from.
var unixEpoch = time.Unix(0, 0).UTC()

func dateText(days int64, infinite bool) (string, bool) {
	if infinite {
		return "", false
	}
	d := unixEpoch.AddDate(0, 0, int(days))
	return d.Format("2006-01-02"), d.Year() >= 1 && d.Year() <= 9999
}

func timestampText(micros int64) (string, bool) {
	if micros == penstock.TimestampInfinity || micros == -penstock.TimestampInfinity {
		return "", false
	}
	ts := time.UnixMicro(micros).UTC()
	return ts.Format("2006-01-02 15:04:05.000000") + "+00", ts.Year() >= 1 && ts.Year() <= 9999
}

func decimalText(v *penstock.Vector, i int) (string, bool) {
	t := v.Type()
	n := new(big.Int)
	if t.Precision <= 18 {
		n.SetInt64(v.Int64(i))
	} else {
		hi, lo := v.Int128(i)
		n.Lsh(big.NewInt(hi), 64).Add(n, new(big.Int).SetUint64(lo))
	}
	return n.String() + "e-" + big.NewInt(int64(t.Scale)).String(), true
}

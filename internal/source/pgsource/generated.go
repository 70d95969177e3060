package pgsource

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"penstock"
)

// generatedColumn is a column whose values the server computes from others of
// the row. Loads read it as any other. The stream of PostgreSQL 18 has the
// stored ones if the publication says so, as ours do there; the others are
// computed for the streamed rows by the server itself: see compute.go.
type generatedColumn struct {
	number     penstock.ColumnID
	name       string
	virtual    bool
	expression string  // as pg_get_expr prints it: everything qualified but the row's columns
	uses       []int16 // the numbers of those columns
	typ        string  // typeInfo.name
	uneven     bool    // partitions compute it differently
	foreign    string  // functions that we, a superuser, had better not run
}

// streamed reports whether our publications send the column.
func (g *generatedColumn) streamed(major int) bool { return major >= publishesGenerated && !g.virtual }

// publishesGenerated is the first server version whose publications can have
// generated columns.
const publishesGenerated = 18

// generatedQuery: whose functions an expression calls matters to a superuser
// only, which would run them with rights that their owners do not have.
var generatedQuery = `
SELECT d.adrelid, d.adnum::int4, a.attname::text, a.attgenerated = 'v', pg_get_expr(d.adbin, d.adrelid),
  ARRAY(SELECT DISTINCT x.refobjsubid::int2 FROM pg_depend x WHERE x.refclassid = 'pg_class'::regclass AND x.refobjid = d.adrelid AND x.refobjsubid > 0 AND x.refobjsubid <> d.adnum
        AND (x.classid = 'pg_attrdef'::regclass AND x.objid = d.oid OR x.classid = 'pg_class'::regclass AND x.objid = d.adrelid AND x.objsubid = d.adnum)),
  (SELECT count(DISTINCT pg_get_expr(pd.adbin, pd.adrelid)) > 1 FROM (SELECT d.adrelid AS relid UNION ALL SELECT relid FROM (` + fmt.Sprintf(leavesOf, "(SELECT p.oid FROM pg_class p WHERE p.oid = d.adrelid AND p.relkind = 'p')") + `) l) t
        JOIN pg_attribute pa ON pa.attrelid = t.relid AND pa.attname = a.attname JOIN pg_attrdef pd ON pd.adrelid = pa.attrelid AND pd.adnum = pa.attnum),
  CASE WHEN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN COALESCE(
    (SELECT string_agg(DISTINCT p.oid::regprocedure::text, ', ') FROM pg_depend x
        LEFT JOIN pg_operator o ON x.refclassid = 'pg_operator'::regclass AND o.oid = x.refobjid
        JOIN pg_proc p ON p.oid = CASE WHEN x.refclassid = 'pg_proc'::regclass THEN x.refobjid ELSE o.oprcode END
        JOIN pg_roles r ON r.oid = p.proowner
        WHERE NOT r.rolsuper AND (x.classid = 'pg_attrdef'::regclass AND x.objid = d.oid OR x.classid = 'pg_class'::regclass AND x.objid = d.adrelid AND x.objsubid = d.adnum)), '') ELSE '' END
FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
WHERE d.adrelid = ANY($1) AND a.attgenerated <> '' AND NOT a.attisdropped ORDER BY 1, 2`

// generatedParts begins what Table.Parts has of generated columns.
const generatedParts = "generated/"

// readGenerated returns the generated columns of tables.
func readGenerated(ctx context.Context, conn *pgx.Conn, oids []uint32) (map[uint32][]generatedColumn, error) {
	rows, err := conn.Query(ctx, generatedQuery, oids)
	if err != nil {
		return nil, err
	}
	out := map[uint32][]generatedColumn{}
	var oid uint32
	var number int32
	var g generatedColumn
	_, err = pgx.ForEachRow(rows, []any{&oid, &number, &g.name, &g.virtual, &g.expression, &g.uses, &g.uneven, &g.foreign}, func() error {
		g.number = penstock.ColumnID(number)
		g.uses = slices.Clone(g.uses)
		out[oid] = append(out[oid], g)
		return nil
	})
	return out, err
}

// generatedUnlocked returns the generated columns of tables. The server does not
// show the expressions of a table that somebody has locked, and that must not
// keep all others waiting: such a table has what it had before, if that is known.
func generatedUnlocked(ctx context.Context, conn *pgx.Conn, rels map[uint32]*relation, oids []uint32, before map[uint32][]generatedColumn) (map[uint32][]generatedColumn, error) {
	if conn.PgConn().TxStatus() != 'I' { // a failure would be the end of the transaction
		return readGenerated(ctx, conn, oids)
	}
	var having []uint32
	rows, err := conn.Query(ctx, `SELECT DISTINCT attrelid FROM pg_attribute WHERE attrelid = ANY($1) AND attgenerated <> '' AND NOT attisdropped`, oids)
	if err == nil {
		having, err = pgx.CollectRows(rows, pgx.RowTo[uint32])
	}
	if err != nil || len(having) == 0 {
		return nil, err
	}
	var generated map[uint32][]generatedColumn
	err = impatiently(ctx, conn, func() (err error) {
		if generated, err = readGenerated(ctx, conn, having); sqlState(err) != lockNotAvailable {
			return err
		}
		generated = map[uint32][]generatedColumn{}
		for _, oid := range having {
			one, err := readGenerated(ctx, conn, []uint32{oid})
			switch {
			case err == nil:
				generated[oid] = one[oid]
			case sqlState(err) != lockNotAvailable:
				return err
			case before[oid] != nil:
				generated[oid] = before[oid]
			default:
				rels[oid].locked = true
			}
		}
		return nil
	})
	return generated, err
}

// fillGenerated completes what is known of generated columns, and takes those
// out of the tables' columns that cannot be had from the stream.
func fillGenerated(ctx context.Context, conn *pgx.Conn, types *typeCache, rels map[uint32]*relation, oids []uint32) error {
	before := types.generated
	types.generated = nil
	if len(oids) == 0 {
		return nil
	}
	generated, err := generatedUnlocked(ctx, conn, rels, oids, before)
	if err != nil {
		return fmt.Errorf("read generated columns: %w", err)
	}
	for oid, columns := range generated {
		r := rels[oid]
		hash := fnv.New64a()
		for i := range columns {
			g := &columns[i]
			at := slices.IndexFunc(r.table.Columns, func(c penstock.Column) bool { return c.ID == g.number })
			if at < 0 { // it was there before the table was locked
				r.locked = true
				continue
			}
			g.typ = r.table.Columns[at].SourceType
			r.virtual = r.virtual || g.virtual
			fmt.Fprintf(hash, "%d %s\n", g.number, g.expression)
			if g.streamed(serverMajor(conn.PgConn())) {
				continue
			}
			r.computed = append(r.computed, g.number)
			why, err := types.computable(ctx, conn, r, g)
			if err != nil {
				return err
			}
			if why != "" {
				r.left = append(r.left, fmt.Sprintf("%s (%s)", g.name, why))
				r.table.Columns = slices.Delete(r.table.Columns, at, at+1)
			}
		}
		// With another expression all rows have other values, and nothing in
		// the stream shows it.
		r.table.Parts = strings.TrimSpace(fmt.Sprintf("%s %s%x", r.table.Parts, generatedParts, hash.Sum64()))
	}
	types.generated = generated
	types.doubt.Store(false)
	return nil
}

// verdict is whether the server computes an expression for us.
type verdict struct {
	why string
	at  time.Time
}

// verdictHolds is how long a verdict is believed, as finding it costs the
// server something, and a failure leaves a line in its log.
const verdictHolds = time.Minute

// computable returns why an expression cannot be computed for streamed rows,
// "" if it can.
func (c *typeCache) computable(ctx context.Context, conn *pgx.Conn, r *relation, g *generatedColumn) (why string, err error) {
	switch {
	case g.uneven:
		return "its partitions compute it differently", nil
	case g.foreign != "":
		return "it calls functions of others, which a superuser should not run: " + g.foreign + "; connect with a role that is none", nil
	}
	var bases []baseColumn
	for _, column := range r.table.Columns {
		if slices.Contains(g.uses, int16(column.ID)) {
			bases = append(bases, baseColumn{column.Name, column.SourceType})
		}
	}
	statement := computeStatement(bases, []generatedColumn{*g}, "'[]'")
	if v, ok := c.verdicts[statement]; ok && time.Since(v.at) < verdictHolds && !c.doubt.Load() {
		return v.why, nil
	}
	err = conn.PgConn().Exec(ctx, "BEGIN READ ONLY; SET LOCAL search_path TO DEFAULT; "+statement+"; ROLLBACK").Close()
	if err != nil && sqlState(err) == "" {
		return "", err // not the server's answer: the connection broke
	}
	if err != nil {
		why = inPlainWords(err).Error()
		if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
			return "", err
		}
	}
	if c.verdicts == nil {
		c.verdicts = map[string]verdict{}
	}
	c.verdicts[statement] = verdict{why, time.Now()}
	return why, nil
}

// baseColumn is a column that expressions refer to.
type baseColumn struct{ name, typ string }

// computeStatement returns SQL that computes columns for rows given as a JSON
// array of objects, whose c1, c2, … hold the values of the bases as their
// types' output functions print them, and in which s1, s2, … tell which of the
// columns not to compute. Values of domains are taken as those of their base
// types, as their checks have been made.
func computeStatement(bases []baseColumn, columns []generatedColumn, rows string) string {
	var out, names, definitions []string
	for i, b := range bases {
		c, typ := fmt.Sprintf("c%d", i+1), b.typ
		if typ == "json" || typ == "jsonb" { // a string of JSON would stay one
			names = append(names, fmt.Sprintf("%s::%s AS %s", c, typ, quote(b.name)))
			typ = "text"
		} else {
			names = append(names, c+" AS "+quote(b.name))
		}
		definitions = append(definitions, c+" "+typ)
	}
	for i, g := range columns {
		skip := quote(fmt.Sprintf("penstock skips %d", i+1))
		names = append(names, fmt.Sprintf("s%d AS %s", i+1, skip))
		definitions = append(definitions, fmt.Sprintf("s%d bool", i+1))
		out = append(out, fmt.Sprintf("CASE WHEN %s IS NULL THEN (%s)::%s END", skip, g.expression, g.typ))
	}
	return fmt.Sprintf("SELECT %s FROM (SELECT %s FROM json_to_recordset(%s::json) AS x(%s)) AS x",
		strings.Join(out, ", "), strings.Join(names, ", "), rows, strings.Join(definitions, ", "))
}

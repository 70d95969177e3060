package pgsource

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"penstock"
)

// pinnedPieces lists the files of tables as they were in the snapshot: all of
// it is read from catalog tables, which obey snapshots as other tables do,
// unlike the functions that readPieces uses. Only the sizes are of now.
const pinnedPieces = `
WITH RECURSIVE tree(root, oid, since, leaving) AS (
  SELECT c.oid, c.oid, '', false FROM pg_class c WHERE c.oid = ANY($1)
  UNION ALL
  SELECT t.root, i.inhrelid, ltrim(t.since || '.' || i.xmin, '.'), t.leaving OR COALESCE((to_jsonb(i) ->> 'inhdetachpending')::bool, false)
  FROM tree t JOIN pg_class p ON p.oid = t.oid AND p.relkind = 'p' JOIN pg_inherits i ON i.inhparent = p.oid)
SELECT t.root, c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), %s, c.relfilenode, t.since, t.leaving
FROM tree t JOIN pg_class c ON c.oid = t.oid AND c.relkind = 'r' JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY c.oid`

// inSnapshot calls f with a connection that shows the snapshot.
func (p *pin) inSnapshot(ctx context.Context, f func(conn *pgx.Conn) error) error {
	conn, err := p.capture.source.connect(ctx, p.capture.spec.Database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := importSnapshot(ctx, conn, p.exported); err != nil {
		return err
	}
	return f(conn)
}

// pieces lists the files of tables, by OID.
func (p *pin) pieces(ctx context.Context, byOID map[uint32]*penstock.Table) (out []piece, err error) {
	oids := make([]uint32, 0, len(byOID))
	for oid := range byOID {
		oids = append(oids, oid)
	}
	read := func(sizes string) error {
		out = nil
		return p.inSnapshot(ctx, func(conn *pgx.Conn) error {
			rows, err := conn.Query(ctx, fmt.Sprintf(pinnedPieces, sizes), oids)
			if err != nil {
				return err
			}
			var root uint32
			var x piece
			_, err = pgx.ForEachRow(rows, []any{&root, &x.oid, &x.name, &x.pages, &x.bytes, &x.file, &x.since, &x.leaving}, func() error {
				x.table = byOID[root]
				out = append(out, x)
				return nil
			})
			return err
		})
	}
	err = read("COALESCE(pg_relation_size(c.oid), 0) / 8192, COALESCE(pg_table_size(c.oid), 0)")
	if sqlState(err) == lockNotAvailable {
		err = read("greatest(c.relpages, 0)::int8, greatest(c.relpages, 0)::int8 * 8192")
	}
	return out, err
}

// Tables implements penstock.Pin.
func (p *pin) Tables(ctx context.Context) ([]penstock.Table, error) {
	var rels []relation
	err := p.inSnapshot(ctx, func(conn *pgx.Conn) (err error) {
		rels, _, err = p.capture.selected(ctx, conn)
		return err
	})
	if err != nil {
		return nil, classify(err, "list the tables of "+p.capture.where())
	}
	tables := make([]penstock.Table, 0, len(rels)) // of which there are pointers below
	parted := map[uint32]*penstock.Table{}
	for i := range rels {
		r := &rels[i]
		if !r.carriable() || !r.readable || len(r.table.Columns) == 0 {
			continue
		}
		tables = append(tables, r.table)
		if r.kind == "p" {
			parted[r.oid] = &tables[len(tables)-1]
		}
	}
	pieces, err := p.pieces(ctx, parted)
	if err != nil {
		return nil, classify(err, "list the partitions of "+p.capture.where())
	}
	then := map[*penstock.Table]string{}
	for _, x := range pieces {
		then[x.table] = strings.TrimPrefix(fmt.Sprintf("%s %d/%d/%s", then[x.table], x.oid, x.file, x.since), " ")
	}
	for t, parts := range then {
		// Parts is what a table is made of now; if that is not what it was then,
		// nobody will take it for what is in the warehouse.
		if !strings.Contains(t.Parts, parts) {
			t.Parts = parts + " then"
		}
	}
	return tables, nil
}

// Load implements penstock.Pin.
func (p *pin) Load(ctx context.Context, tables []penstock.Table) (penstock.Load, error) {
	byOID := make(map[uint32]*penstock.Table, len(tables))
	for i := range tables {
		oid, err := tableOID(tables[i].ID)
		if err != nil {
			return nil, err
		}
		byOID[oid] = &tables[i]
	}
	pieces, err := p.pieces(ctx, byOID)
	if err != nil {
		return nil, classify(err, "list the files of tables of "+p.capture.where())
	}
	var filters map[uint32]string
	if err := p.inSnapshot(ctx, func(conn *pgx.Conn) error {
		filters, err = p.capture.rowFilters(ctx, conn)
		return err
	}); err != nil {
		return nil, classify(err, "look up row filters of "+p.capture.where())
	}
	l := &load{capture: p.capture, filters: filters, exported: p.exported, types: p.capture.types.byName(),
		snapshot: snapshot{before: true, upto: p.position.lsn}}
	l.steps = p.capture.source.newSteps()
	pieces = slices.DeleteFunc(pieces, func(x piece) bool { return x.leaving })
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Compare(b.bytes, a.bytes) })
	ranges := serverMajor(p.holder.PgConn()) >= tidScanMajor
	for _, x := range pieces {
		l.cut(x, ranges, nil)
	}
	return l, nil
}

package pgsource

import (
	"cmp"
	"context"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"penstock"
)

// piece is a file to read: a table, or one partition of one.
type piece struct {
	table *penstock.Table
	oid   uint32
	name  string // quoted
	pages int64
	bytes int64 // with what is stored out of line
	file  uint32
	// since and leaving are those of leavesOf; a pin's pieces have them.
	since   string
	leaving bool
	// filter says which rows are published, all if it is empty.
	filter string
}

// token describes pages of the piece.
func (p piece) token(pages pageRange) chunkToken {
	return chunkToken{p.oid, p.file, crc32.ChecksumIEEE([]byte(p.filter)), pages, p.name}
}

// pieces lists the files of the tables; a partitioned table has one for each
// of its leaves. A table that has been dropped has one that is not there: an
// empty table is something else.
func (l *load) pieces(ctx context.Context, conn *pgx.Conn, tables []penstock.Table) ([]piece, error) {
	byOID := map[uint32]*penstock.Table{}
	oids := make([]uint32, len(tables))
	for i := range tables {
		oid, err := tableOID(tables[i].ID)
		if err != nil {
			return nil, err
		}
		oids[i] = oid
		byOID[oid] = &tables[i]
	}
	out, err := readPieces(ctx, conn, oids, byOID, "COALESCE(pg_relation_size(c.oid), 0) / 8192", "COALESCE(pg_table_size(c.oid), 0)")
	if sqlState(err) == lockNotAvailable {
		// One that is locked must not keep the others from being loaded.
		out, err = readPieces(ctx, conn, oids, byOID, "greatest(c.relpages, 0)::int8", "greatest(c.relpages, 0)::int8 * 8192")
	}
	if err != nil {
		return nil, err
	}
	for i := range out {
		oid, _ := tableOID(out[i].table.ID)
		delete(byOID, oid)
	}
	if len(byOID) == 0 {
		return out, nil
	}
	empty, err := collect[uint32](ctx, conn, `SELECT oid FROM pg_class WHERE oid = ANY($1)`, slices.Collect(maps.Keys(byOID)))
	if err != nil {
		return nil, err
	}
	for _, oid := range empty { // partitioned, and without partitions
		delete(byOID, oid)
	}
	for oid, t := range byOID {
		out = append(out, piece{table: t, oid: oid, name: quote(t.Schema, t.Name)})
	}
	return out, nil
}

// readPieces sees the catalog as of the load's snapshot, and files as they are:
// a table that has been dropped since has none, which its chunk finds out.
func readPieces(ctx context.Context, conn *pgx.Conn, oids []uint32, byOID map[uint32]*penstock.Table, pages, bytes string) ([]piece, error) {
	rows, err := conn.Query(ctx, `
		SELECT r.oid, c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), `+pages+`, `+bytes+`, COALESCE(pg_relation_filenode(c.oid), 0)
		FROM pg_class r CROSS JOIN LATERAL (
		  SELECT r.oid AS leaf WHERE r.relkind = 'r'
		  UNION ALL
		  SELECT relid FROM (`+fmt.Sprintf(leavesOf, "CASE r.relkind WHEN 'p' THEN r.oid END")+`) t WHERE NOT leaving) l
		JOIN pg_class c ON c.oid = l.leaf AND c.relkind = 'r' JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE r.oid = ANY($1) ORDER BY 5 DESC`, oids)
	if err != nil {
		return nil, err
	}
	var out []piece
	var root uint32
	var p piece
	_, err = pgx.ForEachRow(rows, []any{&root, &p.oid, &p.name, &p.pages, &p.bytes, &p.file}, func() error {
		p.table = byOID[root]
		out = append(out, p)
		return nil
	})
	return out, err
}

// chunks cuts a piece into ranges of step pages, which take about as long to read
// each, so fewer where rows have values that are stored out of line. The last
// is open at its end, for what has been added since the size was taken. What is
// done, in ascending order, is left out.
func (p piece) chunks(step int64, ranges bool, done []pageRange) (out []penstock.Chunk) {
	if total := p.bytes / pageSize; total > p.pages {
		step = max(step*p.pages/total, 1)
	}
	add := func(from, to int64) { // to is negative for the end, whatever that is
		pages := max(cmp.Or(max(to, 0), p.pages)-from, 0)
		bytes := int64(float64(min(pages, p.pages)) / float64(max(p.pages, 1)) * float64(p.bytes))
		out = append(out, penstock.Chunk{Table: p.table, Bytes: bytes, Token: p.token(pageRange{from, to}).String()})
	}
	from := int64(0)
	for _, d := range append(done, pageRange{-1, -1}) {
		end := d.from // of the gap before what is done
		if end < 0 {
			end = max(p.pages, from+1)
		}
		for from < end {
			to := min(from+step, end)
			switch {
			case d.from < 0 && (to == end || !ranges):
				add(from, -1)
				to = end
			case !ranges:
				to = end
				add(from, to)
			default:
				add(from, to)
			}
			from = to
		}
		if from = d.to; from < 0 {
			break
		}
	}
	return out
}

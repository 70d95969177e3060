package pgsource

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"penstock"
)

var _ penstock.Surveyor = (*capture)(nil)

// surveyQuery finds the columns of large tables in which values hardly repeat,
// as of the last ANALYZE (pg_stats): either a value comes less than four times in all,
// or the different ones take more than a megabyte and do not lie together.
const surveyQuery = `
SELECT c.oid, a.attnum
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.inherited = (c.relkind = 'p')
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = s.attname
CROSS JOIN LATERAL (SELECT CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * c.reltuples ELSE s.n_distinct END AS values) d
WHERE c.oid = ANY($1) AND c.reltuples >= $2
  AND (d.values > c.reltuples / 4 OR d.values * s.avg_width > 1 << 20 AND abs(COALESCE(s.correlation, 0)) < 0.5)`

// surveyedRows is how many rows a table has at least that is worth a look.
const surveyedRows = 100_000

// Survey implements penstock.Surveyor.
func (c *capture) Survey(ctx context.Context, tables []penstock.Table) error {
	byOID := make(map[uint32]*penstock.Table, len(tables))
	oids := make([]uint32, 0, len(tables))
	for i := range tables {
		oid, err := tableOID(tables[i].ID)
		if err != nil {
			return err
		}
		byOID[oid] = &tables[i]
		oids = append(oids, oid)
	}
	conn, err := c.source.connect(ctx, c.spec.Database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, surveyQuery, oids, float32(surveyedRows))
	var oid uint32
	var number int32
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&oid, &number}, func() error {
			t := byOID[oid]
			if i := slices.IndexFunc(t.Columns, func(c penstock.Column) bool { return c.ID == penstock.ColumnID(number) }); i >= 0 {
				t.Diverse = append(t.Diverse, i)
			}
			return nil
		})
	}
	if declined(err) { // it may have been hidden from us; tables can be loaded without
		c.log.Info("the statistics of tables cannot be read", "error", err)
		return nil
	}
	return classify(err, "read statistics of "+c.where())
}

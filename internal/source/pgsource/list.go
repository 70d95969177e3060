package pgsource

import (
	"context"

	"github.com/jackc/pgx/v5"

	"penstock"
)

var _ penstock.Lister = (*Source)(nil)

const listQuery = `
SELECT n.nspname::text, c.relname::text,
       CASE WHEN c.relkind IN ('r', 'p') AND c.relpersistence = 'u' THEN 'unlogged table'
            WHEN c.relkind = 'r' THEN 'table' WHEN c.relkind = 'p' THEN 'partitioned table' WHEN c.relkind = 'f' THEN 'foreign table'
            WHEN c.relkind = 'v' THEN 'view' ELSE 'materialized view' END,
       c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY n.nspname, c.relname`

// ListTables implements penstock.Lister.
func (s *Source) ListTables(ctx context.Context, database string) ([]penstock.ListedTable, error) {
	conn, err := s.connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, listQuery)
	if err != nil {
		return nil, classify(err, "list the tables of "+s.at(database))
	}
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t penstock.ListedTable, err error) {
		err = row.Scan(&t.Schema, &t.Name, &t.Kind, &t.Carried)
		return t, err
	})
	return tables, classify(err, "list the tables of "+s.at(database))
}

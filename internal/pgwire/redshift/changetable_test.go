package redshift

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"penstock"
)

func TestTableChanges(t *testing.T) {
	t.Parallel()
	name := func(schema, name string) penstock.TableName { return penstock.TableName{Schema: schema, Name: name} }
	for sql, want := range map[string]Order{
		"TRUNCATE Orders":                       ChangeTable{Table: name("", "orders"), Change: TruncateTable},
		`truncate table shop."S"."Orders"`:      ChangeTable{Database: "shop", Table: name("S", "Orders"), Change: TruncateTable},
		"DROP TABLE public.orders_historical_1": ChangeTable{Table: name("public", "orders_historical_1"), Change: DropTable},
		"DROP TABLE IF EXISTS a.b CASCADE":      ChangeTable{Table: name("a", "b"), Change: DropTable, IfExists: true},
		"ALTER TABLE orders RENAME TO \"Old\"":  ChangeTable{Table: name("", "orders"), Change: RenameTable, To: "Old"},
		"DELETE FROM a.b AS x WHERE true":       ChangeTable{Table: name("a", "b"), Change: DeleteRows},
		"DELETE FROM a":                         ChangeTable{Table: name("", "a"), Change: DeleteRows},
		"DROP TABLE a, b":                       nil,
		"DROP TABLE a.b.c.d":                    nil,
		"ALTER TABLE a RENAME COLUMN b TO c":    nil,
		"ALTER TABLE a ADD COLUMN b int":        nil,
		"CREATE TABLE a (b int)":                nil,
		"TRUNCATE":                              nil,
	} {
		a, err := Classify(parse(t, sql))
		if err != nil || a.Command != Engine {
			t.Errorf("%s: command %d, %v", sql, a.Command, err)
		}
		if d := cmp.Diff(want, a.Order); d != "" {
			t.Errorf("%s: %s", sql, d)
		}
	}
}
